import type { HelperImpl } from "../../helper-call.ts";
import { ASK_HOST } from "../../layout.ts";
import { ETH_HLEN, type PacketBuffer, XDP_PAGE } from "../../packet-buffer.ts";
import { direct } from "../direct.ts";
import { EINVAL } from "../errno.ts";

/** XDP helpers; here is what concerns fragments. @see net/core/filter.c `bpf_xdp_adjust_head` and following */
export const XDP_HELPERS = {
  xdp_adjust_head: (call) => direct(call, "xdp_adjust_head"),

  xdp_adjust_meta: (call) => direct(call, "xdp_adjust_meta"),

  xdp_adjust_tail(call) {
    const done = direct(call, "xdp_adjust_tail");
    if (done !== ASK_HOST) return done;
    const { packet } = call;
    const offset = call.s32(2);
    packet.generation++;
    return offset < 0 ? shrinkFrags(packet, -offset) : growFrags(packet, offset);
  },

  xdp_get_buff_len: (call) => direct(call, "xdp_get_buff_len"),

  xdp_load_bytes(call) {
    const done = direct(call, "xdp_load_bytes");
    if (done === ASK_HOST) call.packet.copyOut(call.u32(2), call.u32(3), call.u32(4));
    return done === ASK_HOST ? 0 : done;
  },

  xdp_store_bytes(call) {
    const done = direct(call, "xdp_store_bytes");
    if (done === ASK_HOST) call.packet.copyIn(call.u32(2), call.u32(3), call.u32(4));
    return done === ASK_HOST ? 0 : done;
  },
} as const satisfies Record<string, HelperImpl>;

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
