// Hash maps, all four kinds: chained buckets of nodes from a pool. kernel/bpf/hashtab.c @ v6.12.
//
// Node: +0 next in bucket | +4 hash | (LRU: +8 state, see lru.ts | +12 -) | key, padded to 8 | value, or one per CPU.
// As in Linux an update of an existing key links a new node in front of the bucket and unlinks the old one, whose bytes
// stay readable for a program that still points at them (one spare node for each CPU makes that possible in a full
// map), per-CPU values are overwritten in place, and BPF_F_LOCK overwrites in place.
import {
  HASH_AS_LINUX,
  HASH_BUCKETS,
  HASH_BY_BYTES,
  HASH_BY_WORDS,
  HASH_HOW,
  HASH_KEY_AT,
  HASH_MASK,
  HASH_USED_AT,
  HASH_VALUE_AT,
  HASH_WORDS_MAX,
  MAP_ELEM_BYTES,
  MAP_FIELDS,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_VALUE_STRIDE,
} from "../../src/runtime/layout";
import {
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_NOEXIST,
  E2BIG,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOTSUPP,
  MAX_PERCPU_VALUE,
} from "../../src/runtime/maps/constants";
import { alloc64, free } from "../alloc";
import { chargeBytes, damaged, follow } from "../work";
import { hashBytes, hashWords, jhash } from "./hashing";
import {
  ALL_CPUS,
  copyBytes,
  copyPercpuValue,
  copyValue,
  cpusOf,
  hasSpinLock,
  KIND_PRIVATE,
  newHeader,
  POOL_CHUNK_BYTES,
  poolAlloc,
  poolDestroy,
  poolEnd,
  poolFirst,
  poolFree,
  poolGrow,
  poolInit,
  programAccessOk,
  roundUpPow2,
} from "./header";

export const TYPE_HASH: u32 = 1;
export const TYPE_PERCPU_HASH: u32 = 5;
export const TYPE_LRU_HASH: u32 = 9;
export const TYPE_LRU_PERCPU_HASH: u32 = 10;
export const TYPE_HASH_OF_MAPS: u32 = 13;

/** Elements present. */
export const HASH_COUNT: usize = KIND_PRIVATE + 20;
/** Address of one spare node address (or 0) for each CPU. */
const SPARES: usize = KIND_PRIVATE + 24;
/** LRU: where the next search for a victim starts. */
const HAND: usize = KIND_PRIVATE + 28;
const NODE_BYTES: usize = KIND_PRIVATE + 32;

const NEXT: usize = 0;
const HASH: usize = 4;
const STATE: usize = 8; // LRU: 1 in use
const REF: usize = HASH_USED_AT; // LRU: 1 looked up by a program since the hand passed
const KEY: u32 = 8;
const LRU_KEY: u32 = 16;

/** KMALLOC_MAX_SIZE less sizeof(struct htab_elem): x86-64, 4 KiB pages. */
const MAX_KEY_VALUE: u64 = 0x400000 - 48;
/** U32_MAX / sizeof(struct bucket). */
const MAX_BUCKETS: u32 = 0xffffffff / 16;
/** Above this the table is not widened. */
const MANY_BUCKETS: u32 = 1 << 22;
const FLAG_MASK: u32 =
  BPF_F_NO_PREALLOC |
  BPF_F_NO_COMMON_LRU |
  BPF_F_NUMA_NODE |
  BPF_F_RDONLY |
  BPF_F_WRONLY |
  BPF_F_RDONLY_PROG |
  BPF_F_WRONLY_PROG |
  BPF_F_ZERO_SEED;

@inline
function isLru(map: u32): bool {
  return load<u32>(map, HASH_KEY_AT) == LRU_KEY;
}

function howToHash(keySize: u32, flags: u32): u32 {
  if (flags & BPF_F_ZERO_SEED) return HASH_AS_LINUX;
  return keySize % 4 == 0 && keySize <= <u32>HASH_WORDS_MAX ? HASH_BY_WORDS : HASH_BY_BYTES;
}

