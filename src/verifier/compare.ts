// One algorithm: is whatever is safe from one state on safe from another on (`states_equal`)?
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import {
  A,
  B,
  C,
  F_CALLBACK_DEPTH,
  F_CALLSITE,
  F_SLOTS,
  FRAME_REGS,
  ID,
  OFF,
  PRECISE,
  REF_OBJ_ID,
  SlotType,
  TYPE,
} from "./layout.ts";
import { ADD_CONST, BASE_TYPE_MASK, RefType, RegType } from "./register-types.ts";
import { Scratch } from "./scratch.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";
import { rowsExact, sameButIds, sameIdentity } from "./widen.ts";

/**
 * How much two states must agree: NO, only where it matters to the paths behind; RANGE_WITHIN, numbers everywhere within
 * the old ones; EXACT, everywhere the same.
 */
export const Exact = { NO: 0, EXACT: 1, RANGE_WITHIN: 2 } as const;
/** See {@link Exact}. */
export type Exact = (typeof Exact)[keyof typeof Exact];

/** `states_equal`: whatever is safe from `old` on is safe from `cur` on. */
export function statesEqual(env: VerifierEnv, old: State, cur: State, exact: Exact): boolean {
  if (old.curFrame !== cur.curFrame) return false;
  env.ids.reset(env.idGen);
  if (old.speculative && !cur.speculative) return false;
  if (old.inSleepable !== cur.inSleepable) return false;
  if (!refsEqual(env, old, cur)) return false;
  const { i32 } = env.mem;
  for (let f = 0; f <= old.curFrame; f++) {
    const a = old.frames[f];
    const b = cur.frames[f];
    if (i32[a + F_CALLSITE] !== i32[b + F_CALLSITE]) return false;
    const insn = f === old.curFrame ? old.insn : i32[old.frames[f + 1] + F_CALLSITE];
    if (!framesEqual(env, a, b, insn, exact)) return false;
  }
  return true;
}

/** Same references, locks and sections. `refsafe` */
export function refsEqual(env: VerifierEnv, old: State, cur: State): boolean {
  const { ids } = env;
  if (old.refs.length !== cur.refs.length) return false;
  if (old.activeLocks !== cur.activeLocks || old.activePreemptLocks !== cur.activePreemptLocks) return false;
  if (old.activeRcuLocks !== cur.activeRcuLocks) return false;
  if (!ids.check(old.activeIrqId, cur.activeIrqId) || !ids.check(old.activeLockId, cur.activeLockId))
    return false;
  if (old.activeLockOwner !== cur.activeLockOwner) return false;
  for (let i = 0; i < old.refs.length; i++) {
    const a = old.refs[i];
    const b = cur.refs[i];
    if (!ids.check(a.id, b.id) || a.type !== b.type) return false;
    if ((a.type & (RefType.LOCK | RefType.RES_LOCK | RefType.RES_LOCK_IRQ)) !== 0 && a.owner !== b.owner)
      return false;
  }
  return true;
}

function framesEqual(env: VerifierEnv, old: number, cur: number, insn: number, exact: Exact): boolean {
  const { i32 } = env.mem;
  if (i32[old + F_CALLBACK_DEPTH] > i32[cur + F_CALLBACK_DEPTH]) return false;
  const live = env.aux.liveRegs[insn];
  for (let n = 0; n < FRAME_REGS; n++) {
    if ((live & (1 << n)) !== 0 && !rowSafe(env, frameReg(old, n), frameReg(cur, n), exact)) return false;
  }
  return stackSafe(env, old, cur, exact);
}

/** Whatever is safe with the row `old` is safe with `cur`. `regsafe` */
export function rowSafe(env: VerifierEnv, old: number, cur: number, exact: Exact): boolean {
  if (exact === Exact.EXACT) return rowsExact(env, old, cur);
  const { mem, domain, ids } = env;
  const { i32 } = mem;
  const type = i32[old + TYPE];
  if (type === RegType.NOT_INIT) return true;
  if (type !== i32[cur + TYPE]) return false;
  switch (type & BASE_TYPE_MASK) {
    case RegType.SCALAR_VALUE: {
      const oldId = i32[old + ID];
      const curId = i32[cur + ID];
      // Another number could ask for another mask (sanitation.ts).
      if (env.exploreAluLimits) return sameButIds(i32, old, cur) && ids.checkScalar(oldId, curId);
      if (i32[old + PRECISE] === 0 && exact === Exact.NO) return true;
      // An old scalar without links relied on none: what the current one is linked to does not matter.
      if (oldId !== 0 && ((oldId ^ curId) & ADD_CONST) !== 0) return false;
      if ((oldId & ADD_CONST) !== 0 && i32[old + OFF] !== i32[cur + OFF]) return false;
      return domain.scalarContains(old, cur) !== 0 && ids.checkScalar(oldId, curId);
    }
    case RegType.PTR_TO_MAP_KEY:
    case RegType.PTR_TO_MAP_VALUE:
    case RegType.PTR_TO_MEM:
    case RegType.PTR_TO_BUF:
    case RegType.PTR_TO_TP_BUFFER:
      return (
        sameIdentity(i32, old, cur) &&
        domain.scalarContains(old, cur) !== 0 &&
        ids.check(i32[old + ID], i32[cur + ID]) &&
        ids.check(i32[old + REF_OBJ_ID], i32[cur + REF_OBJ_ID])
      );
    case RegType.PTR_TO_PACKET_META:
    case RegType.PTR_TO_PACKET: {
      const oldRange = i32[old + A];
      const curRange = i32[cur + A];
      if (oldRange < 0 || curRange < 0) {
        if (oldRange !== curRange) return false;
      } else if (oldRange > curRange) {
        return false;
      }
      if (i32[old + OFF] !== i32[cur + OFF]) return false;
      return ids.check(i32[old + ID], i32[cur + ID]) && domain.scalarContains(old, cur) !== 0;
    }
    case RegType.PTR_TO_ARENA:
      return true;
    default:
      return rowsExact(env, old, cur);
  }
}

