import type { VerifierEnv } from "./env.ts";
import { disassembleInsn } from "./trace-insn.ts";

/** Makes the walk print instructions and states as `log_level` 1 and 2 do. */
export function attachTrace(env: VerifierEnv): void {
  env.traceInsn = () => {
    env.log.trace(`${env.insn}: ${disassembleInsn(env, env.insn)}\n`);
  };
  env.traceSafe = (fromJump) => {
    env.log.trace(fromJump ? `\nfrom ${env.prevInsn} to ${env.insn}: safe\n` : `${env.insn}: safe\n`);
  };
  env.traceBacktrack = (insn) => {
    env.log.trace(
      `mark_precise: frame${env.backtrack.frame}: before ${insn}: ${disassembleInsn(env, insn)}\n`,
    );
  };
}
