/**
 * What `key_size` or `value_size` may be: anything above 0, one number, one of several, or a range (both ends
 * included).
 */
export type SizeRule =
  | "any"
  | number
  | readonly number[]
  | { readonly min: number; readonly max?: number; readonly multipleOf?: number };

/** What an element's value is. Everything but "data" is given to bpf(2) as a file descriptor. */
export type MapValueKind =
  | "data"
  | "map"
  | "program"
  | "perf-event"
  | "cgroup"
  | "socket"
  | "xsk"
  | "device"
  | "cpu";

/** Operations of bpf(2): `pop` is BPF_MAP_LOOKUP_AND_DELETE_ELEM, `batch` all of BPF_MAP_*_BATCH. */
export type MapOperation = "lookup" | "update" | "delete" | "next" | "pop" | "batch";

/** A map type's facts. */
export interface MapTypeRow {
  readonly id: number;
  /** First kernel that has it. */
  readonly since: string;
  readonly keySize: SizeRule;
  readonly valueSize: SizeRule;
  /** "pages": a power of two and a multiple of the page size; "zero": must be 0; "optional": 0 is accepted. */
  readonly maxEntries: "positive" | "pages" | "zero" | "optional";
  /** Every CPU has a value of its own. */
  readonly perCpu: boolean;
  readonly holds: MapValueKind;
  readonly ops: readonly MapOperation[];
  /** The creator must have BTF for key and value. */
  readonly needsBtf?: true;
  /** BPF_F_NO_PREALLOC must be given. */
  readonly needsNoPrealloc?: true;
}

