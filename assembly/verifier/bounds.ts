// Deduction between the five views of a number: bits (tnum), u64, s64, u32, s32 range. kernel/bpf/verifier.c
// `reg_bounds_sync` @ v6.18. One algorithm; the ranges live in locals between load and store.
import {
  HIGH,
  LOW,
  mask,
  s32Max,
  s32Min,
  setNumber,
  setS32,
  setSigned,
  setTnum,
  setU32,
  setUnsigned,
  smax,
  smin,
  u32Max,
  u32Min,
  umax,
  umin,
  value,
} from "./row";
import { rangeMask } from "./tnum";

const I32_SIGN: u32 = 0x80000000;
const I64_SIGN: u64 = 0x8000000000000000;

/** The 32-bit ranges learn from the tnum. `__update_reg32_bounds` */
export function learn32FromBits(p: usize): void {
  const v = <u32>value(p);
  const m = <u32>mask(p);
  setS32(p, max(s32Min(p), <i32>(v | (m & I32_SIGN))), min(s32Max(p), <i32>(v | (m & ~I32_SIGN))));
  setU32(p, max(u32Min(p), v), min(u32Max(p), v | m));
}

/**
 * The 64-bit ranges learn from the tnum; where only one number is in both the tnum and the u64 range, all views become
 * that number. `__update_reg64_bounds` @ v7.0 and the stable kernels that took it, 6.18 among them
 */
export function learn64FromBits(p: usize): void {
  const v = value(p);
  const m = mask(p);
  const most = v | m;
  setSigned(p, max(smin(p), <i64>(v | (m & I64_SIGN))), min(smax(p), <i64>(v | (m & ~I64_SIGN))));
  const lo = max(umin(p), v);
  const hi = min(umax(p), most);
  setUnsigned(p, lo, hi);
  pinLoneMember(p, v, m, lo, hi);
}

/** All views := the only member of the tnum in the u64 range, if there is just one. */
@inline
function pinLoneMember(p: usize, v: u64, m: u64, lo: u64, hi: u64): void {
  const most = v | m;
  const next = nextMember(v, m, lo);
  if ((lo & ~m) == v) {
    if (next > hi) setNumber(p, lo);
  } else if (next == most || (next <= hi && nextMember(v, m, next) > hi)) {
    setNumber(p, next);
  }
}

/** All views hold one and the same number. */
export function isNumber(p: usize): bool {
  const n = value(p);
  return (
    !mask(p) &&
    umin(p) == n &&
    umax(p) == n &&
    smin(p) == <i64>n &&
    smax(p) == <i64>n &&
    u32Min(p) == <u32>n &&
    u32Max(p) == <u32>n &&
    s32Min(p) == <i32>n &&
    s32Max(p) == <i32>n
  );
}

/** Least member of the tnum above `n`; its greatest when there is none. `tnum_step` */
@inline
function nextMember(v: u64, m: u64, n: u64): u64 {
  if (n >= (v | m)) return v | m;
  if (n < v) return v;
  // Count up within the mask: with every known bit set, and those below the highest one that n has too many, a carry
  // passes through them.
  const above = n - v;
  const extra = above & ~m;
  const low: u64 = extra ? u64.MAX_VALUE >> clz(extra) : 0;
  return v | (((above | low | ~m) + 1) & m);
}

