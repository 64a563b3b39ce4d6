// One algorithm: is the current state covered by one that was walked before (`is_state_visited`)?
import { Opcode } from "../isa/index.ts";
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { LoopVisit } from "./explored.ts";
import { pushHistory } from "./history.ts";
import {
  A,
  B,
  C,
  F_ASYNC_ENTRY,
  F_CALLBACK_DEPTH,
  F_CALLSITE,
  F_FLAGS,
  F_SLOTS,
  FRAME_REGS,
  FrameFlag,
  ID,
  OFF,
  PRECISE,
  REF_OBJ_ID,
  ROW_WORDS,
  SlotType,
  TYPE,
  VAR_VALUE,
} from "./layout.ts";
import { backtrackFrom, markAllPrecise } from "./precision.ts";
import { ADD_CONST, BASE_TYPE_MASK, IterState, RefType, RegType } from "./register-types.ts";
import { Scratch } from "./scratch.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";
import { saveState, saveStateTakingHistory } from "./states.ts";
import { rowsExact, sameCallsites, sameIdentity } from "./widen.ts";

/** How much two states must agree. */
const Exact = { NO: 0, EXACT: 1, RANGE_WITHIN: 2 } as const;
type Exact = (typeof Exact)[keyof typeof Exact];

/** The answer of {@link visitState}. */
export const Visit = { GO_ON: 0, COVERED: 1 } as const;

/**
 * At a pruning point: {@link Visit} COVERED when a state saved here covers the current one; else the current one may be
 * saved. Rejects infinite loops.
 */
export function visitState(env: VerifierEnv, insn: number): number {
  const { cur, explored, aux } = env;
  const forceNew =
    (env.program.flags.testStateFreq ?? false) || aux.forceCheckpoint[insn] !== 0 || cur.history.length > 40;
  const jumps = env.jumpsProcessed - explored.prevJumps;
  const insns = env.insnsProcessed - explored.prevInsns;
  let addNew = forceNew || (jumps >= 2 && insns >= 8);
  const callsite = env.mem.i32[env.frame + F_CALLSITE];
  const states = explored.at[insn];
  const count = explored.countNear(insn, callsite);
  if (states !== undefined) {
    cleanLiveStates(env, states, insn);
    for (let i = states.length - 1; i >= 0; i--) {
      const old = states[i];
      if (env.mem.i32[old.frames[old.curFrame] + F_CALLSITE] !== callsite) continue;
      let covered = false;
      let loop = false;
      if (old.branches !== 0) {
        const verdict = compareUnfinished(env, old, insn);
        covered = verdict === Unfinished.CONVERGED;
        loop = covered;
        // States of many iterations differ and help little: save few of them.
        if (!covered && !forceNew && jumps < 20 && insns < 100) addNew = false;
      } else {
        loop = marksIncomplete(env, old);
        covered = statesEqual(env, old, cur, loop ? Exact.RANGE_WITHIN : Exact.NO);
      }
      if (covered) {
        hit(env, old, insn, loop);
        return Visit.COVERED;
      }
      if (addNew) old.missCount++;
      const patience = aux.forceCheckpoint[insn] !== 0 && old.branches > 0 ? 64 : 3;
      if (old.missCount > old.hitCount * patience + patience) {
        states.splice(i, 1);
        explored.addNear(insn, callsite, -1);
        old.evicted = true;
        explored.size--;
        explored.evicted++;
        maybeFree(env, old);
      }
    }
  }
  if (explored.maxPerInsn < count) explored.maxPerInsn = count;
  if (!env.bpfCapable && count > 64) return Visit.GO_ON;
  if (addNew) remember(env, insn);
  return Visit.GO_ON;
}

/** Saves the current state; the path goes on from it. */
function remember(env: VerifierEnv, insn: number): void {
  const { cur, explored } = env;
  explored.total++;
  explored.size++;
  explored.updatePeak();
  explored.prevJumps = env.jumpsProcessed;
  explored.prevInsns = env.insnsProcessed;
  if (env.bpfCapable) forgetPrecision(env);
  const saved = saveStateTakingHistory(env);
  saved.insn = insn;
  saved.branches = 1;
  saved.cleaned = false;
  maybeEnterLoop(env, saved);
  cur.parent = saved;
  cur.firstInsn = insn;
  cur.dfsDepth = saved.dfsDepth + 1;
  const list = explored.at[insn];
  explored.addNear(insn, env.mem.i32[env.frame + F_CALLSITE], 1);
  if (list === undefined) explored.at[insn] = [saved];
  else list.push(saved);
}

