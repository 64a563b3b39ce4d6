import { formatScalar } from "../../src/verifier/domain.fixture.ts";
import { type DomainMemory, scratchRow } from "../../src/verifier/domain.ts";
import {
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "../../src/verifier/layout.ts";

/** A random program over scalars in r6–r9 and what our domain says of them on the path that falls through. */
export interface ScalarProgram {
  readonly insns: Uint8Array;
  /** By slot: r6–r9 after it, as the kernel prints them. */
  readonly after: ReadonlyMap<number, readonly string[]>;
  /** By `from` slot of a conditional jump: target slot and r6–r9 where it is taken. */
  readonly taken: ReadonlyMap<number, { readonly to: number; readonly registers: readonly string[] }>;
}

/** Numbers from 0 to n - 1. */
export type Random = (n: number) => number;

/** xorshift32 from a seed. */
export function seeded(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) % 0x10000000) % n;
  };
}

const REGISTERS = 4;
const FIRST = 6;
// scratch rows: 0–3 r6–r9; 4, 5 immediates; 6, 7 operands of the other branch; 8, 9 a pointer and what may follow it
const IMM = 4;
const OTHER = 6;
const POINTER = 8;

const ARITHMETIC = [0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xc0]; // add sub mul or and lsh rsh xor arsh
const JUMPS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const SHIFTS = new Set([0x60, 0x70, 0xc0]);

/** Makes a program of about `length` random steps. */
export function randomScalarProgram(memory: DomainMemory, random: Random, length: number): ScalarProgram {
  return new Maker(memory, random).make(length);
}

class Maker {
  private readonly code: number[][] = [];
  private readonly after = new Map<number, string[]>();
  private readonly jumps: { at: number; registers: string[] }[] = [];
  private readonly rows = Array.from({ length: REGISTERS }, (_, n) => scratchRow(n));
  private readonly memory: DomainMemory;
  private readonly random: Random;

  constructor(memory: DomainMemory, random: Random) {
    this.memory = memory;
    this.random = random;
  }

  make(length: number): ScalarProgram {
    const { domain } = this.memory;
    for (const row of this.rows) domain.markUnknown(row);
    this.emit(0x7b, 10, 1, -16, 0); // keep ctx
    for (let n = 0; n < REGISTERS; n++) this.fromRandom(n);
    this.emit(0x7b, 10, 0, -24, 0); // an unknown number on the stack
    this.emit(0xb7, 0, 0, 0, 1); // r0 = 1: nothing is linked to it
    for (let i = 0; i < length; i++) this.step();
    this.emit(0x95, 0, 0, 0, 0);
    const taken = new Map<number, { to: number; registers: string[] }>();
    for (const { at, registers } of this.jumps) {
      const to = this.emit(0x95, 0, 0, 0, 0);
      this.code[at][3] = to - at - 1;
      taken.set(at, { to, registers });
    }
    return { insns: encode(this.code), after: this.after, taken };
  }

  private emit(opcode: number, dst: number, src: number, off: number, imm: number): number {
    return this.code.push([opcode, dst, src, off, imm]) - 1;
  }

  private record(at: number): void {
    this.after.set(at, this.registers());
  }

  private registers(): string[] {
    return this.rows.map((row) => formatScalar(this.memory, row));
  }

  private row(): number {
    return this.random(REGISTERS);
  }

  private fromRandom(n: number): void {
    this.emit(0x85, 0, 0, 0, 7);
    this.emit(0xbf, FIRST + n, 0, 0, 0);
    this.memory.domain.setUnknown(this.rows[n]);
    this.unlink(n);
  }

  /** Multiplies by 1, which ends the link that a move made. */
  private unlink(n: number): void {
    this.setImm(1);
    this.memory.domain.aluScalar(0x20, 1, this.rows[n], scratchRow(IMM));
    this.settle(this.rows[n]);
    this.record(this.emit(0x27, FIRST + n, 0, 0, 1));
  }

  private setImm(imm: number): void {
    for (const row of [IMM, IMM + 1]) this.memory.domain.setConst(scratchRow(row), imm, imm < 0 ? -1 : 0);
  }

  private settle(row: number): void {
    if (this.memory.domain.boundsViolation(row)) this.memory.domain.setUnbounded(row);
  }

