import type { ProgramTypeName } from "../../abi/index.ts";
import { FLOW_DISSECTOR_HOOK } from "./flow-dissector.ts";
import type { Hook } from "./hook.ts";
import { NETFILTER_HOOK } from "./netfilter.ts";
import { PLAIN_HOOK } from "./plain-context.ts";
import { SK_LOOKUP_HOOK } from "./sk-lookup.ts";
import { SKB_HOOK } from "./skb.ts";
import { XDP_HOOK } from "./xdp.ts";

/** Why programs of a type cannot be run by the embedded kernel. */
export interface NotRunnable {
  readonly reason: string;
}

/** How programs of each type are run. */
export const HOOKS: Record<ProgramTypeName, Hook | NotRunnable> = {
  BPF_PROG_TYPE_SOCKET_FILTER: SKB_HOOK,
  BPF_PROG_TYPE_KPROBE: PLAIN_HOOK,
  BPF_PROG_TYPE_SCHED_CLS: SKB_HOOK,
  BPF_PROG_TYPE_SCHED_ACT: SKB_HOOK,
  BPF_PROG_TYPE_TRACEPOINT: PLAIN_HOOK,
  BPF_PROG_TYPE_XDP: XDP_HOOK,
  BPF_PROG_TYPE_PERF_EVENT: PLAIN_HOOK,
  BPF_PROG_TYPE_CGROUP_SKB: SKB_HOOK,
  BPF_PROG_TYPE_CGROUP_SOCK: PLAIN_HOOK,
  BPF_PROG_TYPE_LWT_IN: SKB_HOOK,
  BPF_PROG_TYPE_LWT_OUT: SKB_HOOK,
  BPF_PROG_TYPE_LWT_XMIT: SKB_HOOK,
  BPF_PROG_TYPE_SOCK_OPS: PLAIN_HOOK,
  BPF_PROG_TYPE_SK_SKB: SKB_HOOK,
  BPF_PROG_TYPE_CGROUP_DEVICE: PLAIN_HOOK,
  BPF_PROG_TYPE_SK_MSG: PLAIN_HOOK,
  BPF_PROG_TYPE_RAW_TRACEPOINT: PLAIN_HOOK,
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: PLAIN_HOOK,
  BPF_PROG_TYPE_LWT_SEG6LOCAL: SKB_HOOK,
  BPF_PROG_TYPE_LIRC_MODE2: PLAIN_HOOK,
  BPF_PROG_TYPE_SK_REUSEPORT: PLAIN_HOOK,
  BPF_PROG_TYPE_FLOW_DISSECTOR: FLOW_DISSECTOR_HOOK,
  BPF_PROG_TYPE_CGROUP_SYSCTL: PLAIN_HOOK,
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: PLAIN_HOOK,
  BPF_PROG_TYPE_CGROUP_SOCKOPT: PLAIN_HOOK,
  BPF_PROG_TYPE_TRACING: PLAIN_HOOK,
  BPF_PROG_TYPE_STRUCT_OPS: {
    reason:
      "struct_ops programs are methods that the Linux kernel calls (TCP congestion control, schedulers)",
  },
  BPF_PROG_TYPE_EXT: {
    reason: "extension programs replace a function of another loaded program; run that program instead",
  },
  BPF_PROG_TYPE_LSM: PLAIN_HOOK,
  BPF_PROG_TYPE_SK_LOOKUP: SK_LOOKUP_HOOK,
  BPF_PROG_TYPE_SYSCALL: PLAIN_HOOK,
  BPF_PROG_TYPE_NETFILTER: NETFILTER_HOOK,
};

export type * from "./hook.ts";
export { badInput } from "./input.ts";
