// One algorithm: which earlier scalars a value that matters was made of (precision backtracking).
import {
  Class,
  CODE_MASK,
  classOf,
  functionTarget,
  isLocalCall,
  MODE_MASK,
  Mode,
  Opcode,
  PseudoCall,
  SOURCE_X,
} from "../isa/index.ts";
import type { VerifierEnv } from "./env.ts";
import {
  DST_IS_POINTER,
  LINKED_COUNT_SHIFT,
  LINKED_IS_REG,
  SRC_IS_POINTER,
  STACK_ACCESS,
} from "./history.ts";
import {
  F_CALLSITE,
  F_SLOTS,
  F_SUBPROG,
  FRAME_HEADER,
  FRAME_STACK_AT,
  MAX_FRAMES,
  PRECISE,
  ROW_WORDS,
  SLOT_TYPE_WORDS,
  SLOT_WORDS,
  SlotType,
  TYPE,
} from "./layout.ts";
import { RegType } from "./register-types.ts";
import { H_FLAGS, H_INSN, H_LINKED_HI, H_LINKED_LO, H_PREV, HISTORY_WORDS, type State } from "./state.ts";

const ARGS = 0b111110;
const MOV = 0xb0;
const NEG = 0x80;
const END = 0xd0;
const EXIT = 0x90;
const CALL = 0x80;
const TAIL_CALL = 12;
const FETCH = 1;
const CMPXCHG = 0xf1;
const LOAD_ACQUIRE = 0x100;

/** What still has to become precise, by frame: `struct backtrack_state`. One per verification, empty between uses. */
export class Backtrack {
  frame = 0;
  /** Slot of the instruction that asks; -1: a saved state that covers the current one. */
  wanted = -1;
  /** Bit n: register n. */
  readonly regs: Int32Array = new Int32Array(MAX_FRAMES);
  /** Slots 0–31 and 32–63. */
  readonly slotsLo: Int32Array = new Int32Array(MAX_FRAMES);
  readonly slotsHi: Int32Array = new Int32Array(MAX_FRAMES);

  /** Asks for a slot of a frame. */
  setSlot(frame: number, slot: number): void {
    if (slot < 32) this.slotsLo[frame] |= 1 << slot;
    else this.slotsHi[frame] |= 1 << (slot - 32);
  }

  /** The slot is settled. */
  clearSlot(frame: number, slot: number): void {
    if (slot < 32) this.slotsLo[frame] &= ~(1 << slot);
    else this.slotsHi[frame] &= ~(1 << (slot - 32));
  }

  /** Is the slot asked for? */
  hasSlot(frame: number, slot: number): boolean {
    return ((slot < 32 ? this.slotsLo[frame] >>> slot : this.slotsHi[frame] >>> (slot - 32)) & 1) !== 0;
  }

  /** Nothing is asked for any more. */
  isEmpty(): boolean {
    let all = 0;
    for (let f = 0; f <= this.frame; f++) all |= this.regs[f] | this.slotsLo[f] | this.slotsHi[f];
    return all === 0;
  }

  /** Forgets everything. */
  reset(): void {
    this.regs.fill(0);
    this.slotsLo.fill(0);
    this.slotsHi.fill(0);
    this.frame = 0;
  }
}

/** Register `n` of the innermost frame must be known exactly, and so all it was computed from. `mark_chain_precision` */
export function markChainPrecision(env: VerifierEnv, n: number): void {
  if (!env.bpfCapable) return;
  env.backtrack.frame = env.cur.curFrame;
  env.backtrack.regs[env.cur.curFrame] |= 1 << n;
  env.backtrack.wanted = env.insn;
  backtrackFrom(env, env.cur);
  env.backtrack.wanted = -1;
}