/** Each view learns what the others know. */
export function sync(p: usize): void {
  if (isNumber(p)) return;
  learn32FromBits(p);
  learn64FromBits(p);
  const vWas = value(p);
  const mWas = mask(p);
  let v = vWas;
  let m = mWas;
  let sLo = smin(p);
  let sHi = smax(p);
  let uLo = umin(p);
  let uHi = umax(p);
  let s32Lo = s32Min(p);
  let s32Hi = s32Max(p);
  let u32Lo = u32Min(p);
  let u32Hi = u32Max(p);

  let replaced = false; // an end was set, not only narrowed
  // Three rounds, as the kernel does; a round that changes no range is the last that can.
  for (let round = 0; round < 3; round++) {
    const sLoWas = sLo;
    const sHiWas = sHi;
    const uLoWas = uLo;
    const uHiWas = uHi;
    const s32LoWas = s32Lo;
    const s32HiWas = s32Hi;
    const u32LoWas = u32Lo;
    const u32HiWas = u32Hi;
    // -- 32 bits from 64: the high halves are equal, or step from one to the next while the low half passes -1 → 0
    const uTop = <u32>(uLo >> 32);
    const uTopHi = <u32>(uHi >> 32);
    const uLow = <u32>uLo;
    const uLowHi = <u32>uHi;
    if (uTop == uTopHi) {
      u32Lo = max(u32Lo, uLow);
      u32Hi = min(u32Hi, uLowHi);
      if (<i32>uLow <= <i32>uLowHi) {
        s32Lo = max(s32Lo, <i32>uLow);
        s32Hi = min(s32Hi, <i32>uLowHi);
      }
    }
    const sTop = <u32>(sLo >> 32);
    const sTopHi = <u32>(sHi >> 32);
    const sLow = <u32>sLo;
    const sLowHi = <u32>sHi;
    if (sTop == sTopHi) {
      if (sLow <= sLowHi) {
        u32Lo = max(u32Lo, sLow);
        u32Hi = min(u32Hi, sLowHi);
      }
      if (<i32>sLow <= <i32>sLowHi) {
        s32Lo = max(s32Lo, <i32>sLow);
        s32Hi = min(s32Hi, <i32>sLowHi);
      }
    }
    if (uTop + 1 == uTopHi && <i32>uLow < 0 && <i32>uLowHi >= 0) {
      s32Lo = max(s32Lo, <i32>uLow);
      s32Hi = min(s32Hi, <i32>uLowHi);
    }
    if (sTop + 1 == sTopHi && <i32>sLow < 0 && <i32>sLowHi >= 0) {
      s32Lo = max(s32Lo, <i32>sLow);
      s32Hi = min(s32Hi, <i32>sLowHi);
    }
    // -- signed and unsigned 32 bits: the same range where it does not cross the other's seam; where the signed range
    //    does, and only one of its two unsigned pieces meets the unsigned range, that piece is it
    if (<i32>u32Lo <= <i32>u32Hi) {
      s32Lo = max(s32Lo, <i32>u32Lo);
      s32Hi = min(s32Hi, <i32>u32Hi);
    }
    if (<u32>s32Lo <= <u32>s32Hi) {
      u32Lo = max(u32Lo, <u32>s32Lo);
      u32Hi = min(u32Hi, <u32>s32Hi);
    } else if (u32Hi < <u32>s32Lo) {
      s32Lo = <i32>u32Lo;
      replaced = true;
      u32Hi = min(u32Hi, <u32>s32Hi);
    } else if (<u32>s32Hi < u32Lo) {
      s32Hi = <i32>u32Hi;
      replaced = true;
      u32Lo = max(u32Lo, <u32>s32Lo);
    }
    // -- the same with 64 bits
    if (<i64>uLo <= <i64>uHi) {
      sLo = max(sLo, <i64>uLo);
      sHi = min(sHi, <i64>uHi);
    }
    if (<u64>sLo <= <u64>sHi) {
      uLo = max(uLo, <u64>sLo);
      uHi = min(uHi, <u64>sHi);
    } else if (uHi < <u64>sLo) {
      sLo = <i64>uLo;
      replaced = true;
      uHi = min(uHi, <u64>sHi);
    } else if (<u64>sHi < uLo) {
      sHi = <i64>uHi;
      replaced = true;
      uLo = max(uLo, <u64>sLo);
    }
    // -- 64 bits from 32: the ends take the low halves that are possible
    uLo = max(uLo, (uLo & HIGH) | u32Lo);
    uHi = min(uHi, (uHi & HIGH) | u32Hi);
    sLo = max(sLo, <i64>((<u64>sLo & HIGH) | u32Lo));
    sHi = min(sHi, <i64>((<u64>sHi & HIGH) | u32Hi));
    if (<u32>s32Lo <= <u32>s32Hi) {
      uLo = max(uLo, (uLo & HIGH) | <u32>s32Lo);
      uHi = min(uHi, (uHi & HIGH) | <u32>s32Hi);
      sLo = max(sLo, <i64>((<u64>sLo & HIGH) | <u32>s32Lo));
      sHi = min(sHi, <i64>((<u64>sHi & HIGH) | <u32>s32Hi));
    }
    // A sign-extended number whose low half is not negative is that low half.
    if (s32Lo >= 0 && sLo >= i32.MIN_VALUE && sHi <= i32.MAX_VALUE) {
      sLo = s32Lo;
      replaced = true;
      sHi = s32Hi;
      uLo = s32Lo;
      uHi = s32Hi;
      const range = rangeMask(uLo, uHi);
      v |= uLo & ~range;
      m &= range;
      v &= ~m;
    }
    if (
      sLo == sLoWas &&
      sHi == sHiWas &&
      uLo == uLoWas &&
      uHi == uHiWas &&
      s32Lo == s32LoWas &&
      s32Hi == s32HiWas &&
      u32Lo == u32LoWas &&
      u32Hi == u32HiWas
    ) {
      break;
    }
  }

  // The tnum learns from the unsigned ranges: 64 bits, then the low half again from the 32-bit range.
  const range = rangeMask(uLo, uHi);
  v |= uLo & ~range;
  m &= range;
  v &= ~m;
  const range32 = rangeMask(u32Lo, u32Hi);
  const low = (<u64>u32Lo & ~range32) | (v & LOW);
  const lowMask = m & LOW & range32;
  v = (v & HIGH) | (low & ~lowMask & LOW);
  m = (m & HIGH) | lowMask;

  setSigned(p, sLo, sHi);
  setUnsigned(p, uLo, uHi);
  setS32(p, s32Lo, s32Hi);
  setU32(p, u32Lo, u32Hi);
  if (v == vWas && m == mWas && !replaced) {
    // The bits told all they know before.
    pinLoneMember(p, v, m, uLo, uHi);
  } else {
    setTnum(p, v, m);
    learn32FromBits(p);
    learn64FromBits(p);
  }
}
