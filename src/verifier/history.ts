import type { VerifierEnv } from "./env.ts";
import { H_FLAGS, H_LINKED_HI, H_LINKED_LO, HISTORY_WORDS } from "./state.ts";

/** Flag of a step: spill or fill of the slot in bits 3–8 of the frame in bits 0–2. */
export const STACK_ACCESS = 1 << 9;
/** … a comparison whose dst holds a stack pointer. */
export const DST_IS_POINTER = 1 << 10;
/** … whose src does. */
export const SRC_IS_POINTER = 1 << 11;
/** Bits 16–18: number of linked registers. */
export const LINKED_COUNT_SHIFT = 16;
/** At most so many registers are linked in one step; more are cut loose. `LINKED_REGS_MAX` */
export const MAX_LINKED = 6;
/** A linked entry (10 bits): frame, then register or slot, then this bit for a register. */
export const LINKED_IS_REG = 1 << 9;

/** Records something about the instruction at hand in the path's history. `push_jmp_history` */
export function pushHistory(env: VerifierEnv, flags: number, linkedLo = 0, linkedHi = 0): void {
  const { history } = env.cur;
  if (env.historyEntry >= 0) {
    const at = env.historyEntry * HISTORY_WORDS;
    const { words } = history;
    if ((flags & STACK_ACCESS) !== 0) words[at + H_FLAGS] = (words[at + H_FLAGS] & ~0x1ff) | flags;
    else words[at + H_FLAGS] |= flags;
    if ((linkedLo | linkedHi) !== 0) {
      words[at + H_LINKED_LO] = linkedLo;
      words[at + H_LINKED_HI] = linkedHi;
    }
    return;
  }
  env.historyEntry = history.push(env.insn, env.prevInsn, flags, linkedLo, linkedHi);
}

/** Registers that one comparison links, packed as the history keeps them. */
export class LinkedRegs {
  count = 0;
  lo = 0;
  hi = 0;

  /** Starts over. */
  clear(): void {
    this.count = 0;
    this.lo = 0;
    this.hi = 0;
  }

  /** Adds an entry; false: there are {@link MAX_LINKED} already. */
  add(entry: number): boolean {
    if (this.count >= MAX_LINKED) return false;
    if (this.count < 3) this.lo |= entry << (10 * this.count);
    else this.hi |= entry << (10 * (this.count - 3));
    this.count++;
    return true;
  }
}