export function hashCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  const percpu = type == TYPE_PERCPU_HASH || type == TYPE_LRU_PERCPU_HASH;
  const lru = type == TYPE_LRU_HASH || type == TYPE_LRU_PERCPU_HASH;
  if (flags & ~FLAG_MASK || !programAccessOk(flags)) return -EINVAL;
  if (!lru && flags & BPF_F_NO_COMMON_LRU) return -EINVAL;
  if (lru && flags & BPF_F_NO_PREALLOC) return -ENOTSUPP;
  if (flags & BPF_F_NUMA_NODE && (percpu || flags & BPF_F_NO_COMMON_LRU)) return -EINVAL;
  if (maxEntries == 0 || keySize == 0 || valueSize == 0) return -EINVAL;
  if (<u64>keySize + valueSize >= MAX_KEY_VALUE) return -E2BIG;
  if (percpu && valueSize > <u32>MAX_PERCPU_VALUE) return -E2BIG;
  if (flags & BPF_F_NO_COMMON_LRU) {
    // Linux gives each CPU's list the same number of elements.
    const up = ((<u64>maxEntries + numCpus - 1) / numCpus) * numCpus;
    maxEntries = up > 0xffffffff ? maxEntries - (maxEntries % numCpus) : <u32>up;
  }
  let buckets = roundUpPow2(maxEntries);
  if (buckets == 0 || buckets > MAX_BUCKETS) return -E2BIG;
  // Linux has as many buckets as elements; twice as many make chains short. Only BPF_F_ZERO_SEED's order depends on it.
  if (!(flags & BPF_F_ZERO_SEED) && buckets <= MANY_BUCKETS) buckets *= 2;
  const map = newHeader(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) return -ENOMEM;
  const stride = load<u32>(map, MAP_VALUE_STRIDE);
  if (percpu) store<u32>(map, stride * numCpus, MAP_ELEM_BYTES);
  const keyBytes = (keySize + 7) & ~7;
  const keyAt = lru ? LRU_KEY : KEY;
  store<u32>(map, keyAt, HASH_KEY_AT);
  store<u32>(map, keyAt + keyBytes, HASH_VALUE_AT);
  store<u32>(map, buckets - 1, HASH_MASK);
  store<u32>(map, howToHash(keySize, flags), HASH_HOW);
  const nodeBytes = <u64>(keyAt + keyBytes) + load<u32>(map, MAP_ELEM_BYTES);
  const table = alloc64(<u64>buckets * 4);
  const spares = alloc64(<u64>numCpus * 4);
  store<u32>(map, table, HASH_BUCKETS);
  store<u32>(map, spares, SPARES);
  const nodes = <u64>maxEntries + numCpus;
  let ok = table != 0 && spares != 0 && nodeBytes < 0x7fffffff && nodes < 0xffffffff;
  if (ok) {
    store<u32>(map, <u32>nodeBytes, NODE_BYTES);
    if (flags & BPF_F_NO_PREALLOC) {
      poolInit(map, <u32>nodeBytes, max<u32>(1, min<u32>(<u32>nodes, POOL_CHUNK_BYTES / <u32>nodeBytes)));
    } else {
      poolInit(map, <u32>nodeBytes, <u32>nodes);
      ok = poolGrow(map);
      store<u32>(map, poolFirst(map), HAND);
    }
  }
  if (!ok) {
    free(table);
    free(spares);
    free(map);
    return -ENOMEM;
  }
  return map;
}

export function hashDestroy(map: u32): void {
  free(load<u32>(map, HASH_BUCKETS));
  free(load<u32>(map, SPARES));
  poolDestroy(map);
}

@inline
function hashOf(map: u32, key: u32, size: u32): u32 {
  const how = load<u32>(map, HASH_HOW);
  if (how == HASH_BY_WORDS) return hashWords(key, size);
  return how == HASH_BY_BYTES ? hashBytes(key, size) : jhash(key, size, 0);
}

@inline
function bucketOf(map: u32, hash: u32): u32 {
  return load<u32>(map, HASH_BUCKETS) + ((hash & load<u32>(map, HASH_MASK)) << 2);
}

