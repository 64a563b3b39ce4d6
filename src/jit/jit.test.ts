import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { decode, encode, type Insn, tableOf } from "../isa/index.ts";
import { assembled, type Bench, openBench } from "../runtime/bytecode.fixture.ts";
import { compileProgram } from "./index.ts";

let interpreter: Bench;
let jit: Bench;
beforeAll(async () => {
  interpreter = await openBench("zero", "interpreter");
  jit = await openBench("zero", "jit");
});

const insn = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ opcode, dst, src, off, imm });
const EXIT = insn(0x95);
const bytesOf = (list: readonly Insn[]) => encode(tableOf(list));

/** r0, memory and number of instructions of a run, or the code of the error. */
function outcome(bench: Bench, bytes: Uint8Array, memory?: Uint8Array) {
  try {
    const done = bench.raw(bytes, memory);
    return { r0: done.r0, insns: done.insns, memory: [...done.memory] };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return { error: error.code };
  }
}

/** A graph at random: every block counts down, mixes its number into r0, and goes to two others. */
function blocks(edges: readonly (readonly [taken: number, other: number, immediate: number])[]): Insn[] {
  const BLOCK = 6;
  const end = 3 + edges.length * BLOCK;
  const list = [insn(0xb7, 0, 0, 0, 1), insn(0xb7, 6, 0, 0, 60), insn(0x05, 0, 0, 0)];
  for (const [i, [taken, other, immediate]] of edges.entries()) {
    const at = 3 + i * BLOCK;
    const to = (block: number, slot: number) => 3 + (block % edges.length) * BLOCK - slot - 1;
    list.push(
      insn(0x07, 6, 0, 0, -1),
      insn(0x15, 6, 0, end - (at + 1) - 1, 0),
      insn(0x27, 0, 0, 0, 31),
      insn(0x07, 0, 0, 0, i),
      insn(0x45, 0, 0, to(taken, at + 4), immediate),
      insn(0x05, 0, 0, to(other, at + 5)),
    );
  }
  return [...list, EXIT];
}

describe("control flow", () => {
  const edge = fc.tuple(
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 1, max: 255 }),
  );

  it("random graphs, most of them irreducible, do as in the interpreter, and count the same instructions", () => {
    fc.assert(
      fc.property(fc.array(edge, { minLength: 2, maxLength: 24 }), (edges) => {
        const bytes = bytesOf(blocks(edges));
        expect(outcome(jit, bytes)).toEqual(outcome(interpreter, bytes));
      }),
      { numRuns: 500 },
    );
  });

  it("a loop with two entries dispatches only there", () => {
    const text =
      "r0 = 0; r6 = 10; if r2 == 0 goto b; a: r0 += 1; b: r0 += 100; r6 += -1; if r6 != 0 goto a; exit";
    expect(jit.raw(assembled(text), new Uint8Array(1)).r0).toBe(1010n);
    expect(jit.raw(assembled(text)).r0).toBe(1009n);
    const bytes = (source: string) => compile(assembled(source)).bytes;
    const brTable = (wasm: Uint8Array) => wasm.filter((byte) => byte === 0x0e).length;
    const reducible = text.replace("if r2 == 0 goto b; ", "");
    expect(brTable(bytes(text))).toBeGreaterThan(brTable(bytes(reducible)));
  });

  it.each([
    [
      "2,500 nested conditions",
      2500,
      (i: number) => [insn(0x55, 1, 0, 2, i), insn(0x07, 0, 0, 0, i), insn(0x05)],
    ],
    ["a chain of 5,000 exits", 5000, () => [insn(0x55, 1, 0, 1, 77), EXIT]],
  ])("%s", (_, count, piece) => {
    const list = [insn(0xb7), ...Array.from({ length: count }, (__, i) => piece(i)).flat(), EXIT];
    expect(outcome(jit, bytesOf(list))).toEqual(outcome(interpreter, bytesOf(list)));
  });

  it("conditions nested 3,000 deep, all of them leaving to places of their own", () => {
    const depth = 3000;
    const list: Insn[] = [insn(0xb7)];
    for (let i = 0; i < depth; i++) list.push(insn(0x15, 1, 0, 2 * (depth - i) - (depth - i) + 1, i + 1));
    list.push(insn(0x07, 0, 0, 0, 5), EXIT);
    for (let i = 0; i < depth; i++) list.push(insn(0x07, 0, 0, 0, 1));
    list.push(EXIT);
    expect(outcome(jit, bytesOf(list))).toEqual(outcome(interpreter, bytesOf(list)));
  });

  it("200 loops inside each other", () => {
    const depth = 200;
    const list: Insn[] = [insn(0xb7)];
    for (let i = 0; i < depth; i++) list.push(insn(0x07, 0, 0, 0, 1));
    // Each goes back to its own start once, as long as bit i of r0's low half is clear.
    for (let i = 0; i < depth; i++) list.push(insn(0xa5, 0, 0, -(2 * i + 2), 250 + i));
    list.push(EXIT);
    expect(outcome(jit, bytesOf(list))).toEqual(outcome(interpreter, bytesOf(list)));
  });

  it("a switch of 2,000 cases", () => {
    const cases = 2000;
    const text = [insn(0x61, 1, 1)];
    for (let i = 0; i < cases; i++) text.push(insn(0x15, 1, 0, cases - i - 1 + 2 + 2 * i, i));
    text.push(insn(0xb7, 0, 0, 0, -1), EXIT);
    for (let i = 0; i < cases; i++)
      text.push(insn(0xb7, 0, 0, 0, 7 * i), insn(0x05, 0, 0, 2 * (cases - i - 1)));
    text.push(EXIT);
    const bytes = bytesOf(text);
    for (const n of [0, 1, 999, 1999, 2000]) {
      const memory = new Uint8Array(Uint32Array.of(n).buffer);
      expect(outcome(jit, bytes, memory)).toEqual(outcome(interpreter, bytes, memory));
    }
  });

  it("10,000 instructions compile in reasonable time", () => {
    const list = [insn(0xb7)];
    for (let i = 0; i < 2500; i++)
      list.push(insn(0x07, 0, 0, 0, i), insn(0x25, 0, 0, 1, 2 * i), insn(0x67, 0, 0, 0, 1), insn(0xbf, 2, 0));
    list.push(EXIT);
    const start = performance.now();
    compile(bytesOf(list));
    expect(performance.now() - start).toBeLessThan(2000); // 20–40 ms on an idle machine
    expect(outcome(jit, bytesOf(list))).toEqual(outcome(interpreter, bytesOf(list)));
  });
});

