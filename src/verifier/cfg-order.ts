import type { InsnTable } from "../isa/index.ts";
import { successors } from "./cfg-edges.ts";
import type { Subprog } from "./state.ts";

/** Instructions so that successors come before (but for loops): what backward analyses walk. */
export interface Postorder {
  /** Slots, function after function. */
  readonly slots: Int32Array;
  /** By function, and one more: where in {@link slots} it begins. */
  readonly starts: Int32Array;
}

const DISCOVERED = 1;
const EXPLORED = 2;

/** @see kernel/bpf/verifier.c `compute_postorder` @ v6.18 */
export function computePostorder(insns: InsnTable, subprogs: readonly Subprog[]): Postorder {
  const slots = new Int32Array(insns.length);
  const starts = new Int32Array(subprogs.length + 1);
  const state = new Uint8Array(insns.length);
  const stack = new Int32Array(insns.length);
  const next = new Int32Array(2);
  let count = 0;
  for (let index = 0; index < subprogs.length; index++) {
    starts[index] = count;
    stack[0] = subprogs[index].start;
    let depth = 1;
    while (depth > 0) {
      const top = stack[depth - 1];
      state[top] |= DISCOVERED;
      if (state[top] & EXPLORED) {
        slots[count++] = top;
        depth--;
        continue;
      }
      const edges = successors(insns, top, next);
      for (let edge = 0; edge < edges; edge++) {
        if (state[next[edge]] !== 0) continue;
        stack[depth++] = next[edge];
        state[next[edge]] = DISCOVERED;
      }
      state[top] |= EXPLORED;
    }
  }
  starts[subprogs.length] = count;
  return { slots: slots.subarray(0, count), starts };
}

/** {@link computeLoops}: no longer part of an unfinished component. */
const DONE = 0xffffffff;

/**
 * Numbers the loops: instructions of one strongly connected component of the flow graph (calls fall through) get the same
 * number from 1 on in `component`, all others keep 0. Answers the number after the last. Tarjan's algorithm without
 * recursion. @see kernel/bpf/verifier.c `compute_scc` @ v6.18
 */
export function computeLoops(insns: InsnTable, component: Int32Array): number {
  const count = insns.length;
  const stack = new Int32Array(count);
  const path = new Int32Array(count);
  const order = new Uint32Array(count);
  const low = new Uint32Array(count);
  const next = new Int32Array(2);
  let number = 1;
  let nextOrder = 1;
  for (let start = 0; start < count; start++) {
    if (order[start] !== 0) continue;
    let stacked = 0;
    let depth = 1;
    path[0] = start;
    descend: while (depth > 0) {
      const slot = path[depth - 1];
      if (order[slot] === 0) {
        low[slot] = order[slot] = nextOrder++;
        stack[stacked++] = slot;
      }
      // The second slot of an lddw is its own start here and falls through: harmless, it is in no loop.
      const edges = successors(insns, slot, next);
      let loop = false;
      for (let edge = 0; edge < edges; edge++) {
        const to = next[edge];
        if (order[to] === 0) {
          path[depth++] = to;
          continue descend;
        }
        if (low[to] < low[slot]) low[slot] = low[to];
        if (to === slot) loop = true;
      }
      depth--;
      if (low[slot] < order[slot]) continue;
      if (stack[stacked - 1] !== slot) loop = true;
      let member: number;
      do {
        member = stack[--stacked];
        low[member] = DONE;
        if (loop) component[member] = number;
      } while (member !== slot);
      if (loop) number++;
    }
  }
  return number;
}