/** Compares by words: programs often write a key word by word, and wider loads would have to wait for such stores. */
@inline
function sameKey(a: u32, b: u32, size: u32): bool {
  while (size >= 4) {
    if (load<u32>(a) != load<u32>(b)) return false;
    a += 4;
    b += 4;
    size -= 4;
  }
  if (size & 2) {
    if (load<u16>(a) != load<u16>(b)) return false;
    a += 2;
    b += 2;
  }
  return !(size & 1) || load<u8>(a) == load<u8>(b);
}

/** The node with that key, or 0. */
@inline
function find(map: u32, key: u32, keyAt: u32): u32 {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashOf(map, key, size);
  let node = load<u32>(bucketOf(map, hash));
  let steps: u32 = 0;
  if (size == 4) {
    const wanted = load<u32>(key);
    while (node && load<u32>(node + keyAt) != wanted) {
      node = load<u32>(node, NEXT);
      steps = follow(steps);
    }
    return node;
  }
  while (node && (load<u32>(node, HASH) != hash || !sameKey(node + keyAt, key, size))) {
    node = load<u32>(node, NEXT);
    steps = follow(steps);
  }
  return node;
}

/** Address of the element's value (first CPU's), 0 when the key is not there. */
export function hashLookup(map: u32, key: u32): u32 {
  const node = find(map, key, KEY);
  return node ? node + load<u32>(map, HASH_VALUE_AT) : 0;
}

/** A program's lookup in an LRU map: marks the element as used. */
export function lruLookup(map: u32, key: u32): u32 {
  const node = find(map, key, LRU_KEY);
  if (!node) return 0;
  store<u8>(node, 1, REF);
  return node + load<u32>(map, HASH_VALUE_AT);
}

/** The host's lookup: does not count as a use (kernel: lookup_elem_sys_only). */
export function lruPeek(map: u32, key: u32): u32 {
  const node = find(map, key, LRU_KEY);
  return node ? node + load<u32>(map, HASH_VALUE_AT) : 0;
}

/** Takes a node out of its bucket. */
function unlink(map: u32, node: u32): void {
  let link = bucketOf(map, load<u32>(node, HASH));
  // The first word of a node is its link, as a bucket's word is: both are walked alike.
  for (let steps: u32 = 0; load<u32>(link) != node; steps = follow(steps)) {
    link = load<u32>(link);
    if (!link) damaged();
  }
  store<u32>(link, load<u32>(node, NEXT));
}

/**
 * LRU: second chance in the order of the nodes' memory ("clock"). The hand passes over nodes used since its last
 * round, clearing the mark, and evicts the first other one. Linux keeps lists per CPU and evicts in batches; common to
 * both: never more than max_entries, and what programs keep looking up stays.
 */
function evict(map: u32): u32 {
  const node = hashVictim(map);
  const after = node + load<u32>(map, NODE_BYTES);
  store<u32>(map, after == poolEnd(map) ? poolFirst(map) : after, HAND);
  unlink(map, node);
  return node;
}

/** The node that the next insertion into a full LRU map takes; stays the victim until then. */
export function hashVictim(map: u32): u32 {
  const bytes = load<u32>(map, NODE_BYTES);
  const end = poolEnd(map);
  let node = load<u32>(map, HAND);
  let steps: u32 = 0;
  while (!load<u8>(node, STATE) || load<u8>(node, REF)) {
    store<u8>(node, 0, REF);
    node += bytes;
    if (node == end) node = poolFirst(map);
    steps = follow(steps);
  }
  store<u32>(map, node, HAND);
  return node;
}

/**
 * 0, -EINVAL, -EEXIST, -ENOENT, -E2BIG (full) or -ENOMEM. `cpu`: whose value a per-CPU map writes, ALL_CPUS: `value`
 * holds one for each CPU, MAP_VALUE_STRIDE apart.
 */
export function hashUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return put(map, key, value, flags, cpu, hashOf(map, key, load<u32>(map, MAP_KEY_SIZE)));
}

