// What callers ask of a scalar: containment for pruning, alignment, consistency, the pattern that forks.
import {
  at,
  mask,
  s32Max,
  s32Min,
  smax,
  smin,
  u32Max,
  u32Min,
  umax,
  umin,
  value,
} from "./row";
import { addMask, contains } from "./tnum";

/** 1 when every number of `inner` is one of `outer`. `range_within` and `tnum_in` */
export function scalarContains(outer: u32, inner: u32): u32 {
  const o = at(outer);
  const i = at(inner);
  if (!contains(value(o), mask(o), value(i), mask(i))) return 0;
  return rangesContain(o, i) ? 1 : 0;
}

function rangesContain(o: usize, i: usize): bool {
  return (
    umin(o) <= umin(i) &&
    umax(o) >= umax(i) &&
    smin(o) <= smin(i) &&
    smax(o) >= smax(i) &&
    u32Min(o) <= u32Min(i) &&
    u32Max(o) >= u32Max(i) &&
    s32Min(o) <= s32Min(i) &&
    s32Max(o) >= s32Max(i)
  );
}

/** 1 when every number plus `off` is a multiple of `size`, a power of two (0: always). */
export function isAligned(row: u32, off: i32, size: u32): u32 {
  if (!size) return 1;
  const p = at(row);
  const unknown = addMask(value(p), mask(p), off, 0);
  const known = (value(p) + <u64>(<i64>off)) & ~unknown;
  return (known | unknown) & (<u64>size - 1) ? 0 : 1;
}

/** 0: consistent; 1: an empty range; 2: a range beside a constant; 3: beside a constant low half. */
export function boundsViolation(row: u32): u32 {
  const p = at(row);
  if (umin(p) > umax(p) || smin(p) > smax(p) || u32Min(p) > u32Max(p) || s32Min(p) > s32Max(p)) return 1;
  const m = mask(p);
  if (<u32>m) return 0;
  const v = value(p);
  if (!m && (umin(p) != v || umax(p) != v || smin(p) != <i64>v || smax(p) != <i64>v)) return 2;
  const low = <u32>v;
  return u32Min(p) != low || u32Max(p) != low || s32Min(p) != <i32>low || s32Max(p) != <i32>low ? 3 : 0;
}

/** 64 or 32 when the (low) number is -1 or 0 and nothing else: what AND and OR with a constant fork on. Else 0. */
export function minusOneOrZero(row: u32): u32 {
  const p = at(row);
  if (smin(p) == -1 && smax(p) == 0) return 64;
  return s32Min(p) == -1 && s32Max(p) == 0 ? 32 : 0;
}
