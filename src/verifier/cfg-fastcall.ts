import { Class, type InsnTable, Mode, Opcode, Size } from "../isa/index.ts";
import { InsnMark } from "./cfg-marks.ts";
import type { CallSummaries } from "./prechecks-calls.ts";
import type { InsnAux, Subprog } from "./state.ts";

const STORE_DW = Class.STX | Mode.MEM | Size.DW;
const LOAD_DW = Class.LDX | Mode.MEM | Size.DW;
const FRAME = 10;
/** r0–r5. */
const CALLER_SAVED = 0x3f;
const CALLER_SAVED_COUNT = 6;
/** `S16_MIN`: below any stack offset. */
const NEVER = -32768;

/**
 * Finds calls of functions that keep their registers, with the spills before and the fills behind them that compilers put
 * there for kernels that do not know so: the kernel takes these out, and their stack slots do not count.
 * @see kernel/bpf/verifier.c `mark_fastcall_patterns` @ v6.18
 */
export function markFastcallPatterns(
  insns: InsnTable,
  subprogs: readonly Subprog[],
  aux: InsnAux,
  calls: CallSummaries,
): void {
  for (const subprog of subprogs) {
    let lowest = 0;
    for (let slot = subprog.start; slot < subprog.end; slot++) {
      if (insns.opcode[slot] !== STORE_DW || insns.dst[slot] !== FRAME) continue;
      lowest = Math.min(lowest, insns.off[slot]);
    }
    if (lowest === 0) continue; // nothing is spilled
    for (let slot = subprog.start; slot < subprog.end; slot++) {
      if (insns.opcode[slot] === Opcode.CALL) markPattern(insns, subprog, aux, calls, slot, lowest);
    }
  }
}

/** `lowest`: all spills of patterns lie at the bottom of the function's stack. */
function markPattern(
  insns: InsnTable,
  subprog: Subprog,
  aux: InsnAux,
  calls: CallSummaries,
  slot: number,
  lowest: number,
): void {
  const call = calls(slot);
  if (call === undefined) return;
  const clobbered = (((1 << call.params) - 1) << 1) | (call.isVoid ? 0 : 1);
  let expected = CALLER_SAVED & ~clobbered;
  let offset = lowest;
  let pairs = 0;
  for (let distance = 1; distance <= CALLER_SAVED_COUNT; distance++, offset += 8) {
    const spill = slot - distance;
    const fill = slot + distance;
    if (spill < 0 || fill >= insns.length) break;
    // Only the first spill may be jumped to: the pattern runs as a whole or not at all.
    if ((aux.marks[spill + 1] | aux.marks[fill]) & InsnMark.JUMP_TARGET) break;
    if (insns.opcode[spill] !== STORE_DW || insns.opcode[fill] !== LOAD_DW) break;
    if (insns.dst[spill] !== FRAME || insns.src[fill] !== FRAME) break;
    const register = insns.src[spill];
    if (register !== insns.dst[fill] || !(expected & (1 << register))) break;
    if (insns.off[spill] !== offset || insns.off[fill] !== offset) break;
    expected &= ~(1 << register);
    aux.marks[spill] |= InsnMark.FASTCALL_PATTERN;
    aux.marks[fill] |= InsnMark.FASTCALL_PATTERN;
    pairs++;
  }
  if (pairs === 0) return;
  if (call.fastcall) aux.marks[slot] |= InsnMark.FASTCALL_CALL;
  else subprog.keepFastcallStack = true;
  subprog.fastcallStackOff = Math.min(subprog.fastcallStackOff, offset);
}

/**
 * The walk saw an access of the stack at `off` by the instruction at `slot`: when it touches slots of patterns without being
 * part of one, the function's patterns stay as they are. @see `check_fastcall_stack_contract` @ v6.18
 */
export function checkFastcallStack(subprog: Subprog, aux: InsnAux, slot: number, off: number): void {
  if (subprog.fastcallStackOff <= off || aux.marks[slot] & InsnMark.FASTCALL_PATTERN) return;
  subprog.fastcallStackOff = NEVER;
  const clear = ~(InsnMark.FASTCALL_PATTERN | InsnMark.FASTCALL_CALL);
  for (let at = subprog.start; at < subprog.end; at++) aux.marks[at] &= clear;
}

/**
 * After the walk: stack that only removed spills used does not count.
 * @see `remove_fastcall_spills_fills` @ v6.18
 */
export function dropFastcallStack(subprogs: readonly Subprog[], aux: InsnAux): void {
  for (const subprog of subprogs) {
    if (subprog.keepFastcallStack) continue;
    const removed = aux.marks
      .subarray(subprog.start, subprog.end)
      .some((marks) => (marks & InsnMark.FASTCALL_CALL) !== 0);
    if (removed) subprog.stackDepth = -subprog.fastcallStackOff;
  }
}
