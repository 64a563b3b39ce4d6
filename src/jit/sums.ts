import { ALU_OPS, Class, FRAME_POINTER, SOURCE_X } from "../isa/index.ts";
import type { Emitter } from "./emitter.ts";
import { dominates, type Flow } from "./flow.ts";
import { changedRegisters } from "./values.ts";

/** A register's value: what number `base` stands for, plus `add`. */
interface Sum {
  readonly base: number;
  readonly add: number;
}

const MOV = Class.ALU64 | ALU_OPS.mov.code | SOURCE_X;
const ADD_IMM = Class.ALU64 | ALU_OPS.add.code;
const ADD = ADD_IMM | SOURCE_X;
/** Nothing lies below: adding less to an address that is in use cannot have carried it past 32 bits. */
const LOWEST_ADDRESS = 0x10000;
const MAX_ADD = 0x40000000;

/**
 * Addresses in repeated loop bodies differ by constants: a pointer of the second copy is that of the first, plus the
 * step. This keeps such bases in locals of their own and writes registers as base + constant, so that V8 neither adds up
 * step by step nor cuts each pointer to 32 bits: the constant goes into the access.
 */
export class Sums {
  private readonly inLoop: ReadonlySet<number>;
  private readonly flow: Flow;
  /** Current node; undefined outside of repeated loops. */
  private node: number | undefined;
  private registers: Sum[] = [];
  private readonly atEnd = new Map<number, readonly Sum[]>();
  /** Bases that are kept in a local, and the node that puts them there. */
  private readonly kept = new Map<number, { readonly local: number; readonly node: number }>();
  /** Sums of two bases, by both. */
  private readonly pairs = new Map<string, number>();
  private next = 0;

  /** `inLoop`: nodes of the loops that were repeated. */
  constructor(inLoop: ReadonlySet<number>, flow: Flow) {
    this.inLoop = inLoop;
    this.flow = flow;
  }

  /** A node begins; what leads to it (loops apart) was written before. */
  enter(n: number): void {
    this.node = this.inLoop.has(n) ? n : undefined;
    if (this.node === undefined) return;
    const [first, ...rest] = this.flow.preds[n].map((pred) => this.atEnd.get(pred));
    this.registers = Array.from({ length: FRAME_POINTER + 1 }, (_, r) => {
      const sum = first?.[r];
      const agreed = sum !== undefined && rest.every((other) => same(other?.[r], sum));
      return agreed ? sum : this.fresh();
    });
  }

  leave(n: number): void {
    if (this.node !== undefined) this.atEnd.set(n, this.registers);
  }

  /** Local and offset that give the address `off` behind register `r`. */
  address(r: number, off: number): { readonly local: number; readonly offset: number } | undefined {
    const parts = this.parts(r);
    if (parts === undefined) return undefined;
    const offset = parts.add + off;
    return offset < 0 || offset >= LOWEST_ADDRESS ? undefined : { local: parts.local, offset };
  }

  /** Local and number that register `r` is the sum of. */
  parts(r: number): { readonly local: number; readonly add: number } | undefined {
    if (this.node === undefined) return undefined;
    const { base, add } = this.registers[r];
    const local = this.localOf(base);
    return local === undefined ? undefined : { local, add };
  }

  /** Writes an addition whose base is known, or keeps the base; true when it did. */
  write(e: Emitter, slot: number): boolean {
    if (this.node === undefined) return false;
    const opcode = e.insns.opcode[slot];
    if (opcode !== ADD && opcode !== ADD_IMM) return false;
    const sum = this.result(e, slot);
    if (sum === undefined) return false;
    const dst = e.insns.dst[slot];
    const local = this.localOf(sum.base);
    if (local !== undefined) {
      e.f.localGet(local).i64Const(sum.add).op("i64.add");
      e.set(dst);
      return true;
    }
    // The base itself must be at hand, and whole.
    const atHand = opcode === ADD_IMM ? this.registers[dst].add === 0 : sum.add === 0;
    if (!atHand || e.lowHalfOnly(slot)) return false;
    e.get(dst);
    if (opcode === ADD_IMM) e.f.localTee(this.keep(e, sum.base)).i64Const(e.insns.imm[slot]).op("i64.add");
    else e.get(e.insns.src[slot]).op("i64.add").localTee(this.keep(e, sum.base));
    e.set(dst);
    return true;
  }

  /** Takes note of the instruction at `slot`, which was written. */
  after(e: Emitter, slot: number): void {
    if (this.node === undefined) return;
    const sum = this.result(e, slot);
    const changed = changedRegisters(e.insns, slot);
    for (let r = 0; r < FRAME_POINTER; r++) if (changed & (1 << r)) this.registers[r] = sum ?? this.fresh();
  }

  private result(e: Emitter, slot: number): Sum | undefined {
    const { insns } = e;
    const dst = this.registers[insns.dst[slot]];
    const src = this.registers[insns.src[slot]];
    switch (insns.opcode[slot]) {
      case MOV:
        return insns.off[slot] === 0 ? src : undefined;
      case ADD_IMM:
        return limited(dst.base, dst.add + insns.imm[slot]);
      case ADD:
        return limited(this.pair(dst.base, src.base), dst.add + src.add);
      default:
        return undefined;
    }
  }

  private pair(a: number, b: number): number {
    const key = `${Math.min(a, b)}+${Math.max(a, b)}`;
    const found = this.pairs.get(key);
    if (found !== undefined) return found;
    const base = this.next++;
    this.pairs.set(key, base);
    return base;
  }

  private fresh(): Sum {
    return { base: this.next++, add: 0 };
  }

  /** Where a base is kept, if it surely is by now. */
  private localOf(base: number): number | undefined {
    const kept = this.kept.get(base);
    return kept !== undefined && dominates(this.flow, kept.node, this.node as number)
      ? kept.local
      : undefined;
  }

  private keep(e: Emitter, base: number): number {
    const local = e.f.local("i64", `base${base}`);
    this.kept.set(base, { local, node: this.node as number });
    return local;
  }
}

function same(a: Sum | undefined, b: Sum): boolean {
  return a?.base === b.base && a.add === b.add;
}

function limited(base: number, add: number): Sum | undefined {
  return Math.abs(add) < MAX_ADD ? { base, add } : undefined;
}
