import { describe, expect, it } from "vitest";
import { BtfBuilder } from "../btf/index.ts";
import { outcome, type TestProgram, testEnv } from "./prechecks.fixture.ts";

const builder = new BtfBuilder();
const int = builder.int("int", 4);
const proto = builder.add({ kind: "func_proto", name: "", type: int, params: [] });
const long = builder.add({
  kind: "func_proto",
  name: "",
  type: int,
  params: Array.from({ length: 13 }, (_, n) => ({ name: `a${n}`, type: int })),
});
const func = (name: string, type = proto) => builder.add({ kind: "func", name, type, linkage: "static" });
const pointer = builder.add({ kind: "ptr", name: "", type: proto });
const words = (name: string, count: number) =>
  builder.add({
    kind: "struct",
    name,
    size: 4 * count,
    kindFlag: false,
    members: Array.from({ length: count }, (_, n) => ({
      name: `w${n}`,
      type: int,
      bitOffset: 32 * n,
      bitSize: 0,
    })),
  });
const takes = (type: number, ...params: number[]) =>
  builder.add({ kind: "func_proto", name: "", type, params: params.map((at) => ({ name: "a", type: at })) });
const id = {
  plain: func("vfs_read"),
  long: func("long_one", long),
  variable: func("printk", takes(int, pointer, 0)),
  bigResult: func("gives_struct", takes(words("pair", 2))),
  fits: func("takes_four", takes(int, words("four", 4))),
  tooBig: func("takes_five", takes(int, int, words("five", 5))),
  wideResult: func("gives_wide", takes(builder.int("__int128", 16))),
  syscall: func("__x64_sys_getpgid"),
  denied: func("migrate_disable"),
  exit: func("do_exit"),
  injection: func("within_error_injection_list"),
  hook: func("bpf_lsm_file_open"),
  quietHook: func("bpf_lsm_task_free"),
  disabled: func("bpf_lsm_vm_enough_memory"),
  tracepoint: builder.add({ kind: "typedef", name: "btf_trace_sys_enter", type: pointer }),
  typedef: builder.add({ kind: "typedef", name: "other", type: pointer }),
  tcp: builder.add({
    kind: "struct",
    name: "tcp_congestion_ops",
    size: 24,
    kindFlag: false,
    members: ["ssthresh", "get_info", "flags"].map((name, n) => ({
      name,
      type: name === "flags" ? int : pointer,
      bitOffset: 64 * n,
      bitSize: 0,
    })),
  }),
  sched: builder.add({
    kind: "struct",
    name: "smc_hs_ctrl",
    size: 8,
    kindFlag: false,
    members: [{ name: "select_cpu", type: pointer, bitOffset: 0, bitSize: 0 }],
  }),
};
const kernelBtf = builder.build();

