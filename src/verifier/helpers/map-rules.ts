// One table: which helpers work on which map types.
import type { AttachTypeName, HelperName, MapTypeName, ProgramTypeName } from "../../abi/index.ts";

/** Map types that only these helpers take. */
// biome-ignore format: one map type a line.
const HELPERS_OF_MAP: Readonly<Partial<Record<MapTypeName, readonly HelperName[]>>> = {
  BPF_MAP_TYPE_PROG_ARRAY: ["tail_call"],
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: ["perf_event_read", "perf_event_output", "skb_output", "perf_event_read_value", "xdp_output"],
  BPF_MAP_TYPE_RINGBUF: ["ringbuf_output", "ringbuf_reserve", "ringbuf_query", "ringbuf_reserve_dynptr", "ringbuf_submit_dynptr", "ringbuf_discard_dynptr"],
  BPF_MAP_TYPE_USER_RINGBUF: ["user_ringbuf_drain"],
  BPF_MAP_TYPE_STACK_TRACE: ["get_stackid"],
  BPF_MAP_TYPE_CGROUP_ARRAY: ["skb_under_cgroup", "current_task_under_cgroup"],
  BPF_MAP_TYPE_CGROUP_STORAGE: ["get_local_storage"],
  BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE: ["get_local_storage"],
  BPF_MAP_TYPE_DEVMAP: ["redirect_map", "map_lookup_elem"],
  BPF_MAP_TYPE_DEVMAP_HASH: ["redirect_map", "map_lookup_elem"],
  BPF_MAP_TYPE_CPUMAP: ["redirect_map"],
  BPF_MAP_TYPE_XSKMAP: ["redirect_map", "map_lookup_elem"],
  BPF_MAP_TYPE_ARRAY_OF_MAPS: ["map_lookup_elem"],
  BPF_MAP_TYPE_HASH_OF_MAPS: ["map_lookup_elem"],
  BPF_MAP_TYPE_SOCKMAP: ["sk_redirect_map", "sock_map_update", "msg_redirect_map", "sk_select_reuseport", "map_lookup_elem"],
  BPF_MAP_TYPE_SOCKHASH: ["sk_redirect_hash", "sock_hash_update", "msg_redirect_hash", "sk_select_reuseport", "map_lookup_elem"],
  BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: ["sk_select_reuseport"],
  BPF_MAP_TYPE_QUEUE: ["map_peek_elem", "map_pop_elem", "map_push_elem"],
  BPF_MAP_TYPE_STACK: ["map_peek_elem", "map_pop_elem", "map_push_elem"],
  BPF_MAP_TYPE_SK_STORAGE: ["sk_storage_get", "sk_storage_delete", "kptr_xchg"],
  BPF_MAP_TYPE_INODE_STORAGE: ["inode_storage_get", "inode_storage_delete", "kptr_xchg"],
  BPF_MAP_TYPE_TASK_STORAGE: ["task_storage_get", "task_storage_delete", "kptr_xchg"],
  BPF_MAP_TYPE_CGRP_STORAGE: ["cgrp_storage_get", "cgrp_storage_delete", "kptr_xchg"],
  BPF_MAP_TYPE_BLOOM_FILTER: ["map_peek_elem", "map_push_elem"],
};

