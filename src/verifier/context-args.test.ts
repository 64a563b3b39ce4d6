import { describe, expect, it } from "vitest";
import type { ProgramTypeName } from "../abi/index.ts";
import { BtfBuilder } from "../btf/index.ts";
import { outcome, testEnv } from "./prechecks.fixture.ts";
import { TypeFlag } from "./register-types.ts";

interface Case {
  readonly name: string;
  /** The argument's type, made with the builder. */
  readonly arg: (types: BtfBuilder) => number;
  readonly tags?: readonly string[];
  readonly type?: ProgramTypeName;
  readonly result?: "void";
  readonly static?: true;
  /** Members of the argument that matter, or the message. */
  readonly want: string | Record<string, unknown>;
}

const struct =
  (name: string, size = 16) =>
  (types: BtfBuilder) =>
    types.add({ kind: "struct", name, size, kindFlag: false, members: [] });
const pointerTo = (make: (types: BtfBuilder) => number) => (types: BtfBuilder) =>
  types.add({ kind: "ptr", name: "", type: make(types) });
const int = (types: BtfBuilder) => types.int("int", 4);
const fwd = (types: BtfBuilder) => types.add({ kind: "fwd", name: "later", union: false });
const nothing = () => 0;

const cases: readonly Case[] = [
  { name: "a number", arg: int, want: { kind: "anything" } },
  { name: "the context", arg: pointerTo(struct("__sk_buff")), want: { kind: "ctx" } },
  { name: "the kernel's view of the context", arg: pointerTo(struct("sk_buff")), want: { kind: "ctx" } },
  { name: "memory", arg: pointerTo(struct("mine", 24)), want: { kind: "mem", size: 24, nullable: true } },
  {
    name: "memory that is there",
    arg: pointerTo(int),
    tags: ["nonnull"],
    want: { kind: "mem", size: 4, nullable: false },
  },
  {
    name: "another type's context is memory",
    arg: pointerTo(struct("xdp_md", 24)),
    want: { kind: "mem", size: 24 },
  },
  { name: "a dynptr", arg: pointerTo(struct("bpf_dynptr")), want: { kind: "dynptr" } },
  { name: "an arena pointer", arg: pointerTo(int), tags: ["arena"], want: { kind: "arena" } },
  {
    name: "a trusted kernel object",
    arg: pointerTo(struct("task_struct")),
    tags: ["trusted", "nullable"],
    want: { kind: "btf", btfId: 1, nullable: true, flags: TypeFlag.PTR_TRUSTED },
  },
  {
    name: "an object the kernel does not have",
    arg: pointerTo(struct("mine")),
    tags: ["trusted"],
    want: "arg#0 reference type('STRUCT mine') has no matches",
  },
  {
    name: "untrusted memory",
    arg: pointerTo(int),
    tags: ["untrusted"],
    want: { kind: "mem", readOnly: true, size: 0 },
  },
  {
    name: "an untrusted object",
    arg: pointerTo(struct("task_struct")),
    tags: ["untrusted"],
    want: { kind: "btf", btfId: 1 },
  },
  { name: "void *ctx", arg: pointerTo(nothing), tags: ["ctx"], want: { kind: "ctx" } },
  {
    name: "a wrong structure as ctx",
    arg: pointerTo(struct("mine")),
    tags: ["ctx"],
    want: "arg#0 should be `struct __sk_buff *`",
  },
  {
    name: "u64 *ctx of a raw tracepoint",
    type: "BPF_PROG_TYPE_RAW_TRACEPOINT",
    arg: pointerTo((types) => types.int("u64", 8)),
    tags: ["ctx"],
    want: { kind: "ctx" },
  },
  {
    name: "a void pointer",
    arg: pointerTo(nothing),
    want: "arg#0 reference type('UNKNOWN ') size cannot be determined: -22",
  },
  {
    name: "a forward declaration",
    arg: pointerTo(fwd),
    want: "arg#0 reference type('FWD later') size cannot be determined: -22",
  },
  {
    name: "nullable memory",
    arg: pointerTo(int),
    tags: ["nullable"],
    want: "arg#0 has invalid combination of tags",
  },
  {
    name: "a tagged number",
    arg: int,
    tags: ["nonnull"],
    want: "arg#0 has pointer tag, but is not a pointer type",
  },
  { name: "an unknown tag", arg: pointerTo(int), tags: ["shiny"], want: "arg#0 has unsupported set of tags" },
  {
    name: "a structure by value",
    arg: struct("mine"),
    want: "Arg#0 type STRUCT in f() is not supported yet.",
  },
  {
    name: "no result",
    arg: int,
    result: "void",
    want: "Global function f() doesn't return scalar. Only those are supported.",
  },
  {
    name: "a tag on a static function",
    arg: pointerTo(int),
    tags: ["nonnull"],
    static: true,
    want: "arg#0 type tag is not supported in static functions",
  },
  { name: "a static function's pointer", arg: pointerTo(int), static: true, want: "" },
];

describe("arguments of functions", () => {
  it.each(cases)("$name", (test) => {
    const types = new BtfBuilder();
    const returns = types.int("int", 4);
    const main = types.add({ kind: "func_proto", name: "", type: returns, params: [] });
    const proto = types.add({
      kind: "func_proto",
      name: "",
      type: test.result === "void" ? 0 : returns,
      params: [{ name: "arg", type: test.arg(types) }],
    });
    const linkage = test.static ? "static" : "global";
    const mainId = types.add({ kind: "func", name: "main", type: main, linkage: "global" });
    const btfId = types.add({ kind: "func", name: "f", type: proto, linkage });
    for (const tag of test.tags ?? []) {
      types.add({ kind: "decl_tag", name: `arg:${tag}`, type: btfId, componentIndex: 0, kindFlag: false });
    }
    const kernel = new BtfBuilder();
    struct("task_struct")(kernel);
    const env = testEnv({
      text: "call f\nexit\nf: r0 = 0\nexit",
      type: test.type ?? "BPF_PROG_TYPE_SOCKET_FILTER",
      btf: types.build(),
      kernelBtf: kernel.build(),
      funcs: [
        { name: "main", insn: 0, btfId: mainId, linkage: "global" },
        { name: "f", insn: 2, btfId, linkage },
      ],
    });
    env.pre.prepare(env);
    const [, f] = env.subprogs;
    const result = outcome(() => env.pre.prepareFuncArgs(env, f));
    if (typeof test.want === "string") {
      expect(result).toBe(test.want);
    } else {
      expect(result).toBe("fine");
      expect(f.args?.[0]).toMatchObject(test.want);
    }
  });
});