function compile(bytes: Uint8Array, reached?: (slot: number) => boolean) {
  return compileProgram({
    reached,
    name: "test",
    insns: decode(bytes),
    names: new Map([[0, "main"]]),
    entries: [],
    stops: new Set(),
    metered: false,
    zeroStack: false,
    map: () => undefined,
    helperArgs: () => 5,
    mapField: () => undefined,
    contextKeeps: () => undefined,
    layout: { mapType: 0, mapMaxEntries: 12, mapValues: 32, codeEntry: 32 },
  });
}

describe("what must not run on", () => {
  it.each([
    ["a loop without end stops at the budget", "goto -1; exit", "runtime/budget"],
    ["and one over calls", "f: call g; goto -2; exit; g: r0 = 0; exit", "runtime/budget"],
    ["recursion stops at the eighth frame", "call f; exit; f: call f; exit", "runtime/call-depth"],
    ["memory that is not there traps", "r1 = -16; r0 = *(u64 *)(r1 + 0); exit", "runtime/jit-trap"],
    ["unknown helpers", "call 9999; exit", "runtime/unknown-helper"],
    ["helpers with memory that is not there", "r1 = -16; r2 = 99; call 6; exit", "runtime/out-of-bounds"],
  ])("%s", (_, text, code) => {
    expect(outcome(jit, assembled(text))).toEqual({ error: code });
  });

  it("recursion of exactly eight frames runs", () => {
    const text = "r1 = 7; call f; exit; f: r0 = 1; if r1 == 0 goto +3; r1 += -1; call f; r0 += 1; exit";
    const deeper = text.replace("r1 = 7", "r1 = 6");
    expect(outcome(jit, assembled(deeper))).toEqual(outcome(interpreter, assembled(deeper)));
    expect(outcome(jit, assembled(text))).toEqual(outcome(interpreter, assembled(text)));
  });

  it("the engine goes on after a trap", () => {
    expect(outcome(jit, assembled("r1 = -16; *(u64 *)(r1 + 0) = 1; exit"))).toMatchObject({
      error: "runtime/jit-trap",
    });
    expect(jit.raw(assembled("r0 = 4; exit")).r0).toBe(4n);
  });
});

describe("the module", () => {
  it("names functions for profilers", () => {
    const { bytes } = compile(assembled("call f; exit; f: r0 = 1; exit"));
    const [names] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "name");
    const text = new TextDecoder("latin1").decode(names);
    expect(text).toContain("bpf:main");
    expect(text).toContain("bpf:func_2");
  });

  it("leaves out what no run reaches", () => {
    const bytes = assembled("r0 = *(u32 *)(r1 + 0); if r0 == 0 goto +2; r0 *= 7; r0 += 9; exit");
    const size = (reached?: (slot: number) => boolean) => compile(bytes, reached).bytes.length;
    expect(size((slot) => slot !== 2 && slot !== 3)).toBeLessThan(size() - 8);
    expect(size(() => true)).toBe(size());
  });

  it("refuses functions that control runs out of", () => {
    expect(() => compile(bytesOf([insn(0xb7)]))).toThrow(
      expect.objectContaining({ name: "BpfError", code: "jit/bad-function" }),
    );
  });
});
