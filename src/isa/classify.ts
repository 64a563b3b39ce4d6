import { atomicRow } from "./atomic.ts";
import type { InsnTable } from "./insn-table.ts";
import { JmpCode } from "./jmp.ts";
import { sizeRow } from "./mem.ts";
import {
  CLASS_MASK,
  Class,
  CODE_MASK,
  MODE_MASK,
  Mode,
  Opcode,
  PseudoCall,
  PseudoLoad,
  SOURCE_X,
} from "./opcode.ts";

/** Instruction class of an opcode. */
export function classOf(opcode: number): Class {
  return (opcode & CLASS_MASK) as Class; // three bits name all eight classes
}

/** True for the arithmetic classes (32 and 64 bits). */
export function isAlu(opcode: number): boolean {
  return classOf(opcode) === Class.ALU || classOf(opcode) === Class.ALU64;
}

/** True for the jump classes, calls and `exit` included. */
export function isJumpClass(opcode: number): boolean {
  return classOf(opcode) === Class.JMP || classOf(opcode) === Class.JMP32;
}

/** True for `lddw`, the instruction of two slots. */
export function isWide(opcode: number): boolean {
  return opcode === Opcode.LDDW;
}

/** Slots the instruction at `slot` takes: 2 for `lddw`, else 1. */
export function slotsOf(insns: InsnTable, slot: number): 1 | 2 {
  return isWide(insns.opcode[slot]) ? 2 : 1;
}

/** True for every instruction that may continue elsewhere in the same function: `goto`, `gotol`, `may_goto`, conditional jumps. */
export function isJump(opcode: number): boolean {
  if (!isJumpClass(opcode)) return false;
  const code = opcode & CODE_MASK;
  return code !== JmpCode.CALL && code !== JmpCode.EXIT;
}

/** True for `goto` and `gotol`: never falls through. */
export function isGoto(opcode: number): boolean {
  return opcode === Opcode.JA || opcode === Opcode.JA32;
}

/** True for jumps that may fall through: comparisons and `may_goto`. */
export function isConditionalJump(opcode: number): boolean {
  return isJump(opcode) && (opcode & CODE_MASK) !== JmpCode.JA;
}

/** Slot a jump (see {@link isJump}) goes to when taken; may lie outside the program. */
export function jumpTarget(insns: InsnTable, slot: number): number {
  return slot + 1 + (insns.opcode[slot] === Opcode.JA32 ? insns.imm[slot] : insns.off[slot]);
}

/** True for a call of a function of the same program. */
export function isLocalCall(insns: InsnTable, slot: number): boolean {
  return insns.opcode[slot] === Opcode.CALL && insns.src[slot] === PseudoCall.LOCAL;
}

/** True for a call of a helper by id. */
export function isHelperCall(insns: InsnTable, slot: number): boolean {
  return insns.opcode[slot] === Opcode.CALL && insns.src[slot] === PseudoCall.HELPER;
}

/** True for an `lddw` of a function's address. */
export function isFunctionLoad(insns: InsnTable, slot: number): boolean {
  return isWide(insns.opcode[slot]) && insns.src[slot] === PseudoLoad.FUNC;
}

/** Slot of the function that a local call calls or a function load names; may lie outside the program. */
export function functionTarget(insns: InsnTable, slot: number): number {
  return slot + 1 + insns.imm[slot];
}

/**
 * First slots of the program's functions in ascending order: 0 and every target of a local call or function load
 * that lies inside the program.
 */
export function functionStarts(insns: InsnTable): number[] {
  const starts = new Set<number>(insns.length > 0 ? [0] : []);
  for (let slot = 0; slot < insns.length; slot++) {
    if (!isLocalCall(insns, slot) && !isFunctionLoad(insns, slot)) continue;
    const target = functionTarget(insns, slot);
    if (target >= 0 && target < insns.length) starts.add(target);
  }
  return [...starts].sort((a, b) => a - b);
}

/** The 64-bit number of an `lddw` at `slot`, as an unsigned bigint; a missing second slot counts as 0. */
export function wideImm(insns: InsnTable, slot: number): bigint {
  const high = slot + 1 < insns.length ? insns.imm[slot + 1] : 0;
  return (BigInt(high >>> 0) << 32n) | BigInt(insns.imm[slot] >>> 0);
}

/** True when the second operand of an arithmetic or comparing instruction is register `src`. */
export function usesSourceRegister(opcode: number): boolean {
  return (opcode & SOURCE_X) !== 0;
}

/** Bytes a load, store or atomic instruction touches: 1, 2, 4 or 8. Meaningless for other classes. */
export function accessBytes(opcode: number): 1 | 2 | 4 | 8 {
  return sizeRow(opcode).bytes;
}

/** True for `STX | ATOMIC` of any size. */
export function isAtomic(opcode: number): boolean {
  return classOf(opcode) === Class.STX && (opcode & MODE_MASK) === Mode.ATOMIC;
}

/** Register the instruction at `slot` writes, or -1. A call counts as writing r0; r1–r5 it clobbers besides. */
export function writtenRegister(insns: InsnTable, slot: number): number {
  const opcode = insns.opcode[slot];
  switch (classOf(opcode)) {
    case Class.ALU:
    case Class.ALU64:
    case Class.LDX:
      return insns.dst[slot];
    case Class.LD:
      return isWide(opcode) ? insns.dst[slot] : 0; // LD_ABS and LD_IND answer in r0
    case Class.STX:
      return isAtomic(opcode) ? atomicWrites(insns, slot) : -1;
    case Class.JMP:
      return opcode === Opcode.CALL || opcode === Opcode.CALLX ? 0 : -1;
    default:
      return -1;
  }
}

function atomicWrites(insns: InsnTable, slot: number): number {
  switch (atomicRow(insns.imm[slot])?.shape) {
    case "fetch":
    case "xchg":
      return insns.src[slot];
    case "cmpxchg":
      return 0;
    case "load":
      return insns.dst[slot];
    default:
      return -1;
  }
}
