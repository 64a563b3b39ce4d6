import type { HelperImpl } from "../../helper-call.ts";
import { interfaceMtu, LOOPBACK } from "../../network.ts";
import type { PacketBuffer, SkbState } from "../../packet-buffer.ts";
import { E2BIG, EAGAIN, EINVAL, ENODEV, ENOENT, ENOMEM, EPROTO } from "../errno.ts";
import {
  clearHash,
  ETH_P_IP,
  ETH_P_IPV6,
  IPV4_BYTES,
  IPV6_BYTES,
  isGso,
  SK_BUFF,
  setSkbField,
  skbField,
  skbOf,
  skbProtocol,
} from "./sk-buff.ts";

/** Linux: overflowuid, answered for packets without a socket. */
const OVERFLOW_UID = 65534;
const ETH_HLEN = 14;
const MTU_CHK_SEGS = 1n;
const MTU_FRAG_NEEDED = 1;
const MTU_SEGS_TOOBIG = 2;

/** Helpers about what a packet carries beside its bytes. @see net/core/filter.c */
export const SKB_META_HELPERS = {
  /**
   * A hash over addresses, ports and protocol, the same for the same flow. Linux mixes in a random key made at boot, so
   * the numbers differ from any kernel's.
   */
  get_hash_recalc(call) {
    const { packet, skb } = skbOf(call);
    if (!skb.hashKnown) {
      setSkbField(packet, SK_BUFF.hash, flowHash(packet, skb));
      skb.hashKnown = true;
    }
    return skbField(packet, SK_BUFF.hash);
  },

  set_hash_invalid(call) {
    const { packet, skb } = skbOf(call);
    clearHash(packet, skb);
    return 0;
  },

  set_hash(call) {
    const { packet, skb } = skbOf(call);
    setSkbField(packet, SK_BUFF.hash, call.u32(2));
    skb.hashKnown = true;
    return 0;
  },

  get_cgroup_classid: (call) => call.run.packet?.skb?.socket?.cgroupClassId ?? 0,
  skb_cgroup_classid: (call) => call.run.packet?.skb?.socket?.cgroupClassId ?? 0,
  /** No route, so no realm. */
  get_route_realm: () => 0,
  skb_cgroup_id: (call) => call.run.packet?.skb?.socket?.cgroupId ?? call.host.task.cgroupId,
  /** Level 0 is the root of the hierarchy, whose id is 1; the cgroup itself is the only other one known. */
  skb_ancestor_cgroup_id(call) {
    const id = call.run.packet?.skb?.socket?.cgroupId ?? call.host.task.cgroupId;
    const level = call.s32(2);
    return level === 0 ? 1 : level === 1 && id !== 1n ? id : 0;
  },

  /** Cgroups have no tree here: a socket is under a cgroup when it is in it. */
  skb_under_cgroup(call) {
    const { skb } = skbOf(call);
    const map = call.map(2);
    const index = call.u32(3);
    if (skb.socket === undefined) return -ENOENT;
    if (index >= map.spec.maxEntries) return -E2BIG;
    const cgroup = map.program.cgroupAt(index);
    if (cgroup === 0) return -EAGAIN;
    return BigInt(cgroup) === (skb.socket.cgroupId ?? call.host.task.cgroupId) ? 1 : 0;
  },

  get_socket_cookie(call) {
    const skb = call.run.packet?.skb;
    return skb === undefined ? 1 : (skb.socket?.cookie ?? 0);
  },
  get_socket_uid(call) {
    const socket = call.run.packet?.skb?.socket;
    return socket === undefined ? OVERFLOW_UID : (socket.uid ?? 0);
  },
  /** One network namespace, with the cookie that the initial one of Linux has. */
  get_netns_cookie: () => 1,

  check_mtu(call) {
    const packet = call.packet;
    const skb = packet.skb;
    const ifindex = call.u32(2);
    const at = call.u32(3);
    const difference = call.s32(4);
    const flags = call.u64(5);
    const { view } = call.memory;
    const given = view.getUint32(at, true);
    if ((flags & (skb === undefined ? -1n : ~MTU_CHK_SEGS)) !== 0n) return -EINVAL;
    if (flags !== 0n && (difference !== 0 || given !== 0)) return -EINVAL;
    const mtu = interfaceMtu(call.host.network, ifindex || currentInterface(packet));
    if (mtu === undefined) return -ENODEV;
    const length = (given === 0 ? packet.length : (given | 0) + ETH_HLEN) + difference;
    let result = 0;
    if (length > mtu + ETH_HLEN) {
      result = MTU_FRAG_NEEDED;
      if (skb !== undefined && isGso(packet)) {
        result = 0;
        if (flags !== 0n) {
          if (skb.transportHeader === 0) return -EINVAL;
          const segment = skb.transportHeader - skb.networkHeader + skbField(packet, SK_BUFF.gsoSize);
          if (segment > mtu) result = MTU_SEGS_TOOBIG;
        }
      }
    }
    view.setUint32(at, mtu, true);
    return result;
  },

  skb_get_xfrm_state(call) {
    const to = call.u32(3);
    call.memory.u8.fill(0, to, to + call.u32(4));
    return -EINVAL;
  },

  skb_get_tunnel_key(call) {
    const { skb } = skbOf(call);
    const size = call.u32(3);
    const answer = tunnelKey(skb, size, call.u64(4));
    const bytes = call.bytes(2, size).fill(0);
    if (typeof answer === "number") return answer;
    bytes.set(answer.subarray(0, size));
    return 0;
  },

  skb_set_tunnel_key(call) {
    const { skb } = skbOf(call);
    const size = call.u32(3);
    const flags = call.u64(4);
    if ((flags & ~SET_TUNNEL_FLAGS) !== 0n) return -EINVAL;
    if (!TUNNEL_KEY_SIZES.includes(size)) return -EINVAL;
    const key = new Uint8Array(TUNNEL_KEY_BYTES);
    key.set(call.bytes(2, size));
    const view = new DataView(key.buffer);
    const ipv6 = (flags & TUNINFO_IPV6) !== 0n;
    if ((!ipv6 && view.getUint32(KEY.label, true) !== 0) || view.getUint16(KEY.ext, true) !== 0)
      return -EINVAL;
    let bits = IP_TUNNEL_NOCACHE;
    if ((flags & DONT_FRAGMENT) !== 0n) bits |= IP_TUNNEL_DONT_FRAGMENT;
    if ((flags & ZERO_CSUM_TX) === 0n) bits |= IP_TUNNEL_CSUM;
    if ((flags & SEQ_NUMBER) !== 0n) bits |= IP_TUNNEL_SEQ;
    if ((flags & NO_TUNNEL_KEY) === 0n) bits |= IP_TUNNEL_KEY;
    skb.tunnel = { ipv6, key, flags: bits, options: NO_OPTIONS };
    return 0;
  },

  skb_get_tunnel_opt(call) {
    const { skb } = skbOf(call);
    const size = call.u32(3);
    const to = call.bytes(2, size).fill(0);
    if (skb.tunnel === undefined || (skb.tunnel.flags & IP_TUNNEL_OPTIONS) === 0) return -ENOENT;
    const { options } = skb.tunnel;
    if (size < options.length) return -ENOMEM;
    to.set(options);
    return options.length;
  },

  skb_set_tunnel_opt(call) {
    const { skb } = skbOf(call);
    const size = call.u32(3);
    if (skb.tunnel === undefined || (size & 3) !== 0) return -EINVAL;
    if (size > TUNNEL_OPTIONS_MAX) return -ENOMEM;
    skb.tunnel = {
      ...skb.tunnel,
      flags: skb.tunnel.flags | IP_TUNNEL_OPTIONS,
      options: call.bytes(2, size).slice(),
    };
    return 0;
  },
} as const satisfies Record<string, HelperImpl>;

