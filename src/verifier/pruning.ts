// One algorithm: what kept paths apart that met at the same instruction, collected while a program is verified.
import { Exact, refsEqual, rowSafe, slotSafe } from "./compare.ts";
import { describeRegister, describeSlot } from "./describe.ts";
import type { VerifierEnv } from "./env.ts";
import type { PruningWatch } from "./input.ts";
import { F_CALLBACK_DEPTH, F_CALLSITE, F_SLOTS, F_SUBPROG, FRAME_REGS, SlotType, TYPE } from "./layout.ts";
import { baseType, isPacketPointer, RegType } from "./register-types.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";

/** In what two states can differ. */
export type DifferenceKind =
  /** Numbers: the current one lies outside the earlier one's range. */
  | "number"
  /** Pointers of one kind: offset, bounds or identity. */
  | "pointer"
  /** Packet pointers of which different numbers of bytes were checked. */
  | "packet-range"
  /** Values of different kinds: a pointer and a number, NULL checked and not. */
  | "type"
  /** Stack bytes, dynptrs, iterators. */
  | "stack"
  /** References, locks, RCU, preemption and interrupt sections. */
  | "held"
  /** Ways by which a function or callback was entered. */
  | "entry";

/** One place in which states differed at one instruction. */
export interface Difference {
  readonly kind: DifferenceKind;
  /** `"r7"`, `"fp-16"`, of a caller `"r7 of main"`; `"references and locks"`, `"the way here"`. */
  readonly what: string;
  /** Sampled comparisons in which it differed. */
  count: number;
  /** … in which nothing else did. */
  alone: number;
  /** … with an earlier iteration of a loop that was still being walked. */
  iterations: number;
  /** What was known of it, distinct, in the order met; the first {@link MAX_VALUES}. */
  readonly values: string[];
  /** Frame and place, for {@link PruningTrace.wantedBy}; -1: none. */
  readonly frame: number;
  readonly place: number;
}

/** What happened at an instruction where paths meet. */
export interface MeetingPoint {
  readonly insn: number;
  readonly inLoop: boolean;
  /** Paths that met earlier ones here and went on. */
  wentOn: number;
  /** Comparisons that failed. */
  compared: number;
  /** … that were looked into: all of the first ones, then one of {@link STRIDE}. */
  sampled: number;
  readonly differences: Map<string, Difference>;
}

const MAX_VALUES = 4;
/** Looking for every difference costs much more than stopping at the first: heavy programs are sampled. */
const ALL_OF_FIRST = 512;
const STRIDE = 17;

/** Collects differences: give it to `verify` as `watch`. One per verification. */
export class PruningTrace implements PruningWatch {
  /** By instruction. */
  readonly points: Map<number, MeetingPoint> = new Map();
  /** Paths that ended at an instruction, covered by an earlier one. */
  readonly coveredAt: Map<number, number> = new Map();
  private readonly wanted = new Map<string, Map<number, number>>();
  private arrival = -1;

  apart(insn: number, old: unknown, env: unknown): void {
    this.compare(insn, old as State, env as VerifierEnv); // prune.ts gives both
  }

  covered(insn: number): void {
    this.coveredAt.set(insn, (this.coveredAt.get(insn) ?? 0) + 1);
  }

  precise(insn: number, frame: number, place: number, wantedBy: number): void {
    if (wantedBy < 0) return;
    const key = `${insn} ${frame} ${place}`;
    let counts = this.wanted.get(key);
    if (counts === undefined) {
      counts = new Map();
      this.wanted.set(key, counts);
    }
    counts.set(wantedBy, (counts.get(wantedBy) ?? 0) + 1);
  }

  /** The instruction that most often needed the exact number in a place of the states saved at `insn`. */
  wantedBy(insn: number, { frame, place }: Pick<Difference, "frame" | "place">): number | undefined {
    const counts = this.wanted.get(`${insn} ${frame} ${place}`);
    return counts && [...counts].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  }

  private pointAt(insn: number, inLoop: boolean): MeetingPoint {
    let point = this.points.get(insn);
    if (point === undefined) {
      point = { insn, inLoop, wentOn: 0, compared: 0, sampled: 0, differences: new Map() };
      this.points.set(insn, point);
    }
    return point;
  }

