import {
  type ArgType,
  HELPERS,
  type HelperName,
  type HelperRow,
  helperArgs,
  helperRow,
  type ProgramTypeName,
  type RetType,
} from "../../abi/index.ts";
import { DynptrType, TypeFlag } from "../register-types.ts";

/** What an argument is for the checks: the kernel's `ARG_*` without flags. */
export type ArgKind =
  | "anything"
  | "scalar"
  | "size"
  | "alloc-size"
  | "map"
  | "key"
  | "value"
  | "memory"
  | "context"
  | "socket"
  | "sock-common"
  | "btf-sock-common"
  | "object"
  | "percpu-object"
  | "function"
  | "stack"
  | "ringbuf-record"
  | "dynptr"
  | "spin-lock"
  | "timer"
  | "const-string"
  | "kptr";

/** An argument as the checks want it: kind and flags of `enum bpf_arg_type`. */
export interface ArgSpec {
  readonly kind: ArgKind;
  /** TypeFlag bits: PTR_MAYBE_NULL, MEM_RDONLY, MEM_UNINIT, MEM_WRITE, MEM_ALIGNED, MEM_FIXED_SIZE, OBJ_RELEASE. */
  readonly flags: number;
  /** "memory" with MEM_FIXED_SIZE: bytes. */
  readonly size: number;
  /** "size": zero is fine. */
  readonly orZero: boolean;
  /** "dynptr": `DynptrType`, INVALID: any. */
  readonly dynptr: number;
  /** "object": name of the kernel structure. */
  readonly struct: string | undefined;
}

/** A helper as the checks want it. */
export interface HelperProto {
  readonly name: HelperName;
  readonly id: number;
  readonly row: HelperRow;
  readonly args: readonly ArgSpec[];
  readonly ret: RetType;
  /** Kernel structure behind a returned object. */
  readonly retStruct: string | undefined;
  /** Number of the argument that is released, 1–5; 0: none. */
  readonly releases: number;
}

const { PTR_MAYBE_NULL, MEM_RDONLY, MEM_UNINIT, MEM_WRITE, MEM_ALIGNED, MEM_FIXED_SIZE, OBJ_RELEASE } =
  TypeFlag;

type Lowered = Partial<Omit<ArgSpec, "kind">> & { readonly kind: ArgKind };

