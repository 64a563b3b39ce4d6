// Internet checksums as Linux keeps them: one's complement sums over words in memory order. include/net/checksum.h,
// lib/checksum.c, net/core/filter.c @ v6.12.
import { ASK_HOST, PACKET_BYTES, PACKET_FRAG_BYTES, SKB_DATA, SKB_DATA_END } from "../../src/runtime/layout";
import { EFAULT, EINVAL } from "../../src/runtime/maps/constants";
import { chargeBytes } from "../work";
import { endPointers } from "./packet";

const FIELD_MASK: u64 = 0xf;
const PSEUDO_HDR: u64 = 1 << 4;
const MARK_MANGLED_0: u64 = 1 << 5;
const MARK_ENFORCE: u64 = 1 << 6;
const IPV6: u64 = 1 << 7;
const CSUM_MANGLED_0: u32 = 0xffff;

/** a + b with end-around carry, 32 bits. */
@inline
function csumAdd(a: u32, b: u32): u32 {
  const sum = <u64>a + b;
  return <u32>sum + <u32>(sum >> 32);
}

/** 32-bit sum folded to 16 bits, not complemented. */
@inline
function csumFold16(sum: u32): u32 {
  const folded = (sum & 0xffff) + (sum >> 16);
  return (folded & 0xffff) + (folded >> 16);
}

/** The checksum field for a 32-bit sum: folded and complemented. */
@inline
function csumFold(sum: u32): u32 {
  return ~csumFold16(sum) & 0xffff;
}

/**
 * Sum of the little-endian 32-bit words at `from` (a short last word padded with zeros) and `seed`, with end-around
 * carry. Which of the two zeros comes out matters to callers that complement: 0 only when everything is 0.
 */
export function csumPartial(from: u32, size: u32, seed: u32): u32 {
  let sum: u64 = seed;
  chargeBytes(size);
  while (size >= 8) {
    sum += <u64>load<u32>(from) + load<u32>(from, 4);
    from += 8;
    size -= 8;
  }
  if (size & 4) {
    sum += load<u32>(from);
    from += 4;
  }
  let shift: u32 = 0;
  if (size & 2) {
    sum += load<u16>(from);
    from += 2;
    shift = 16;
  }
  if (size & 1) sum += <u64>load<u8>(from) << shift;
  sum = (sum & 0xffffffff) + (sum >> 32);
  return <u32>sum + <u32>(sum >> 32);
}

/** `bpf_csum_diff`: folded to 16 bits, and of any size, on every architecture since 6.13. */
export function csumDiff(from: u32, fromSize: u32, to: u32, toSize: u32, seed: u32): u32 {
  if (fromSize == 0) return csumFold16(toSize == 0 ? seed : csumPartial(to, toSize, seed));
  if (toSize == 0) return csumFold16(~csumPartial(from, fromSize, ~seed));
  return csumFold16(csumAdd(csumPartial(to, toSize, seed), ~csumPartial(from, fromSize, 0)));
}

@inline
function add16(a: u32, b: u32): u32 {
  const sum = a + b;
  return (sum + (sum >> 16)) & 0xffff;
}

/** New field after `from` became `to` in the covered words (32 bits each). */
@inline
function replace4(field: u32, from: u32, to: u32): u32 {
  return csumFold(csumAdd(csumAdd(~field & 0xffff, ~from), to));
}

/** New field after a 16-bit word changed. Differs from `replace4` in which of 0 and 0xffff comes out. */
@inline
function replace2(field: u32, from: u32, to: u32): u32 {
  return ~add16(add16(~field & 0xffff, ~from & 0xffff), to & 0xffff) & 0xffff;
}

/** What l3 and l4 share: flag bits outside `allowed` are refused. */
function replace(context: u32, offset: u32, from: u64, to: u64, flags: u64, allowed: u64, l4: bool): i32 {
  endPointers(context);
  if (flags & ~allowed) return -EINVAL;
  if (offset > 0xffff || offset & 1) return -EFAULT;
  const data = load<u32>(context, SKB_DATA);
  const linear = load<u32>(context, SKB_DATA_END) - data;
  if (offset + 2 > linear) {
    return offset + 2 > linear + load<u32>(context - PACKET_BYTES, PACKET_FRAG_BYTES) ? -EFAULT : ASK_HOST;
  }
  const field = <u32>load<u16>(data + offset);
  const zeroIsSpecial = (flags & MARK_MANGLED_0) != 0;
  if (zeroIsSpecial && !(flags & MARK_ENFORCE) && field == 0) return 0;
  let result: u32;
  switch (<u32>(flags & FIELD_MASK)) {
    case 0:
      if (from) return -EINVAL;
      result = csumFold(csumAdd(<u32>to, ~field & 0xffff));
      break;
    case 2:
      result = l4 ? replace4(field, <u32>from & 0xffff, <u32>to & 0xffff) : replace2(field, <u32>from, <u32>to);
      break;
    case 4:
      result = replace4(field, <u32>from, <u32>to);
      break;
    default:
      return -EINVAL;
  }
  if (zeroIsSpecial && result == 0) result = CSUM_MANGLED_0;
  store<u16>(data + offset, <u16>result);
  return 0;
}

/** `bpf_l3_csum_replace`: 0, -EINVAL, -EFAULT; ASK_HOST when the field has to be made linear. */
export function l3CsumReplace(context: u32, offset: u32, from: u64, to: u64, flags: u64): i32 {
  return replace(context, offset, from, to, flags, FIELD_MASK, false);
}

/** `bpf_l4_csum_replace`: the same. */
export function l4CsumReplace(context: u32, offset: u32, from: u64, to: u64, flags: u64): i32 {
  const allowed = FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6;
  return replace(context, offset, from, to, flags, allowed, true);
}
