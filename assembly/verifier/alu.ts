// Transfer functions of arithmetic on two scalars. kernel/bpf/verifier.c `adjust_scalar_min_max_vals` and the
// `scalar*_min_max_*` below it @ v6.18; one function per operation and width.
import { isNumber, learn32FromBits, learn64FromBits, sync } from "./bounds";
import { zeroExtend } from "./extend";
import { multiplyS32, multiplySigned, multiplyTnum, multiplyU32, multiplyUnsigned } from "./multiply";
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
import { addMask, andMask, orMask, subMask } from "./tnum";

// CODE_MASK bits of an arithmetic opcode (RFC 9669 §4.1).
const ADD: u32 = 0x00;
const SUB: u32 = 0x10;
const MUL: u32 = 0x20;
const OR: u32 = 0x40;
const AND: u32 = 0x50;
const LSH: u32 = 0x60;
const RSH: u32 = 0x70;
const NEG: u32 = 0x80;
const XOR: u32 = 0xa0;
const ARSH: u32 = 0xc0;

/**
 * dst := dst op src for two scalars, 64-bit or 32-bit with zero extension; 1 when nothing is kept of the result
 * (DIV, MOD, END, MOV, shifts by what is not one number below the width), else 0. dst may be src.
 */
export function aluScalar(op: u32, is64: u32, dst: u32, src: u32): u32 {
  const d = at(dst);
  const s = at(src);
  if (isNumber(d) && isNumber(s) && computeNumber(op, is64, d, value(d), value(s))) return 0;
  switch (op) {
    case ADD:
      addRanges(d, s);
      break;
    case SUB:
      subtract(d, d, s);
      break;
    case NEG:
      negate(d);
      break;
    case MUL:
      multiply(d, s);
      break;
    case AND:
      and(d, s);
      break;
    case OR:
      or(d, s);
      break;
    case XOR:
      xor(d, s);
      break;
    case LSH:
    case RSH:
    case ARSH: {
      const by = is64 ? umin(s) : <u64>u32Min(s);
      if (!shiftIsKnown(s, is64)) return giveUp(d);
      if (is64) shift64(op, d, by);
      else shift32(op, d, <u32>by);
      break;
    }
    default:
      return giveUp(d);
  }
  if (!is64) zeroExtend(d);
  sync(d);
  return 0;
}

/** Constant op constant, which most programs do most often. False where the general way has to say what becomes of it. */
function computeNumber(op: u32, is64: u32, d: usize, a: u64, b: u64): bool {
  let n: u64;
  switch (op) {
    case ADD:
      n = a + b;
      break;
    case SUB:
      n = a - b;
      break;
    case MUL:
      n = a * b;
      break;
    case AND:
      n = a & b;
      break;
    case OR:
      n = a | b;
      break;
    case XOR:
      n = a ^ b;
      break;
    case LSH:
      if (b >= (is64 ? 64 : 32)) return false;
      n = a << b;
      break;
    case RSH:
      if (b >= (is64 ? 64 : 32)) return false;
      n = is64 ? a >> b : <u64>(<u32>a >> <u32>b);
      break;
    default:
      return false;
  }
  setNumber(d, is64 ? n : n & LOW);
  return true;
}

function giveUp(p: usize): u32 {
  setTnum(p, 0, u64.MAX_VALUE);
  unbound64(p);
  unbound32(p);
  return 1;
}

/** Row += row: ranges unless an end overflows alone (unsigned) or at all (signed), and the tnum. */
function addRanges(d: usize, s: usize): void {
  const s32Lo = <i64>s32Min(d) + s32Min(s);
  const s32Hi = <i64>s32Max(d) + s32Max(s);
  if (<i32>s32Lo == s32Lo && <i32>s32Hi == s32Hi) setS32(d, <i32>s32Lo, <i32>s32Hi);
  else setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);

  const u32Lo = <u64>u32Min(d) + u32Min(s);
  const u32Hi = <u64>u32Max(d) + u32Max(s);
  if (u32Lo <= LOW && u32Hi > LOW) setU32(d, 0, u32.MAX_VALUE);
  else setU32(d, <u32>u32Lo, <u32>u32Hi);

  addSigned(d, smin(d), smax(d), smin(s), smax(s));

  const uLo = umin(d) + umin(s);
  const uHi = umax(d) + umax(s);
  const loWraps = uLo < umin(s);
  const hiWraps = uHi < umax(s);
  if (!loWraps && hiWraps) setUnsigned(d, 0, u64.MAX_VALUE);
  else setUnsigned(d, uLo, uHi);

  setTnum(d, value(d) + value(s), addMask(value(d), mask(d), value(s), mask(s)));
}

