import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { interfaceMtu, type RouteAnswer } from "../../network.ts";
import { EAFNOSUPPORT, EINVAL, ENODEV } from "../errno.ts";
import { AF_INET, AF_INET6 } from "./socket-objects.ts";

/** `struct bpf_fib_lookup`, include/uapi/linux/bpf.h. */
const FIB = {
  family: 0,
  totLen: 6,
  ifindex: 8,
  tos: 12,
  source: 16,
  destination: 32,
  vlan: 48,
  sourceMac: 52,
  destinationMac: 58,
} as const;
const FIB_BYTES = 64;
/** BPF_FIB_LOOKUP_*: DIRECT, OUTPUT, SKIP_NEIGH, TBID, SRC, MARK. */
const SKIP_NEIGH = 4;
const SRC = 16;
const ALL_FLAGS = 63;

/** BPF_FIB_LKUP_RET_*. */
const NO_NEIGH = 7;
const FRAG_NEEDED = 8;
const RETURNS = {
  blackhole: 1,
  unreachable: 2,
  prohibit: 3,
  "not-forwarded": 4,
  "forwarding-disabled": 5,
} as const satisfies Record<Extract<RouteAnswer, string>, number>;

/** `bpf_fib_lookup` over the routes that the host declares. @see net/core/filter.c `bpf_ipv4_fib_lookup` */
export const FIB_HELPERS = {
  fib_lookup(call) {
    if (call.s32(3) < FIB_BYTES) return -EINVAL;
    const flags = call.u32(4);
    if ((flags & ~ALL_FLAGS) !== 0) return -EINVAL;
    const params = call.u32(2);
    const { view, u8 } = call.memory;
    const family = u8[params + FIB.family];
    if (family !== AF_INET && family !== AF_INET6) return -EAFNOSUPPORT;
    const ifindex = view.getUint32(params + FIB.ifindex, true);
    const { network } = call.host;
    if (interfaceMtu(network, ifindex) === undefined) return -ENODEV;
    const bytes = family === AF_INET ? 4 : 16;
    const answer = network?.route?.({
      family: family === AF_INET ? "inet" : "inet6",
      ifindex,
      source: call.memory.read(params + FIB.source, bytes),
      destination: call.memory.read(params + FIB.destination, bytes),
      tos: u8[params + FIB.tos],
      mark: view.getUint32(params + FIB.sourceMac, true),
      flags,
    });
    if (answer === undefined) return RETURNS["forwarding-disabled"];
    if (typeof answer === "string") return RETURNS[answer];
    return fill(call, params, answer, flags, bytes);
  },
} as const satisfies Record<string, HelperImpl>;

function fill(
  call: HelperCall,
  params: number,
  route: Exclude<RouteAnswer, string>,
  flags: number,
  bytes: number,
): number {
  const { view, u8 } = call.memory;
  const length = view.getUint16(params + FIB.totLen, true);
  const isXdp = call.run.packet?.skb === undefined;
  // XDP, and whoever gives a length, has it checked against the route's MTU; an skb is checked itself.
  const checked = isXdp || length !== 0 ? length : call.packet.length;
  if (checked > route.mtu) {
    view.setUint16(params + FIB.totLen, route.mtu, true);
    return FRAG_NEEDED;
  }
  view.setUint32(params + FIB.ifindex, route.ifindex, true);
  view.setUint32(params + FIB.tos, route.metric ?? 0, true);
  if (route.gateway) u8.set(route.gateway.subarray(0, bytes), params + FIB.destination);
  if ((flags & SRC) !== 0 && route.source) u8.set(route.source.subarray(0, bytes), params + FIB.source);
  view.setUint32(params + FIB.vlan, 0, true);
  view.setUint16(params + FIB.totLen, isXdp || length !== 0 ? 0 : route.mtu, true);
  if ((flags & SKIP_NEIGH) !== 0) return 0;
  if (route.neighbour === undefined) return NO_NEIGH;
  u8.set(route.neighbour.sourceMac.subarray(0, 6), params + FIB.sourceMac);
  u8.set(route.neighbour.destinationMac.subarray(0, 6), params + FIB.destinationMac);
  return 0;
}
