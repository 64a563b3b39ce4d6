// The map header (src/runtime/layout.ts) and what all kinds share: field access, value copies, the node pool.
import {
  MAP_ELEM_BYTES,
  MAP_FIELDS,
  MAP_FLAGS,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_NATIVE,
  MAP_NUM_CPUS,
  MAP_PRIVATE,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_VALUE_STRIDE,
} from "../../src/runtime/layout";
import { FIELD_SPIN_LOCK, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG } from "../../src/runtime/maps/constants";
import { alloc, alloc64, free } from "../alloc";
import { charge, chargeBytes, follow } from "../work";

/** `cpu` that stands for all of them: the host writes every CPU's value. */
export const ALL_CPUS: u32 = 0xffffffff;
/** Bytes of a header with the private part. */
const HEADER_BYTES: u32 = 192;

// Node pool, in the private part of a header: equal nodes, a free list through their first word.
const P_FREE: usize = MAP_PRIVATE;
const P_FRESH: usize = MAP_PRIVATE + 4; // first node of the newest chunk never handed out
const P_FRESH_END: usize = MAP_PRIVATE + 8;
const P_NODE_BYTES: usize = MAP_PRIVATE + 12;
const P_CHUNKS: usize = MAP_PRIVATE + 16; // newest chunk; +0 of a chunk: the one before
const P_CHUNK_NODES: usize = MAP_PRIVATE + 20;
/** First byte of the private part that a kind may use. */
export const KIND_PRIVATE: usize = MAP_PRIVATE + 24;
const CHUNK_HEADER: u32 = 16;
/** Bytes of nodes in a chunk of a pool that grows: with all headers it fills a wasm page. */
export const POOL_CHUNK_BYTES: u32 = 65536 - 32;

/** A new header with the fields common to all kinds; 0 when there is no memory. */
export function newHeader(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): u32 {
  const map = alloc(HEADER_BYTES);
  if (!map) return 0;
  store<u32>(map, type, MAP_TYPE);
  store<u32>(map, keySize, MAP_KEY_SIZE);
  store<u32>(map, valueSize, MAP_VALUE_SIZE);
  store<u32>(map, maxEntries, MAP_MAX_ENTRIES);
  store<u32>(map, flags, MAP_FLAGS);
  store<u32>(map, (valueSize + 7) & ~7, MAP_VALUE_STRIDE);
  store<u32>(map, (valueSize + 7) & ~7, MAP_ELEM_BYTES);
  store<u32>(map, numCpus, MAP_NUM_CPUS);
  store<u32>(map, 1, MAP_NATIVE);
  return map;
}

/** `bpf_map_flags_access_ok`: not both read-only and write-only for programs. */
export function programAccessOk(flags: u32): bool {
  const both: u32 = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
  return (flags & both) != both;
}

/** More than NR_CPUS of any kernel: the greatest number of CPUs that a map is believed. */
const MANY_CPUS: u32 = 8192;

/** For how many CPUs the map holds a value. */
@inline
export function cpusOf(map: u32): u32 {
  return min<u32>(load<u32>(map, MAP_NUM_CPUS), MANY_CPUS);
}

/** True when values hold a `struct bpf_spin_lock`. */
export function hasSpinLock(map: u32): bool {
  const table = load<u32>(map, MAP_FIELDS);
  if (!table) return false;
  const count = load<u32>(table);
  charge(count);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(table + 4 + i * 12, 8) == FIELD_SPIN_LOCK) return true;
  }
  return false;
}

/** Copies one value, leaving special fields (spin locks, timers …) of the target as they are. */
@inline
export function copyValue(map: u32, target: u32, source: u32): void {
  if (load<u32>(map, MAP_FIELDS)) copyAroundFields(map, target, source);
  else copyBytes(target, source, load<u32>(map, MAP_VALUE_SIZE));
}

/** One CPU's value as the host gives it: Linux copies the padding to 8 bytes too. */
export function copyPercpuValue(map: u32, target: u32, source: u32): void {
  if (load<u32>(map, MAP_FIELDS)) copyAroundFields(map, target, source);
  else copyBytes(target, source, load<u32>(map, MAP_VALUE_STRIDE));
}

