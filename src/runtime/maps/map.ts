import type { ProgramTypeName } from "../../abi/index.ts";
import type { Btf } from "../../btf/index.ts";
import type { BpfMap, EventRecord, MapSpec, RedirectTarget } from "../../object/index.ts";

/**
 * A map of the embedded kernel: bpf(2)'s view of it for the host ({@link BpfMap}), plus what programs do to it
 * ({@link EmbeddedMap.program}). Made by `createMap`.
 */
export interface EmbeddedMap extends BpfMap {
  /** Address of the map header (`layout.ts`): the value of a CONST_PTR_TO_MAP register. */
  readonly address: number;
  readonly numCpus: number;
  /** Elements present now: max_entries for arrays, queued values for queue and stack, 0 where nothing counts. */
  readonly count: number;
  readonly frozen: boolean;
  /** Spin locks, timers, kptrs … inside each value, by offset. */
  readonly fields: readonly SpecialField[];
  /** What a program's lookup gives: decides the provenance of r0. */
  readonly lookupGives: LookupResult;
  /** What programs (helpers) may do; operations the kind forbids answer with the kernel's errno. */
  readonly program: ProgramSide;
  /** BPF_MAP_LOOKUP_BATCH. @throws BpfError with `errno` (EINVAL, ENOSPC, ENOTSUPP …). */
  lookupBatch(count: number, cursor?: BatchCursor): BatchResult;
  /** BPF_MAP_LOOKUP_AND_DELETE_BATCH: hash kinds only. */
  lookupAndDeleteBatch(count: number, cursor?: BatchCursor): BatchResult;
  /** BPF_MAP_UPDATE_BATCH; returns how many were done. @throws BpfError at the first that fails (`done` in its message). */
  updateBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[], flag?: number): number;
  /** BPF_MAP_DELETE_BATCH; a key that is not there ends the batch (the kernel's ENOENT); returns how many were done. */
  deleteBatch(keys: readonly Uint8Array[]): number;
  /** Frees the map's memory. Idempotent; using the map afterwards is an error of the caller. */
  close(): void;
}

/** Opaque position inside a batch walk, from {@link BatchResult.next}. */
export type BatchCursor = Uint8Array;

export interface BatchResult {
  readonly keys: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
  /** Pass it to the next call; undefined when the end was reached (the kernel's ENOENT). */
  readonly next: BatchCursor | undefined;
}

/** A field of a map value that the kernel manages itself. Found through BTF. */
export interface SpecialField {
  readonly kind:
    | "spin-lock"
    | "timer"
    | "kptr"
    | "workqueue"
    | "task-work"
    | "list-head"
    | "list-node"
    | "rb-root"
    | "rb-node"
    | "refcount";
  /** Bytes from the start of the value. */
  readonly offset: number;
  readonly size: number;
}

/**
 * What `bpf_map_lookup_elem` returns to a program: address of a value of value_size bytes; address of another map's
 * header; address of a socket (refcounted or not); nothing ever (the verifier refuses the call).
 */
export type LookupResult = "value" | "map" | "socket" | "xdp-socket" | "none";

/** A loaded program as prog arrays, devmaps and cpumaps hold it. */
export interface ProgramHandle {
  /** bpf(2) program id; never 0. */
  readonly id: number;
  /** What the engine jumps to on a tail call (stored at MAP_VALUES + 8 × index of a prog array); never 0. */
  readonly address: number;
  readonly name: string;
  readonly type: ProgramTypeName;
  /** Prog arrays take only programs alike: the first one decides. @default type */
  readonly compatKey?: string;
}

/** Where maps find what an id in a value (map-in-map, prog array, devmap program) stands for. bpf(2) takes fds here. */
export interface ObjectRegistry {
  mapById(id: number): EmbeddedMap | undefined;
  programById(id: number): ProgramHandle | undefined;
  /** Socket maps: address of the `struct bpf_sock` of the socket with that id, and back; 0: none. */
  socketAddress?(id: number): number;
  socketId?(address: number): number;
}

/** A sample at the head of a user ring buffer. */
export interface UserSample {
  readonly address: number;
  readonly size: number;
}

/**
 * A map as helpers see it. Arguments named `key` and `value` are addresses in linear memory, already checked by the
 * engine; `cpu` is the CPU of the run. Numbers returned are addresses (0: NULL) or 0 / -errno as said. `flags` is the
 * u64 argument as a number (bits above 2^53 may be rounded: they are invalid anyway).
 */
export interface ProgramSide {
  /** `bpf_map_lookup_elem`: address of the value (see {@link LookupResult}) or 0. */
  lookupElem(key: number, cpu: number): number;
  /** `bpf_map_lookup_percpu_elem`: 0 for a CPU out of range and for kinds that are not per-CPU. */
  lookupPercpuElem(key: number, cpu: number): number;
  /** `bpf_map_update_elem`: 0 or -errno. */
  updateElem(key: number, value: number, flags: number, cpu: number): number;
  /** `bpf_map_delete_elem`: 0 or -errno. */
  deleteElem(key: number): number;
  /** `bpf_map_push_elem` (queue, stack, bloom filter): 0 or -errno. */
  pushElem(value: number, flags: number): number;
  /** `bpf_map_pop_elem`: 0 or -errno (ENOENT: empty). */
  popElem(value: number): number;
  /** `bpf_map_peek_elem` (bloom filter: 0 probably there, -ENOENT certainly not). */
  peekElem(value: number): number;
  /**
   * `bpf_for_each_map_elem`: calls `visit` with addresses of key and value until it returns true (stop). The key of
   * array kinds lies in scratch memory of the map. Returns the number of visited elements or -errno.
   */
  forEach(visit: (key: number, value: number) => boolean, cpu: number, flags?: number): number;