/** The same for what `env.backtrack` asks for already; true when a saved state changed. */
export function backtrackFrom(env: VerifierEnv, start: State): boolean {
  const bt = env.backtrack;
  if (!env.bpfCapable) {
    bt.reset();
    return false;
  }
  bt.frame = start.curFrame;
  if (bt.isEmpty()) return false;
  let state = start;
  let first = state.firstInsn;
  let last = start.insn;
  let next = -1;
  let skipFirst = true;
  let changed = false;
  if (env.log.tracesAll) traceStart(env, last, first, next);
  for (;;) {
    if (last < 0) {
      // The entry of a global function: its arguments, nothing else, may still be asked for.
      if (enterFunction(env, state)) changed = true;
      else if (markAllPrecise(env, start)) changed = true;
      bt.reset();
      return changed;
    }
    const { history } = state;
    const { words } = history;
    let left = history.length;
    let insn = last;
    for (;;) {
      if (skipFirst) {
        skipFirst = false;
      } else {
        const at =
          left > 0 && words[(left - 1) * HISTORY_WORDS + H_INSN] === insn ? (left - 1) * HISTORY_WORDS : -1;
        if (!step(env, bt, insn, next, words, at)) {
          changed = markAllPrecise(env, start) || changed;
          bt.reset();
          return changed;
        }
      }
      if (bt.isEmpty()) {
        bt.frame = 0;
        return changed;
      }
      next = insn;
      if (insn === state.firstInsn && (left === 0 || (left === 1 && words[H_INSN] === insn))) break;
      if (left > 0 && words[(left - 1) * HISTORY_WORDS + H_INSN] === insn) {
        insn = words[(left - 1) * HISTORY_WORDS + H_PREV];
        left--;
      } else {
        insn--;
      }
      if (insn < 0 || insn >= env.insns.length) {
        // Came to the entry without finding where the value was made: be safe.
        changed = markAllPrecise(env, start) || changed;
        bt.reset();
        return changed;
      }
    }
    const { parent } = state;
    if (parent === undefined) break;
    if (markIn(env, bt, parent)) changed = true;
    if (bt.isEmpty()) {
      bt.frame = 0;
      return changed;
    }
    state = parent;
    next = first;
    last = state.lastInsn;
    first = state.firstInsn;
    if (env.log.tracesAll) traceStart(env, last, first, next);
  }
  changed = markAllPrecise(env, start) || changed;
  bt.reset();
  return changed;
}

/** Marks what is asked for in a saved state; what is precise already, or no scalar, needs nothing further. */
function markIn(env: VerifierEnv, bt: Backtrack, state: State): boolean {
  const { mem } = env;
  const { i32, u8 } = mem;
  const { watch } = env.options;
  let changed = false;
  for (let f = bt.frame; f >= 0; f--) {
    const frame = state.frames[f];
    let regs = bt.regs[f];
    while (regs !== 0) {
      const n = 31 - Math.clz32(regs);
      regs &= ~(1 << n);
      const row = frame + FRAME_HEADER + n * ROW_WORDS;
      if (i32[row + TYPE] !== RegType.SCALAR_VALUE || i32[row + PRECISE] !== 0) {
        bt.regs[f] &= ~(1 << n);
      } else {
        i32[row + PRECISE] = 1;
        changed = true;
        watch?.precise(state.insn, f, n, bt.wanted);
      }
    }
    const anySlot = (bt.slotsLo[f] | bt.slotsHi[f]) !== 0;
    for (let slot = 0; anySlot && slot < 64; slot++) {
      if (!bt.hasSlot(f, slot)) continue;
      const at = frame + FRAME_STACK_AT + slot * SLOT_WORDS;
      const row = at + SLOT_TYPE_WORDS;
      if (
        slot >= i32[frame + F_SLOTS] ||
        u8[at * 4 + 7] !== SlotType.SPILL ||
        i32[row + TYPE] !== RegType.SCALAR_VALUE ||
        i32[row + PRECISE] !== 0
      ) {
        bt.clearSlot(f, slot);
      } else {
        i32[row + PRECISE] = 1;
        changed = true;
        watch?.precise(state.insn, f, -8 * (slot + 1), bt.wanted);
      }
    }
    if (env.log.tracesAll) env.tracePrecise(state, f);
  }
  return changed;
}

function enterFunction(env: VerifierEnv, state: State): boolean {
  const bt = env.backtrack;
  const { i32 } = env.mem;
  const frame = state.frames[0];
  const onlyArgs = (bt.regs[bt.frame] & ~ARGS) === 0 && (bt.slotsLo[bt.frame] | bt.slotsHi[bt.frame]) === 0;
  if (state.curFrame !== 0 || i32[frame + F_SUBPROG] === 0 || i32[frame + F_CALLSITE] !== -1 || !onlyArgs)
    return false;
  for (let n = 1; n <= 5; n++) {
    const row = frame + FRAME_HEADER + n * ROW_WORDS;
    if ((bt.regs[bt.frame] & (1 << n)) !== 0 && i32[row + TYPE] === RegType.SCALAR_VALUE)
      i32[row + PRECISE] = 1;
  }
  return true;
}

