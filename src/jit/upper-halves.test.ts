import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { decode } from "../isa/index.ts";
import { assembled, type Bench, openBench } from "../runtime/bytecode.fixture.ts";
import { buildGraph } from "./cfg.ts";
import { analyse } from "./flow.ts";
import { lowHalfOnly } from "./upper-halves.ts";

let interpreter: Bench;
let jit: Bench;
beforeAll(async () => {
  interpreter = await openBench("zero", "interpreter");
  jit = await openBench("zero", "jit");
});

const register = fc.integer({ min: 0, max: 9 });
const number = fc.oneof(fc.integer({ min: -9, max: 70 }), fc.integer());
const binary = fc.constantFrom("+=", "-=", "*=", "|=", "&=", "^=", "=", "/=", "%=", "s/=");
const shift = fc.constantFrom("<<=", ">>=", "s>>=");
/** Instructions without control flow; some two of them make a rotation. */
const line = fc.oneof(
  fc.tuple(register, binary, register).map(([a, op, b]) => `r${a} ${op} r${b}`),
  fc.tuple(register, binary, register).map(([a, op, b]) => `w${a} ${op} w${b}`),
  fc.tuple(register, binary, number).map(([a, op, n]) => `r${a} ${op} ${n}`),
  fc.tuple(register, shift, fc.integer({ min: 0, max: 63 })).map(([a, op, n]) => `r${a} ${op} ${n}`),
  fc.tuple(register, shift, fc.integer({ min: 0, max: 31 })).map(([a, op, n]) => `w${a} ${op} ${n}`),
  fc.tuple(register, shift, register).map(([a, op, b]) => `r${a} ${op} r${b}`),
  fc
    .tuple(register, register, fc.integer({ min: 1, max: 63 }), fc.constantFrom("|=", "^=", "+="))
    .filter(([a, b]) => a !== b)
    .map(([a, b, n, op]) => `r${a} = r${b}; r${a} <<= ${n}; r${b} >>= ${64 - n}; r${b} ${op} r${a}`),
  fc
    .tuple(register, fc.constantFrom("be16", "be32", "be64", "le16", "le32", "le64", "bswap32", "bswap64"))
    .map(([a, op]) => `r${a} = ${op} r${a}`),
  fc
    .tuple(register, fc.constantFrom("s8", "s16", "s32"), register)
    .map(([a, to, b]) => `r${a} = (${to})r${b}`),
  fc.tuple(register, fc.constantFrom("r", "w")).map(([a, w]) => `${w}${a} = -${w}${a}`),
  fc
    .tuple(register, fc.constantFrom(1, 2, 4, 8), register)
    .map(([a, n, b]) => `*(u${8 * n} *)(r10 - 16) = r${a}; r${b} = *(u${8 * n} *)(r10 - 16)`),
  fc
    .tuple(register, fc.constantFrom("u32", "u64"))
    .map(([a, type]) => `lock *(${type} *)(r10 - 16) += r${a}`),
);
/** Skips over up to three lines. */
const jump = fc.tuple(
  fc.constantFrom("r", "w"),
  register,
  fc.constantFrom("==", ">", "s<", "&"),
  number,
  fc.array(line, { minLength: 1, maxLength: 3 }),
);
const piece = fc.oneof(
  { weight: 4, arbitrary: line.map((text) => () => text) },
  {
    weight: 1,
    arbitrary: jump.map(
      ([w, r, op, n, lines]) =>
        (label: string) =>
          `if ${w}${r} ${op} ${n} goto ${label}; ${lines.join("; ")}; ${label}:`,
    ),
  },
);
const program = fc
  .tuple(
    fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 10, maxLength: 10 }),
    fc.array(piece, { maxLength: 30 }),
    fc.array(fc.tuple(fc.constantFrom("r", "w"), register), { maxLength: 3 }),
  )
  .map(([start, pieces, looked]) =>
    [
      "*(u64 *)(r10 - 16) = 0",
      ...start.map((value, r) => `r${r} = ${value} ll`),
      ...pieces.map((text, i) => text(`l${i}`)),
      ...looked.map(([w, r]) => `${w}0 ^= ${w}${r}`),
      "exit",
    ]
      .join("; ")
      .replaceAll(":;", ":"),
  );

describe("upper halves", () => {
  it("arithmetic whose upper half nobody looks at does as in the interpreter", () => {
    fc.assert(
      fc.property(program, (text) => {
        const bytes = assembled(text);
        expect(jit.raw(bytes).r0).toBe(interpreter.raw(bytes).r0);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["an address", "r2 = r10; r2 += -8; r2 += r1; r0 = *(u8 *)(r2 + 0); exit", [true, true, true]],
    ["what is stored whole", "r2 = r1; r2 += 1; *(u64 *)(r10 - 8) = r2; r0 = 0; exit", [false, false]],
    ["what half is stored of", "r2 = r1; r2 += 1; *(u32 *)(r10 - 8) = r2; r0 = 0; exit", [true, true]],
    [
      "what the context may be given",
      "r2 = r1; r2 += 1; *(u16 *)(r1 + 4) = r2; r0 = 0; exit",
      [false, false],
    ],
    ["what is shifted right later", "r2 = r1; r2 += 1; r2 >>= 32; w0 = w2; exit", [false, false, false]],
    [
      "in a loop, where the next round looks",
      "r2 = r1; a: r2 += 1; w0 = w2; if r2 < 9 goto a; exit",
      [false, false],
    ],
    ["what a call is given", "r1 += 1; call 7; exit", [false]],
    ["what be64 swaps", "r1 += 1; r1 = be64 r1; w0 = w1; exit", [false]],
  ])("%s", (_, text, narrow) => {
    const insns = decode(assembled(text));
    const graph = buildGraph(insns, 0, insns.length, () => false)!;
    const low = lowHalfOnly(graph, analyse(graph), insns);
    expect(narrow.map((__, slot) => low(slot))).toEqual(narrow);
  });
});