/** Helpers that take only these map types. */
// biome-ignore format: one helper a line.
const MAPS_OF_HELPER: Readonly<Partial<Record<HelperName, readonly MapTypeName[]>>> = {
  tail_call: ["BPF_MAP_TYPE_PROG_ARRAY"],
  perf_event_read: ["BPF_MAP_TYPE_PERF_EVENT_ARRAY"],
  perf_event_output: ["BPF_MAP_TYPE_PERF_EVENT_ARRAY"],
  perf_event_read_value: ["BPF_MAP_TYPE_PERF_EVENT_ARRAY"],
  skb_output: ["BPF_MAP_TYPE_PERF_EVENT_ARRAY"],
  xdp_output: ["BPF_MAP_TYPE_PERF_EVENT_ARRAY"],
  ringbuf_output: ["BPF_MAP_TYPE_RINGBUF"],
  ringbuf_reserve: ["BPF_MAP_TYPE_RINGBUF"],
  ringbuf_query: ["BPF_MAP_TYPE_RINGBUF"],
  ringbuf_reserve_dynptr: ["BPF_MAP_TYPE_RINGBUF"],
  ringbuf_submit_dynptr: ["BPF_MAP_TYPE_RINGBUF"],
  ringbuf_discard_dynptr: ["BPF_MAP_TYPE_RINGBUF"],
  user_ringbuf_drain: ["BPF_MAP_TYPE_USER_RINGBUF"],
  get_stackid: ["BPF_MAP_TYPE_STACK_TRACE"],
  current_task_under_cgroup: ["BPF_MAP_TYPE_CGROUP_ARRAY"],
  skb_under_cgroup: ["BPF_MAP_TYPE_CGROUP_ARRAY"],
  redirect_map: ["BPF_MAP_TYPE_DEVMAP", "BPF_MAP_TYPE_DEVMAP_HASH", "BPF_MAP_TYPE_CPUMAP", "BPF_MAP_TYPE_XSKMAP"],
  sk_redirect_map: ["BPF_MAP_TYPE_SOCKMAP"],
  msg_redirect_map: ["BPF_MAP_TYPE_SOCKMAP"],
  sock_map_update: ["BPF_MAP_TYPE_SOCKMAP"],
  sk_redirect_hash: ["BPF_MAP_TYPE_SOCKHASH"],
  msg_redirect_hash: ["BPF_MAP_TYPE_SOCKHASH"],
  sock_hash_update: ["BPF_MAP_TYPE_SOCKHASH"],
  get_local_storage: ["BPF_MAP_TYPE_CGROUP_STORAGE", "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE"],
  sk_select_reuseport: ["BPF_MAP_TYPE_REUSEPORT_SOCKARRAY", "BPF_MAP_TYPE_SOCKMAP", "BPF_MAP_TYPE_SOCKHASH"],
  map_pop_elem: ["BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK"],
  map_peek_elem: ["BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK", "BPF_MAP_TYPE_BLOOM_FILTER"],
  map_push_elem: ["BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK", "BPF_MAP_TYPE_BLOOM_FILTER"],
  map_lookup_percpu_elem: ["BPF_MAP_TYPE_PERCPU_ARRAY", "BPF_MAP_TYPE_PERCPU_HASH", "BPF_MAP_TYPE_LRU_PERCPU_HASH"],
  sk_storage_get: ["BPF_MAP_TYPE_SK_STORAGE"],
  sk_storage_delete: ["BPF_MAP_TYPE_SK_STORAGE"],
  inode_storage_get: ["BPF_MAP_TYPE_INODE_STORAGE"],
  inode_storage_delete: ["BPF_MAP_TYPE_INODE_STORAGE"],
  task_storage_get: ["BPF_MAP_TYPE_TASK_STORAGE"],
  task_storage_delete: ["BPF_MAP_TYPE_TASK_STORAGE"],
  cgrp_storage_get: ["BPF_MAP_TYPE_CGRP_STORAGE"],
  cgrp_storage_delete: ["BPF_MAP_TYPE_CGRP_STORAGE"],
};

/** Program types in which no socket is locked: they may change sockmaps. `may_update_sockmap` @ v6.18 */
const SOCKMAP_WRITERS: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_SOCKET_FILTER",
  "BPF_PROG_TYPE_SCHED_CLS",
  "BPF_PROG_TYPE_SCHED_ACT",
  "BPF_PROG_TYPE_XDP",
  "BPF_PROG_TYPE_SK_REUSEPORT",
  "BPF_PROG_TYPE_FLOW_DISSECTOR",
  "BPF_PROG_TYPE_SK_LOOKUP",
]);

/** Why a helper does not take a map; "sockmap": it does, but not in a program of this type. */
export type MapRefusal = "no" | "sockmap";

/** Undefined: the helper takes the map. `check_map_func_compatibility` @ v6.18 */
export function mapRefusal(
  helper: HelperName,
  map: MapTypeName,
  type: ProgramTypeName,
  attach: AttachTypeName | undefined,
): MapRefusal | undefined {
  const helpers = HELPERS_OF_MAP[map];
  if (helpers !== undefined && !helpers.includes(helper)) {
    const isSockmap = map === "BPF_MAP_TYPE_SOCKMAP" || map === "BPF_MAP_TYPE_SOCKHASH";
    if (!isSockmap || (helper !== "map_update_elem" && helper !== "map_delete_elem")) return "no";
    if (!mayUpdateSockmap(helper, type, attach)) return "sockmap";
  }
  const maps = MAPS_OF_HELPER[helper];
  return maps !== undefined && !maps.includes(map) ? "no" : undefined;
}

function mayUpdateSockmap(
  helper: HelperName,
  type: ProgramTypeName,
  attach: AttachTypeName | undefined,
): boolean {
  if (type === "BPF_PROG_TYPE_TRACING") return attach === "BPF_TRACE_ITER";
  if (type === "BPF_PROG_TYPE_SOCK_OPS") return helper === "map_delete_elem";
  return SOCKMAP_WRITERS.has(type);
}

/** Map types with `map_for_each_callback`. */
export const ITERABLE_MAPS: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
]);