/** Goes back over one instruction; false: cannot tell, mark all. `backtrack_insn` */
function step(
  env: VerifierEnv,
  bt: Backtrack,
  insn: number,
  next: number,
  words: Int32Array,
  at: number,
): boolean {
  const { insns } = env;
  const opcode = insns.opcode[insn];
  if (opcode === 0) return true;
  if (env.log.tracesAll) env.traceBacktrack(insn);
  const flags = at >= 0 ? words[at + H_FLAGS] : 0;
  if (flags >>> LINKED_COUNT_SHIFT !== 0)
    syncLinked(bt, flags, words[at + H_LINKED_LO], words[at + H_LINKED_HI]);
  const done = stepOver(env, bt, insn, next, opcode, flags);
  if (flags >>> LINKED_COUNT_SHIFT !== 0)
    syncLinked(bt, flags, words[at + H_LINKED_LO], words[at + H_LINKED_HI]);
  return done;
}

function stepOver(
  env: VerifierEnv,
  bt: Backtrack,
  insn: number,
  next: number,
  opcode: number,
  flags: number,
): boolean {
  const { insns } = env;
  const dst = 1 << insns.dst[insn];
  const src = insns.src[insn] < 10 ? 1 << insns.src[insn] : 0;
  const f = bt.frame;
  const klass = classOf(opcode);
  switch (klass) {
    case Class.ALU:
    case Class.ALU64: {
      if ((bt.regs[f] & dst) === 0) return true;
      const code = opcode & CODE_MASK;
      if (code === END || code === NEG) return true;
      if (code === MOV) bt.regs[f] &= ~dst;
      if ((opcode & SOURCE_X) !== 0) bt.regs[f] |= src;
      return true;
    }
    case Class.LDX:
      return stepLoad(bt, dst, flags);
    case Class.STX:
    case Class.ST:
      if ((opcode & MODE_MASK) === Mode.ATOMIC) {
        const imm = insns.imm[insn];
        if (imm === LOAD_ACQUIRE) return stepLoad(bt, dst, flags);
        if ((imm & FETCH) !== 0) return stepLoad(bt, imm === CMPXCHG ? 1 : src, flags);
      }
      if ((bt.regs[f] & dst) !== 0) return false;
      if ((flags & STACK_ACCESS) === 0) return true;
      if (!bt.hasSlot(flags & 7, (flags >> 3) & 63)) return true;
      bt.clearSlot(flags & 7, (flags >> 3) & 63);
      if (klass === Class.STX) bt.regs[f] |= src;
      return true;
    case Class.JMP:
    case Class.JMP32:
      return stepJump(env, bt, insn, next, opcode, flags, dst, src);
    default: {
      // lddw gives a constant; the old packet loads are not followed.
      if ((bt.regs[f] & dst) === 0) return true;
      bt.regs[f] &= ~dst;
      const mode = opcode & MODE_MASK;
      return mode !== Mode.ABS && mode !== Mode.IND;
    }
  }
}

function stepLoad(bt: Backtrack, reg: number, flags: number): boolean {
  if ((bt.regs[bt.frame] & reg) === 0) return true;
  bt.regs[bt.frame] &= ~reg;
  if ((flags & STACK_ACCESS) !== 0) bt.setSlot(flags & 7, (flags >> 3) & 63);
  return true;
}

