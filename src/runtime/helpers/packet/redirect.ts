import type { RedirectTarget } from "../../../object/index.ts";
import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { interfaceMtu } from "../../network.ts";
import { EBADMSG, EINVAL } from "../errno.ts";
import { isGso, skbOf } from "./sk-buff.ts";

const TC_ACT_SHOT = 2;
const TC_ACT_REDIRECT = 7;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;
const SK_DROP = 0;
const SK_PASS = 1;

const INGRESS = 1n;
/** BPF_F_NEIGH, BPF_F_PEER, BPF_F_NEXTHOP: the kernel's own. */
const INTERNAL = 0x7_0000n;
/** Low bits of `bpf_redirect_map`'s flags: what to return when the map has no such entry. */
const ACTION_MASK = 3n;
const BROADCAST = 1n << 3n;
const EXCLUDE_INGRESS = 1n << 4n;
/** `sizeof(struct bpf_redir_neigh)`. */
const REDIR_NEIGH_BYTES = 20;

/** Helpers that send packets elsewhere: the target is recorded. @see net/core/filter.c, kernel/bpf/devmap.c, net/core/sock_map.c */
export const REDIRECT_HELPERS = {
  redirect(call) {
    const flags = call.u64(2);
    const index = call.u32(1);
    if (call.programType === "BPF_PROG_TYPE_XDP") {
      if (flags !== 0n) return XDP_ABORTED;
      send(call, { kind: "ifindex", index });
      return XDP_REDIRECT;
    }
    if ((flags & (~INGRESS | INTERNAL)) !== 0n) return TC_ACT_SHOT;
    send(call, { kind: "ifindex", index, mode: direction(flags) });
    return TC_ACT_REDIRECT;
  },

  redirect_peer(call) {
    if (call.u64(2) !== 0n) return TC_ACT_SHOT;
    send(call, { kind: "ifindex", index: call.u32(1), mode: "peer" });
    return TC_ACT_REDIRECT;
  },

  redirect_neigh(call) {
    const size = call.s32(3);
    if ((size !== 0 && size < REDIR_NEIGH_BYTES) || call.u64(4) !== 0n) return TC_ACT_SHOT;
    send(call, { kind: "ifindex", index: call.u32(1), mode: "neigh" });
    return TC_ACT_REDIRECT;
  },

  /** The copy is recorded as a clone; nothing is sent. */
  clone_redirect(call) {
    const { packet } = skbOf(call);
    packet.moved();
    const flags = call.u64(3);
    const index = call.u32(2);
    if ((flags & (~INGRESS | INTERNAL)) !== 0n) return -EINVAL;
    if (isGso(packet)) return -EBADMSG;
    if (interfaceMtu(call.host.network, index) === undefined) return -EINVAL;
    const { outcome } = call.run;
    if (outcome.clones.length < MAX_CLONES) {
      const target: RedirectTarget = { kind: "ifindex", index, mode: direction(flags) };
      outcome.clones = [...outcome.clones, { data: packet.bytes(), target }];
    }
    return 0;
  },

  redirect_map(call) {
    const map = call.map(1);
    const flags = call.u64(3);
    const isDevmap = map.type === "BPF_MAP_TYPE_DEVMAP" || map.type === "BPF_MAP_TYPE_DEVMAP_HASH";
    if ((flags & ~(ACTION_MASK | (isDevmap ? BROADCAST | EXCLUDE_INGRESS : 0n))) !== 0n) return XDP_ABORTED;
    const index = call.u32(2);
    if ((flags & BROADCAST) !== 0n) {
      const mode = (flags & EXCLUDE_INGRESS) !== 0n ? "broadcast-exclude-ingress" : "broadcast";
      send(call, { kind: "devmap", index, map: map.name, mode });
      return XDP_REDIRECT;
    }
    const target = map.program.redirectTarget(index);
    if (target === undefined) {
      delete call.run.outcome.redirect;
      return Number(flags & ACTION_MASK);
    }
    send(call, target);
    return XDP_REDIRECT;
  },

  sk_redirect_map: (call) => toSocket(call, 3, 4, true),
  sk_redirect_hash: (call) => toSocket(call, 3, 4, false),
  msg_redirect_map: (call) => toSocket(call, 3, 4, true),
  msg_redirect_hash: (call) => toSocket(call, 3, 4, false),
} as const satisfies Record<string, HelperImpl>;

/** Clones kept of one run; further ones are counted by nobody, so a loop cannot fill the memory. */
const MAX_CLONES = 1024;

function direction(flags: bigint): string {
  return (flags & INGRESS) !== 0n ? "ingress" : "egress";
}

function send(call: HelperCall, target: RedirectTarget): void {
  call.run.outcome.redirect = target;
}

/** `bpf_{sk,msg}_redirect_{map,hash}(ctx, map, key, flags)`: the key is an index or points to one. */
function toSocket(call: HelperCall, keyArg: number, flagsArg: number, byIndex: boolean): number {
  const map = call.map(2);
  const flags = call.u64(flagsArg);
  if ((flags & ~INGRESS) !== 0n) return SK_DROP;
  let key = call.u32(keyArg);
  if (byIndex) {
    if (key >= map.spec.maxEntries) return SK_DROP;
    const scratch = call.heap.alloc(4);
    if (scratch === 0) return SK_DROP;
    call.memory.view.setUint32(scratch, key, true);
    key = scratch;
  }
  const socket = map.program.socketAt(key);
  if (byIndex) call.heap.free(key);
  if (socket === 0) return SK_DROP;
  send(call, { kind: "socket", index: socket, map: map.name, mode: direction(flags) });
  return SK_PASS;
}
