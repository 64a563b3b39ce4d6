import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { encode, type Insn, tableOf } from "../isa/index.ts";
import { assembled, type Bench, openBench } from "./bytecode.fixture.ts";
import { ENGINES } from "./engine.ts";

// Both engines do what RFC 9669 says.
describe.each(ENGINES)("%s", (engine) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench("error", engine);
  });

  // ---- the oracle: RFC 9669 §4 in bigint, slow and obvious

  const U64 = (x: bigint) => BigInt.asUintN(64, x);
  const S64 = (x: bigint) => BigInt.asIntN(64, x);
  const cut = (x: bigint, bits: 32 | 64) => BigInt.asUintN(bits, x);
  const sign = (x: bigint, bits: number) => BigInt.asIntN(bits, x);

  type Alu = (a: bigint, b: bigint, bits: 32 | 64) => bigint;
  /** By code nibble of the opcode; `off` 1 makes div and mod signed. */
  const ALU: Readonly<Record<string, { code: number; off?: number; of: Alu }>> = {
    add: { code: 0x0, of: (a, b) => a + b },
    sub: { code: 0x1, of: (a, b) => a - b },
    mul: { code: 0x2, of: (a, b) => a * b },
    div: { code: 0x3, of: (a, b) => (b === 0n ? 0n : a / b) },
    sdiv: { code: 0x3, off: 1, of: (a, b, n) => (b === 0n ? 0n : sign(a, n) / sign(b, n)) },
    or: { code: 0x4, of: (a, b) => a | b },
    and: { code: 0x5, of: (a, b) => a & b },
    lsh: { code: 0x6, of: (a, b, n) => a << (b & BigInt(n - 1)) },
    rsh: { code: 0x7, of: (a, b, n) => a >> (b & BigInt(n - 1)) },
    mod: { code: 0x9, of: (a, b) => (b === 0n ? a : a % b) },
    smod: { code: 0x9, off: 1, of: (a, b, n) => (b === 0n ? a : sign(a, n) % sign(b, n)) },
    xor: { code: 0xa, of: (a, b) => a ^ b },
    mov: { code: 0xb, of: (_, b) => b },
    arsh: { code: 0xc, of: (a, b, n) => sign(a, n) >> (b & BigInt(n - 1)) },
  };
  /** The whole of `dst op= src`: operands cut to the width, result zero-extended. */
  function alu(name: string, bits: 32 | 64, dst: bigint, src: bigint): bigint {
    return cut(ALU[name].of(cut(dst, bits), cut(src, bits), bits), bits);
  }

  const JMP: Readonly<
    Record<string, { code: number; of: (a: bigint, b: bigint, bits: 32 | 64) => boolean }>
  > = {
    jeq: { code: 0x1, of: (a, b) => a === b },
    jgt: { code: 0x2, of: (a, b) => a > b },
    jge: { code: 0x3, of: (a, b) => a >= b },
    jset: { code: 0x4, of: (a, b) => (a & b) !== 0n },
    jne: { code: 0x5, of: (a, b) => a !== b },
    jsgt: { code: 0x6, of: (a, b, n) => sign(a, n) > sign(b, n) },
    jsge: { code: 0x7, of: (a, b, n) => sign(a, n) >= sign(b, n) },
    jlt: { code: 0xa, of: (a, b) => a < b },
    jle: { code: 0xb, of: (a, b) => a <= b },
    jslt: { code: 0xc, of: (a, b, n) => sign(a, n) < sign(b, n) },
    jsle: { code: 0xd, of: (a, b, n) => sign(a, n) <= sign(b, n) },
  };

  const EDGES = [
    0n,
    1n,
    2n,
    31n,
    32n,
    63n,
    64n,
    0x7fn,
    0x80n,
    0x7fff_ffffn,
    0x8000_0000n,
    0xffff_ffffn,
    0x1_0000_0000n,
    0x7fff_ffff_ffff_ffffn,
    0x8000_0000_0000_0000n,
    0xffff_ffff_8000_0000n,
    0xffff_ffff_ffff_fffen,
    0xffff_ffff_ffff_ffffn,
    0x1234_5678_9abc_def0n,
  ];
  const IMMS = [0, 1, -1, 2, 31, 32, 63, 64, 0x7fffffff, -0x80000000, 0x1234];

  const insn = (opcode: number, dst = 0, src = 0, off = 0, imm = 0): Insn => ({ opcode, dst, src, off, imm });
  const lddw = (dst: number, value: bigint): Insn[] => [
    insn(0x18, dst, 0, 0, Number(sign(value, 32))),
    insn(0, 0, 0, 0, Number(sign(value >> 32n, 32))),
  ];
  const EXIT = insn(0x95);
  const run = (list: readonly Insn[]): bigint => bench.raw(encode(tableOf(list))).r0;
  /** r0 after each of the pieces of code, which are run one after the other in one program. */
  const runAll = (pieces: readonly (readonly Insn[])[]): bigint[] => {
    const list: Insn[] = [insn(0xbf, 9, 1)];
    for (const [i, piece] of pieces.entries()) list.push(...piece, insn(0x7b, 9, 0, 8 * i));
    const { memory } = bench.raw(encode(tableOf([...list, EXIT])), new Uint8Array(8 * pieces.length));
    return [...new BigUint64Array(memory.buffer)];
  };

  describe.each(Object.keys(ALU))("%s", (name) => {
    const { code, off = 0 } = ALU[name];
    it.each([64, 32] as const)("%i bits: every pair of edge values, register and immediate", (bits) => {
      const klass = bits === 64 ? 7 : 4;
      const cases = EDGES.flatMap((a) => [
        ...EDGES.map((b) => ({
          what: [a, b],
          code: [...lddw(0, a), ...lddw(3, b), insn((code << 4) | 8 | klass, 0, 3, off)],
          want: alu(name, bits, a, b),
        })),
        ...IMMS.map((imm) => ({
          what: [a, imm],
          code: [...lddw(0, a), insn((code << 4) | klass, 0, 0, off, imm)],
          want: alu(name, bits, a, U64(BigInt(imm))),
        })),
      ]);
      const got = runAll(cases.map((row) => row.code));
      expect(cases.map(({ what }, i) => [...what, got[i]])).toEqual(
        cases.map(({ what, want }) => [...what, want]),
      );
    });
  });

  describe.each(Object.keys(JMP))("%s", (name) => {
    const { code, of } = JMP[name];
    it.each([64, 32] as const)("%i bits: every pair of edge values, register and immediate", (bits) => {
      const klass = bits === 64 ? 5 : 6;
      const taken = (jump: Insn, a: bigint, b: bigint) => [
        ...lddw(1, a),
        ...lddw(2, b),
        insn(0xb7, 0, 0, 0, 1),
        jump,
        insn(0xb7, 0, 0, 0, 0),
      ];
      const cases = EDGES.flatMap((a) => [
        ...EDGES.map((b) => ({
          what: [a, b],
          code: taken(insn((code << 4) | 8 | klass, 1, 2, 1), a, b),
          want: of(cut(a, bits), cut(b, bits), bits) ? 1n : 0n,
        })),
        ...IMMS.map((imm) => ({
          what: [a, imm],
          code: taken(insn((code << 4) | klass, 1, 0, 1, imm), a, 0n),
          want: of(cut(a, bits), cut(BigInt(imm), bits), bits) ? 1n : 0n,
        })),
      ]);
      const got = runAll(cases.map((row) => row.code));
      expect(cases.map(({ what }, i) => [...what, got[i]])).toEqual(
        cases.map(({ what, want }) => [...what, want]),
      );
    });
  });

  describe("single instructions", () => {
    const swap = (x: bigint, bits: number): bigint => {
      let out = 0n;
      for (let i = 0; i < bits; i += 8) out = (out << 8n) | ((x >> BigInt(i)) & 0xffn);
      return out;
    };
    it.each([16, 32, 64])("le, be, bswap with %i bits", (bits) => {
      for (const a of EDGES) {
        expect(run([...lddw(0, a), insn(0xd4, 0, 0, 0, bits), EXIT])).toBe(BigInt.asUintN(bits, a));
        expect(run([...lddw(0, a), insn(0xdc, 0, 0, 0, bits), EXIT])).toBe(swap(a, bits));
        expect(run([...lddw(0, a), insn(0xd7, 0, 0, 0, bits), EXIT])).toBe(swap(a, bits));
      }
    });
    it("neg of both widths", () => {
      for (const a of EDGES) {
        expect(run([...lddw(0, a), insn(0x87), EXIT])).toBe(U64(-a));
        expect(run([...lddw(0, a), insn(0x84), EXIT])).toBe(cut(-a, 32));
      }
    });
    it.each([8, 16, 32])("movsx from %i bits", (bits) => {
      for (const a of EDGES) {
        expect(run([...lddw(1, a), insn(0xbf, 0, 1, bits), EXIT])).toBe(U64(sign(a, bits)));
        if (bits < 32)
          expect(run([...lddw(1, a), insn(0xbc, 0, 1, bits), EXIT])).toBe(cut(sign(a, bits), 32));
      }
    });
  });

  describe.each([
    ["gotol jumps by imm", "gotol +1; r0 = 1; r0 = 7; exit", 7n],
    ["gotol jumps back", "r0 = 0; goto +2; r0 += 5; exit; gotol -3", 5n],
    ["lddw holds 64 bits", "r0 = 0x1122334455667788 ll; exit", 0x1122334455667788n],
    [
      "st sign-extends its immediate",
      "*(u64 *)(r10 - 8) = -2; r0 = *(u64 *)(r10 - 8); exit",
      0xffff_ffff_ffff_fffen,
    ],
    [
      "ldsx extends from 8 bits",
      "*(u8 *)(r10 - 1) = 0x80; r0 = *(s8 *)(r10 - 1); exit",
      0xffff_ffff_ffff_ff80n,
    ],
    [
      "ldsx extends from 32 bits",
      "*(u32 *)(r10 - 8) = -1; r0 = *(s32 *)(r10 - 8); exit",
      0xffff_ffff_ffff_ffffn,
    ],
    ["narrow loads are little-endian", "*(u32 *)(r10 - 4) = 0x11223344; r0 = *(u8 *)(r10 - 3); exit", 0x33n],
    [
      "callee-saved registers survive a call",
      "r6 = 5; call f; r0 += r6; exit; f: r6 = 9; r0 = r6; exit",
      14n,
    ],
    ["arguments reach a function", "r1 = 2; r2 = 3; call f; exit; f: r0 = r1; r0 *= r2; exit", 6n],
    [
      "a function has a frame of its own",
      "*(u64 *)(r10 - 8) = 1; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r10 - 8) = 2; r0 = 0; exit",
      1n,
    ],
    [
      "a callee writes through a pointer to its caller's stack",
      "*(u64 *)(r10 - 8) = 1; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 - 8); exit; f: *(u64 *)(r1 + 0) = 7; r0 = 0; exit",
      7n,
    ],
    [
      "a spilled pointer is a pointer again when filled",
      "*(u64 *)(r10 - 8) = 42; r1 = r10; r1 += -8; *(u64 *)(r10 - 16) = r1; r2 = *(u64 *)(r10 - 16); r0 = *(u64 *)(r2 + 0); exit",
      42n,
    ],
    ["the difference of two pointers is a number", "r0 = r10; r1 = r10; r1 += -24; r0 -= r1; exit", 24n],
    ["may_goto falls through first", "r0 = 1; may_goto +1; r0 = 2; exit", 2n],
    ["load_acquire reads", "*(u64 *)(r10 - 8) = 9; r0 = load_acquire((u64 *)(r10 - 8)); exit", 9n],
    [
      "store_release writes a byte",
      "*(u64 *)(r10 - 8) = 0; r1 = 0x1ff; store_release((u8 *)(r10 - 8), w1); r0 = *(u64 *)(r10 - 8); exit",
      255n,
    ],
    [
      "cmpxchg stores when r0 matches",
      "*(u64 *)(r10 - 8) = 5; r0 = 5; r1 = 6; r0 = cmpxchg_64(r10 - 8, r0, r1); r1 = *(u64 *)(r10 - 8); r0 <<= 8; r0 |= r1; exit",
      0x506n,
    ],
    [
      "cmpxchg leaves memory when it does not, and gives the old value",
      "*(u64 *)(r10 - 8) = 5; r0 = 4; r1 = 6; r0 = cmpxchg_64(r10 - 8, r0, r1); r1 = *(u64 *)(r10 - 8); r0 <<= 8; r0 |= r1; exit",
      0x505n,
    ],
  ] as const)("%s", (_, text, want) => {
    it("in a checked program", () => expect(bench.checked(text)).toBe(want));
  });

  it("may_goto ends a loop after 8388608 rounds", async () => {
    const text = "r0 = 0; may_goto +2; r0 += 1; goto -3; exit";
    expect(bench.checked(text, { budget: 100_000_000 })).toBe(8388608n);
  });

  it("counts the instructions of a run", () => {
    expect(bench.raw(assembled("r0 = 3; r0 += -1; if r0 != 0 goto -2; exit")).insns).toBe(8);
  });

  // ---- property: random programs against the oracle

  type Step =
    | { kind: "alu"; name: string; bits: 32 | 64; dst: number; src: number | undefined; imm: number }
    | {
        kind: "jmp";
        name: string;
        bits: 32 | 64;
        dst: number;
        src: number | undefined;
        imm: number;
        over: number;
      }
    | { kind: "load"; dst: number; size: 1 | 2 | 4 | 8; signed: boolean; at: number }
    | { kind: "store"; src: number; size: 1 | 2 | 4 | 8; at: number }
    | { kind: "atomic"; src: number; size: 4 | 8; op: number; at: number };

  /** Data behind r9, then room for r0–r8. */
  const DATA = 64;
  const REGS = 9;
  const SIZE_BITS = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const;
  const ATOMIC_OPS = [0x00, 0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1];

  const reg = fc.integer({ min: 0, max: REGS - 1 });
  const bits = fc.constantFrom(32 as const, 64 as const);
  const imm = fc.oneof(fc.constantFrom(...IMMS), fc.integer({ min: -0x80000000, max: 0x7fffffff }));
  const size = fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const);
  const at = fc.integer({ min: 0, max: DATA - 8 });
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("alu" as const),
        name: fc.constantFrom(...Object.keys(ALU)),
        bits,
        dst: reg,
        src: fc.option(reg, { nil: undefined }),
        imm,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("jmp" as const),
        name: fc.constantFrom(...Object.keys(JMP)),
        bits,
        dst: reg,
        src: fc.option(reg, { nil: undefined }),
        imm,
        over: fc.integer({ min: 0, max: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("load" as const), dst: reg, size, signed: fc.boolean(), at }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("store" as const), src: reg, size, at }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("atomic" as const),
        src: reg,
        size: fc.constantFrom(4 as const, 8 as const),
        op: fc.constantFrom(...ATOMIC_OPS),
        at: at.map((n) => n & ~7),
      }),
    },
  );

  function toInsn(s: Step, left: number): Insn {
    switch (s.kind) {
      case "alu": {
        const row = ALU[s.name];
        const klass = s.bits === 64 ? 7 : 4;
        return insn(
          (row.code << 4) | klass | (s.src === undefined ? 0 : 8),
          s.dst,
          s.src ?? 0,
          row.off ?? 0,
          s.src === undefined ? s.imm : 0,
        );
      }
      case "jmp": {
        const klass = s.bits === 64 ? 5 : 6;
        return insn(
          (JMP[s.name].code << 4) | klass | (s.src === undefined ? 0 : 8),
          s.dst,
          s.src ?? 0,
          Math.min(s.over, left),
          s.src === undefined ? s.imm : 0,
        );
      }
      case "load":
        return insn((s.signed && s.size < 8 ? 0x81 : 0x61) | SIZE_BITS[s.size], s.dst, 9, s.at);
      case "store":
        return insn(0x63 | SIZE_BITS[s.size], 9, s.src, s.at);
      case "atomic":
        return insn(0xc3 | SIZE_BITS[s.size], 9, s.src, s.at, s.op);
    }
  }

  function oracle(steps: readonly Step[], regs: bigint[], data: DataView): void {
    const read = (at: number, n: number) => {
      let value = 0n;
      for (let i = n - 1; i >= 0; i--) value = (value << 8n) | BigInt(data.getUint8(at + i));
      return value;
    };
    const write = (at: number, n: number, value: bigint) => {
      for (let i = 0; i < n; i++) data.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
    };
    for (let pc = 0; pc < steps.length; pc++) {
      const s = steps[pc];
      if (s.kind === "alu")
        regs[s.dst] = alu(
          s.name,
          s.bits,
          regs[s.dst],
          s.src === undefined ? U64(BigInt(s.imm)) : regs[s.src],
        );
      else if (s.kind === "jmp") {
        const b = s.src === undefined ? BigInt(s.imm) : regs[s.src];
        if (JMP[s.name].of(cut(regs[s.dst], s.bits), cut(b, s.bits), s.bits))
          pc += Math.min(s.over, steps.length - 1 - pc);
      } else if (s.kind === "load") {
        const value = read(s.at, s.size);
        regs[s.dst] = s.signed && s.size < 8 ? U64(sign(value, s.size * 8)) : value;
      } else if (s.kind === "store") write(s.at, s.size, regs[s.src]);
      else {
        const old = read(s.at, s.size);
        const operand = regs[s.src];
        if (s.op === 0xf1) {
          if (old === BigInt.asUintN(s.size * 8, regs[0])) write(s.at, s.size, operand);
          regs[0] = old;
          continue;
        }
        const next = {
          0: old + operand,
          64: old | operand,
          80: old & operand,
          160: old ^ operand,
          224: operand,
        }[s.op & 0xfe]!;
        write(s.at, s.size, next);
        if (s.op & 1) regs[s.src] = old;
      }
    }
  }

  it("random programs leave the registers and memory that the oracle says", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })), {
          minLength: REGS,
          maxLength: REGS,
        }),
        fc.uint8Array({ minLength: DATA, maxLength: DATA }),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        (start, data, steps) => {
          const list: Insn[] = [insn(0xbf, 9, 1)];
          for (const [i, value] of start.entries()) list.push(...lddw(i, value));
          for (const [i, s] of steps.entries()) list.push(toInsn(s, steps.length - 1 - i));
          for (let i = 0; i < REGS; i++) list.push(insn(0x7b, 9, i, DATA + 8 * i));
          list.push(insn(0xb7), EXIT);
          const memory = new Uint8Array(DATA + 8 * REGS);
          memory.set(data);
          const got = bench.raw(encode(tableOf(list)), memory).memory;

          const want = memory.slice();
          const view = new DataView(want.buffer);
          const regs = [...start];
          oracle(steps, regs, view);
          for (const [i, value] of regs.entries()) view.setBigUint64(DATA + 8 * i, value, true);
          expect(got).toEqual(want);
          expect(S64(regs[0])).toBe(new DataView(got.buffer).getBigInt64(DATA, true));
        },
      ),
      // A compiled program costs milliseconds before it runs.
      { numRuns: engine === "jit" ? 400 : 2000 },
    );
  });
});