function stepJump(
  env: VerifierEnv,
  bt: Backtrack,
  insn: number,
  next: number,
  opcode: number,
  flags: number,
  dst: number,
  src: number,
): boolean {
  const { insns } = env;
  const f = bt.frame;
  const code = opcode & CODE_MASK;
  if (isLocalCall(insns, insn)) {
    const callee = env.subprogAt(functionTarget(insns, insn));
    if (env.subprogs[callee].isGlobal) {
      if ((bt.regs[f] & ARGS) !== 0) return false;
      bt.regs[f] &= ~1;
      return true;
    }
    // Left the callee through its entry: its arguments are the caller's r1–r5.
    if ((bt.regs[f] & ~ARGS) !== 0 || (bt.slotsLo[f] | bt.slotsHi[f]) !== 0 || f === 0) return false;
    bt.regs[f - 1] |= bt.regs[f] & ARGS;
    bt.regs[f] = 0;
    bt.frame = f - 1;
    return true;
  }
  if (opcode === Opcode.CALL && env.aux.callsCallback[insn] !== 0 && insn !== next - 1) {
    // Left a callback through its entry: its arguments come from the helper.
    if ((bt.regs[f] & ~ARGS) !== 0 || (bt.slotsLo[f] | bt.slotsHi[f]) !== 0 || f === 0) return false;
    bt.regs[f] = 0;
    bt.frame = f - 1;
    return true;
  }
  if (code === CALL) {
    if (insns.src[insn] === PseudoCall.KFUNC && insns.imm[insn] === 0) return false;
    bt.regs[f] &= ~1;
    if ((bt.regs[f] & ARGS) !== 0) return false;
    if (insns.src[insn] === 0 && insns.imm[insn] === TAIL_CALL && next - insn !== 1) return enterCallee(bt);
    return true;
  }
  if (code === EXIT) {
    if (next >= 0 && env.aux.callsCallback[next] !== 0) bt.regs[f] &= ~ARGS;
    if ((bt.regs[f] & ARGS) !== 0) return false;
    // Back into the function that was called before `next`: its r0 is the result, a callback's is not.
    const wantsResult = next > 0 && isLocalCall(insns, next - 1) && (bt.regs[f] & 1) !== 0;
    bt.regs[f] &= ~1;
    if (!enterCallee(bt)) return false;
    if (wantsResult) bt.regs[bt.frame] |= 1;
    return true;
  }
  if ((opcode & SOURCE_X) !== 0 && code !== 0) {
    if ((bt.regs[f] & (dst | src)) === 0) return true;
    if ((flags & SRC_IS_POINTER) === 0) bt.regs[f] |= src;
    if ((flags & DST_IS_POINTER) === 0) bt.regs[f] |= dst;
  }
  return true;
}

function enterCallee(bt: Backtrack): boolean {
  if (bt.frame === MAX_FRAMES - 1) return false;
  bt.frame++;
  return true;
}

/** When one of the linked registers is asked for, all are. `bt_sync_linked_regs` */
function syncLinked(bt: Backtrack, flags: number, lo: number, hi: number): void {
  const count = (flags >>> LINKED_COUNT_SHIFT) & 7;
  let wanted = false;
  for (let i = 0; i < count && !wanted; i++) {
    const entry = linkedEntry(i, lo, hi);
    const frame = entry & 7;
    const index = (entry >> 3) & 63;
    wanted = (entry & LINKED_IS_REG) !== 0 ? (bt.regs[frame] & (1 << index)) !== 0 : bt.hasSlot(frame, index);
  }
  if (!wanted) return;
  for (let i = 0; i < count; i++) {
    const entry = linkedEntry(i, lo, hi);
    const index = (entry >> 3) & 63;
    if ((entry & LINKED_IS_REG) !== 0) bt.regs[entry & 7] |= 1 << index;
    else bt.setSlot(entry & 7, index);
  }
}

function linkedEntry(i: number, lo: number, hi: number): number {
  return i < 3 ? (lo >>> (10 * i)) & 0x3ff : (hi >>> (10 * (i - 3))) & 0x3ff;
}

/** Gives up: every scalar of every state on the path is precise. `mark_all_scalars_precise` */
export function markAllPrecise(env: VerifierEnv, start: State): boolean {
  const { i32, u8 } = env.mem;
  if (env.log.tracesAll) {
    env.log.trace(`mark_precise: frame${start.curFrame}: falling back to forcing all scalars precise\n`);
  }
  let changed = false;
  for (let state = start.parent; state !== undefined; state = state.parent) {
    for (let f = 0; f <= state.curFrame; f++) {
      const frame = state.frames[f];
      for (let n = 0; n < 10; n++) {
        const row = frame + FRAME_HEADER + n * ROW_WORDS;
        if (i32[row + TYPE] !== RegType.SCALAR_VALUE || i32[row + PRECISE] !== 0) continue;
        i32[row + PRECISE] = 1;
        changed = true;
      }
      for (let slot = 0; slot < i32[frame + F_SLOTS]; slot++) {
        const at = frame + FRAME_STACK_AT + slot * SLOT_WORDS;
        const row = at + SLOT_TYPE_WORDS;
        if (u8[at * 4 + 7] !== SlotType.SPILL || i32[row + TYPE] !== RegType.SCALAR_VALUE) continue;
        if (i32[row + PRECISE] !== 0) continue;
        i32[row + PRECISE] = 1;
        changed = true;
      }
    }
  }
  return changed;
}

function traceStart(env: VerifierEnv, last: number, first: number, next: number): void {
  const frame = env.backtrack.frame;
  env.log.trace(`mark_precise: frame${frame}: last_idx ${last} first_idx ${first} subseq_idx ${next} \n`);
}
