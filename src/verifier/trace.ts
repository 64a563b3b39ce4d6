import { Class, classOf } from "../isa/index.ts";
import type { VerifierEnv } from "./env.ts";
import { C, OFF, TYPE, VAR_MASK, VAR_VALUE } from "./layout.ts";
import { baseType, RegType } from "./register-types.ts";

/** Words of a step: slot, step before it, frame, accessed stack frame, accessed stack offset. */
const WORDS = 5;
const INSN = 0;
const PARENT = 1;
const FRAME = 2;
const STACK_FRAME = 3;
const STACK_OFF = 4;

/** One processed instruction on a path. */
export interface Step {
  /** Number of the step, from 1, in the order in which the verifier walked. */
  readonly id: number;
  readonly insn: number;
  readonly frame: number;
  /** Loads and stores of the stack at a known place: whose frame, and bytes below its top (negative). */
  readonly stack: { readonly frame: number; readonly off: number } | undefined;
}

/**
 * All steps of a walk as a tree: a path is a step and its parents. Give {@link record} to `verify` as `onState`; 20 bytes a
 * processed instruction.
 */
export class WalkTrace {
  private words = new Int32Array(WORDS * 256);
  private count = 0;
  /** Number of the step recorded last: where a rejected program failed. */
  get last(): number {
    return this.count;
  }

  readonly record = (insn: number, env: VerifierEnv): void => {
    const id = ++this.count;
    if ((id + 1) * WORDS > this.words.length) {
      const larger = new Int32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    const at = id * WORDS;
    const { cur } = env;
    this.words[at + INSN] = insn;
    this.words[at + PARENT] = cur.trace;
    this.words[at + FRAME] = cur.curFrame;
    this.words[at + STACK_FRAME] = -1;
    cur.trace = id;
    const kind = classOf(env.insns.opcode[insn]);
    if (kind !== Class.LDX && kind !== Class.ST && kind !== Class.STX) return;
    const row = env.reg(kind === Class.LDX ? env.insns.src[insn] : env.insns.dst[insn]);
    const { i32 } = env.mem;
    if (baseType(i32[row + TYPE]) !== RegType.PTR_TO_STACK) return;
    if ((i32[row + VAR_MASK] | i32[row + VAR_MASK + 1]) !== 0) return;
    this.words[at + STACK_FRAME] = i32[row + C];
    this.words[at + STACK_OFF] = i32[row + OFF] + i32[row + VAR_VALUE] + env.insns.off[insn];
  };

  /** The steps from the start (or the last `limit` of them) to step `id`. */
  pathTo(id: number, limit = 100_000): Step[] {
    const path: Step[] = [];
    for (let step = id; step > 0 && path.length < limit; step = this.words[step * WORDS + PARENT]) {
      const at = step * WORDS;
      const frame = this.words[at + STACK_FRAME];
      path.push({
        id: step,
        insn: this.words[at + INSN],
        frame: this.words[at + FRAME],
        stack: frame < 0 ? undefined : { frame, off: this.words[at + STACK_OFF] },
      });
    }
    return path.reverse();
  }

  /** How often each instruction was processed, by slot. */
  visits(slots: number): Int32Array {
    const visits = new Int32Array(slots);
    for (let id = 1; id <= this.count; id++) visits[this.words[id * WORDS + INSN]]++;
    return visits;
  }
}
