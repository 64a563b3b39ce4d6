import {
  accessBytes,
  Class,
  classOf,
  FRAME_POINTER,
  type InsnTable,
  isAtomic,
  Opcode,
  slotsOf,
  usesSourceRegister,
} from "../isa/index.ts";
import type { Node } from "./cfg.ts";

/**
 * Stack bytes of a function that can live in locals: offset from r10 → bytes. Only where r10 is used for nothing but
 * loads and stores, so that nobody else can point into the frame, and where all accesses that touch the bytes are equal.
 */
export function localSlots(insns: InsnTable, nodes: readonly Node[]): ReadonlyMap<number, 1 | 2 | 4 | 8> {
  const found = new Map<number, 1 | 2 | 4 | 8>();
  const mixed = new Set<number>();
  /** Offset of the access that each byte belongs to. */
  const owner = new Map<number, number>();
  for (const node of nodes) {
    for (let slot = node.start; slot < node.end; slot += slotsOf(insns, slot)) {
      const use = useOf(insns, slot);
      if (use === "none") continue;
      if (use === "escapes") return new Map();
      const off = insns.off[slot];
      const size = accessBytes(insns.opcode[slot]);
      if (use === "atomic" || (found.get(off) ?? size) !== size) mixed.add(off);
      if (!found.has(off)) found.set(off, size);
      for (let byte = off; byte < off + size; byte++) {
        const before = owner.get(byte);
        if (before !== undefined && before !== off) mixed.add(before).add(off);
        else owner.set(byte, off);
      }
    }
  }
  for (const off of mixed) found.delete(off);
  return found;
}

/** What an instruction does with r10. */
function useOf(insns: InsnTable, slot: number): "none" | "access" | "atomic" | "escapes" {
  const opcode = insns.opcode[slot];
  const dst = insns.dst[slot] === FRAME_POINTER;
  const src = insns.src[slot] === FRAME_POINTER;
  if (!dst && !src) return "none";
  switch (classOf(opcode)) {
    case Class.LDX:
      return src ? "access" : "none";
    case Class.ST:
      return dst ? "access" : "none";
    case Class.STX:
      // As a value r10 would be stored; load-acquire has it as its address in `src`.
      if (isAtomic(opcode)) return src ? "escapes" : "atomic";
      return src ? "escapes" : "access";
    case Class.LD:
      return opcode === Opcode.LDDW ? "none" : "escapes";
    default:
      return dst || usesSourceRegister(opcode) ? "escapes" : "none";
  }
}
