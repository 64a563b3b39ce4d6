// One table: what SEC() names mean, as libbpf 1.5 has it (tools/lib/bpf/libbpf.c `section_defs` @ v6.12).
import type { AttachTypeName, ProgramTypeName } from "../abi/index.ts";

/** How a section name must look for a row to hold. */
export type SectionForm =
  /** The name alone. */
  | "exact"
  /** The name alone, or the name, a slash and what to attach to. */
  | "target"
  /** Anything that starts with the name: libbpf before 1.0. */
  | "prefix";

/** One SEC() name: what a program there is. */
export interface SectionRow {
  readonly name: string;
  readonly form: SectionForm;
  readonly type: ProgramTypeName;
  readonly attach?: AttachTypeName;
  /** `sleepable`: BPF_F_SLEEPABLE; `frags`: BPF_F_XDP_HAS_FRAGS; `btf`: attaches to a BTF id of the kernel. */
  readonly flag?: "sleepable" | "frags" | "usdt";
  readonly needsBtfTarget?: true;
}

type Short = ProgramTypeName extends `BPF_PROG_TYPE_${infer Name}` ? Name : never;

function row(pattern: string, type: Short, attach?: AttachTypeName, flag?: SectionRow["flag"]): SectionRow {
  const target = pattern.endsWith("+");
  return {
    name: target ? pattern.slice(0, -1) : pattern,
    form: target ? "target" : "exact",
    type: `BPF_PROG_TYPE_${type}`,
    ...(attach === undefined ? {} : { attach }),
    ...(flag === undefined ? {} : { flag }),
  };
}

function traced(
  pattern: string,
  type: Short,
  attach?: AttachTypeName,
  flag?: SectionRow["flag"],
): SectionRow {
  return { ...row(pattern, type, attach, flag), needsBtfTarget: true };
}

