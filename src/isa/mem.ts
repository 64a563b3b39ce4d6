import { Size } from "./opcode.ts";

/** Facts about one access size. */
export interface SizeRow {
  /** The opcode's size bits, in place. */
  readonly bits: Size;
  readonly bytes: 1 | 2 | 4 | 8;
  /** Type name in LLVM's assembler; with a leading `s` instead for sign-extending loads. */
  readonly type: string;
}

/** The access sizes of loads and stores, RFC 9669 §5. */
export const SIZES = {
  B: { bits: Size.B, bytes: 1, type: "u8" },
  H: { bits: Size.H, bytes: 2, type: "u16" },
  W: { bits: Size.W, bytes: 4, type: "u32" },
  DW: { bits: Size.DW, bytes: 8, type: "u64" },
} as const satisfies Record<keyof typeof Size, SizeRow>;

/** Row of the size bits of a load or store opcode. */
export function sizeRow(opcode: number): SizeRow {
  return BY_BITS[(opcode >> 3) & 3];
}

// Index = size bits >> 3.
const BY_BITS: readonly SizeRow[] = [SIZES.W, SIZES.H, SIZES.B, SIZES.DW];
