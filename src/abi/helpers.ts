// One table: every helper function of the Linux ABI, with its prototype.
import type { ProgramTypeName } from "./program-types.ts";

/** What an argument of a helper stands for; the memory kinds say how the helper uses the memory. */
export interface ArgTypeRow {
  readonly kind:
    | "anything"
    | "scalar"
    | "size"
    | "map"
    | "key"
    | "value"
    | "memory"
    | "context"
    | "socket"
    | "object"
    | "function"
    | "stack"
    | "ringbuf-record"
    | "dynptr"
    | "spin-lock"
    | "timer"
    | "const-string"
    | "kptr";
  /** A null pointer is accepted. */
  readonly nullable?: true;
  /** "size": zero is accepted. */
  readonly orZero?: true;
  /** "size": must be a constant known at load time. */
  readonly constant?: true;
  /** Memory kinds: `read` and `write` want initialised memory, `uninit` memory the helper fills. */
  readonly access?: "read" | "write" | "uninit";
  /** "memory": fixed size in bytes; without it the next argument is the size. */
  readonly size?: number;
  /** "dynptr": only of this make. */
  readonly dynptr?: "local" | "ringbuf";
}

/**
 * Argument types, named as the kernel names them without `ARG_`; flags are spelled into the name:
 * `| MEM_RDONLY` is the plain name, `MEM_WRITE` and `MEM_UNINIT` are `…_WRITE` and `…_UNINIT_…`, `PTR_MAYBE_NULL` is
 * `…_OR_NULL`, a fixed size is the number at the end.
 * @see include/linux/bpf.h `enum bpf_arg_type` @ v6.12
 */
export const ARG_TYPES = {
  ANYTHING: { kind: "anything" },
  SCALAR: { kind: "scalar" },
  CONST_SIZE: { kind: "size" },
  CONST_SIZE_OR_ZERO: { kind: "size", orZero: true },
  CONST_ALLOC_SIZE_OR_ZERO: { kind: "size", orZero: true, constant: true },
  CONST_MAP_PTR: { kind: "map" },
  PTR_TO_MAP_KEY: { kind: "key", access: "read" },
  PTR_TO_MAP_VALUE: { kind: "value", access: "read" },
  PTR_TO_MAP_VALUE_OR_NULL: { kind: "value", access: "read", nullable: true },
  PTR_TO_UNINIT_MAP_VALUE: { kind: "value", access: "uninit" },
  PTR_TO_MEM: { kind: "memory", access: "read" },
  PTR_TO_MEM_OR_NULL: { kind: "memory", access: "read", nullable: true },
  PTR_TO_MEM_WRITE: { kind: "memory", access: "write" },
  PTR_TO_MEM_WRITE_OR_NULL: { kind: "memory", access: "write", nullable: true },
  PTR_TO_UNINIT_MEM: { kind: "memory", access: "uninit" },
  PTR_TO_FIXED_SIZE_MEM_20: { kind: "memory", access: "read", size: 20 },
  PTR_TO_FIXED_SIZE_MEM_40: { kind: "memory", access: "read", size: 40 },
  PTR_TO_FIXED_SIZE_MEM_WRITE_4: { kind: "memory", access: "write", size: 4 },
  PTR_TO_UNINIT_FIXED_SIZE_MEM_8: { kind: "memory", access: "uninit", size: 8 },
  PTR_TO_CTX: { kind: "context" },
  PTR_TO_CTX_OR_NULL: { kind: "context", nullable: true },
  PTR_TO_SOCKET_OR_NULL: { kind: "socket", nullable: true },
  PTR_TO_SOCK_COMMON: { kind: "socket" },
  PTR_TO_BTF_ID_SOCK_COMMON: { kind: "socket" },
  PTR_TO_BTF_ID_SOCK_COMMON_OR_NULL: { kind: "socket", nullable: true },
  PTR_TO_BTF_ID: { kind: "object" },
  PTR_TO_BTF_ID_OR_NULL: { kind: "object", nullable: true },
  PTR_TO_PERCPU_BTF_ID: { kind: "object" },
  PTR_TO_FUNC: { kind: "function" },
  PTR_TO_STACK_OR_NULL: { kind: "stack", nullable: true },
  PTR_TO_RINGBUF_MEM: { kind: "ringbuf-record" },
  PTR_TO_DYNPTR: { kind: "dynptr", access: "read" },
  PTR_TO_DYNPTR_RINGBUF: { kind: "dynptr", access: "read", dynptr: "ringbuf" },
  PTR_TO_UNINIT_DYNPTR_LOCAL: { kind: "dynptr", access: "uninit", dynptr: "local" },
  PTR_TO_UNINIT_DYNPTR_RINGBUF: { kind: "dynptr", access: "uninit", dynptr: "ringbuf" },
  PTR_TO_SPIN_LOCK: { kind: "spin-lock" },
  PTR_TO_TIMER: { kind: "timer" },
  PTR_TO_CONST_STR: { kind: "const-string", access: "read" },
  KPTR_XCHG_DEST: { kind: "kptr" },
} as const satisfies Record<string, ArgTypeRow>;
export type ArgType = keyof typeof ARG_TYPES;

