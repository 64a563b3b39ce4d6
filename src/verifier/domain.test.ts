import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatScalar,
  missedBy,
  newDomain,
  readScalar,
  type Scalar,
  UNKNOWN,
  writeScalar,
} from "./domain.fixture.ts";
import { type DomainExports, scratchRow } from "./domain.ts";
import { ID, OFF, PRECISE, ROW_WORDS, TYPE } from "./layout.ts";

const memory = newDomain();
const { domain } = memory;
const [A, B, C, D, E] = [0, 1, 2, 3, 4].map(scratchRow);
const RUNS = Number(process.env.SKEP_FUZZ_RUNS ?? 4_000);

const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);
const s64 = (n: bigint): bigint => BigInt.asIntN(64, n);
const u32 = (n: bigint): bigint => BigInt.asUintN(32, n);
const s32 = (n: bigint): bigint => BigInt.asIntN(32, n);
const lo = (n: bigint): number => Number(s32(n));
const hi = (n: bigint): number => Number(s32(n >> 32n));

// Arithmetic on numbers, 64 and 32 bits; undefined: the operation is not computed.
const ALU: Record<string, { code: number; run: (a: bigint, b: bigint, bits: bigint) => bigint | undefined }> =
  {
    add: { code: 0x00, run: (a, b) => a + b },
    sub: { code: 0x10, run: (a, b) => a - b },
    mul: { code: 0x20, run: (a, b) => a * b },
    or: { code: 0x40, run: (a, b) => a | b },
    and: { code: 0x50, run: (a, b) => a & b },
    lsh: { code: 0x60, run: (a, b, bits) => a << (b & (bits - 1n)) },
    rsh: { code: 0x70, run: (a, b, bits) => a >> (b & (bits - 1n)) },
    neg: { code: 0x80, run: (a) => -a },
    xor: { code: 0xa0, run: (a, b) => a ^ b },
    arsh: { code: 0xc0, run: (a, b, bits) => BigInt.asIntN(Number(bits), a) >> (b & (bits - 1n)) },
  };

function concrete(op: string, is64: boolean, a: bigint, b: bigint): bigint {
  const { run } = ALU[op];
  return is64 ? u64(run(a, b, 64n) ?? 0n) : u32(run(u32(a), u32(b), 32n) ?? 0n);
}

const JUMPS: Record<
  string,
  { code: number; test: (a: bigint, b: bigint, sa: bigint, sb: bigint) => boolean }
> = {
  jeq: { code: 0x10, test: (a, b) => a === b },
  jgt: { code: 0x20, test: (a, b) => a > b },
  jge: { code: 0x30, test: (a, b) => a >= b },
  jset: { code: 0x40, test: (a, b) => (a & b) !== 0n },
  jne: { code: 0x50, test: (a, b) => a !== b },
  jsgt: { code: 0x60, test: (_a, _b, a, b) => a > b },
  jsge: { code: 0x70, test: (_a, _b, a, b) => a >= b },
  jlt: { code: 0xa0, test: (a, b) => a < b },
  jle: { code: 0xb0, test: (a, b) => a <= b },
  jslt: { code: 0xc0, test: (_a, _b, a, b) => a < b },
  jsle: { code: 0xd0, test: (_a, _b, a, b) => a <= b },
};

function outcome(op: string, is32: boolean, a: bigint, b: bigint): boolean {
  const { test } = JUMPS[op];
  return is32 ? test(u32(a), u32(b), s32(a), s32(b)) : test(a, b, s64(a), s64(b));
}

/** Numbers near what rules turn on: 0, powers of two, ends of the ranges. */
const number = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc
    .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: -3, max: 3 }), fc.boolean())
    .map(([bit, near, minus]) => u64((minus ? -1n : 1n) * (1n << BigInt(bit)) + BigInt(near))),
  fc.integer({ min: -300, max: 300 }).map((n) => u64(BigInt(n))),
);

