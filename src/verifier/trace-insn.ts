import { disassembleAt } from "../isa/index.ts";
import type { VerifierEnv } from "./env.ts";

/** An instruction in the log's notation: `(b7) r0 = 0`. */
export function disassembleInsn(env: VerifierEnv, insn: number): string {
  const opcode = env.insns.opcode[insn].toString(16).padStart(2, "0");
  return `(${opcode}) ${disassembleAt(env.insns, insn)}`;
}
