import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ALU_NEG, ALU_OPS, MOVSX_WIDTHS, SWAP_OPS, SWAP_WIDTHS } from "./alu.ts";
import { assemble } from "./assemble.ts";
import { ATOMIC_OPS, type AtomicRow } from "./atomic.ts";
import { functionStarts, jumpTarget, writtenRegister } from "./classify.ts";
import { decode, encode, type Insn, tableOf } from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import { JMP_OPS } from "./jmp.ts";
import { SIZES } from "./mem.ts";
import { Class, Mode, Opcode, SOURCE_X } from "./opcode.ts";
import { checkStructure } from "./structure.ts";

const reg = fc.integer({ min: 0, max: 10 });
const s16 = fc.oneof(fc.integer({ min: -0x8000, max: 0x7fff }), fc.constantFrom(-0x8000, -1, 0, 1, 0x7fff));
const s32 = fc.oneof(
  fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  fc.constantFrom(-0x8000_0000, -1, 0, 1, 0x7fff_ffff),
);
const zero = fc.constant(0);
const size = fc.constantFrom(...Object.values(SIZES));

type Field = fc.Arbitrary<number>;
const one = (opcode: Field, dst: Field, src: Field, off: Field, imm: Field): fc.Arbitrary<Insn[]> =>
  fc.record({ opcode, dst, src, off, imm }).map((insn) => [insn]);
const value = fc.constant;

const alu = fc
  .tuple(fc.constantFrom(Class.ALU, Class.ALU64), fc.constantFrom(...Object.values(ALU_OPS)))
  .chain(([klass, row]) => {
    const off = value("signed" in row ? 1 : 0);
    return fc.oneof(
      one(value(klass | row.code), reg, zero, off, s32),
      one(value(klass | row.code | SOURCE_X), reg, reg, off, zero),
    );
  });
const movsx = fc
  .constantFrom(...MOVSX_WIDTHS)
  .chain((width) =>
    one(fc.constantFrom(...(width === 32 ? [0xbf] : [0xbf, 0xbc])), reg, reg, value(width), zero),
  );
const unary = fc.oneof(
  one(fc.constantFrom(Class.ALU | ALU_NEG, Class.ALU64 | ALU_NEG), reg, zero, zero, zero),
  one(
    fc.constantFrom(...Object.values(SWAP_OPS).map((row) => row.opcode)),
    reg,
    zero,
    zero,
    fc.constantFrom(...SWAP_WIDTHS),
  ),
  one(value(0xbf), reg, reg, value(1), fc.constantFrom(1, 1 << 16)),
);
const jumps = fc.oneof(
  fc
    .tuple(fc.constantFrom(Class.JMP, Class.JMP32), fc.constantFrom(...Object.values(JMP_OPS)))
    .chain(([klass, row]) =>
      fc.oneof(
        one(value(klass | row.code), reg, zero, s16, s32),
        one(value(klass | row.code | SOURCE_X), reg, reg, s16, zero),
      ),
    ),
  one(fc.constantFrom(Opcode.JA, Opcode.JCOND), zero, zero, s16, zero),
  one(value(Opcode.JA32), zero, zero, zero, s32),
  one(value(Opcode.CALL), zero, fc.constantFrom(0, 1), zero, s32),
  one(value(Opcode.CALL), zero, value(2), s16, s32),
  one(value(Opcode.CALLX), reg, zero, zero, zero),
  one(value(Opcode.EXIT), zero, zero, zero, zero),
);
const memory = fc.oneof(
  size.chain((row) => one(value(Class.LDX | Mode.MEM | row.bits), reg, reg, s16, zero)),
  size.chain((row) => one(value(Class.STX | Mode.MEM | row.bits), reg, reg, s16, zero)),
  size.chain((row) => one(value(Class.ST | Mode.MEM | row.bits), reg, zero, s16, s32)),
  one(fc.constantFrom(0x91, 0x89, 0x81), reg, reg, s16, zero),
  one(fc.constantFrom(0x20, 0x28, 0x30), zero, zero, zero, s32),
  one(fc.constantFrom(0x40, 0x48, 0x50), zero, reg, zero, s32),
  fc
    .tuple(size, fc.constantFrom<AtomicRow>(...Object.values(ATOMIC_OPS)))
    .filter(([row, op]) => row.bytes >= 4 || op.narrow === true)
    .chain(([row, op]) => one(value(Class.STX | Mode.ATOMIC | row.bits), reg, reg, s16, value(op.imm))),
);
const wide = fc
  .record({ dst: reg, src: fc.integer({ min: 0, max: 6 }), imm: s32, next: s32 })
  .map(({ dst, src, imm, next }): Insn[] => [
    { opcode: Opcode.LDDW, dst, src, off: 0, imm },
    { opcode: 0, dst: 0, src: 0, off: 0, imm: next },
  ]);
