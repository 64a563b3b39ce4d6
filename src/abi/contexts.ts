import type { AttachTypeName } from "./attach-types.ts";
import { type ContextStruct, type ContextStructName, contextStruct } from "./context-structs.ts";
import { ACCESS_SETS, CONTEXT_ROWS } from "./generated/ctx-access.ts";
import type { ProgramTypeName } from "./program-types.ts";

/** Accesses of `size` bytes at `first`, `first + step`, … `last`: `[size, first, last, step]`. */
export type AccessRange = readonly [size: number, first: number, last: number, step: number];

/** Which loads and stores of a context Linux lets through. */
export interface AccessSet {
  readonly read: readonly AccessRange[];
  readonly write: readonly AccessRange[];
  /** No fixed end: aligned reads go on to the end of the structure (tracepoint records, syscall arguments). */
  readonly open?: true;
}

/** What the kernel answered for one program and attach type. */
export interface ContextRow {
  readonly type: ProgramTypeName;
  readonly attach: AttachTypeName | undefined;
  /** Smallest and largest return value the verifier accepts; undefined: any. */
  readonly returns: readonly [min: number, max: number] | undefined;
  /** Index into the access sets. */
  readonly access: number;
}

/** A program's view of its context. */
export interface Context {
  readonly struct: ContextStructName | undefined;
  /** Bytes of the structure; the largest possible for the open-ended ones. */
  readonly size: number;
  readonly fields: ContextStruct["fields"];
  /** The kernel's own ranges, for building tables. */
  readonly access: AccessSet;
  /** Smallest and largest return value the verifier accepts; undefined: any. */
  readonly returns: readonly [min: number, max: number] | undefined;
  mayRead(offset: number, size: number): boolean;
  mayWrite(offset: number, size: number): boolean;
}

/** The context structure of each program type; undefined where the arguments depend on what it is attached to. */
const STRUCT_OF: Record<ProgramTypeName, ContextStructName | undefined> = {
  BPF_PROG_TYPE_SOCKET_FILTER: "__sk_buff",
  BPF_PROG_TYPE_KPROBE: "pt_regs",
  BPF_PROG_TYPE_SCHED_CLS: "__sk_buff",
  BPF_PROG_TYPE_SCHED_ACT: "__sk_buff",
  BPF_PROG_TYPE_TRACEPOINT: "tracepoint_record",
  BPF_PROG_TYPE_XDP: "xdp_md",
  BPF_PROG_TYPE_PERF_EVENT: "bpf_perf_event_data",
  BPF_PROG_TYPE_CGROUP_SKB: "__sk_buff",
  BPF_PROG_TYPE_CGROUP_SOCK: "bpf_sock",
  BPF_PROG_TYPE_LWT_IN: "__sk_buff",
  BPF_PROG_TYPE_LWT_OUT: "__sk_buff",
  BPF_PROG_TYPE_LWT_XMIT: "__sk_buff",
  BPF_PROG_TYPE_SOCK_OPS: "bpf_sock_ops",
  BPF_PROG_TYPE_SK_SKB: "__sk_buff",
  BPF_PROG_TYPE_CGROUP_DEVICE: "bpf_cgroup_dev_ctx",
  BPF_PROG_TYPE_SK_MSG: "sk_msg_md",
  BPF_PROG_TYPE_RAW_TRACEPOINT: "bpf_raw_tracepoint_args",
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: "bpf_sock_addr",
  BPF_PROG_TYPE_LWT_SEG6LOCAL: "__sk_buff",
  BPF_PROG_TYPE_LIRC_MODE2: "lirc_mode2_sample",
  BPF_PROG_TYPE_SK_REUSEPORT: "sk_reuseport_md",
  BPF_PROG_TYPE_FLOW_DISSECTOR: "__sk_buff",
  BPF_PROG_TYPE_CGROUP_SYSCTL: "bpf_sysctl",
  BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: "raw_tracepoint_writable_args",
  BPF_PROG_TYPE_CGROUP_SOCKOPT: "bpf_sockopt",
  BPF_PROG_TYPE_TRACING: undefined,
  BPF_PROG_TYPE_STRUCT_OPS: undefined,
  BPF_PROG_TYPE_EXT: undefined,
  BPF_PROG_TYPE_LSM: undefined,
  BPF_PROG_TYPE_SK_LOOKUP: "bpf_sk_lookup",
  BPF_PROG_TYPE_SYSCALL: "syscall_args",
  BPF_PROG_TYPE_NETFILTER: "bpf_nf_ctx",
};

/** Types without a structure see up to 12 arguments of 8 bytes (MAX_BPF_FUNC_ARGS) and a return value. */
const ARGUMENT_BYTES = 13 * 8;
const ARGUMENTS: AccessSet = { read: [[8, 0, ARGUMENT_BYTES - 8, 8]], write: [] };
const LIRC_SAMPLE: AccessSet = { read: [[4, 0, 0, 4]], write: [] };

/**
 * The context that a program of this type and attach type gets in r1: layout, allowed accesses, allowed results, as
 * Linux 6.18 answers them. Without an attach type, or for one that was not probed, the type's default.
 */
export function contextOf(type: ProgramTypeName, attach?: AttachTypeName): Context {
  const rows = CONTEXT_ROWS.filter((row) => row.type === type);
  const row = rows.find((candidate) => candidate.attach === attach) ?? rows[0];
  const name = STRUCT_OF[type];
  const struct = name === undefined ? { size: ARGUMENT_BYTES, fields: [] } : contextStruct(name);
  const unprobed = type === "BPF_PROG_TYPE_LIRC_MODE2" ? LIRC_SAMPLE : ARGUMENTS;
  const access = row === undefined ? unprobed : ACCESS_SETS[row.access];
  const openEnd = access.open ? struct.size : 0;
  return {
    struct: name,
    size: struct.size,
    fields: struct.fields,
    access,
    returns: row?.returns,
    mayRead: (offset, size) => allows(access.read, offset, size, openEnd),
    mayWrite: (offset, size) => allows(access.write, offset, size, openEnd),
  };
}

function allows(ranges: readonly AccessRange[], offset: number, size: number, openEnd: number): boolean {
  return ranges.some(([width, first, last, step]) => {
    if (width !== size || offset < first || (offset - first) % step !== 0) return false;
    return offset <= last || (openEnd > 0 && offset + size <= openEnd);
  });
}
