// Products: tnums by long multiplication, ranges by their corners. kernel/bpf/tnum.c `tnum_mul` @ v6.18 and
// kernel/bpf/verifier.c `scalar_min_max_mul` @ v6.14.
import { setS32, setSigned, setTnum, setU32, setUnsigned } from "./row";
import { addMask, unionMask } from "./tnum";

/**
 * Tnum of a·b into row `p`. Bit by bit of a: a known 1 adds the shifted b, an unknown bit gives a tnum that covers the
 * sum with and without it.
 */
export function multiplyTnum(p: usize, av: u64, am: u64, bv: u64, bm: u64): void {
  if (!(am | bm)) {
    setTnum(p, av * bv, 0);
    return;
  }
  let v: u64 = 0;
  let m: u64 = 0;
  while (av | am) {
    if ((av | am) & 1) {
      const withMask = addMask(v, m, bv, bm);
      const withValue = (v + bv) & ~withMask;
      if (av & 1) {
        v = withValue;
        m = withMask;
      } else {
        const either = unionMask(v, m, withValue, withMask);
        v = v & withValue & ~either;
        m = either;
      }
      if (m == u64.MAX_VALUE) break; // nothing is learnt any more
    }
    av >>= 1;
    am >>= 1;
    bv <<= 1;
    bm <<= 1;
  }
  setTnum(p, v, m);
}

/** Some product of the two unsigned numbers needs more than 64 bits. */
@inline
function overflows64(a: u64, b: u64): bool {
  if (!((a | b) >> 32)) return false;
  return a != 0 && b > u64.MAX_VALUE / a;
}

/** u64 range: the corners' products unless the greatest overflows. */
export function multiplyUnsigned(p: usize, lo: u64, hi: u64, srcLo: u64, srcHi: u64): void {
  // Ranges on dead branches may be empty (lo > hi), so that either product may be the one that overflows.
  if (overflows64(hi, srcHi) || overflows64(lo, srcLo)) setUnsigned(p, 0, u64.MAX_VALUE);
  else setUnsigned(p, lo * srcLo, hi * srcHi);
}

/** a·b fits into 64 bits with sign. */
@inline
function fitsSigned(a: i64, b: i64): bool {
  if (<i64>(<i32>a) == a && <i64>(<i32>b) == b) return true;
  if (a == 0 || b == 0) return true;
  if (b == -1) return a != i64.MIN_VALUE;
  return (a * b) / b == a;
}

/** s64 range: least and greatest of the four corners' products unless one overflows. */
export function multiplySigned(p: usize, lo: i64, hi: i64, srcLo: i64, srcHi: i64): void {
  if (!fitsSigned(lo, srcLo) || !fitsSigned(lo, srcHi) || !fitsSigned(hi, srcLo) || !fitsSigned(hi, srcHi)) {
    setSigned(p, i64.MIN_VALUE, i64.MAX_VALUE);
    return;
  }
  const a = lo * srcLo;
  const b = lo * srcHi;
  const c = hi * srcLo;
  const d = hi * srcHi;
  setSigned(p, min(min(a, b), min(c, d)), max(max(a, b), max(c, d)));
}

/** u32 range, as {@link multiplyUnsigned}. */
export function multiplyU32(p: usize, lo: u32, hi: u32, srcLo: u32, srcHi: u32): void {
  const least = <u64>lo * srcLo;
  const greatest = <u64>hi * srcHi;
  if (least > u32.MAX_VALUE || greatest > u32.MAX_VALUE) setU32(p, 0, u32.MAX_VALUE);
  else setU32(p, <u32>least, <u32>greatest);
}

/** s32 range, as {@link multiplySigned}. */
export function multiplyS32(p: usize, lo: i32, hi: i32, srcLo: i32, srcHi: i32): void {
  const a = <i64>lo * srcLo;
  const b = <i64>lo * srcHi;
  const c = <i64>hi * srcLo;
  const d = <i64>hi * srcHi;
  const least = min(min(a, b), min(c, d));
  const greatest = max(max(a, b), max(c, d));
  if (least < i32.MIN_VALUE || greatest > i32.MAX_VALUE) setS32(p, i32.MIN_VALUE, i32.MAX_VALUE);
  else setS32(p, <i32>least, <i32>greatest);
}
