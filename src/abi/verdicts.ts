import type { ProgramTypeName } from "./program-types.ts";

/** Names of return values. `others` is what every unnamed value means; without it they are shown as numbers. */
interface VerdictNames {
  readonly names: Readonly<Record<number, string>>;
  readonly others?: string;
}

/** Action codes of XDP: `enum xdp_action` of include/uapi/linux/bpf.h. */
export const XDP_ACTIONS = {
  XDP_ABORTED: 0,
  XDP_DROP: 1,
  XDP_PASS: 2,
  XDP_TX: 3,
  XDP_REDIRECT: 4,
} as const;

/** Action codes of tc in direct-action mode: include/uapi/linux/pkt_cls.h. */
export const TC_ACTIONS = {
  TC_ACT_UNSPEC: -1,
  TC_ACT_OK: 0,
  TC_ACT_RECLASSIFY: 1,
  TC_ACT_SHOT: 2,
  TC_ACT_PIPE: 3,
  TC_ACT_STOLEN: 4,
  TC_ACT_QUEUED: 5,
  TC_ACT_REPEAT: 6,
  TC_ACT_REDIRECT: 7,
  TC_ACT_TRAP: 8,
} as const;

const NUMBERS: VerdictNames = { names: {} };
const SK_ACTION: VerdictNames = { names: { 0: "SK_DROP", 1: "SK_PASS" } };
const CGROUP: VerdictNames = { names: { 0: "DENY", 1: "ALLOW" } };
const TC: VerdictNames = { names: byValue(TC_ACTIONS) };
/** `enum bpf_ret_code`. */
const LWT: VerdictNames = {
  names: { 0: "BPF_OK", 2: "BPF_DROP", 7: "BPF_REDIRECT", 128: "BPF_LWT_REROUTE" },
};

const VERDICTS: Record<ProgramTypeName, VerdictNames> = {
  BPF_PROG_TYPE_SOCKET_FILTER: { names: { 0: "DROP" }, others: "KEEP" },
  BPF_PROG_TYPE_KPROBE: NUMBERS,
  BPF_PROG_TYPE_SCHED_CLS: TC,
  BPF_PROG_TYPE_SCHED_ACT: TC,
  BPF_PROG_TYPE_TRACEPOINT: NUMBERS,
  BPF_PROG_TYPE_XDP: { names: byValue(XDP_ACTIONS) },
  BPF_PROG_TYPE_PERF_EVENT: NUMBERS,
  BPF_PROG_TYPE_CGROUP_SKB: { names: { 0: "DROP", 1: "PASS", 2: "DROP_CN", 3: "PASS_CN" } },
  BPF_PROG_TYPE_CGROUP_SOCK: CGROUP,
  BPF_PROG_TYPE_LWT_IN: LWT,
  BPF_PROG_TYPE_LWT_OUT: LWT,
  BPF_PROG_TYPE_LWT_XMIT: LWT,
  BPF_PROG_TYPE_SOCK_OPS: NUMBERS,
  BPF_PROG_TYPE_SK_SKB: SK_ACTION,
  BPF_PROG_TYPE_CGROUP_DEVICE: CGROUP,
  BPF_PROG_TYPE_SK_MSG: SK_ACTION,
  BPF_PROG_TYPE_RAW_TRACEPOINT: NUMBERS,
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: CGROUP,
  BPF_PROG_TYPE_LWT_SEG6LOCAL: LWT,
  BPF_PROG_TYPE_LIRC_MODE2: NUMBERS,
  BPF_PROG_TYPE_SK_REUSEPORT: SK_ACTION,
  BPF_PROG_TYPE_FLOW_DISSECTOR: {
    names: { 0: "BPF_OK", 2: "BPF_DROP", 129: "BPF_FLOW_DISSECTOR_CONTINUE" },
  },
  BPF_PROG_TYPE_CGROUP_SYSCTL: CGROUP,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: NUMBERS,
  BPF_PROG_TYPE_CGROUP_SOCKOPT: CGROUP,
  BPF_PROG_TYPE_TRACING: NUMBERS,
  BPF_PROG_TYPE_STRUCT_OPS: NUMBERS,
  BPF_PROG_TYPE_EXT: NUMBERS,
  BPF_PROG_TYPE_LSM: NUMBERS,
  BPF_PROG_TYPE_SK_LOOKUP: SK_ACTION,
  BPF_PROG_TYPE_SYSCALL: NUMBERS,
  BPF_PROG_TYPE_NETFILTER: { names: { 0: "NF_DROP", 1: "NF_ACCEPT" } },
};

/**
 * The name of a return value: `"XDP_PASS"`, `"TC_ACT_SHOT"`; the signed number as text where it has none. `retval` is
 * read as 32 bits, signed or unsigned.
 */
export function verdictName(type: ProgramTypeName, retval: number): string {
  const { names, others } = VERDICTS[type];
  const value = retval | 0;
  return names[value] ?? others ?? String(value);
}

function byValue(actions: Readonly<Record<string, number>>): Record<number, string> {
  return Object.fromEntries(Object.entries(actions).map(([name, value]) => [value, name]));
}
