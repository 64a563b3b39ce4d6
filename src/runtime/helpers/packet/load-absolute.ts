import type { PacketBuffer } from "../../packet-buffer.ts";

/** Linux: SKF_NET_OFF and SKF_LL_OFF, include/uapi/linux/filter.h. */
const NET_OFF = -0x10_0000;
const LL_OFF = -0x20_0000;

/**
 * What LD_ABS and LD_IND read: `size` (1, 2, 4) bytes at `offset`, in host order; undefined outside the packet, which
 * ends the program with r0 = 0. Offsets from SKF_NET_OFF count from the network header, from SKF_LL_OFF from the
 * Ethernet header; the SKF_AD_OFF range is classic BPF's alone and reads as the network header's.
 * @see net/core/filter.c `bpf_skb_load_helper_convert_offset`
 */
export function loadAbsolute(packet: PacketBuffer, offset: number, size: number): number | undefined {
  const { skb, data } = packet;
  let at = offset;
  if (offset < 0) {
    if (skb === undefined || offset < LL_OFF) return undefined;
    at =
      offset >= NET_OFF
        ? offset - NET_OFF + skb.networkHeader - data
        : offset - LL_OFF + skb.macHeader - data;
  }
  if (at + size > packet.length || data + at < packet.start) return undefined;
  let value = 0;
  for (let i = at; i < at + size; i++) {
    const byte = i < packet.linear ? packet.memory.u8[data + i] : packet.frags[i - packet.linear];
    value = value * 256 + byte;
  }
  return value;
}
