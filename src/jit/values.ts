import {
  ALU_OPS,
  Class,
  CODE_MASK,
  classOf,
  type InsnTable,
  Opcode,
  PseudoLoad,
  usesSourceRegister,
  wideImm,
  writtenRegister,
} from "../isa/index.ts";

/** What is known of a register: a constant (bigint, unsigned 64 bits), the context plus an offset (number), or nothing. */
export type Value = bigint | number | undefined;
/** r0–r10. */
export type Values = Value[];

/** Nothing is known. */
export function unknownValues(): Values {
  return new Array<Value>(11).fill(undefined);
}

/** What is known whichever way control comes. */
export function mergeValues(states: readonly Values[]): Values {
  const [first, ...rest] = states;
  if (first === undefined) return unknownValues();
  return first.map((value, r) => (rest.every((other) => other[r] === value) ? value : undefined));
}

/** Registers that an instruction may change, as a bit set: calls lose r0–r5. */
export function changedRegisters(insns: InsnTable, slot: number): number {
  const opcode = insns.opcode[slot];
  if (opcode === Opcode.CALL || opcode === Opcode.CALLX) return 0x3f;
  if (classOf(opcode) === Class.LD && opcode !== Opcode.LDDW) return 0x3f;
  const r = writtenRegister(insns, slot);
  return r < 0 ? 0 : 1 << r;
}

const MOV = Class.ALU64 | ALU_OPS.mov.code;
const ADD = Class.ALU64 | ALU_OPS.add.code;

/** The registers after the instruction at `slot`: constants through wide loads, moves and additions; no more is needed. */
export function step(insns: InsnTable, slot: number, values: Values): void {
  const value = result(insns, slot, values);
  const changed = changedRegisters(insns, slot);
  for (let r = 0; r < 10; r++) if (changed & (1 << r)) values[r] = value;
}

function result(insns: InsnTable, slot: number, values: Values): Value {
  const opcode = insns.opcode[slot];
  if (opcode === Opcode.LDDW) {
    if (insns.src[slot] === PseudoLoad.FUNC) return undefined;
    return insns.src[slot] === PseudoLoad.NONE ? wideImm(insns, slot) : BigInt(insns.imm[slot] >>> 0);
  }
  const operation = opcode & (CODE_MASK | 7);
  if ((operation !== MOV && operation !== ADD) || insns.off[slot] !== 0) return undefined;
  const operand = usesSourceRegister(opcode) ? values[insns.src[slot]] : BigInt(insns.imm[slot]);
  if (operation === MOV) return typeof operand === "bigint" ? BigInt.asUintN(64, operand) : operand;
  const before = values[insns.dst[slot]];
  if (typeof operand !== "bigint" || before === undefined) return undefined;
  return typeof before === "number" ? before + Number(operand) : BigInt.asUintN(64, before + operand);
}
