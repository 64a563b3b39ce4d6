import { describe, expect, it } from "vitest";
import { fromHex } from "../base/index.ts";
import { assemble } from "./assemble.ts";
import { decode, type Insn, insnAt, tableOf } from "./decode.ts";
import { checkStructure, isKnownOpcode } from "./structure.ts";

const messages = (text: string, patch: (Partial<Insn> & { slot: number })[] = []): string[] => {
  const { ok, bytes } = assemble(text);
  expect(ok).toBe(true);
  const insns = decode(bytes);
  const list = Array.from({ length: insns.length }, (_, slot) => insnAt(insns, slot));
  for (const { slot, ...fields } of patch) list[slot] = { ...list[slot], ...fields };
  return checkStructure(tableOf(list)).map((found) => `${found.insn}: ${found.message}`);
};

describe.each([
  { name: "the smallest program", text: "r0 = 0; exit" },
  { name: "a jump over a wide load", text: "if r1 == 0 goto a; r0 = 1 ll; a: r0 = 0; exit" },
  { name: "a function that ends in a jump back", text: "a: r0 = 0; exit; goto a" },
  { name: "gotol at the end", text: "a: exit; gotol a" },
  { name: "a local call", text: "call f; exit; f: r0 = 0; exit" },
  {
    name: "every width of sign extension",
    text: "r1 = (s8)r1; r1 = (s16)r1; r1 = (s32)r1; w1 = (s8)w1; w1 = (s16)w1; exit",
  },
  {
    name: "atomics",
    text: "w1 = load_acquire((u8 *)(r2 + 0)); store_release((u16 *)(r10 - 8), w1); lock *(u64 *)(r10 - 8) += r10; exit",
  },
  { name: "packet loads", text: "r0 = *(u8 *)skb[4]; r0 = *(u32 *)skb[r1 + 4]; exit" },
  { name: "a shift too far and a division by zero, which have a meaning", text: "r1 <<= 64; r1 /= 0; exit" },
  { name: "may_goto", text: "a: may_goto b; goto a; b: exit" },
])("checkStructure accepts $name", ({ text }) => {
  it("without findings", () => expect(messages(text)).toEqual([]));
});

