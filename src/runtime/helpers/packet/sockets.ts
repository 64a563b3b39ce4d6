import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { PROV_RDONLY, PTR_TO_BTF_ID, PTR_TO_MEM, PTR_TO_SOCKET } from "../../layout.ts";
import type { Socket } from "../../network.ts";
import { EAFNOSUPPORT, EINVAL, EOPNOTSUPP } from "../errno.ts";
import { skbOf } from "./sk-buff.ts";
import {
  AF_INET,
  BPF_SOCK_BYTES,
  BPF_TCP_SOCK_BYTES,
  familyOf,
  IP_PROTOCOL,
  type SocketObjects,
} from "./socket-objects.ts";

/** `struct bpf_sock_tuple`: sizes tell the family. */
const TUPLE_IPV4_BYTES = 12;
const TUPLE_IPV6_BYTES = 36;
const TCP_TIME_WAIT = 6;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
const TCP_NEW_SYN_RECV = 12;
const SK_LOOKUP_REPLACE = 1n;
const SK_LOOKUP_NO_REUSEPORT = 2n;
const EEXIST = 17;
const EPROTOTYPE = 91;
const ESOCKTNOSUPPORT = 94;
/** Offsets in `struct bpf_sk_lookup`. */
const SK_LOOKUP = { family: 8, protocol: 12 } as const;

/** `RunState.scratch` key under which `bpf_sk_assign` leaves the socket chosen by an sk_lookup program. */
export const SELECTED_SOCKET = "sk_lookup/selected";

/** Helpers about sockets: those that the host's {@link Network} declares, and the packet's own. @see net/core/filter.c */
export const SOCKET_HELPERS = {
  sk_lookup_tcp: (call) => lookup(call, "tcp", true),
  sk_lookup_udp: (call) => lookup(call, "udp", true),
  skc_lookup_tcp: (call) => lookup(call, "tcp", false),

  sk_release(call) {
    call.release(1);
    return 0;
  },

  sk_fullsock(call) {
    const socket = socketAt(call, call.u32(1));
    if (socket === undefined || !isFull(socket)) return 0;
    return call.returnPointer(
      PTR_TO_SOCKET | PROV_RDONLY,
      call.u32(1),
      BPF_SOCK_BYTES,
      call.provenance(1).aux,
    );
  },

  /** The counters of a `struct bpf_tcp_sock` are all 0: no TCP runs here. */
  tcp_sock(call) {
    const socket = socketAt(call, call.u32(1));
    if (socket === undefined || !isFull(socket) || socket.protocol !== "tcp") return 0;
    const address = objects(call).tcpAddressOf(socket, call.heap);
    return address === 0
      ? 0
      : call.returnPointer(PTR_TO_MEM | PROV_RDONLY, address, BPF_TCP_SOCK_BYTES, call.provenance(1).aux);
  },

  get_listener_sock(call) {
    const socket = socketAt(call, call.u32(1));
    if (socket === undefined || socket.state !== TCP_LISTEN) return 0;
    return call.returnPointer(PTR_TO_SOCKET | PROV_RDONLY, call.u32(1), BPF_SOCK_BYTES);
  },

  sk_assign(call) {
    const flags = call.u64(3);
    const address = call.u32(2);
    const socket = address === 0 ? undefined : socketAt(call, address);
    if (call.programType === "BPF_PROG_TYPE_SK_LOOKUP") return select(call, socket, flags);
    skbOf(call);
    if (socket === undefined || flags !== 0n) return -EINVAL;
    // Packets of a run count as leaving: the helper works at ingress only.
    return -EOPNOTSUPP;
  },

  sk_cgroup_id: (call) => socketAt(call, call.u32(1))?.cgroupId ?? 0,
  sk_ancestor_cgroup_id(call) {
    const id = socketAt(call, call.u32(1))?.cgroupId ?? 0n;
    const level = call.s32(2);
    return level === 0 && id !== 0n ? 1 : level === 1 ? id : 0;
  },

  skc_to_tcp_sock: (call) => cast(call, (socket) => socket.protocol === "tcp" && isFull(socket)),
  skc_to_tcp6_sock: (call) =>
    cast(call, (socket) => socket.protocol === "tcp" && socket.family === "inet6" && isFull(socket)),
  skc_to_udp6_sock: (call) => cast(call, (socket) => socket.protocol === "udp" && socket.family === "inet6"),
  skc_to_tcp_timewait_sock: (call) =>
    cast(call, (socket) => socket.protocol === "tcp" && socket.state === TCP_TIME_WAIT),
  skc_to_tcp_request_sock: (call) =>
    cast(call, (socket) => socket.protocol === "tcp" && socket.state === TCP_NEW_SYN_RECV),
  skc_to_unix_sock: () => 0,
  skc_to_mptcp_sock: () => 0,
} as const satisfies Record<string, HelperImpl>;

function objects(call: HelperCall): SocketObjects {
  return call.state.sockets;
}