/** The names of abi/helpers.ts as kinds and flags. */
// biome-ignore format: one argument type a line.
const ARGS: Readonly<Record<ArgType, Lowered>> = {
  ANYTHING: { kind: "anything" },
  SCALAR: { kind: "scalar" },
  CONST_SIZE: { kind: "size" },
  CONST_SIZE_OR_ZERO: { kind: "size", orZero: true },
  CONST_ALLOC_SIZE_OR_ZERO: { kind: "alloc-size", orZero: true },
  CONST_MAP_PTR: { kind: "map" },
  PTR_TO_MAP_KEY: { kind: "key" },
  PTR_TO_MAP_VALUE: { kind: "value" },
  PTR_TO_MAP_VALUE_OR_NULL: { kind: "value", flags: PTR_MAYBE_NULL },
  PTR_TO_UNINIT_MAP_VALUE: { kind: "value", flags: MEM_UNINIT | MEM_WRITE },
  PTR_TO_MEM: { kind: "memory", flags: MEM_RDONLY },
  PTR_TO_MEM_OR_NULL: { kind: "memory", flags: MEM_RDONLY | PTR_MAYBE_NULL },
  PTR_TO_MEM_WRITE: { kind: "memory", flags: MEM_WRITE },
  PTR_TO_MEM_WRITE_OR_NULL: { kind: "memory", flags: MEM_WRITE | PTR_MAYBE_NULL },
  PTR_TO_UNINIT_MEM: { kind: "memory", flags: MEM_UNINIT | MEM_WRITE },
  PTR_TO_FIXED_SIZE_MEM_20: { kind: "memory", flags: MEM_FIXED_SIZE | MEM_RDONLY, size: 20 },
  PTR_TO_FIXED_SIZE_MEM_40: { kind: "memory", flags: MEM_FIXED_SIZE | MEM_RDONLY, size: 40 },
  PTR_TO_FIXED_SIZE_MEM_WRITE_4: { kind: "memory", flags: MEM_FIXED_SIZE | MEM_WRITE | MEM_ALIGNED, size: 4 },
  PTR_TO_UNINIT_FIXED_SIZE_MEM_8: { kind: "memory", flags: MEM_FIXED_SIZE | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED, size: 8 },
  PTR_TO_CTX: { kind: "context" },
  PTR_TO_CTX_OR_NULL: { kind: "context", flags: PTR_MAYBE_NULL },
  PTR_TO_SOCKET_OR_NULL: { kind: "socket", flags: PTR_MAYBE_NULL },
  PTR_TO_SOCK_COMMON: { kind: "sock-common" },
  PTR_TO_BTF_ID_SOCK_COMMON: { kind: "btf-sock-common", struct: "sock_common" },
  PTR_TO_BTF_ID_SOCK_COMMON_OR_NULL: { kind: "btf-sock-common", struct: "sock_common", flags: PTR_MAYBE_NULL },
  PTR_TO_BTF_ID: { kind: "object" },
  PTR_TO_BTF_ID_OR_NULL: { kind: "object", flags: PTR_MAYBE_NULL },
  PTR_TO_PERCPU_BTF_ID: { kind: "percpu-object" },
  PTR_TO_FUNC: { kind: "function" },
  PTR_TO_STACK_OR_NULL: { kind: "stack", flags: PTR_MAYBE_NULL },
  PTR_TO_RINGBUF_MEM: { kind: "ringbuf-record" },
  PTR_TO_DYNPTR: { kind: "dynptr", flags: MEM_RDONLY },
  PTR_TO_DYNPTR_RINGBUF: { kind: "dynptr", dynptr: DynptrType.RINGBUF },
  PTR_TO_UNINIT_DYNPTR_LOCAL: { kind: "dynptr", dynptr: DynptrType.LOCAL, flags: MEM_UNINIT | MEM_WRITE },
  PTR_TO_UNINIT_DYNPTR_RINGBUF: { kind: "dynptr", dynptr: DynptrType.RINGBUF, flags: MEM_UNINIT | MEM_WRITE },
  PTR_TO_SPIN_LOCK: { kind: "spin-lock" },
  PTR_TO_TIMER: { kind: "timer" },
  PTR_TO_CONST_STR: { kind: "const-string" },
  KPTR_XCHG_DEST: { kind: "kptr" },
};

/** Kernel structures of "object" arguments. `arg*_btf_id` of the `struct bpf_func_proto`s @ v6.18 */
const ARG_STRUCTS: Readonly<Partial<Record<HelperName, string>>> = {
  bprm_opts_set: "linux_binprm",
  cgrp_storage_get: "cgroup",
  cgrp_storage_delete: "cgroup",
  copy_from_user_task: "task_struct",
  d_path: "path",
  find_vma: "task_struct",
  get_task_stack: "task_struct",
  ima_file_hash: "file",
  ima_inode_hash: "inode",
  inode_storage_get: "inode",
  inode_storage_delete: "inode",
  seq_printf: "seq_file",
  seq_write: "seq_file",
  seq_printf_btf: "seq_file",
  sk_storage_get: "sock_common",
  sk_storage_delete: "sock_common",
  skb_output: "sk_buff",
  sock_from_file: "file",
  task_pt_regs: "task_struct",
  task_storage_get: "task_struct",
  task_storage_delete: "task_struct",
  tcp_send_ack: "tcp_sock",
  xdp_get_buff_len: "xdp_buff",
  xdp_output: "xdp_buff",
};

