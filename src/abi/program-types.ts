import type { ContextStructName } from "./context-structs.ts";

/** Capabilities that loading a program may need. */
export type Capability = "CAP_BPF" | "CAP_PERFMON" | "CAP_NET_ADMIN";

/** A program type's facts. */
export interface ProgramTypeRow {
  readonly id: number;
  /** First kernel that has it. */
  readonly since: string;
  /** What r1 points to; undefined where the arguments depend on what the program is attached to. */
  readonly context: ContextStructName | undefined;
  /** Needed to load one (Linux 5.8 and later; CAP_SYS_ADMIN before), by `bpf_prog_load` @ v6.12. */
  readonly capabilities: readonly Capability[];
  /** Loads only with a GPL-compatible licence, whatever helpers it calls. */
  readonly gplOnly: boolean;
  /** Runs on packets. */
  readonly packet: boolean;
}

/** Program types: `enum bpf_prog_type` of include/uapi/linux/bpf.h. */
// biome-ignore format: one program type a line.
export const PROGRAM_TYPES = {
  BPF_PROG_TYPE_SOCKET_FILTER: { id: 1, since: "3.19", context: "__sk_buff", capabilities: ["CAP_BPF"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_KPROBE: { id: 2, since: "4.1", context: "pt_regs", capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_SCHED_CLS: { id: 3, since: "4.1", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_SCHED_ACT: { id: 4, since: "4.1", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_TRACEPOINT: { id: 5, since: "4.7", context: "tracepoint_record", capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_XDP: { id: 6, since: "4.8", context: "xdp_md", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_PERF_EVENT: { id: 7, since: "4.9", context: "bpf_perf_event_data", capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_CGROUP_SKB: { id: 8, since: "4.10", context: "__sk_buff", capabilities: ["CAP_BPF"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_CGROUP_SOCK: { id: 9, since: "4.10", context: "bpf_sock", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_LWT_IN: { id: 10, since: "4.10", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_LWT_OUT: { id: 11, since: "4.10", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_LWT_XMIT: { id: 12, since: "4.10", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_SOCK_OPS: { id: 13, since: "4.13", context: "bpf_sock_ops", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_SK_SKB: { id: 14, since: "4.14", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_CGROUP_DEVICE: { id: 15, since: "4.15", context: "bpf_cgroup_dev_ctx", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_SK_MSG: { id: 16, since: "4.17", context: "sk_msg_md", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_RAW_TRACEPOINT: { id: 17, since: "4.17", context: "bpf_raw_tracepoint_args", capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: { id: 18, since: "4.17", context: "bpf_sock_addr", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_LWT_SEG6LOCAL: { id: 19, since: "4.18", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_LIRC_MODE2: { id: 20, since: "4.18", context: "lirc_mode2_sample", capabilities: ["CAP_BPF"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_SK_REUSEPORT: { id: 21, since: "4.19", context: "sk_reuseport_md", capabilities: ["CAP_BPF"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_FLOW_DISSECTOR: { id: 22, since: "4.20", context: "__sk_buff", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: true },
  BPF_PROG_TYPE_CGROUP_SYSCTL: { id: 23, since: "5.2", context: "bpf_sysctl", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: { id: 24, since: "5.2", context: "raw_tracepoint_writable_args", capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_CGROUP_SOCKOPT: { id: 25, since: "5.3", context: "bpf_sockopt", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_TRACING: { id: 26, since: "5.5", context: undefined, capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_STRUCT_OPS: { id: 27, since: "5.6", context: undefined, capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: true, packet: false },
  BPF_PROG_TYPE_EXT: { id: 28, since: "5.6", context: undefined, capabilities: ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_LSM: { id: 29, since: "5.7", context: undefined, capabilities: ["CAP_BPF", "CAP_PERFMON"], gplOnly: true, packet: false },
  BPF_PROG_TYPE_SK_LOOKUP: { id: 30, since: "5.9", context: "bpf_sk_lookup", capabilities: ["CAP_BPF"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_SYSCALL: { id: 31, since: "5.14", context: "syscall_args", capabilities: ["CAP_BPF"], gplOnly: false, packet: false },
  BPF_PROG_TYPE_NETFILTER: { id: 32, since: "6.4", context: "bpf_nf_ctx", capabilities: ["CAP_BPF", "CAP_NET_ADMIN"], gplOnly: false, packet: false },
} as const satisfies Record<string, ProgramTypeRow>;
export type ProgramTypeName = keyof typeof PROGRAM_TYPES;

/** The row of a program type, with every optional fact readable. */
export function programTypeRow(type: ProgramTypeName): ProgramTypeRow {
  return PROGRAM_TYPES[type];
}
