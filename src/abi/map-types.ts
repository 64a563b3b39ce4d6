/** Map types: `enum bpf_map_type` of include/uapi/linux/bpf.h. */
interface MapTypeRow {
  readonly id: number;
}

export const MAP_TYPES = {
  BPF_MAP_TYPE_HASH: { id: 1 },
  BPF_MAP_TYPE_ARRAY: { id: 2 },
  BPF_MAP_TYPE_PROG_ARRAY: { id: 3 },
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: { id: 4 },
  BPF_MAP_TYPE_PERCPU_HASH: { id: 5 },
  BPF_MAP_TYPE_PERCPU_ARRAY: { id: 6 },
  BPF_MAP_TYPE_STACK_TRACE: { id: 7 },
  BPF_MAP_TYPE_CGROUP_ARRAY: { id: 8 },
  BPF_MAP_TYPE_LRU_HASH: { id: 9 },
  BPF_MAP_TYPE_LRU_PERCPU_HASH: { id: 10 },
  BPF_MAP_TYPE_LPM_TRIE: { id: 11 },
  BPF_MAP_TYPE_ARRAY_OF_MAPS: { id: 12 },
  BPF_MAP_TYPE_HASH_OF_MAPS: { id: 13 },
  BPF_MAP_TYPE_DEVMAP: { id: 14 },
  BPF_MAP_TYPE_SOCKMAP: { id: 15 },
  BPF_MAP_TYPE_CPUMAP: { id: 16 },
  BPF_MAP_TYPE_XSKMAP: { id: 17 },
  BPF_MAP_TYPE_SOCKHASH: { id: 18 },
  BPF_MAP_TYPE_CGROUP_STORAGE: { id: 19 },
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: { id: 20 },
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: { id: 21 },
  BPF_MAP_TYPE_QUEUE: { id: 22 },
  BPF_MAP_TYPE_STACK: { id: 23 },
  BPF_MAP_TYPE_SK_STORAGE: { id: 24 },
  BPF_MAP_TYPE_DEVMAP_HASH: { id: 25 },
  BPF_MAP_TYPE_STRUCT_OPS: { id: 26 },
  BPF_MAP_TYPE_RINGBUF: { id: 27 },
  BPF_MAP_TYPE_INODE_STORAGE: { id: 28 },
  BPF_MAP_TYPE_TASK_STORAGE: { id: 29 },
  BPF_MAP_TYPE_BLOOM_FILTER: { id: 30 },
  BPF_MAP_TYPE_USER_RINGBUF: { id: 31 },
  BPF_MAP_TYPE_CGRP_STORAGE: { id: 32 },
  BPF_MAP_TYPE_ARENA: { id: 33 },
} as const satisfies Record<string, MapTypeRow>;
export type MapTypeName = keyof typeof MAP_TYPES;
