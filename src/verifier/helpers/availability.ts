import { type AttachTypeName, type HelperName, helpersOf, type ProgramTypeName } from "../../abi/index.ts";
import type { Rights } from "../capabilities.ts";

/** What decides which helpers a program may call. */
export interface HelperUser {
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  /** struct_ops: name of the kernel structure, such as `"tcp_congestion_ops"`; iterators: the target, such as `"bpf_iter__tcp"`. */
  readonly hook: string | undefined;
  /** struct_ops: name of the member. */
  readonly member: string | undefined;
  readonly rights: Rights;
}

/** Helpers that need no capability at all. @see kernel/bpf/helpers.c `bpf_base_func_proto` @ v6.18 */
const UNPRIVILEGED: ReadonlySet<HelperName> = new Set<HelperName>([
  "map_lookup_elem", "map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem", "map_peek_elem",
  "map_lookup_percpu_elem", "get_prandom_u32", "get_smp_processor_id", "get_numa_node_id", "tail_call", "ktime_get_ns",
  "ktime_get_boot_ns", "ktime_get_tai_ns", "ktime_get_coarse_ns", "ringbuf_output", "ringbuf_reserve", "ringbuf_submit",
  "ringbuf_discard", "ringbuf_query", "strncmp", "strtol", "strtoul", "get_current_pid_tgid", "get_ns_current_pid_tgid",
  // of socket filters and cgroup_skb, the two types that need no capability
  "skb_load_bytes", "skb_load_bytes_relative", "get_socket_cookie", "get_socket_uid", "perf_event_output", "get_netns_cookie",
  "get_local_storage", "sk_fullsock", "sk_storage_get", "sk_storage_delete", "skb_cgroup_id", "skb_ancestor_cgroup_id",
  "sk_cgroup_id", "sk_ancestor_cgroup_id", "sk_lookup_tcp", "sk_lookup_udp", "sk_release", "skc_lookup_tcp", "tcp_sock",
  "get_listener_sock", "skb_ecn_set_ce",
]); // biome-ignore format: one list

/** Helpers that need CAP_PERFMON, beside those of the tracing types, which need it as a whole. */
const PERFMON: ReadonlySet<HelperName> = new Set<HelperName>([
  "get_current_comm",
  "trace_printk", "get_current_task", "get_current_task_btf", "probe_read_user", "probe_read_kernel", "probe_read_user_str",
  "probe_read_kernel_str", "snprintf_btf", "snprintf", "task_pt_regs", "trace_vprintk", "copy_from_user", "copy_from_user_task",
  "get_task_stack", "find_vma", "perf_event_read", "perf_event_read_value", "get_branch_snapshot", "send_signal",
  "send_signal_thread", "skc_to_tcp6_sock", "skc_to_tcp_sock", "skc_to_tcp_timewait_sock", "skc_to_tcp_request_sock",
  "skc_to_udp6_sock", "skc_to_unix_sock", "skc_to_mptcp_sock",
]); // biome-ignore format: one list

/** What TRACING programs have beside the raw tracepoints' set. @see kernel/trace/bpf_trace.c `tracing_prog_func_proto` @ v6.18 */
const TRACING: ReadonlySet<HelperName> = new Set<HelperName>([
  "skb_output", "xdp_output", "skc_to_tcp6_sock", "skc_to_tcp_sock", "skc_to_tcp_timewait_sock", "skc_to_tcp_request_sock",
  "skc_to_udp6_sock", "skc_to_unix_sock", "skc_to_mptcp_sock", "sk_storage_get", "sk_storage_delete", "sock_from_file",
  "get_socket_cookie", "xdp_get_buff_len", "d_path",
]); // biome-ignore format: one list
const ITERATOR: ReadonlySet<HelperName> = new Set<HelperName>(["seq_printf", "seq_write", "seq_printf_btf"]);
/** Of programs with a trampoline: fentry, fexit, fmod_ret, LSM. */
const TRAMPOLINE: ReadonlySet<HelperName> = new Set<HelperName>([
  "get_func_arg",
  "get_func_ret",
  "get_func_arg_cnt",
]);
const LSM: ReadonlySet<HelperName> = new Set<HelperName>([
  "inode_storage_get", "inode_storage_delete", "sk_storage_get", "sk_storage_delete", "bprm_opts_set", "ima_inode_hash", "ima_file_hash",
]); // biome-ignore format: one list
const TCP_CC: ReadonlySet<HelperName> = new Set<HelperName>([
  "tcp_send_ack", "sk_storage_get", "sk_storage_delete", "ktime_get_coarse_ns",
]); // biome-ignore format: one list
const LIRC: ReadonlySet<HelperName> = new Set<HelperName>(["rc_repeat", "rc_keydown", "rc_pointer_rel"]);