/** The socket whose `struct bpf_sock` lies at `address`: the packet's own, or one a lookup gave. */
export function socketAt(call: HelperCall, address: number): Socket | undefined {
  const skb = call.run.packet?.skb;
  if (skb !== undefined && skb.socketAddress === address) return skb.socket;
  return objects(call).at(address);
}

function isFull(socket: Socket): boolean {
  return socket.state !== TCP_TIME_WAIT && socket.state !== TCP_NEW_SYN_RECV;
}

function lookup(call: HelperCall, protocol: "tcp" | "udp", full: boolean): number {
  const size = call.u32(3);
  const netns = call.u64(4);
  if (size !== TUPLE_IPV4_BYTES && size !== TUPLE_IPV6_BYTES) return 0;
  // Only the present network namespace exists: BPF_F_CURRENT_NETNS is any negative s32.
  if (call.u64(5) !== 0n || (Number(netns & 0xffff_ffffn) | 0) >= 0) return 0;
  const sockets = call.host.network?.sockets;
  if (sockets === undefined || sockets.length === 0) return 0;
  const tuple = call.bytes(2, size);
  const bytes = size === TUPLE_IPV4_BYTES ? 4 : 16;
  const want: Tuple = {
    family: bytes === 4 ? "inet" : "inet6",
    remote: tuple.subarray(0, bytes),
    local: tuple.subarray(bytes, 2 * bytes),
    remotePort: (tuple[2 * bytes] << 8) | tuple[2 * bytes + 1],
    localPort: (tuple[2 * bytes + 2] << 8) | tuple[2 * bytes + 3],
  };
  let found: Socket | undefined;
  let best = 0;
  for (const socket of sockets) {
    const points = socket.protocol === protocol ? score(socket, want) : 0;
    if (points > best) {
      best = points;
      found = socket;
    }
  }
  if (found === undefined || (full && !isFull(found))) return 0;
  const address = objects(call).addressOf(found, call.heap, call.memory);
  if (address === 0) return 0;
  const reference = call.acquire("socket");
  return call.returnPointer(PTR_TO_SOCKET | PROV_RDONLY, address, BPF_SOCK_BYTES, reference);
}

interface Tuple {
  readonly family: "inet" | "inet6";
  readonly remote: Uint8Array;
  readonly local: Uint8Array;
  readonly remotePort: number;
  readonly localPort: number;
}

/** How well a socket fits, as the kernel's lookup orders them: connected before bound before wildcard; 0: not at all. */
function score(socket: Socket, want: Tuple): number {
  if (socket.family !== want.family || socket.localPort !== want.localPort) return 0;
  const anyLocal = socket.localAddress.every((byte) => byte === 0);
  if (!anyLocal && !same(socket.localAddress, want.local)) return 0;
  const connected = socket.remotePort !== undefined && socket.remotePort !== 0;
  if (connected) {
    const there = socket.remoteAddress !== undefined && same(socket.remoteAddress, want.remote);
    if (!there || socket.remotePort !== want.remotePort) return 0;
  }
  return 1 + (anyLocal ? 0 : 1) + (connected ? 2 : 0);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** The kernel's own socket structs: opaque here, so a program can compare the pointer but not read through it. */
function cast(call: HelperCall, fits: (socket: Socket) => boolean): number {
  const address = call.u32(1);
  const socket = address === 0 ? undefined : socketAt(call, address);
  if (socket === undefined || !fits(socket)) return 0;
  return call.returnPointer(PTR_TO_BTF_ID, address, 0, call.provenance(1).aux);
}

/** `bpf_sk_lookup_assign`. */
function select(call: HelperCall, socket: Socket | undefined, flags: bigint): number {
  const { scratch, contextAddress } = call.run;
  if ((flags & ~(SK_LOOKUP_REPLACE | SK_LOOKUP_NO_REUSEPORT)) !== 0n) return -EINVAL;
  const { view } = call.memory;
  if (socket !== undefined) {
    if (socket.state !== (socket.protocol === "tcp" ? TCP_LISTEN : TCP_CLOSE)) return -ESOCKTNOSUPPORT;
    if (IP_PROTOCOL[socket.protocol] !== view.getUint32(contextAddress + SK_LOOKUP.protocol, true))
      return -EPROTOTYPE;
    const family = familyOf(socket);
    // An IPv6 socket takes IPv4 packets too.
    if (family === AF_INET && family !== view.getUint32(contextAddress + SK_LOOKUP.family, true))
      return -EAFNOSUPPORT;
  }
  if (scratch.has(SELECTED_SOCKET) && (flags & SK_LOOKUP_REPLACE) === 0n) return -EEXIST;
  if (socket === undefined) scratch.delete(SELECTED_SOCKET);
  else scratch.set(SELECTED_SOCKET, socket);
  view.setUint32(contextAddress, socket === undefined ? 0 : call.u32(2), true);
  return 0;
}
