// Tnums: numbers known bit by bit as (value, mask), mask bits unknown, value zero under the mask. A function here gives
// the mask of a result; its value is what the same operation makes of the known parts, without the bits of that mask.
// Semantics: kernel/bpf/tnum.c @ v6.18; the multiplication is in multiply.ts.

/** Unknown bits of a + b: those of the operands and all that a carry may reach. The value comes from `av + bv`. */
@inline
export function addMask(av: u64, am: u64, bv: u64, bm: u64): u64 {
  const least = av + bv;
  return ((am + bm + least) ^ least) | am | bm;
}

/** Unknown bits of a - b. The value comes from `av - bv`. */
@inline
export function subMask(av: u64, am: u64, bv: u64, bm: u64): u64 {
  const difference = av - bv;
  return ((difference + am) ^ (difference - bm)) | am | bm;
}

/** Unknown bits of a & b: not 0 in either, not 1 in both. The value is `av & bv`. */
@inline
export function andMask(av: u64, am: u64, bv: u64, bm: u64): u64 {
  return (av | am) & (bv | bm) & ~(av & bv);
}

/** Unknown bits of a | b: unknown in one, 1 in none. The value is `av | bv`. */
@inline
export function orMask(av: u64, am: u64, bv: u64, bm: u64): u64 {
  return (am | bm) & ~(av | bv);
}

/** Unknown bits of a tnum that covers both: unknown in one, or different. The value comes from `av & bv`. */
@inline
export function unionMask(av: u64, am: u64, bv: u64, bm: u64): u64 {
  return (av ^ bv) | am | bm;
}

/** Bits that vary in [min, max]: all below the highest in which the ends differ. The value comes from `min`. */
@inline
export function rangeMask(min: u64, max: u64): u64 {
  const differ = min ^ max;
  return differ ? u64.MAX_VALUE >> clz(differ) : 0;
}

/** Every number of `inner` is one of `outer`. */
@inline
export function contains(ov: u64, om: u64, iv: u64, im: u64): bool {
  return (im & ~om) == 0 && (iv & ~om) == ov;
}
