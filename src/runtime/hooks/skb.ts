import type { ProgramSpec, RunInput, RunOutcome } from "../../object/index.ts";
import {
  BPF_SOCK,
  BPF_SOCK_BYTES,
  ETH_P_IP,
  ETH_P_IPV6,
  familyOf,
  IPV4_BYTES,
  IPV6_BYTES,
  protocolAt,
  SK_BUFF,
  SK_BUFF_BYTES,
} from "../helpers/packet/index.ts";
import { BATCH_SKB, BATCH_SKB_NETWORK } from "../layout.ts";
import { interfaceMtu, LOOPBACK, type Socket } from "../network.ts";
import {
  CHECKSUM_NONE,
  ETH_HLEN,
  MAX_FRAGS,
  PacketBuffer,
  SHARED_INFO_BYTES,
  type SkbState,
} from "../packet-buffer.ts";
import { contextTable } from "./context-table.ts";
import type { Arrival, BatchHookRun, Hook, HookEnv } from "./hook.ts";
import { badInput, contextInput, RunMemory, requireZero } from "./input.ts";

/** What a caller may not choose in `__sk_buff`. */
const FIXED_FIELDS = [
  [0, 8],
  [12, 32],
  [44, 48],
  [68, 152],
  [168, 176],
  [180, 184],
] as const;

/** Linux: NET_SKB_PAD + NET_IP_ALIGN on x86-64. */
const HEADROOM = 64;
const LINEAR_MAX = 4096 - HEADROOM - SHARED_INFO_BYTES;
const GSO_LEGACY_MAX_SIZE = 65536;
const GSO_MAX_SEGS = 65535;
const PACKET_HOST = 0;
const PACKET_MULTICAST = 2;
const PACKET_OTHERHOST = 3;
const TCP_CLOSE = 7;
/** Memory of one run: context, socket, packet. */
const SOCKET_AT = SK_BUFF_BYTES;
const PACKET_AT = 320;

/**
 * Every type whose context is `__sk_buff`. The packet is given from its Ethernet header on and counts as received on
 * (or sent by) `lo`, or the `ifindex` of the input context. Longer packets than Linux's test run takes (3712 bytes)
 * are run as well, as a NIC would deliver them: with the rest outside the linear part.
 * @see net/bpf/test_run.c `bpf_prog_test_run_skb`
 */
export const SKB_HOOK: Hook = {
  types: [
    "BPF_PROG_TYPE_SOCKET_FILTER",
    "BPF_PROG_TYPE_SCHED_CLS",
    "BPF_PROG_TYPE_SCHED_ACT",
    "BPF_PROG_TYPE_CGROUP_SKB",
    "BPF_PROG_TYPE_LWT_IN",
    "BPF_PROG_TYPE_LWT_OUT",
    "BPF_PROG_TYPE_LWT_XMIT",
    "BPF_PROG_TYPE_LWT_SEG6LOCAL",
    "BPF_PROG_TYPE_SK_SKB",
  ],
  context: (program) => contextTable(program),
  begin: (env, program, input) => begin(env, program, input),
  batch: {
    arrival,
    begin(env, program, ctx) {
      const given = ctx === undefined ? undefined : contextInput(ctx, SK_BUFF_BYTES);
      // A length on the wire of the caller's is checked against each packet's.
      if (given !== undefined && new DataView(given.buffer).getUint32(SK_BUFF.wireLen, true) !== 0)
        return undefined;
      return begin(env, program, { data: new Uint8Array(ETH_HLEN), ctx }, LINEAR_MAX);
    },
  },
};

function arrival(ctx: Uint8Array | undefined, { ifindex, queue }: Arrival): Uint8Array | undefined {
  if (queue !== undefined)
    throw badInput("EINVAL", "__sk_buff.queue_mapping cannot be chosen by the caller", "leave queues out");
  if (ifindex === undefined) return ctx;
  const own = new Uint8Array(Math.max(SK_BUFF_BYTES, ctx?.length ?? 0));
  if (ctx !== undefined) own.set(ctx);
  new DataView(own.buffer).setUint32(SK_BUFF.ifindex, ifindex, true);
  return own;
}