/** `hashUpdate` for maps of type HASH without fields of the kernel's, hashed by words, by the size of their keys. */
export function hashUpdate4(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return replace(map, key, value, flags, cpu, 4);
}
export function hashUpdate8(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return replace(map, key, value, flags, cpu, 8);
}
export function hashUpdate12(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return replace(map, key, value, flags, cpu, 12);
}
export function hashUpdate16(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return replace(map, key, value, flags, cpu, 16);
}

/** The usual case of an update, written out for keys of `size` bytes: the key is there. Everything else is `put`. */
@inline
function replace(map: u32, key: u32, value: u32, flags: u64, cpu: u32, size: u32): i32 {
  const hash = hashWords(key, size);
  const spare = load<u32>(map, SPARES) + (cpu << 2);
  const node = load<u32>(spare);
  let before = bucketOf(map, hash);
  const bucket = before;
  const first = load<u32>(bucket);
  let old = first;
  for (let steps: u32 = 0; old && !sameKey(old + KEY, key, size); steps = follow(steps)) {
    before = old;
    old = load<u32>(old, NEXT);
  }
  if (!old || !node || (flags != 0 && flags != BPF_EXIST)) return put(map, key, value, flags, cpu, hash);
  store<u32>(node, hash, HASH);
  for (let at: u32 = 0; at < size; at += 4) store<u32>(node + at, load<u32>(key + at), KEY);
  copyBytes(node + load<u32>(map, HASH_VALUE_AT), value, load<u32>(map, MAP_VALUE_SIZE));
  store<u32>(spare, old);
  if (old == first) store<u32>(node, load<u32>(old, NEXT), NEXT);
  else {
    store<u32>(before, load<u32>(old, NEXT));
    store<u32>(node, first, NEXT);
  }
  store<u32>(bucket, node);
  return 0;
}

function put(map: u32, key: u32, value: u32, flags: u64, cpu: u32, hash: u32): i32 {
  const type = load<u32>(map, MAP_TYPE);
  const percpu = type == TYPE_PERCPU_HASH || type == TYPE_LRU_PERCPU_HASH;
  if (type == TYPE_HASH || type == TYPE_HASH_OF_MAPS) {
    if ((flags & ~(<u64>BPF_F_LOCK)) > <u64>BPF_EXIST) return -EINVAL;
    if (flags & BPF_F_LOCK && !hasSpinLock(map)) return -EINVAL;
  } else if (flags > <u64>BPF_EXIST) return -EINVAL;
  const lru = isLru(map);
  const keyAt = load<u32>(map, HASH_KEY_AT);
  const size = load<u32>(map, MAP_KEY_SIZE);
  const bucket = bucketOf(map, hash);
  let before = bucket;
  let old = load<u32>(bucket);
  let steps: u32 = 0;
  while (old && (load<u32>(old, HASH) != hash || !sameKey(old + keyAt, key, size))) {
    before = old;
    old = load<u32>(old, NEXT);
    steps = follow(steps);
  }
  const valueAt = load<u32>(map, HASH_VALUE_AT);
  let node: u32;
  if (old) {
    if (flags & BPF_NOEXIST) return -EEXIST;
    if (percpu) {
      writePercpu(map, old + valueAt, value, cpu);
      if (lru) store<u8>(old, 1, REF);
      return 0;
    }
    if (flags & BPF_F_LOCK) {
      copyValue(map, old + valueAt, value);
      return 0;
    }
    const spare = load<u32>(map, SPARES) + (cpu == ALL_CPUS ? 0 : cpu << 2);
    node = load<u32>(spare);
    if (!node) {
      node = poolAlloc(map);
      if (!node) return -ENOMEM;
    }
    store<u32>(before, load<u32>(old, NEXT));
    store<u32>(spare, old);
    if (lru) {
      store<u8>(old, 0, STATE);
      store<u8>(node, 1, REF);
    }
  } else {
    if (flags & BPF_EXIST) return -ENOENT;
    const count = load<u32>(map, HASH_COUNT);
    if (count < load<u32>(map, MAP_MAX_ENTRIES)) {
      node = poolAlloc(map);
      if (!node) return -ENOMEM;
      store<u32>(map, count + 1, HASH_COUNT);
    } else if (lru) node = evict(map);
    else return -E2BIG;
    if (lru) store<u8>(node, 0, REF);
  }
  if (lru) store<u8>(node, 1, STATE);
  store<u32>(node, hash, HASH);
  copyBytes(node + keyAt, key, size);
  chargeBytes(load<u32>(map, MAP_ELEM_BYTES));
  if (percpu) {
    if (cpu != ALL_CPUS) memory.fill(node + valueAt, 0, load<u32>(map, MAP_ELEM_BYTES));
    writePercpu(map, node + valueAt, value, cpu);
  } else {
    // A new element's locks and timers start as zero, whatever the node held before.
    if (load<u32>(map, MAP_FIELDS)) memory.fill(node + valueAt, 0, load<u32>(map, MAP_VALUE_SIZE));
    copyValue(map, node + valueAt, value);
  }
  store<u32>(node, load<u32>(bucket), NEXT);
  store<u32>(bucket, node);
  return 0;
}