/** Precise marks come back from the paths that need them. `mark_all_scalars_imprecise` */
function forgetPrecision(env: VerifierEnv): void {
  const { cur } = env;
  const { i32 } = env.mem;
  for (let f = 0; f <= cur.curFrame; f++) {
    const frame = cur.frames[f];
    for (let n = 0; n < FRAME_REGS - 1; n++) i32[frameReg(frame, n) + PRECISE] = 0;
    for (let slot = i32[frame + F_SLOTS] - 1; slot >= 0; slot--) i32[frameSlotRow(frame, slot) + PRECISE] = 0;
  }
}

/** The current path ends here: what mattered to the old state's paths matters to this one. */
function hit(env: VerifierEnv, old: State, insn: number, loop: boolean): void {
  old.hitCount++;
  if (env.aux.jumpPoint[insn] !== 0) pushHistory(env, 0);
  propagatePrecision(env, old, env.cur);
  if (!loop) return;
  const backedge = saveState(env);
  backedge.equalState = old;
  backedge.insn = insn;
  const visit = lookupVisit(env, old);
  if (visit === undefined) {
    env.pool.release(env, backedge);
    return;
  }
  if (env.log.tracesAll) env.log.trace(`SCC backedge (${loopKey(env, old)})\n`);
  visit.backedges.unshift(backedge);
  env.explored.backedges++;
  env.explored.updatePeak();
}

/** `propagate_precision`; true when a saved state changed. */
function propagatePrecision(env: VerifierEnv, old: State, cur: State): boolean {
  const { i32, u8 } = env.mem;
  const bt = env.backtrack;
  let any = false;
  for (let f = old.curFrame; f >= 0; f--) {
    const frame = old.frames[f];
    const names: string[] | undefined = env.log.tracesAll ? [] : undefined;
    for (let n = 0; n < FRAME_REGS - 1; n++) {
      const row = frameReg(frame, n);
      if (i32[row + TYPE] !== RegType.SCALAR_VALUE || i32[row + PRECISE] === 0) continue;
      bt.regs[f] |= 1 << n;
      any = true;
      names?.push(`r${n}`);
    }
    const slots = i32[frame + F_SLOTS];
    for (let slot = 0; slot < slots; slot++) {
      if (u8[frameSlotTypes(frame, slot) + 7] !== SlotType.SPILL) continue;
      const row = frameSlotRow(frame, slot);
      if (i32[row + TYPE] !== RegType.SCALAR_VALUE || i32[row + PRECISE] === 0) continue;
      bt.setSlot(f, slot);
      any = true;
      names?.push(`fp${-8 * (slot + 1)}`);
    }
    if (names !== undefined && names.length > 0)
      env.log.trace(`frame ${f}: propagating ${names.join(",")}\n`);
  }
  return any && backtrackFrom(env, cur);
}

const Unfinished = { DIFFERENT: 0, CONVERGED: 1 } as const;

/** Compares with a state whose paths are not all walked: the current one came through it. */
function compareUnfinished(env: VerifierEnv, old: State, insn: number): number {
  const { cur, mem } = env;
  const { i32 } = mem;
  const frame = old.frames[old.curFrame];
  if (
    (i32[frame + F_FLAGS] & FrameFlag.IN_ASYNC_CALLBACK) !== 0 &&
    i32[frame + F_ASYNC_ENTRY] !== i32[env.frame + F_ASYNC_ENTRY]
  ) {
    return Unfinished.DIFFERENT; // another entry into the callback
  }
  if (env.iterNext[insn] !== 0) {
    // An iterator ends at some time: to come back with nothing new is fine.
    if (statesEqual(env, old, cur, Exact.RANGE_WITHIN) && iteratorIsActive(env)) return Unfinished.CONVERGED;
    return Unfinished.DIFFERENT;
  }
  if (env.insns.opcode[insn] === Opcode.JCOND) {
    if (old.mayGotoDepth !== cur.mayGotoDepth && statesEqual(env, old, cur, Exact.RANGE_WITHIN)) {
      return Unfinished.CONVERGED;
    }
  }
  if (env.aux.callsCallback[insn] !== 0) {
    return statesEqual(env, old, cur, Exact.RANGE_WITHIN) ? Unfinished.CONVERGED : Unfinished.DIFFERENT;
  }
  if (
    maybeLooping(env, old, cur) &&
    statesEqual(env, old, cur, Exact.EXACT) &&
    !iteratorDepthsDiffer(env, old, cur) &&
    old.mayGotoDepth === cur.mayGotoDepth &&
    old.callbackUnrollDepth === cur.callbackUnrollDepth
  ) {
    env.traceSource(insn);
    const text = `infinite loop detected at insn ${insn}`;
    env.verbose(`${text}\n`);
    env.traceState("cur state:", cur, cur.curFrame);
    env.traceState("old state:", old, cur.curFrame);
    throw new Rejection("verifier/infinite-loop", text, "EINVAL");
  }
  return Unfinished.DIFFERENT;
}

