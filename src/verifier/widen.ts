import type { VerifierEnv } from "./env.ts";
import {
  A,
  DOMAIN_WORDS_AT,
  F_CALLSITE,
  F_SLOTS,
  FRAME_REGS,
  ID,
  PRECISE,
  REF_OBJ_ID,
  ROW_WORDS,
  SlotType,
  TYPE,
} from "./layout.ts";
import { RegType } from "./register-types.ts";
import { markUnknown } from "./regs.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";

/** Every frame of both states was entered by the same call. `same_callsites` */
export function sameCallsites(env: VerifierEnv, a: State, b: State): boolean {
  if (a.curFrame !== b.curFrame) return false;
  const { i32 } = env.mem;
  for (let f = a.curFrame; f >= 0; f--) {
    if (i32[a.frames[f] + F_CALLSITE] !== i32[b.frames[f] + F_CALLSITE]) return false;
  }
  return true;
}

/**
 * The newest unfinished state saved at `insn` that the current path came through: the loop's iteration before.
 * `find_prev_entry`
 */
export function findPrevEntry(env: VerifierEnv, parent: State, insn: number): State | undefined {
  const states = env.explored.at[insn];
  if (states === undefined) return undefined;
  for (let i = states.length - 1; i >= 0; i--) {
    const state = states[i];
    if (state.branches !== 0 && state.dfsDepth < parent.dfsDepth && sameCallsites(env, state, parent))
      return state;
  }
  return undefined;
}

/**
 * Scalars that changed since the loop's iteration before, and whose value mattered to nobody, become unknown, so that
 * the loop's states converge. `widen_imprecise_scalars`
 */
export function widenImprecise(env: VerifierEnv, old: State, cur: State): void {
  const { i32, u8 } = env.mem;
  env.ids.reset(env.idGen);
  for (let f = old.curFrame; f >= 0; f--) {
    const oldFrame = old.frames[f];
    const curFrame = cur.frames[f];
    for (let n = 0; n < FRAME_REGS; n++) widen(env, frameReg(oldFrame, n), frameReg(curFrame, n));
    const slots = Math.min(i32[oldFrame + F_SLOTS], i32[curFrame + F_SLOTS]);
    for (let slot = 0; slot < slots; slot++) {
      if (u8[frameSlotTypes(oldFrame, slot) + 7] !== SlotType.SPILL) continue;
      if (u8[frameSlotTypes(curFrame, slot) + 7] !== SlotType.SPILL) continue;
      widen(env, frameSlotRow(oldFrame, slot), frameSlotRow(curFrame, slot));
    }
  }
}

function widen(env: VerifierEnv, old: number, cur: number): void {
  const { i32 } = env.mem;
  if (i32[old + TYPE] !== RegType.SCALAR_VALUE || i32[cur + TYPE] !== RegType.SCALAR_VALUE) return;
  if ((i32[old + PRECISE] | i32[cur + PRECISE]) !== 0 || rowsExact(env, old, cur)) return;
  markUnknown(env, cur);
}

/** Type, offsets, tnum and ranges are the same, and ids correspond. `regs_exact` */
export function rowsExact(env: VerifierEnv, old: number, cur: number): boolean {
  const { i32 } = env.mem;
  return (
    sameButIds(i32, old, cur) &&
    env.ids.check(i32[old + ID], i32[cur + ID]) &&
    env.ids.check(i32[old + REF_OBJ_ID], i32[cur + REF_OBJ_ID])
  );
}

/** Type, offsets, tnum and ranges are the same. */
export function sameButIds(i32: Int32Array, old: number, cur: number): boolean {
  for (let i = TYPE; i < ID; i++) if (i32[old + i] !== i32[cur + i]) return false;
  for (let i = DOMAIN_WORDS_AT; i < ROW_WORDS; i++) if (i32[old + i] !== i32[cur + i]) return false;
  return true;
}

/** Words TYPE … C are the same (the union's words start at A). */
export function sameIdentity(i32: Int32Array, old: number, cur: number): boolean {
  for (let i = TYPE; i < ID; i++) if (i32[old + i] !== i32[cur + i]) return false;
  return A < ID;
}
