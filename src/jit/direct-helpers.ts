/**
 * A helper that does its work in the kernel module (assembly/), so that compiled programs call it as one wasm function
 * calls another. What the host would otherwise keep about a run (references, provenance, an open lock) is left out: the
 * program is trusted with it.
 */
export interface DirectHelper {
  /** Number in include/uapi/linux/bpf.h. */
  readonly id: number;
  /** The module's function. */
  readonly name: string;
  /** r1, r2 … as it takes them: low half, or all 64 bits. */
  readonly args: readonly ("i32" | "i64")[];
  /** Takes the CPU of the run behind them. */
  readonly cpu?: true;
  /** What it gives: an i32 that is sign-extended, an address or other u32, 64 bits, nothing (r0 is 0). */
  readonly result: "errno" | "u32" | "i64" | "none";
  /** May answer {@link ASK_HOST} instead: then the host is called. */
  readonly asks?: true;
  /** Only with a map of one of these types (BPF_MAP_TYPE_*) in r1. */
  readonly maps?: readonly number[];
  /** Asks about the moment, of which the host keeps copies in the kernel module (assembly/helpers/current.ts). */
  readonly moment?: true;
  /** Only in programs with this context. */
  readonly context?: "xdp_md" | "__sk_buff";
}

const XDP = "xdp_md";
const SKB = "__sk_buff";
const QUEUES = [22, 23, 30];
const PERCPU = [5, 6, 10];

