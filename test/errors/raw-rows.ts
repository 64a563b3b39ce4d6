// One table: programs for codes that no assembler or compiler provokes: instructions written as bytes, records that only a
// wrong loader sends, and kernels that are not at hand.

import { fromHex } from "../../src/base/index.ts";
import { type Btf, BtfBuilder } from "../../src/btf/index.ts";
import { assemble } from "../../src/isa/index.ts";
import type { LoaderCapability, VerifierCode, VerifierProgram } from "../../src/verifier/index.ts";

const EXIT = "b700000000000000 9500000000000000"; // r0 = 0; exit

const ARRAY: VerifierProgram["maps"][number] = {
  name: "values",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: 8,
  maxEntries: 1,
  flags: 0,
};

/** A program that is rejected with `code`. */
export interface RawRow {
  readonly code: VerifierCode;
  readonly what: string;
  /** Slots in hex. */
  readonly hex: string;
  /** Default: a socket filter without anything. */
  readonly more?: Partial<VerifierProgram>;
  /** Default: root. */
  readonly capabilities?: readonly LoaderCapability[];
}

/** The program of a row. */
export function rawProgram({ hex, more }: RawRow): VerifierProgram {
  return {
    name: "raw",
    type: "BPF_PROG_TYPE_SOCKET_FILTER",
    attachType: undefined,
    insns: fromHex(hex),
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf: undefined,
    ...more,
  };
}

/** Types of a kernel, and what in it the rows name by BTF id. */
interface MadeUpKernel {
  readonly btf: Btf;
  /** `crash_kexec(void)`. */
  readonly crash: number;
  /** `bpf_task_acquire(void)`, which returns a number. */
  readonly acquire: number;
  /** A tracepoint whose argument is a structure in user memory. */
  readonly tracepoint: number;
  readonly int: number;
}

function madeUpKernel(): MadeUpKernel {
  const types = new BtfBuilder();
  const int = types.int("int", 4, { signed: true });
  const kfunc = (name: string, returns: number): number => {
    const type = types.add({ kind: "func_proto", name: "", type: returns, params: [] });
    const id = types.add({ kind: "func", name, type, linkage: "static" });
    types.add({ kind: "decl_tag", name: "bpf_kfunc", type: id, componentIndex: -1, kindFlag: false });
    return id;
  };
  const crash = kfunc("crash_kexec", 0);
  const acquire = kfunc("bpf_task_acquire", int);
  const members = [{ name: "member", type: int, bitOffset: 0, bitSize: 0 }];
  const struct = types.add({ kind: "struct", name: "theirs", size: 8, kindFlag: false, members });
  const marked = types.add({ kind: "type_tag", name: "user", type: struct, kindFlag: false });
  const params = [
    { name: "__data", type: types.ptr(0) },
    { name: "argument", type: types.ptr(marked) },
  ];
  const proto = types.add({ kind: "func_proto", name: "", type: 0, params });
  const tracepoint = types.add({ kind: "typedef", name: "btf_trace_made_up", type: types.ptr(proto) });
  return { btf: types.build(), crash, acquire, tracepoint, int };
}

const hexOf = (text: string): string =>
  Array.from(assemble(text).bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function programBtf(): Pick<VerifierProgram, "btf" | "funcs"> {
  const types = new BtfBuilder();
  const type = types.add({ kind: "func_proto", name: "", type: types.int("int", 4), params: [] });
  const btfId = types.add({ kind: "func", name: "raw", type, linkage: "global" });
  return { btf: types.build(), funcs: [{ insn: 1, btfId, name: "raw", linkage: "global" }] };
}

/** By kind of program. */
export function rawRows(): readonly RawRow[] {
  const { btf, crash, acquire, tracepoint, int } = madeUpKernel();
  const kernelBtf = { kernelBtf: btf };
  const tc = { ...kernelBtf, type: "BPF_PROG_TYPE_SCHED_CLS" } as const;
  const line = { file: "raw.c", line: 1, column: 1, text: "" };
  return [
    { code: "verifier/program-size", what: "no instruction", hex: "" },
    { code: "verifier/unknown-opcode", what: "0xff", hex: `ff00000000000000 ${EXIT}` },
    { code: "verifier/reserved-fields", what: "an immediate in a load", hex: `61a0fcff01000000 ${EXIT}` },
    { code: "verifier/bad-instruction", what: "an offset in an addition", hex: `0700010001000000 ${EXIT}` },
    {
      code: "verifier/bad-instruction",
      what: "an unknown atomic operation",
      hex: `7a0af8ff00000000 db1af8ff99000000 ${EXIT}`,
    },
    { code: "verifier/bad-lddw", what: "half a 64-bit load", hex: `1800000000000000 ${EXIT}` },
    {
      code: "verifier/bad-lddw",
      what: "an unknown kind of 64-bit load",
      hex: `1870000000000000 0000000000000000 ${EXIT}`,
    },
    {
      code: "verifier/bad-map",
      what: "a number without a map",
      hex: `1811000007000000 0000000000000000 ${EXIT}`,
    },
    {
      code: "verifier/bad-map-value-offset",
      what: "an address behind the value",
      hex: `1821000000000000 0000000008000000 ${EXIT}`,
      more: { maps: [ARRAY] },
    },
    {
      code: "verifier/bad-func-info",
      what: "a function that begins behind the first instruction",
      hex: EXIT,
      more: programBtf(),
    },
    {
      code: "verifier/bad-line-info",
      what: "a line behind the last instruction",
      hex: EXIT,
      more: {
        ...programBtf(),
        funcs: [],
        lines: [
          { ...line, insn: 0 },
          { ...line, insn: 9 },
        ],
      },
    },
    {
      code: "verifier/bad-ksym",
      what: "the address of a type",
      hex: hexOf(`ld_pseudo r1, 0x3, 0x${int.toString(16)}\nr0 = 0x0\nexit`),
      more: kernelBtf,
    },
    {
      code: "verifier/bad-kfunc",
      what: "a call of a type",
      hex: hexOf(`call ${int} <kfunc>\nr0 = 0x0\nexit`),
      more: tc,
    },
    {
      code: "verifier/bad-kfunc-call",
      what: "a call that no symbol was found for, and that can be reached",
      hex: hexOf("call 0x0 <kfunc>\nr0 = 0x0\nexit"),
      more: tc,
    },
    {
      code: "verifier/kfunc-privilege",
      what: "the end of the machine without CAP_SYS_BOOT",
      hex: hexOf(`call ${crash} <kfunc>\nr0 = 0x0\nexit`),
      more: tc,
      capabilities: ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"],
    },
    {
      code: "verifier/kfunc-return-type",
      what: "an acquired number",
      hex: hexOf(`call ${acquire} <kfunc>\nr0 = 0x0\nexit`),
      more: tc,
    },
    {
      code: "verifier/user-memory",
      what: "a read through an argument that is marked __user",
      hex: hexOf("r1 = *(u64 *)(r1 + 0x0)\nr0 = *(u32 *)(r1 + 0x0)\nexit"),
      more: {
        ...kernelBtf,
        type: "BPF_PROG_TYPE_TRACING",
        attachType: "BPF_TRACE_RAW_TP",
        attachBtfId: tracepoint,
        attachTo: "btf_trace_made_up",
      },
    },
  ];
}
