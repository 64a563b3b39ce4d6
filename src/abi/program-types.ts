/** Program types: `enum bpf_prog_type` of include/uapi/linux/bpf.h. */
interface ProgramTypeRow {
  readonly id: number;
}

export const PROGRAM_TYPES = {
  BPF_PROG_TYPE_SOCKET_FILTER: { id: 1 },
  BPF_PROG_TYPE_KPROBE: { id: 2 },
  BPF_PROG_TYPE_SCHED_CLS: { id: 3 },
  BPF_PROG_TYPE_SCHED_ACT: { id: 4 },
  BPF_PROG_TYPE_TRACEPOINT: { id: 5 },
  BPF_PROG_TYPE_XDP: { id: 6 },
  BPF_PROG_TYPE_PERF_EVENT: { id: 7 },
  BPF_PROG_TYPE_CGROUP_SKB: { id: 8 },
  BPF_PROG_TYPE_CGROUP_SOCK: { id: 9 },
  BPF_PROG_TYPE_LWT_IN: { id: 10 },
  BPF_PROG_TYPE_LWT_OUT: { id: 11 },
  BPF_PROG_TYPE_LWT_XMIT: { id: 12 },
  BPF_PROG_TYPE_SOCK_OPS: { id: 13 },
  BPF_PROG_TYPE_SK_SKB: { id: 14 },
  BPF_PROG_TYPE_CGROUP_DEVICE: { id: 15 },
  BPF_PROG_TYPE_SK_MSG: { id: 16 },
  BPF_PROG_TYPE_RAW_TRACEPOINT: { id: 17 },
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: { id: 18 },
  BPF_PROG_TYPE_LWT_SEG6LOCAL: { id: 19 },
  BPF_PROG_TYPE_LIRC_MODE2: { id: 20 },
  BPF_PROG_TYPE_SK_REUSEPORT: { id: 21 },
  BPF_PROG_TYPE_FLOW_DISSECTOR: { id: 22 },
  BPF_PROG_TYPE_CGROUP_SYSCTL: { id: 23 },
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: { id: 24 },
  BPF_PROG_TYPE_CGROUP_SOCKOPT: { id: 25 },
  BPF_PROG_TYPE_TRACING: { id: 26 },
  BPF_PROG_TYPE_STRUCT_OPS: { id: 27 },
  BPF_PROG_TYPE_EXT: { id: 28 },
  BPF_PROG_TYPE_LSM: { id: 29 },
  BPF_PROG_TYPE_SK_LOOKUP: { id: 30 },
  BPF_PROG_TYPE_SYSCALL: { id: 31 },
  BPF_PROG_TYPE_NETFILTER: { id: 32 },
} as const satisfies Record<string, ProgramTypeRow>;
export type ProgramTypeName = keyof typeof PROGRAM_TYPES;
