import type { Memory } from "../memory.ts";
import { MAX_ERRNO } from "./constants.ts";

/**
 * What `assembly/maps/exports.ts` exports. Addresses come back as i32: take them `>>> 0`. u64 parameters are bigints.
 * Documented there.
 */
export interface MapExports {
  alloc(size: number): number;
  free(address: number): void;
  allocPages(pages: number): number;
  freePages(address: number, pages: number): void;
  allocatedBytes(): number;
  setMemoryLimit(pages: number): void;
  mapCreate(
    type: number,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    extra: bigint,
    numCpus: number,
  ): number;
  headerCreate(
    type: number,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    numCpus: number,
  ): number;
  slotsCreate(
    type: number,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    numCpus: number,
  ): number;
  mapDestroy(map: number): void;
  mapLookup(map: number, key: number, cpu: number): number;
  mapFind(map: number, key: number): number;
  mapLookupPercpu(map: number, key: number, cpu: number): number;
  mapUpdate(map: number, key: number, value: number, flags: bigint, cpu: number): number;
  mapDelete(map: number, key: number): number;
  mapNextKey(map: number, key: number, next: number): number;
  mapPush(map: number, value: number, flags: bigint): number;
  mapPop(map: number, value: number): number;
  mapPeek(map: number, value: number): number;
  mapCount(map: number): number;
  hashVictim(map: number): number;
  hashBucketCount(map: number): number;
  hashBucketHead(map: number, bucket: number): number;
  hashNextBucket(map: number, bucket: number): number;
  hashNodeKey(map: number, node: number): number;
  hashNodeNext(node: number): number;
  hashNodeValue(map: number, node: number): number;
  ringbufReserve(map: number, size: bigint, flags: bigint): number;
  ringbufSubmit(record: number, flags: bigint): void;
  ringbufDiscard(record: number, flags: bigint): void;
  ringbufOutput(map: number, data: number, size: bigint, flags: bigint): number;
  ringbufQuery(map: number, what: bigint): bigint;
  ringbufPeek(map: number): number;
  ringbufConsume(map: number): void;
  ringbufLost(map: number): number;
  ringbufWakeups(map: number): number;
  /** Shared memory only: taking records out of a ring buffer, one thread at a time. */
  consumerEnter?(map: number): void;
  consumerLeave?(map: number): void;
  userRingbufPeek(map: number): number;
  userRingbufReserve(map: number, size: number): number;
}

/** The wasm module as maps see it: what `openKernelModule` gives is one. */
export interface MapModule {
  readonly memory: Memory;
  readonly exports: MapExports;
}

/** True for an i32 result that is -errno and not an address. */
export function isErrno(result: number): boolean {
  return result < 0 && result >= -MAX_ERRNO;
}