describe.each([
  {
    name: "unknown opcode",
    text: "r0 = 0; exit",
    patch: [{ slot: 0, opcode: 0xff }],
    want: ["0: unknown opcode ff"],
  },
  { name: "callx", text: "callx r1; exit", want: ["0: unknown opcode 8d"] },
  {
    name: "64-bit sign-extending load",
    text: "r0 = 0; exit",
    patch: [{ slot: 0, opcode: 0x99 }],
    want: ["0: unknown opcode 99"],
  },
  {
    name: "jump before the program",
    text: "goto -2; exit",
    want: ["0: jump out of range from insn 0 to -1"],
  },
  {
    name: "jump after the program",
    text: "if r1 == 0 goto +1; exit",
    want: ["0: jump out of range from insn 0 to 2"],
  },
  {
    name: "gotol after the program",
    text: "gotol +70000; exit",
    want: ["0: jump out of range from insn 0 to 70001"],
  },
  {
    name: "may_goto after the program",
    text: "may_goto +7; exit",
    want: ["0: jump out of range from insn 0 to 8"],
  },
  {
    name: "jump into another function",
    text: "call f; goto f; exit; f: exit",
    want: ["1: jump out of range from insn 1 to 3"],
  },
  {
    name: "jump into a wide load",
    text: "goto +1; r0 = 1 ll; exit",
    want: ["0: jump into the middle of ldimm64 insn 1"],
  },
  {
    name: "call into a wide load",
    text: "call +1; r0 = 1 ll; exit",
    want: ["1: last insn is not an exit or jmp", "0: jump into the middle of ldimm64 insn 1"],
  },
  { name: "call out of the program", text: "call +7; exit", want: ["0: call to invalid destination"] },
  {
    name: "function address out of the program",
    text: "ld_pseudo r1, 4, -7; exit",
    want: ["0: call to invalid destination"],
  },
  { name: "no exit", text: "exit; r0 = 0", want: ["1: last insn is not an exit or jmp"] },
  {
    name: "function without exit",
    text: "call f; f: r0 = 0; exit; ",
    want: ["0: last insn is not an exit or jmp"],
  },
  {
    name: "wide load cut off",
    text: "r0 = 0",
    patch: [{ slot: 0, opcode: 0x18 }],
    want: ["0: last insn is not an exit or jmp", "0: invalid bpf_ld_imm64 insn"],
  },
  {
    name: "wide load with a used second slot",
    text: "r0 = 1 ll; exit",
    patch: [{ slot: 1, dst: 1 }],
    want: ["0: invalid bpf_ld_imm64 insn"],
  },
  {
    name: "wide load whose second slot jumps away",
    text: "r0 = 1 ll; exit",
    patch: [{ slot: 1, opcode: 0x3d, off: 2 }],
    want: ["1: jump out of range from insn 1 to 4", "0: invalid bpf_ld_imm64 insn"],
  },
  {
    name: "wide load of an unknown kind",
    text: "ld_pseudo r1, 7, 0; exit",
    want: ["0: unrecognized bpf_ld_imm64 insn"],
  },
  {
    name: "map address with an offset",
    text: "ld_pseudo r1, 1, 3, 4; exit",
    want: ["0: unrecognized bpf_ld_imm64 insn"],
  },
  {
    name: "wide load with off",
    text: "r0 = 1 ll; exit",
    patch: [{ slot: 0, off: 1 }],
    want: ["0: BPF_LD_IMM64 uses reserved fields"],
  },
  { name: "register 11", text: "r0 = r11; exit", want: ["0: R11 is invalid"] },
  {
    name: "register 15 as address",
    text: "*(u8 *)(r1 + 0) = 1; exit",
    patch: [{ slot: 0, dst: 15 }],
    want: ["0: R15 is invalid"],
  },
  { name: "write to r10", text: "r10 = 0; exit", want: ["0: frame pointer is read only"] },
  { name: "load into r10", text: "r10 = *(u64 *)(r1 + 0); exit", want: ["0: frame pointer is read only"] },
  { name: "wide load into r10", text: "r10 = 0 ll; exit", want: ["0: frame pointer is read only"] },
  {
    name: "fetch into r10",
    text: "r10 = xchg_64(r1 + 0, r10); exit",
    want: ["0: frame pointer is read only"],
  },
  {
    name: "acquire into r10",
    text: "r10 = load_acquire((u64 *)(r1 + 0)); exit",
    want: ["0: frame pointer is read only"],
  },
  {
    name: "BPF_LDX",
    text: "r0 = *(u8 *)(r1 + 0); exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_LDX uses reserved fields"],
  },
  {
    name: "BPF_STX",
    text: "*(u8 *)(r1 + 0) = r0; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_STX uses reserved fields"],
  },
  {
    name: "BPF_ST",
    text: "*(u8 *)(r1 + 0) = 0; exit",
    patch: [{ slot: 0, src: 1 }],
    want: ["0: BPF_ST uses reserved fields"],
  },
  {
    name: "BPF_ALU src",
    text: "r0 += 1; exit",
    patch: [{ slot: 0, src: 1 }],
    want: ["0: BPF_ALU uses reserved fields"],
  },
  {
    name: "BPF_ALU imm",
    text: "r0 += r1; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_ALU uses reserved fields"],
  },
  {
    name: "BPF_ALU off",
    text: "r0 += r1; exit",
    patch: [{ slot: 0, off: 1 }],
    want: ["0: BPF_ALU uses reserved fields"],
  },
  {
    name: "signed division's off",
    text: "r0 s/= r1; exit",
    patch: [{ slot: 0, off: 2 }],
    want: ["0: BPF_ALU uses reserved fields"],
  },
  {
    name: "BPF_NEG",
    text: "r0 = -r0; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_NEG uses reserved fields"],
  },
  {
    name: "BPF_END",
    text: "r0 = le16 r0; exit",
    patch: [{ slot: 0, imm: 8 }],
    want: ["0: BPF_END uses reserved fields"],
  },
  {
    name: "BPF_MOV src",
    text: "r0 = 1; exit",
    patch: [{ slot: 0, src: 1 }],
    want: ["0: BPF_MOV uses reserved fields"],
  },
  {
    name: "BPF_MOV 32 bits from 32",
    text: "w0 = w1; exit",
    patch: [{ slot: 0, off: 32 }],
    want: ["0: BPF_MOV uses reserved fields"],
  },
  {
    name: "cast between other spaces",
    text: "r1 = addr_space_cast(r1, 0, 2); exit",
    want: ["0: addr_space_cast insn can only convert between address space 1 and 0"],
  },
  {
    name: "BPF_CALL off",
    text: "call 1; exit",
    patch: [{ slot: 0, off: 1 }],
    want: ["0: BPF_CALL uses reserved fields"],
  },
  {
    name: "BPF_CALL src",
    text: "call 1; exit",
    patch: [{ slot: 0, src: 3 }],
    want: ["0: BPF_CALL uses reserved fields"],
  },
  {
    name: "BPF_JA",
    text: "goto +0; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_JA uses reserved fields"],
  },
  {
    name: "gotol's off",
    text: "gotol +0; exit",
    patch: [{ slot: 0, off: 1 }],
    want: ["0: BPF_JA uses reserved fields"],
  },
  {
    name: "BPF_EXIT",
    text: "exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_EXIT uses reserved fields"],
  },
  {
    name: "BPF_JMP",
    text: "if r1 == r2 goto +0; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: BPF_JMP/JMP32 uses reserved fields"],
  },
  {
    name: "BPF_JMP32",
    text: "if w1 == 2 goto +0; exit",
    patch: [{ slot: 0, src: 1 }],
    want: ["0: BPF_JMP/JMP32 uses reserved fields"],
  },
  {
    name: "may_goto's imm",
    text: "may_goto +0; exit",
    patch: [{ slot: 0, imm: 1 }],
    want: ["0: invalid may_goto imm 1"],
  },
  {
    name: "LD_ABS",
    text: "r0 = *(u8 *)skb[0]; exit",
    patch: [{ slot: 0, src: 1 }],
    want: ["0: BPF_LD_[ABS|IND] uses reserved fields"],
  },
  {
    name: "atomic opcode",
    text: "lock *(u64 *)(r1 + 0) += r2; exit",
    patch: [{ slot: 0, imm: 0x10 }],
    want: ["0: BPF_ATOMIC uses invalid atomic opcode 10"],
  },
  {
    name: "atomic size",
    text: "store_release((u8 *)(r1 + 0), w2); exit",
    patch: [{ slot: 0, imm: 0 }],
    want: ["0: invalid atomic operand size"],
  },
])("checkStructure refuses: $name", ({ text, patch, want }) => {
  it("in the kernel's words", () => expect(messages(text, patch)).toEqual(want));
});

it("accepts callx where it is asked to, with the other fields 0", () => {
  const callx = { opcode: 0x8d, dst: 1, src: 0, off: 0, imm: 0 };
  const exit = { opcode: 0x95, dst: 0, src: 0, off: 0, imm: 0 };
  expect(checkStructure(tableOf([callx, exit]), { callx: true })).toEqual([]);
  const found = checkStructure(tableOf([{ ...callx, imm: 2 }, exit]), { callx: true });
  expect(found).toMatchObject([{ message: "BPF_CALL uses reserved fields", insn: 0 }]);
});

it("refuses the empty program", () => {
  expect(checkStructure(decode(new Uint8Array(0)))).toMatchObject([{ code: "isa/empty" }]);
});

it("gives each finding a hint", () => {
  const found = checkStructure(decode(fromHex("1f ff 01 00 01 00 00 00 05 11 ff 7f 01 00 00 00")));
  expect(found.length).toBeGreaterThan(2);
  for (const { hint } of found) expect(hint).toBeTypeOf("string");
});

it("knows the 128 opcodes of Linux 6.18", () => {
  const known = Array.from({ length: 256 }, (_, opcode) => opcode).filter(isKnownOpcode);
  expect(known.length).toBe(128);
});
