import type { State } from "./state.ts";

/** A loop entered on some path: states that closed it, waiting for marks. `struct bpf_scc_visit` */
export class LoopVisit {
  /** The first state saved inside; undefined: every path from it is done. */
  entry: State | undefined = undefined;
  /** Copies of states found within a saved one (`equalState`). */
  backedges: State[] = [];
}

/** Saved states by instruction, and visits of loops. */
export class ExploredStates {
  /** By slot, newest last. */
  readonly at: (State[] | undefined)[];
  /** By loop and call sites leading to it. */
  readonly visits: Map<number | string, LoopVisit> = new Map();
  /** Saved ones still compared with, evicted ones still referred to, copies on back edges. */
  size = 0;
  evicted = 0;
  backedges = 0;
  /** Statistics. */
  total = 0;
  peak = 0;
  maxPerInsn = 0;
  /** Where `insnsProcessed` and `jumpsProcessed` stood when the last state was saved. */
  prevInsns = 0;
  prevJumps = 0;

  /** How many states the kernel's hash table would hold in a bucket: for statistics and the limit without privilege. */
  private readonly buckets: Int32Array;

  constructor(insns: number) {
    this.at = new Array(insns).fill(undefined);
    this.buckets = new Int32Array(Math.max(1, insns));
  }

  /** Forgets all states; the statistics go on (the kernel's sizes too: its peak is over all functions). */
  clear(): void {
    this.at.fill(undefined);
    this.buckets.fill(0);
    this.visits.clear();
    this.backedges = 0;
  }

  /** States in the bucket of an instruction and the call that led to its function (-1: main). `explored_state` */
  countNear(insn: number, callsite: number): number {
    return this.buckets[((insn ^ callsite) >>> 0) % this.buckets.length];
  }

  /** A state came (1) or went (-1). */
  addNear(insn: number, callsite: number, change: number): void {
    this.buckets[((insn ^ callsite) >>> 0) % this.buckets.length] += change;
  }

  /** Raises the peak. */
  updatePeak(): void {
    this.peak = Math.max(this.peak, this.size + this.evicted + this.backedges);
  }
}
