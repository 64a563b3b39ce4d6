// One algorithm: which stack slots may still be read, by call chain and instruction.
import { Class, classOf, type InsnTable, isHelperCall, isWide } from "../../isa/index.ts";
import { successors } from "../cfg-edges.ts";
import type { Postorder } from "../cfg-order.ts";
import type { VerifierEnv } from "../env.ts";
import { F_CALLSITE, F_SUBPROG, MAX_FRAMES } from "../layout.ts";
import type { StackLiveness } from "../ports.ts";
import type { State, Subprog } from "../state.ts";

const TAIL_CALL = 12;

/**
 * What one function does to the stacks of its own and of its callers' frames, when called through one chain of calls. Per
 * frame, once something is known of it, four masks of 64 slots for each instruction, two words each:
 * `may read | must write | must write, from here to the end | live before`.
 */
class Instance {
  /** Number of the subprogram. */
  readonly subprog: number;
  readonly start: number;
  readonly length: number;
  /** Number of the frame it runs in. */
  readonly frame: number;
  readonly outer: Instance | undefined;
  /** Call in {@link outer} that leads here; -1 in frame 0. */
  readonly callsite: number;
  /** Functions called from here, by call and callee. */
  readonly inner = new Map<number, Instance>();
  readonly masks: (Int32Array | undefined)[];
  /** By instruction: "must write" is known. */
  readonly writesKnown: Uint8Array;
  /** Marks were added that are not propagated yet. */
  updated = false;
  /** Instructions (from {@link start}) whose marks changed since, each once. */
  readonly changed: number[] = [];
  /** By instruction: is in {@link changed}. */
  readonly isChanged: Uint8Array;
  /** A "must write" mark was taken back. */
  writesDropped = false;

  constructor(subprog: number, start: number, length: number, outer: Instance | undefined, callsite: number) {
    this.subprog = subprog;
    this.start = start;
    this.length = length;
    this.outer = outer;
    this.callsite = callsite;
    this.frame = outer === undefined ? 0 : outer.frame + 1;
    this.masks = new Array(this.frame + 1).fill(undefined);
    this.writesKnown = new Uint8Array(length);
    this.isChanged = new Uint8Array(length);
  }

  /** The marks of an instruction changed. */
  touch(at: number): void {
    this.updated = true;
    if (this.isChanged[at] !== 0) return;
    this.isChanged[at] = 1;
    this.changed.push(at);
  }

  /** The masks of a frame, made when first asked for. */
  masksOf(frame: number): Int32Array {
    let masks = this.masks[frame];
    if (masks === undefined) {
      masks = new Int32Array(this.length * MASK_WORDS);
      this.masks[frame] = masks;
    }
    return masks;
  }
}

const READ = 0;
const WRITE = 2;
const WRITE_ON = 4;
const LIVE = 6;
const MASK_WORDS = 8;

/** A function's flow graph backwards. Ranks count instructions in postorder: what comes later on a path has the lower rank. */
interface Flow {
  /** Slot, by rank. */
  readonly slots: Int32Array;
  /** Rank, by instruction (from the function's first). */
  readonly rank: Int32Array;
  /** Ranks of the instructions before instruction n: `before[firstBefore[n]]` to `before[firstBefore[n + 1] - 1]`. */
  readonly firstBefore: Int32Array;
  readonly before: Int32Array;
}

function reverseFlow({ insns, order, subprogs }: StackLivenessInput, subprog: number): Flow {
  const { start, end } = subprogs[subprog];
  const slots = order.slots.slice(order.starts[subprog], order.starts[subprog + 1]);
  const rank = new Int32Array(end - start);
  const firstBefore = new Int32Array(end - start + 1);
  const next = new Int32Array(2);
  for (let i = 0; i < slots.length; i++) {
    rank[slots[i] - start] = i;
    const edges = successors(insns, slots[i], next);
    for (let edge = 0; edge < edges; edge++) firstBefore[next[edge] - start + 1]++;
  }
  for (let at = 0; at < end - start; at++) firstBefore[at + 1] += firstBefore[at];
  const fill = firstBefore.slice();
  const before = new Int32Array(firstBefore[end - start]);
  for (let i = 0; i < slots.length; i++) {
    const edges = successors(insns, slots[i], next);
    for (let edge = 0; edge < edges; edge++) before[fill[next[edge] - start]++] = i;
  }
  return { slots: Int32Array.from(slots), rank, firstBefore, before };
}