/** All direct helpers by name. */
export const DIRECT_HELPERS = {
  // Maps that are known when the program is compiled have ways of their own (lower-call.ts).
  map_lookup_elem: {
    id: 1,
    name: "programLookup",
    args: ["i32", "i32"],
    cpu: true,
    result: "u32",
    asks: true,
  },
  map_update_elem: {
    id: 2,
    name: "programUpdate",
    args: ["i32", "i32", "i32", "i64"],
    cpu: true,
    result: "errno",
    asks: true,
  },
  map_delete_elem: { id: 3, name: "programDelete", args: ["i32", "i32"], result: "errno", asks: true },
  map_push_elem: { id: 87, name: "mapPush", args: ["i32", "i32", "i64"], result: "errno", maps: QUEUES },
  map_pop_elem: { id: 88, name: "mapPop", args: ["i32", "i32"], result: "errno", maps: QUEUES },
  map_peek_elem: { id: 89, name: "mapPeek", args: ["i32", "i32"], result: "errno", maps: QUEUES },
  map_lookup_percpu_elem: {
    id: 195,
    name: "mapLookupPercpu",
    args: ["i32", "i32", "i32"],
    result: "u32",
    maps: PERCPU,
  },
  ringbuf_output: {
    id: 130,
    name: "ringbufOutput",
    args: ["i32", "i32", "i64", "i64"],
    result: "errno",
  },
  ringbuf_reserve: {
    id: 131,
    name: "ringbufReserve",
    args: ["i32", "i64", "i64"],
    result: "u32",
  },
  ringbuf_submit: { id: 132, name: "ringbufSubmit", args: ["i32", "i64"], result: "none" },
  ringbuf_discard: { id: 133, name: "ringbufDiscard", args: ["i32", "i64"], result: "none" },
  ringbuf_query: { id: 134, name: "ringbufQuery", args: ["i32", "i64"], result: "i64" },
  xdp_adjust_head: { id: 44, name: "xdpAdjustHead", args: ["i32", "i32"], result: "errno", context: XDP },
  xdp_adjust_meta: { id: 54, name: "xdpAdjustMeta", args: ["i32", "i32"], result: "errno", context: XDP },
  xdp_adjust_tail: {
    id: 65,
    name: "xdpAdjustTail",
    args: ["i32", "i32"],
    result: "errno",
    asks: true,
    context: XDP,
  },
  xdp_get_buff_len: { id: 188, name: "xdpGetBuffLen", args: ["i32"], result: "u32", context: XDP },
  xdp_load_bytes: {
    id: 189,
    name: "xdpLoadBytes",
    args: ["i32", "i32", "i32", "i32"],
    result: "errno",
    asks: true,
    context: XDP,
  },
  xdp_store_bytes: {
    id: 190,
    name: "xdpStoreBytes",
    args: ["i32", "i32", "i32", "i32"],
    result: "errno",
    asks: true,
    context: XDP,
  },
  skb_load_bytes: {
    id: 26,
    name: "skbLoadBytes",
    args: ["i32", "i32", "i32", "i32"],
    result: "errno",
    asks: true,
    context: SKB,
  },
  skb_load_bytes_relative: {
    id: 68,
    name: "skbLoadBytesRelative",
    args: ["i32", "i32", "i32", "i32", "i32"],
    result: "errno",
    context: SKB,
  },
  skb_store_bytes: {
    id: 9,
    name: "skbStoreBytes",
    args: ["i32", "i32", "i32", "i32", "i64"],
    result: "errno",
    asks: true,
    context: SKB,
  },
  skb_pull_data: {
    id: 39,
    name: "skbPullData",
    args: ["i32", "i32"],
    result: "errno",
    asks: true,
    context: SKB,
  },
  l3_csum_replace: {
    id: 10,
    name: "l3CsumReplace",
    args: ["i32", "i32", "i64", "i64", "i64"],
    result: "errno",
    asks: true,
    context: SKB,
  },
  l4_csum_replace: {
    id: 11,
    name: "l4CsumReplace",
    args: ["i32", "i32", "i64", "i64", "i64"],
    result: "errno",
    asks: true,
    context: SKB,
  },
  csum_diff: { id: 28, name: "csumDiff", args: ["i32", "i32", "i32", "i32", "i32"], result: "u32" },
  probe_read: { id: 4, name: "probeReadUser", args: ["i32", "i32", "i64"], result: "errno" },
  probe_read_user: { id: 112, name: "probeReadUser", args: ["i32", "i32", "i64"], result: "errno" },
  probe_read_kernel: { id: 113, name: "probeReadKernel", args: ["i32", "i32", "i64"], result: "errno" },
  probe_read_str: { id: 45, name: "probeReadUserStr", args: ["i32", "i32", "i64"], result: "errno" },
  probe_read_user_str: { id: 114, name: "probeReadUserStr", args: ["i32", "i32", "i64"], result: "errno" },
  probe_read_kernel_str: {
    id: 115,
    name: "probeReadKernelStr",
    args: ["i32", "i32", "i64"],
    result: "errno",
  },
  copy_from_user: { id: 148, name: "probeReadUser", args: ["i32", "i32", "i64"], result: "errno" },
  ktime_get_ns: { id: 5, name: "ktimeGetNs", args: [], result: "i64", moment: true },
  ktime_get_boot_ns: { id: 125, name: "ktimeGetNs", args: [], result: "i64", moment: true },
  ktime_get_coarse_ns: { id: 160, name: "ktimeGetCoarseNs", args: [], result: "i64", moment: true },
  ktime_get_tai_ns: { id: 208, name: "ktimeGetTaiNs", args: [], result: "i64", moment: true },
  jiffies64: { id: 118, name: "jiffies64", args: [], result: "i64", moment: true },
  get_prandom_u32: { id: 7, name: "getPrandomU32", args: [], result: "u32", moment: true },
  get_numa_node_id: { id: 42, name: "getNumaNodeId", args: [], result: "u32", moment: true },
  get_current_pid_tgid: { id: 14, name: "getCurrentPidTgid", args: [], result: "i64", moment: true },
  get_current_uid_gid: { id: 15, name: "getCurrentUidGid", args: [], result: "i64", moment: true },
  get_current_comm: { id: 16, name: "getCurrentComm", args: ["i32", "i32"], result: "errno", moment: true },
  strncmp: { id: 182, name: "strncmp", args: ["i32", "i32", "i32"], result: "errno" },
} as const satisfies Record<string, DirectHelper>;

/** Name of a direct helper. */
export type DirectHelperName = keyof typeof DIRECT_HELPERS;
/** Name of a function of the kernel module that a direct helper is. */
export type DirectFunction = (typeof DIRECT_HELPERS)[DirectHelperName]["name"];

/** The direct helpers by number. */
export function directHelpers(): ReadonlyMap<number, DirectHelper> {
  return new Map(Object.values<DirectHelper>(DIRECT_HELPERS).map((row) => [row.id, row]));
}