/** cgroup hooks whose result nobody looks at. @see kernel/bpf/cgroup.c `cgroup_common_func_proto` @ v6.18 */
const NO_RETVAL: ReadonlySet<AttachTypeName> = new Set<AttachTypeName>([
  "BPF_CGROUP_INET_INGRESS", "BPF_CGROUP_INET_EGRESS", "BPF_CGROUP_SOCK_OPS", "BPF_CGROUP_UDP4_RECVMSG",
  "BPF_CGROUP_UDP6_RECVMSG", "BPF_CGROUP_UNIX_RECVMSG", "BPF_CGROUP_INET4_GETPEERNAME", "BPF_CGROUP_INET6_GETPEERNAME",
  "BPF_CGROUP_UNIX_GETPEERNAME", "BPF_CGROUP_INET4_GETSOCKNAME", "BPF_CGROUP_INET6_GETSOCKNAME", "BPF_CGROUP_UNIX_GETSOCKNAME",
]); // biome-ignore format: one list
const CGROUP_TYPES: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_CGROUP_SKB", "BPF_PROG_TYPE_CGROUP_SOCK", "BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "BPF_PROG_TYPE_CGROUP_DEVICE",
  "BPF_PROG_TYPE_CGROUP_SYSCTL", "BPF_PROG_TYPE_CGROUP_SOCKOPT", "BPF_PROG_TYPE_SOCK_OPS",
]); // biome-ignore format: one list
const TRACING_TYPES: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_KPROBE", "BPF_PROG_TYPE_TRACEPOINT", "BPF_PROG_TYPE_PERF_EVENT", "BPF_PROG_TYPE_RAW_TRACEPOINT",
  "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", "BPF_PROG_TYPE_TRACING", "BPF_PROG_TYPE_LSM",
]); // biome-ignore format: one list

/** The program runs from a trampoline. `bpf_prog_has_trampoline` @ v6.18 */
export function hasTrampoline(type: ProgramTypeName, attach: AttachTypeName | undefined): boolean {
  if (type === "BPF_PROG_TYPE_LSM") return attach !== "BPF_LSM_CGROUP";
  return (
    type === "BPF_PROG_TYPE_TRACING" &&
    (attach === "BPF_TRACE_FENTRY" || attach === "BPF_TRACE_FEXIT" || attach === "BPF_MODIFY_RETURN")
  );
}

/**
 * Linux 6.18 has a prototype of this helper for the program; undefined: nobody knows for this hook (its `get_func_proto`
 * was not looked at).
 */
export function isHelperAvailable(name: HelperName, user: HelperUser): boolean | undefined {
  if (!user.rights.bpfCapable && !UNPRIVILEGED.has(name)) return false;
  if (!user.rights.perfmon && needsPerfmon(name, user.type)) return false;
  const byAttach = attachRule(name, user);
  return byAttach ?? typeRule(name, user);
}

function needsPerfmon(name: HelperName, type: ProgramTypeName): boolean {
  if (type === "BPF_PROG_TYPE_SYSCALL" && name.startsWith("skc_to_")) return false;
  return PERFMON.has(name) || name === "sys_bpf";
}

