// Rows as blocks of words, and the making of known and unknown scalars.
import { DOMAIN_WORDS_AT, OFF, PRECISE, ROW_WORDS, TYPE } from "../../src/verifier/row-layout";
import { sync } from "./bounds";
import {
  at,
  s32Max,
  s32Min,
  setNumber,
  setNumber32,
  setS32,
  setSigned,
  setTnum,
  smax,
  smin,
  unbound32,
  unbound64,
} from "./row";

/** `RegType.SCALAR_VALUE` of src/verifier/register-types.ts. */
const SCALAR_VALUE: u32 = 1;
const ROW_BYTES: usize = ROW_WORDS * 4;

/** Row := row. Unrolled: a call of memory.copy costs more than these loads. */
export function copyRow(dst: u32, src: u32): void {
  const d = at(dst);
  const s = at(src);
  for (let i: usize = 0; i < ROW_BYTES; i += 16) {
    const low = load<u64>(s + i);
    const high = load<u64>(s + i, 8);
    store<u64>(d + i, low);
    store<u64>(d + i, high, 8);
  }
}

/** dst := src, `words` words; the ranges may overlap. */
export function copyWords(dst: u32, src: u32, words: u32): void {
  memory.copy(at(dst), at(src), at(words));
}

/** `words` words := 0. */
export function zeroWords(dst: u32, words: u32): void {
  memory.fill(at(dst), 0, at(words));
}

/** 1 when both blocks hold the same. */
export function equalWords(a: u32, b: u32, words: u32): u32 {
  return equalBytes(at(a), at(b), at(words)) ? 1 : 0;
}

function equalBytes(p: usize, q: usize, bytes: usize): bool {
  const pairs = bytes & ~(<usize>7);
  for (let i: usize = 0; i < pairs; i += 8) {
    if (load<u64>(p + i) != load<u64>(q + i)) return false;
  }
  return pairs == bytes || load<u32>(p + pairs) == load<u32>(q + pairs);
}

/** 1 when tnums and ranges are equal. */
export function sameScalar(a: u32, b: u32): u32 {
  return equalBytes(
    at(a) + DOMAIN_WORDS_AT * 4,
    at(b) + DOMAIN_WORDS_AT * 4,
    (ROW_WORDS - DOMAIN_WORDS_AT) * 4,
  )
    ? 1
    : 0;
}

export function markUnknown(row: u32): void {
  const p = at(row);
  store<u32>(p, SCALAR_VALUE, TYPE * 4);
  for (let i: usize = OFF * 4; i <= <usize>PRECISE * 4; i += 4) store<u32>(p + i, 0);
  unknown(p);
}

export function markKnown(row: u32, lo: u32, hi: u32): void {
  const p = at(row);
  store<u32>(p, SCALAR_VALUE, TYPE * 4);
  for (let i: usize = OFF * 4; i < <usize>PRECISE * 4; i += 4) store<u32>(p + i, 0);
  setNumber(p, number(lo, hi));
}

export function setConst(row: u32, lo: u32, hi: u32): void {
  setNumber(at(row), number(lo, hi));
}

/** Low half := the number, also in the tnum; the 64-bit ranges stay. No sync. */
export function setConst32(row: u32, lo: u32): void {
  setNumber32(at(row), lo);
}

export function setUnknown(row: u32): void {
  unknown(at(row));
}

function unknown(p: usize): void {
  setTnum(p, 0, u64.MAX_VALUE);
  unbound64(p);
  unbound32(p);
}

export function setUnbounded(row: u32): void {
  unbound64(at(row));
  unbound32(at(row));
}

export function setSigned64(row: u32, minLo: u32, minHi: u32, maxLo: u32, maxHi: u32): void {
  const p = at(row);
  setSigned(p, number(minLo, minHi), number(maxLo, maxHi));
  sync(p);
}

export function setSigned32(row: u32, least: i32, greatest: i32): void {
  const p = at(row);
  setS32(p, max(s32Min(p), least), min(s32Max(p), greatest));
  setSigned(p, max<i64>(smin(p), least), min<i64>(smax(p), greatest));
  sync(p);
}

export function syncBounds(row: u32): void {
  sync(at(row));
}

@inline
function number(lo: u32, hi: u32): u64 {
  return (<u64>hi << 32) | lo;
}
