/** Facts about one arithmetic operation. */
export interface AluRow {
  /** High nibble of the opcode byte, in place (RFC 9669 §4.1). */
  readonly code: number;
  /** How LLVM's assembler spells it. */
  readonly sym: string;
  /** `off` is 1 to tell this operation from its unsigned twin. */
  readonly signed?: true;
  /** First kernel that runs it. */
  readonly since: string;
}

/**
 * Arithmetic with two operands, in ALU and ALU64 alike: `dst = dst op (src or imm)`.
 * `neg`, `mov` with sign extension and byte swaps have tables of their own shape below.
 */
export const ALU_OPS = {
  add: { code: 0x00, sym: "+=", since: "3.18" },
  sub: { code: 0x10, sym: "-=", since: "3.18" },
  mul: { code: 0x20, sym: "*=", since: "3.18" },
  div: { code: 0x30, sym: "/=", since: "3.18" },
  or: { code: 0x40, sym: "|=", since: "3.18" },
  and: { code: 0x50, sym: "&=", since: "3.18" },
  lsh: { code: 0x60, sym: "<<=", since: "3.18" },
  rsh: { code: 0x70, sym: ">>=", since: "3.18" },
  mod: { code: 0x90, sym: "%=", since: "3.18" },
  xor: { code: 0xa0, sym: "^=", since: "3.18" },
  mov: { code: 0xb0, sym: "=", since: "3.18" },
  arsh: { code: 0xc0, sym: "s>>=", since: "3.18" },
  sdiv: { code: 0x30, sym: "s/=", signed: true, since: "6.6" },
  smod: { code: 0x90, sym: "s%=", signed: true, since: "6.6" },
} as const satisfies Record<string, AluRow>;
/** Name of a two-operand arithmetic operation. */
export type AluOp = keyof typeof ALU_OPS;

/** Code of `dst = -dst` (`BPF_NEG`), immediate form only. */
export const ALU_NEG = 0x80;
/** Code of the byte swaps (`BPF_END`); `imm` is the width. */
export const ALU_END = 0xd0;

/** Byte swaps: `dst = swap(dst)` on the low `imm` bits (16, 32 or 64), zeroing the rest. */
export const SWAP_OPS = {
  /** Host to little endian. */
  le: { opcode: 0xd4, since: "3.18" },
  /** Host to big endian. */
  be: { opcode: 0xdc, since: "3.18" },
  /** Always swaps. */
  bswap: { opcode: 0xd7, since: "6.6" },
} as const satisfies Record<string, { opcode: number; since: string }>;
/** Name of a byte swap. */
export type SwapOp = keyof typeof SWAP_OPS;
/** Widths a byte swap takes, in bits. */
export const SWAP_WIDTHS: readonly number[] = [16, 32, 64];

/** `off` of a register `mov` that sign-extends the low 8, 16 or (64-bit class only) 32 bits. Since Linux 6.6. */
export const MOVSX_WIDTHS: readonly number[] = [8, 16, 32];
/** `off` of a 64-bit register `mov` that casts between address spaces: `imm` = to << 16 | from. Since Linux 6.9. */
export const ADDR_SPACE_CAST = 1;
