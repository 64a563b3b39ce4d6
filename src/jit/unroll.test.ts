import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { decode } from "../isa/index.ts";
import { assembled, type Bench, openBench } from "../runtime/bytecode.fixture.ts";
import { buildGraph } from "./cfg.ts";
import { unrollLoops } from "./unroll.ts";

let interpreter: Bench;
let jit: Bench;
beforeAll(async () => {
  interpreter = await openBench("zero", "interpreter");
  jit = await openBench("zero", "jit");
});

/** Loops that count by `step` from `start`, leave at their limit, or at other places, and always after 300 rounds. */
const loop = fc.record({
  start: fc.oneof(fc.integer({ min: -4, max: 70 }), fc.constantFrom(0x7ffffff0, -0x7ffffff0)),
  step: fc.oneof(fc.integer({ min: -5, max: 9 }), fc.constant(0x7fffffff)),
  limit: fc.oneof(fc.integer({ min: -3, max: 70 }), fc.constantFrom(0x7fffffff, -0x80000000)),
  op: fc.constantFrom("==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"),
  register: fc.constantFrom("r6", "w6"),
  tested: fc.constantFrom("r6", "w6"),
  atTop: fc.boolean(),
  exits: fc.boolean(),
  skips: fc.boolean(),
  other: fc.integer({ min: 1, max: 255 }),
  filler: fc.integer({ min: 0, max: 8 }),
  walks: fc.subarray(["pointer", "index", "rare"] as const),
});
const MEMORY = Uint8Array.from({ length: 320 }, (_, i) => (i * 7) % 5);

type Loop = typeof loop extends fc.Arbitrary<infer T> ? T : never;

function source(of: Loop): string {
  const test = `if ${of.tested} ${of.op} ${of.limit}`;
  const count = `${of.register} += ${of.step}`;
  const walks = {
    pointer: ["r8 = *(u8 *)(r5 + 3)", "r0 += r8", "r5 += 1"],
    index: [
      "r3 = r1",
      "r3 += r4",
      "r8 = *(u16 *)(r3 + 1)",
      "r0 += r8",
      "r4 += 1",
      `if w4 == ${of.other} goto out`,
    ],
    rare: [
      "if w8 != 3 goto usual",
      "r0 += r5",
      "r0 -= r1",
      `if r4 == ${of.other >> 1} goto out`,
      "r0 ^= 5",
      "usual:",
    ],
  };
  const body = [
    ...of.walks.flatMap((walk) => walks[walk]),
    "r0 *= 31",
    "r0 += r6",
    ...(of.skips ? [`if r0 & ${of.other} goto over`, "r0 += 7", "over:"] : []),
    ...(of.exits ? [`if w0 == ${of.other} goto out`] : []),
    "r7 += -1",
    "if r7 == 0 goto out",
    ...Array.from({ length: of.filler }, (_, i) => `r0 ^= ${i}`),
  ];
  const ring = of.atTop
    ? ["again:", count, `${test} goto out`, ...body, "goto again", "out:"]
    : ["again:", ...body, count, `${test} goto again`, "out:"];
  return [
    "r0 = 1",
    "r4 = 0",
    "r5 = r1",
    "r8 = 3",
    `r6 = ${of.start}`,
    "r7 = 300",
    ...ring,
    "r0 += r6",
    "exit",
  ]
    .join("; ")
    .replaceAll(":;", ":");
}

describe("loops in copies", () => {
  it("do as the interpreter does, in as many instructions", () => {
    fc.assert(
      fc.property(loop, (of) => {
        const bytes = assembled(source(of));
        const [a, b] = [jit.raw(bytes, MEMORY), interpreter.raw(bytes, MEMORY)];
        expect([a.r0, a.insns]).toEqual([b.r0, b.insns]);
      }),
      { numRuns: 400 },
    );
  });

  const nodesOf = (text: string) => {
    const insns = decode(assembled(text));
    const graph = buildGraph(insns, 0, insns.length, () => false)!;
    unrollLoops(graph, insns);
    return graph.nodes.filter((node) => node.start < node.end);
  };
  const tests = (text: string) => nodesOf(text).filter((node) => node.ends === "cond").length;
  const counted = (limit: number) => `r0 = 0; r1 = 0; a: r0 += r1; r1 += 1; if r1 != ${limit} goto a; exit`;

  it("a counter asks once for all copies", () => {
    expect(tests(counted(64))).toBe(1);
    expect(nodesOf(counted(64)).length).toBeGreaterThan(8);
  });

  it("rounds left over run before the loop", () => {
    expect(nodesOf(counted(67)).length).toBeGreaterThan(nodesOf(counted(64)).length);
    expect(tests(counted(67))).toBe(1);
  });

  it("what is rare leads back to the loop's start", () => {
    const text =
      "r0 = 0; r6 = 64; a: r0 += r6; if r0 != 9 goto b; r0 += 1; b: r6 += -1; if r6 != 0 goto a; exit";
    const nodes = nodesOf(text);
    const rare = nodes.filter((node) => node.start === 4);
    expect(rare.length).toBeGreaterThan(1);
    expect(new Set(rare.flatMap((node) => node.succs)).size).toBe(1);
  });

  it.each([
    ["of an unknown length ask in every copy", "r0 = r2; a: r0 += -1; if r0 != 0 goto a; exit", 8],
    ["with calls stay", "r6 = 8; a: call 7; r6 += -1; if r6 != 0 goto a; exit", 1],
    ["whose counter is changed twice ask", "r6 = 8; a: r6 += 1; r6 += -2; if r6 != 0 goto a; exit", 8],
    [
      "around others stay",
      "r6 = 8; r7 = 9; b: r6 = 8; a: r6 += -1; if r6 != 0 goto a; r7 += -1; if r7 != 0 goto b; exit",
      2,
    ],
  ])("loops %s", (_, text, count) => {
    expect(tests(text)).toBe(count);
  });
});