/** A synced scalar and one of its members. */
const scalarWithMember = fc
  .record({
    n: number,
    mask: fc.oneof(number, fc.constant(0n), fc.constant((1n << 64n) - 1n)),
    slack: fc.array(fc.oneof(number, fc.constant(undefined)), { minLength: 8, maxLength: 8 }),
  })
  .map(({ n, mask, slack }): { scalar: Scalar; n: bigint } => {
    // Each end lies some way from the member, or is the end of the width.
    const below = (member: bigint, by: bigint | undefined, least: bigint): bigint =>
      by === undefined || member - by < least ? least : member - by;
    const above = (member: bigint, by: bigint | undefined, most: bigint): bigint =>
      by === undefined || member + by > most ? most : member + by;
    const by32 = (by: bigint | undefined): bigint | undefined => (by === undefined ? undefined : u32(by));
    return {
      n,
      scalar: {
        value: n & ~mask,
        mask,
        smin: below(s64(n), slack[0], UNKNOWN.smin),
        smax: above(s64(n), slack[1], UNKNOWN.smax),
        umin: below(n, slack[2], UNKNOWN.umin),
        umax: above(n, slack[3], UNKNOWN.umax),
        s32Min: below(s32(n), by32(slack[4]), UNKNOWN.s32Min),
        s32Max: above(s32(n), by32(slack[5]), UNKNOWN.s32Max),
        u32Min: below(u32(n), by32(slack[6]), UNKNOWN.u32Min),
        u32Max: above(u32(n), by32(slack[7]), UNKNOWN.u32Max),
      },
    };
  });

function put(row: number, scalar: Scalar): void {
  writeScalar(memory, row, scalar);
  domain.syncBounds(row);
}

function expectMember(row: number, n: bigint): void {
  const missed = missedBy(readScalar(memory, row), n);
  if (missed.length > 0) {
    expect.fail(`0x${n.toString(16)} is not in ${missed} of ${formatScalar(memory, row)}`);
  }
}

/** Mends what the kernel mends after arithmetic and branches; consistent inputs never need it where a member lives. */
function expectConsistent(row: number): void {
  expect(domain.boundsViolation(row)).toBe(0);
}

it("the module exports what the port names", () => {
  const names: Record<keyof DomainExports, 1> = {
    copyRow: 1,
    copyWords: 1,
    zeroWords: 1,
    equalWords: 1,
    markUnknown: 1,
    markKnown: 1,
    setConst: 1,
    setConst32: 1,
    setUnknown: 1,
    setUnbounded: 1,
    setSigned64: 1,
    setSigned32: 1,
    syncBounds: 1,
    boundsViolation: 1,
    aluScalar: 1,
    addVarOff: 1,
    subVarOff: 1,
    addConst: 1,
    zeroExtend32: 1,
    coerce: 1,
    signExtend: 1,
    signExtend32: 1,
    swapBytes: 1,
    isBranchTaken: 1,
    refine: 1,
    intersect: 1,
    scalarContains: 1,
    isAligned: 1,
    sameScalar: 1,
    minusOneOrZero: 1,
  };
  for (const name of Object.keys(names)) expect(domain).toHaveProperty(name, expect.any(Function));
});