/** What r0 is after the call: the kernel's names without `RET_`. @see `enum bpf_return_type` @ v6.12 */
export type RetType =
  | "INTEGER"
  | "VOID"
  | "PTR_TO_MAP_VALUE"
  | "PTR_TO_MAP_VALUE_OR_NULL"
  | "PTR_TO_SOCKET_OR_NULL"
  | "PTR_TO_SOCK_COMMON_OR_NULL"
  | "PTR_TO_TCP_SOCK_OR_NULL"
  | "PTR_TO_RINGBUF_MEM_OR_NULL"
  | "PTR_TO_DYNPTR_MEM_OR_NULL"
  | "PTR_TO_MEM_OR_BTF_ID"
  | "PTR_TO_MEM_OR_BTF_ID_OR_NULL"
  | "PTR_TO_BTF_ID"
  | "PTR_TO_BTF_ID_TRUSTED"
  | "PTR_TO_BTF_ID_OR_NULL";

/** A helper's facts. */
export interface HelperRow {
  /** `BPF_FUNC_*`: the `imm` of the call instruction. */
  readonly id: number;
  /** First kernel that has it. Ids were only ever appended, so the versions rise with them. */
  readonly since: string;
  /** Only for programs with a GPL-compatible licence. */
  readonly gplOnly: boolean;
  /** Types of r1–r5, at most five. */
  readonly args: readonly ArgType[];
  readonly ret: RetType;
  /** Memory arguments may point into the packet. */
  readonly pktAccess?: true;
  /** Packet pointers taken before the call are stale after it (`bpf_helper_changes_pkt_data`). */
  readonly changesPacket?: true;
  /** Sleepable programs only. */
  readonly mightSleep?: true;
  /** A non-null result must be released; for `map_lookup_elem` that is so on SOCKMAP and SOCKHASH. */
  readonly acquires?: true;
  /** Number (1–5) of the argument whose reference the call ends. */
  readonly releases?: number;
  /** Program types that see other argument types. */
  readonly argsOf?: Readonly<Partial<Record<ProgramTypeName, readonly ArgType[]>>>;
}

/**
 * All helpers: names and ids of `__BPF_FUNC_MAPPER` (include/uapi/linux/bpf.h), prototypes of the kernel's
 * `struct bpf_func_proto`s @ v6.12. Where networking and tracing prototypes differ, `args` is the networking one.
 */
