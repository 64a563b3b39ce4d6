// A register row (src/verifier/layout.ts) as typed loads and stores. `p` is the row's byte address.
import {
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "../../src/verifier/row-layout";

/** Byte address of a row given as word index. */
@inline
export function at(row: u32): usize {
  return (<usize>row) << 2;
}

@inline
export function value(p: usize): u64 {
  return load<u64>(p, VAR_VALUE * 4);
}
@inline
export function mask(p: usize): u64 {
  return load<u64>(p, VAR_MASK * 4);
}
@inline
export function smin(p: usize): i64 {
  return load<i64>(p, SMIN * 4);
}
@inline
export function smax(p: usize): i64 {
  return load<i64>(p, SMAX * 4);
}
@inline
export function umin(p: usize): u64 {
  return load<u64>(p, UMIN * 4);
}
@inline
export function umax(p: usize): u64 {
  return load<u64>(p, UMAX * 4);
}
@inline
export function s32Min(p: usize): i32 {
  return load<i32>(p, S32_MIN * 4);
}
@inline
export function s32Max(p: usize): i32 {
  return load<i32>(p, S32_MAX * 4);
}
@inline
export function u32Min(p: usize): u32 {
  return load<u32>(p, U32_MIN * 4);
}
@inline
export function u32Max(p: usize): u32 {
  return load<u32>(p, U32_MAX * 4);
}

/** Sets the tnum; bits of `v` under the mask are dropped. */
@inline
export function setTnum(p: usize, v: u64, m: u64): void {
  store<u64>(p, v & ~m, VAR_VALUE * 4);
  store<u64>(p, m, VAR_MASK * 4);
}
@inline
export function setSigned(p: usize, min: i64, max: i64): void {
  store<i64>(p, min, SMIN * 4);
  store<i64>(p, max, SMAX * 4);
}
@inline
export function setUnsigned(p: usize, min: u64, max: u64): void {
  store<u64>(p, min, UMIN * 4);
  store<u64>(p, max, UMAX * 4);
}
@inline
export function setS32(p: usize, min: i32, max: i32): void {
  store<i32>(p, min, S32_MIN * 4);
  store<i32>(p, max, S32_MAX * 4);
}
@inline
export function setU32(p: usize, min: u32, max: u32): void {
  store<u32>(p, min, U32_MIN * 4);
  store<u32>(p, max, U32_MAX * 4);
}

/** Both 64-bit ranges := everything. */
export function unbound64(p: usize): void {
  setSigned(p, i64.MIN_VALUE, i64.MAX_VALUE);
  setUnsigned(p, 0, u64.MAX_VALUE);
}

/** Both 32-bit ranges := everything. */
export function unbound32(p: usize): void {
  setS32(p, i32.MIN_VALUE, i32.MAX_VALUE);
  setU32(p, 0, u32.MAX_VALUE);
}

/** Tnum and ranges := one number. */
export function setNumber(p: usize, n: u64): void {
  setTnum(p, n, 0);
  setSigned(p, n, n);
  setUnsigned(p, n, n);
  setS32(p, <i32>n, <i32>n);
  setU32(p, <u32>n, <u32>n);
}

/** Low half of the tnum and the 32-bit ranges := one number; the rest stays. `__mark_reg32_known` */
export function setNumber32(p: usize, n: u32): void {
  setTnum(p, (value(p) & HIGH) | n, mask(p) & HIGH);
  setS32(p, <i32>n, <i32>n);
  setU32(p, n, n);
}

/** Low 32 bits. */
export const LOW: u64 = 0xffffffff;
/** High 32 bits. */
export const HIGH: u64 = ~LOW;
