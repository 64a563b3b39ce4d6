import { slotsOf } from "../../isa/index.ts";
import type { VerifierEnv } from "../env.ts";
import { disassembleInsn } from "../trace-insn.ts";

/**
 * Prints each instruction with the number of its loop and the registers that may be read from there on, as log level 2 of the
 * kernel does: `  1   4: .12....... (bf) r2 = r1`.
 */
export function traceLiveRegisters(env: VerifierEnv): void {
  const { insns, aux, log } = env;
  log.trace("Live regs before insn:\n");
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    const loop = aux.scc[slot] === 0 ? "" : String(aux.scc[slot]);
    let live = "";
    for (let n = 0; n < 10; n++) live += (aux.liveRegs[slot] & (1 << n)) !== 0 ? n : ".";
    log.trace(`${loop.padStart(3)} ${String(slot).padStart(3)}: ${live} ${disassembleInsn(env, slot)}\n`);
  }
}
