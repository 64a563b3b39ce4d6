import { errnoName, type MapTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { MapSpec } from "../../object/index.ts";
import { MAP_FIELDS, MAP_ID, MAP_NATIVE } from "../layout.ts";
import {
  type Allocate,
  allocateArena,
  allocateArrayOfMaps,
  allocateCgroupStorage,
  allocateCpuMap,
  allocateDevMap,
  allocateFdArray,
  allocateHashOfMaps,
  allocateNative,
  allocateProgArray,
  allocateReuseport,
  allocateSockMap,
  allocateStackTrace,
  allocateStorage,
  allocateXskMap,
} from "./allocate.ts";
import { ArenaMap } from "./arena.ts";
import { ArrayMap, PercpuArrayMap } from "./array.ts";
import type { MapBase, MapParts } from "./base.ts";
import { BloomFilterMap } from "./bloom-filter.ts";
import { CgroupArrayMap } from "./cgroup-array.ts";
import { EINVAL, ENOMEM, EOPNOTSUPP } from "./constants.ts";
import { CpuMap } from "./cpumap.ts";
import { DevMap, DevMapHash } from "./devmap.ts";
import { HashMap, PercpuHashMap } from "./hash.ts";
import { CgroupStorageMap, LocalStorageMap } from "./local-storage.ts";
import { LpmTrieMap } from "./lpm-trie.ts";
import { LruHashMap, LruPercpuHashMap } from "./lru-hash.ts";
import type { CreateMapOptions, EmbeddedMap, SpecialField } from "./map.ts";
import { isErrno, type MapModule } from "./map-exports.ts";
import { ArrayOfMaps, HashOfMaps } from "./map-in-map.ts";
import { PerfEventArrayMap } from "./perf-event-array.ts";
import { ProgArrayMap } from "./prog-array.ts";
import { QueueStackMap } from "./queue-stack.ts";
import { RingBufferMap, UserRingBufferMap } from "./ring-buffer.ts";
import { ReuseportSockArray, SockHash, SockMap } from "./sock-maps.ts";
import { FIELD_CODES, specialFields } from "./special-fields.ts";
import { StackTraceMap } from "./stack-trace.ts";
import { XskMap } from "./xskmap.ts";

/** How a kind comes to be: its header and storage, then the object over them. */
interface MapKind {
  readonly allocate: Allocate;
  readonly make: (parts: MapParts, options: CreateMapOptions) => MapBase;
}

/** Behaviour of every map type of `abi/`; a string: why the embedded kernel has none. */
export const MAP_KINDS: Record<MapTypeName, MapKind | string> = {
  BPF_MAP_TYPE_HASH: { allocate: allocateNative, make: (p) => new HashMap(p) },
  BPF_MAP_TYPE_ARRAY: { allocate: allocateNative, make: (p) => new ArrayMap(p) },
  BPF_MAP_TYPE_PROG_ARRAY: { allocate: allocateProgArray, make: (p, o) => new ProgArrayMap(p, o) },
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: { allocate: allocateFdArray, make: (p) => new PerfEventArrayMap(p) },
  BPF_MAP_TYPE_PERCPU_HASH: { allocate: allocateNative, make: (p) => new PercpuHashMap(p) },
  BPF_MAP_TYPE_PERCPU_ARRAY: { allocate: allocateNative, make: (p) => new PercpuArrayMap(p) },
  BPF_MAP_TYPE_STACK_TRACE: { allocate: allocateStackTrace, make: (p) => new StackTraceMap(p) },
  BPF_MAP_TYPE_CGROUP_ARRAY: { allocate: allocateFdArray, make: (p) => new CgroupArrayMap(p) },
  BPF_MAP_TYPE_LRU_HASH: { allocate: allocateNative, make: (p) => new LruHashMap(p) },
  BPF_MAP_TYPE_LRU_PERCPU_HASH: { allocate: allocateNative, make: (p) => new LruPercpuHashMap(p) },
  BPF_MAP_TYPE_LPM_TRIE: { allocate: allocateNative, make: (p) => new LpmTrieMap(p) },
  BPF_MAP_TYPE_ARRAY_OF_MAPS: { allocate: allocateArrayOfMaps, make: (p, o) => new ArrayOfMaps(p, o) },
  BPF_MAP_TYPE_HASH_OF_MAPS: { allocate: allocateHashOfMaps, make: (p, o) => new HashOfMaps(p, o) },
  BPF_MAP_TYPE_DEVMAP: { allocate: allocateDevMap, make: (p, o) => new DevMap(p, o) },
  BPF_MAP_TYPE_SOCKMAP: { allocate: allocateSockMap, make: (p, o) => new SockMap(p, o) },
  BPF_MAP_TYPE_CPUMAP: { allocate: allocateCpuMap, make: (p, o) => new CpuMap(p, o) },
  BPF_MAP_TYPE_XSKMAP: { allocate: allocateXskMap, make: (p) => new XskMap(p) },
  BPF_MAP_TYPE_SOCKHASH: { allocate: allocateSockMap, make: (p, o) => new SockHash(p, o) },
  BPF_MAP_TYPE_CGROUP_STORAGE: { allocate: allocateCgroupStorage, make: (p) => new CgroupStorageMap(p) },
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: {
    allocate: allocateReuseport,
    make: (p, o) => new ReuseportSockArray(p, o),
  },
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: {
    allocate: allocateCgroupStorage,
    make: (p) => new CgroupStorageMap(p),
  },
  BPF_MAP_TYPE_QUEUE: { allocate: allocateNative, make: (p) => new QueueStackMap(p) },
  BPF_MAP_TYPE_STACK: { allocate: allocateNative, make: (p) => new QueueStackMap(p) },
  BPF_MAP_TYPE_SK_STORAGE: { allocate: allocateStorage, make: (p) => new LocalStorageMap(p) },
  BPF_MAP_TYPE_DEVMAP_HASH: { allocate: allocateDevMap, make: (p, o) => new DevMapHash(p, o) },
  BPF_MAP_TYPE_STRUCT_OPS:
    "struct_ops replaces functions of the Linux kernel; there are none here to replace",
  BPF_MAP_TYPE_RINGBUF: { allocate: allocateNative, make: (p) => new RingBufferMap(p) },
  BPF_MAP_TYPE_INODE_STORAGE: { allocate: allocateStorage, make: (p) => new LocalStorageMap(p) },
  BPF_MAP_TYPE_TASK_STORAGE: { allocate: allocateStorage, make: (p) => new LocalStorageMap(p) },
  BPF_MAP_TYPE_BLOOM_FILTER: { allocate: allocateNative, make: (p) => new BloomFilterMap(p) },
  BPF_MAP_TYPE_USER_RINGBUF: { allocate: allocateNative, make: (p) => new UserRingBufferMap(p) },
  BPF_MAP_TYPE_CGRP_STORAGE: { allocate: allocateStorage, make: (p) => new LocalStorageMap(p) },
  BPF_MAP_TYPE_ARENA: { allocate: allocateArena, make: (p) => new ArenaMap(p) },
};

/**
 * Creates a map in the module's linear memory: BPF_MAP_CREATE, then the globals' initial data.
 * @throws BpfError `runtime/map-unsupported`, or `runtime/map-create` with the kernel's `errno` (EINVAL, E2BIG, ENOMEM, ENOTSUPP …).
 */
export function createMap(module: MapModule, spec: MapSpec, options: CreateMapOptions): EmbeddedMap {
  const kind = MAP_KINDS[spec.type];
  if (typeof kind === "string") {
    throw new BpfError("runtime/map-unsupported", `map '${spec.name}' (${spec.type}): ${kind}`, {
      errno: "ENOTSUPP",
      subject: spec.name,
      hint: "load the object without its struct_ops maps and programs",
    });
  }
  checkNumbers(spec, options);
  const fields = specialFields(options.btf, spec.valueType, spec.valueSize);
  const { id, numCpus, btf, onFree, existing } = options;
  const parts = { spec, id, module, numCpus, btf, fields, onFree };
  if (existing !== undefined) return kind.make({ ...parts, address: existing }, options);
  const address = kind.allocate(module, spec, options);
  if (isErrno(address)) throw createError(spec, address);
  const at = address >>> 0;
  const misplaced = fields.find((field) => !FIELD_HOMES[field.kind].has(spec.type));
  if (misplaced !== undefined) {
    module.exports.mapDestroy(at);
    throw createError(spec, -EOPNOTSUPP, `${misplaced.kind} at offset ${misplaced.offset} of the value`);
  }
  if (!writeHeader(module, at, options.id, fields)) {
    module.exports.mapDestroy(at);
    throw createError(spec, -ENOMEM);
  }
  const map = kind.make({ ...parts, address: at }, options);
  if (spec.data !== undefined) initialise(map, spec.data);
  return map;
}

const STORAGES: readonly MapTypeName[] = [
  "BPF_MAP_TYPE_SK_STORAGE",
  "BPF_MAP_TYPE_INODE_STORAGE",
  "BPF_MAP_TYPE_TASK_STORAGE",
  "BPF_MAP_TYPE_CGRP_STORAGE",
];
const PLAIN: readonly MapTypeName[] = ["BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_LRU_HASH", "BPF_MAP_TYPE_ARRAY"];
const WITH_LOCK = new Set<MapTypeName>([
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_CGROUP_STORAGE",
  ...STORAGES,
]);
const WITH_TIMER = new Set<MapTypeName>(PLAIN);
const WITH_KPTR = new Set<MapTypeName>([
  ...PLAIN,
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
  ...STORAGES,
]);
/** Which kinds may hold a special field in their values: `map_check_btf` of kernel/bpf/syscall.c @ v6.12. */
const FIELD_HOMES: Readonly<Record<SpecialField["kind"], ReadonlySet<MapTypeName>>> = {
  "spin-lock": WITH_LOCK,
  timer: WITH_TIMER,
  workqueue: WITH_TIMER,
  "task-work": WITH_TIMER,
  kptr: WITH_KPTR,
  refcount: WITH_KPTR,
  "list-head": WITH_TIMER,
  "rb-root": WITH_TIMER,
  "list-node": WITH_KPTR,
  "rb-node": WITH_KPTR,
};

/** Sizes and counts must be u32: they go to wasm as they are. */
function checkNumbers(spec: MapSpec, options: CreateMapOptions): void {
  const numbers = [spec.keySize, spec.valueSize, spec.maxEntries, spec.flags, options.id];
  const fit = numbers.every((number) => Number.isInteger(number) && number >= 0 && number <= 0xffffffff);
  if (!fit || !(options.numCpus >= 1 && options.numCpus <= 8192)) throw createError(spec, -EINVAL);
}

/** Id and table of special fields; values with timers or kptrs are the host's business. False: no memory. */
function writeHeader(module: MapModule, map: number, id: number, fields: readonly SpecialField[]): boolean {
  module.memory.view.setUint32(map + MAP_ID, id, true);
  if (fields.length === 0) return true;
  const table = module.exports.alloc(4 + 12 * fields.length) >>> 0;
  if (table === 0) return false;
  const { view } = module.memory;
  view.setUint32(table, fields.length, true);
  for (const [i, field] of fields.entries()) {
    view.setUint32(table + 4 + 12 * i, field.offset, true);
    view.setUint32(table + 8 + 12 * i, field.size, true);
    view.setUint32(table + 12 + 12 * i, FIELD_CODES[field.kind], true);
  }
  view.setUint32(map + MAP_FIELDS, table, true);
  if (fields.some((field) => field.kind !== "spin-lock")) view.setUint32(map + MAP_NATIVE, 0, true);
  return true;
}

function initialise(map: MapBase, data: Uint8Array): void {
  const fits =
    (map instanceof ArrayMap && data.length <= map.spec.valueSize) ||
    (map instanceof ArenaMap && data.length <= map.size);
  if (!fits) {
    map.close();
    throw createError(map.spec, -EINVAL, "initial data does not fit the map");
  }
  map.initialise(data);
}

const CREATE_HINTS: Partial<Record<string, string>> = {
  EINVAL: "key size, value size, max_entries, flags or map_extra are not what this kind of map takes",
  E2BIG: "the map is larger than Linux allows; lower max_entries or the value size",
  ENOMEM: "the embedded kernel's memory limit is reached; lower max_entries or raise the limit",
  EOPNOTSUPP: "this kind of map cannot hold such a field; keep it in a hash or array map",
  ENOTSUPP: "this combination of flags is not supported by the kernel; LRU maps are always preallocated",
};

function createError(spec: MapSpec, errno: number, detail?: string): BpfError {
  const name = errnoName(-errno) ?? String(errno);
  const hint = CREATE_HINTS[name];
  const facts = `key ${spec.keySize}, value ${spec.valueSize}, max_entries ${spec.maxEntries}, flags ${spec.flags}`;
  return new BpfError(
    "runtime/map-create",
    `map '${spec.name}' (${spec.type}; ${facts}): ${detail === undefined ? "" : `${detail}: `}${name}`,
    { errno: name, subject: spec.name, ...(hint === undefined ? {} : { hint }) },
  );
}
