// Hash functions of keys. The fast ones are ours (multiply and fold); `jhash` is Bob Jenkins' lookup3 as Linux uses it
// (include/linux/jhash.h), so that maps with BPF_F_ZERO_SEED list their keys in the kernel's order.

import {
  HASH_M0,
  HASH_M1,
  HASH_M2,
  HASH_M3,
  HASH_M4,
  HASH_M5,
  HASH_M6,
  HASH_M7,
} from "../../src/runtime/layout";
import { chargeBytes } from "../work";

const M1: u64 = 0x9e3779b97f4a7c15;
const M2: u64 = 0xd6e8feb86659fd93;
const SEED: u64 = 0x51ed270b8f1c9e35;

/**
 * Keys of whole words, up to HASH_WORDS_MAX bytes: each word times a constant of its own, the upper half of the sum. The
 * products do not wait for each other, and compiled programs write the very same (src/jit/lower-hash.ts).
 */
@inline
export function hashWords(key: u32, size: u32): u32 {
  let sum = <u64>load<u32>(key) * HASH_M0;
  if (size > 4) sum += <u64>load<u32>(key, 4) * HASH_M1;
  if (size > 8) sum += <u64>load<u32>(key, 8) * HASH_M2;
  if (size > 12) sum += <u64>load<u32>(key, 12) * HASH_M3;
  if (size > 16) {
    sum += <u64>load<u32>(key, 16) * HASH_M4;
    if (size > 20) sum += <u64>load<u32>(key, 20) * HASH_M5;
    if (size > 24) sum += <u64>load<u32>(key, 24) * HASH_M6;
    if (size > 28) sum += <u64>load<u32>(key, 28) * HASH_M7;
  }
  return <u32>(sum >> 32);
}

/** Any size. */
export function hashBytes(key: u32, size: u32): u32 {
  let h: u64 = SEED ^ size;
  chargeBytes(size);
  while (size >= 8) {
    h = (h ^ load<u64>(key)) * M1;
    h ^= h >> 32;
    key += 8;
    size -= 8;
  }
  if (size) {
    let tail: u64 = 0;
    if (size & 4) {
      tail = load<u32>(key);
      key += 4;
    }
    if (size & 2) {
      tail = (tail << 16) | load<u16>(key);
      key += 2;
    }
    if (size & 1) tail = (tail << 8) | load<u8>(key);
    h = (h ^ tail) * M1;
    h ^= h >> 32;
  }
  return <u32>((h * M2) >> 32);
}

@inline
function finish(a: u32, b: u32, c: u32): u32 {
  c = (c ^ b) - rotl<u32>(b, 14);
  a = (a ^ c) - rotl<u32>(c, 11);
  b = (b ^ a) - rotl<u32>(a, 25);
  c = (c ^ b) - rotl<u32>(b, 16);
  a = (a ^ c) - rotl<u32>(c, 4);
  b = (b ^ a) - rotl<u32>(a, 14);
  return (c ^ b) - rotl<u32>(b, 24);
}

/** lookup3 over `size` bytes taken as little-endian words. */
function lookup3(key: u32, size: u32, start: u32): u32 {
  let a = start;
  let b = start;
  let c = start;
  chargeBytes(size);
  while (size > 12) {
    a += load<u32>(key);
    b += load<u32>(key, 4);
    c += load<u32>(key, 8);
    a = (a - c) ^ rotl<u32>(c, 4);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 6);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 8);
    b += a;
    a = (a - c) ^ rotl<u32>(c, 16);
    c += b;
    b = (b - a) ^ rotl<u32>(a, 19);
    a += c;
    c = (c - b) ^ rotl<u32>(b, 4);
    b += a;
    key += 12;
    size -= 12;
  }
  if (size == 0) return c;
  let word0: u32 = 0;
  let word1: u32 = 0;
  let word2: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const byte = (<u32>load<u8>(key + i)) << ((i & 3) * 8);
    if (i < 4) word0 |= byte;
    else if (i < 8) word1 |= byte;
    else word2 |= byte;
  }
  return finish(a + word0, b + word1, c + word2);
}

/** Linux's `jhash` and, for whole words, `jhash2`: both start from the size in bytes. */
export function jhash(key: u32, size: u32, seed: u32): u32 {
  return lookup3(key, size, 0xdeadbeef + size + seed);
}
