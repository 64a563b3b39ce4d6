// The exports of assembly/maps/exports.ts for several threads. What is not wrapped only reads what never changes, or
// belongs to the host's thread (creating and destroying maps, walking buckets).
import { ASK_HOST, MAP_FIELDS, MAP_LOCK, MAP_NATIVE, MAP_TYPE, MAP_VERSION } from "../../src/runtime/layout";
import { BPF_F_LOCK, FIELD_SPIN_LOCK } from "../../src/runtime/maps/constants";
import { lockWord, unlockWord } from "../locks";
import { TYPE_ARRAY, TYPE_PERCPU_ARRAY } from "../maps/array";
import * as plain from "../maps/exports";
import { ringbufOf } from "../maps/ring-buffer";

export {
  arrayLookup,
  hashBucketCount,
  hashBucketHead,
  hashNextBucket,
  hashNodeKey,
  hashNodeNext,
  hashNodeValue,
  hashVictim,
  headerCreate,
  mapCount,
  mapCreate,
  mapDestroy,
  percpuArrayLookup,
  ringbufConsume,
  ringbufLost,
  ringbufPeek,
  ringbufQuery,
  ringbufWakeups,
  slotsCreate,
  userRingbufPeek,
  userRingbufReserve,
} from "../maps/exports";

/** Lookups that found the map changed, before they wait for those who change it. */
const RETRIES: u32 = 8;

/** From here on lookups see that the map is changing. */
@inline
function lock(map: u32): void {
  lockWord(map + <u32>MAP_LOCK);
  atomic.store<u32>(map, load<u32>(map, MAP_VERSION) + 1, MAP_VERSION);
}

@inline
function unlock(map: u32): void {
  atomic.store<u32>(map, load<u32>(map, MAP_VERSION) + 1, MAP_VERSION);
  unlockWord(map + <u32>MAP_LOCK);
}

@inline
function version(map: u32): u32 {
  return atomic.load<u32>(map, MAP_VERSION);
}

/** Nothing changed since `before`, and nothing was changing then. */
@inline
function still(map: u32, before: u32): bool {
  return !(before & 1) && version(map) == before;
}

@inline
function isArray(map: u32): bool {
  const type = load<u32>(map, MAP_TYPE);
  return type == TYPE_ARRAY || type == TYPE_PERCPU_ARRAY;
}

export function hashLookup(map: u32, key: u32): u32 {
  for (let tries: u32 = 0; tries < RETRIES; tries++) {
    const before = version(map);
    const value = plain.hashLookup(map, key);
    if (still(map, before)) return value;
  }
  lock(map);
  const value = plain.hashLookup(map, key);
  unlock(map);
  return value;
}

export function lruLookup(map: u32, key: u32): u32 {
  for (let tries: u32 = 0; tries < RETRIES; tries++) {
    const before = version(map);
    const value = plain.lruLookup(map, key);
    if (still(map, before)) return value;
  }
  lock(map);
  const value = plain.lruLookup(map, key);
  unlock(map);
  return value;
}

export function lpmLookup(map: u32, key: u32): u32 {
  for (let tries: u32 = 0; tries < RETRIES; tries++) {
    const before = version(map);
    const value = plain.lpmLookup(map, key);
    if (still(map, before)) return value;
  }
  lock(map);
  const value = plain.lpmLookup(map, key);
  unlock(map);
  return value;
}

export function mapLookup(map: u32, key: u32, cpu: u32): u32 {
  if (isArray(map)) return plain.mapLookup(map, key, cpu);
  for (let tries: u32 = 0; tries < RETRIES; tries++) {
    const before = version(map);
    const value = plain.mapLookup(map, key, cpu);
    if (still(map, before)) return value;
  }
  lock(map);
  const value = plain.mapLookup(map, key, cpu);
  unlock(map);
  return value;
}

export function programLookup(map: u32, key: u32, cpu: u32): u32 {
  return load<u32>(map, MAP_NATIVE) == 0 ? ASK_HOST : mapLookup(map, key, cpu);
}

/** Rare enough to be left to the host, which asks the map's kind and comes back to `mapUpdate`. */
export function programUpdate(_map: u32, _key: u32, _value: u32, _flags: u64, _cpu: u32): i32 {
  return ASK_HOST;
}

export function programDelete(_map: u32, _key: u32): i32 {
  return ASK_HOST;
}