/** `struct bpf_tunnel_key`, include/uapi/linux/bpf.h, and the sizes that older programs give it. */
const TUNNEL_KEY_BYTES = 44;
const TUNNEL_KEY_SIZES: readonly number[] = [44, 28, 24, 22, 8];
const KEY = { id: 0, remote: 4, tos: 20, ttl: 21, ext: 22, label: 24, local: 28 } as const;
const TUNINFO_IPV6 = 1n;
const ZERO_CSUM_TX = 2n;
const DONT_FRAGMENT = 4n;
const SEQ_NUMBER = 8n;
const TUNINFO_FLAGS = 16n;
const NO_TUNNEL_KEY = 16n;
const SET_TUNNEL_FLAGS = TUNINFO_IPV6 | ZERO_CSUM_TX | DONT_FRAGMENT | SEQ_NUMBER | NO_TUNNEL_KEY;
/** IP_TUNNEL_*_BIT as masks, include/uapi/linux/if_tunnel.h. */
const IP_TUNNEL_CSUM = 1 << 0;
const IP_TUNNEL_KEY = 1 << 2;
const IP_TUNNEL_SEQ = 1 << 3;
const IP_TUNNEL_DONT_FRAGMENT = 1 << 8;
const IP_TUNNEL_NOCACHE = 1 << 13;
/** Geneve, VXLAN, ERSPAN, GTP options present. */
const IP_TUNNEL_OPTIONS = (1 << 11) | (1 << 12) | (1 << 14) | (1 << 15);
const TUNNEL_OPTIONS_MAX = 255;
const NO_OPTIONS = new Uint8Array(0);
const FLOW_LABEL_MASK = 0xf_ffff;

