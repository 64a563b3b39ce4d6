import { POOL_START } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { CURRENT_AT, F_SLOTS, FRAME_STACK_AT, FRAME_WORDS, MAX_FRAMES, SLOT_WORDS } from "./layout.ts";
import { JumpHistory, State } from "./state.ts";

/** Saved frames come in sizes of so many slots, to be reused. */
const SLOT_STEP = 4;
const SIZES = 64 / SLOT_STEP + 1;

/** Memory of saved states: frames of 17 sizes, freed ones kept by size. */
export class StatePool {
  private next = POOL_START;
  private readonly free: number[][] = Array.from({ length: SIZES }, () => []);
  private readonly states: State[] = [];
  private readonly limitWords: number;

  constructor(limitBytes: number) {
    this.limitWords = Math.floor(limitBytes / 4);
  }

  private peak = POOL_START;

  /** Most bytes taken at any time. */
  get peakBytes(): number {
    return (Math.max(this.peak, this.next) - POOL_START) * 4;
  }

  /** Forgets all states: the next function starts over. */
  reset(): void {
    this.peak = Math.max(this.peak, this.next);
    this.next = POOL_START;
    for (const list of this.free) list.length = 0;
  }

  /** A state to save into; its frames are not set. */
  newState(): State {
    return this.states.pop() ?? new State();
  }

  /** Word index of a frame with room for `slots`; 0 when memory is exhausted. */
  newFrame(env: VerifierEnv, slots: number): number {
    const size = Math.ceil(slots / SLOT_STEP);
    const reused = this.free[size].pop();
    if (reused !== undefined) return reused;
    const at = this.next;
    const end = at + FRAME_STACK_AT + size * SLOT_STEP * SLOT_WORDS;
    if (end > this.limitWords || !env.mem.growTo(end)) env.unsupported("state memory beyond the limit");
    this.next = end;
    return at;
  }

  /** Gives a saved state back. Nothing may refer to it any more. */
  release(env: VerifierEnv, state: State): void {
    const { i32 } = env.mem;
    for (let f = 0; f <= state.curFrame; f++) {
      const frame = state.frames[f];
      this.free[Math.ceil(i32[frame + F_SLOTS] / SLOT_STEP)].push(frame);
    }
    state.parent = undefined;
    state.equalState = undefined;
    state.history.length = 0;
    this.states.push(state);
  }
}

/** The state that `env.cur` is: full frames at fixed places. */
export function currentState(): State {
  const state = new State();
  for (let f = 0; f < MAX_FRAMES; f++) state.frames[f] = CURRENT_AT + f * FRAME_WORDS;
  return state;
}

/** Copies all but frames and history. */
function copyFields(dst: State, src: State): void {
  dst.curFrame = src.curFrame;
  dst.refs = src.refs;
  dst.activeLocks = src.activeLocks;
  dst.activePreemptLocks = src.activePreemptLocks;
  dst.activeIrqId = src.activeIrqId;
  dst.activeLockId = src.activeLockId;
  dst.activeLockOwner = src.activeLockOwner;
  dst.activeRcuLocks = src.activeRcuLocks;
  dst.speculative = src.speculative;
  dst.inSleepable = src.inSleepable;
  dst.cleaned = src.cleaned;
  dst.parent = src.parent;
  dst.branches = src.branches;
  dst.insn = src.insn;
  dst.firstInsn = src.firstInsn;
  dst.lastInsn = src.lastInsn;
  dst.callbackUnrollDepth = src.callbackUnrollDepth;
  dst.mayGotoDepth = src.mayGotoDepth;
  dst.dfsDepth = src.dfsDepth;
  dst.equalState = src.equalState;
  dst.trace = src.trace;
}

/** A copy of the current state in the pool, history included. `copy_verifier_state` */
export function saveState(env: VerifierEnv): State {
  const { cur, pool } = env;
  const saved = pool.newState();
  copyFields(saved, cur);
  for (let f = 0; f <= cur.curFrame; f++) {
    const from = cur.frames[f];
    const slots = env.mem.i32[from + F_SLOTS];
    const to = pool.newFrame(env, slots);
    env.domain.copyWords(to, from, FRAME_STACK_AT + slots * SLOT_WORDS);
    saved.frames[f] = to;
  }
  saved.history.copyFrom(cur.history);
  saved.hitCount = 0;
  saved.missCount = 0;
  saved.evicted = false;
  return saved;
}

/** As {@link saveState}, but the history moves: the current one is empty afterwards. */
export function saveStateTakingHistory(env: VerifierEnv): State {
  const { cur } = env;
  const kept = cur.history;
  const fresh = new JumpHistory();
  cur.history = fresh;
  const saved = saveState(env);
  cur.history = saved.history;
  cur.history.length = 0;
  saved.history = kept;
  return saved;
}

/** The saved state becomes the current one; it stays as it is. */
export function loadState(env: VerifierEnv, saved: State): void {
  const { cur } = env;
  copyFields(cur, saved);
  for (let f = 0; f <= saved.curFrame; f++) {
    const from = saved.frames[f];
    env.domain.copyWords(cur.frames[f], from, FRAME_STACK_AT + env.mem.i32[from + F_SLOTS] * SLOT_WORDS);
  }
  cur.history.copyFrom(saved.history);
}

/** A path to be walked later: `struct bpf_verifier_stack_elem`. */
export interface PendingPath {
  readonly state: State;
  readonly insn: number;
  readonly prevInsn: number;
  /** Where the log stood. */
  readonly logPosition: number;
}

/** `BPF_COMPLEXITY_LIMIT_JMP_SEQ` */
const MAX_PENDING = 8192;

/** Puts a copy of the current state aside, to go on at `insn`. Returns the copy, for the caller to adjust. `push_stack` */
export function pushPath(env: VerifierEnv, insn: number, prevInsn: number, speculative: boolean): State {
  const state = saveState(env);
  if (speculative) state.speculative = true;
  env.pending.push({ state, insn, prevInsn, logPosition: env.log.position });
  if (env.pending.length > MAX_PENDING) {
    const text = `The sequence of ${env.pending.length} jumps is too complex.`;
    env.fail("verifier/too-many-jumps", text, "EFAULT");
  }
  // At least one path from the parent is open until this copy is done.
  if (state.parent !== undefined) state.parent.branches++;
  return state;
}
