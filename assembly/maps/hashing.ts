// Hash functions of keys. The fast ones are ours (multiply and fold); `jhash` is Bob Jenkins' lookup3 as Linux uses it
// (include/linux/jhash.h), so that maps with BPF_F_ZERO_SEED list their keys in the kernel's order.

const M1: u64 = 0x9e3779b97f4a7c15;
const M2: u64 = 0xd6e8feb86659fd93;
const SEED: u64 = 0x51ed270b8f1c9e35;

@inline
export function hash32(key: u32): u32 {
  return <u32>(((<u64>key ^ SEED) * M1) >> 32);
}

@inline
export function hash64(key: u64): u32 {
  let h = (key ^ SEED) * M1;
  h = (h ^ (h >> 32)) * M2;
  return <u32>(h >> 32);
}

@inline
export function hash128(low: u64, high: u64): u32 {
  let h = (low ^ SEED) * M1;
  h = (h ^ (h >> 32) ^ high) * M2;
  h = (h ^ (h >> 29)) * M1;
  return <u32>(h >> 32);
}

/** Any size. */
export function hashBytes(key: u32, size: u32): u32 {
  let h: u64 = SEED ^ size;
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