describe("every concrete result lies in the abstract one", () => {
  const runs = { numRuns: RUNS };

  it("deduction keeps members", () =>
    fc.assert(
      fc.property(scalarWithMember, ({ scalar, n }) => {
        put(A, scalar);
        expectMember(A, n);
        expectConsistent(A);
      }),
      runs,
    ));

  it.each(Object.keys(ALU))("%s", (op) =>
    fc.assert(
      fc.property(scalarWithMember, scalarWithMember, fc.boolean(), (a, b, is64) => {
        const bits = is64 ? 64n : 32n;
        put(A, a.scalar);
        put(B, b.scalar);
        const unknown = domain.aluScalar(ALU[op].code, is64 ? 1 : 0, A, B);
        if (unknown) expect(formatScalar(memory, A)).toBe("scalar()");
        expectMember(A, concrete(op, is64, a.n, op.endsWith("sh") ? b.n % bits : b.n));
        expectConsistent(A);
      }),
      { numRuns: RUNS / 2 },
    ),
  );

  it.each(["lsh", "rsh", "arsh"])("%s by a known number", (op) =>
    fc.assert(
      fc.property(scalarWithMember, fc.bigInt(0n, 63n), fc.boolean(), (a, by, is64) => {
        const shift = is64 ? by : by % 32n;
        put(A, a.scalar);
        domain.setConst(B, lo(shift), 0);
        expect(domain.aluScalar(ALU[op].code, is64 ? 1 : 0, A, B)).toBe(0);
        expectMember(A, concrete(op, is64, a.n, shift));
        expectConsistent(A);
      }),
      runs,
    ),
  );

  it.each(Object.keys(ALU))("%s of a register with itself", (op) =>
    fc.assert(
      fc.property(scalarWithMember, fc.boolean(), (a, is64) => {
        put(A, a.scalar);
        domain.aluScalar(ALU[op].code, is64 ? 1 : 0, A, A);
        expectMember(A, concrete(op, is64, a.n, a.n));
      }),
      { numRuns: RUNS / 10 },
    ),
  );

  it.each(Object.keys(ALU))("%s of two constants is a constant", (op) =>
    fc.assert(
      fc.property(number, number, fc.boolean(), (a, b, is64) => {
        const by = op.endsWith("sh") ? b % (is64 ? 64n : 32n) : b;
        domain.setConst(A, lo(a), hi(a));
        domain.setConst(B, lo(by), hi(by));
        domain.aluScalar(ALU[op].code, is64 ? 1 : 0, A, B);
        domain.setConst(C, lo(concrete(op, is64, a, by)), hi(concrete(op, is64, a, by)));
        expect(readScalar(memory, A)).toEqual(readScalar(memory, C));
      }),
      { numRuns: RUNS / 10 },
    ),
  );

  it("pointer offsets plus and minus scalars", () =>
    fc.assert(
      fc.property(scalarWithMember, scalarWithMember, (a, b) => {
        put(A, a.scalar);
        put(B, b.scalar);
        domain.addVarOff(C, A, B);
        domain.subVarOff(D, A, B);
        domain.syncBounds(C);
        domain.syncBounds(D);
        expectMember(C, u64(a.n + b.n));
        expectMember(D, u64(a.n - b.n));
        domain.addVarOff(A, A, B);
        domain.syncBounds(A);
        expect(domain.sameScalar(A, C)).toBe(1);
      }),
      runs,
    ));

  it("linked scalars at a constant distance", () =>
    fc.assert(
      fc.property(scalarWithMember, fc.integer({ min: -(2 ** 32), max: 2 ** 32 }), (a, delta) => {
        put(A, a.scalar);
        domain.copyRow(B, A);
        domain.addConst(A, delta);
        expectMember(A, u64(a.n + BigInt(delta)));
        domain.zeroExtend32(B);
        const low = u32(a.n);
        domain.addConst(B, delta, 1);
        expectMember(B, u32(low + BigInt(delta)));
      }),
      runs,
    ));

  it("changes of width", () =>
    fc.assert(
      fc.property(scalarWithMember, fc.constantFrom(1, 2, 4), ({ scalar, n }, size) => {
        const bits = size * 8;
        put(A, scalar);
        for (const row of [B, C, D, E]) domain.copyRow(row, A);
        domain.coerce(A, size);
        expectMember(A, BigInt.asUintN(bits, n));
        domain.signExtend(B, size);
        expectMember(B, u64(BigInt.asIntN(bits, n)));
        domain.zeroExtend32(C);
        expectMember(C, u32(n));
        if (size < 4) {
          domain.signExtend32(D, size);
          expectMember(D, u32(BigInt.asIntN(bits, n)));
        }
        for (const reverse of [0, 1]) {
          domain.copyRow(D, E);
          domain.swapBytes(D, size * 2, reverse);
          expectMember(D, reverse ? swapped(n, size * 2) : BigInt.asUintN(bits * 2, n));
        }
      }),
      runs,
    ));

  it.each(Object.keys(JUMPS))("%s: what is decided is so, what is learnt holds", (op) =>
    fc.assert(
      fc.property(scalarWithMember, scalarWithMember, fc.boolean(), fc.boolean(), (a, b, is32, equal) => {
        const other = equal ? { scalar: { ...b.scalar, ...constant(a.n) }, n: a.n } : b;
        put(A, a.scalar);
        put(B, other.scalar);
        const holds = outcome(op, is32, a.n, other.n);
        const decided = domain.isBranchTaken(JUMPS[op].code, is32 ? 1 : 0, A, B);
        if (decided >= 0) {
          expect(decided).toBe(holds ? 1 : 0);
          return;
        }
        domain.copyRow(C, A);
        domain.copyRow(D, B);
        domain.refine(JUMPS[op].code, is32 ? 1 : 0, A, B, C, D);
        expectMember(holds ? A : C, a.n);
        expectMember(holds ? B : D, other.n);
        expectConsistent(holds ? A : C);
        expectConsistent(holds ? B : D);
      }),
      runs,
    ),
  );

  it("containment and alignment", () =>
    fc.assert(
      fc.property(scalarWithMember, scalarWithMember, fc.integer({ min: -64, max: 64 }), (a, b, off) => {
        put(A, a.scalar);
        put(B, b.scalar);
        if (domain.scalarContains(A, B)) expectMember(A, b.n);
        domain.setConst(C, lo(a.n), hi(a.n));
        expect(domain.scalarContains(A, C)).toBe(1);
        domain.setUnknown(C);
        expect(domain.scalarContains(C, A)).toBe(1);
        for (const size of [1, 2, 4, 8]) {
          if (domain.isAligned(A, off, size)) expect(u64(a.n + BigInt(off)) % BigInt(size)).toBe(0n);
        }
      }),
      runs,
    ));
});

