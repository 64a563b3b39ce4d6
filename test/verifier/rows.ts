// One table: small programs in assembly, each about one rule of the verifier. What Linux says of them is recorded in
// fixtures/verifier/answers.json (rows.test.ts).
import type { ProgramTypeName } from "../../src/abi/index.ts";
import type { VerifierMap } from "../../src/verifier/index.ts";

/** A program of the table. */
export interface AssemblyRow {
  readonly name: string;
  /** LLVM's syntax; `ld_pseudo rX, 0x1, N` loads map number N of {@link ROW_MAPS}. */
  readonly code: string;
  /** Default: socket filter. */
  readonly type?: ProgramTypeName;
}

const map = (name: string, rest: Omit<VerifierMap, "name" | "flags">): VerifierMap => ({
  name,
  flags: 0,
  ...rest,
});

/** The maps that rows refer to by number. */
export const ROW_MAPS: readonly VerifierMap[] = [
  map("array", { type: "BPF_MAP_TYPE_ARRAY", keySize: 4, valueSize: 48, maxEntries: 4 }),
  map("hash", { type: "BPF_MAP_TYPE_HASH", keySize: 8, valueSize: 16, maxEntries: 8 }),
];

const XDP = "BPF_PROG_TYPE_XDP" as const;
const TC = "BPF_PROG_TYPE_SCHED_CLS" as const;

/** r0 = value of `array` at a key that is not known, r6 = context. */
const LOOKUP = `
  r6 = r1
  r1 = *(u32 *)(r6 + 0x0)
  *(u32 *)(r10 - 0x4) = r1
  r2 = r10
  r2 += -0x4
  ld_pseudo r1, 0x1, 0x0
  call 0x1`;