// biome-ignore format: one helper a line.
export const HELPERS = {
  map_lookup_elem: { id: 1, since: "3.19", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MAP_KEY"], ret: "PTR_TO_MAP_VALUE_OR_NULL", pktAccess: true },
  map_update_elem: { id: 2, since: "3.19", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MAP_KEY", "PTR_TO_MAP_VALUE", "ANYTHING"], ret: "INTEGER", pktAccess: true },
  map_delete_elem: { id: 3, since: "3.19", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MAP_KEY"], ret: "INTEGER", pktAccess: true },
  probe_read: { id: 4, since: "4.1", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  ktime_get_ns: { id: 5, since: "4.1", gplOnly: false, args: [], ret: "INTEGER" },
  trace_printk: { id: 6, since: "4.1", gplOnly: true, args: ["PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  get_prandom_u32: { id: 7, since: "4.1", gplOnly: false, args: [], ret: "INTEGER" },
  get_smp_processor_id: { id: 8, since: "4.1", gplOnly: false, args: [], ret: "INTEGER" },
  skb_store_bytes: { id: 9, since: "4.1", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  l3_csum_replace: { id: 10, since: "4.1", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  l4_csum_replace: { id: 11, since: "4.1", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  tail_call: { id: 12, since: "4.2", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING"], ret: "VOID", changesPacket: true },
  clone_redirect: { id: 13, since: "4.2", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  get_current_pid_tgid: { id: 14, since: "4.2", gplOnly: false, args: [], ret: "INTEGER" },
  get_current_uid_gid: { id: 15, since: "4.2", gplOnly: false, args: [], ret: "INTEGER" },
  get_current_comm: { id: 16, since: "4.2", gplOnly: false, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  get_cgroup_classid: { id: 17, since: "4.3", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  skb_vlan_push: { id: 18, since: "4.3", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  skb_vlan_pop: { id: 19, since: "4.3", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER", changesPacket: true },
  skb_get_tunnel_key: { id: 20, since: "4.3", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  skb_set_tunnel_key: { id: 21, since: "4.3", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  perf_event_read: { id: 22, since: "4.3", gplOnly: true, args: ["CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  redirect: { id: 23, since: "4.4", gplOnly: false, args: ["ANYTHING", "ANYTHING"], ret: "INTEGER" },
  get_route_realm: { id: 24, since: "4.4", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  perf_event_output: { id: 25, since: "4.4", gplOnly: true, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  skb_load_bytes: { id: 26, since: "4.5", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  get_stackid: { id: 27, since: "4.6", gplOnly: true, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  csum_diff: { id: 28, since: "4.6", gplOnly: false, args: ["PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO", "PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER", pktAccess: true },
  skb_get_tunnel_opt: { id: 29, since: "4.6", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  skb_set_tunnel_opt: { id: 30, since: "4.6", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  skb_change_proto: { id: 31, since: "4.8", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  skb_change_type: { id: 32, since: "4.8", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  skb_under_cgroup: { id: 33, since: "4.8", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  get_hash_recalc: { id: 34, since: "4.8", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_current_task: { id: 35, since: "4.8", gplOnly: true, args: [], ret: "INTEGER" },
  probe_write_user: { id: 36, since: "4.8", gplOnly: true, args: ["ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  current_task_under_cgroup: { id: 37, since: "4.9", gplOnly: false, args: ["CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  skb_change_tail: { id: 38, since: "4.9", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  skb_pull_data: { id: 39, since: "4.9", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  csum_update: { id: 40, since: "4.9", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  set_hash_invalid: { id: 41, since: "4.9", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_numa_node_id: { id: 42, since: "4.10", gplOnly: false, args: [], ret: "INTEGER" },
  skb_change_head: { id: 43, since: "4.10", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  xdp_adjust_head: { id: 44, since: "4.10", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  probe_read_str: { id: 45, since: "4.11", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  get_socket_cookie: { id: 46, since: "4.12", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_TRACING: ["PTR_TO_BTF_ID_SOCK_COMMON_OR_NULL"] } },
  get_socket_uid: { id: 47, since: "4.12", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  set_hash: { id: 48, since: "4.13", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  setsockopt: { id: 49, since: "4.13", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_TRACING: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], BPF_PROG_TYPE_LSM: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], BPF_PROG_TYPE_STRUCT_OPS: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"] } },
  skb_adjust_room: { id: 50, since: "4.13", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  redirect_map: { id: 51, since: "4.14", gplOnly: false, args: ["CONST_MAP_PTR", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  sk_redirect_map: { id: 52, since: "4.14", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  sock_map_update: { id: 53, since: "4.14", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "INTEGER", pktAccess: true },
  xdp_adjust_meta: { id: 54, since: "4.15", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  perf_event_read_value: { id: 55, since: "4.15", gplOnly: true, args: ["CONST_MAP_PTR", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  perf_prog_read_value: { id: 56, since: "4.15", gplOnly: true, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  getsockopt: { id: 57, since: "4.15", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_TRACING: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], BPF_PROG_TYPE_LSM: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], BPF_PROG_TYPE_STRUCT_OPS: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"] } },
  override_return: { id: 58, since: "4.16", gplOnly: true, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  sock_ops_cb_flags_set: { id: 59, since: "4.16", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  msg_redirect_map: { id: 60, since: "4.17", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  msg_apply_bytes: { id: 61, since: "4.17", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  msg_cork_bytes: { id: 62, since: "4.17", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  msg_pull_data: { id: 63, since: "4.17", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  bind: { id: 64, since: "4.17", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  xdp_adjust_tail: { id: 65, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  skb_get_xfrm_state: { id: 66, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  get_stack: { id: 67, since: "4.18", gplOnly: true, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  skb_load_bytes_relative: { id: 68, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  fib_lookup: { id: 69, since: "4.18", gplOnly: true, args: ["PTR_TO_CTX", "PTR_TO_MEM_WRITE", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  sock_hash_update: { id: 70, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "INTEGER", pktAccess: true },
  msg_redirect_hash: { id: 71, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "INTEGER" },
  sk_redirect_hash: { id: 72, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "INTEGER" },
  lwt_push_encap: { id: 73, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", changesPacket: true },
  lwt_seg6_store_bytes: { id: 74, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", changesPacket: true },
  lwt_seg6_adjust_srh: { id: 75, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  lwt_seg6_action: { id: 76, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", changesPacket: true },
  rc_repeat: { id: 77, since: "4.18", gplOnly: true, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  rc_keydown: { id: 78, since: "4.18", gplOnly: true, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  skb_cgroup_id: { id: 79, since: "4.18", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_current_cgroup_id: { id: 80, since: "4.18", gplOnly: false, args: [], ret: "INTEGER" },
  get_local_storage: { id: 81, since: "4.19", gplOnly: false, args: ["CONST_MAP_PTR", "ANYTHING"], ret: "PTR_TO_MAP_VALUE" },
  sk_select_reuseport: { id: 82, since: "4.19", gplOnly: false, args: ["PTR_TO_CTX", "CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "INTEGER" },
  skb_ancestor_cgroup_id: { id: 83, since: "4.19", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  sk_lookup_tcp: { id: 84, since: "4.20", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "ANYTHING"], ret: "PTR_TO_SOCKET_OR_NULL", pktAccess: true, acquires: true },
  sk_lookup_udp: { id: 85, since: "4.20", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "ANYTHING"], ret: "PTR_TO_SOCKET_OR_NULL", pktAccess: true, acquires: true },
  sk_release: { id: 86, since: "4.20", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "INTEGER", releases: 1 },
  map_push_elem: { id: 87, since: "4.20", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MAP_VALUE", "ANYTHING"], ret: "INTEGER", pktAccess: true },
  map_pop_elem: { id: 88, since: "4.20", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_UNINIT_MAP_VALUE"], ret: "INTEGER" },
  map_peek_elem: { id: 89, since: "4.20", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_UNINIT_MAP_VALUE"], ret: "INTEGER" },
  msg_push_data: { id: 90, since: "4.20", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  msg_pop_data: { id: 91, since: "5.0", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  rc_pointer_rel: { id: 92, since: "5.0", gplOnly: true, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  spin_lock: { id: 93, since: "5.1", gplOnly: false, args: ["PTR_TO_SPIN_LOCK"], ret: "VOID" },
  spin_unlock: { id: 94, since: "5.1", gplOnly: false, args: ["PTR_TO_SPIN_LOCK"], ret: "VOID" },
  sk_fullsock: { id: 95, since: "5.1", gplOnly: false, args: ["PTR_TO_SOCK_COMMON"], ret: "PTR_TO_SOCKET_OR_NULL" },
  tcp_sock: { id: 96, since: "5.1", gplOnly: false, args: ["PTR_TO_SOCK_COMMON"], ret: "PTR_TO_TCP_SOCK_OR_NULL" },
  skb_ecn_set_ce: { id: 97, since: "5.1", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_listener_sock: { id: 98, since: "5.1", gplOnly: false, args: ["PTR_TO_SOCK_COMMON"], ret: "PTR_TO_SOCKET_OR_NULL" },
  skc_lookup_tcp: { id: 99, since: "5.2", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "ANYTHING"], ret: "PTR_TO_SOCK_COMMON_OR_NULL", pktAccess: true, acquires: true },
  tcp_check_syncookie: { id: 100, since: "5.2", gplOnly: true, args: ["PTR_TO_BTF_ID_SOCK_COMMON", "PTR_TO_MEM", "CONST_SIZE", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", pktAccess: true },
  sysctl_get_name: { id: 101, since: "5.2", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM_WRITE", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  sysctl_get_current_value: { id: 102, since: "5.2", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  sysctl_get_new_value: { id: 103, since: "5.2", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  sysctl_set_new_value: { id: 104, since: "5.2", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  strtol: { id: 105, since: "5.2", gplOnly: false, args: ["PTR_TO_MEM", "CONST_SIZE", "ANYTHING", "PTR_TO_UNINIT_FIXED_SIZE_MEM_8"], ret: "INTEGER" },
  strtoul: { id: 106, since: "5.2", gplOnly: false, args: ["PTR_TO_MEM", "CONST_SIZE", "ANYTHING", "PTR_TO_UNINIT_FIXED_SIZE_MEM_8"], ret: "INTEGER" },
  sk_storage_get: { id: 107, since: "5.2", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_SOCK_COMMON", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"], ret: "PTR_TO_MAP_VALUE_OR_NULL", argsOf: { BPF_PROG_TYPE_CGROUP_SOCK: ["CONST_MAP_PTR", "PTR_TO_CTX", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"], BPF_PROG_TYPE_TRACING: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"] } },
  sk_storage_delete: { id: 108, since: "5.2", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_SOCK_COMMON"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_TRACING: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL"] } },
  send_signal: { id: 109, since: "5.3", gplOnly: false, args: ["ANYTHING"], ret: "INTEGER" },
  tcp_gen_syncookie: { id: 110, since: "5.3", gplOnly: true, args: ["PTR_TO_BTF_ID_SOCK_COMMON", "PTR_TO_MEM", "CONST_SIZE", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", pktAccess: true },
  skb_output: { id: 111, since: "5.5", gplOnly: true, args: ["PTR_TO_BTF_ID", "CONST_MAP_PTR", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  probe_read_user: { id: 112, since: "5.5", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  probe_read_kernel: { id: 113, since: "5.5", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  probe_read_user_str: { id: 114, since: "5.5", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  probe_read_kernel_str: { id: 115, since: "5.5", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  tcp_send_ack: { id: 116, since: "5.6", gplOnly: false, args: ["PTR_TO_BTF_ID", "ANYTHING"], ret: "INTEGER" },
  send_signal_thread: { id: 117, since: "5.6", gplOnly: false, args: ["ANYTHING"], ret: "INTEGER" },
  jiffies64: { id: 118, since: "5.6", gplOnly: false, args: [], ret: "INTEGER" },
  read_branch_records: { id: 119, since: "5.7", gplOnly: true, args: ["PTR_TO_CTX", "PTR_TO_MEM_WRITE_OR_NULL", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  get_ns_current_pid_tgid: { id: 120, since: "5.7", gplOnly: false, args: ["ANYTHING", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  xdp_output: { id: 121, since: "5.7", gplOnly: true, args: ["PTR_TO_BTF_ID", "CONST_MAP_PTR", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  get_netns_cookie: { id: 122, since: "5.7", gplOnly: false, args: ["PTR_TO_CTX_OR_NULL"], ret: "INTEGER" },
  get_current_ancestor_cgroup_id: { id: 123, since: "5.7", gplOnly: false, args: ["ANYTHING"], ret: "INTEGER" },
  sk_assign: { id: 124, since: "5.7", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_SK_LOOKUP: ["PTR_TO_CTX", "PTR_TO_SOCKET_OR_NULL", "ANYTHING"] } },
  ktime_get_boot_ns: { id: 125, since: "5.8", gplOnly: false, args: [], ret: "INTEGER" },
  seq_printf: { id: 126, since: "5.8", gplOnly: true, args: ["PTR_TO_BTF_ID", "PTR_TO_MEM", "CONST_SIZE", "PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  seq_write: { id: 127, since: "5.8", gplOnly: true, args: ["PTR_TO_BTF_ID", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  sk_cgroup_id: { id: 128, since: "5.8", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "INTEGER" },
  sk_ancestor_cgroup_id: { id: 129, since: "5.8", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON", "ANYTHING"], ret: "INTEGER" },
  ringbuf_output: { id: 130, since: "5.8", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  ringbuf_reserve: { id: 131, since: "5.8", gplOnly: false, args: ["CONST_MAP_PTR", "CONST_ALLOC_SIZE_OR_ZERO", "ANYTHING"], ret: "PTR_TO_RINGBUF_MEM_OR_NULL", acquires: true },
  ringbuf_submit: { id: 132, since: "5.8", gplOnly: false, args: ["PTR_TO_RINGBUF_MEM", "ANYTHING"], ret: "VOID", releases: 1 },
  ringbuf_discard: { id: 133, since: "5.8", gplOnly: false, args: ["PTR_TO_RINGBUF_MEM", "ANYTHING"], ret: "VOID", releases: 1 },
  ringbuf_query: { id: 134, since: "5.8", gplOnly: false, args: ["CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  csum_level: { id: 135, since: "5.8", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING"], ret: "INTEGER" },
  skc_to_tcp6_sock: { id: 136, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  skc_to_tcp_sock: { id: 137, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  skc_to_tcp_timewait_sock: { id: 138, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  skc_to_tcp_request_sock: { id: 139, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  skc_to_udp6_sock: { id: 140, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  get_task_stack: { id: 141, since: "5.9", gplOnly: false, args: ["PTR_TO_BTF_ID", "PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  load_hdr_opt: { id: 142, since: "5.10", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM_WRITE", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  store_hdr_opt: { id: 143, since: "5.10", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER", changesPacket: true },
  reserve_hdr_opt: { id: 144, since: "5.10", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  inode_storage_get: { id: 145, since: "5.10", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"], ret: "PTR_TO_MAP_VALUE_OR_NULL" },
  inode_storage_delete: { id: 146, since: "5.10", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL"], ret: "INTEGER" },
  d_path: { id: 147, since: "5.10", gplOnly: false, args: ["PTR_TO_BTF_ID", "PTR_TO_MEM_WRITE", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  copy_from_user: { id: 148, since: "5.10", gplOnly: false, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER", mightSleep: true },
  snprintf_btf: { id: 149, since: "5.10", gplOnly: false, args: ["PTR_TO_MEM_WRITE", "CONST_SIZE", "PTR_TO_MEM", "CONST_SIZE", "ANYTHING"], ret: "INTEGER" },
  seq_printf_btf: { id: 150, since: "5.10", gplOnly: true, args: ["PTR_TO_BTF_ID", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  skb_cgroup_classid: { id: 151, since: "5.10", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  redirect_neigh: { id: 152, since: "5.10", gplOnly: false, args: ["ANYTHING", "PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  per_cpu_ptr: { id: 153, since: "5.10", gplOnly: false, args: ["PTR_TO_PERCPU_BTF_ID", "ANYTHING"], ret: "PTR_TO_MEM_OR_BTF_ID_OR_NULL" },
  this_cpu_ptr: { id: 154, since: "5.10", gplOnly: false, args: ["PTR_TO_PERCPU_BTF_ID"], ret: "PTR_TO_MEM_OR_BTF_ID" },
  redirect_peer: { id: 155, since: "5.10", gplOnly: false, args: ["ANYTHING", "ANYTHING"], ret: "INTEGER" },
  task_storage_get: { id: 156, since: "5.11", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"], ret: "PTR_TO_MAP_VALUE_OR_NULL" },
  task_storage_delete: { id: 157, since: "5.11", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL"], ret: "INTEGER" },
  get_current_task_btf: { id: 158, since: "5.11", gplOnly: true, args: [], ret: "PTR_TO_BTF_ID_TRUSTED" },
  bprm_opts_set: { id: 159, since: "5.11", gplOnly: false, args: ["PTR_TO_BTF_ID", "ANYTHING"], ret: "INTEGER" },
  ktime_get_coarse_ns: { id: 160, since: "5.11", gplOnly: false, args: [], ret: "INTEGER" },
  ima_inode_hash: { id: 161, since: "5.11", gplOnly: false, args: ["PTR_TO_BTF_ID", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER", mightSleep: true },
  sock_from_file: { id: 162, since: "5.11", gplOnly: false, args: ["PTR_TO_BTF_ID"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  check_mtu: { id: 163, since: "5.12", gplOnly: true, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_FIXED_SIZE_MEM_WRITE_4", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  for_each_map_elem: { id: 164, since: "5.13", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_FUNC", "PTR_TO_STACK_OR_NULL", "ANYTHING"], ret: "INTEGER" },
  snprintf: { id: 165, since: "5.13", gplOnly: true, args: ["PTR_TO_MEM_WRITE_OR_NULL", "CONST_SIZE_OR_ZERO", "PTR_TO_CONST_STR", "PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  sys_bpf: { id: 166, since: "5.14", gplOnly: false, args: ["ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER", mightSleep: true },
  btf_find_by_name_kind: { id: 167, since: "5.14", gplOnly: false, args: ["PTR_TO_MEM", "CONST_SIZE", "ANYTHING", "ANYTHING"], ret: "INTEGER", mightSleep: true },
  sys_close: { id: 168, since: "5.14", gplOnly: false, args: ["ANYTHING"], ret: "INTEGER", mightSleep: true },
  timer_init: { id: 169, since: "5.15", gplOnly: true, args: ["PTR_TO_TIMER", "CONST_MAP_PTR", "ANYTHING"], ret: "INTEGER" },
  timer_set_callback: { id: 170, since: "5.15", gplOnly: true, args: ["PTR_TO_TIMER", "PTR_TO_FUNC"], ret: "INTEGER" },
  timer_start: { id: 171, since: "5.15", gplOnly: true, args: ["PTR_TO_TIMER", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  timer_cancel: { id: 172, since: "5.15", gplOnly: true, args: ["PTR_TO_TIMER"], ret: "INTEGER" },
  get_func_ip: { id: 173, since: "5.15", gplOnly: true, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_attach_cookie: { id: 174, since: "5.15", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  task_pt_regs: { id: 175, since: "5.15", gplOnly: true, args: ["PTR_TO_BTF_ID"], ret: "PTR_TO_BTF_ID" },
  get_branch_snapshot: { id: 176, since: "5.16", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  trace_vprintk: { id: 177, since: "5.16", gplOnly: true, args: ["PTR_TO_MEM", "CONST_SIZE", "PTR_TO_MEM_OR_NULL", "CONST_SIZE_OR_ZERO"], ret: "INTEGER" },
  skc_to_unix_sock: { id: 178, since: "5.16", gplOnly: false, args: ["PTR_TO_BTF_ID_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  kallsyms_lookup_name: { id: 179, since: "5.16", gplOnly: false, args: ["PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "PTR_TO_UNINIT_FIXED_SIZE_MEM_8"], ret: "INTEGER" },
  find_vma: { id: 180, since: "5.17", gplOnly: false, args: ["PTR_TO_BTF_ID", "ANYTHING", "PTR_TO_FUNC", "PTR_TO_STACK_OR_NULL", "ANYTHING"], ret: "INTEGER" },
  loop: { id: 181, since: "5.17", gplOnly: false, args: ["SCALAR", "PTR_TO_FUNC", "PTR_TO_STACK_OR_NULL", "ANYTHING"], ret: "INTEGER" },
  strncmp: { id: 182, since: "5.17", gplOnly: false, args: ["PTR_TO_MEM", "CONST_SIZE", "PTR_TO_CONST_STR"], ret: "INTEGER" },
  get_func_arg: { id: 183, since: "5.17", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_UNINIT_FIXED_SIZE_MEM_8"], ret: "INTEGER" },
  get_func_ret: { id: 184, since: "5.17", gplOnly: false, args: ["PTR_TO_CTX", "PTR_TO_UNINIT_FIXED_SIZE_MEM_8"], ret: "INTEGER" },
  get_func_arg_cnt: { id: 185, since: "5.17", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER" },
  get_retval: { id: 186, since: "5.18", gplOnly: false, args: [], ret: "INTEGER" },
  set_retval: { id: 187, since: "5.18", gplOnly: false, args: ["ANYTHING"], ret: "INTEGER" },
  xdp_get_buff_len: { id: 188, since: "5.18", gplOnly: false, args: ["PTR_TO_CTX"], ret: "INTEGER", argsOf: { BPF_PROG_TYPE_TRACING: ["PTR_TO_BTF_ID"] } },
  xdp_load_bytes: { id: 189, since: "5.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER" },
  xdp_store_bytes: { id: 190, since: "5.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE"], ret: "INTEGER" },
  copy_from_user_task: { id: 191, since: "5.18", gplOnly: true, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "PTR_TO_BTF_ID", "ANYTHING"], ret: "INTEGER", mightSleep: true },
  skb_set_tstamp: { id: 192, since: "5.18", gplOnly: false, args: ["PTR_TO_CTX", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  ima_file_hash: { id: 193, since: "5.18", gplOnly: false, args: ["PTR_TO_BTF_ID", "PTR_TO_UNINIT_MEM", "CONST_SIZE"], ret: "INTEGER", mightSleep: true },
  kptr_xchg: { id: 194, since: "5.19", gplOnly: false, args: ["KPTR_XCHG_DEST", "PTR_TO_BTF_ID_OR_NULL"], ret: "PTR_TO_BTF_ID_OR_NULL", acquires: true, releases: 2 },
  map_lookup_percpu_elem: { id: 195, since: "5.19", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_MAP_KEY", "ANYTHING"], ret: "PTR_TO_MAP_VALUE_OR_NULL", pktAccess: true },
  skc_to_mptcp_sock: { id: 196, since: "5.19", gplOnly: false, args: ["PTR_TO_SOCK_COMMON"], ret: "PTR_TO_BTF_ID_OR_NULL" },
  dynptr_from_mem: { id: 197, since: "5.19", gplOnly: false, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING", "PTR_TO_UNINIT_DYNPTR_LOCAL"], ret: "INTEGER" },
  ringbuf_reserve_dynptr: { id: 198, since: "5.19", gplOnly: false, args: ["CONST_MAP_PTR", "ANYTHING", "ANYTHING", "PTR_TO_UNINIT_DYNPTR_RINGBUF"], ret: "INTEGER" },
  ringbuf_submit_dynptr: { id: 199, since: "5.19", gplOnly: false, args: ["PTR_TO_DYNPTR_RINGBUF", "ANYTHING"], ret: "VOID", releases: 1 },
  ringbuf_discard_dynptr: { id: 200, since: "5.19", gplOnly: false, args: ["PTR_TO_DYNPTR_RINGBUF", "ANYTHING"], ret: "VOID", releases: 1 },
  dynptr_read: { id: 201, since: "5.19", gplOnly: false, args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "PTR_TO_DYNPTR", "ANYTHING", "ANYTHING"], ret: "INTEGER" },
  dynptr_write: { id: 202, since: "5.19", gplOnly: false, args: ["PTR_TO_DYNPTR", "ANYTHING", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"], ret: "INTEGER" },
  dynptr_data: { id: 203, since: "5.19", gplOnly: false, args: ["PTR_TO_DYNPTR", "ANYTHING", "CONST_ALLOC_SIZE_OR_ZERO"], ret: "PTR_TO_DYNPTR_MEM_OR_NULL" },
  tcp_raw_gen_syncookie_ipv4: { id: 204, since: "6.0", gplOnly: true, args: ["PTR_TO_FIXED_SIZE_MEM_20", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER", pktAccess: true },
  tcp_raw_gen_syncookie_ipv6: { id: 205, since: "6.0", gplOnly: true, args: ["PTR_TO_FIXED_SIZE_MEM_40", "PTR_TO_MEM", "CONST_SIZE_OR_ZERO"], ret: "INTEGER", pktAccess: true },
  tcp_raw_check_syncookie_ipv4: { id: 206, since: "6.0", gplOnly: true, args: ["PTR_TO_FIXED_SIZE_MEM_20", "PTR_TO_FIXED_SIZE_MEM_20"], ret: "INTEGER", pktAccess: true },
  tcp_raw_check_syncookie_ipv6: { id: 207, since: "6.0", gplOnly: true, args: ["PTR_TO_FIXED_SIZE_MEM_40", "PTR_TO_FIXED_SIZE_MEM_20"], ret: "INTEGER", pktAccess: true },
  ktime_get_tai_ns: { id: 208, since: "6.1", gplOnly: false, args: [], ret: "INTEGER" },
  user_ringbuf_drain: { id: 209, since: "6.1", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_FUNC", "PTR_TO_STACK_OR_NULL", "ANYTHING"], ret: "INTEGER" },
  cgrp_storage_get: { id: 210, since: "6.2", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL", "PTR_TO_MAP_VALUE_OR_NULL", "ANYTHING"], ret: "PTR_TO_MAP_VALUE_OR_NULL" },
  cgrp_storage_delete: { id: 211, since: "6.2", gplOnly: false, args: ["CONST_MAP_PTR", "PTR_TO_BTF_ID_OR_NULL"], ret: "INTEGER" },
} as const satisfies Record<string, HelperRow>;
export type HelperName = keyof typeof HELPERS;

/** The row of a helper, with every optional fact readable. */
export function helperRow(name: HelperName): HelperRow {
  return HELPERS[name];
}

/** Argument types that a program of this type sees. */
export function helperArgs(name: HelperName, type: ProgramTypeName): readonly ArgType[] {
  const row = helperRow(name);
  return row.argsOf?.[type] ?? row.args;
}

/** The row of an argument type, with every optional fact readable. */
export function argTypeRow(type: ArgType): ArgTypeRow {
  return ARG_TYPES[type];
}

/** The helper with this id, or undefined. Linear in the number of helpers: build a table from {@link HELPERS} for hot use. */
export function helperById(id: number): HelperName | undefined {
  return (Object.keys(HELPERS) as HelperName[]).find((name) => HELPERS[name].id === id);
}
