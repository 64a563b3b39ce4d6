import { describe, expect, it } from "vitest";
import { fromHex } from "../base/index.ts";
import { outcome, slotsWhere, type TestProgram, testEnv } from "./prechecks.fixture.ts";
import { fieldFindings } from "./prechecks.ts";

const array = {
  name: "a",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: 48,
  maxEntries: 1,
  flags: 0,
} as const;

/** `lddw r1, src, imm, next imm`, then `r0 = 0; exit`. */
function wide(src: number, imm: string, next: string): Uint8Array {
  return fromHex(`18${src}1 0000 ${imm} 00000000 ${next} b700000000000000 9500000000000000`);
}

const RETURN = "r0 = 0\nexit\n";

const cases: readonly (TestProgram & { name: string; want: string })[] = [
  { name: "the least program", text: RETURN, want: "fine" },
  { name: "runs off its end", text: "r0 = 0", want: "last insn is not an exit or jmp" },
  { name: "jump behind the end", text: "goto +1\nexit", want: "jump out of range from insn 0 to 2" },
  { name: "jump before the start", text: "goto -2\nexit", want: "jump out of range from insn 0 to -1" },
  {
    name: "jump into another function",
    text: "call f\nif r0 == 0 goto f\nexit\nf: r0 = 0\nexit",
    want: "jump out of range from insn 1 to 3",
  },
  {
    name: "falls into the next function",
    text: "call f\nf: r0 = 0\nexit",
    want: "last insn is not an exit or jmp",
  },
  { name: "call to nowhere", text: "call +5\nexit", want: "call to invalid destination" },
  { name: "unreachable", text: "goto x\nr0 = 1\nx: r0 = 0\nexit", want: "unreachable insn 1" },
  { name: "unreachable function", text: "r0 = 0\nexit\nf: r0 = 0\ncall f\nexit", want: "unreachable insn 2" },
  {
    name: "into the middle of a wide load",
    text: "r0 = 0\nif r0 == 0 goto +1\nr1 = 0 ll\nexit",
    want: "jump into the middle of ldimm64 insn 2",
  },
  { name: "a loop", text: "x: r0 = 0\nif r1 == 0 goto x\nexit", want: "fine" },
  {
    name: "a loop without CAP_BPF",
    text: "x: r0 = 0\nif r1 == 0 goto x\nexit",
    capabilities: "unprivileged",
    want: "back-edge from insn 1 to 0",
  },
  {
    name: "a loop with CAP_BPF alone",
    text: "x: r0 = 0\nif r1 == 0 goto x\nexit",
    capabilities: "bpf",
    want: "fine",
  },
  {
    name: "a call without CAP_BPF",
    text: "call f\nexit\nf: r0 = 0\nexit",
    capabilities: "unprivileged",
    want: "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN",
  },
  {
    name: "XDP with CAP_BPF alone",
    text: RETURN,
    type: "BPF_PROG_TYPE_XDP",
    capabilities: "bpf",
    want: "loading a program of type BPF_PROG_TYPE_XDP needs CAP_NET_ADMIN",
  },
  {
    name: "a probe without rights",
    text: RETURN,
    type: "BPF_PROG_TYPE_KPROBE",
    capabilities: "unprivileged",
    want: "loading a program of type BPF_PROG_TYPE_KPROBE needs CAP_BPF and CAP_PERFMON",
  },
  {
    name: "wrong attach type",
    text: RETURN,
    type: "BPF_PROG_TYPE_SK_LOOKUP",
    attachType: "BPF_XDP",
    want: "programs of type BPF_PROG_TYPE_SK_LOOKUP cannot have attach type BPF_XDP",
  },
  { name: "cgroup/sock without attach type", text: RETURN, type: "BPF_PROG_TYPE_CGROUP_SOCK", want: "fine" },
  {
    name: "sleepable XDP",
    text: RETURN,
    type: "BPF_PROG_TYPE_XDP",
    flags: { sleepable: true },
    want: "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
  },
  {
    name: "syscall",
    text: RETURN,
    type: "BPF_PROG_TYPE_SYSCALL",
    want: "Syscall programs can only be sleepable",
  },
  {
    name: "tracing without kernel types",
    text: RETURN,
    type: "BPF_PROG_TYPE_TRACING",
    attachType: "BPF_TRACE_FENTRY",
    want: "unsupported: BPF_PROG_TYPE_TRACING program (needs the kernel's BTF)",
  },
  { name: "unknown opcode", insns: fromHex("ff00000000000000 9500000000000000"), want: "unknown opcode ff" },
  { name: "callx", insns: fromHex("8d00000000000000 9500000000000000"), want: "unknown opcode 8d" },
  {
    name: "LDX with an immediate",
    insns: fromHex("6110000001000000 9500000000000000"),
    want: "BPF_LDX uses reserved fields",
  },
  {
    name: "half a wide load",
    insns: fromHex("1801000000000000 9500000000000000"),
    want: "invalid bpf_ld_imm64 insn",
  },
  {
    name: "wide load of kind 7",
    insns: wide(7, "00000000", "00000000"),
    want: "unrecognized bpf_ld_imm64 insn",
  },
  { name: "a map", insns: wide(1, "00000000", "00000000"), maps: [array], want: "fine" },
  {
    name: "a map with an offset",
    insns: wide(1, "00000000", "04000000"),
    maps: [array],
    want: "unrecognized bpf_ld_imm64 insn",
  },
  {
    name: "no such map",
    insns: wide(1, "01000000", "00000000"),
    maps: [array],
    want: "fd 1 is not pointing to valid bpf_map",
  },
  { name: "map value", insns: wide(2, "00000000", "2f000000"), maps: [array], want: "fine" },
  {
    name: "behind the map value",
    insns: wide(2, "00000000", "30000000"),
    maps: [array],
    want: "invalid access to map value pointer, value_size=48 off=48",
  },
  {
    name: "far behind the map value",
    insns: wide(2, "00000000", "ffffffff"),
    maps: [array],
    want: "direct value offset of 4294967295 is not allowed",
  },
  {
    name: "value of an array of two",
    insns: wide(2, "00000000", "00000000"),
    maps: [{ ...array, maxEntries: 2 }],
    want: "invalid access to map value pointer, value_size=48 off=0",
  },
  {
    name: "value of a hash",
    insns: wide(2, "00000000", "00000000"),
    maps: [{ ...array, type: "BPF_MAP_TYPE_HASH" }],
    want: "no direct value access support for this map type",
  },
  {
    name: "sleepable with a stack trace map",
    insns: wide(1, "00000000", "00000000"),
    maps: [{ ...array, type: "BPF_MAP_TYPE_STACK_TRACE" }],
    type: "BPF_PROG_TYPE_SYSCALL",
    flags: { sleepable: true },
    want: "Sleepable programs can only use array, hash, ringbuf and local storage maps",
  },
  {
    name: "kernel variable without kernel types",
    insns: wide(3, "01000000", "00000000"),
    want: "unsupported: kernel symbol (needs the kernel's BTF)",
  },
  {
    name: "kernel function without kernel types",
    insns: fromHex("8520000001000000 9500000000000000"),
    want: "unsupported: kernel function call (needs the kernel's BTF)",
  },
  {
    name: "kernel function, wrong licence",
    insns: fromHex("8520000001000000 9500000000000000"),
    gpl: false,
    want: "cannot call kernel function from non-GPL compatible program",
  },
  {
    name: "tail call in a function without BTF",
    text: "call f\nexit\nf: call 12\nr0 = 0\nexit",
    want: "tail_call is not allowed in subprogs without BTF",
  },
  {
    name: "packet load in a function without BTF",
    text: "call f\nexit\nf: r0 = *(u32 *)skb[4]\nr0 = 0\nexit",
    want: "LD_ABS is not allowed in subprogs without BTF",
  },
];