function constant(n: bigint): Scalar {
  return {
    value: n,
    mask: 0n,
    smin: s64(n),
    smax: s64(n),
    umin: n,
    umax: n,
    s32Min: s32(n),
    s32Max: s32(n),
    u32Min: u32(n),
    u32Max: u32(n),
  };
}

function swapped(n: bigint, bytes: number): bigint {
  let out = 0n;
  for (let i = 0; i < bytes; i++) out = (out << 8n) | ((n >> BigInt(8 * i)) & 0xffn);
  return out;
}

describe("exhaustive at small widths", () => {
  const ops = ["add", "sub", "mul", "or", "and", "xor"];

  /** All tnums of three bits, with their members. */
  function tnums(bits: number): { value: bigint; mask: bigint; members: bigint[] }[] {
    const all = [];
    for (let mask = 0; mask < 1 << bits; mask++) {
      for (let value = 0; value < 1 << bits; value++) {
        if (value & mask) continue;
        const members = Array.from({ length: 1 << bits }, (_, n) => n).filter((n) => (n & ~mask) === value);
        all.push({ value: BigInt(value), mask: BigInt(mask), members: members.map(BigInt) });
      }
    }
    return all;
  }

  it.each(ops)(
    "%s of all tnums of 3 bits: sound, and as narrow as a tnum can be where the kernel's is",
    (op) => {
      let wider = 0;
      for (const a of tnums(3)) {
        for (const b of tnums(3)) {
          put(A, { ...UNKNOWN, value: a.value, mask: a.mask });
          put(B, { ...UNKNOWN, value: b.value, mask: b.mask });
          domain.aluScalar(ALU[op].code, 1, A, B);
          const results = a.members.flatMap((x) => b.members.map((y) => concrete(op, true, x, y)));
          for (const n of results) expectMember(A, n);
          const varies = results.reduce((bits, n) => bits | (n ^ results[0]), 0n);
          if (readScalar(memory, A).mask !== varies) wider++;
        }
      }
      // Addition, subtraction and the bitwise operations are exact; multiplication is not.
      if (op === "mul") expect(wider).toBeLessThan(100);
      else expect(wider).toBe(0);
    },
  );

  const ranges: { lo: bigint; hi: bigint }[] = [];
  for (let least = -4n; least <= 4n; least++) {
    for (let most = least; most <= 4n; most++) ranges.push({ lo: least, hi: most });
  }

  it("all ranges within [-4, 4], signed, 64 and 32 bits: operations and jumps", () => {
    for (const a of ranges) {
      for (const b of ranges) {
        for (const is64 of [true, false]) {
          const fill = (row: number, r: { lo: bigint; hi: bigint }): void => {
            if (is64) put(row, { ...UNKNOWN, smin: r.lo, smax: r.hi });
            else put(row, { ...UNKNOWN, s32Min: r.lo, s32Max: r.hi });
          };
          for (const op of ops) {
            fill(A, a);
            fill(B, b);
            domain.aluScalar(ALU[op].code, is64 ? 1 : 0, A, B);
            for (let x = a.lo; x <= a.hi; x++) {
              for (let y = b.lo; y <= b.hi; y++) expectMember(A, concrete(op, is64, u64(x), u64(y)));
            }
          }
          for (const op of Object.keys(JUMPS)) {
            fill(A, a);
            fill(B, b);
            const decided = domain.isBranchTaken(JUMPS[op].code, is64 ? 0 : 1, A, B);
            domain.copyRow(C, A);
            domain.copyRow(D, B);
            if (decided < 0) domain.refine(JUMPS[op].code, is64 ? 0 : 1, A, B, C, D);
            for (let x = a.lo; x <= a.hi; x++) {
              for (let y = b.lo; y <= b.hi; y++) {
                const holds = outcome(op, !is64, u64(x), u64(y));
                if (decided >= 0) {
                  if (decided !== Number(holds)) expect.fail(`${op} ${x} ${y}: ${decided}`);
                  continue;
                }
                expectMember(holds ? A : C, u64(x));
                expectMember(holds ? B : D, u64(y));
              }
            }
          }
        }
      }
    }
  });
});