function addSigned(p: usize, lo: i64, hi: i64, srcLo: i64, srcHi: i64): void {
  const least = lo + srcLo;
  const greatest = hi + srcHi;
  // Overflow: both operands have the sign that the sum has not.
  if (((lo ^ least) & (srcLo ^ least)) < 0 || ((hi ^ greatest) & (srcHi ^ greatest)) < 0) {
    setSigned(p, i64.MIN_VALUE, i64.MAX_VALUE);
  } else setSigned(p, least, greatest);
}

function subSigned(p: usize, lo: i64, hi: i64, srcLo: i64, srcHi: i64): void {
  const least = lo - srcHi;
  const greatest = hi - srcLo;
  if (((lo ^ srcHi) & (lo ^ least)) < 0 || ((hi ^ srcLo) & (hi ^ greatest)) < 0) {
    setSigned(p, i64.MIN_VALUE, i64.MAX_VALUE);
  } else setSigned(p, least, greatest);
}

/** Row d := row a - row b, ranges and tnum; the rows may be the same. */
function subtract(d: usize, a: usize, b: usize): void {
  subtractFrom(
    d,
    value(a),
    mask(a),
    smin(a),
    smax(a),
    umin(a),
    umax(a),
    s32Min(a),
    s32Max(a),
    u32Min(a),
    u32Max(a),
    b,
  );
}

function negate(d: usize): void {
  subtractFrom(d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, d);
}

function subtractFrom(
  d: usize,
  v: u64,
  m: u64,
  sLo: i64,
  sHi: i64,
  uLo: u64,
  uHi: u64,
  s32Lo: i32,
  s32Hi: i32,
  u32Lo: u32,
  u32Hi: u32,
  b: usize,
): void {
  const least32 = <i64>s32Lo - s32Max(b);
  const greatest32 = <i64>s32Hi - s32Min(b);
  if (<i32>least32 == least32 && <i32>greatest32 == greatest32) setS32(d, <i32>least32, <i32>greatest32);
  else setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);

  const bu32Lo = u32Min(b);
  const bu32Hi = u32Max(b);
  if (u32Lo < bu32Hi && u32Hi >= bu32Lo) setU32(d, 0, u32.MAX_VALUE);
  else setU32(d, u32Lo - bu32Hi, u32Hi - bu32Lo);

  subSigned(d, sLo, sHi, smin(b), smax(b));

  const buLo = umin(b);
  const buHi = umax(b);
  if (uLo < buHi && uHi >= buLo) setUnsigned(d, 0, u64.MAX_VALUE);
  else setUnsigned(d, uLo - buHi, uHi - buLo);

  setTnum(d, v - value(b), subMask(v, m, value(b), mask(b)));
}

function multiply(d: usize, s: usize): void {
  multiplyTnum(d, value(d), mask(d), value(s), mask(s));
  multiplyU32(d, u32Min(d), u32Max(d), u32Min(s), u32Max(s));
  multiplyS32(d, s32Min(d), s32Max(d), s32Min(s), s32Max(s));
  multiplyUnsigned(d, umin(d), umax(d), umin(s), umax(s));
  multiplySigned(d, smin(d), smax(d), smin(s), smax(s));
}

// The bitwise operations first put the result's tnum into dst. Where both operands are constants, so is the result;
// else one unsigned end comes from the tnum, and the signed range follows where it does not cross the seam.

