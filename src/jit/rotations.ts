import {
  ALU_OPS,
  Class,
  CODE_MASK,
  classOf,
  FRAME_POINTER,
  type InsnTable,
  isAlu,
  SOURCE_X,
  usesSourceRegister,
} from "../isa/index.ts";
import type { Emitter } from "./emitter.ts";
import { changedRegisters } from "./values.ts";

/** A register that holds `value << by` or `value >> by`; `local` holds the value before the shift. */
interface Shift {
  readonly left: boolean;
  readonly value: number;
  readonly by: number;
  readonly local: number;
}

const COMBINES = new Set<number>([ALU_OPS.or.code, ALU_OPS.xor.code, ALU_OPS.add.code]);

/**
 * BPF has no rotation: compilers write two shifts and an or. This finds the 64-bit ones inside a block and writes
 * wasm's, which V8 would not find by itself; the shifts become dead code that V8 drops.
 */
export class Rotations {
  /** Equal numbers: equal values. */
  private readonly values: number[] = [];
  private readonly shifts: (Shift | undefined)[] = [];
  private next = 0;
  private saved = 0;

  /** A block begins: nothing is known. */
  begin(): void {
    for (let r = 0; r <= FRAME_POINTER; r++) this.values[r] = r;
    this.shifts.length = 0;
    this.next = FRAME_POINTER + 1;
    this.saved = 0;
  }

  /** Writes the instruction at `slot` if it is a shift, or ends a rotation; true when it did. Else only takes note. */
  take(e: Emitter, slot: number): boolean {
    const { insns } = e;
    const opcode = insns.opcode[slot];
    if (classOf(opcode) === Class.ALU64) {
      const code = opcode & CODE_MASK;
      const dst = insns.dst[slot];
      const src = insns.src[slot];
      if (code === ALU_OPS.mov.code && usesSourceRegister(opcode) && insns.off[slot] === 0) {
        this.values[dst] = this.values[src];
        this.shifts[dst] = this.shifts[src];
        return false;
      }
      if (isShift(insns, slot) && !e.lowHalfOnly(slot)) {
        this.shift(e, dst, code === ALU_OPS.lsh.code, insns.imm[slot]);
        return true;
      }
      if (COMBINES.has(code) && usesSourceRegister(opcode) && this.rotate(e, dst, src)) return true;
    }
    this.forget(insns, slot);
    return false;
  }

  private shift(e: Emitter, dst: number, left: boolean, by: number): void {
    const local = e.temp("i64", `shifted${this.saved++}`);
    e.get(dst)
      .localTee(local)
      .i64Const(by)
      .op(left ? "i64.shl" : "i64.shr_u");
    e.set(dst);
    this.shifts[dst] = { left, value: this.values[dst], by, local };
    this.values[dst] = this.next++;
  }

  private rotate(e: Emitter, dst: number, src: number): boolean {
    const [a, b] = [this.shifts[dst], this.shifts[src]];
    if (a === undefined || b === undefined || a.left === b.left) return false;
    if (a.value !== b.value || a.by + b.by !== 64) return false;
    // Of the value that was shifted left only the low half may be right.
    const [left, right] = a.left ? [a, b] : [b, a];
    e.f.localGet(right.local).i64Const(left.by).op("i64.rotl");
    e.set(dst);
    this.shifts[dst] = undefined;
    this.values[dst] = this.next++;
    return true;
  }

  private forget(insns: InsnTable, slot: number): void {
    const changed = changedRegisters(insns, slot);
    for (let r = 0; r < 10; r++) {
      if ((changed & (1 << r)) === 0) continue;
      this.values[r] = this.next++;
      this.shifts[r] = undefined;
    }
  }
}

/** A 64-bit shift by an immediate that does not vanish. */
function isShift(insns: InsnTable, slot: number): boolean {
  const opcode = insns.opcode[slot];
  if (!isAlu(opcode) || (opcode & SOURCE_X) !== 0) return false;
  const code = opcode & CODE_MASK;
  if (code !== ALU_OPS.lsh.code && code !== ALU_OPS.rsh.code) return false;
  return insns.imm[slot] > 0 && insns.imm[slot] < 64;
}