/** memory.copy that does not leave wasm for the usual small sizes. */
@inline
export function copyBytes(target: u32, source: u32, size: u32): void {
  if (size > 64) {
    chargeBytes(size);
    memory.copy(target, source, size);
  }
  else {
    // Overlap is harmless: a program may pass a map value as its own new value, which copies onto itself.
    while (size >= 8) {
      store<u64>(target, load<u64>(source));
      target += 8;
      source += 8;
      size -= 8;
    }
    if (size) copyTail(target, source, size);
  }
}

/** Fewer than 8 bytes. */
function copyTail(target: u32, source: u32, size: u32): void {
  if (size & 4) {
    store<u32>(target, load<u32>(source));
    target += 4;
    source += 4;
  }
  if (size & 2) {
    store<u16>(target, load<u16>(source));
    target += 2;
    source += 2;
  }
  if (size & 1) store<u8>(target, load<u8>(source));
}

function copyAroundFields(map: u32, target: u32, source: u32): void {
  const table = load<u32>(map, MAP_FIELDS);
  const count = load<u32>(table);
  charge(count);
  chargeBytes(load<u32>(map, MAP_VALUE_SIZE));
  let at: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const row = table + 4 + i * 12;
    const offset = load<u32>(row);
    memory.copy(target + at, source + at, offset - at);
    at = offset + load<u32>(row, 4);
  }
  memory.copy(target + at, source + at, load<u32>(map, MAP_VALUE_SIZE) - at);
}

/** Sets up the pool: `chunkNodes` nodes are allocated at a time. */
export function poolInit(map: u32, nodeBytes: u32, chunkNodes: u32): void {
  store<u32>(map, nodeBytes, P_NODE_BYTES);
  store<u32>(map, chunkNodes, P_CHUNK_NODES);
}

/** Allocates the next chunk; false when there is no memory. */
export function poolGrow(map: u32): bool {
  const bytes = <u64>load<u32>(map, P_CHUNK_NODES) * load<u32>(map, P_NODE_BYTES);
  const chunk = alloc64(bytes + CHUNK_HEADER);
  if (!chunk) return false;
  store<u32>(chunk, load<u32>(map, P_CHUNKS));
  store<u32>(map, chunk, P_CHUNKS);
  store<u32>(map, chunk + CHUNK_HEADER, P_FRESH);
  store<u32>(map, chunk + CHUNK_HEADER + <u32>bytes, P_FRESH_END);
  return true;
}

/** First node of a pool of one chunk, and the end of it. */
export function poolFirst(map: u32): u32 {
  return load<u32>(map, P_CHUNKS) + CHUNK_HEADER;
}
export function poolEnd(map: u32): u32 {
  return load<u32>(map, P_FRESH_END);
}

/** A node, its bytes as they were left; 0 when there is no memory. */
@inline
export function poolAlloc(map: u32): u32 {
  const node = load<u32>(map, P_FREE);
  if (node) {
    store<u32>(map, load<u32>(node), P_FREE);
    return node;
  }
  return poolFresh(map);
}

function poolFresh(map: u32): u32 {
  let node = load<u32>(map, P_FRESH);
  if (node == load<u32>(map, P_FRESH_END)) {
    if (!poolGrow(map)) return 0;
    node = load<u32>(map, P_FRESH);
  }
  store<u32>(map, node + load<u32>(map, P_NODE_BYTES), P_FRESH);
  return node;
}

@inline
export function poolFree(map: u32, node: u32): void {
  store<u32>(node, load<u32>(map, P_FREE));
  store<u32>(map, node, P_FREE);
}

/** Frees all chunks. */
export function poolDestroy(map: u32): void {
  let chunk = load<u32>(map, P_CHUNKS);
  for (let steps: u32 = 0; chunk; steps = follow(steps)) {
    const before = load<u32>(chunk);
    free(chunk);
    chunk = before;
  }
}

/** Smallest power of two at or above n; 0 when that is 2^32. */
export function roundUpPow2(n: u32): u32 {
  return n <= 1 ? 1 : n > 0x80000000 ? 0 : <u32>1 << (32 - clz(n - 1));
}
