import { MAP_TYPES, type MapTypeName } from "../../abi/index.ts";
import type { MapSpec } from "../../object/index.ts";
import { MAP_NATIVE, MAP_VALUES } from "../layout.ts";
import { ARENA_PAGE, ARENA_WASM_PAGES } from "./arena.ts";
import {
  BPF_F_CLONE,
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_F_NO_USER_CONV,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_SEGV_ON_FAULT,
  BPF_F_STACK_BUILD_ID,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  E2BIG,
  EINVAL,
  ENOMEM,
  ENOTSUPP,
  ERANGE,
  MAX_PERCPU_VALUE,
} from "./constants.ts";
import type { CreateMapOptions } from "./map.ts";
import { isErrno, type MapModule } from "./map-exports.ts";

/** Address of a new map's header, or -errno: the kind's `map_alloc_check` and `map_alloc` @ v6.12. */
export type Allocate = (module: MapModule, spec: MapSpec, options: CreateMapOptions) => number;

const USER_ACCESS = BPF_F_RDONLY | BPF_F_WRONLY;
const PROGRAM_ACCESS = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const ACCESS = USER_ACCESS | PROGRAM_ACCESS;
/** NR_CPUS of a distribution kernel. */
const MAX_CPUS = 8192;
/** perf_event_max_stack. */
const MAX_STACK = 127;
const BUILD_ID_BYTES = 32;
/** BPF_LOCAL_STORAGE_MAX_VALUE_SIZE: what an skb-sized allocation holds less the element's header. */
const MAX_STORAGE_VALUE = 65408;

/** `bpf_map_flags_access_ok`. */
function accessOk(flags: number): boolean {
  return (flags & PROGRAM_ACCESS) !== PROGRAM_ACCESS;
}

function only(spec: MapSpec, allowed: number): boolean {
  return (spec.flags & ~allowed) === 0;
}

function header(module: MapModule, spec: MapSpec, options: CreateMapOptions): number {
  return module.exports.headerCreate(
    MAP_TYPES[spec.type].id,
    spec.keySize,
    spec.valueSize,
    spec.maxEntries,
    spec.flags,
    options.numCpus,
  );
}

function slots(module: MapModule, spec: MapSpec, options: CreateMapOptions): number {
  return module.exports.slotsCreate(
    MAP_TYPES[spec.type].id,
    spec.keySize,
    spec.valueSize,
    spec.maxEntries,
    spec.flags,
    options.numCpus,
  );
}

/** `array_map_alloc_check` for kinds without data of their own. */
function arrayCheck(spec: MapSpec): number {
  if (spec.maxEntries === 0 || spec.keySize !== 4 || spec.valueSize === 0) return -EINVAL;
  if (!only(spec, BPF_F_NUMA_NODE | BPF_F_MMAPABLE | ACCESS | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP)) {
    return -EINVAL;
  }
  if (!accessOk(spec.flags) || (spec.flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) !== 0) return -EINVAL;
  const preserve = (spec.flags & BPF_F_PRESERVE_ELEMS) !== 0;
  return preserve && spec.type !== "BPF_MAP_TYPE_PERF_EVENT_ARRAY" ? -EINVAL : 0;
}

/** `fd_array_map_alloc_check`. */
function fdArrayCheck(spec: MapSpec): number {
  if (spec.valueSize !== 4 || (spec.flags & PROGRAM_ACCESS) !== 0) return -EINVAL;
  return arrayCheck(spec);
}

export const allocateNative: Allocate = (module, spec, options) =>
  module.exports.mapCreate(
    MAP_TYPES[spec.type].id,
    spec.keySize,
    spec.valueSize,
    spec.maxEntries,
    spec.flags,
    BigInt.asUintN(64, spec.mapExtra),
    options.numCpus,
  );

/** Prog array: slots that engines read. */
export const allocateProgArray: Allocate = (module, spec, options) =>
  fdArrayCheck(spec) || slots(module, spec, options);

/** Perf event array, cgroup array. */
export const allocateFdArray: Allocate = (module, spec, options) =>
  fdArrayCheck(spec) || header(module, spec, options);

export const allocateReuseport: Allocate = (module, spec, options) =>
  (spec.valueSize !== 4 && spec.valueSize !== 8 ? -EINVAL : arrayCheck(spec)) ||
  header(module, spec, options);

/** Kinds that cannot be inner maps: no `map_meta_equal` (ENOTSUPP), or maps of maps themselves (EINVAL). */
const NO_INNER: Partial<Record<MapTypeName, number>> = {
  BPF_MAP_TYPE_PROG_ARRAY: -ENOTSUPP,
  BPF_MAP_TYPE_CGROUP_STORAGE: -ENOTSUPP,
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: -ENOTSUPP,
  BPF_MAP_TYPE_STRUCT_OPS: -ENOTSUPP,
  BPF_MAP_TYPE_ARRAY_OF_MAPS: -EINVAL,
  BPF_MAP_TYPE_HASH_OF_MAPS: -EINVAL,
};

function innerCheck(spec: MapSpec, options: CreateMapOptions): number {
  const inner = options.inner ?? spec.inner;
  return inner === undefined ? -EINVAL : (NO_INNER[inner.type] ?? 0);
}

export const allocateArrayOfMaps: Allocate = (module, spec, options) =>
  fdArrayCheck(spec) || innerCheck(spec, options) || slots(module, spec, options);

