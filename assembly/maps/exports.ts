// What the interpreter, JIT code and the host call: map operations by map header address, dispatched by map type.
// Keys and values are addresses; `cpu` is the CPU of the run, ALL_CPUS (-1) for the host (per-CPU values: all of them,
// MAP_VALUE_STRIDE apart). Results: an address or 0; or 0 / -errno. Kinds with MAP_NATIVE 0 belong to the host.
import {
  ASK_HOST,
  MAP_FIELDS,
  MAP_FLAGS,
  MAP_NATIVE,
  MAP_NUM_CPUS,
  MAP_TYPE,
  MAP_VALUE_STRIDE,
} from "../../src/runtime/layout";
import {
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY_PROG,
  EINVAL,
  ENOMEM,
  ENOTSUPP,
  EOPNOTSUPP,
} from "../../src/runtime/maps/constants";
import { free } from "../alloc";
import {
  arrayCreate,
  arrayDestroy,
  arrayLookup,
  arrayNextKey,
  arrayStorage,
  arrayUpdate,
  percpuArrayLookup,
  percpuArrayUpdate,
  TYPE_ARRAY,
  TYPE_PERCPU_ARRAY,
} from "./array";
import { bloomCreate, bloomDestroy, bloomPeek, bloomPush, TYPE_BLOOM_FILTER } from "./bloom-filter";
import {
  hashCount,
  hashCreate,
  hashDelete,
  hashDestroy,
  hashLookup,
  hashNextKey,
  hashUpdate,
  lruLookup,
  lruPeek,
  TYPE_HASH,
  TYPE_HASH_OF_MAPS,
  TYPE_LRU_HASH,
  TYPE_LRU_PERCPU_HASH,
  TYPE_PERCPU_HASH,
} from "./hash";
import { newHeader } from "./header";
import {
  lpmCount,
  lpmCreate,
  lpmDelete,
  lpmDestroy,
  lpmLookup,
  lpmNextKey,
  lpmUpdate,
  TYPE_LPM_TRIE,
} from "./lpm-trie";
import {
  queueCount,
  queueCreate,
  queueDestroy,
  queuePush,
  queueTake,
  stackTake,
  TYPE_QUEUE,
  TYPE_STACK,
} from "./queue-stack";
import { ringbufCreate, ringbufDestroy, TYPE_RINGBUF, TYPE_USER_RINGBUF } from "./ring-buffer";

export {
  hashBucketCount,
  hashBucketHead,
  hashNextBucket,
  hashNodeKey,
  hashNodeNext,
  hashNodeValue,
  hashVictim,
} from "./hash";
export {
  ringbufConsume,
  ringbufDiscard,
  ringbufLost,
  ringbufOutput,
  ringbufPeek,
  ringbufQuery,
  ringbufReserve,
  ringbufSubmit,
  ringbufWakeups,
  userRingbufPeek,
  userRingbufReserve,
} from "./ring-buffer";
// Per kind, for callers that know the type: JIT code, benchmarks.
export { arrayLookup, arrayUpdate, percpuArrayLookup } from "./array";
export {
  hashDelete,
  hashLookup,
  hashUpdate,
  hashUpdate12,
  hashUpdate16,
  hashUpdate4,
  hashUpdate8,
  lruLookup,
} from "./hash";
export { lpmLookup } from "./lpm-trie";

const PROG_ACCESS: u32 = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
export const TYPE_PROG_ARRAY: u32 = 3;
export const TYPE_ARRAY_OF_MAPS: u32 = 12;

/** Address of a new map's header, or -errno as an i32: the checks and limits of bpf(2) BPF_MAP_CREATE. */
export function mapCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  extra: u64,
  numCpus: u32,
): i32 {
  if (extra && type != TYPE_BLOOM_FILTER) return -EINVAL;
  switch (type) {
    case TYPE_ARRAY:
    case TYPE_PERCPU_ARRAY:
      return arrayCreate(type, keySize, valueSize, maxEntries, flags, numCpus);
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashCreate(type, keySize, valueSize, maxEntries, flags, numCpus);
    case TYPE_LPM_TRIE:
      return lpmCreate(keySize, valueSize, maxEntries, flags, numCpus);
    case TYPE_QUEUE:
    case TYPE_STACK:
      return queueCreate(type, keySize, valueSize, maxEntries, flags, numCpus);
    case TYPE_BLOOM_FILTER:
      return bloomCreate(keySize, valueSize, maxEntries, flags, extra, numCpus);
    case TYPE_RINGBUF:
    case TYPE_USER_RINGBUF:
      return ringbufCreate(type, keySize, valueSize, maxEntries, flags, numCpus);
    default:
      return -EINVAL;
  }
}

