import { BpfError } from "../base/index.ts";
import type { InsnTable } from "./insn-table.ts";
import { SLOT_BYTES } from "./opcode.ts";

/** Byte order of the machine a program was compiled for. In big-endian programs `dst` is the high nibble. */
export type ByteOrder = "little" | "big";

/** One slot's fields; see {@link InsnTable} for ranges and units. */
export interface Insn {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

/**
 * Columns of the instructions in `bytes`. Any opcode and any field decodes; `checkStructure` judges them.
 * @throws BpfError `isa/bad-length` when the length is no multiple of 8.
 */
export function decode(bytes: Uint8Array, byteOrder: ByteOrder = "little"): InsnTable {
  if (bytes.length % SLOT_BYTES !== 0) {
    throw new BpfError("isa/bad-length", `${bytes.length} bytes are not a whole number of instructions`, {
      offset: bytes.length - (bytes.length % SLOT_BYTES),
      hint: "an instruction is 8 bytes; check that the code was not cut off",
    });
  }
  const insns = allocate(bytes.length / SLOT_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = byteOrder === "little";
  for (let slot = 0, at = 0; slot < insns.length; slot++, at += SLOT_BYTES) {
    const regs = bytes[at + 1];
    insns.opcode[slot] = bytes[at];
    insns.dst[slot] = little ? regs & 0xf : regs >> 4;
    insns.src[slot] = little ? regs >> 4 : regs & 0xf;
    insns.off[slot] = view.getInt16(at + 2, little);
    insns.imm[slot] = view.getInt32(at + 4, little);
  }
  return insns;
}

/** The bytes of a program: the inverse of {@link decode}. */
export function encode(insns: InsnTable, byteOrder: ByteOrder = "little"): Uint8Array {
  const bytes = new Uint8Array(insns.length * SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  const little = byteOrder === "little";
  for (let slot = 0, at = 0; slot < insns.length; slot++, at += SLOT_BYTES) {
    const dst = insns.dst[slot] & 0xf;
    const src = insns.src[slot] & 0xf;
    bytes[at] = insns.opcode[slot];
    bytes[at + 1] = little ? (src << 4) | dst : (dst << 4) | src;
    view.setInt16(at + 2, insns.off[slot], little);
    view.setInt32(at + 4, insns.imm[slot], little);
  }
  return bytes;
}

/** The columns of a list of instructions, slot by slot (two entries for an `lddw`). */
export function tableOf(list: readonly Insn[]): InsnTable {
  const insns = allocate(list.length);
  for (let slot = 0; slot < list.length; slot++) {
    insns.opcode[slot] = list[slot].opcode;
    insns.dst[slot] = list[slot].dst;
    insns.src[slot] = list[slot].src;
    insns.off[slot] = list[slot].off;
    insns.imm[slot] = list[slot].imm;
  }
  return insns;
}

/**
 * One slot as an object; for tools and tests, not for hot code.
 * @throws BpfError `isa/bad-slot` when there is no such slot.
 */
export function insnAt(insns: InsnTable, slot: number): Insn {
  if (!Number.isInteger(slot) || slot < 0 || slot >= insns.length) {
    throw new BpfError("isa/bad-slot", `slot ${slot} is outside the program's ${insns.length} slots`);
  }
  return {
    opcode: insns.opcode[slot],
    dst: insns.dst[slot],
    src: insns.src[slot],
    off: insns.off[slot],
    imm: insns.imm[slot],
  };
}

function allocate(length: number): InsnTable {
  return {
    length,
    opcode: new Uint8Array(length),
    dst: new Uint8Array(length),
    src: new Uint8Array(length),
    off: new Int16Array(length),
    imm: new Int32Array(length),
  };
}
