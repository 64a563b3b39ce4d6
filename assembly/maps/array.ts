// Array and per-CPU array: values in one block, element `index` at MAP_VALUES + index × MAP_ELEM_BYTES; in a per-CPU
// array an element holds one value for each CPU, MAP_VALUE_STRIDE apart. kernel/bpf/arraymap.c @ v6.12.
// Also the storage of slot kinds whose slots hold addresses (prog array, array of maps), stride 8.
import {
  MAP_ELEM_BYTES,
  MAP_MAX_ENTRIES,
  MAP_VALUES,
  MAP_VALUE_STRIDE,
} from "../../src/runtime/layout";
import {
  BPF_EXIST,
  BPF_F_INNER_MAP,
  BPF_F_LOCK,
  BPF_F_MMAPABLE,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  E2BIG,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  MAX_PERCPU_VALUE,
} from "../../src/runtime/maps/constants";
import { alloc64, free } from "../alloc";
import { ALL_CPUS, copyPercpuValue, copyValue, cpusOf, hasSpinLock, newHeader, programAccessOk } from "./header";

export const TYPE_ARRAY: u32 = 2;
export const TYPE_PERCPU_ARRAY: u32 = 6;
const FLAG_MASK: u32 =
  BPF_F_NUMA_NODE |
  BPF_F_MMAPABLE |
  BPF_F_RDONLY |
  BPF_F_WRONLY |
  BPF_F_RDONLY_PROG |
  BPF_F_WRONLY_PROG |
  BPF_F_PRESERVE_ELEMS |
  BPF_F_INNER_MAP;

export function arrayCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  const percpu = type == TYPE_PERCPU_ARRAY;
  if (maxEntries == 0 || keySize != 4 || valueSize == 0 || flags & ~FLAG_MASK) return -EINVAL;
  if (!programAccessOk(flags) || (percpu && flags & BPF_F_NUMA_NODE)) return -EINVAL;
  if (type != TYPE_ARRAY && flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) return -EINVAL;
  if (flags & BPF_F_PRESERVE_ELEMS) return -EINVAL;
  if (valueSize > 0x7fffffff) return -E2BIG;
  if (percpu && valueSize > <u32>MAX_PERCPU_VALUE) return -E2BIG;
  const map = newHeader(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) return -ENOMEM;
  if (percpu) store<u32>(map, load<u32>(map, MAP_VALUE_STRIDE) * numCpus, MAP_ELEM_BYTES);
  return arrayStorage(map);
}

/** Allocates MAP_VALUES; the map or -ENOMEM (then the header is gone too). */
export function arrayStorage(map: u32): i32 {
  const values = alloc64(<u64>load<u32>(map, MAP_MAX_ENTRIES) * load<u32>(map, MAP_ELEM_BYTES));
  if (!values) {
    free(map);
    return -ENOMEM;
  }
  store<u32>(map, values, MAP_VALUES);
  return map;
}

export function arrayDestroy(map: u32): void {
  free(load<u32>(map, MAP_VALUES));
}

@inline
export function arrayLookup(map: u32, key: u32): u32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return load<u32>(map, MAP_VALUES) + index * load<u32>(map, MAP_ELEM_BYTES);
}

@inline
export function percpuArrayLookup(map: u32, key: u32, cpu: u32): u32 {
  const element = arrayLookup(map, key);
  return element ? element + cpu * load<u32>(map, MAP_VALUE_STRIDE) : 0;
}

export function arrayUpdate(map: u32, key: u32, value: u32, flags: u64): i32 {
  if ((flags & ~(<u64>BPF_F_LOCK)) > <u64>BPF_EXIST) return -EINVAL;
  const target = arrayLookup(map, key);
  if (!target) return -E2BIG;
  if (flags & BPF_NOEXIST) return -EEXIST;
  if (flags & BPF_F_LOCK && !hasSpinLock(map)) return -EINVAL;
  copyValue(map, target, value);
  return 0;
}

export function percpuArrayUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32 {
  if (flags > <u64>BPF_EXIST) return -EINVAL;
  const target = arrayLookup(map, key);
  if (!target) return -E2BIG;
  if (flags == BPF_NOEXIST) return -EEXIST;
  const stride = load<u32>(map, MAP_VALUE_STRIDE);
  if (cpu != ALL_CPUS) {
    copyValue(map, target + cpu * stride, value);
    return 0;
  }
  const cpus = cpusOf(map);
  for (let i: u32 = 0; i < cpus; i++) copyPercpuValue(map, target + i * stride, value + i * stride);
  return 0;
}

/** Key 0: none. An index past the end starts again at 0. */
export function arrayNextKey(map: u32, key: u32, next: u32): i32 {
  const max = load<u32>(map, MAP_MAX_ENTRIES);
  const index = key ? load<u32>(key) : 0xffffffff;
  if (index >= max) {
    store<u32>(next, 0);
    return 0;
  }
  if (index == max - 1) return -ENOENT;
  store<u32>(next, index + 1);
  return 0;
}