/** A header without storage, for kinds whose contents the host keeps; MAP_NATIVE is 0. Checks nothing. */
export function headerCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  const map = newHeader(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) return -ENOMEM;
  store<u32>(map, 0, MAP_NATIVE);
  return map;
}

/**
 * The same with max_entries slots of 8 bytes at MAP_VALUES, each a u32 address or 0: prog array (address of the
 * program's code), array of maps (address of the inner map's header).
 */
export function slotsCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  const map = headerCreate(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (map < 0 && map > -4096) return map;
  if (type == TYPE_ARRAY_OF_MAPS) store<u32>(map, 1, MAP_NATIVE);
  return arrayStorage(map);
}

/** Frees all memory of a map, header included. */
export function mapDestroy(map: u32): void {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_ARRAY:
    case TYPE_PERCPU_ARRAY:
    case TYPE_PROG_ARRAY:
    case TYPE_ARRAY_OF_MAPS:
      arrayDestroy(map);
      break;
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      hashDestroy(map);
      break;
    case TYPE_LPM_TRIE:
      lpmDestroy(map);
      break;
    case TYPE_QUEUE:
    case TYPE_STACK:
      queueDestroy(map);
      break;
    case TYPE_BLOOM_FILTER:
      bloomDestroy(map);
      break;
    case TYPE_RINGBUF:
    case TYPE_USER_RINGBUF:
      ringbufDestroy(map);
      break;
  }
  free(load<u32>(map, MAP_FIELDS));
  free(map);
}

/** `bpf_map_lookup_elem`: address of the value (of `cpu`), or of the inner map's header; 0: not there. */
export function mapLookup(map: u32, key: u32, cpu: u32): u32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_ARRAY:
      return arrayLookup(map, key);
    case TYPE_HASH:
      return hashLookup(map, key);
    case TYPE_PERCPU_ARRAY:
      return percpuArrayLookup(map, key, cpu);
    case TYPE_LRU_HASH:
      return lruLookup(map, key);
    case TYPE_PERCPU_HASH: {
      const value = hashLookup(map, key);
      return value ? value + cpu * load<u32>(map, MAP_VALUE_STRIDE) : 0;
    }
    case TYPE_LRU_PERCPU_HASH: {
      const value = lruLookup(map, key);
      return value ? value + cpu * load<u32>(map, MAP_VALUE_STRIDE) : 0;
    }
    case TYPE_LPM_TRIE:
      return lpmLookup(map, key);
    case TYPE_ARRAY_OF_MAPS: {
      const slot = arrayLookup(map, key);
      return slot ? load<u32>(slot) : 0;
    }
    case TYPE_HASH_OF_MAPS: {
      const slot = hashLookup(map, key);
      return slot ? load<u32>(slot) : 0;
    }
    default:
      return 0;
  }
}

/** Is there something about the map that its host side has to do or to know? */
@inline
function asksHost(map: u32): bool {
  return load<u32>(map, MAP_NATIVE) == 0;
}

/** `bpf_map_lookup_elem` on a map that is not known before the run (an inner map), or on a map of maps; or ASK_HOST. */
export function programLookup(map: u32, key: u32, cpu: u32): u32 {
  return asksHost(map) ? ASK_HOST : mapLookup(map, key, cpu);
}

/** `bpf_map_update_elem` on such a map; or ASK_HOST. */
export function programUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  if (asksHost(map) || holdsMaps(map) || load<u32>(map, MAP_FLAGS) & PROG_ACCESS) return ASK_HOST;
  return mapUpdate(map, key, value, flags, cpu);
}

/** `bpf_map_delete_elem` on such a map; or ASK_HOST. */
export function programDelete(map: u32, key: u32): i32 {
  if (asksHost(map) || holdsMaps(map) || load<u32>(map, MAP_FLAGS) & PROG_ACCESS) return ASK_HOST;
  return mapDelete(map, key);
}

@inline
function holdsMaps(map: u32): bool {
  const type = load<u32>(map, MAP_TYPE);
  return type == TYPE_ARRAY_OF_MAPS || type == TYPE_HASH_OF_MAPS;
}