  private compare(insn: number, old: State, env: VerifierEnv): void {
    const point = this.pointAt(insn, env.aux.scc[insn] !== 0);
    if (this.arrival !== env.insnsProcessed) {
      this.arrival = env.insnsProcessed;
      point.wentOn++;
    }
    point.compared++;
    if (point.compared > ALL_OF_FIRST && point.compared % STRIDE !== 0) return;
    const found: Difference[] = [];
    const open = old.branches !== 0;
    const exact = open ? Exact.RANGE_WITHIN : Exact.NO;
    const see: See = (kind, what, frame, place, values) => {
      const key = `${what} ${kind}`;
      let row = point.differences.get(key);
      if (row === undefined) {
        row = { kind, what, count: 0, alone: 0, iterations: 0, values: [], frame, place };
        point.differences.set(key, row);
      }
      if (row.values.length < MAX_VALUES) {
        for (const value of values()) if (!row.values.includes(value)) row.values.push(value);
      }
      found.push(row);
    };
    differences(env, old, exact, see);
    point.sampled++;
    for (const row of found) {
      row.count++;
      if (open) row.iterations++;
      if (found.length === 1) row.alone++;
    }
  }
}

type See = (
  kind: DifferenceKind,
  what: string,
  frame: number,
  place: number,
  values: () => readonly string[],
) => void;

/** Every place in which the current state is not covered by `old`, in the order in which the walk compares. */
function differences(env: VerifierEnv, old: State, exact: Exact, see: See): void {
  const { cur } = env;
  const { i32 } = env.mem;
  const none = (): readonly string[] => [];
  env.ids.reset(env.idGen);
  if (
    old.curFrame !== cur.curFrame ||
    (old.speculative && !cur.speculative) ||
    old.inSleepable !== cur.inSleepable
  ) {
    see("entry", "the way here", -1, -1, none);
    return;
  }
  if (!refsEqual(env, old, cur)) {
    see("held", "references and locks", -1, -1, () => [heldText(old), heldText(cur)]);
  }
  for (let f = 0; f <= old.curFrame; f++) {
    const a = old.frames[f];
    const b = cur.frames[f];
    if (i32[a + F_CALLSITE] !== i32[b + F_CALLSITE]) {
      see("entry", "the way here", -1, -1, none);
      return;
    }
    if (i32[a + F_CALLBACK_DEPTH] > i32[b + F_CALLBACK_DEPTH]) {
      see("entry", "how often the callback ran", -1, -1, () =>
        [a, b].map((frame) => `${i32[frame + F_CALLBACK_DEPTH]} times`),
      );
    }
    const whose = f === old.curFrame ? "" : ` of ${env.subprogs[i32[a + F_SUBPROG]]?.name || "the caller"}`;
    const live = env.aux.liveRegs[f === old.curFrame ? old.insn : i32[old.frames[f + 1] + F_CALLSITE]];
    for (let n = 0; n < FRAME_REGS; n++) {
      if ((live & (1 << n)) === 0) continue;
      const rows = [frameReg(a, n), frameReg(b, n)] as const;
      if (rowSafe(env, ...rows, exact)) continue;
      see(rowKind(env, ...rows), `r${n}${whose}`, f, n, () =>
        told(rows.map((row) => describeRegister(env, row))),
      );
    }
    for (let slot = 0; slot < i32[a + F_SLOTS]; slot++) {
      if (slotSafe(env, a, b, slot, exact)) continue;
      see(slotKind(env, a, b, slot), `fp${-8 * (slot + 1)}${whose}`, f, -8 * (slot + 1), () =>
        told([describeSlot(env, a, slot), describeSlot(env, b, slot)]),
      );
    }
  }
}

/** Where people's words say the same of both, the difference lies in identity. */
function told([old, cur]: readonly string[]): readonly string[] {
  return old === cur ? [`${old}, another one each time`] : [old, cur];
}

function rowKind({ mem: { i32 } }: VerifierEnv, old: number, cur: number): DifferenceKind {
  const type = i32[old + TYPE];
  if (type !== i32[cur + TYPE]) return "type";
  if (type === RegType.SCALAR_VALUE) return "number";
  return isPacketPointer(baseType(type)) ? "packet-range" : "pointer";
}

function slotKind(env: VerifierEnv, old: number, cur: number, slot: number): DifferenceKind {
  const { i32, u8 } = env.mem;
  if (slot >= i32[cur + F_SLOTS]) return "stack";
  const spilled = [old, cur].every((frame) => u8[frameSlotTypes(frame, slot) + 7] === SlotType.SPILL);
  return spilled ? rowKind(env, frameSlotRow(old, slot), frameSlotRow(cur, slot)) : "stack";
}

function heldText(state: State): string {
  const parts = [
    [state.refs.length - state.activeLocks, "references"],
    [state.activeLocks, "locks"],
    [state.activeRcuLocks, "RCU sections"],
    [state.activePreemptLocks, "preemption off"],
  ] as const;
  const held = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return held.length === 0 ? "nothing held" : held.join(", ");
}