/** After a bitwise operation: low half := its tnum's value where that is known on both sides. */
@inline
function settle32(d: usize, known: bool, lo: u32, hi: u32): void {
  if (known) {
    setNumber32(d, <u32>value(d));
    return;
  }
  setU32(d, lo, hi);
  if (<i32>lo <= <i32>hi) setS32(d, <i32>lo, <i32>hi);
  else setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
}

@inline
function settle64(d: usize, known: bool, lo: u64, hi: u64): void {
  if (known) {
    setNumber(d, value(d));
    return;
  }
  setUnsigned(d, lo, hi);
  if (<i64>lo <= <i64>hi) setSigned(d, <i64>lo, <i64>hi);
  else setSigned(d, i64.MIN_VALUE, i64.MAX_VALUE);
  learn32FromBits(d);
  learn64FromBits(d);
}

// In the kernel's order, "dst is known" is asked after dst got the result's tnum: 0 & unknown is known.

function and(d: usize, s: usize): void {
  const srcMask = mask(s);
  const srcU32 = u32Max(s);
  const srcU = umax(s);
  setTnum(d, value(d) & value(s), andMask(value(d), mask(d), value(s), srcMask));
  const unknown = mask(d) | srcMask;
  settle32(d, !(<u32>unknown), <u32>value(d), min(u32Max(d), srcU32));
  settle64(d, !unknown, value(d), min(umax(d), srcU));
}

function or(d: usize, s: usize): void {
  const srcMask = mask(s);
  const srcU32 = u32Min(s);
  const srcU = umin(s);
  setTnum(d, value(d) | value(s), orMask(value(d), mask(d), value(s), srcMask));
  const unknown = mask(d) | srcMask;
  settle32(d, !(<u32>unknown), max(u32Min(d), srcU32), <u32>(value(d) | mask(d)));
  settle64(d, !unknown, max(umin(d), srcU), value(d) | mask(d));
}

function xor(d: usize, s: usize): void {
  const unknown = mask(d) | mask(s);
  setTnum(d, value(d) ^ value(s), unknown);
  settle32(d, !(<u32>unknown), <u32>value(d), <u32>(value(d) | mask(d)));
  settle64(d, !unknown, value(d), value(d) | mask(d));
}

/** The shift is one number below the width of the operation. */
function shiftIsKnown(s: usize, is64: u32): bool {
  if (is64) return !mask(s) && smin(s) == smax(s) && umin(s) == umax(s) && umax(s) < 64;
  return !(<u32>mask(s)) && s32Min(s) == s32Max(s) && u32Min(s) == u32Max(s) && umax(s) < 32;
}

function shift64(op: u32, d: usize, by: u64): void {
  if (op == LSH) {
    // `<<= 32` is half of a sign extension: the s32 range moves up whole.
    if (by == 32) setSigned(d, (<i64>s32Min(d)) << 32, (<i64>s32Max(d)) << 32);
    else setSigned(d, i64.MIN_VALUE, i64.MAX_VALUE);
    if (umax(d) > (<u64>1) << (63 - by)) setUnsigned(d, 0, u64.MAX_VALUE);
    else setUnsigned(d, umin(d) << by, umax(d) << by);
    shiftLeftRange32(d, by);
    setTnum(d, value(d) << by, mask(d) << by);
  } else if (op == RSH) {
    setSigned(d, i64.MIN_VALUE, i64.MAX_VALUE);
    setTnum(d, value(d) >> by, mask(d) >> by);
    setUnsigned(d, umin(d) >> by, umax(d) >> by);
    unbound32(d);
  } else {
    setSigned(d, smin(d) >> by, smax(d) >> by);
    setTnum(d, (<i64>value(d)) >> by, (<i64>mask(d)) >> by);
    setUnsigned(d, 0, u64.MAX_VALUE);
    unbound32(d);
  }
  learn32FromBits(d);
  learn64FromBits(d);
}

/** u32 range << by, unless a bit may leave; the s32 range is given up. */
function shiftLeftRange32(d: usize, by: u64): void {
  setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
  if (by > 31 || <u64>u32Max(d) > (<u64>1) << (31 - by)) setU32(d, 0, u32.MAX_VALUE);
  else setU32(d, u32Min(d) << <u32>by, u32Max(d) << <u32>by);
}