export function mapLookupPercpu(map: u32, key: u32, cpu: u32): u32 {
  if (isArray(map)) return plain.mapLookupPercpu(map, key, cpu);
  lock(map);
  const value = plain.mapLookupPercpu(map, key, cpu);
  unlock(map);
  return value;
}

export function mapFind(map: u32, key: u32): u32 {
  if (isArray(map)) return plain.mapFind(map, key);
  lock(map);
  const value = plain.mapFind(map, key);
  unlock(map);
  return value;
}

export function mapNextKey(map: u32, key: u32, next: u32): i32 {
  lock(map);
  const error = plain.mapNextKey(map, key, next);
  unlock(map);
  return error;
}

/** The `struct bpf_spin_lock` in the value of `key`; 0: no such element. */
function spinLockOf(map: u32, key: u32): u32 {
  const value = plain.mapFind(map, key);
  const table = load<u32>(map, MAP_FIELDS);
  if (!value || !table) return 0;
  const end = table + 4 + load<u32>(table) * 12;
  for (let row = table + 4; row < end; row += 12) {
    if (load<u32>(row, 8) == FIELD_SPIN_LOCK) return value + load<u32>(row);
  }
  return 0;
}

export function mapUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  if (flags & BPF_F_LOCK) return updateLocked(map, key, value, flags, cpu);
  if (isArray(map)) return plain.mapUpdate(map, key, value, flags, cpu);
  lock(map);
  const error = plain.mapUpdate(map, key, value, flags, cpu);
  unlock(map);
  return error;
}

/** BPF_F_LOCK: the value is written under its own spin lock. Who holds one calls no helpers, so it is given back. */
function updateLocked(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  lock(map);
  const spin = spinLockOf(map, key);
  if (spin) lockWord(spin);
  const error = plain.mapUpdate(map, key, value, flags, cpu);
  if (spin) unlockWord(spin);
  unlock(map);
  return error;
}

export function arrayUpdate(map: u32, key: u32, value: u32, flags: u64): i32 {
  return flags & BPF_F_LOCK ? updateLocked(map, key, value, flags, 0) : plain.arrayUpdate(map, key, value, flags);
}

export function hashUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return mapUpdate(map, key, value, flags, cpu);
}

export function hashUpdate4(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return mapUpdate(map, key, value, flags, cpu);
}

export function hashUpdate8(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return mapUpdate(map, key, value, flags, cpu);
}

export function hashUpdate12(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return mapUpdate(map, key, value, flags, cpu);
}

export function hashUpdate16(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  return mapUpdate(map, key, value, flags, cpu);
}

export function mapDelete(map: u32, key: u32): i32 {
  lock(map);
  const error = plain.mapDelete(map, key);
  unlock(map);
  return error;
}

export function hashDelete(map: u32, key: u32): i32 {
  return mapDelete(map, key);
}

export function mapPush(map: u32, value: u32, flags: u64): i32 {
  lock(map);
  const error = plain.mapPush(map, value, flags);
  unlock(map);
  return error;
}

export function mapPop(map: u32, value: u32): i32 {
  lock(map);
  const error = plain.mapPop(map, value);
  unlock(map);
  return error;
}

export function mapPeek(map: u32, value: u32): i32 {
  lock(map);
  const error = plain.mapPeek(map, value);
  unlock(map);
  return error;
}

export function ringbufReserve(map: u32, size: u64, flags: u64): u32 {
  lock(map);
  const record = plain.ringbufReserve(map, size, flags);
  unlock(map);
  return record;
}

export function ringbufOutput(map: u32, data: u32, size: u64, flags: u64): i32 {
  lock(map);
  const error = plain.ringbufOutput(map, data, size, flags);
  unlock(map);
  return error;
}

/** The lock also makes what was written to the record visible before its header. */
export function ringbufSubmit(record: u32, flags: u64): void {
  const map = ringbufOf(record);
  lock(map);
  plain.ringbufSubmit(record, flags);
  unlock(map);
}

export function ringbufDiscard(record: u32, flags: u64): void {
  const map = ringbufOf(record);
  lock(map);
  plain.ringbufDiscard(record, flags);
  unlock(map);
}

/** Around ringbufPeek, reading and ringbufConsume: nobody else takes records out or puts them in. */
export function consumerEnter(map: u32): void {
  lock(map);
}

export function consumerLeave(map: u32): void {
  unlock(map);
}
