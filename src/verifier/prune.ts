// One algorithm: is the current state covered by one that was walked before (`is_state_visited`)?
import { Opcode } from "../isa/index.ts";
import { Exact, statesEqual } from "./compare.ts";
import type { VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { LoopVisit } from "./explored.ts";
import { pushHistory } from "./history.ts";
import {
  C,
  F_ASYNC_ENTRY,
  F_CALLSITE,
  F_FLAGS,
  F_SLOTS,
  FRAME_REGS,
  FrameFlag,
  OFF,
  PRECISE,
  ROW_WORDS,
  SlotType,
  TYPE,
  VAR_VALUE,
} from "./layout.ts";
import { backtrackFrom, markAllPrecise } from "./precision.ts";
import { IterState, RegType } from "./register-types.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";
import { saveState, saveStateTakingHistory } from "./states.ts";
import { sameCallsites } from "./widen.ts";

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
  const { watch } = env.options;
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
        // Linux 6.18 keeps no back edge for a callback that converges (later kernels do).
        loop = covered && aux.callsCallback[insn] === 0;
        // States of many iterations differ and help little: save few of them.
        if (!covered && !forceNew && jumps < 20 && insns < 100) addNew = false;
      } else {
        loop = marksIncomplete(env, old);
        covered = statesEqual(env, old, cur, loop ? Exact.RANGE_WITHIN : Exact.NO);
      }
      if (covered) {
        watch?.covered(insn);
        hit(env, old, insn, loop);
        return Visit.COVERED;
      }
      watch?.apart(insn, old, env);
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

/** As Linux prints it: a call by the first instruction ends its list of call sites. `format_callchain` */
function keyText(key: number | string | undefined): string {
  return String(key).replace(/^0,(\d+,)*/, "");
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
  if (env.log.tracesAll) env.log.trace(`SCC enter (${keyText(key)})\n`);
}

function maybeExitLoop(env: VerifierEnv, state: State): void {
  const visit = lookupVisit(env, state);
  if (visit === undefined || visit.entry !== state) return;
  if (env.log.tracesAll) env.log.trace(`SCC exit (${keyText(loopKey(env, state))})\n`);
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
