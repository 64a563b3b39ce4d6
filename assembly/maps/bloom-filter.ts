// Bloom filter: a bit set and jhash with consecutive seeds. kernel/bpf/bloom_filter.c @ v6.12.
import { MAP_VALUE_SIZE, MAP_VALUES } from "../../src/runtime/layout";
import {
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  E2BIG,
  EINVAL,
  ENOENT,
  ENOMEM,
} from "../../src/runtime/maps/constants";
import { alloc64, free } from "../alloc";
import { chargeBytes } from "../work";
import { jhash } from "./hashing";
import { KIND_PRIVATE, newHeader, programAccessOk, roundUpPow2 } from "./header";

export const TYPE_BLOOM_FILTER: u32 = 30;

const MASK: usize = KIND_PRIVATE;
const HASHES: usize = KIND_PRIVATE + 4;
const SEED: usize = KIND_PRIVATE + 8;
const KMALLOC_MAX: u32 = 0x400000;
const FLAG_MASK: u32 =
  BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

/** `extra`: map_extra; its low 4 bits are the number of hash functions (0: 5), others must be 0. */
export function bloomCreate(
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  extra: u64,
  numCpus: u32,
): i32 {
  if (valueSize > KMALLOC_MAX) return -E2BIG;
  if (keySize != 0 || valueSize == 0 || maxEntries == 0 || flags & ~FLAG_MASK) return -EINVAL;
  if (!programAccessOk(flags) || extra & ~0xf) return -EINVAL;
  const hashes: u32 = extra ? <u32>extra : 5;
  // About entries × hashes / ln 2 bits, a power of two; 2^32 bits when 32 bits do not hold the number.
  const wanted = <u64>maxEntries * hashes;
  const scaled = (wanted / 5) * 7;
  let mask: u32 = 0xffffffff;
  if (wanted <= 0xffffffff && scaled <= 0x80000000) mask = roundUpPow2(max<u32>(<u32>scaled, 64)) - 1;
  const bits = alloc64((<u64>mask + 1) / 8);
  if (!bits) return -ENOMEM;
  const map = newHeader(TYPE_BLOOM_FILTER, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) {
    free(bits);
    return -ENOMEM;
  }
  store<u32>(map, bits, MAP_VALUES);
  store<u32>(map, mask, MASK);
  store<u32>(map, hashes, HASHES);
  // Linux takes a random seed; a fixed one keeps runs repeatable.
  store<u32>(map, flags & BPF_F_ZERO_SEED ? 0 : 0x5bd1e995, SEED);
  return map;
}

export function bloomDestroy(map: u32): void {
  free(load<u32>(map, MAP_VALUES));
}

/** At most 15: four bits of map_extra. */
@inline
function hashesOf(map: u32): u32 {
  chargeBytes(load<u32>(map, MAP_VALUE_SIZE));
  return load<u32>(map, HASHES) & 0xf;
}

/** 0 or -EINVAL. */
export function bloomPush(map: u32, value: u32, flags: u64): i32 {
  if (flags) return -EINVAL;
  const bits = load<u32>(map, MAP_VALUES);
  const hashes = hashesOf(map);
  for (let i: u32 = 0; i < hashes; i++) {
    const bit = jhash(value, load<u32>(map, MAP_VALUE_SIZE), load<u32>(map, SEED) + i) & load<u32>(map, MASK);
    const at = bits + (bit >> 3);
    store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(bit & 7)));
  }
  return 0;
}

/** 0: probably there; -ENOENT: certainly not. */
export function bloomPeek(map: u32, value: u32): i32 {
  const bits = load<u32>(map, MAP_VALUES);
  const hashes = hashesOf(map);
  for (let i: u32 = 0; i < hashes; i++) {
    const bit = jhash(value, load<u32>(map, MAP_VALUE_SIZE), load<u32>(map, SEED) + i) & load<u32>(map, MASK);
    if (!(load<u8>(bits + (bit >> 3)) & (1 << (bit & 7)))) return -ENOENT;
  }
  return 0;
}
