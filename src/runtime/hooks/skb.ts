import type { ProgramSpec, RunInput, RunOutcome } from "../../object/index.ts";
import {
  ETH_P_IP,
  ETH_P_IPV6,
  familyOf,
  IPV4_BYTES,
  IPV6_BYTES,
  protocolAt,
  SK_BUFF,
  SK_BUFF_BYTES,
  writeSocket,
} from "../helpers/packet/index.ts";
import { interfaceMtu, LOOPBACK, type Socket } from "../network.ts";
import { CHECKSUM_NONE, ETH_HLEN, MAX_FRAGS, PacketBuffer, SHARED_INFO_BYTES } from "../packet-buffer.ts";
import { contextTable } from "./context-table.ts";
import type { Hook, HookEnv, HookRun } from "./hook.ts";
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
const CB_BYTES = 20;
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
  begin,
};

function begin(env: HookEnv, program: ProgramSpec, input: RunInput): HookRun {
  const data = input.data ?? new Uint8Array(0);
  const ctx = contextInput(input.ctx, SK_BUFF_BYTES);
  const sk = new DataView(ctx.buffer);
  const field = (offset: number): number => sk.getUint32(offset, true);
  if (data.length < ETH_HLEN) {
    throw badInput("EINVAL", `the packet has ${data.length} bytes, an Ethernet header has ${ETH_HLEN}`);
  }
  if (data.length > LINEAR_MAX + MAX_FRAGS * 4096) {
    throw badInput("EINVAL", `${data.length} bytes are more than a packet can hold`);
  }
  requireZero(ctx, FIXED_FIELDS, "__sk_buff");
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
  const address = blocks.alloc(PACKET_AT + HEADROOM + linear + SHARED_INFO_BYTES);
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
  const socket = socketOf(data, etherType);
  packet.skb = {
    macHeader: mac,
    networkHeader: mac + ETH_HLEN,
    transportHeader: 0,
    ipSummed: CHECKSUM_NONE,
    csumLevel: 0,
    hashKnown: false,
    encapsulation: false,
    tunnel: undefined,
    socket,
    socketAddress: address + SOCKET_AT,
  };

  const set = (offset: number, value: number): void => memory.view.setUint32(address + offset, value, true);
  set(SK_BUFF.pktType, packetType(data));
  memory.view.setUint16(address + SK_BUFF.protocol, etherType, false);
  set(SK_BUFF.mark, field(SK_BUFF.mark));
  set(SK_BUFF.priority, field(SK_BUFF.priority));
  set(SK_BUFF.ingressIfindex, field(SK_BUFF.ingressIfindex));
  set(SK_BUFF.ifindex, ifindex || LOOPBACK);
  memory.write(address + SK_BUFF.cb, ctx.subarray(SK_BUFF.cb, SK_BUFF.cb + CB_BYTES));
  memory.write(address + SK_BUFF.tstamp, ctx.subarray(SK_BUFF.tstamp, SK_BUFF.tstamp + 8));
  // Only a run with a context sets the queueing length, as in Linux.
  set(SK_BUFF.wireLen, input.ctx === undefined ? 0 : wireLen || length);
  set(SK_BUFF.gsoSegs, field(SK_BUFF.gsoSegs));
  set(SK_BUFF.gsoSize, field(SK_BUFF.gsoSize) & 0xffff);
  memory.write(address + SK_BUFF.hwtstamp, ctx.subarray(SK_BUFF.hwtstamp, SK_BUFF.hwtstamp + 8));
  writeSocket(memory, address + SOCKET_AT, socket);
  set(SK_BUFF.sk, address + SOCKET_AT);
  set(SK_BUFF.family, familyOf(socket));
  const v6 = socket.family === "inet6";
  if (socket.remoteAddress) {
    memory.write(address + (v6 ? SK_BUFF.remoteIp6 : SK_BUFF.remoteIp4), socket.remoteAddress);
    memory.write(address + (v6 ? SK_BUFF.localIp6 : SK_BUFF.localIp4), socket.localAddress);
  }
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
      for (const [offset, size] of RETURNED) ctx.set(memory.read(address + offset, size), offset);
      const bytes = packet.bytes();
      let out = bytes;
      if (!fromEthernet) {
        out = new Uint8Array(ETH_HLEN + bytes.length);
        out.set(bytes, ETH_HLEN);
      }
      return { data: out, ctx, ...(outcome ? { outcome } : {}) };
    },
    end: () => blocks.freeAll(),
  };
}

/** Fields that come back in the result's context: offset and size (`convert_skb_to___skb`). */
const RETURNED = [
  [SK_BUFF.mark, 4],
  [SK_BUFF.priority, 4],
  [SK_BUFF.ingressIfindex, 4],
  [SK_BUFF.ifindex, 4],
  [SK_BUFF.cb, CB_BYTES],
  [SK_BUFF.tstamp, 8],
  [SK_BUFF.wireLen, 4],
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
  if (data.subarray(0, 6).every((byte) => byte === 0)) return PACKET_HOST;
  return (data[0] & 1) !== 0 ? PACKET_MULTICAST : PACKET_OTHERHOST;
}

/** The socket that the test run ties to the packet: addresses from the packet, no ports, closed. */
function socketOf(data: Uint8Array, etherType: number): Socket {
  const common = { protocol: "none", localPort: 0, state: TCP_CLOSE, cookie: 1n, uid: 0 } as const;
  const ip = data.subarray(ETH_HLEN);
  if (etherType === ETH_P_IP) {
    return { ...common, family: "inet", localAddress: ip.slice(12, 16), remoteAddress: ip.slice(16, 20) };
  }
  if (etherType === ETH_P_IPV6) {
    return { ...common, family: "inet6", localAddress: ip.slice(8, 24), remoteAddress: ip.slice(24, 40) };
  }
  return { ...common, family: "unspec", localAddress: new Uint8Array(4) };
}
