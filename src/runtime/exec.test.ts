import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { checkStructure, decode, encode, type Insn, tableOf } from "../isa/index.ts";
import { assembled, type Bench, openBench } from "./bytecode.fixture.ts";
import { ENGINES } from "./engine.ts";
import { execBytecode } from "./exec.ts";

describe.each([
  {
    name: "r1 is the memory, r2 its length",
    text: "r0 = *(u8 *)(r1 + 2); r0 <<= 8; r0 |= r2; exit",
    r0: 0x0304n,
  },
  { name: "registers start as zero", text: "r0 = r7; exit", r0: 0n },
  { name: "the stack starts as zero", text: "r0 = *(u64 *)(r10 - 8); exit", r0: 0n },
  { name: "callx with a number calls the helper", text: "r2 = 8; callx r2; exit", r0: 0n },
  { name: "callx with a function calls it", text: "r2 = f ll; callx r2; exit; f: r0 = 7; exit", r0: 7n },
])("execBytecode: $name", ({ text, r0 }) => {
  const symbol = (name: string) => (name === "f" ? { src: 4, imm: 2 } : undefined);
  it.each(ENGINES)(`gives ${r0}, %s`, async (engine) => {
    const memory = Uint8Array.of(1, 2, 3, 4);
    expect((await execBytecode(assembled(text, symbol), memory, { engine })).r0).toBe(r0);
  });
});

it("gives the memory back as the program left it", async () => {
  const { memory } = await execBytecode(
    assembled("*(u16 *)(r1 + 1) = 0x0908; r0 = 0; exit"),
    new Uint8Array(4),
  );
  expect([...memory]).toEqual([0, 8, 9, 0]);
});

it.each([
  ["isa/truncated", new Uint8Array(7)],
  ["isa/empty", new Uint8Array(0)],
  ["runtime/out-of-bounds", assembled("r0 = *(u8 *)(r1 + 4); exit")],
  ["runtime/unknown-helper", assembled("call 9999; exit")],
])("refuses with %s", async (code, insns) => {
  await expect(execBytecode(insns, new Uint8Array(4))).rejects.toMatchObject({ name: "BpfError", code });
});

describe("hostile bytecode", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench("zero");
  });
  const OPCODES = Array.from({ length: 256 }, (_, opcode) => opcode).filter((opcode) => {
    const found = checkStructure(
      decode(Uint8Array.of(opcode, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0)),
    );
    return found.every((finding) => finding.code !== "isa/unknown-opcode");
  });
  const field = fc.record({
    opcode: fc.constantFrom(...OPCODES),
    dst: fc.integer({ min: 0, max: 10 }),
    src: fc.integer({ min: 0, max: 10 }),
    off: fc.oneof(fc.constantFrom(0, 1, 8, 16, 32, -1, -8, 4), fc.integer({ min: -32768, max: 32767 })),
    imm: fc.oneof(
      fc.constantFrom(0, 1, 16, 32, 64, -1, 0xe1, 0xf1, 0x100, 0x110),
      fc.integer({ min: 0, max: 220 }),
      fc.integer({ min: -0x80000000, max: 0x7fffffff }),
    ),
  });

  const EXIT: Insn = { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 };
  const NOP: Insn = { opcode: 0xbf, dst: 0, src: 0, off: 0, imm: 0 };
  const valid = (list: readonly Insn[]) =>
    checkStructure(decode(encode(tableOf(list))), { callx: true }).length === 0;
  /** Seven of eight memory accesses go to the stack or the memory, or nearly: else no program would get far. */
  const nearMemory = (insn: Insn, i: number): Insn => {
    const klass = insn.opcode & 7;
    if (i % 8 === 0 || klass === 0 || klass > 3) return insn;
    const [pointer, off] = i % 2 === 0 ? [10, -8 * (i % 66)] : [1, i % 17];
    return klass === 1 ? { ...insn, src: pointer, off } : { ...insn, dst: pointer, off };
  };
  // Most field values are reserved in most instructions: keep those that are well formed between others.
  const around = Array.from({ length: 9 }, () => NOP);
  const pool = fc
    .sample(field, { numRuns: 40_000, seed: 1 })
    .map((candidate, i) => nearMemory(candidate, i))
    .filter((candidate) => candidate.opcode !== 0x18 && valid([...around, candidate, ...around, EXIT]));

  it("ends with a value or a BpfError, whatever its instructions", () => {
    let ran = 0;
    let returned = 0;
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 12 }),
        fc.uint8Array({ maxLength: 16 }),
        (list, memory) => {
          const insns = [...list, EXIT];
          if (!valid(insns)) return;
          ran++;
          try {
            bench.raw(encode(tableOf(insns)), memory);
            returned++;
          } catch (error) {
            if (!(error instanceof BpfError)) throw error;
          }
        },
      ),
      { numRuns: Number(process.env.SKEP_FUZZ_RUNS ?? 5000) },
    );
    expect(ran).toBeGreaterThan(1000);
    expect(returned).toBeGreaterThan(100);
  });

  // Compiled code is not checked: it may do what it likes to the memory of its own kernel, so each gets one.
  it("compiled, too, ends with a value or a BpfError, and leaves other kernels alone", async () => {
    const witness = await openBench("zero", "jit");
    const good = assembled("r0 = *(u64 *)(r1 + 0); r0 += 1; exit");
    let returned = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 12 }),
        fc.uint8Array({ maxLength: 16 }),
        async (list, memory) => {
          const insns = [...list, EXIT];
          if (!valid(insns)) return;
          try {
            await execBytecode(encode(tableOf(insns)), memory, { engine: "jit", maxInsns: 10_000 });
            returned++;
          } catch (error) {
            if (!(error instanceof BpfError)) throw error;
          }
        },
      ),
      { numRuns: Number(process.env.SKEP_FUZZ_RUNS ?? 500) },
    );
    expect(returned).toBeGreaterThan(50);
    expect(witness.raw(good, Uint8Array.of(41, 0, 0, 0, 0, 0, 0, 0)).r0).toBe(42n);
  }, 60_000);
});
