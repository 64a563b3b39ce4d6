import type { VerifierEnv } from "../../src/verifier/env.ts";
import {
  A,
  C,
  F_SLOTS,
  FRAME_HEADER,
  FRAME_REGS,
  FRAME_STACK_AT,
  ID,
  OFF,
  ROW_WORDS,
  S32_MAX,
  S32_MIN,
  SLOT_TYPE_WORDS,
  SLOT_WORDS,
  SlotType,
  SMAX,
  SMIN,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "../../src/verifier/layout.ts";
import {
  ADD_CONST,
  ADD_CONST32,
  ADD_CONST64,
  baseType,
  mayBeNull,
  RegType,
} from "../../src/verifier/register-types.ts";
import type { ConcreteFrame } from "./stepper.ts";

/** Kinds of provenance (src/runtime/layout.ts) by type of register; absent: not compared. */
const KIND: Partial<Record<number, number>> = {
  [RegType.PTR_TO_CTX]: 2,
  [RegType.PTR_TO_STACK]: 3,
  [RegType.CONST_PTR_TO_MAP]: 4,
  [RegType.PTR_TO_MAP_VALUE]: 5,
  [RegType.PTR_TO_PACKET]: 7,
  [RegType.PTR_TO_PACKET_END]: 9,
};
const MAX_FRAMES = 8;

/**
 * Every abstract state of a walk, by instruction and depth: registers and stack of the innermost frame. `record` goes to
 * `verify` as `onState`. With `pruning` false it also makes the walk take every path to its end.
 */
export class RecordedStates {
  private words = new Int32Array(1 << 16);
  private used = 0;
  /** Where the states of instruction × depth start in `words`. */
  private readonly at = new Map<number, number[]>();
  /** The state found last: the next one on the same path lies right behind it. */
  private last = -1;
  private readonly pruning: boolean;

  constructor(pruning: boolean) {
    this.pruning = pruning;
  }

  clear(): void {
    this.used = 0;
    this.at.clear();
    this.last = -1;
  }

  readonly record = (insn: number, walk: unknown): void => {
    const env = walk as VerifierEnv;
    if (!this.pruning && this.used === 0) env.aux.prunePoint.fill(0);
    const { i32 } = env.mem;
    const { frame } = env;
    const length = FRAME_STACK_AT + i32[frame + F_SLOTS] * SLOT_WORDS;
    if (this.used + length > this.words.length) {
      const larger = new Int32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    this.words.set(i32.subarray(frame, frame + length), this.used);
    const key = insn * MAX_FRAMES + env.cur.curFrame;
    const list = this.at.get(key);
    if (list === undefined) this.at.set(key, [this.used]);
    else list.push(this.used);
    this.used += length;
  };

  /** Undefined when a state recorded at the instruction covers the frame; else why not. */
  uncovered(insn: number, depth: number, frame: ConcreteFrame): string | undefined {
    const list = this.at.get(insn * MAX_FRAMES + depth);
    if (list === undefined) return "never walked";
    if (this.last >= 0) {
      const next = this.last + FRAME_STACK_AT + this.words[this.last + F_SLOTS] * SLOT_WORDS;
      if (list.includes(next) && this.differs(next, frame) === undefined) {
        this.last = next;
        return undefined;
      }
    }
    for (const at of list) {
      if (this.differs(at, frame) !== undefined) continue;
      this.last = at;
      return undefined;
    }
    this.last = -1;
    const reasons = list.slice(0, 8).map((at) => this.differs(at, frame));
    return `none of ${list.length} states:\n  ${reasons.join("\n  ")}`;
  }

  /** What of the frame the state at `at` does not cover. */
  private differs(at: number, frame: ConcreteFrame): string | undefined {
    const { words } = this;
    for (let n = 0; n < FRAME_REGS; n++) {
      const row = at + FRAME_HEADER + n * ROW_WORDS;
      const reason = this.rowDiffers(
        row,
        frame.lo[n],
        frame.hi[n],
        frame.kind[n],
        frame.base[n],
        frame.aux[n],
        frame,
      );
      if (reason !== undefined) return `r${n}: ${reason}`;
    }
    for (let a = 0; a < FRAME_REGS - 1; a++) {
      const id = words[at + FRAME_HEADER + a * ROW_WORDS + ID];
      if (id === 0) continue;
      for (let b = a + 1; b < FRAME_REGS - 1; b++) {
        if (((words[at + FRAME_HEADER + b * ROW_WORDS + ID] ^ id) & ~ADD_CONST) !== 0) continue;
        if (!this.linked(at, a, b, frame)) return `r${a} and r${b} are linked but differ`;
      }
    }
    for (let slot = words[at + F_SLOTS] - 1; slot >= 0; slot--) {
      const reason = this.slotDiffers(at, slot, frame);
      if (reason !== undefined) return `fp-${8 * (slot + 1)}: ${reason}`;
    }
    return undefined;
  }

  private rowDiffers(
    row: number,
    lo: number,
    hi: number,
    kind: number,
    base: number,
    aux: number,
    frame: ConcreteFrame,
  ): string | undefined {
    const { words } = this;
    const type = words[row + TYPE];
    switch (baseType(type)) {
      case RegType.NOT_INIT:
        return undefined;
      case RegType.SCALAR_VALUE:
        if (kind === 0) return "was never written";
        return this.covers(row, lo, hi) ? undefined : this.told(row, lo, hi);
      default:
    }
    if (mayBeNull(type) && (lo | hi) === 0) return undefined;
    const want = KIND[baseType(type)];
    if (want === undefined) return undefined;
    if (kind >= 0 && (kind & 0xff) !== want) return `kind ${kind & 0xff}, not ${want}`;
    let origin = base;
    switch (baseType(type)) {
      case RegType.PTR_TO_CTX:
        origin = frame.context;
        break;
      case RegType.PTR_TO_STACK:
        if (kind >= 0 && aux !== words[row + C]) return "another frame";
        origin = frame.stackTop(words[row + C]);
        break;
      case RegType.CONST_PTR_TO_MAP:
        return lo >>> 0 === frame.maps[words[row + A]] ? undefined : "another map";
      case RegType.PTR_TO_MAP_VALUE:
        if (kind < 0) return undefined; // spilled: its element is not known here
        if (aux !== frame.maps[words[row + A]]) return "value of another map";
        break;
      case RegType.PTR_TO_PACKET: {
        origin = frame.data;
        const range = words[row + A];
        if (range > 0 && (lo >>> 0) - words[row + OFF] + range > frame.dataEnd)
          return `${range} bytes are not in the packet`;
        break;
      }
      case RegType.PTR_TO_PACKET_END:
        return lo >>> 0 === frame.dataEnd ? undefined : "not the packet's end";
      default:
    }
    const distance =
      BigInt.asIntN(64, (BigInt(hi) << 32n) | BigInt(lo >>> 0)) - BigInt(origin + words[row + OFF]);
    const low = Number(BigInt.asIntN(32, distance));
    const high = Number(BigInt.asIntN(32, distance >> 32n));
    return this.covers(row, low, high) ? undefined : `offset ${this.told(row, low, high)}`;
  }

  private covers(row: number, lo: number, hi: number): boolean {
    const { words } = this;
    if (((lo ^ words[row + VAR_VALUE]) & ~words[row + VAR_MASK]) !== 0) return false;
    if (((hi ^ words[row + VAR_VALUE + 1]) & ~words[row + VAR_MASK + 1]) !== 0) return false;
    if (lo < words[row + S32_MIN] || lo > words[row + S32_MAX]) return false;
    if (lo >>> 0 < words[row + U32_MIN] >>> 0 || lo >>> 0 > words[row + U32_MAX] >>> 0) return false;
    return (
      atMost(words[row + SMIN + 1], words[row + SMIN], hi, lo) &&
      atMost(hi, lo, words[row + SMAX + 1], words[row + SMAX]) &&
      atMost(words[row + UMIN + 1] >>> 0, words[row + UMIN], hi >>> 0, lo) &&
      atMost(hi >>> 0, lo, words[row + UMAX + 1] >>> 0, words[row + UMAX])
    );
  }

  /** Of a scalar that was stored with `bytes` <= 4 (or, never seen, 5 to 7, not compared). */
  private coversLow(row: number, lo: number, bytes: number): boolean {
    const { words } = this;
    if (bytes > 4) return true;
    const bits = bytes === 4 ? -1 : (1 << (8 * bytes)) - 1;
    if (((lo ^ words[row + VAR_VALUE]) & ~words[row + VAR_MASK] & bits) !== 0) return false;
    if (bytes < 4) return true;
    if (lo < words[row + S32_MIN] || lo > words[row + S32_MAX]) return false;
    return lo >>> 0 >= words[row + U32_MIN] >>> 0 && lo >>> 0 <= words[row + U32_MAX] >>> 0;
  }

  private told(row: number, lo: number, hi: number): string {
    const wide = (word: number): string => hex(this.words[row + word], this.words[row + word + 1]);
    const narrow = (word: number): string => (this.words[row + word] >>> 0).toString(16);
    return (
      `${hex(lo, hi)} is not in var(${wide(VAR_VALUE)},${wide(VAR_MASK)}) s[${wide(SMIN)},${wide(SMAX)}] ` +
      `u[${wide(UMIN)},${wide(UMAX)}] s32[${narrow(S32_MIN)},${narrow(S32_MAX)}] ` +
      `u32[${narrow(U32_MIN)},${narrow(U32_MAX)}]`
    );
  }

  /** Scalars with one id are equal, up to the distances noted. */
  private linked(at: number, a: number, b: number, frame: ConcreteFrame): boolean {
    const { words } = this;
    let mask = -1n;
    const origin = (n: number): bigint => {
      const row = at + FRAME_HEADER + n * ROW_WORDS;
      const value = (BigInt(frame.hi[n]) << 32n) | BigInt(frame.lo[n] >>> 0);
      if ((words[row + ID] & ADD_CONST32) !== 0) mask = 0xffffffffn;
      return (words[row + ID] & (ADD_CONST64 | ADD_CONST32)) === 0 ? value : value - BigInt(words[row + OFF]);
    };
    for (const n of [a, b]) {
      if (words[at + FRAME_HEADER + n * ROW_WORDS + TYPE] !== RegType.SCALAR_VALUE) return true;
    }
    return BigInt.asUintN(64, (origin(a) - origin(b)) & mask) === 0n;
  }

  private slotDiffers(at: number, slot: number, frame: ConcreteFrame): string | undefined {
    const { words } = this;
    const start = at + FRAME_STACK_AT + slot * SLOT_WORDS;
    const row = start + SLOT_TYPE_WORDS;
    const typeOf = (n: number): number => (words[start + (n >> 2)] >>> ((n & 3) * 8)) & 0xff;
    const lo = frame.stackWord(slot, 0);
    const hi = frame.stackWord(slot, 4);
    for (let n = 0; n < 8; n++) {
      if (typeOf(n) !== SlotType.ZERO) continue;
      const byte = 7 - n;
      if ((((byte < 4 ? lo : hi) >>> ((byte & 3) * 8)) & 0xff) !== 0) return `byte ${byte} is not zero`;
    }
    if (typeOf(7) !== SlotType.SPILL) return undefined;
    let bytes = 1;
    while (bytes < 8 && typeOf(7 - bytes) === SlotType.SPILL) bytes++;
    if (bytes === 8) return this.rowDiffers(row, lo, hi, -1, 0, 0, frame);
    // The row is that of the whole register, of which the slot holds the low bytes.
    return this.coversLow(row, lo, bytes) ? undefined : `low ${bytes} bytes: ${this.told(row, lo, hi)}`;
  }
}

/** 64-bit `a <= b`, high words as signed or unsigned numbers. */
function atMost(aHigh: number, aLow: number, bHigh: number, bLow: number): boolean {
  return aHigh < bHigh || (aHigh === bHigh && aLow >>> 0 <= bLow >>> 0);
}

function hex(lo: number, hi: number): string {
  return ((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16);
}
