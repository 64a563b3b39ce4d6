import {
  ALU_END,
  ALU_NEG,
  ALU_OPS,
  ATOMIC_OPS,
  accessBytes,
  Class,
  CODE_MASK,
  classOf,
  FRAME_POINTER,
  type InsnTable,
  isAtomic,
  JmpCode,
  Opcode,
  usesSourceRegister,
  writtenRegister,
} from "../isa/index.ts";
import type { Graph, Node } from "./cfg.ts";
import type { Flow } from "./flow.ts";

/** Operations whose low half needs the low halves of their operands only. */
const LOW_FROM_LOW = new Set<number>(
  (["add", "sub", "mul", "or", "and", "xor", "mov"] as const).map((op) => ALU_OPS[op].code),
);
const ALL = 0x3ff;
const ARGS = 0x3e;
/** Opcode of a wide load's second slot. */
const WIDE_REST = 0;

/**
 * Instructions of 64 bits whose result nobody looks at the upper half of, by slot: 32 bits do. Addresses are such
 * results: the linear memory has 32-bit ones.
 */
export function lowHalfOnly({ nodes }: Graph, { order }: Flow, insns: InsnTable): (slot: number) => boolean {
  /** Registers whose upper half is looked at from the beginning of a node on, as bit sets. */
  const wanted = new Int32Array(nodes.length);
  const atEnd = (node: Node) => node.succs.reduce((set, succ) => set | wanted[succ], 0);
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = order.length - 1; i >= 0; i--) {
      const n = order[i];
      const before = backwards(nodes[n], insns, atEnd(nodes[n]), undefined);
      if (before === wanted[n]) continue;
      wanted[n] = before;
      changed = true;
    }
  }
  // Copies of a node share its instructions: all of them must agree.
  const wide = new Uint8Array(insns.length);
  for (const n of order) backwards(nodes[n], insns, atEnd(nodes[n]), wide);
  return (slot) => wide[slot] === 0 && isNarrowable(insns, slot);
}

/** The set at the beginning of a node, from that at its end; notes in `wide` which results are wanted whole. */
function backwards(node: Node, insns: InsnTable, end: number, wide: Uint8Array | undefined): number {
  if (node.kind !== "code") return end;
  let set = node.ends === "trap" ? 0 : end;
  for (let slot = node.end - 1; slot >= node.start; slot--) {
    if (insns.opcode[slot] === WIDE_REST) continue;
    const r = writtenRegister(insns, slot);
    const whole = r >= 0 && (set & (1 << r)) !== 0;
    if (whole && wide !== undefined) wide[slot] = 1;
    set = before(insns, slot, set, whole);
  }
  return set;
}

/** The set before an instruction, from that behind it. `whole`: the upper half of its result is wanted. */
function before(insns: InsnTable, slot: number, after: number, whole: boolean): number {
  const opcode = insns.opcode[slot];
  const dst = 1 << insns.dst[slot];
  const src = 1 << insns.src[slot];
  switch (classOf(opcode)) {
    case Class.ALU:
      // `be64` is of this class.
      return swapsAll(insns, slot) ? after | dst : after & ~dst;
    case Class.ALU64:
      return (after & ~dst) | operands64(insns, slot, whole);
    case Class.LDX:
      return after & ~dst;
    case Class.LD:
      return opcode === Opcode.LDDW ? after & ~dst : ALL;
    case Class.ST:
      return after;
    case Class.STX:
      if (isAtomic(opcode)) return atomic(insns, slot, after);
      // Some fields of the context look at all of what half is stored of.
      return accessBytes(opcode) === 8 || insns.dst[slot] !== FRAME_POINTER ? after | src : after;
    case Class.JMP: {
      if (opcode === Opcode.EXIT) return 1;
      if (opcode === Opcode.CALL || opcode === Opcode.CALLX)
        return (after & ~0x3f) | ARGS | (opcode === Opcode.CALLX ? dst : 0);
      const code = opcode & CODE_MASK;
      if (code === JmpCode.JA || code === JmpCode.JCOND) return after;
      return after | dst | (usesSourceRegister(opcode) ? src : 0);
    }
    default:
      return after;
  }
}

function operands64(insns: InsnTable, slot: number, whole: boolean): number {
  const opcode = insns.opcode[slot];
  const code = opcode & CODE_MASK;
  const dst = 1 << insns.dst[slot];
  const src = usesSourceRegister(opcode) && code !== ALU_END && code !== ALU_NEG ? 1 << insns.src[slot] : 0;
  if (code === ALU_OPS.mov.code) return whole && insns.off[slot] === 0 ? src : 0;
  if (code === ALU_END) return swapsAll(insns, slot) ? dst : 0;
  return isNarrowable(insns, slot) && !whole ? 0 : dst | src;
}

function swapsAll(insns: InsnTable, slot: number): boolean {
  return (insns.opcode[slot] & CODE_MASK) === ALU_END && insns.imm[slot] === 64;
}

/** Can the low half of the result be had from low halves? */
function isNarrowable(insns: InsnTable, slot: number): boolean {
  const opcode = insns.opcode[slot];
  const code = opcode & CODE_MASK;
  if (code === ALU_NEG) return true;
  if (code === ALU_OPS.lsh.code && !usesSourceRegister(opcode)) return insns.imm[slot] < 32;
  return LOW_FROM_LOW.has(code) && insns.off[slot] === 0;
}

function atomic(insns: InsnTable, slot: number, after: number): number {
  const whole = accessBytes(insns.opcode[slot]) === 8;
  const src = 1 << insns.src[slot];
  const r = writtenRegister(insns, slot);
  const left = r < 0 ? after : after & ~(1 << r);
  if (insns.imm[slot] === ATOMIC_OPS.load_acquire.imm) return left;
  if (!whole) return left;
  return left | src | (insns.imm[slot] === ATOMIC_OPS.cmpxchg.imm ? 1 : 0);
}