/** `room`: bytes of packet that the buffer is to hold; default: those of the input. */
function begin(env: HookEnv, program: ProgramSpec, input: RunInput, room = 0): BatchHookRun {
  const data = input.data ?? new Uint8Array(0);
  // Nothing of the input context is looked at when there is none: this is the way of every captured packet.
  const given = input.ctx === undefined ? undefined : contextInput(input.ctx, SK_BUFF_BYTES);
  const sk = given && new DataView(given.buffer);
  const field = (offset: number): number => sk?.getUint32(offset, true) ?? 0;
  if (data.length < ETH_HLEN) {
    throw badInput("EINVAL", `the packet has ${data.length} bytes, an Ethernet header has ${ETH_HLEN}`);
  }
  if (data.length > LINEAR_MAX + MAX_FRAGS * 4096) {
    throw badInput("EINVAL", `${data.length} bytes are more than a packet can hold`);
  }
  if (given) requireZero(given, FIXED_FIELDS, "__sk_buff");
  const ifindex = field(SK_BUFF.ifindex);
  if (ifindex > LOOPBACK && interfaceMtu(env.host.network, ifindex) === undefined) {
    throw badInput("ENODEV", `there is no interface ${ifindex}`);
  }
  // Elsewhere the data starts behind the Ethernet header, which then comes back as zeros.
  const fromEthernet =
    program.type === "BPF_PROG_TYPE_SCHED_CLS" || program.type === "BPF_PROG_TYPE_SCHED_ACT";
  const length = fromEthernet ? data.length : data.length - ETH_HLEN;
  const wireLen = field(SK_BUFF.wireLen);
  if (wireLen !== 0 && (wireLen < length || wireLen > GSO_LEGACY_MAX_SIZE)) {
    throw badInput("EINVAL", `__sk_buff.wire_len ${wireLen} is outside ${length}–${GSO_LEGACY_MAX_SIZE}`);
  }
  if (field(SK_BUFF.gsoSegs) > GSO_MAX_SEGS)
    throw badInput("EINVAL", `__sk_buff.gso_segs is above ${GSO_MAX_SEGS}`);

  const linear = Math.min(data.length, LINEAR_MAX);
  const blocks = new RunMemory(env.module);
  const address = blocks.alloc(PACKET_AT + HEADROOM + Math.max(room, linear) + SHARED_INFO_BYTES);
  const { memory } = env.module;
  const start = address + PACKET_AT;
  const fields = {
    data: SK_BUFF.data,
    dataEnd: SK_BUFF.dataEnd,
    dataMeta: SK_BUFF.dataMeta,
    length: SK_BUFF.len,
  };
  const packet = new PacketBuffer(memory, start, start + HEADROOM + linear, address, fields, (size) =>
    blocks.tryAlloc(size),
  );
  const mac = start + HEADROOM;
  packet.dataEnd = mac + linear;
  packet.frags = data.slice(linear);
  memory.write(mac, data.subarray(0, linear));
  const etherType = protocolAt(packet, mac + ETH_HLEN - 2);
  try {
    checkHeader(etherType, linear - ETH_HLEN);
  } catch (error) {
    blocks.freeAll();
    throw error;
  }
  packet.data = fromEthernet ? mac : mac + ETH_HLEN;
  packet.dataMeta = packet.data;
  const socket = new PacketSocket(data, etherType);
  const received = (from: PacketSocket): SkbState => ({
    macHeader: mac,
    networkHeader: mac + ETH_HLEN,
    transportHeader: 0,
    ipSummed: CHECKSUM_NONE,
    csumLevel: 0,
    hashKnown: false,
    encapsulation: false,
    tunnel: undefined,
    socket: from,
    socketAddress: address + SOCKET_AT,
  });
  packet.skb = received(socket);

  const { view } = memory;
  view.setUint32(address + SK_BUFF.pktType, packetType(data), true);
  view.setUint16(address + SK_BUFF.protocol, etherType, false);
  view.setUint32(address + SK_BUFF.ifindex, ifindex || LOOPBACK, true);
  if (given) {
    for (const [offset, size] of GIVEN) memory.write(address + offset, given.subarray(offset, offset + size));
    // Only a run with a context sets the queueing length, as in Linux.
    view.setUint32(address + SK_BUFF.wireLen, wireLen || length, true);
    view.setUint32(address + SK_BUFF.gsoSize, field(SK_BUFF.gsoSize) & 0xffff, true);
  }
  view.setUint32(address + SK_BUFF.sk, address + SOCKET_AT, true);
  socket.write(view, address);
  packet.sync();

  let outcome: RunOutcome | undefined;
  return {
    contextAddress: address,
    packet,
    leave(run, r0) {
      outcome = run.outcome;
      return Number(BigInt.asUintN(32, r0));
    },
    results() {
      const ctx = memory.read(address, SK_BUFF_BYTES);
      for (const [from, to] of FIXED_FIELDS) ctx.fill(0, from, to);
      // The segment size comes back as it was given, whatever became of it.
      new DataView(ctx.buffer).setUint32(SK_BUFF.gsoSize, field(SK_BUFF.gsoSize), true);
      // The bytes in front are taken along and overwritten: one copy instead of two.
      const out = packet.bytes(packet.data - (fromEthernet ? 0 : ETH_HLEN));
      if (!fromEthernet) out.fill(0, 0, ETH_HLEN);
      return { data: out, ctx, ...(outcome ? { outcome } : {}) };
    },
    end: () => blocks.freeAll(),
    plan: {
      kind: fromEthernet ? BATCH_SKB : BATCH_SKB_NETWORK,
      contextBytes: SOCKET_AT + BPF_SOCK_BYTES,
      buffer: start,
      packetAt: mac,
      limit: mac + Math.max(room, linear),
      linearMax: LINEAR_MAX,
      ...(given && { ownLengthAt: SK_BUFF.wireLen }),
    },
    renew(size) {
      blocks.freeAfter(1);
      packet.start = start;
      packet.limit = mac + size;
      packet.frags = new Uint8Array(0);
      packet.skb = received(new PacketSocket(memory.read(mac, size), protocolAt(packet, mac + ETH_HLEN - 2)));
    },
  };
}