function iteratorIsActive(env: VerifierEnv): boolean {
  const { i32 } = env.mem;
  const row = env.reg(1);
  if (i32[row + TYPE] !== RegType.PTR_TO_STACK) return false;
  const slot = (-(i32[row + OFF] + i32[row + VAR_VALUE]) - 1) >> 3;
  return (i32[frameSlotRow(env.cur.frames[i32[row + C]], slot) + C] & 3) === IterState.ACTIVE;
}

/** `states_maybe_looping`: the innermost registers are the same, word by word. */
function maybeLooping(env: VerifierEnv, old: State, cur: State): boolean {
  if (old.curFrame !== cur.curFrame) return false;
  const { i32 } = env.mem;
  const oldFrame = old.frames[old.curFrame];
  const curFrame = cur.frames[cur.curFrame];
  for (let n = 0; n < FRAME_REGS; n++) {
    const a = frameReg(oldFrame, n);
    const b = frameReg(curFrame, n);
    for (let i = 0; i < ROW_WORDS; i++) {
      if (i !== PRECISE && i !== C && i32[a + i] !== i32[b + i]) return false;
    }
  }
  return true;
}

function iteratorDepthsDiffer(env: VerifierEnv, old: State, cur: State): boolean {
  const { i32, u8 } = env.mem;
  for (let f = old.curFrame; f >= 0; f--) {
    for (let slot = i32[old.frames[f] + F_SLOTS] - 1; slot >= 0; slot--) {
      if (u8[frameSlotTypes(old.frames[f], slot)] !== SlotType.ITER) continue;
      const a = i32[frameSlotRow(old.frames[f], slot) + C];
      if ((a & 3) === IterState.ACTIVE && a >>> 2 !== i32[frameSlotRow(cur.frames[f], slot) + C] >>> 2)
        return true;
    }
  }
  return false;
}

// -- loops ----------------------------------------------------------------------------------------------------------------

/** Loop and call sites of a state inside a loop; undefined outside. `compute_scc_callchain` */
function loopKey(env: VerifierEnv, state: State): number | string | undefined {
  const { scc } = env.aux;
  const { i32 } = env.mem;
  let sites = "";
  for (let f = 0; f <= state.curFrame; f++) {
    const insn = f === state.curFrame ? state.insn : i32[state.frames[f + 1] + F_CALLSITE];
    if (scc[insn] !== 0) return f === 0 ? scc[insn] : `${sites}${scc[insn]}`;
    sites += `${insn},`;
  }
  return undefined;
}

function lookupVisit(env: VerifierEnv, state: State): LoopVisit | undefined {
  const key = loopKey(env, state);
  return key === undefined ? undefined : env.explored.visits.get(key);
}

function maybeEnterLoop(env: VerifierEnv, state: State): void {
  const key = loopKey(env, state);
  if (key === undefined) return;
  let visit = env.explored.visits.get(key);
  if (visit === undefined) {
    visit = new LoopVisit();
    env.explored.visits.set(key, visit);
  }
  if (visit.entry !== undefined) return;
  visit.entry = state;
  if (env.log.tracesAll) env.log.trace(`SCC enter (${key})\n`);
}

function maybeExitLoop(env: VerifierEnv, state: State): void {
  const visit = lookupVisit(env, state);
  if (visit === undefined || visit.entry !== state) return;
  if (env.log.tracesAll) env.log.trace(`SCC exit (${loopKey(env, state)})\n`);
  visit.entry = undefined;
  env.explored.backedges -= visit.backedges.length;
  propagateBackedges(env, visit);
}

const MAX_BACKEDGE_ROUNDS = 64;

/** Carries precision around the loop until nothing changes. `propagate_backedges` */
function propagateBackedges(env: VerifierEnv, visit: LoopVisit): void {
  let changed = visit.backedges.length > 0;
  for (let round = 0; changed; round++) {
    changed = false;
    if (round >= MAX_BACKEDGE_ROUNDS) {
      for (const state of visit.backedges) markAllPrecise(env, state);
      break;
    }
    for (const state of visit.backedges) {
      if (state.equalState !== undefined && propagatePrecision(env, state.equalState, state)) changed = true;
    }
  }
  for (const state of visit.backedges) env.pool.release(env, state);
  visit.backedges = [];
}

/** Marks of a state inside a loop are final only when the loop's back edges are settled. `incomplete_read_marks` */
function marksIncomplete(env: VerifierEnv, state: State): boolean {
  const visit = lookupVisit(env, state);
  return visit !== undefined && visit.backedges.length > 0;
}