/** The register that stands for the slot's bytes as one scalar; 0: they are something else. */
function scalarOfSlot(env: VerifierEnv, frame: number, slot: number): number {
  const { i32, u8 } = env.mem;
  const types = frameSlotTypes(frame, slot);
  const row = frameSlotRow(frame, slot);
  if (u8[types] === SlotType.SPILL && i32[row + TYPE] === RegType.SCALAR_VALUE) return row;
  for (let i = 0; i < 8; i++) {
    const type = u8[types + i];
    if (type === SlotType.MISC || (type === SlotType.INVALID && env.allowUninitStack)) continue;
    return 0;
  }
  return scratchRow(Scratch.UNBOUND);
}

/** `stacksafe` */
function stackSafe(env: VerifierEnv, old: number, cur: number, exact: Exact): boolean {
  const slots = env.mem.i32[old + F_SLOTS];
  for (let slot = 0; slot < slots; slot++) if (!slotSafe(env, old, cur, slot, exact)) return false;
  return true;
}

/** Whatever is safe with a slot of the frame `old` is safe with the same slot of `cur`. */
export function slotSafe(env: VerifierEnv, old: number, cur: number, slot: number, exact: Exact): boolean {
  const { i32, u8 } = env.mem;
  const oldTypes = frameSlotTypes(old, slot);
  const inCur = slot < i32[cur + F_SLOTS];
  const curTypes = frameSlotTypes(cur, slot);
  if (exact !== Exact.NO) {
    if (!inCur) return false;
    for (let i = 0; i < 8; i++) if (u8[oldTypes + i] !== u8[curTypes + i]) return false;
  }
  const word = oldTypes >> 2;
  // Nothing was there, or (with privilege) nothing that matters.
  if ((i32[word] | i32[word + 1]) === 0) return true;
  if (env.allowUninitStack && allMiscOrInvalid(u8, oldTypes)) return true;
  if (inCur) {
    const a = scalarOfSlot(env, old, slot);
    const b = a === 0 ? 0 : scalarOfSlot(env, cur, slot);
    if (a !== 0 && b !== 0) return rowSafe(env, a, b, exact);
  }
  return bytesSafe(env, oldTypes, curTypes, inCur) && (!inCur || contentSafe(env, old, cur, slot, exact));
}

function allMiscOrInvalid(u8: Uint8Array, types: number): boolean {
  for (let i = 0; i < 8; i++)
    if (u8[types + i] !== SlotType.MISC && u8[types + i] !== SlotType.INVALID) return false;
  return true;
}

function bytesSafe(env: VerifierEnv, oldTypes: number, curTypes: number, inCur: boolean): boolean {
  const { u8 } = env.mem;
  for (let i = 0; i < 8; i++) {
    const type = u8[oldTypes + i];
    if (type === SlotType.INVALID || (type === SlotType.MISC && env.allowUninitStack)) continue;
    if (!inCur) return false;
    const other = u8[curTypes + i];
    if (type === other || (type === SlotType.MISC && other === SlotType.ZERO)) continue;
    return false;
  }
  return true;
}

/** What a slot's row says, where both slots are of one kind. */
function contentSafe(env: VerifierEnv, old: number, cur: number, slot: number, exact: Exact): boolean {
  const { i32, u8 } = env.mem;
  const last = u8[frameSlotTypes(old, slot) + 7];
  if (last === SlotType.INVALID || last === SlotType.MISC || last === SlotType.ZERO) return true;
  if (u8[frameSlotTypes(cur, slot) + 7] !== last) return false;
  const a = frameSlotRow(old, slot);
  const b = frameSlotRow(cur, slot);
  const { ids } = env;
  switch (last) {
    case SlotType.SPILL:
      return rowSafe(env, a, b, exact);
    case SlotType.DYNPTR:
      return (
        i32[a + A] === i32[b + A] &&
        i32[a + B] === i32[b + B] &&
        ids.check(i32[a + ID], i32[b + ID]) &&
        ids.check(i32[a + REF_OBJ_ID], i32[b + REF_OBJ_ID])
      );
    case SlotType.ITER:
      return (
        i32[a + TYPE] === i32[b + TYPE] &&
        i32[a + A] === i32[b + A] &&
        i32[a + B] === i32[b + B] &&
        (i32[a + C] & 3) === (i32[b + C] & 3) &&
        ids.check(i32[a + REF_OBJ_ID], i32[b + REF_OBJ_ID])
      );
    case SlotType.IRQ_FLAG:
      return i32[a + A] === i32[b + A] && ids.check(i32[a + REF_OBJ_ID], i32[b + REF_OBJ_ID]);
    default:
      return false;
  }
}
