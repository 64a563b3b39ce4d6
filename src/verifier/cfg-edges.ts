import {
  Class,
  CODE_MASK,
  classOf,
  type InsnTable,
  isWide,
  JmpCode,
  jumpTarget,
  Opcode,
} from "../isa/index.ts";

/**
 * Where control may go from `slot` inside its function, written to `out` (room for two): first the next instruction, then
 * the jump's target. Calls fall through. Answers how many there are. Targets are inside the program once
 * `checkSubprograms` has passed. @see kernel/bpf/liveness.c `bpf_insn_successors` @ v6.18
 */
export function successors(insns: InsnTable, slot: number, out: Int32Array): number {
  const opcode = insns.opcode[slot];
  const klass = classOf(opcode);
  if (klass !== Class.JMP && klass !== Class.JMP32) {
    out[0] = slot + (isWide(opcode) ? 2 : 1);
    return 1;
  }
  switch (opcode & CODE_MASK) {
    case JmpCode.EXIT:
      return 0;
    case JmpCode.CALL:
      out[0] = slot + 1;
      return 1;
    case JmpCode.JA:
      out[0] = opcode === Opcode.JA32 ? slot + 1 + insns.imm[slot] : slot + 1 + insns.off[slot];
      return 1;
    default:
      out[0] = slot + 1;
      out[1] = jumpTarget(insns, slot);
      return 2;
  }
}