/** Every SEC() name libbpf 1.5 knows, in its order: the first row that matches holds. */
export function sectionRows(): readonly SectionRow[] {
  return [
    row("socket", "SOCKET_FILTER"),
    row("sk_reuseport/migrate", "SK_REUSEPORT", "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE"),
    row("sk_reuseport", "SK_REUSEPORT", "BPF_SK_REUSEPORT_SELECT"),
    row("kprobe+", "KPROBE"),
    row("uprobe+", "KPROBE"),
    row("uprobe.s+", "KPROBE", undefined, "sleepable"),
    row("kretprobe+", "KPROBE"),
    row("uretprobe+", "KPROBE"),
    row("uretprobe.s+", "KPROBE", undefined, "sleepable"),
    row("kprobe.multi+", "KPROBE", "BPF_TRACE_KPROBE_MULTI"),
    row("kretprobe.multi+", "KPROBE", "BPF_TRACE_KPROBE_MULTI"),
    row("kprobe.session+", "KPROBE", "BPF_TRACE_KPROBE_SESSION"),
    row("uprobe.multi+", "KPROBE", "BPF_TRACE_UPROBE_MULTI"),
    row("uretprobe.multi+", "KPROBE", "BPF_TRACE_UPROBE_MULTI"),
    row("uprobe.multi.s+", "KPROBE", "BPF_TRACE_UPROBE_MULTI", "sleepable"),
    row("uretprobe.multi.s+", "KPROBE", "BPF_TRACE_UPROBE_MULTI", "sleepable"),
    // Of libbpf 1.6.
    row("uprobe.session+", "KPROBE", "BPF_TRACE_UPROBE_SESSION"),
    row("uprobe.session.s+", "KPROBE", "BPF_TRACE_UPROBE_SESSION", "sleepable"),
    row("ksyscall+", "KPROBE"),
    row("kretsyscall+", "KPROBE"),
    row("usdt+", "KPROBE", undefined, "usdt"),
    row("usdt.s+", "KPROBE", undefined, "sleepable"),
    row("tc/ingress", "SCHED_CLS", "BPF_TCX_INGRESS"),
    row("tc/egress", "SCHED_CLS", "BPF_TCX_EGRESS"),
    row("tcx/ingress", "SCHED_CLS", "BPF_TCX_INGRESS"),
    row("tcx/egress", "SCHED_CLS", "BPF_TCX_EGRESS"),
    row("tc", "SCHED_CLS"),
    row("classifier", "SCHED_CLS"),
    row("action", "SCHED_ACT"),
    row("netkit/primary", "SCHED_CLS", "BPF_NETKIT_PRIMARY"),
    row("netkit/peer", "SCHED_CLS", "BPF_NETKIT_PEER"),
    row("tracepoint+", "TRACEPOINT"),
    row("tp+", "TRACEPOINT"),
    row("raw_tracepoint+", "RAW_TRACEPOINT"),
    row("raw_tp+", "RAW_TRACEPOINT"),
    row("raw_tracepoint.w+", "RAW_TRACEPOINT_WRITABLE"),
    row("raw_tp.w+", "RAW_TRACEPOINT_WRITABLE"),
    traced("tp_btf+", "TRACING", "BPF_TRACE_RAW_TP"),
    traced("fentry+", "TRACING", "BPF_TRACE_FENTRY"),
    traced("fmod_ret+", "TRACING", "BPF_MODIFY_RETURN"),
    traced("fexit+", "TRACING", "BPF_TRACE_FEXIT"),
    traced("fentry.s+", "TRACING", "BPF_TRACE_FENTRY", "sleepable"),
    traced("fmod_ret.s+", "TRACING", "BPF_MODIFY_RETURN", "sleepable"),
    traced("fexit.s+", "TRACING", "BPF_TRACE_FEXIT", "sleepable"),
    traced("freplace+", "EXT"),
    traced("lsm+", "LSM", "BPF_LSM_MAC"),
    traced("lsm.s+", "LSM", "BPF_LSM_MAC", "sleepable"),
    traced("lsm_cgroup+", "LSM", "BPF_LSM_CGROUP"),
    traced("iter+", "TRACING", "BPF_TRACE_ITER"),
    traced("iter.s+", "TRACING", "BPF_TRACE_ITER", "sleepable"),
    row("syscall", "SYSCALL", undefined, "sleepable"),
    row("xdp.frags/devmap", "XDP", "BPF_XDP_DEVMAP", "frags"),
    row("xdp/devmap", "XDP", "BPF_XDP_DEVMAP"),
    row("xdp.frags/cpumap", "XDP", "BPF_XDP_CPUMAP", "frags"),
    row("xdp/cpumap", "XDP", "BPF_XDP_CPUMAP"),
    row("xdp.frags", "XDP", "BPF_XDP", "frags"),
    row("xdp", "XDP", "BPF_XDP"),
    row("perf_event", "PERF_EVENT"),
    row("lwt_in", "LWT_IN"),
    row("lwt_out", "LWT_OUT"),
    row("lwt_xmit", "LWT_XMIT"),
    row("lwt_seg6local", "LWT_SEG6LOCAL"),
    row("sockops", "SOCK_OPS", "BPF_CGROUP_SOCK_OPS"),
    row("sk_skb/stream_parser", "SK_SKB", "BPF_SK_SKB_STREAM_PARSER"),
    row("sk_skb/stream_verdict", "SK_SKB", "BPF_SK_SKB_STREAM_VERDICT"),
    row("sk_skb/verdict", "SK_SKB", "BPF_SK_SKB_VERDICT"),
    row("sk_skb", "SK_SKB"),
    row("sk_msg", "SK_MSG", "BPF_SK_MSG_VERDICT"),
    row("lirc_mode2", "LIRC_MODE2", "BPF_LIRC_MODE2"),
    row("flow_dissector", "FLOW_DISSECTOR", "BPF_FLOW_DISSECTOR"),
    row("cgroup_skb/ingress", "CGROUP_SKB", "BPF_CGROUP_INET_INGRESS"),
    row("cgroup_skb/egress", "CGROUP_SKB", "BPF_CGROUP_INET_EGRESS"),
    row("cgroup/skb", "CGROUP_SKB"),
    row("cgroup/sock_create", "CGROUP_SOCK", "BPF_CGROUP_INET_SOCK_CREATE"),
    row("cgroup/sock_release", "CGROUP_SOCK", "BPF_CGROUP_INET_SOCK_RELEASE"),
    row("cgroup/sock", "CGROUP_SOCK", "BPF_CGROUP_INET_SOCK_CREATE"),
    row("cgroup/post_bind4", "CGROUP_SOCK", "BPF_CGROUP_INET4_POST_BIND"),
    row("cgroup/post_bind6", "CGROUP_SOCK", "BPF_CGROUP_INET6_POST_BIND"),
    row("cgroup/bind4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET4_BIND"),
    row("cgroup/bind6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET6_BIND"),
    row("cgroup/connect4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET4_CONNECT"),
    row("cgroup/connect6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET6_CONNECT"),
    row("cgroup/connect_unix", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_CONNECT"),
    row("cgroup/sendmsg4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UDP4_SENDMSG"),
    row("cgroup/sendmsg6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UDP6_SENDMSG"),
    row("cgroup/sendmsg_unix", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_SENDMSG"),
    row("cgroup/recvmsg4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UDP4_RECVMSG"),
    row("cgroup/recvmsg6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UDP6_RECVMSG"),
    row("cgroup/recvmsg_unix", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_RECVMSG"),
    row("cgroup/getpeername4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET4_GETPEERNAME"),
    row("cgroup/getpeername6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET6_GETPEERNAME"),
    row("cgroup/getpeername_unix", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_GETPEERNAME"),
    row("cgroup/getsockname4", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET4_GETSOCKNAME"),
    row("cgroup/getsockname6", "CGROUP_SOCK_ADDR", "BPF_CGROUP_INET6_GETSOCKNAME"),
    row("cgroup/getsockname_unix", "CGROUP_SOCK_ADDR", "BPF_CGROUP_UNIX_GETSOCKNAME"),
    row("cgroup/sysctl", "CGROUP_SYSCTL", "BPF_CGROUP_SYSCTL"),
    row("cgroup/getsockopt", "CGROUP_SOCKOPT", "BPF_CGROUP_GETSOCKOPT"),
    row("cgroup/setsockopt", "CGROUP_SOCKOPT", "BPF_CGROUP_SETSOCKOPT"),
    row("cgroup/dev", "CGROUP_DEVICE", "BPF_CGROUP_DEVICE"),
    row("struct_ops+", "STRUCT_OPS"),
    row("struct_ops.s+", "STRUCT_OPS", undefined, "sleepable"),
    row("sk_lookup", "SK_LOOKUP", "BPF_SK_LOOKUP"),
    row("netfilter", "NETFILTER", "BPF_NETFILTER"),
  ];
}

function prefix(name: string, type: Short, attach?: AttachTypeName): SectionRow {
  return { ...row(name, type, attach), form: "prefix" };
}

/** What libbpf before 1.0 took by prefix; used for objects with `SEC("maps")`, which are that old. */
export function legacySectionRows(): readonly SectionRow[] {
  return [
    prefix("xdp_devmap/", "XDP", "BPF_XDP_DEVMAP"),
    prefix("xdp_cpumap/", "XDP", "BPF_XDP_CPUMAP"),
    prefix("xdp", "XDP", "BPF_XDP"),
    prefix("socket", "SOCKET_FILTER"),
    prefix("classifier", "SCHED_CLS"),
    prefix("tc", "SCHED_CLS"),
    prefix("action", "SCHED_ACT"),
    prefix("perf_event", "PERF_EVENT"),
    prefix("lwt_in", "LWT_IN"),
    prefix("lwt_out", "LWT_OUT"),
    prefix("lwt_xmit", "LWT_XMIT"),
    prefix("lwt_seg6local", "LWT_SEG6LOCAL"),
    prefix("sockops", "SOCK_OPS", "BPF_CGROUP_SOCK_OPS"),
    prefix("sk_skb/stream_parser", "SK_SKB", "BPF_SK_SKB_STREAM_PARSER"),
    prefix("sk_skb/stream_verdict", "SK_SKB", "BPF_SK_SKB_STREAM_VERDICT"),
    prefix("sk_skb", "SK_SKB"),
    prefix("sk_msg", "SK_MSG", "BPF_SK_MSG_VERDICT"),
    prefix("lirc_mode2", "LIRC_MODE2", "BPF_LIRC_MODE2"),
    prefix("flow_dissector", "FLOW_DISSECTOR", "BPF_FLOW_DISSECTOR"),
    prefix("cgroup/skb", "CGROUP_SKB"),
    prefix("cgroup/dev", "CGROUP_DEVICE", "BPF_CGROUP_DEVICE"),
    prefix("sk_reuseport", "SK_REUSEPORT", "BPF_SK_REUSEPORT_SELECT"),
    prefix("sk_lookup", "SK_LOOKUP", "BPF_SK_LOOKUP"),
  ];
}

/** What a SEC() name says of the programs in it. */
export interface SectionMeaning {
  /** The name without `?`. */
  readonly section: string;
  readonly autoload: boolean;
  /** Undefined: no row matches; the user has to name the type. */
  readonly row: SectionRow | undefined;
  /** What follows the `/` of a name that takes a target, such as the function of `kprobe/do_unlinkat`. */
  readonly attachTo: string | undefined;
}

/** Finds the row of a section name; with `legacy`, prefixes count where no row of libbpf 1.5 matches. */
export function sectionMeaning(name: string, options: { readonly legacy?: boolean } = {}): SectionMeaning {
  const autoload = !name.startsWith("?");
  const section = autoload ? name : name.slice(1);
  const rows = options.legacy ? [...sectionRows(), ...legacySectionRows()] : sectionRows();
  const found = rows.find((candidate) => matches(candidate, section));
  const attachTo =
    found?.form === "target" && section.length > found.name.length
      ? section.slice(found.name.length + 1)
      : undefined;
  return { section, autoload, row: found, attachTo };
}

function matches(candidate: SectionRow, section: string): boolean {
  if (section === candidate.name) return true;
  if (candidate.form === "target") return section.startsWith(`${candidate.name}/`);
  return candidate.form === "prefix" && section.startsWith(candidate.name);
}