// Deductions that earlier versions of Linux or of the domain lacked. The first three are from 6.18.44's log.
describe.each([
  {
    name: "one member of the tnum is left in the range (v7.0)",
    start: { ...UNKNOWN, value: 0xf2034b00n, mask: 0x1en, umin: 0xf2034b0fn, umax: 0xf2034b11n },
    want: "0xf2034b10",
  },
  {
    name: "… its greatest",
    start: { ...UNKNOWN, mask: 0x40000n, umin: 92n, umax: 0x40000n },
    want: "0x40000",
  },
  {
    name: "… its least",
    start: { ...UNKNOWN, value: 0xfffffffe0003ffffn, mask: 0x100000000n, umin: 0xffffffff0003ffffn },
    want: "0xffffffff0003ffff",
  },
  {
    name: "a signed range over 0 meets the unsigned range on one side only (v6.17)",
    start: { ...UNKNOWN, smin: -100n, smax: 10n, umin: 5n, umax: 1000n },
    want: "scalar(smin=umin=smin32=umin32=5,smax=umax=smax32=umax32=10,var_off=(0x0; 0xf))",
  },
  {
    name: "… on the negative side",
    start: { ...UNKNOWN, smin: -10n, smax: 100n, umin: 1000n },
    want: "scalar(smin=smin32=-10,smax=smax32=-1,umin=0xfffffffffffffff6,umin32=0xfffffff6,var_off=(0xfffffffffffffff0; 0xf))",
  },
  {
    name: "a sign-extended number with a positive low half is that half",
    start: { ...UNKNOWN, smin: -(1n << 31n), smax: (1n << 31n) - 1n, s32Min: 3n },
    want: "scalar(smin=umin=smin32=umin32=3,smax=umax=umax32=0x7fffffff,var_off=(0x0; 0x7fffffff))",
  },
  {
    name: "the high halves are equal",
    start: { ...UNKNOWN, umin: 0x1_0000_000an, umax: 0x1_0000_000fn },
    want: "scalar(smin=umin=0x10000000a,smax=umax=0x10000000f,smin32=umin32=10,smax32=umax32=15,var_off=(0x100000008; 0x7))",
  },
])("$name", ({ start, want }) => {
  it("is deduced", () => {
    put(A, start);
    expect(formatScalar(memory, A)).toBe(want);
  });
});