/** A set of ranks that gives the lowest first: a binary heap. */
class RankQueue {
  private readonly heap: number[] = [];
  private readonly queued = new Set<number>();

  add(rank: number): void {
    if (this.queued.has(rank)) return;
    this.queued.add(rank);
    const { heap } = this;
    let at = heap.push(rank) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= rank) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = rank;
  }

  /** Removes the lowest; -1: empty. */
  take(): number {
    const { heap } = this;
    if (heap.length === 0) return -1;
    const lowest = heap[0];
    this.queued.delete(lowest);
    const last = heap.pop() ?? 0;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= last) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = last;
    }
    return lowest;
  }
}

/** What {@link CollectedStackLiveness} needs to know of the program. */
export interface StackLivenessInput {
  readonly insns: InsnTable;
  readonly subprogs: readonly Subprog[];
  readonly order: Postorder;
  /** By instruction: the call may run a callback, and come back to itself. */
  readonly callsCallback: Uint8Array;
}

/**
 * Collects what the walk reads and writes, and answers what may still be read. A slot that every path overwrites before it
 * reads it is dead. Reads only ever grow and writes only ever shrink, so that an answer about a state whose paths are all
 * walked holds for good.
 *
 * `live before = (live after − must write) ∪ may read`, to a fixed point over the function; the effect on callers' frames
 * moves to the call that led here.
 * @see kernel/bpf/liveness.c @ v6.18
 */
export class CollectedStackLiveness implements StackLiveness {
  private readonly input: StackLivenessInput;
  private readonly roots = new Map<number, Instance>();
  /** The instance of `env.cur`; undefined: to be looked up. */
  private current: Instance | undefined;
  /** Writes of the instruction at hand, by frame: low and high words. */
  private readonly writes = new Int32Array(2 * MAX_FRAMES);
  private writesAt = 0;
  /** The state asked about: its instances by frame, and where it stands. */
  private readonly asked: (Instance | undefined)[] = new Array(MAX_FRAMES).fill(undefined);
  private askedFrame = 0;
  private askedSlot = 0;
  private readonly next = new Int32Array(2);
  private readonly flows: (Flow | undefined)[] = [];
  private readonly queue = new RankQueue();

  constructor(input: StackLivenessInput) {
    this.input = input;
  }

  resetCallchain(_env: VerifierEnv): void {
    this.current = undefined;
  }

  resetWriteMarks(env: VerifierEnv, insn: number): void {
    this.clearWrites(this.currentOf(env), insn);
  }

  markRead(env: VerifierEnv, frame: number, insn: number, maskLo: number, maskHi: number): void {
    addRead(this.currentOf(env), frame, insn, maskLo, maskHi);
  }

  markWrite(_env: VerifierEnv, frame: number, maskLo: number, maskHi: number): void {
    this.writes[2 * frame] |= maskLo;
    this.writes[2 * frame + 1] |= maskHi;
  }

  commitWriteMarks(_env: VerifierEnv): void {
    // Undefined: the instruction moved the walk to another function; its writes are not told.
    if (this.current !== undefined) this.commitTo(this.current);
  }

  update(env: VerifierEnv): void {
    this.current = undefined;
    for (let frame = env.cur.curFrame; frame >= 0; frame--) {
      const instance = this.instanceOf(env, env.cur, frame);
      if (!instance.updated) continue;
      this.propagate(env, instance);
      instance.updated = false;
      instance.writesDropped = false;
    }
  }

  queryInit(env: VerifierEnv, state: State): void {
    for (let frame = 0; frame <= state.curFrame; frame++) {
      this.asked[frame] = this.instanceOf(env, state, frame);
    }
    this.askedFrame = state.curFrame;
    this.askedSlot = state.insn;
  }

