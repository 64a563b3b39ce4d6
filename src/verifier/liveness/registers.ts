import {
  ALU_END,
  ALU_OPS,
  atomicRow,
  Class,
  CODE_MASK,
  classOf,
  type InsnTable,
  isWide,
  JmpCode,
  MODE_MASK,
  Mode,
  usesSourceRegister,
} from "../../isa/index.ts";
import { successors } from "../cfg-edges.ts";
import type { Postorder } from "../cfg-order.ts";
import type { CallSummaries } from "../prechecks-calls.ts";

/** r0–r5. */
const CALLER_SAVED = 0x3f;
const ALL = 0xffff;

/**
 * Which registers may be read before they are written, from each instruction on: bit n of `live[slot]` stands for rn. A
 * function that is called counts as reading r1–r5.
 * @see kernel/bpf/verifier.c `compute_live_registers` @ v6.18
 */
export function computeLiveRegisters(
  insns: InsnTable,
  order: Postorder,
  calls: CallSummaries,
  live: Uint16Array,
): void {
  const uses = new Uint16Array(insns.length);
  const defs = new Uint16Array(insns.length);
  for (const slot of order.slots) {
    uses[slot] = usedRegisters(insns, slot, calls);
    defs[slot] = definedRegisters(insns, slot);
  }
  const next = new Int32Array(2);
  for (let changed = true; changed; ) {
    changed = false;
    for (const slot of order.slots) {
      const edges = successors(insns, slot, next);
      let after = 0;
      for (let edge = 0; edge < edges; edge++) after |= live[next[edge]];
      const before = (after & ~defs[slot]) | uses[slot];
      if (before === live[slot]) continue;
      live[slot] = before;
      changed = true;
    }
  }
}

/** What the kernel does not look into counts as reading all registers. */
function usedRegisters(insns: InsnTable, slot: number, calls: CallSummaries): number {
  const opcode = insns.opcode[slot];
  const mode = opcode & MODE_MASK;
  const dst = 1 << insns.dst[slot];
  const src = 1 << insns.src[slot];
  switch (classOf(opcode)) {
    case Class.LD:
      return isWide(opcode) ? 0 : ALL;
    case Class.LDX:
      return mode === Mode.MEM || mode === Mode.MEMSX ? src : ALL;
    case Class.ST:
      return mode === Mode.MEM ? dst : ALL;
    case Class.STX:
      if (mode === Mode.ATOMIC) return usedByAtomic(insns.imm[slot], dst, src);
      return mode === Mode.MEM ? dst | src : ALL;
    case Class.ALU:
    case Class.ALU64:
      switch (opcode & CODE_MASK) {
        case ALU_END:
          return dst;
        case ALU_OPS.mov.code:
          return usesSourceRegister(opcode) ? src : 0;
        default:
          return usesSourceRegister(opcode) ? dst | src : dst;
      }
    default:
      switch (opcode & CODE_MASK) {
        case JmpCode.JA:
        case JmpCode.JCOND:
          return 0;
        case JmpCode.EXIT:
          return 1;
        case JmpCode.CALL:
          return ((1 << (calls(slot)?.params ?? 5)) - 1) << 1;
        default:
          return usesSourceRegister(opcode) ? dst | src : dst;
      }
  }
}

function usedByAtomic(imm: number, dst: number, src: number): number {
  switch (atomicRow(imm)?.shape) {
    case "cmpxchg":
      return 1 | dst | src;
    case "load":
      return src;
    default:
      return dst | src;
  }
}

function definedRegisters(insns: InsnTable, slot: number): number {
  const opcode = insns.opcode[slot];
  const mode = opcode & MODE_MASK;
  const dst = 1 << insns.dst[slot];
  switch (classOf(opcode)) {
    case Class.LD:
      return isWide(opcode) ? dst : 0;
    case Class.LDX:
      return mode === Mode.MEM || mode === Mode.MEMSX ? dst : 0;
    case Class.STX:
      return mode === Mode.ATOMIC ? definedByAtomic(insns.imm[slot], dst, 1 << insns.src[slot]) : 0;
    case Class.ALU:
    case Class.ALU64:
      return dst;
    case Class.JMP:
    case Class.JMP32:
      return (opcode & CODE_MASK) === JmpCode.CALL ? CALLER_SAVED : 0;
    default:
      return 0;
  }
}

function definedByAtomic(imm: number, dst: number, src: number): number {
  switch (atomicRow(imm)?.shape) {
    case "cmpxchg":
      return 1;
    case "load":
      return dst;
    case "fetch":
    case "xchg":
      return src;
    default:
      return 0;
  }
}
