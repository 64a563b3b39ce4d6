import type { HelperImpl } from "../../helper-call.ts";
import { ASK_HOST } from "../../layout.ts";
import { ETH_HLEN } from "../../packet-buffer.ts";
import { direct } from "../direct.ts";
import { EFAULT, ENOMEM } from "../errno.ts";
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
const INVALIDATE_HASH = 2n;
const VLAN_HLEN = 4;

/** Helpers that read and write the bytes of an skb. @see net/core/filter.c `bpf_skb_store_bytes` and following */
export const SKB_BYTES_HELPERS = {
  /** BPF_F_RECOMPUTE_CSUM is accepted; it concerns CHECKSUM_COMPLETE packets, which a run never has. */
  skb_store_bytes(call) {
    const { packet, skb } = skbOf(call);
    const done = direct(call, "skb_store_bytes");
    if (done !== ASK_HOST) return done;
    const offset = call.u32(2);
    const size = call.u32(4);
    if (!pull(packet, offset + size)) return -EFAULT;
    packet.sync();
    packet.copyIn(offset, call.u32(3), size);
    if ((call.u64(5) & INVALIDATE_HASH) !== 0n) clearHash(packet, skb);
    return 0;
  },

  /** Also for packets whose context is not `__sk_buff`. */
  skb_load_bytes(call) {
    const { packet } = call;
    const done = packet.skb === undefined ? ASK_HOST : direct(call, "skb_load_bytes");
    if (done !== ASK_HOST) return done;
    const offset = call.u32(2);
    const to = call.u32(3);
    const size = call.u32(4);
    if (offset <= INT_MAX && packet.copyOut(offset, to, size)) return 0;
    call.memory.u8.fill(0, to, to + size);
    return -EFAULT;
  },

  skb_load_bytes_relative(call) {
    skbOf(call);
    return direct(call, "skb_load_bytes_relative");
  },

  skb_pull_data(call) {
    const { packet } = skbOf(call);
    const done = direct(call, "skb_pull_data");
    if (done !== ASK_HOST) return done;
    const ok = pull(packet, call.u32(2));
    packet.sync();
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