  private imm(): number {
    const { random } = this;
    const near = random(5) - 2;
    switch (random(6)) {
      case 0:
        return near;
      case 1:
        return ((1 << random(32)) + near) | 0;
      case 2:
        return ((-1 << random(32)) + near) | 0;
      case 3:
        return random(256);
      case 4:
        return (random(0x10000) * 0x10000 + random(0x10000)) | 0;
      default: {
        // An end of a register's range, where the rules change.
        const member = [SMIN, SMAX, UMIN, UMAX, S32_MIN, S32_MAX, U32_MIN, U32_MAX, VAR_VALUE][random(9)];
        return (this.memory.i32[this.rows[this.row()] + member] + near) | 0;
      }
    }
  }

  private step(): void {
    const kind = this.random(100);
    if (kind < 45) this.arithmetic();
    else if (kind < 80) this.jump();
    else if (kind < 83) this.divide();
    else if (kind < 85) this.negate();
    else if (kind < 87) this.swapBytes();
    else if (kind < 95) this.move();
    else if (kind < 97) this.load();
    else if (kind < 98) this.linked();
    else if (kind < 99) this.pointer();
    else this.fromRandom(this.row());
  }

  private arithmetic(): void {
    const { domain } = this.memory;
    const op = ARITHMETIC[this.random(ARITHMETIC.length)];
    const is64 = this.random(2);
    const dst = this.row();
    const byRegister = this.random(3) === 0;
    const src = this.row();
    let imm = this.imm();
    if (SHIFTS.has(op)) imm = this.random(is64 ? 64 : 32);
    this.setImm(imm);
    const operand = byRegister ? this.rows[src] : scratchRow(IMM);
    const isConstant =
      this.memory.i32[operand + VAR_MASK] === 0 && this.memory.i32[operand + VAR_MASK + 1] === 0;
    if ((op === 0x40 || op === 0x50) && isConstant) {
      const width = domain.minusOneOrZero(this.rows[dst]);
      if (width === 64) domain.setConst(this.rows[dst], -1, -1);
      if (width === 32) domain.setConst32(this.rows[dst], -1);
    }
    domain.aluScalar(op, is64, this.rows[dst], operand);
    this.settle(this.rows[dst]);
    const opcode = op | (is64 ? 7 : 4) | (byRegister ? 8 : 0);
    this.record(this.emit(opcode, FIRST + dst, byRegister ? FIRST + src : 0, 0, byRegister ? 0 : imm));
  }

  private divide(): void {
    const dst = this.row();
    const imm = this.imm() || 1;
    const opcode = (this.random(2) ? 0x30 : 0x90) | (this.random(2) ? 7 : 4);
    this.memory.domain.aluScalar(opcode & 0xf0, opcode & 1, this.rows[dst], scratchRow(IMM));
    this.record(this.emit(opcode, FIRST + dst, 0, this.random(2), imm));
  }

  private negate(): void {
    const dst = this.row();
    const is64 = this.random(2);
    this.memory.domain.aluScalar(0x80, is64, this.rows[dst], 0);
    this.settle(this.rows[dst]);
    this.record(this.emit(0x80 | (is64 ? 7 : 4), FIRST + dst, 0, 0, 0));
  }

  private swapBytes(): void {
    const dst = this.row();
    const opcode = [0xd4, 0xdc, 0xd7][this.random(3)]; // to little endian, to big endian, unconditional
    const bytes = 2 << this.random(3);
    this.memory.domain.swapBytes(this.rows[dst], bytes, opcode === 0xd4 ? 0 : 1);
    this.record(this.emit(opcode, FIRST + dst, 0, 0, bytes * 8));
  }

  private move(): void {
    const { domain } = this.memory;
    const dst = this.row();
    const src = this.row();
    const [d, s] = [this.rows[dst], this.rows[src]];
    const is64 = this.random(2);
    const imm = this.imm();
    if (this.random(3) === 0) {
      domain.setConst(d, imm, imm < 0 && is64 ? -1 : 0);
      this.record(this.emit(is64 ? 0xb7 : 0xb4, FIRST + dst, 0, 0, imm));
      return;
    }
    const bytes = [0, 1, 2, 4][this.random(is64 ? 4 : 3)];
    domain.copyRow(d, s);
    if (is64 && bytes) domain.signExtend(d, bytes);
    else if (bytes) domain.signExtend32(d, bytes);
    else if (!is64) domain.zeroExtend32(d);
    this.settle(d);
    this.record(this.emit(is64 ? 0xbf : 0xbc, FIRST + dst, FIRST + src, bytes * 8, 0));
    this.unlink(dst);
    if (src !== dst) this.unlink(src);
  }

