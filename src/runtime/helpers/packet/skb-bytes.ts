import type { HelperImpl } from "../../helper-call.ts";
import { ETH_HLEN } from "../../packet-buffer.ts";
import { EFAULT, EINVAL, ENOMEM } from "../errno.ts";
import {
  clearHash,
  ETH_P_IP,
  ETH_P_IPV6,
  IPV4_BYTES,
  IPV6_BYTES,
  isVlan,
  pull,
  skbOf,
  skbProtocol,
} from "./sk-buff.ts";

const INT_MAX = 0x7fff_ffff;
const RECOMPUTE_CSUM = 1n;
const INVALIDATE_HASH = 2n;
const VLAN_HLEN = 4;
const HDR_START_MAC = 0;
const HDR_START_NET = 1;

/** Helpers that read and write the bytes of an skb. @see net/core/filter.c `bpf_skb_store_bytes` and following */
export const SKB_BYTES_HELPERS = {
  /** BPF_F_RECOMPUTE_CSUM is accepted; it concerns CHECKSUM_COMPLETE packets, which a run never has. */
  skb_store_bytes(call) {
    const { packet, skb } = skbOf(call);
    packet.moved();
    const offset = call.u32(2);
    const size = call.u32(4);
    const flags = call.u64(5);
    if ((flags & ~(RECOMPUTE_CSUM | INVALIDATE_HASH)) !== 0n) return -EINVAL;
    if (offset > INT_MAX) return -EFAULT;
    if (!pull(packet, offset + size)) return -EFAULT;
    packet.sync();
    packet.copyIn(offset, call.u32(3), size);
    if ((flags & INVALIDATE_HASH) !== 0n) clearHash(packet, skb);
    return 0;
  },

  skb_load_bytes(call) {
    const offset = call.u32(2);
    const to = call.u32(3);
    const size = call.u32(4);
    if (offset <= INT_MAX && call.packet.copyOut(offset, to, size)) return 0;
    call.memory.u8.fill(0, to, to + size);
    return -EFAULT;
  },

  skb_load_bytes_relative(call) {
    const { packet, skb } = skbOf(call);
    const offset = call.u32(2);
    const to = call.u32(3);
    const size = call.u32(4);
    const start = call.u32(5);
    if (offset <= 0xffff && (start === HDR_START_MAC || start === HDR_START_NET)) {
      const from = (start === HDR_START_MAC ? skb.macHeader : skb.networkHeader) + offset;
      if (from + size <= packet.dataEnd) {
        call.memory.u8.copyWithin(to, from, from + size);
        return 0;
      }
    }
    call.memory.u8.fill(0, to, to + size);
    return -EFAULT;
  },

  skb_pull_data(call) {
    const { packet } = skbOf(call);
    const ok = pull(packet, call.u32(2) || packet.linear);
    packet.moved();
    return ok ? 0 : -ENOMEM;
  },

  /** 1: the packet now carries CE (or did before); 0: not ECN-capable, or no IP packet. */
  skb_ecn_set_ce(call) {
    const { packet, skb } = skbOf(call);
    const { view } = call.memory;
    let etherType = skbProtocol(packet);
    // Linux looks for the type behind tags 14 bytes into the data, wherever the data starts.
    for (let tag = packet.data + ETH_HLEN; isVlan(etherType); tag += VLAN_HLEN) {
      if (tag + VLAN_HLEN > packet.dataEnd) return 0;
      etherType = view.getUint16(tag + 2, false);
    }
    const at = skb.networkHeader;
    if (etherType === ETH_P_IP) {
      if (packet.linear < IPV4_BYTES || at + IPV4_BYTES > packet.dataEnd) return 0;
      const tos = view.getUint8(at + 1);
      const next = ((tos & 3) + 1) & 3;
      // next: 0 was CE, 1 was not ECN-capable, 2 and 3 were ECT(1) and ECT(0).
      if ((next & 2) === 0) return next === 0 ? 1 : 0;
      const check = view.getUint16(at + 10, true) + 0xfbff + (next << 8);
      const folded = (check & 0xffff) + (check >>> 16);
      view.setUint16(at + 10, (folded & 0xffff) + (folded >>> 16), true);
      view.setUint8(at + 1, tos | 3);
      return 1;
    }
    if (etherType === ETH_P_IPV6) {
      if (packet.linear < IPV6_BYTES || at + IPV6_BYTES > packet.dataEnd) return 0;
      if ((view.getUint8(at + 1) & 0x30) === 0) return 0;
      view.setUint8(at + 1, view.getUint8(at + 1) | 0x30);
      return 1;
    }
    return 0;
  },
} as const satisfies Record<string, HelperImpl>;