  /** In the innermost function here, or in a function in between when control comes back to it. */
  isAlive(_env: VerifierEnv, frame: number, slot: number): boolean {
    const { asked, askedFrame } = this;
    const innermost = asked[askedFrame];
    if (innermost === undefined || isLiveBefore(innermost, this.askedSlot, frame, slot)) return true;
    for (let at = frame; at < askedFrame; at++) {
      const instance = asked[at];
      const callsite = asked[at + 1]?.callsite;
      if (instance === undefined || callsite === undefined) return true;
      const resume = this.input.callsCallback[callsite] !== 0 ? callsite : callsite + 1;
      if (isLiveBefore(instance, resume, frame, slot)) return true;
    }
    return false;
  }

  private currentOf(env: VerifierEnv): Instance {
    let { current } = this;
    if (current === undefined) {
      current = this.instanceOf(env, env.cur, env.cur.curFrame);
      this.current = current;
    }
    return current;
  }

  /** The instance of frame `last` of a state. */
  private instanceOf(env: VerifierEnv, state: State, last: number): Instance {
    const { i32 } = env.mem;
    let instance = this.rootOf(i32[state.frames[0] + F_SUBPROG]);
    for (let frame = 1; frame <= last; frame++) {
      const at = state.frames[frame];
      const subprog = i32[at + F_SUBPROG];
      const callsite = i32[at + F_CALLSITE];
      const key = callsite * 256 + subprog; // at most 256 functions
      let inner: Instance | undefined = instance.inner.get(key);
      if (inner === undefined) {
        inner = this.newInstance(subprog, instance, callsite);
        instance.inner.set(key, inner);
      }
      instance = inner;
    }
    return instance;
  }

  private rootOf(subprog: number): Instance {
    const known = this.roots.get(subprog);
    if (known !== undefined) return known;
    const root = this.newInstance(subprog, undefined, -1);
    this.roots.set(subprog, root);
    return root;
  }

  private newInstance(subprog: number, outer: Instance | undefined, callsite: number): Instance {
    const { start, end } = this.input.subprogs[subprog];
    return new Instance(subprog, start, end - start, outer, callsite);
  }

  private clearWrites(instance: Instance, insn: number): void {
    this.writesAt = insn;
    this.writes.fill(0, 0, 2 * instance.frame + 2);
  }

  /** "Must write" of an instruction: what all its visits wrote. */
  private commitTo(instance: Instance): void {
    const at = this.writesAt - instance.start;
    if (at < 0 || at >= instance.length) return; // the walk has left the function
    const known = instance.writesKnown[at] !== 0;
    const { writes } = this;
    for (let frame = 0; frame <= instance.frame; frame++) {
      let lo = writes[2 * frame];
      let hi = writes[2 * frame + 1];
      if ((lo | hi) === 0 && (!known || instance.masks[frame] === undefined)) continue;
      const masks = instance.masksOf(frame);
      const word = at * MASK_WORDS + WRITE;
      const oldLo = masks[word];
      const oldHi = masks[word + 1];
      if (known) {
        lo &= oldLo;
        hi &= oldHi;
      }
      if (lo === oldLo && hi === oldHi) continue;
      masks[word] = lo;
      masks[word + 1] = hi;
      instance.touch(at);
      if (((oldLo & ~lo) | (oldHi & ~hi)) !== 0) instance.writesDropped = true;
    }
    instance.writesKnown[at] = 1;
  }

  /** To a fixed point, then on to the caller. @see `update_instance` */
  private propagate(env: VerifierEnv, instance: Instance): void {
    // Nobody asks what frame 0 overwrites from here on.
    const recompute = instance.writesDropped && instance.outer !== undefined;
    if (recompute) forgetWritesOn(instance);
    if (recompute || env.log.tracesAll) this.propagateAll(env, instance);
    else this.propagateChanged(env, instance);
    for (const at of instance.changed) instance.isChanged[at] = 0;
    instance.changed.length = 0;
    if (instance.outer !== undefined) this.tellOuter(instance, instance.outer);
  }