/** Fields that the caller may set: offset and size (`convert___skb_to_skb`). */
const GIVEN = [
  [SK_BUFF.mark, 4],
  [SK_BUFF.priority, 4],
  [SK_BUFF.ingressIfindex, 4],
  [SK_BUFF.cb, 20],
  [SK_BUFF.tstamp, 8],
  [SK_BUFF.gsoSegs, 4],
  [SK_BUFF.hwtstamp, 8],
] as const;

/** @throws BpfError EINVAL when an IP packet is shorter than its header. */
function checkHeader(etherType: number, bytes: number): void {
  const needed = etherType === ETH_P_IP ? IPV4_BYTES : etherType === ETH_P_IPV6 ? IPV6_BYTES : 0;
  if (bytes < needed) {
    throw badInput("EINVAL", `${bytes} bytes behind the Ethernet header, the IP header has ${needed}`);
  }
}

/** `eth_type_trans` for `lo`, whose address is all zero. */
function packetType(data: Uint8Array): number {
  if ((data[0] | data[1] | data[2] | data[3] | data[4] | data[5]) === 0) return PACKET_HOST;
  return (data[0] & 1) !== 0 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

/** The socket that the test run ties to a packet: addresses from the packet, no ports, closed. */
class PacketSocket implements Socket {
  readonly family: Socket["family"];
  readonly protocol = "none";
  readonly localPort = 0;
  readonly state = TCP_CLOSE;
  readonly cookie = 1n;
  readonly uid = 0;
  private readonly data: Uint8Array;

  constructor(data: Uint8Array, etherType: number) {
    this.data = data;
    this.family = etherType === ETH_P_IP ? "inet" : etherType === ETH_P_IPV6 ? "inet6" : "unspec";
  }

  get localAddress(): Uint8Array {
    if (this.family === "unspec") return new Uint8Array(4);
    return this.family === "inet" ? this.data.slice(26, 30) : this.data.slice(22, 38);
  }

  get remoteAddress(): Uint8Array {
    if (this.family === "unspec") return new Uint8Array(4);
    return this.family === "inet" ? this.data.slice(30, 34) : this.data.slice(38, 54);
  }

  /** Writes what programs see of it into zeroed memory: the fields of `__sk_buff` and the `struct bpf_sock`. */
  write(view: DataView, context: number): void {
    const sock = context + SOCKET_AT;
    const family = familyOf(this);
    view.setUint32(context + SK_BUFF.family, family, true);
    view.setUint32(sock + BPF_SOCK.family, family, true);
    view.setUint32(sock + BPF_SOCK.state, TCP_CLOSE, true);
    view.setInt32(sock + BPF_SOCK.rxQueue, -1, true);
    if (this.family === "unspec") return;
    const v6 = this.family === "inet6";
    const words = v6 ? 4 : 1;
    const local = ETH_HLEN + (v6 ? 8 : 12);
    for (let i = 0; i < 4 * words; i++) {
      const from = this.data[local + i];
      const to = this.data[local + 4 * words + i];
      view.setUint8(context + (v6 ? SK_BUFF.localIp6 : SK_BUFF.localIp4) + i, from);
      view.setUint8(context + (v6 ? SK_BUFF.remoteIp6 : SK_BUFF.remoteIp4) + i, to);
      view.setUint8(sock + (v6 ? BPF_SOCK.sourceIp6 : BPF_SOCK.sourceIp4) + i, from);
      view.setUint8(sock + (v6 ? BPF_SOCK.destinationIp6 : BPF_SOCK.destinationIp4) + i, to);
    }
  }
}
