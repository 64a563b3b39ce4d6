// One table: which kind of attachment a section name asks for, as libbpf's section definitions have it.
import type { AttachKind, ProgramSpec } from "../../object/index.ts";

/** First match holds: the part of the name before the first slash, or a longer start. */
const KINDS: readonly (readonly [section: RegExp, kind: AttachKind])[] = [
  [/^socket$/, "socket-filter"],
  [/^sk_reuseport(\/|$)/, "reuseport"],
  [/^k(ret)?probe\.(multi|session)(\/|$)/, "kprobe-multi"],
  [/^u(ret)?probe\.(multi|session)(\.s)?(\/|$)/, "uprobe-multi"],
  [/^(k(ret)?probe|k(ret)?syscall)(\/|$)/, "kprobe"],
  [/^u(ret)?probe(\.s)?(\/|$)/, "uprobe"],
  [/^usdt(\.s)?(\/|$)/, "usdt"],
  [/^tcx?\/(in|e)gress$/, "tcx"],
  [/^(tc|classifier|action)$/, "tc"],
  [/^netkit\//, "netkit"],
  [/^(tracepoint|tp)(\/|$)/, "tracepoint"],
  [/^(raw_tracepoint|raw_tp)(\.w)?(\/|$)/, "raw-tracepoint"],
  [/^(tp_btf|fentry(\.s)?|fexit(\.s)?|fmod_ret(\.s)?|lsm(\.s)?)(\/|$)/, "trace"],
  [/^freplace(\/|$)/, "freplace"],
  [/^(lsm_cgroup|cgroup|cgroup_skb|sockops)(\/|$)/, "cgroup"],
  [/^iter(\.s)?(\/|$)/, "iter"],
  [/^xdp(\.frags)?$/, "xdp"],
  [/^perf_event$/, "perf-event"],
  [/^(sk_skb|sk_msg)(\/|$)/, "sockmap"],
  [/^flow_dissector$/, "flow-dissector"],
  [/^struct_ops(\.s)?(\/|$)/, "struct-ops"],
  [/^sk_lookup$/, "sk-lookup"],
  [/^netfilter$/, "netfilter"],
];

/** The kind of attachment that a program's section name means; undefined for what is not attached (`syscall`, `lwt_in` …). */
export function kindOfSection(program: ProgramSpec): AttachKind | undefined {
  return KINDS.find(([pattern]) => pattern.test(program.section))?.[1];
}