const program = fc
  .array(fc.oneof(alu, movsx, unary, jumps, memory, wide), { maxLength: 40 })
  .map((list) => tableOf(list.flat()));

describe("every valid instruction", () => {
  it.each([{ alu32: false }, { alu32: true }])(
    "survives disassemble and assemble (alu32 $alu32)",
    ({ alu32 }) => {
      fc.assert(
        fc.property(program, (insns) => {
          const text = disassemble(insns, { alu32 })
            .map((line) => line.text)
            .join("\n");
          const assembly = assemble(text);
          expect(assembly.diagnostics).toEqual([]);
          expect(assembly.bytes).toEqual(encode(insns));
        }),
        { numRuns: 500 },
      );
    },
  );
});

describe("random input", () => {
  const slots = fc.uint8Array({ maxLength: 256 }).map((bytes) => bytes.slice(0, bytes.length & ~7));

  it("bytes never crash disassemble and checkStructure, and what has a text has those bytes", () => {
    fc.assert(
      fc.property(slots, (bytes) => {
        const insns = decode(bytes);
        checkStructure(insns);
        functionStarts(insns);
        for (let slot = 0; slot < insns.length; slot++) {
          expect(writtenRegister(insns, slot)).toBeLessThan(16);
          expect(Number.isInteger(jumpTarget(insns, slot))).toBe(true);
        }
        const lines = disassemble(insns).map((line) => line.text);
        if (!lines.includes("<unknown>")) expect(assemble(lines.join("\n")).bytes).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("a program without findings has only instructions with a text", () => {
    fc.assert(
      fc.property(program, (insns) => {
        if (checkStructure(insns).length > 0) return;
        expect(disassemble(insns).map((line) => line.text)).not.toContain("<unknown>");
      }),
    );
  });

  const words = fc.constantFrom(
    ..."r0 w1 r10 r99 if goto gotol call callx lock exit ll * ( ) [ ] + - = == s> s>>= += <<= , u8 u64 s32 skb 1 0x7fffffff 99999999999999999999 -1 a: a 1: 1b 1f ; # // le16 xchg_64 cmpxchg32_32 atomic_fetch_add load_acquire store_release addr_space_cast ld_pseudo may_goto .text <x> ' ~ & | ^".split(
      " ",
    ),
    "\n",
  );
  it("text never crashes assemble, and gives whole instructions", () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.array(words).map((list) => list.join(" ")),
    );
    fc.assert(
      fc.property(text, (source) => {
        const assembly = assemble(source);
        expect(assembly.bytes.length % 8).toBe(0);
        expect(assembly.ok).toBe(assembly.diagnostics.length === 0);
        expect(assembly.lines.length).toBe(assembly.bytes.length / 8);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    { name: "a line of blanks", text: " ".repeat(2_000_000) },
    { name: "a number of a million digits", text: `r0 = ${"9".repeat(1_000_000)}` },
    { name: "colons and blanks", text: ": ".repeat(300_000) },
    { name: "open notes", text: "<a".repeat(300_000) },
    { name: "open comments", text: "/*".repeat(300_000) },
    { name: "unknown labels", text: "goto x\n".repeat(100_000) },
    { name: "wrong lines", text: "@\n".repeat(300_000) },
    { name: "wrong statements", text: "@;".repeat(300_000) },
    { name: "a long name", text: `${"a".repeat(1_000_000)}\n`.repeat(3) },
    { name: "semicolons", text: ";".repeat(1_000_000) },
  ])("$name is read in linear time", { timeout: 5_000 }, ({ text }) => {
    expect(assemble(text).diagnostics.length).toBeLessThanOrEqual(100);
  });

  it("deep parentheses end in a diagnostic", () => {
    expect(assemble(`r0 = ${"(".repeat(100_000)}`).ok).toBe(false);
    expect(assemble(`r0 = ${"-".repeat(100_000)}1`).ok).toBe(false);
  });
});