/** Kernel structures of returned objects. `ret_btf_id` @ v6.18 */
const RETURN_STRUCTS: Readonly<Partial<Record<HelperName, string>>> = {
  get_current_task_btf: "task_struct",
  skc_to_mptcp_sock: "mptcp_sock",
  skc_to_tcp6_sock: "tcp6_sock",
  skc_to_tcp_request_sock: "tcp_request_sock",
  skc_to_tcp_sock: "tcp_sock",
  skc_to_tcp_timewait_sock: "tcp_timewait_sock",
  skc_to_udp6_sock: "udp6_sock",
  skc_to_unix_sock: "unix_sock",
  sock_from_file: "socket",
  task_pt_regs: "pt_regs",
};

/** Program types whose prototype is another's: `[helper, types, arguments]`. Beside `argsOf` of the abi's table. */
const SOCKET_POINTER: readonly ArgType[] = ["PTR_TO_BTF_ID_SOCK_COMMON_OR_NULL"];
const SOCKET_OPTION: readonly ArgType[] = [
  "PTR_TO_BTF_ID_SOCK_COMMON",
  "ANYTHING",
  "ANYTHING",
  "PTR_TO_MEM",
  "CONST_SIZE",
];
const SOCKET_OPTION_GET: readonly ArgType[] = [
  "PTR_TO_BTF_ID_SOCK_COMMON",
  "ANYTHING",
  "ANYTHING",
  "PTR_TO_UNINIT_MEM",
  "CONST_SIZE",
];
const VARIANTS: readonly (readonly [HelperName, readonly ProgramTypeName[], readonly ArgType[]])[] = [
  [
    "get_socket_cookie",
    ["BPF_PROG_TYPE_SK_REUSEPORT", "BPF_PROG_TYPE_LSM", "BPF_PROG_TYPE_SYSCALL"],
    SOCKET_POINTER,
  ],
  ["xdp_get_buff_len", ["BPF_PROG_TYPE_LSM", "BPF_PROG_TYPE_SYSCALL"], ["PTR_TO_BTF_ID"]],
  ["setsockopt", ["BPF_PROG_TYPE_CGROUP_SOCKOPT"], SOCKET_OPTION],
  ["getsockopt", ["BPF_PROG_TYPE_CGROUP_SOCKOPT"], SOCKET_OPTION_GET],
];

/** Types where `get_cgroup_classid` asks the packet; in the others it asks the current task. */
const CLASSID_OF_PACKET: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_SCHED_CLS",
  "BPF_PROG_TYPE_SCHED_ACT",
  "BPF_PROG_TYPE_LWT_IN",
  "BPF_PROG_TYPE_LWT_OUT",
  "BPF_PROG_TYPE_LWT_XMIT",
  "BPF_PROG_TYPE_LWT_SEG6LOCAL",
]);

function argTypes(name: HelperName, type: ProgramTypeName): readonly ArgType[] {
  if (name === "get_cgroup_classid" && !CLASSID_OF_PACKET.has(type)) return [];
  const variant = VARIANTS.find(([helper, types]) => helper === name && types.includes(type));
  return variant?.[2] ?? helperArgs(name, type);
}

/** The prototype of a helper as a program of this type sees it. */
export function prototypeFor(name: HelperName, type: ProgramTypeName): HelperProto {
  const row = helperRow(name);
  const releases = row.releases ?? 0;
  const args = argTypes(name, type).map((argType, i): ArgSpec => {
    const { kind, flags = 0, size = 0, orZero = false, dynptr = DynptrType.INVALID, struct } = ARGS[argType];
    return {
      kind,
      flags: flags | (releases === i + 1 ? OBJ_RELEASE : 0),
      size,
      orZero,
      dynptr,
      struct: struct ?? (kind === "object" ? ARG_STRUCTS[name] : undefined),
    };
  });
  return { name, id: row.id, row, args, ret: row.ret, retStruct: RETURN_STRUCTS[name], releases };
}

/** Names by `imm` of the call; holes are undefined. */
export function helperNames(): (HelperName | undefined)[] {
  const names: (HelperName | undefined)[] = [];
  for (const [name, row] of Object.entries(HELPERS)) names[row.id] = name as HelperName; // the table's own keys
  return names;
}