describe("before the walk", () => {
  it.each(cases)("$name", (test) => {
    const env = testEnv(test);
    expect(outcome(() => env.pre.prepare(env))).toBe(test.want);
  });

  it("marks where states are saved and history is kept", () => {
    const env = testEnv({
      text: "r6 = r1\nif r6 == 0 goto x\nr0 = 1\nmay_goto x\ncall f\nx: r0 = 0\nexit\nf: r0 = 0\nexit",
    });
    env.pre.prepare(env);
    // the branches 1 and 3, the call 4, what is behind it and the target of both branches 5, the callee 7
    expect(slotsWhere(env.aux.prunePoint)).toEqual([1, 3, 4, 5, 7]);
    expect(slotsWhere(env.aux.jumpPoint)).toEqual([5, 7]);
    expect(slotsWhere(env.aux.forceCheckpoint)).toEqual([3]);
  });

  it("saves a state before each run of a callback", () => {
    const env = testEnv({ text: "r2 = f ll\ncall 181\nr0 = 0\nexit\nf: r0 = 0\nexit" });
    env.pre.prepare(env);
    expect(slotsWhere(env.aux.callsCallback)).toEqual([2]);
    expect(slotsWhere(env.aux.forceCheckpoint)).toEqual([2]);
  });

  it("tells callers what their callees do to packets", () => {
    const env = testEnv({
      type: "BPF_PROG_TYPE_XDP",
      text: "call f\nexit\nf: call g\nexit\ng: r2 = 0\ncall 44\nr0 = 0\nexit\n",
    });
    env.pre.prepare(env);
    expect(env.subprogs.map((subprog) => subprog.changesPacketData)).toEqual([true, true, true]);
  });

  it("numbers loops", () => {
    const env = testEnv({
      text: "r0 = 0\na: r0 += 1\nif r0 != 9 goto a\nb: goto c\nc: r0 += 1\nif r0 != 30 goto b\nexit",
    });
    env.pre.prepare(env);
    const [, first, , second] = env.aux.scc;
    expect(new Set([0, first, second]).size).toBe(3);
    expect([...env.aux.scc]).toEqual([0, first, first, second, second, second, 0]);
  });

  it("finds fields that must be zero", () => {
    const env = testEnv({ insns: fromHex("0f10000001000000 b701000000000000 9501000000000000") });
    expect([...fieldFindings(env.insns)].map(([slot, { message }]) => [slot, message])).toEqual([
      [0, "BPF_ALU uses reserved fields"],
      [2, "BPF_EXIT uses reserved fields"],
    ]);
  });

  it("prints the functions at log level 2", () => {
    const env = testEnv({ text: "call f\nexit\nf: r0 = 0\nexit", logLevel: 2 });
    env.pre.prepare(env);
    expect(env.log.text()).toMatch(/^func#0 @0\nfunc#1 @2\n/);
  });
});