/** The path from `start` is done: states without open paths are final. `update_branch_counts` */
export function finishPath(env: VerifierEnv, start: State | undefined): void {
  let state = start;
  let below: State | undefined;
  while (state !== undefined) {
    state.branches--;
    if (state.branches !== 0) break;
    maybeExitLoop(env, state);
    const { parent } = state;
    if (below !== undefined) maybeFree(env, below);
    below = state;
    state = parent;
  }
  if (below !== undefined) maybeFree(env, below);
}

function maybeFree(env: VerifierEnv, state: State): void {
  if (!state.evicted || state.branches !== 0 || marksIncomplete(env, state)) return;
  state.evicted = false;
  env.explored.evicted--;
  env.pool.release(env, state);
}

// -- cleaning -------------------------------------------------------------------------------------------------------------

/** Finished states forget what nobody reads any more. `clean_live_states` */
function cleanLiveStates(env: VerifierEnv, states: readonly State[], insn: number): void {
  for (const state of states) {
    if (state.branches !== 0 || state.cleaned || state.insn !== insn) continue;
    if (!sameCallsites(env, state, env.cur) || marksIncomplete(env, state)) continue;
    clean(env, state);
  }
}

function clean(env: VerifierEnv, state: State): void {
  const { stackLiveness } = env.pre;
  const { i32, u8 } = env.mem;
  state.cleaned = true;
  stackLiveness.queryInit(env, state);
  for (let f = 0; f <= state.curFrame; f++) {
    const frame = state.frames[f];
    const insn = f === state.curFrame ? state.insn : i32[state.frames[f + 1] + F_CALLSITE];
    const live = env.aux.liveRegs[insn];
    for (let n = 0; n < FRAME_REGS - 1; n++) {
      if ((live & (1 << n)) === 0) env.domain.zeroWords(frameReg(frame, n), ROW_WORDS);
    }
    const slots = i32[frame + F_SLOTS];
    for (let slot = 0; slot < slots; slot++) {
      if (stackLiveness.isAlive(env, f, slot)) continue;
      env.domain.zeroWords(frameSlotRow(frame, slot), ROW_WORDS);
      const types = frameSlotTypes(frame, slot);
      for (let i = 0; i < 8; i++) u8[types + i] = SlotType.INVALID;
    }
  }
}

// -- comparing ------------------------------------------------------------------------------------------------------------

/** `states_equal`: whatever is safe from `old` on is safe from `cur` on. */
function statesEqual(env: VerifierEnv, old: State, cur: State, exact: Exact): boolean {
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

function refsEqual(env: VerifierEnv, old: State, cur: State): boolean {
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

/** `regsafe` */
function rowSafe(env: VerifierEnv, old: number, cur: number, exact: Exact): boolean {
  if (exact === Exact.EXACT) return rowsExact(env, old, cur);
  const { mem, domain, ids } = env;
  const { i32 } = mem;
  const type = i32[old + TYPE];
  if (type === RegType.NOT_INIT) return true;
  if (type !== i32[cur + TYPE]) return false;
  switch (type & BASE_TYPE_MASK) {
    case RegType.SCALAR_VALUE: {
      if (i32[old + PRECISE] === 0 && exact === Exact.NO) return true;
      const oldId = i32[old + ID];
      const curId = i32[cur + ID];
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
  const { i32, u8 } = env.mem;
  const oldSlots = i32[old + F_SLOTS];
  const curSlots = i32[cur + F_SLOTS];
  for (let slot = 0; slot < oldSlots; slot++) {
    const oldTypes = frameSlotTypes(old, slot);
    const inCur = slot < curSlots;
    const curTypes = frameSlotTypes(cur, slot);
    if (exact !== Exact.NO) {
      if (!inCur) return false;
      for (let i = 0; i < 8; i++) if (u8[oldTypes + i] !== u8[curTypes + i]) return false;
    }
    const word = oldTypes >> 2;
    // Nothing was there, or (with privilege) nothing that matters.
    if ((i32[word] | i32[word + 1]) === 0) continue;
    if (env.allowUninitStack && allMiscOrInvalid(u8, oldTypes)) continue;
    if (inCur) {
      const a = scalarOfSlot(env, old, slot);
      const b = a === 0 ? 0 : scalarOfSlot(env, cur, slot);
      if (a !== 0 && b !== 0) {
        if (!rowSafe(env, a, b, exact)) return false;
        continue;
      }
    }
    if (!bytesSafe(env, oldTypes, curTypes, inCur)) return false;
    if (inCur && !slotSafe(env, old, cur, slot, exact)) return false;
  }
  return true;
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
function slotSafe(env: VerifierEnv, old: number, cur: number, slot: number, exact: Exact): boolean {
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
