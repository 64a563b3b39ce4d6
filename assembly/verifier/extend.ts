// Changes of width: zero and sign extension, truncation. kernel/bpf/verifier.c `zext_32_to_64`, `coerce_*` @ v6.18.
import { sync } from "./bounds";
import {
  at,
  LOW,
  mask,
  s32Max,
  s32Min,
  setNumber,
  setNumber32,
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
  unbound32,
  unbound64,
  value,
} from "./row";
import { rangeMask } from "./tnum";

/** The upper half becomes 0; the 32-bit views are right already. No sync. */
export function zeroExtend(p: usize): void {
  setTnum(p, value(p) & LOW, mask(p) & LOW);
  setUnsigned(p, u32Min(p), u32Max(p));
  if (s32Min(p) >= 0 && s32Max(p) >= 0) setSigned(p, s32Min(p), s32Max(p));
  else setSigned(p, 0, u32.MAX_VALUE);
}

/** Row := its low 32 bits. */
export function zeroExtend32(row: u32): void {
  zeroExtend(at(row));
  sync(at(row));
}

/** Row := its low `size` bytes; `size` is 1, 2 or 4 (8: no change). */
export function coerce(row: u32, size: u32): void {
  if (size >= 8) return;
  const p = at(row);
  const low = ((<u64>1) << (size * 8)) - 1;
  setTnum(p, value(p) & low, mask(p) & low);
  if ((umin(p) & ~low) == (umax(p) & ~low)) setUnsigned(p, umin(p) & low, umax(p) & low);
  else setUnsigned(p, 0, low);
  setSigned(p, umin(p), umax(p));
  if (size < 4) unbound32(p);
  sync(p);
}

@inline
function extended(n: i64, shift: i64): i64 {
  return (n << shift) >> shift;
}

/** Row := its low `size` bytes (1, 2, 4) with sign, 64 bits. No sync, as the kernel. */
export function signExtend(row: u32, size: u32): void {
  const p = at(row);
  const shift: i64 = 64 - size * 8;
  if (!mask(p)) {
    setNumber(p, extended(value(p), shift));
    return;
  }
  const top = u64.MAX_VALUE << (size * 8);
  if (((<u64>smax(p)) & top) == ((<u64>smin(p)) & top)) {
    const a = extended(smax(p), shift);
    const b = extended(smin(p), shift);
    const hi = max(a, b);
    const lo = min(a, b);
    if (hi >= 0 == lo >= 0) {
      setSigned(p, lo, hi);
      setUnsigned(p, lo, hi);
      setS32(p, <i32>lo, <i32>hi);
      setU32(p, <u32>lo, <u32>hi);
      setTnum(p, lo, rangeMask(lo, hi));
      return;
    }
  }
  const least: i64 = (-1 as i64) << (size * 8 - 1);
  setSigned(p, least, ~least);
  setS32(p, <i32>least, <i32>~least);
  setUnsigned(p, 0, u64.MAX_VALUE);
  setU32(p, 0, u32.MAX_VALUE);
  setTnum(p, 0, u64.MAX_VALUE);
}

/** Low half of row := its low `size` bytes (1, 2) with sign, upper half 0. Synced. */
export function signExtend32(row: u32, size: u32): void {
  const p = at(row);
  narrow32(p, size);
  zeroExtend(p);
  sync(p);
}

function narrow32(p: usize, size: u32): void {
  const shift: i64 = 64 - size * 8;
  if (!mask(p)) {
    setNumber32(p, <u32>extended(value(p), shift));
    return;
  }
  const top = u32.MAX_VALUE << (size * 8);
  if (((<u32>s32Max(p)) & top) == ((<u32>s32Min(p)) & top)) {
    const a = <i32>extended(s32Max(p), shift);
    const b = <i32>extended(s32Min(p), shift);
    const hi = max(a, b);
    const lo = min(a, b);
    if (hi >= 0 == lo >= 0) {
      setS32(p, lo, hi);
      setU32(p, lo, hi);
      setTnum(p, <u64>(<u32>lo), rangeMask(<u64>(<u32>lo), <u64>(<u32>hi)));
      return;
    }
  }
  const least: i32 = (-1) << (size * 8 - 1);
  setS32(p, least, ~least);
  setU32(p, 0, u32.MAX_VALUE);
  setTnum(p, 0, LOW);
}

/**
 * Row := the low `bytes` bytes (2, 4, 8), in reverse order if `reverse`; the rest 0. Ranges do not survive the reversal,
 * the tnum does. `scalar_byte_swap` @ v7.0 and the stable kernels that took it, 6.18 among them
 */
export function swapBytes(row: u32, bytes: u32, reverse: u32): void {
  const p = at(row);
  if (reverse) {
    const unused: u64 = 64 - bytes * 8;
    setTnum(p, bswap<u64>(value(p)) >> unused, bswap<u64>(mask(p)) >> unused);
    unbound64(p);
    unbound32(p);
  }
  if (bytes < 8) coerce(row, bytes);
  else sync(p);
}