  /** From the changed instructions backwards, later ones first: as far as anything changes. */
  private propagateChanged(env: VerifierEnv, instance: Instance): void {
    const flow = this.flowOf(instance.subprog);
    const { queue } = this;
    for (const at of instance.changed) queue.add(flow.rank[at]);
    for (let rank = queue.take(); rank >= 0; rank = queue.take()) {
      const slot = flow.slots[rank];
      let changed = false;
      for (let frame = 0; frame <= instance.frame; frame++) {
        const masks = instance.masks[frame];
        if (masks !== undefined && this.propagateAt(env, instance, masks, frame, slot)) changed = true;
      }
      if (!changed) continue;
      const at = slot - instance.start;
      for (let i = flow.firstBefore[at]; i < flow.firstBefore[at + 1]; i++) queue.add(flow.before[i]);
    }
  }

  private flowOf(subprog: number): Flow {
    let flow = this.flows[subprog];
    if (flow === undefined) {
      flow = reverseFlow(this.input, subprog);
      this.flows[subprog] = flow;
    }
    return flow;
  }

  /** Round by round over the whole function, as the kernel's log tells it. */
  private propagateAll(env: VerifierEnv, instance: Instance): void {
    const { order } = this.input;
    const from = order.starts[instance.subprog];
    const to = order.starts[instance.subprog + 1];
    let rounds = 0;
    for (let changed = true; changed; rounds++) {
      changed = false;
      for (let frame = 0; frame <= instance.frame; frame++) {
        const masks = instance.masks[frame];
        if (masks === undefined) continue;
        for (let i = from; i < to; i++) {
          if (this.propagateAt(env, instance, masks, frame, order.slots[i])) changed = true;
        }
      }
    }
    if (env.log.tracesAll) {
      env.log.trace(`${chainText(instance)} live stack update done in ${rounds} iterations\n`);
    }
  }

  private propagateAt(
    env: VerifierEnv,
    instance: Instance,
    masks: Int32Array,
    frame: number,
    slot: number,
  ): boolean {
    const { insns } = this.input;
    const { next } = this;
    const edges = successors(insns, slot, next);
    if (edges === 0) return false;
    const first = (next[0] - instance.start) * MASK_WORDS;
    let liveLo = masks[first + LIVE];
    let liveHi = masks[first + LIVE + 1];
    let onLo = masks[first + WRITE_ON];
    let onHi = masks[first + WRITE_ON + 1];
    if (edges === 2) {
      const second = (next[1] - instance.start) * MASK_WORDS;
      liveLo |= masks[second + LIVE];
      liveHi |= masks[second + LIVE + 1];
      onLo &= masks[second + WRITE_ON];
      onHi &= masks[second + WRITE_ON + 1];
    }
    if (mayEndFunction(insns, slot)) {
      onLo = 0;
      onHi = 0;
    }
    const at = (slot - instance.start) * MASK_WORDS;
    liveLo = (liveLo & ~masks[at + WRITE]) | masks[at + READ];
    liveHi = (liveHi & ~masks[at + WRITE + 1]) | masks[at + READ + 1];
    onLo |= masks[at + WRITE];
    onHi |= masks[at + WRITE + 1];
    const same =
      liveLo === masks[at + LIVE] &&
      liveHi === masks[at + LIVE + 1] &&
      onLo === masks[at + WRITE_ON] &&
      onHi === masks[at + WRITE_ON + 1];
    if (same) return false;
    if (env.log.tracesAll && isLogged(env, instance, masks, at, slot)) {
      traceChange(env, instance, frame, slot, "live", masks, at + LIVE, liveLo, liveHi);
      traceChange(env, instance, frame, slot, "written", masks, at + WRITE_ON, onLo, onHi);
    }
    masks[at + LIVE] = liveLo;
    masks[at + LIVE + 1] = liveHi;
    masks[at + WRITE_ON] = onLo;
    masks[at + WRITE_ON + 1] = onHi;
    return true;
  }