function writePercpu(map: u32, target: u32, value: u32, cpu: u32): void {
  const stride = load<u32>(map, MAP_VALUE_STRIDE);
  if (cpu != ALL_CPUS) {
    copyValue(map, target + cpu * stride, value);
    return;
  }
  const cpus = cpusOf(map);
  for (let i: u32 = 0; i < cpus; i++) copyPercpuValue(map, target + i * stride, value + i * stride);
}

/** 0 or -ENOENT. */
export function hashDelete(map: u32, key: u32): i32 {
  const node = find(map, key, load<u32>(map, HASH_KEY_AT));
  if (!node) return -ENOENT;
  unlink(map, node);
  if (isLru(map)) store<u8>(node, 0, STATE);
  store<u32>(map, load<u32>(map, HASH_COUNT) - 1, HASH_COUNT);
  poolFree(map, node);
  return 0;
}

/**
 * The key after `key` (0 or an unknown one: the first) in bucket order, written to `next`; -ENOENT at the end.
 * The order within a bucket is newest first, as in Linux.
 */
export function hashNextKey(map: u32, key: u32, next: u32): i32 {
  const keyAt = load<u32>(map, HASH_KEY_AT);
  let node = key ? find(map, key, keyAt) : 0;
  let bucket: u32 = 0;
  if (node) {
    bucket = (load<u32>(node, HASH) & load<u32>(map, HASH_MASK)) + 1;
    node = load<u32>(node, NEXT);
  }
  const buckets = load<u32>(map, HASH_BUCKETS);
  const count = load<u32>(map, HASH_MASK) + 1;
  for (; !node && bucket < count; bucket++) node = load<u32>(buckets + (bucket << 2));
  if (!node) return -ENOENT;
  copyBytes(next, node + keyAt, load<u32>(map, MAP_KEY_SIZE));
  return 0;
}

/** First bucket at or after `bucket` that holds something; the number of buckets at the end. */
export function hashNextBucket(map: u32, bucket: u32): u32 {
  const buckets = load<u32>(map, HASH_BUCKETS);
  const count = load<u32>(map, HASH_MASK) + 1;
  while (bucket < count && !load<u32>(buckets + (bucket << 2))) bucket++;
  return min(bucket, count);
}

export function hashBucketCount(map: u32): u32 {
  return load<u32>(map, HASH_MASK) + 1;
}

/** First node of a bucket; the others by {@link hashNodeNext}. */
export function hashBucketHead(map: u32, bucket: u32): u32 {
  return load<u32>(load<u32>(map, HASH_BUCKETS) + (bucket << 2));
}

export function hashNodeNext(node: u32): u32 {
  return load<u32>(node, NEXT);
}

export function hashNodeKey(map: u32, node: u32): u32 {
  return node + load<u32>(map, HASH_KEY_AT);
}

export function hashNodeValue(map: u32, node: u32): u32 {
  return node + load<u32>(map, HASH_VALUE_AT);
}

/** Elements present. */
export function hashCount(map: u32): u32 {
  return load<u32>(map, HASH_COUNT);
}