/** By rule. */
export const ROWS: readonly AssemblyRow[] = [
  { name: "returns a constant", code: "r0 = 0x0\nexit" },
  { name: "no exit", code: "r0 = 0x0" },
  { name: "r0 never set", code: "exit" },
  { name: "unreachable code", code: "r0 = 0x0\nexit\nr0 = 0x1\nexit" },
  { name: "jump out of the program", code: "r0 = 0x0\nif r0 == 0x0 goto +0x5\nexit" },
  { name: "r5 read after a call", code: "r5 = 0x1\ncall 0x5\nr0 = r5\nexit" },
  { name: "r6 kept over a call", code: "r6 = 0x1\ncall 0x5\nr0 = r6\nexit" },
  { name: "write to the frame pointer", code: "r10 = 0x0\nr0 = 0x0\nexit" },
  { name: "division by constant zero", code: "r0 = 0x1\nr0 /= 0x0\nexit" },
  { name: "division by unknown", code: "r2 = *(u32 *)(r1 + 0x0)\nr0 = 0x8\nr0 /= r2\nexit" },
  { name: "shift too far", code: "r0 = 0x1\nr0 <<= 0x40\nexit" },
  { name: "32-bit shift too far", code: "w0 = 0x1\nw0 <<= 0x20\nexit" },
  { name: "endless loop", code: "r0 = 0x0\ngoto -0x1\nexit" },
  { name: "loop that ends", code: "r0 = 0x0\nr0 += 0x1\nif r0 < 0x64 goto -0x2\nexit" },
  { name: "loop on unknown data", code: "r0 = *(u32 *)(r1 + 0x0)\nr0 += 0x1\nif r0 != 0x5 goto -0x2\nexit" },
  // -- stack
  { name: "stack read before write", code: "r2 = r10\nr3 = *(u64 *)(r2 - 0x200)\nr0 = 0x0\nexit" },
  { name: "stack write below the frame", code: "*(u64 *)(r10 - 0x208) = 0x0\nr0 = 0x0\nexit" },
  { name: "stack write above the frame", code: "*(u64 *)(r10 + 0x0) = 0x0\nr0 = 0x0\nexit" },
  { name: "misaligned stack write", code: "*(u64 *)(r10 - 0xc) = 0x0\nr0 = 0x0\nexit" },
  {
    name: "spill and fill of a pointer",
    code: "*(u64 *)(r10 - 0x8) = r1\nr2 = *(u64 *)(r10 - 0x8)\nr0 = *(u32 *)(r2 + 0x0)\nexit",
  },
  {
    name: "half of a spilled pointer overwritten",
    code: "*(u64 *)(r10 - 0x8) = r1\n*(u32 *)(r10 - 0x8) = 0x0\nr2 = *(u64 *)(r10 - 0x8)\nr0 = *(u32 *)(r2 + 0x0)\nexit",
  },
  {
    name: "half of a number filled",
    code: "r2 = 0x1234\n*(u64 *)(r10 - 0x8) = r2\nw0 = *(u32 *)(r10 - 0x4)\nexit",
  },
  {
    name: "stack at a bounded offset",
    code: "*(u64 *)(r10 - 0x8) = 0x0\n*(u64 *)(r10 - 0x10) = 0x0\nr2 = *(u32 *)(r1 + 0x0)\nr2 &= 0x7\nr3 = r10\nr3 -= r2\nr0 = *(u8 *)(r3 - 0x1)\nexit",
  },
  {
    name: "stack at an unbounded offset",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr3 = r10\nr3 += r2\nr0 = *(u8 *)(r3 - 0x8)\nexit",
  },
  // -- context
  { name: "context beyond its end", code: "r0 = *(u32 *)(r1 + 0x400)\nexit" },
  { name: "context field written that is read-only", code: "*(u32 *)(r1 + 0x0) = 0x1\nr0 = 0x0\nexit" },
  { name: "context misaligned", code: "r0 = *(u32 *)(r1 + 0x1)\nexit" },
  { name: "context pointer moved by a constant", code: "r1 += 0x4\nr0 = *(u32 *)(r1 + 0x0)\nexit" },
  {
    name: "context pointer moved by a variable",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr2 &= 0x4\nr1 += r2\nr0 = *(u32 *)(r1 + 0x0)\nexit",
  },
  {
    name: "context stored into itself by an atomic",
    code: "r2 = 0x1\nlock *(u32 *)(r1 + 0x30) += w2\nr0 = 0x0\nexit",
  },
  // -- map values
  { name: "map value without null check", code: `${LOOKUP}\nr0 = *(u64 *)(r0 + 0x0)\nexit` },
  {
    name: "map value with null check",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x1\nr0 = *(u64 *)(r0 + 0x28)\nexit`,
  },
  {
    name: "map value beyond its end",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x1\nr0 = *(u64 *)(r0 + 0x29)\nexit`,
  },
  {
    name: "map value before its start",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x1\nr0 = *(u8 *)(r0 - 0x1)\nexit`,
  },
  {
    name: "map value at a masked offset",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nr1 = *(u32 *)(r6 + 0x0)\nr1 &= 0x1f\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "map value at an offset masked too widely",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nr1 = *(u32 *)(r6 + 0x0)\nr1 &= 0x3f\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "map value at an offset compared unsigned",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nr1 = *(u32 *)(r6 + 0x0)\nif r1 > 0x28 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "map value at an offset compared signed",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x6\nr1 = *(u32 *)(r6 + 0x0)\nr1 <<= 0x20\nr1 s>>= 0x20\nif r1 s> 0x28 goto +0x2\nr0 += r1\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "map value plus an unbounded number",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x3\nr1 = *(u64 *)(r6 + 0x30)\nr0 += r1\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
    type: TC,
  },
  {
    name: "map value multiplied",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x2\nr0 *= 0x2\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "arithmetic before the null check",
    code: `${LOOKUP}\nr0 += 0x8\nif r0 == 0x0 goto +0x1\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "null check of a copy",
    code: `${LOOKUP}\nr7 = r0\nif r7 == 0x0 goto +0x1\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "key not initialised",
    code: "r2 = r10\nr2 += -0x8\nld_pseudo r1, 0x1, 0x1\ncall 0x1\nr0 = 0x0\nexit",
    type: "BPF_PROG_TYPE_CGROUP_SKB",
  },
  {
    name: "key too short on the stack",
    code: "*(u32 *)(r10 - 0x4) = 0x0\nr2 = r10\nr2 += -0x4\nld_pseudo r1, 0x1, 0x1\ncall 0x1\nr0 = 0x0\nexit",
  },
  { name: "a number in place of a map", code: "r1 = 0x0\nr2 = r10\nr2 += -0x8\ncall 0x1\nr0 = 0x0\nexit" },
  { name: "map pointer read", code: "ld_pseudo r1, 0x1, 0x0\nr0 = *(u32 *)(r1 + 0x0)\nexit" },
  { name: "map pointer written", code: "ld_pseudo r1, 0x1, 0x0\n*(u64 *)(r1 + 0x0) = 0x0\nr0 = 0x0\nexit" },
  {
    name: "atomic add in a map value",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x2\nr1 = 0x1\nlock *(u64 *)(r0 + 0x8) += r1\nr0 = 0x0\nexit`,
  },
  {
    name: "misaligned atomic in a map value",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x2\nr1 = 0x1\nlock *(u64 *)(r0 + 0x4) += r1\nr0 = 0x0\nexit`,
  },
  // -- packets
  { name: "packet unchecked", code: "r2 = *(u32 *)(r1 + 0x0)\nr0 = *(u8 *)(r2 + 0x0)\nexit", type: XDP },
  {
    name: "packet checked",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr3 = *(u32 *)(r1 + 0x4)\nr4 = r2\nr4 += 0x8\nr0 = 0x1\nif r4 > r3 goto +0x1\nr0 = *(u64 *)(r2 + 0x0)\nr0 &= 0x1\nexit",
    type: XDP,
  },
  {
    name: "packet checked on the wrong branch",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr3 = *(u32 *)(r1 + 0x4)\nr4 = r2\nr4 += 0x8\nr0 = 0x1\nif r4 <= r3 goto +0x1\nr0 = *(u64 *)(r2 + 0x0)\nexit",
    type: XDP,
  },
  { name: "packet end moved", code: "r2 = *(u32 *)(r1 + 0x4)\nr2 += 0x1\nr0 = 0x0\nexit", type: XDP },
  { name: "packet end read", code: "r2 = *(u32 *)(r1 + 0x4)\nr0 = *(u8 *)(r2 + 0x0)\nexit", type: XDP },
  {
    name: "packet at a variable offset, checked",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr3 = *(u32 *)(r1 + 0x4)\nr5 = *(u32 *)(r1 + 0xc)\nr5 &= 0xff\nr2 += r5\nr4 = r2\nr4 += 0x4\nr0 = 0x1\nif r4 > r3 goto +0x1\nr0 = *(u32 *)(r2 + 0x0)\nr0 &= 0x1\nexit",
    type: XDP,
  },
  {
    name: "packet moved by an unbounded number",
    code: "r2 = *(u32 *)(r1 + 0x0)\nr5 = *(u32 *)(r1 + 0xc)\nr5 <<= 0x20\nr2 += r5\nr0 = 0x0\nexit",
    type: XDP,
  },
  // -- helpers and calls
  { name: "helper unknown", code: "call 0x3e7\nr0 = 0x0\nexit" },
  { name: "helper of another type", code: "call 0x23\nr0 = 0x0\nexit" },
  {
    name: "size argument may be negative",
    code: "r6 = r1\n*(u64 *)(r10 - 0x8) = 0x0\nr4 = *(u64 *)(r6 + 0x30)\nr3 = r10\nr3 += -0x8\nr2 = 0x0\nr1 = r6\ncall 0x1a\nr0 = 0x0\nexit",
    type: TC,
  },
  {
    name: "size argument bounded",
    code: "r6 = r1\nr4 = *(u32 *)(r6 + 0x0)\nr4 &= 0x7\nr4 += 0x1\nr3 = r10\nr3 += -0x8\nr2 = 0x0\nr1 = r6\ncall 0x1a\nr0 = 0x0\nexit",
    type: TC,
  },
  {
    name: "size argument larger than the stack buffer",
    code: "r6 = r1\nr4 = *(u32 *)(r6 + 0x0)\nr4 &= 0xf\nr4 += 0x1\nr3 = r10\nr3 += -0x8\nr2 = 0x0\nr1 = r6\ncall 0x1a\nr0 = 0x0\nexit",
    type: TC,
  },
  { name: "local call", code: "r1 = 0x5\ncall 0x1 <local>\nexit\nr0 = r1\nexit" },
  { name: "local call leaves its r6", code: "call 0x2 <local>\nr0 = r6\nexit\nr6 = 0x1\nr0 = 0x0\nexit" },
  { name: "local call without result", code: "call 0x1 <local>\nexit\nexit" },
  {
    name: "callee returns its stack",
    code: "call 0x2 <local>\nr0 = *(u8 *)(r0 - 0x1)\nexit\nr0 = r10\nexit",
  },
  {
    name: "callee writes the caller's stack",
    code: "r1 = r10\nr1 += -0x8\ncall 0x2 <local>\nr0 = *(u64 *)(r10 - 0x8)\nexit\n*(u64 *)(r1 + 0x0) = 0x0\nr0 = 0x0\nexit",
  },
  {
    name: "callee writes beyond the caller's stack",
    code: "r1 = r10\ncall 0x2 <local>\nr0 = 0x0\nexit\n*(u64 *)(r1 + 0x0) = 0x0\nr0 = 0x0\nexit",
  },
  { name: "recursion", code: "call 0x1 <local>\nexit\ncall -0x1 <local>\nexit" },
  { name: "call into the middle of nothing", code: "call 0x9 <local>\nexit" },
  // -- ranges
  {
    name: "32-bit bounds carried to 64 bits",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nw1 = *(u32 *)(r6 + 0x0)\nif w1 > 0x28 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "64-bit bounds lost to 32-bit check",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nr1 = *(u64 *)(r6 + 0x30)\nif w1 > 0x28 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
    type: TC,
  },
  {
    name: "equality bounds both",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x6\nr1 = *(u64 *)(r6 + 0x30)\nr2 = *(u32 *)(r6 + 0x0)\nr2 &= 0x1f\nif r1 != r2 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
    type: TC,
  },
  {
    name: "linked copies share a check",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x5\nr1 = *(u32 *)(r6 + 0x0)\nr2 = r1\nif r2 > 0x28 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "linked copies at a distance share a check",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x6\nr1 = *(u32 *)(r6 + 0x0)\nr2 = r1\nr2 += 0x8\nif r2 > 0x28 goto +0x2\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "sign extension of a byte",
    code: `${LOOKUP}\nif r0 == 0x0 goto +0x4\nr1 = *(s8 *)(r6 + 0x0)\nr1 &= 0x27\nr0 += r1\nr0 = *(u64 *)(r0 + 0x0)\nexit`,
  },
  {
    name: "dead branch with a wrong access",
    code: "r0 = 0x1\nif r0 == 0x1 goto +0x1\nr0 = *(u64 *)(r0 + 0x0)\nexit",
  },
  { name: "a number read through", code: "r2 = 0x1000\nr0 = *(u64 *)(r2 + 0x0)\nexit" },
  { name: "pointer difference", code: "r2 = r10\nr2 -= r10\nr0 = r2\nexit" },
  { name: "pointer times pointer", code: "r2 = r10\nr2 *= r1\nr0 = 0x0\nexit" },
  { name: "half of a pointer", code: "w2 = w10\nr0 = 0x0\nexit" },
  { name: "pointer returned", code: "r0 = r10\nexit", type: TC },
  { name: "xdp may return anything", code: "r0 = 0x1234\nexit", type: XDP },
  { name: "cgroup/skb may return 0 to 3", code: "r0 = 0x4\nexit", type: "BPF_PROG_TYPE_CGROUP_SKB" },
];