describe("rows", () => {
  it("are copied, cleared and compared", () => {
    for (let word = 0; word < ROW_WORDS; word++) memory.i32[A + word] = word + 1;
    domain.copyRow(B, A);
    expect([...memory.i32.subarray(B, B + ROW_WORDS)]).toEqual([...memory.i32.subarray(A, A + ROW_WORDS)]);
    for (const words of [0, 1, 2, 3, ROW_WORDS]) expect(domain.equalWords(A, B, words)).toBe(1);
    for (let word = 0; word < ROW_WORDS; word++) {
      memory.i32[B + word] ^= 1;
      expect(domain.equalWords(A, B, ROW_WORDS)).toBe(0);
      expect(domain.equalWords(A, B, word)).toBe(1);
      expect(domain.equalWords(A, B, word + 1)).toBe(0);
      expect(domain.sameScalar(A, B)).toBe(word < 8 ? 1 : 0);
      memory.i32[B + word] ^= 1;
    }
    domain.copyWords(B, A + 2, 5);
    expect([...memory.i32.subarray(B, B + 6)]).toEqual([3, 4, 5, 6, 7, 6]);
    domain.zeroWords(B, 3);
    expect([...memory.i32.subarray(B, B + 5)]).toEqual([0, 0, 0, 6, 7]);
  });

  it("become scalars", () => {
    memory.i32.fill(7, A, A + ROW_WORDS);
    domain.markKnown(A, -2, 3);
    expect(readScalar(memory, A)).toEqual(constant(0x3_ffff_fffen));
    expect([TYPE, OFF, ID, PRECISE].map((word) => memory.i32[A + word])).toEqual([1, 0, 0, 7]);
    domain.markUnknown(A);
    expect(readScalar(memory, A)).toEqual(UNKNOWN);
    expect([TYPE, OFF, ID, PRECISE].map((word) => memory.i32[A + word])).toEqual([1, 0, 0, 0]);
    domain.setConst(A, 5, 0);
    domain.setUnbounded(A);
    expect(readScalar(memory, A)).toEqual({ ...UNKNOWN, value: 5n, mask: 0n });
    expect(domain.boundsViolation(A)).toBe(2);
    domain.setUnknown(A);
    domain.setConst32(A, -1);
    expect(formatScalar(memory, A)).toBe(
      "scalar(smin32=-1,smax32=-1,umin32=0xffffffff,var_off=(0xffffffff; 0xffffffff00000000))",
    );
  });

  it("take the range of a return value", () => {
    domain.setUnknown(A);
    domain.setSigned32(A, -4095, 512);
    expect(formatScalar(memory, A)).toBe("scalar(smin=smin32=-4095,smax=smax32=512)");
    domain.setSigned32(A, -9999, -1);
    expect(readScalar(memory, A)).toMatchObject({ smin: -4095n, smax: -1n, u32Min: 0xffff_f001n });
    domain.setUnknown(A);
    domain.setSigned64(A, 1, -1, 9, 0);
    expect(readScalar(memory, A)).toMatchObject({ smin: -0xffff_ffffn, smax: 9n });
  });

  it("say which rule is broken", () => {
    const of = (change: Partial<Scalar>): number => {
      writeScalar(memory, A, { ...constant(5n), ...change });
      return domain.boundsViolation(A);
    };
    expect(of({})).toBe(0);
    for (const change of [{ umin: 6n }, { smin: 6n }, { u32Min: 6n }, { s32Min: 6n }])
      expect(of(change)).toBe(1);
    for (const change of [{ umin: 4n }, { umax: 6n }, { smin: 4n }, { smax: 6n }]) expect(of(change)).toBe(2);
    for (const change of [{ u32Min: 4n }, { u32Max: 6n }, { s32Min: 4n }, { s32Max: 6n }])
      expect(of(change)).toBe(3);
    expect(of({ ...UNKNOWN, value: 5n, mask: 1n << 40n })).toBe(3);
  });

  it("know -1 or 0", () => {
    domain.setUnknown(A);
    expect(domain.minusOneOrZero(A)).toBe(0);
    domain.setConst(B, 31, 0);
    domain.copyRow(C, A);
    domain.aluScalar(ALU.arsh.code, 0, C, B);
    expect(domain.minusOneOrZero(C)).toBe(32);
    domain.setConst(B, 63, 0);
    domain.aluScalar(ALU.arsh.code, 1, A, B);
    expect(domain.minusOneOrZero(A)).toBe(64);
  });

  it("meet", () => {
    put(A, { ...UNKNOWN, umin: 3n, umax: 20n });
    put(B, { ...UNKNOWN, mask: 0xcn, umax: 12n });
    domain.intersect(A, B);
    expect(domain.sameScalar(A, B)).toBe(1);
    expect(formatScalar(memory, A)).toBe(
      "scalar(smin=umin=smin32=umin32=3,smax=umax=smax32=umax32=12,var_off=(0x0; 0xc))",
    );
  });
});
