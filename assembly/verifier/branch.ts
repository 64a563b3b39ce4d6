// Conditions on two scalars: what they decide and what both outcomes teach. kernel/bpf/verifier.c
// `is_scalar_branch_taken`, `regs_refine_cond_op`, `reg_set_min_max` @ v6.18.
import { sync } from "./bounds";
import {
  at,
  HIGH,
  LOW,
  mask,
  s32Max,
  s32Min,
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

// CODE_MASK bits of a jump's opcode (RFC 9669 §4.3).
const JEQ: u32 = 0x10;
const JGT: u32 = 0x20;
const JGE: u32 = 0x30;
const JSET: u32 = 0x40;
const JNE: u32 = 0x50;
const JSGT: u32 = 0x60;
const JSGE: u32 = 0x70;
const JLT: u32 = 0xa0;
const JLE: u32 = 0xb0;
const JSLT: u32 = 0xc0;
const JSLE: u32 = 0xd0;
/** JSET does not hold; no opcode says so. */
const NOT_JSET: u32 = 0x48;

/** 1: `a op b` always holds, 0: never, -1: it depends. */
export function isBranchTaken(op: u32, is32: u32, a: u32, b: u32): i32 {
  const p = at(a);
  const q = at(b);
  switch (op) {
    case JEQ:
      return isEqual(p, q, is32);
    case JNE: {
      const equal = isEqual(p, q, is32);
      return equal < 0 ? -1 : 1 - equal;
    }
    case JSET:
      return isSet(p, q, is32);
    case JGT:
      return isLess(q, p, is32);
    case JLT:
      return isLess(p, q, is32);
    case JGE:
      return isLessOrEqual(q, p, is32);
    case JLE:
      return isLessOrEqual(p, q, is32);
    case JSGT:
      return isLessSigned(q, p, is32);
    case JSLT:
      return isLessSigned(p, q, is32);
    case JSGE:
      return isLessOrEqualSigned(q, p, is32);
    case JSLE:
      return isLessOrEqualSigned(p, q, is32);
    default:
      return -1;
  }
}

function isEqual(p: usize, q: usize, is32: u32): i32 {
  const bits = is32 ? LOW : u64.MAX_VALUE;
  const differ = (value(p) ^ value(q)) & bits;
  const unknown = (mask(p) | mask(q)) & bits;
  if (!unknown) return differ ? 0 : 1;
  if (differ & ~unknown) return 0;
  if (u32Min(p) > u32Max(q) || u32Max(p) < u32Min(q)) return 0;
  if (s32Min(p) > s32Max(q) || s32Max(p) < s32Min(q)) return 0;
  if (is32) return -1;
  if (umin(p) > umax(q) || umax(p) < umin(q)) return 0;
  if (smin(p) > smax(q) || smax(p) < smin(q)) return 0;
  return -1;
}

function isSet(p: usize, q: usize, is32: u32): i32 {
  const bits = is32 ? LOW : u64.MAX_VALUE;
  let known = q;
  let other = p;
  if (mask(known) & bits) {
    known = p;
    other = q;
    if (mask(known) & bits) return -1;
  }
  const wanted = value(known) & bits;
  if (value(other) & ~mask(other) & wanted) return 1;
  return (value(other) | mask(other)) & wanted ? -1 : 0;
}

function isLess(p: usize, q: usize, is32: u32): i32 {
  if (is32) {
    if (u32Max(p) < u32Min(q)) return 1;
    return u32Min(p) >= u32Max(q) ? 0 : -1;
  }
  if (umax(p) < umin(q)) return 1;
  return umin(p) >= umax(q) ? 0 : -1;
}

function isLessOrEqual(p: usize, q: usize, is32: u32): i32 {
  if (is32) {
    if (u32Max(p) <= u32Min(q)) return 1;
    return u32Min(p) > u32Max(q) ? 0 : -1;
  }
  if (umax(p) <= umin(q)) return 1;
  return umin(p) > umax(q) ? 0 : -1;
}

function isLessSigned(p: usize, q: usize, is32: u32): i32 {
  if (is32) {
    if (s32Max(p) < s32Min(q)) return 1;
    return s32Min(p) >= s32Max(q) ? 0 : -1;
  }
  if (smax(p) < smin(q)) return 1;
  return smin(p) >= smax(q) ? 0 : -1;
}

function isLessOrEqualSigned(p: usize, q: usize, is32: u32): i32 {
  if (is32) {
    if (s32Max(p) <= s32Min(q)) return 1;
    return s32Min(p) > s32Max(q) ? 0 : -1;
  }
  if (smax(p) <= smin(q)) return 1;
  return smin(p) > smax(q) ? 0 : -1;
}

/** The false rows learn that `op` does not hold, the true rows that it does. Rows of one outcome may be the same. */
export function refine(op: u32, is32: u32, trueA: u32, trueB: u32, falseA: u32, falseB: u32): void {
  learn(opposite(op), is32, at(falseA), at(falseB));
  sync(at(falseA));
  sync(at(falseB));
  learn(op, is32, at(trueA), at(trueB));
  sync(at(trueA));
  sync(at(trueB));
}

/** Both rows learn that they are equal. */
export function intersect(a: u32, b: u32): void {
  learnEqual(at(a), at(b), 0);
  sync(at(a));
  sync(at(b));
}

function opposite(op: u32): u32 {
  switch (op) {
    case JEQ:
      return JNE;
    case JNE:
      return JEQ;
    case JSET:
      return NOT_JSET;
    case JGT:
      return JLE;
    case JLE:
      return JGT;
    case JGE:
      return JLT;
    case JLT:
      return JGE;
    case JSGT:
      return JSLE;
    case JSLE:
      return JSGT;
    case JSGE:
      return JSLT;
    case JSLT:
      return JSGE;
    default:
      return 0;
  }
}

/** Ranges and tnums learn that `p op q` holds; no sync. `regs_refine_cond_op` */
function learn(op: u32, is32: u32, p: usize, q: usize): void {
  switch (op) {
    case JEQ:
      learnEqual(p, q, is32);
      break;
    case JNE:
      learnDifferent(p, q, is32);
      break;
    case JSET:
    case NOT_JSET:
      learnSet(p, q, is32, op == JSET);
      break;
    case JGT:
      learnLess(q, p, is32, 1);
      break;
    case JLT:
      learnLess(p, q, is32, 1);
      break;
    case JGE:
      learnLess(q, p, is32, 0);
      break;
    case JLE:
      learnLess(p, q, is32, 0);
      break;
    case JSGT:
      learnLessSigned(q, p, is32, 1);
      break;
    case JSLT:
      learnLessSigned(p, q, is32, 1);
      break;
    case JSGE:
      learnLessSigned(q, p, is32, 0);
      break;
    case JSLE:
      learnLessSigned(p, q, is32, 0);
      break;
  }
}

function learnEqual(p: usize, q: usize, is32: u32): void {
  if (is32) {
    setU32(p, max(u32Min(p), u32Min(q)), min(u32Max(p), u32Max(q)));
    setS32(p, max(s32Min(p), s32Min(q)), min(s32Max(p), s32Max(q)));
    setU32(q, u32Min(p), u32Max(p));
    setS32(q, s32Min(p), s32Max(p));
    const v = (value(p) | value(q)) & LOW;
    const m = mask(p) & mask(q) & LOW;
    setTnum(p, (value(p) & HIGH) | (v & ~m), (mask(p) & HIGH) | m);
    setTnum(q, (value(q) & HIGH) | (v & ~m), (mask(q) & HIGH) | m);
  } else {
    setUnsigned(p, max(umin(p), umin(q)), min(umax(p), umax(q)));
    setSigned(p, max(smin(p), smin(q)), min(smax(p), smax(q)));
    setUnsigned(q, umin(p), umax(p));
    setSigned(q, smin(p), smax(p));
    setTnum(p, value(p) | value(q), mask(p) & mask(q));
    setTnum(q, value(p), mask(p));
  }
}

/** The row of the two whose (low) bits are all known; `q` where both are; 0 where none is. */
@inline
function constantOf(p: usize, q: usize, bits: u64): usize {
  if (!(mask(q) & bits)) return q;
  return mask(p) & bits ? 0 : p;
}

/** An end of a range that is the other's only number moves in by one. */
function learnDifferent(p: usize, q: usize, is32: u32): void {
  const known = constantOf(p, q, is32 ? LOW : u64.MAX_VALUE);
  if (!known) return;
  const r = known == q ? p : q;
  const n = value(known);
  if (is32) {
    const low = <u32>n;
    setU32(r, u32Min(r) + u32(u32Min(r) == low), u32Max(r) - u32(u32Max(r) == low));
    setS32(r, s32Min(r) + i32(s32Min(r) == <i32>low), s32Max(r) - i32(s32Max(r) == <i32>low));
  } else {
    setUnsigned(r, umin(r) + u64(umin(r) == n), umax(r) - u64(umax(r) == n));
    setSigned(r, smin(r) + i64(smin(r) == <i64>n), smax(r) - i64(smax(r) == <i64>n));
  }
}

/** `p & q` is not 0: teaches one bit where the constant has one. It is 0: all the constant's bits are 0. */
function learnSet(p: usize, q: usize, is32: u32, holds: bool): void {
  const bits = is32 ? LOW : u64.MAX_VALUE;
  const known = constantOf(p, q, bits);
  if (!known) return;
  const r = known == q ? p : q;
  const tested = value(known) & bits;
  if (holds) {
    if (popcnt(tested) == 1) setTnum(r, value(r) | tested, mask(r) & ~tested);
  } else {
    // The ranges may contradict the bits on a branch that is never taken: forget them (v6.17).
    unbound64(r);
    unbound32(r);
    setTnum(r, value(r) & ~tested, mask(r) & ~tested);
  }
}

/** p + strict <= q, unsigned. */
function learnLess(p: usize, q: usize, is32: u32, strict: u32): void {
  if (is32) {
    setU32(p, u32Min(p), min(u32Max(p), u32Max(q) - strict));
    setU32(q, max(u32Min(p) + strict, u32Min(q)), u32Max(q));
  } else {
    setUnsigned(p, umin(p), min(umax(p), umax(q) - strict));
    setUnsigned(q, max(umin(p) + strict, umin(q)), umax(q));
  }
}

/** p + strict <= q, signed. */
function learnLessSigned(p: usize, q: usize, is32: u32, strict: i32): void {
  if (is32) {
    setS32(p, s32Min(p), min(s32Max(p), s32Max(q) - strict));
    setS32(q, max(s32Min(p) + strict, s32Min(q)), s32Max(q));
  } else {
    setSigned(p, smin(p), min(smax(p), smax(q) - strict));
    setSigned(q, max(smin(p) + strict, smin(q)), smax(q));
  }
}
