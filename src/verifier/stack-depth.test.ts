import { describe, expect, it } from "vitest";
import { BtfBuilder, type BtfLinkage } from "../btf/index.ts";
import { outcome, type TestProgram, testEnv } from "./prechecks.fixture.ts";

/** Functions of a program that returns int, in the order of their slots. */
function functions(...starts: number[]): Pick<TestProgram, "btf" | "funcs"> {
  const types = new BtfBuilder();
  const int = types.int("int", 4);
  const proto = types.add({ kind: "func_proto", name: "", type: int, params: [] });
  const linkage: BtfLinkage = "static";
  const funcs = starts.map((insn, index) => {
    const btfId = types.add({ kind: "func", name: `f${index}`, type: proto, linkage });
    return { name: `f${index}`, insn, btfId, linkage } as const;
  });
  return { btf: types.build(), funcs };
}

const chain = "call a\nexit\na: call b\nexit\nb: r0 = 0\nexit";

const cases: readonly (TestProgram & { name: string; depths: number[]; want: string })[] = [
  { name: "one function, all of it", text: "r0 = 0\nexit", depths: [512], want: "fine" },
  { name: "512 bytes together", text: chain, depths: [256, 240, 16], want: "fine" },
  {
    name: "each rounds up to 16",
    text: chain,
    depths: [256, 241, 8],
    want: "combined stack size of 3 calls is 528. Too large",
  },
  {
    name: "two already",
    text: chain,
    depths: [300, 300, 0],
    want: "combined stack size of 2 calls is 608. Too large",
  },
  {
    name: "the deepest branch counts, not the sum",
    text: "call a\ncall b\nexit\na: r0 = 0\nexit\nb: r0 = 0\nexit",
    depths: [112, 400, 400],
    want: "fine",
  },
  {
    name: "a probe's functions have stacks of their own",
    text: chain,
    type: "BPF_PROG_TYPE_KPROBE",
    depths: [512, 512, 512],
    want: "fine",
  },
  {
    name: "but small ones share",
    text: chain,
    type: "BPF_PROG_TYPE_KPROBE",
    depths: [512, 48, 48],
    want: "fine",
  },
  {
    name: "and one has a limit too",
    text: chain,
    type: "BPF_PROG_TYPE_KPROBE",
    depths: [16, 520, 16],
    want: "stack size of subprog 1 is 528. Too large",
  },
  {
    name: "nine functions deep",
    text: `${Array.from({ length: 8 }, (_, i) => `f${i}: call f${i + 1}\nexit`).join("\n")}\nf8: r0 = 0\nexit`,
    depths: new Array(9).fill(0),
    want: "the call stack of 8 frames is too deep !",
  },
  {
    name: "recursion",
    text: "call a\nexit\na: if r1 == 0 goto x\ncall a\nx: r0 = 0\nexit",
    depths: [0, 0],
    want: "the call stack of 8 frames is too deep !",
  },
  {
    name: "tail call below 256 bytes",
    text: "call a\nexit\na: call 12\nr0 = 0\nexit",
    ...functions(0, 2),
    depths: [240, 200],
    want: "fine",
  },
  {
    name: "tail call below more",
    text: "call a\nexit\na: call 12\nr0 = 0\nexit",
    ...functions(0, 2),
    depths: [256, 8],
    want: "tail_calls are not allowed when call stack of previous frames is 256 bytes. Too large",
  },
];

describe("stack depth", () => {
  it.each(cases)("$name", (test) => {
    const env = testEnv(test);
    env.pre.prepare(env);
    test.depths.forEach((depth, index) => {
      env.subprogs[index].stackDepth = depth;
    });
    expect(outcome(() => env.pre.finish(env))).toBe(test.want);
  });

  it("does not count asynchronous callbacks with those that set them", () => {
    const text = "r2 = f ll\ncall 170\nr0 = 0\nexit\nf: r0 = 0\nexit";
    const env = testEnv({ text, type: "BPF_PROG_TYPE_XDP" });
    env.pre.prepare(env);
    for (const subprog of env.subprogs) subprog.stackDepth = 400;
    expect(outcome(() => env.pre.finish(env))).toBe("combined stack size of 2 calls is 800. Too large");
    env.subprogs[1].isAsyncCallback = true;
    expect(outcome(() => env.pre.finish(env))).toBe("fine");
  });

  it("takes time in proportion to the program where paths multiply", () => {
    const level = (n: number) => `f${n}: ${`call f${n + 1}\n`.repeat(500)}exit\n`;
    const text = `${[0, 1, 2, 3, 4, 5, 6].map(level).join("")}f7: r0 = 0\nexit`;
    const env = testEnv({ text });
    env.pre.prepare(env);
    const start = performance.now();
    expect(outcome(() => env.pre.finish(env))).toBe("fine"); // 500^7 paths
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe("bpf_fastcall", () => {
  const spilled = (call: string) =>
    `*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = r1\n${call}\nr1 = *(u64 *)(r10 - 16)\nr0 = r1\nexit`;

  it("does not count spills around a call that keeps registers", () => {
    const env = testEnv({ text: spilled("call 8") });
    env.pre.prepare(env);
    env.subprogs[0].stackDepth = 16;
    env.pre.finish(env);
    expect(env.subprogs[0].stackDepth).toBe(8);
  });

  it("counts them around other calls", () => {
    const env = testEnv({ text: spilled("call 7") });
    env.pre.prepare(env);
    env.subprogs[0].stackDepth = 16;
    env.pre.finish(env);
    expect(env.subprogs[0].stackDepth).toBe(16);
  });
});