  /** A packet pointer plus and minus scalars, in r5. */
  private pointer(): void {
    const { domain } = this.memory;
    const [row, next] = [scratchRow(POINTER), scratchRow(POINTER + 1)];
    domain.setConst(row, 0, 0);
    this.emit(0x79, 5, 10, -16, 0);
    this.emit(0x61, 5, 5, 76, 0); // __sk_buff.data
    for (let i = 0; i < 4; i++) {
      const n = this.row();
      const add = this.random(2);
      if (!this.isOffset(this.rows[n])) continue;
      if (add) domain.addVarOff(next, row, this.rows[n]);
      else domain.subVarOff(next, row, this.rows[n]);
      if (!this.isOffset(next)) continue;
      domain.syncBounds(next);
      this.settle(next);
      domain.copyRow(row, next);
      const at = this.emit(add ? 0x0f : 0x1f, 5, FIRST + n, 0, 0);
      this.after.set(at, [...this.registers(), formatScalar(this.memory, row)]);
    }
  }

  /** No constant, and of a size that a pointer may move by (`check_reg_sane_offset`). */
  private isOffset(row: number): boolean {
    const { i32 } = this.memory;
    const [low, high] = [i32[row + SMIN], i32[row + SMIN + 1]];
    const near = high === 0 ? low >= 0 && low < 1 << 29 : high === -1 && low < 0 && low > -1 << 29;
    return near && (i32[row + VAR_MASK] !== 0 || i32[row + VAR_MASK + 1] !== 0);
  }

  /** A copy at a constant distance learns from a jump on the other. */
  private linked(): void {
    const { domain, i32 } = this.memory;
    const src = this.row();
    const dst = (src + 1 + this.random(REGISTERS - 1)) % REGISTERS;
    const [d, s] = [this.rows[dst], this.rows[src]];
    if (i32[s + VAR_MASK] === 0 && i32[s + VAR_MASK + 1] === 0) return;
    const is64 = this.random(2);
    const add = this.random(2);
    const imm = this.imm();
    if (imm === -0x80000000) return;
    domain.copyRow(d, s);
    const narrowSource = i32[s + UMAX + 1] === 0;
    this.record(this.emit(0xbf, FIRST + dst, FIRST + src, 0, 0));
    this.setImm(imm);
    const op = add ? 0x00 : 0x10;
    domain.aluScalar(op, is64, d, scratchRow(IMM));
    this.settle(d);
    this.record(this.emit(op | (is64 ? 7 : 4), FIRST + dst, 0, 0, imm));
    const delta = add ? imm : -imm;
    // A 32-bit step keeps the link where the source was a u32.
    if (!is64 && !narrowSource) this.jump();
    else if (this.random(2)) this.jump({ known: src, other: dst, delta, is32: 1 - is64 });
    else this.jump({ known: dst, other: src, delta: -delta, is32: 1 - is64 });
    this.unlink(dst);
    this.unlink(src);
  }

  /** A narrow load of unknown bytes. */
  private load(): void {
    const { domain } = this.memory;
    const dst = this.row();
    const size = [1, 2, 4][this.random(3)];
    const signed = this.random(2);
    domain.setUnknown(this.rows[dst]);
    if (signed) domain.signExtend(this.rows[dst], size);
    else domain.coerce(this.rows[dst], size);
    const width = { 1: 0x10, 2: 0x08, 4: 0x00 }[size] ?? 0;
    this.record(this.emit((signed ? 0x81 : 0x61) | width, FIRST + dst, 10, -24, 0));
    this.unlink(dst);
  }