  /** What the function does to its callers' frames, the call does. @see `propagate_to_outer_instance` */
  private tellOuter(instance: Instance, outer: Instance): void {
    this.clearWrites(outer, instance.callsite);
    for (let frame = 0; frame < instance.frame; frame++) {
      const masks = instance.masks[frame];
      if (masks === undefined) continue;
      this.writes[2 * frame] |= masks[WRITE_ON];
      this.writes[2 * frame + 1] |= masks[WRITE_ON + 1];
      addRead(outer, frame, instance.callsite, masks[LIVE], masks[LIVE + 1]);
    }
    this.commitTo(outer);
  }
}

/** A tail call that succeeds and a packet load beyond the packet's end leave the function at once. */
function mayEndFunction(insns: InsnTable, slot: number): boolean {
  if (isHelperCall(insns, slot)) return insns.imm[slot] === TAIL_CALL;
  return classOf(insns.opcode[slot]) === Class.LD && !isWide(insns.opcode[slot]);
}

function addRead(instance: Instance, frame: number, insn: number, lo: number, hi: number): void {
  const masks = instance.masksOf(frame);
  const at = (insn - instance.start) * MASK_WORDS;
  const newLo = masks[at + READ] | lo;
  const newHi = masks[at + READ + 1] | hi;
  if (newLo === masks[at + READ] && newHi === masks[at + READ + 1]) return;
  if (((newLo & ~masks[at + LIVE]) | (newHi & ~masks[at + LIVE + 1])) !== 0)
    instance.touch(insn - instance.start);
  masks[at + READ] = newLo;
  masks[at + READ + 1] = newHi;
}

function isLiveBefore(instance: Instance, insn: number, frame: number, slot: number): boolean {
  const masks = instance.masks[frame];
  if (masks === undefined) return false;
  const word = (insn - instance.start) * MASK_WORDS + LIVE + (slot >> 5);
  return (masks[word] & (1 << (slot & 31))) !== 0;
}

/** The sets "written from here on" may have to shrink: compute them anew. */
function forgetWritesOn(instance: Instance): void {
  for (const masks of instance.masks) {
    if (masks === undefined) continue;
    for (let at = WRITE_ON; at < masks.length; at += MASK_WORDS) {
      masks[at] = 0;
      masks[at + 1] = 0;
    }
  }
}

/** The kernel prints changes where the instruction touches the stack, states are saved or the function begins. */
function isLogged(
  env: VerifierEnv,
  instance: Instance,
  masks: Int32Array,
  at: number,
  slot: number,
): boolean {
  const touches = masks[at + READ] | masks[at + READ + 1] | masks[at + WRITE] | masks[at + WRITE + 1];
  return touches !== 0 || slot === instance.start || env.aux.prunePoint[slot] !== 0;
}

function traceChange(
  env: VerifierEnv,
  instance: Instance,
  frame: number,
  slot: number,
  what: string,
  masks: Int32Array,
  word: number,
  lo: number,
  hi: number,
): void {
  const oldLo = masks[word];
  const oldHi = masks[word + 1];
  if (oldLo === lo && oldHi === hi) return;
  const added = slotsText(lo & ~oldLo, hi & ~oldHi);
  const removed = slotsText(oldLo & ~lo, oldHi & ~hi);
  let text = `${chainText(instance)} frame ${frame} insn ${slot} `;
  if (added !== "") text += `+${what} ${added} `;
  if (removed !== "") text += `-${what} ${removed}`;
  env.log.trace(`${text}\n`);
}

/** Offsets from the frame pointer: `-8,-24`. */
function slotsText(lo: number, hi: number): string {
  const offsets: number[] = [];
  for (let slot = 0; slot < 64; slot++) {
    if ((slot < 32 ? lo : hi) & (1 << (slot & 31))) offsets.push(-8 * (slot + 1));
  }
  return offsets.join(",");
}

/** Calls that lead to the function, then its first slot. */
function chainText(instance: Instance): string {
  const calls: number[] = [instance.start];
  for (let at: Instance | undefined = instance; at !== undefined && at.callsite >= 0; at = at.outer) {
    calls.unshift(at.callsite);
  }
  return `(${calls.join(",")})`;
}
