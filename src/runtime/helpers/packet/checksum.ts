// Internet checksums as Linux keeps them: one's complement sums over words in memory order.
// @see include/net/checksum.h, lib/checksum.c, arch/x86/include/asm/checksum_64.h

/** a + b with end-around carry, 32 bits. */
export function csumAdd(a: number, b: number): number {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffff_ffff ? (sum - 0xffff_ffff) >>> 0 : sum;
}

/** a − b with end-around borrow, 32 bits. */
export function csumSub(a: number, b: number): number {
  return csumAdd(a, ~b >>> 0);
}

/** 32-bit sum folded to 16 bits, not complemented. */
export function csumFold16(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The checksum field for a 32-bit sum: folded and complemented. */
export function csumFold(sum: number): number {
  return ~csumFold16(sum) & 0xffff;
}

/**
 * Sum of the little-endian 32-bit words of `bytes` (a short last word padded with zeros) and `seed`, with end-around
 * carry. Which of the two zeros comes out matters to callers that complement: 0 only when everything is 0.
 */
export function csumPartial(bytes: Uint8Array, seed: number): number {
  let sum = seed >>> 0;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    sum += (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)) >>> 0;
  }
  for (let i = whole; i < bytes.length; i++) sum += bytes[i] * 2 ** (8 * (i - whole));
  while (sum > 0xffff_ffff) sum = (sum % 0x1_0000_0000) + Math.floor(sum / 0x1_0000_0000);
  return sum;
}

/** New field after `from` became `to` in the covered words (32-bit each). */
export function csumReplace4(field: number, from: number, to: number): number {
  return csumFold(csumAdd(csumSub(~field & 0xffff, from), to));
}

/** New field after a 16-bit word changed. Differs from {@link csumReplace4} in which of 0 and 0xffff comes out. */
export function csumReplace2(field: number, from: number, to: number): number {
  return ~add16(add16(~field & 0xffff, ~from & 0xffff), to & 0xffff) & 0xffff;
}

/** New field after the covered words changed by `difference` (of `bpf_csum_diff`). */
export function csumReplaceByDiff(field: number, difference: number): number {
  return csumFold(csumAdd(difference, ~field & 0xffff));
}

function add16(a: number, b: number): number {
  const sum = a + b;
  return (sum + (sum >>> 16)) & 0xffff;
}