  private jump(link?: { known: number; other: number; delta: number; is32: number }): void {
    const { domain } = this.memory;
    const op = JUMPS[this.random(JUMPS.length)];
    const is32 = this.random(2);
    const dst = link?.known ?? this.row();
    const src = this.row();
    const byRegister = !link && this.random(3) === 0;
    const imm = this.imm();
    this.setImm(imm);
    const a = this.rows[dst];
    const b = byRegister ? this.rows[src] : scratchRow(IMM);
    const decided = domain.isBranchTaken(op, is32, a, b);
    if (decided === 1) return;
    const opcode = op | (is32 ? 6 : 5) | (byRegister ? 8 : 0);
    const at = this.emit(opcode, FIRST + dst, byRegister ? FIRST + src : 0, 0, byRegister ? 0 : imm);
    if (decided === -1) {
      const trueA = scratchRow(OTHER);
      const trueB = byRegister && src === dst ? trueA : scratchRow(OTHER + 1);
      const falseB = byRegister ? b : scratchRow(IMM + 1);
      domain.copyRow(trueA, a);
      domain.copyRow(trueB, b);
      domain.refine(op, is32, trueA, trueB, a, falseB);
      for (const row of [trueA, trueB, a, falseB]) this.settle(row);
      const registers = this.registers();
      if (byRegister) registers[src] = formatScalar(this.memory, trueB);
      registers[dst] = formatScalar(this.memory, trueA);
      if (link) {
        for (const [row, known] of [
          [trueB, trueA],
          [this.rows[link.other], a],
        ]) {
          domain.copyRow(row, known);
          if (link.delta !== 0) domain.addConst(row, link.delta, link.is32);
        }
        registers[link.other] = formatScalar(this.memory, trueB);
      }
      this.jumps.push({ at, registers });
    } else this.jumps.push({ at, registers: [] });
    this.record(at);
  }
}

function encode(code: readonly (readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(code.length * 8);
  const view = new DataView(bytes.buffer);
  code.forEach(([opcode, dst, src, off, imm], slot) => {
    view.setUint8(slot * 8, opcode);
    view.setUint8(slot * 8 + 1, dst | (src << 4));
    view.setInt16(slot * 8 + 2, off, true);
    view.setInt32(slot * 8 + 4, imm, true);
  });
  return bytes;
}

/** A difference between our states and a kernel log. */
export interface Difference {
  readonly slot: number;
  readonly register: number;
  readonly ours: string;
  readonly theirs: string;
  readonly line: string;
}

/** Compares each register of the log's first walk with ours. `compared` counts the values. */
export function compareWithLog(
  program: ScalarProgram,
  log: string,
): { compared: number; differences: Difference[] } {
  const seen = new Set<string>();
  const differences: Difference[] = [];
  let compared = 0;
  let last = -1; // slot of the last instruction printed
  for (const line of log.split("\n")) {
    const from = /^from (\d+) to \d+: R/.exec(line);
    const insn = /^(\d+): \([0-9a-f]{2}\)/.exec(line);
    const after = /^(\d+): R/.exec(line); // the state after `last`, where other lines came between
    let ours: readonly string[] | undefined;
    let states = line;
    if (from) {
      last = -1;
      ours = program.taken.get(Number(from[1]))?.registers;
    } else if (insn) {
      last = Number(insn[1]);
      states = line.includes(";") ? line.slice(line.indexOf(";")) : "";
      ours = program.after.get(last);
    } else if (after && (last === Number(after[1]) || last === Number(after[1]) - 1)) {
      ours = program.after.get(last);
    }
    if (ours === undefined || !/ R[5-9]=/.test(states)) continue;
    const key = from?.[0] ?? `${last}`;
    if (seen.has(key)) continue;
    seen.add(key);
    for (const [, register, theirs] of states.matchAll(VALUE)) {
      const mine = register === "5" ? ours[REGISTERS] : ours[Number(register) - FIRST];
      if (mine === undefined) continue;
      const clean = plain(theirs);
      compared++;
      if (clean !== mine) {
        differences.push({ slot: last, register: Number(register), ours: mine, theirs: clean, line });
      }
    }
  }
  return { compared, differences };
}

const VALUE = / R([5-9])=P?((?:scalar|pkt)\((?:[^() ]|\([^)]*\))*\)|-?[0-9a-fx]+)/g;

/** The value without type, id, constant distance and packet range. */
function plain(text: string): string {
  const bare = text.replace(/^pkt/, "scalar").replace(/(?<=[(,])(?:id|r)=\d+(?:[+-]\d+)?,?/g, "");
  return bare.replace(/,\)$/, ")").replace(/^scalar\(imm=(.*)\)$/, "$1");
}