/** Rules that depend on the attach type; undefined: none applies. */
function attachRule(name: HelperName, { type, attachType, rights }: HelperUser): boolean | undefined {
  switch (name) {
    case "get_retval":
    case "set_retval":
      if (type === "BPF_PROG_TYPE_LSM") return attachType === "BPF_LSM_CGROUP";
      if (type === "BPF_PROG_TYPE_CGROUP_SOCK" && attachType === undefined) return true; // BPF_CGROUP_INET_SOCK_CREATE
      return CGROUP_TYPES.has(type) && attachType !== undefined && !NO_RETVAL.has(attachType);
    case "bind":
      return (
        type === "BPF_PROG_TYPE_CGROUP_SOCK_ADDR" &&
        (attachType === "BPF_CGROUP_INET4_CONNECT" || attachType === "BPF_CGROUP_INET6_CONNECT")
      );
    case "setsockopt":
    case "getsockopt":
      if (type === "BPF_PROG_TYPE_CGROUP_SOCK_ADDR") return true;
      return type === "BPF_PROG_TYPE_CGROUP_SOCKOPT" ? attachType === "BPF_CGROUP_SETSOCKOPT" : undefined;
    // Kernels in lockdown, or built without CONFIG_BPF_KPROBE_OVERRIDE, lack the next two.
    case "probe_write_user":
      return TRACING_TYPES.has(type) && rights.has("CAP_SYS_ADMIN");
    case "override_return":
      return type === "BPF_PROG_TYPE_KPROBE";
    case "get_func_ip":
      return TRACING_TYPES.has(type) || type === "BPF_PROG_TYPE_SYSCALL";
    case "get_local_storage":
      return CGROUP_TYPES.has(type) || attachType === "BPF_LSM_CGROUP";
    default:
      return undefined;
  }
}

function typeRule(name: HelperName, user: HelperUser): boolean | undefined {
  const { type } = user;
  const probed = helpersOf(type);
  if (probed !== undefined && probed.size > 0) return probed.has(name);
  switch (type) {
    case "BPF_PROG_TYPE_LSM":
      return LSM.has(name) || lsmSocketOption(name, user) || tracing(name, user);
    case "BPF_PROG_TYPE_TRACING":
      return tracing(name, user);
    case "BPF_PROG_TYPE_STRUCT_OPS":
      return structOps(name, user);
    case "BPF_PROG_TYPE_LIRC_MODE2":
      return LIRC.has(name) || isBase(name);
    default:
      return undefined;
  }
}

/** What every type has: the set of struct_ops without helpers of their own, and of netfilter programs. */
function isBase(name: HelperName): boolean {
  return helpersOf("BPF_PROG_TYPE_NETFILTER")?.has(name) ?? false;
}

function tracing(name: HelperName, { type, attachType, hook }: HelperUser): boolean {
  if (TRACING.has(name)) return true;
  if (ITERATOR.has(name)) return attachType === "BPF_TRACE_ITER";
  if (TRAMPOLINE.has(name)) return hasTrampoline(type, attachType);
  if (name === "get_attach_cookie")
    return attachType === "BPF_TRACE_RAW_TP" || hasTrampoline(type, attachType);
  if (name === "setsockopt" || name === "getsockopt") {
    return attachType === "BPF_TRACE_ITER" && (hook === "bpf_iter_tcp" || hook === "bpf_iter_unix");
  }
  return helpersOf("BPF_PROG_TYPE_RAW_TRACEPOINT")?.has(name) ?? false;
}

/** Socket options in LSM_CGROUP programs: on hooks that hold the socket's lock, or have it not in use yet. */
function lsmSocketOption(name: HelperName, { attachType, hook }: HelperUser): boolean {
  if (name !== "setsockopt" && name !== "getsockopt") return false;
  return attachType === "BPF_LSM_CGROUP" && hook !== undefined && SOCKOPT_HOOKS.has(hook);
}

/** @see kernel/bpf/bpf_lsm.c `bpf_lsm_locked_sockopt_hooks`, `bpf_lsm_unlocked_sockopt_hooks` @ v6.18 */
const SOCKOPT_HOOKS: ReadonlySet<string> = new Set([
  "bpf_lsm_sock_graft",
  "bpf_lsm_inet_csk_clone",
  "bpf_lsm_inet_conn_established",
  "bpf_lsm_socket_post_create",
  "bpf_lsm_socket_socketpair",
]);

function structOps(name: HelperName, { hook, member }: HelperUser): boolean | undefined {
  switch (hook) {
    case "tcp_congestion_ops":
      if (name === "setsockopt" || name === "getsockopt") return member !== "release";
      return TCP_CC.has(name) || isBase(name);
    case "sched_ext_ops":
      return name === "task_storage_get" || name === "task_storage_delete" || isBase(name);
    case "hid_bpf_ops":
    case "bpf_dummy_ops":
    case "Qdisc_ops":
      return isBase(name);
    default:
      return isBase(name) ? true : undefined;
  }
}