/** The key as a program reads it back: what was set as remote is the destination, and read as local. */
function tunnelKey(skb: SkbState, size: number, flags: bigint): Uint8Array | number {
  const { tunnel } = skb;
  if (tunnel === undefined || (flags & ~(TUNINFO_IPV6 | TUNINFO_FLAGS)) !== 0n) return -EINVAL;
  const ipv6 = (flags & TUNINFO_IPV6) !== 0n;
  if (tunnel.ipv6 !== ipv6) return -EPROTO;
  if (!TUNNEL_KEY_SIZES.includes(size) || (size === 8 && ipv6)) return -EINVAL;
  const out = new Uint8Array(TUNNEL_KEY_BYTES);
  out.set(tunnel.key.subarray(KEY.id, KEY.id + 4), KEY.id);
  out.set(tunnel.key.subarray(KEY.tos, KEY.ext), KEY.tos);
  const view = new DataView(out.buffer);
  if ((flags & TUNINFO_FLAGS) !== 0n) view.setUint16(KEY.ext, tunnel.flags, false);
  const address = ipv6 ? 16 : 4;
  out.set(tunnel.key.subarray(KEY.local, KEY.local + address), KEY.remote);
  out.set(tunnel.key.subarray(KEY.remote, KEY.remote + address), KEY.local);
  if (ipv6) {
    const label = new DataView(tunnel.key.buffer).getUint32(KEY.label, true) & FLOW_LABEL_MASK;
    view.setUint32(KEY.label, label, true);
  }
  return out;
}

function currentInterface(packet: PacketBuffer): number {
  if (packet.skb !== undefined) return skbField(packet, SK_BUFF.ifindex) || LOOPBACK;
  return packet.memory.view.getUint32(packet.contextAddress + XDP_MD_INGRESS, true) || LOOPBACK;
}

const XDP_MD_INGRESS = 12;

/** FNV-1a over protocol, addresses and ports; never 0, which means "no hash". */
function flowHash(packet: PacketBuffer, skb: SkbState): number {
  const { u8 } = packet.memory;
  let hash = 0x811c_9dc5;
  const mix = (from: number, size: number): void => {
    for (let at = from; at < Math.min(from + size, packet.dataEnd); at++) {
      hash = Math.imul(hash ^ u8[at], 0x0100_0193);
    }
  };
  const at = skb.networkHeader;
  const etherType = skbProtocol(packet);
  hash = Math.imul(hash ^ etherType, 0x0100_0193);
  if (etherType === ETH_P_IP) {
    mix(at + 9, 1);
    mix(at + 12, 8);
    const fragment = ((u8[at + 6] & 0x3f) | u8[at + 7]) !== 0;
    if (!fragment && hasPorts(u8[at + 9])) mix(at + Math.max(IPV4_BYTES, (u8[at] & 15) * 4), 4);
  } else if (etherType === ETH_P_IPV6) {
    mix(at + 6, 1);
    mix(at + 8, 32);
    if (hasPorts(u8[at + 6])) mix(at + IPV6_BYTES, 4);
  }
  return hash >>> 0 || 1;
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 33 || protocol === 132 || protocol === 136;
}