const TRACING = "BPF_PROG_TYPE_TRACING";
const LSM = "BPF_PROG_TYPE_LSM";
const OPS = "BPF_PROG_TYPE_STRUCT_OPS";
const sleepable = { sleepable: true };
const cases: readonly (TestProgram & { name: string; want: string })[] = [
  { name: "fentry", type: TRACING, attachType: "BPF_TRACE_FENTRY", attachBtfId: id.plain, want: "fine" },
  {
    name: "fentry of nothing",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    want: "Tracing programs must provide btf_id",
  },
  {
    name: "fentry of a number",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: 9999,
    want: "attach_btf_id 9999 is invalid",
  },
  {
    name: "fentry of a type",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.typedef,
    want: `attach_btf_id ${id.typedef} is not a function`,
  },
  {
    name: "too many arguments",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.long,
    want: "The function long_one has 13 arguments. Too many.",
  },
  {
    name: "arguments without end",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.variable,
    want: "The function printk with variable args is unsupported.",
  },
  {
    name: "a structure as result",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.bigResult,
    want: "The function gives_struct return type STRUCT is unsupported.",
  },
  {
    name: "a structure in two registers",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.fits,
    want: "fine",
  },
  {
    name: "a structure that takes more",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.tooBig,
    want: "The function takes_five arg1 type STRUCT is unsupported.",
  },
  {
    name: "fentry of a function with a wide result",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.wideResult,
    want: "fine",
  },
  {
    name: "fexit of a function with a wide result",
    type: TRACING,
    attachType: "BPF_TRACE_FEXIT",
    attachBtfId: id.wideResult,
    want: "Attach to function gives_wide with a >8 byte return value is not supported for this attach type",
  },
  {
    name: "a function that tracing needs itself",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.denied,
    want: "Attaching tracing programs to function 'migrate_disable' is rejected.",
  },
  {
    name: "fexit of a function that never returns",
    type: TRACING,
    attachType: "BPF_TRACE_FEXIT",
    attachBtfId: id.exit,
    want: "Attaching fexit/fmod_ret to __noreturn function 'do_exit' is rejected.",
  },
  {
    name: "sleepable fentry of a system call",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.syscall,
    flags: sleepable,
    want: "fine",
  },
  {
    name: "sleepable fentry of another function",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.plain,
    flags: sleepable,
    want: "unsupported: programs on vfs_read() without the kernel's error injection list",
  },
  {
    name: "fmod_ret of another function",
    type: TRACING,
    attachType: "BPF_MODIFY_RETURN",
    attachBtfId: id.plain,
    want: "unsupported: programs on vfs_read() without the kernel's error injection list",
  },
  {
    name: "sleepable fentry of a function that is not on the list",
    type: TRACING,
    attachType: "BPF_TRACE_FENTRY",
    attachBtfId: id.plain,
    flags: sleepable,
    errorInjection: new Set(["vfs_write"]),
    want: "vfs_read is not sleepable",
  },
  {
    name: "fmod_ret of a function on the list",
    type: TRACING,
    attachType: "BPF_MODIFY_RETURN",
    attachBtfId: id.plain,
    errorInjection: new Set(["vfs_read"]),
    want: "fine",
  },
  {
    name: "fmod_ret of a function that is not on the list",
    type: TRACING,
    attachType: "BPF_MODIFY_RETURN",
    attachBtfId: id.plain,
    errorInjection: new Set(),
    want: "vfs_read() is not modifiable",
  },
  { name: "tp_btf", type: TRACING, attachType: "BPF_TRACE_RAW_TP", attachBtfId: id.tracepoint, want: "fine" },
  {
    name: "tp_btf of another type",
    type: TRACING,
    attachType: "BPF_TRACE_RAW_TP",
    attachBtfId: id.typedef,
    want: `attach_btf_id ${id.typedef} points to wrong type name other`,
  },
  {
    name: "LSM hook",
    type: LSM,
    attachType: "BPF_LSM_MAC",
    attachBtfId: id.hook,
    flags: sleepable,
    want: "fine",
  },
  {
    name: "LSM hook that must not sleep",
    type: LSM,
    attachType: "BPF_LSM_MAC",
    attachBtfId: id.quietHook,
    flags: sleepable,
    want: "bpf_lsm_task_free is not sleepable",
  },
  {
    name: "disabled LSM hook",
    type: LSM,
    attachType: "BPF_LSM_MAC",
    attachBtfId: id.disabled,
    want: `attach_btf_id ${id.disabled} points to disabled hook bpf_lsm_vm_enough_memory`,
  },
  {
    name: "LSM on a function that is no hook",
    type: LSM,
    attachType: "BPF_LSM_MAC",
    attachBtfId: id.plain,
    want: `attach_btf_id ${id.plain} points to wrong type name vfs_read`,
  },
  {
    name: "LSM, wrong licence",
    type: LSM,
    attachType: "BPF_LSM_MAC",
    attachBtfId: id.hook,
    gpl: false,
    want: "LSM programs must have a GPL compatible license",
  },
  { name: "struct_ops", type: OPS, attachBtfId: id.tcp, structOpsMember: 0, want: "fine" },
  {
    name: "struct_ops, wrong licence",
    type: OPS,
    attachBtfId: id.tcp,
    structOpsMember: 0,
    gpl: false,
    want: "struct ops programs must have a GPL compatible license",
  },
  {
    name: "struct_ops member that programs cannot be",
    type: OPS,
    attachBtfId: id.tcp,
    structOpsMember: 1,
    want: "attach to unsupported member get_info of struct tcp_congestion_ops",
  },
  {
    name: "struct_ops member that is no function",
    type: OPS,
    attachBtfId: id.tcp,
    structOpsMember: 2,
    want: "attach to invalid member flags(@idx 2) of struct tcp_congestion_ops",
  },
  {
    name: "struct_ops of unknown rules",
    type: OPS,
    attachBtfId: id.sched,
    structOpsMember: 0,
    want: "unsupported: struct_ops structure smc_hs_ctrl",
  },
];

describe("attach targets", () => {
  it.each(cases)("$name", (test) => {
    const env = testEnv({ text: "r0 = 0\nexit", kernelBtf, ...test });
    expect(outcome(() => env.pre.prepare(env))).toBe(test.want);
  });
});