function shift32(op: u32, d: usize, by: u32): void {
  const v = <u32>value(d);
  const m = <u32>mask(d);
  if (op == LSH) {
    shiftLeftRange32(d, by);
    setTnum(d, <u64>(v << by), <u64>(m << by));
  } else if (op == RSH) {
    setS32(d, i32.MIN_VALUE, i32.MAX_VALUE);
    setTnum(d, <u64>(v >> by), <u64>(m >> by));
    setU32(d, u32Min(d) >> by, u32Max(d) >> by);
  } else {
    setS32(d, s32Min(d) >> <i32>by, s32Max(d) >> <i32>by);
    setTnum(d, <u64>(<u32>((<i32>v) >> <i32>by)), <u64>(<u32>((<i32>m) >> <i32>by)));
    setU32(d, 0, u32.MAX_VALUE);
  }
  unbound64(d);
  learn32FromBits(d);
}

/** dst := pointer's offset + scalar; the 32-bit ranges are given up. `adjust_ptr_min_max_vals`, ADD */
export function addVarOff(dst: u32, pointer: u32, scalar: u32): void {
  const d = at(dst);
  const p = at(pointer);
  const s = at(scalar);
  const uLo = umin(p) + umin(s);
  const uHi = umax(p) + umax(s);
  const wraps = uLo < umin(s) || uHi < umax(s);
  const v = value(p) + value(s);
  const m = addMask(value(p), mask(p), value(s), mask(s));
  addSigned(d, smin(p), smax(p), smin(s), smax(s));
  if (wraps) setUnsigned(d, 0, u64.MAX_VALUE);
  else setUnsigned(d, uLo, uHi);
  setTnum(d, v, m);
  unbound32(d);
}

/** dst := pointer's offset - scalar; the 32-bit ranges are given up. `adjust_ptr_min_max_vals`, SUB */
export function subVarOff(dst: u32, pointer: u32, scalar: u32): void {
  const d = at(dst);
  const p = at(pointer);
  const s = at(scalar);
  const sLo = umin(s);
  const sHi = umax(s);
  const pLo = umin(p);
  const pHi = umax(p);
  const v = value(p) - value(s);
  const m = subMask(value(p), mask(p), value(s), mask(s));
  subSigned(d, smin(p), smax(p), smin(s), smax(s));
  if (pLo < sHi) setUnsigned(d, 0, u64.MAX_VALUE);
  else setUnsigned(d, pLo - sHi, pHi - sLo);
  setTnum(d, v, m);
  unbound32(d);
}

/**
 * Row += whole number, |delta| < 2^33; `is32`: then the upper half becomes 0. What `sync_linked_regs` does to a register
 * at a constant distance from the one that learned something.
 */
export function addConst(row: u32, delta: f64, is32: u32): void {
  const p = at(row);
  const n = <i64>delta;
  const low = <i32>n;
  const s32Lo = <i64>s32Min(p) + low;
  const s32Hi = <i64>s32Max(p) + low;
  if (<i32>s32Lo == s32Lo && <i32>s32Hi == s32Hi) setS32(p, <i32>s32Lo, <i32>s32Hi);
  else setS32(p, i32.MIN_VALUE, i32.MAX_VALUE);
  const u32Lo = <u64>u32Min(p) + <u32>low;
  const u32Hi = <u64>u32Max(p) + <u32>low;
  if (u32Lo <= LOW && u32Hi > LOW) setU32(p, 0, u32.MAX_VALUE);
  else setU32(p, <u32>u32Lo, <u32>u32Hi);
  addSigned(p, smin(p), smax(p), n, n);
  const uLo = umin(p) + <u64>n;
  const uHi = umax(p) + <u64>n;
  if (uLo >= <u64>n && uHi < <u64>n) setUnsigned(p, 0, u64.MAX_VALUE);
  else setUnsigned(p, uLo, uHi);
  setTnum(p, value(p) + <u64>n, addMask(value(p), mask(p), n, 0));
  if (is32) zeroExtend(p);
  sync(p);
}