export const allocateHashOfMaps: Allocate = (module, spec, options) => {
  if (spec.valueSize !== 4) return -EINVAL;
  const map = allocateNative(module, spec, options);
  const error = isErrno(map) ? 0 : innerCheck(spec, options);
  if (error < 0) module.exports.mapDestroy(map);
  return error || map;
};

export const allocateDevMap: Allocate = (module, spec, options) => {
  if (spec.maxEntries === 0 || spec.keySize !== 4 || (spec.valueSize !== 4 && spec.valueSize !== 8))
    return -EINVAL;
  if (!only(spec, BPF_F_NUMA_NODE | USER_ACCESS)) return -EINVAL;
  if (spec.type === "BPF_MAP_TYPE_DEVMAP_HASH" && spec.maxEntries > 0x80000000) return -EINVAL;
  return header(module, spec, options);
};

export const allocateCpuMap: Allocate = (module, spec, options) => {
  if (spec.maxEntries === 0 || spec.keySize !== 4 || (spec.valueSize !== 4 && spec.valueSize !== 8))
    return -EINVAL;
  if (!only(spec, BPF_F_NUMA_NODE)) return -EINVAL;
  return spec.maxEntries > MAX_CPUS ? -E2BIG : header(module, spec, options);
};

export const allocateXskMap: Allocate = (module, spec, options) => {
  if (spec.maxEntries === 0 || spec.keySize !== 4 || spec.valueSize !== 4) return -EINVAL;
  return only(spec, BPF_F_NUMA_NODE | USER_ACCESS) ? header(module, spec, options) : -EINVAL;
};

export const allocateSockMap: Allocate = (module, spec, options) => {
  const hash = spec.type === "BPF_MAP_TYPE_SOCKHASH";
  if (spec.maxEntries === 0 || (hash ? spec.keySize === 0 : spec.keySize !== 4)) return -EINVAL;
  if (spec.valueSize !== 4 && spec.valueSize !== 8) return -EINVAL;
  if (!only(spec, BPF_F_NUMA_NODE | USER_ACCESS)) return -EINVAL;
  return hash && spec.keySize > 512 ? -E2BIG : header(module, spec, options);
};

export const allocateStackTrace: Allocate = (module, spec, options) => {
  if (!only(spec, BPF_F_NUMA_NODE | USER_ACCESS | BPF_F_STACK_BUILD_ID)) return -EINVAL;
  if (spec.maxEntries === 0 || spec.keySize !== 4 || spec.valueSize < 8 || spec.valueSize % 8 !== 0)
    return -EINVAL;
  const step = (spec.flags & BPF_F_STACK_BUILD_ID) !== 0 ? BUILD_ID_BYTES : 8;
  if (spec.valueSize % step !== 0 || spec.valueSize / step > MAX_STACK) return -EINVAL;
  return spec.maxEntries > 0x80000000 ? -E2BIG : header(module, spec, options);
};

/** `bpf_local_storage_map_alloc_check`. */
export const allocateStorage: Allocate = (module, spec, options) => {
  if (!only(spec, BPF_F_NO_PREALLOC | BPF_F_CLONE) || (spec.flags & BPF_F_NO_PREALLOC) === 0) return -EINVAL;
  if (spec.maxEntries !== 0 || spec.keySize !== 4 || spec.valueSize === 0) return -EINVAL;
  if (spec.keyType === 0 || spec.valueType === 0) return -EINVAL;
  return spec.valueSize > MAX_STORAGE_VALUE ? -E2BIG : header(module, spec, options);
};

export const allocateCgroupStorage: Allocate = (module, spec, options) => {
  if ((spec.keySize !== 8 && spec.keySize !== 16) || spec.valueSize === 0) return -EINVAL;
  const percpu = spec.type === "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE";
  if (spec.valueSize > (percpu ? MAX_PERCPU_VALUE : MAX_STORAGE_VALUE)) return -E2BIG;
  if (!only(spec, BPF_F_NUMA_NODE | ACCESS) || !accessOk(spec.flags) || spec.maxEntries !== 0) return -EINVAL;
  return header(module, spec, options);
};

export const allocateArena: Allocate = (module, spec, options) => {
  if (spec.keySize !== 0 || spec.valueSize !== 0 || spec.maxEntries === 0) return -EINVAL;
  if ((spec.flags & BPF_F_MMAPABLE) === 0) return -EINVAL;
  if (!only(spec, BPF_F_SEGV_ON_FAULT | BPF_F_MMAPABLE | BPF_F_NO_USER_CONV)) return -EINVAL;
  const bytes = spec.maxEntries * ARENA_PAGE;
  if (spec.mapExtra % BigInt(ARENA_PAGE) !== 0n) return -EINVAL;
  if (bytes > 2 ** 32) return -E2BIG;
  const last = BigInt.asUintN(64, spec.mapExtra + BigInt(bytes) - 1n);
  if (spec.mapExtra >> 32n !== last >> 32n) return -ERANGE;
  const map = header(module, spec, options);
  if (isErrno(map)) return map;
  const pages = Math.ceil(bytes / 65536);
  const base = module.exports.allocPages(pages) >>> 0;
  if (base === 0) {
    module.exports.mapDestroy(map);
    return -ENOMEM;
  }
  const { view } = module.memory;
  view.setUint32((map >>> 0) + MAP_VALUES, base, true);
  view.setUint32((map >>> 0) + ARENA_WASM_PAGES, pages, true);
  view.setUint32((map >>> 0) + MAP_NATIVE, 0, true);
  return map;
};