/** The host's lookup: address of the element (all CPUs; the slot itself in map-in-map); marks nothing as used. */
export function mapFind(map: u32, key: u32): u32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_ARRAY:
    case TYPE_PERCPU_ARRAY:
    case TYPE_ARRAY_OF_MAPS:
    case TYPE_PROG_ARRAY:
      return arrayLookup(map, key);
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashLookup(map, key);
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
      return lruPeek(map, key);
    case TYPE_LPM_TRIE:
      return lpmLookup(map, key);
    default:
      return 0;
  }
}

/** `bpf_map_lookup_percpu_elem`: 0 also for a CPU that is not there and for maps that are not per-CPU. */
export function mapLookupPercpu(map: u32, key: u32, cpu: u32): u32 {
  if (cpu >= load<u32>(map, MAP_NUM_CPUS)) return 0;
  const type = load<u32>(map, MAP_TYPE);
  if (type == TYPE_PERCPU_ARRAY || type == TYPE_PERCPU_HASH || type == TYPE_LRU_PERCPU_HASH) {
    return mapLookup(map, key, cpu);
  }
  return 0;
}

/** `bpf_map_update_elem`. */
export function mapUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_ARRAY:
      return arrayUpdate(map, key, value, flags);
    case TYPE_PERCPU_ARRAY:
      return percpuArrayUpdate(map, key, value, flags, cpu);
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashUpdate(map, key, value, flags, cpu);
    case TYPE_LPM_TRIE:
      return lpmUpdate(map, key, value, flags);
    case TYPE_QUEUE:
    case TYPE_STACK:
    case TYPE_BLOOM_FILTER:
      return -EINVAL;
    default:
      return -ENOTSUPP;
  }
}

/** `bpf_map_delete_elem`. */
export function mapDelete(map: u32, key: u32): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashDelete(map, key);
    case TYPE_LPM_TRIE:
      return lpmDelete(map, key);
    case TYPE_ARRAY:
    case TYPE_PERCPU_ARRAY:
    case TYPE_QUEUE:
    case TYPE_STACK:
      return -EINVAL;
    case TYPE_BLOOM_FILTER:
      return -EOPNOTSUPP;
    default:
      return -ENOTSUPP;
  }
}

/** BPF_MAP_GET_NEXT_KEY: writes to `next` the key after `key` (0: the first). */
export function mapNextKey(map: u32, key: u32, next: u32): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_ARRAY:
    case TYPE_PERCPU_ARRAY:
    case TYPE_ARRAY_OF_MAPS:
    case TYPE_PROG_ARRAY:
      return arrayNextKey(map, key, next);
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashNextKey(map, key, next);
    case TYPE_LPM_TRIE:
      return lpmNextKey(map, key, next);
    case TYPE_QUEUE:
    case TYPE_STACK:
      return -EINVAL;
    case TYPE_BLOOM_FILTER:
      return -EOPNOTSUPP;
    default:
      return -ENOTSUPP;
  }
}

/** `bpf_map_push_elem`: queue, stack, bloom filter. */
export function mapPush(map: u32, value: u32, flags: u64): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_QUEUE:
    case TYPE_STACK:
      return queuePush(map, value, flags);
    case TYPE_BLOOM_FILTER:
      return bloomPush(map, value, flags);
    default:
      return -ENOTSUPP;
  }
}

/** `bpf_map_pop_elem`. */
export function mapPop(map: u32, value: u32): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_QUEUE:
      return queueTake(map, value, true);
    case TYPE_STACK:
      return stackTake(map, value, true);
    case TYPE_BLOOM_FILTER:
      return -EOPNOTSUPP;
    default:
      return -ENOTSUPP;
  }
}

/** `bpf_map_peek_elem`. */
export function mapPeek(map: u32, value: u32): i32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_QUEUE:
      return queueTake(map, value, false);
    case TYPE_STACK:
      return stackTake(map, value, false);
    case TYPE_BLOOM_FILTER:
      return bloomPeek(map, value);
    default:
      return -ENOTSUPP;
  }
}

/** Elements present; 0 for kinds that do not count. */
export function mapCount(map: u32): u32 {
  switch (load<u32>(map, MAP_TYPE)) {
    case TYPE_HASH:
    case TYPE_PERCPU_HASH:
    case TYPE_LRU_HASH:
    case TYPE_LRU_PERCPU_HASH:
    case TYPE_HASH_OF_MAPS:
      return hashCount(map);
    case TYPE_LPM_TRIE:
      return lpmCount(map);
    case TYPE_QUEUE:
    case TYPE_STACK:
      return queueCount(map);
    default:
      return 0;
  }
}
