import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type SkbState } from "../../packet-buffer.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from "../errno.ts";
import {
  csumFold16,
  csumPartial,
  csumReplace2,
  csumReplace4,
  csumReplaceByDiff,
  csumSub,
} from "./checksum.ts";
import { pull, skbOf } from "./sk-buff.ts";

const FIELD_MASK = 0xf;
const PSEUDO_HDR = 1 << 4;
const MARK_MANGLED_0 = 1 << 5;
const MARK_ENFORCE = 1 << 6;
const IPV6 = 1 << 7;
const CSUM_MANGLED_0 = 0xffff;

/** Checksum helpers. @see net/core/filter.c `bpf_l3_csum_replace` and following */
export const CSUM_HELPERS = {
  l3_csum_replace(call) {
    return replace(call, FIELD_MASK, csumReplace2);
  },

  l4_csum_replace(call) {
    return replace(call, FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6, csumReplace4);
  },

  /** Folded to 16 bits, and of any size, on every architecture since 6.13. */
  csum_diff(call) {
    const fromSize = call.u32(2);
    const toSize = call.u32(4);
    const seed = call.u32(5);
    if (fromSize === 0) return csumFold16(toSize === 0 ? seed : csumPartial(call.bytes(3, toSize), seed));
    if (toSize === 0) return csumFold16(~csumPartial(call.bytes(1, fromSize), ~seed) >>> 0);
    return csumFold16(
      csumSub(csumPartial(call.bytes(3, toSize), seed), csumPartial(call.bytes(1, fromSize), 0)),
    );
  },

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

/** Shared by l3 and l4: flag bits outside `allowed` are refused; 16-bit changes go through `replaceWord`. */
function replace(
  call: HelperCall,
  allowed: number,
  replaceWord: (field: number, from: number, to: number) => number,
): number {
  const { packet } = skbOf(call);
  packet.moved();
  const offset = call.u32(2);
  const from = call.u32(3);
  const to = call.u32(4);
  const flags = call.u64(5);
  if ((flags & ~BigInt(allowed)) !== 0n) return -EINVAL;
  if (offset > 0xffff || (offset & 1) !== 0) return -EFAULT;
  if (!pull(packet, offset + 2)) return -EFAULT;
  packet.sync();
  const { view } = call.memory;
  const at = packet.data + offset;
  const field = view.getUint16(at, true);
  const zeroIsSpecial = (Number(flags) & MARK_MANGLED_0) !== 0;
  if (zeroIsSpecial && (Number(flags) & MARK_ENFORCE) === 0 && field === 0) return 0;
  let result: number;
  switch (Number(flags) & FIELD_MASK) {
    case 0:
      if (call.u64(3) !== 0n) return -EINVAL;
      result = csumReplaceByDiff(field, to);
      break;
    case 2:
      result = replaceWord(field, from & 0xffff, to & 0xffff);
      break;
    case 4:
      result = csumReplace4(field, from, to);
      break;
    default:
      return -EINVAL;
  }
  if (zeroIsSpecial && result === 0) result = CSUM_MANGLED_0;
  view.setUint16(at, result, true);
  return 0;
}