/** Map types: `enum bpf_map_type` of include/uapi/linux/bpf.h, rules of the `map_alloc_check`s @ v6.12. */
// biome-ignore format: one map type a line.
export const MAP_TYPES = {
  BPF_MAP_TYPE_HASH: { id: 1, since: "3.19", keySize: "any", valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "delete", "next", "pop", "batch"] },
  BPF_MAP_TYPE_ARRAY: { id: 2, since: "3.19", keySize: 4, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "next", "batch"] },
  BPF_MAP_TYPE_PROG_ARRAY: { id: 3, since: "4.2", keySize: 4, valueSize: 4, maxEntries: "positive", perCpu: false, holds: "program", ops: ["lookup", "update", "delete", "next"] },
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: { id: 4, since: "4.3", keySize: 4, valueSize: 4, maxEntries: "positive", perCpu: false, holds: "perf-event", ops: ["update", "delete", "next"] },
  BPF_MAP_TYPE_PERCPU_HASH: { id: 5, since: "4.6", keySize: "any", valueSize: "any", maxEntries: "positive", perCpu: true, holds: "data", ops: ["lookup", "update", "delete", "next", "pop", "batch"] },
  BPF_MAP_TYPE_PERCPU_ARRAY: { id: 6, since: "4.6", keySize: 4, valueSize: "any", maxEntries: "positive", perCpu: true, holds: "data", ops: ["lookup", "update", "next", "batch"] },
  BPF_MAP_TYPE_STACK_TRACE: { id: 7, since: "4.6", keySize: 4, valueSize: { min: 8, multipleOf: 8 }, maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "delete", "next"] },
  BPF_MAP_TYPE_CGROUP_ARRAY: { id: 8, since: "4.8", keySize: 4, valueSize: 4, maxEntries: "positive", perCpu: false, holds: "cgroup", ops: ["update", "delete", "next"] },
  BPF_MAP_TYPE_LRU_HASH: { id: 9, since: "4.10", keySize: "any", valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "delete", "next", "pop", "batch"] },
  BPF_MAP_TYPE_LRU_PERCPU_HASH: { id: 10, since: "4.10", keySize: "any", valueSize: "any", maxEntries: "positive", perCpu: true, holds: "data", ops: ["lookup", "update", "delete", "next", "pop", "batch"] },
  BPF_MAP_TYPE_LPM_TRIE: { id: 11, since: "4.11", keySize: { min: 5, max: 260 }, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "delete", "next", "batch"], needsNoPrealloc: true },
  BPF_MAP_TYPE_ARRAY_OF_MAPS: { id: 12, since: "4.12", keySize: 4, valueSize: 4, maxEntries: "positive", perCpu: false, holds: "map", ops: ["lookup", "update", "delete", "next", "batch"] },
  BPF_MAP_TYPE_HASH_OF_MAPS: { id: 13, since: "4.12", keySize: "any", valueSize: 4, maxEntries: "positive", perCpu: false, holds: "map", ops: ["lookup", "update", "delete", "next", "batch"] },
  BPF_MAP_TYPE_DEVMAP: { id: 14, since: "4.14", keySize: 4, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "device", ops: ["lookup", "update", "delete", "next"] },
  BPF_MAP_TYPE_SOCKMAP: { id: 15, since: "4.14", keySize: 4, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "socket", ops: ["lookup", "update", "delete", "next", "batch"] },
  BPF_MAP_TYPE_CPUMAP: { id: 16, since: "4.15", keySize: 4, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "cpu", ops: ["lookup", "update", "delete", "next"] },
  BPF_MAP_TYPE_XSKMAP: { id: 17, since: "4.18", keySize: 4, valueSize: 4, maxEntries: "positive", perCpu: false, holds: "xsk", ops: ["update", "delete", "next"] },
  BPF_MAP_TYPE_SOCKHASH: { id: 18, since: "4.18", keySize: { min: 1, max: 512 }, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "socket", ops: ["lookup", "update", "delete", "next", "batch"] },
  BPF_MAP_TYPE_CGROUP_STORAGE: { id: 19, since: "4.19", keySize: [8, 16], valueSize: "any", maxEntries: "zero", perCpu: false, holds: "data", ops: ["lookup", "update", "next"] },
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: { id: 20, since: "4.19", keySize: 4, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "socket", ops: ["lookup", "update", "delete", "next"] },
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: { id: 21, since: "4.20", keySize: [8, 16], valueSize: "any", maxEntries: "zero", perCpu: true, holds: "data", ops: ["lookup", "update", "next"] },
  BPF_MAP_TYPE_QUEUE: { id: 22, since: "4.20", keySize: 0, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "pop"] },
  BPF_MAP_TYPE_STACK: { id: 23, since: "4.20", keySize: 0, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "pop"] },
  BPF_MAP_TYPE_SK_STORAGE: { id: 24, since: "5.2", keySize: 4, valueSize: "any", maxEntries: "zero", perCpu: false, holds: "data", ops: ["lookup", "update", "delete"], needsBtf: true, needsNoPrealloc: true },
  BPF_MAP_TYPE_DEVMAP_HASH: { id: 25, since: "5.4", keySize: 4, valueSize: [4, 8], maxEntries: "positive", perCpu: false, holds: "device", ops: ["lookup", "update", "delete", "next"] },
  BPF_MAP_TYPE_STRUCT_OPS: { id: 26, since: "5.6", keySize: 4, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update", "delete", "next"], needsBtf: true },
  BPF_MAP_TYPE_RINGBUF: { id: 27, since: "5.8", keySize: 0, valueSize: 0, maxEntries: "pages", perCpu: false, holds: "data", ops: [] },
  BPF_MAP_TYPE_INODE_STORAGE: { id: 28, since: "5.10", keySize: 4, valueSize: "any", maxEntries: "zero", perCpu: false, holds: "data", ops: ["lookup", "update", "delete"], needsBtf: true, needsNoPrealloc: true },
  BPF_MAP_TYPE_TASK_STORAGE: { id: 29, since: "5.11", keySize: 4, valueSize: "any", maxEntries: "zero", perCpu: false, holds: "data", ops: ["lookup", "update", "delete"], needsBtf: true, needsNoPrealloc: true },
  BPF_MAP_TYPE_BLOOM_FILTER: { id: 30, since: "5.16", keySize: 0, valueSize: "any", maxEntries: "positive", perCpu: false, holds: "data", ops: ["lookup", "update"] },
  BPF_MAP_TYPE_USER_RINGBUF: { id: 31, since: "6.1", keySize: 0, valueSize: 0, maxEntries: "pages", perCpu: false, holds: "data", ops: [] },
  BPF_MAP_TYPE_CGRP_STORAGE: { id: 32, since: "6.2", keySize: 4, valueSize: "any", maxEntries: "zero", perCpu: false, holds: "data", ops: ["lookup", "update", "delete"], needsBtf: true, needsNoPrealloc: true },
  BPF_MAP_TYPE_ARENA: { id: 33, since: "6.9", keySize: 0, valueSize: 0, maxEntries: "positive", perCpu: false, holds: "data", ops: [] },
} as const satisfies Record<string, MapTypeRow>;
export type MapTypeName = keyof typeof MAP_TYPES;

/** The row of a map type, with every optional fact readable. */
export function mapTypeRow(type: MapTypeName): MapTypeRow {
  return MAP_TYPES[type];
}

/** True when `size` obeys the rule. */
export function sizeAllowed(rule: SizeRule, size: number): boolean {
  if (rule === "any") return size > 0;
  if (typeof rule === "number") return size === rule;
  if ("min" in rule) {
    return size >= rule.min && size <= (rule.max ?? Infinity) && size % (rule.multipleOf ?? 1) === 0;
  }
  return rule.includes(size);
}
