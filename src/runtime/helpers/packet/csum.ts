import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { ASK_HOST } from "../../layout.ts";
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type SkbState } from "../../packet-buffer.ts";
import { direct } from "../direct.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from "../errno.ts";
import { pull, skbOf } from "./sk-buff.ts";

/** Checksum helpers. @see net/core/filter.c `bpf_l3_csum_replace` and following */
export const CSUM_HELPERS = {
  l3_csum_replace: (call) => replace(call, "l3_csum_replace"),

  l4_csum_replace: (call) => replace(call, "l4_csum_replace"),

  csum_diff: (call) => direct(call, "csum_diff"),

  /** Meaningful for CHECKSUM_COMPLETE packets only, which a run never has. */
  csum_update(call) {
    skbOf(call);
    return -ENOTSUPP;
  },

  csum_level(call) {
    const { skb } = skbOf(call);
    switch (call.u64(2)) {
      case 0n:
        return skb.ipSummed === CHECKSUM_UNNECESSARY ? skb.csumLevel : -EACCES;
      case 1n:
        if (skb.ipSummed === CHECKSUM_UNNECESSARY) skb.csumLevel = Math.min(3, skb.csumLevel + 1);
        else {
          skb.ipSummed = CHECKSUM_UNNECESSARY;
          skb.csumLevel = 0;
        }
        return 0;
      case 2n:
        if (skb.ipSummed === CHECKSUM_UNNECESSARY) {
          if (skb.csumLevel === 0) skb.ipSummed = CHECKSUM_NONE;
          else skb.csumLevel--;
        }
        return 0;
      case 3n:
        resetChecksum(skb);
        return 0;
      default:
        return -EINVAL;
    }
  },
} as const satisfies Record<string, HelperImpl>;

/** The packet's checksum counts as unverified from here on (`__skb_reset_checksum_unnecessary`). */
export function resetChecksum(skb: SkbState): void {
  skb.ipSummed = CHECKSUM_NONE;
  skb.csumLevel = 0;
}

/** Makes the field linear where it is not, and tries again. */
function replace(call: HelperCall, name: "l3_csum_replace" | "l4_csum_replace"): number | bigint {
  const { packet } = skbOf(call);
  const done = direct(call, name);
  if (done !== ASK_HOST) return done;
  if (!pull(packet, call.u32(2) + 2)) return -EFAULT;
  packet.sync();
  return direct(call, name);
}
