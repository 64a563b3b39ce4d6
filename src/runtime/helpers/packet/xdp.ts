import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { ETH_HLEN, type PacketBuffer, XDP_FRAME_BYTES, XDP_PAGE } from "../../packet-buffer.ts";
import { EACCES, EFAULT, EINVAL } from "../errno.ts";

/** Longest metadata: `skb_shared_info.meta_len` is one byte. */
const META_MAX = 255;

/** XDP helpers. @see net/core/filter.c `bpf_xdp_adjust_head` and following */
export const XDP_HELPERS = {
  xdp_adjust_head(call) {
    const packet = changing(call);
    const metaBytes = packet.data - packet.dataMeta;
    const data = packet.data + call.s32(2);
    if (data < packet.start + XDP_FRAME_BYTES + metaBytes || data > packet.dataEnd - ETH_HLEN) return -EINVAL;
    call.memory.u8.copyWithin(data - metaBytes, packet.dataMeta, packet.data);
    packet.dataMeta = data - metaBytes;
    packet.data = data;
    packet.sync();
    return 0;
  },

  xdp_adjust_meta(call) {
    const packet = changing(call);
    const meta = packet.dataMeta + call.s32(2);
    if (meta < packet.start + XDP_FRAME_BYTES || meta > packet.data) return -EINVAL;
    const size = packet.data - meta;
    if ((size & 3) !== 0 || size > META_MAX) return -EACCES;
    packet.dataMeta = meta;
    packet.sync();
    return 0;
  },

  xdp_adjust_tail(call) {
    const packet = changing(call);
    const offset = call.s32(2);
    if (packet.frags.length > 0) return offset < 0 ? shrinkFrags(packet, -offset) : growFrags(packet, offset);
    const dataEnd = packet.dataEnd + offset;
    if (dataEnd > packet.limit || dataEnd < packet.data + ETH_HLEN) return -EINVAL;
    if (offset > 0) call.memory.u8.fill(0, packet.dataEnd, dataEnd);
    packet.dataEnd = dataEnd;
    packet.sync();
    return 0;
  },

  xdp_get_buff_len(call) {
    return call.packet.length;
  },

  xdp_load_bytes(call) {
    const size = call.u32(4);
    return locate(call, size) ?? (call.packet.copyOut(call.u32(2), call.u32(3), size) ? 0 : -EINVAL);
  },

  xdp_store_bytes(call) {
    const size = call.u32(4);
    return locate(call, size) ?? (call.packet.copyIn(call.u32(2), call.u32(3), size) ? 0 : -EINVAL);
  },
} as const satisfies Record<string, HelperImpl>;

/** The packet, with the program's older pointers made unusable, as the verifier demands even when the helper fails. */
function changing(call: HelperCall): PacketBuffer {
  const packet = call.packet;
  packet.generation++;
  return packet;
}

/** `bpf_xdp_pointer`: an errno when offset (argument 2) and size are out of the question. */
function locate(call: HelperCall, size: number): number | undefined {
  const offset = call.u32(2);
  if (offset > 0xffff || size > 0xffff) return -EFAULT;
  return offset + size > call.packet.length ? -EINVAL : undefined;
}

/** The last fragment grows within its page. */
function growFrags(packet: PacketBuffer, size: number): number {
  const lastBytes = ((packet.frags.length - 1) % XDP_PAGE) + 1;
  if (size > XDP_PAGE - lastBytes) return -EINVAL;
  const frags = new Uint8Array(packet.frags.length + size);
  frags.set(packet.frags);
  packet.frags = frags;
  packet.sync();
  return 0;
}

/** Fragments go from the end; what is left to cut comes off the linear part. */
function shrinkFrags(packet: PacketBuffer, size: number): number {
  if (size > packet.length - ETH_HLEN) return -EINVAL;
  const fromFrags = Math.min(size, packet.frags.length);
  packet.frags = packet.frags.slice(0, packet.frags.length - fromFrags);
  packet.dataEnd -= size - fromFrags;
  packet.sync();
  return 0;
}