  /** `bpf_ringbuf_reserve`: address of the record's `size` bytes, or 0 when full (counted as lost). */
  ringbufReserve(size: number, flags: number): number;
  /** `bpf_ringbuf_submit` of a record from {@link ringbufReserve}. */
  ringbufSubmit(record: number, flags: number): void;
  ringbufDiscard(record: number, flags: number): void;
  /** `bpf_ringbuf_output`: 0 or -errno (EAGAIN: full). */
  ringbufOutput(data: number, size: number, flags: number): number;
  /** `bpf_ringbuf_query`: BPF_RB_AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS; 0 for anything else. */
  ringbufQuery(what: number): number;

  /**
   * `bpf_user_ringbuf_drain`, one step: the next sample, or -errno: ENODATA (empty), EAGAIN (discarded: consumed,
   * go on), EINVAL, E2BIG, EBUSY.
   */
  userRingbufPeek(): UserSample | number;
  /** Ends the sample from {@link userRingbufPeek}: the producer may reuse its bytes. */
  userRingbufRelease(): void;

  /**
   * `bpf_perf_event_output`: stores one record. `index` is the slot (BPF_F_CURRENT_CPU already replaced by `cpu`).
   * 0 or -errno: E2BIG (no such slot), ENOENT (nothing there), EOPNOTSUPP (slot of another CPU), ENOSPC (full, lost).
   */
  eventOutput(index: number, cpu: number, data: Uint8Array): number;

  /** Prog array: the program in slot `index`. */
  programAt(index: number): ProgramHandle | undefined;
  /** `bpf_redirect_map` on devmap, devmap hash, cpumap, xskmap: where the entry at `index` sends packets. */
  redirectTarget(index: number): RedirectTarget | undefined;
  /** All targets of a devmap (BPF_F_BROADCAST). */
  redirectTargets(): readonly RedirectTarget[];
  /** Sockmap, sockhash, reuseport array, xskmap: id of the socket under `key`, 0: none. */
  socketAt(key: number): number;
  /** `bpf_sock_map_update`, `bpf_sock_hash_update`: 0 or -errno. */
  socketUpdate(key: number, socket: number, flags: number): number;

  /**
   * `bpf_{task,sk,inode,cgrp}_storage_get`, `bpf_get_local_storage`: the value kept for object `owner`; made (a copy of
   * the bytes at `init`, zeroes when 0) when absent and `create`; 0: none.
   */
  storageGet(owner: number, create: boolean, init: number, cpu: number): number;
  /** `bpf_*_storage_delete`: 0 or -ENOENT. */
  storageDelete(owner: number): number;

  /** Cgroup array: id of the cgroup in slot `index`, 0: none. */
  cgroupAt(index: number): number;
  /** `bpf_get_stackid`: id of the bucket holding these instruction addresses, or -errno (EEXIST, ENOMEM, EFAULT). */
  stackId(addresses: readonly bigint[], flags: number): number;

  /** `bpf_arena_alloc_pages`: address of `pages` zeroed 4096-byte pages, 0 when there is no room. */
  arenaAlloc(address: number, pages: number): number;
  /** `bpf_arena_free_pages`. */
  arenaFree(address: number, pages: number): void;
}

/** Ring buffer and perf event array: the host consumes records. */
export interface EmbeddedEventMap extends EmbeddedMap {
  drain(): EventRecord[];
  readonly lost: number;
  /** Times a program's record asked for the consumer to be woken (BPF_RB_* flags honoured). */
  readonly wakeups: number;
  /** Puts in front of what is drained next what another thread has drained; `lost`: what it found no room for. */
  deliver(records: readonly EventRecord[], lost: number): void;
}

/** Ring buffer, perf event array. */
export function hasEvents(map: EmbeddedMap): map is EmbeddedEventMap {
  return "drain" in map;
}

/** User ring buffer: the host produces samples. */
export interface EmbeddedUserRing extends EmbeddedMap {
  /** False when there is no room. */
  produce(data: Uint8Array): boolean;
}

/** Arena: one contiguous range of linear memory. */
export interface EmbeddedArena extends EmbeddedMap {
  /** First address and size in bytes of the range. */
  readonly base: number;
  readonly size: number;
}

/** What `createMap` needs besides the spec. */
export interface CreateMapOptions {
  /** bpf(2) map id; MAP_ID of the header; never 0. */
  readonly id: number;
  readonly numCpus: number;
  /** BTF of `spec.keyType` and `spec.valueType`. */
  readonly btf?: Btf | undefined;
  /** Needed for kinds that hold maps or programs. */
  readonly registry?: ObjectRegistry;
  /** Another thread made the map, in the memory that both share: its header. */
  readonly existing?: number;
  /** Template of the inner maps: an already created map like them; default: a map made from `spec.inner`, freed again. */
  readonly inner?: MapSpec;
  /**
   * Called before a value with timers, kptrs … goes away (delete, replace, close): `value` is its address. The owner
   * of timers cancels them here.
   */
  readonly onFree?: (map: EmbeddedMap, value: number) => void;
}
