import {
  ALU_OPS,
  Class,
  CODE_MASK,
  classOf,
  isAlu,
  Opcode,
  slotsOf,
  usesSourceRegister,
} from "../isa/index.ts";
import type { FuncBody } from "../wasm/index.ts";
import type { Graph, Node } from "./cfg.ts";
import { Emitter, type ModuleIndex } from "./emitter.ts";
import type { JitInput } from "./input.ts";
import { valuesAtNodes } from "./known-values.ts";
import { lowerAlu } from "./lower-alu.ts";
import { type CallFrame, lowerCall, lowerPacketLoad } from "./lower-call.ts";
import { lowerCondition } from "./lower-jump.ts";
import { lowerMemory, lowerWideLoad } from "./lower-memory.ts";
import { Rotations } from "./rotations.ts";
import { localSlots } from "./stack-slots.ts";
import { type NodeWriter, type Shape, writeStructured } from "./structure.ts";
import { Sums } from "./sums.ts";
import { MAY_GOTO_LIMIT, STACK_SIZE, StopCode } from "./surroundings.ts";
import type { Unrolled } from "./unroll.ts";
import { lowHalfOnly } from "./upper-halves.ts";
import { step, type Values } from "./values.ts";

/**
 * Writes a function whose graph is reducible. `checkDepth`: it may be called deeper than Linux allows.
 */
export function writeFunction(
  f: FuncBody,
  graph: Graph,
  { shape, repeated }: Unrolled,
  input: JitInput,
  index: ModuleIndex,
  checkDepth: boolean,
): void {
  const writer = new FunctionWriter(f, graph, shape, repeated, input, index);
  writer.prologue(checkDepth);
  writeStructured(graph, shape, f, writer);
  f.op("unreachable").end();
}

/** Stack bytes up to which stores are faster than `memory.fill`, which leaves wasm. */
const ZEROED_INLINE = 128;

class FunctionWriter implements NodeWriter, CallFrame {
  private readonly e: Emitter;
  private readonly graph: Graph;
  /** What is known of the registers where each node begins. */
  private readonly known: readonly Values[];
  private readonly fuel: number;
  private readonly rotations = new Rotations();

  constructor(
    f: FuncBody,
    graph: Graph,
    shape: Shape,
    repeated: ReadonlySet<number>,
    input: JitInput,
    index: ModuleIndex,
  ) {
    this.e = new Emitter(f, input, index);
    this.e.sums = new Sums(repeated, shape.flow);
    this.graph = graph;
    this.e.lowHalfOnly = lowHalfOnly(graph, shape.flow, input.insns);
    this.known = valuesAtNodes(graph, shape, input.insns);
    this.fuel = input.metered ? this.e.temp("i64", "fuel") : -1;
  }

  /** What a function does before its first instruction. */
  prologue(checkDepth: boolean): void {
    const { e } = this;
    const { f, input, index } = e;
    const code = this.graph.nodes.filter((node) => node.kind === "code");
    if (checkDepth) {
      f.localGet(0).globalGet(index.globals.frameLimit).op("i32.gt_u").if();
      e.fail(StopCode.CALL_DEPTH, code[0].start);
      f.end();
    }
    e.slots = localSlots(input.insns, code);
    if (code.some((node) => this.usesFrame(node))) {
      f.localGet(0).i32Const(STACK_SIZE).op("i32.sub").localSet(e.frameBottom());
      if (input.zeroStack) this.zeroStack(code);
    }
    if (code.some((node) => node.last >= 0 && input.insns.opcode[node.last] === Opcode.JCOND))
      f.i32Const(MAY_GOTO_LIMIT).localSet(e.temp("i32", "may_goto"));
    this.after();
  }

  body(n: number): void {
    const { e } = this;
    const { insns, f } = e;
    const node = this.graph.nodes[n];
    e.values = [...this.known[n]];
    if (node.kind === "set") f.i32Const(node.value).localSet(e.temp("i32", "way"));
    if (node.kind === "code") {
      this.charge(node);
      this.rotations.begin();
      e.sums.enter(n);
      const end = node.ends === "fall" ? node.end : node.last;
      for (let slot = node.start; slot < end; slot += slotsOf(insns, slot)) {
        this.instruction(slot);
        e.sums.after(e, slot);
        step(insns, slot, e.values);
      }
      e.sums.leave(n);
      if (node.ends === "trap") e.fail(StopCode.BAD_INSN, node.last);
    }
  }

  condition(n: number): void {
    lowerCondition(this.e, this.graph.nodes[n].last);
  }

  chooser(): void {
    this.e.f.localGet(this.e.temp("i32", "way"));
  }

  exit(n: number): void {
    if (this.graph.nodes[n].ends === "trap") return; // `fail` does not come back
    this.before();
    this.e.get(0).op("return");
  }

  /** Fuel is kept in a local while the function runs by itself. */
  before(): void {
    if (this.fuel >= 0) this.e.f.localGet(this.fuel).globalSet(this.e.index.globals.fuel);
  }

  after(): void {
    if (this.fuel >= 0) this.e.f.globalGet(this.e.index.globals.fuel).localSet(this.fuel);
  }

  private instruction(slot: number): void {
    const { e } = this;
    const opcode = e.insns.opcode[slot];
    if (this.rotations.take(e, slot) || e.sums.write(e, slot)) return;
    if (isAlu(opcode)) lowerAlu(e, slot);
    else if (opcode === Opcode.LDDW) lowerWideLoad(e, slot);
    else if (opcode === Opcode.CALL || opcode === Opcode.CALLX) lowerCall(e, slot, this);
    else if (classOf(opcode) === Class.LD) lowerPacketLoad(e, slot, this);
    else lowerMemory(e, slot);
  }

  /** Takes a node's instructions from the budget. */
  private charge(node: Node): void {
    if (this.fuel < 0) return;
    const { insns } = this.e;
    let count = 0;
    for (let slot = node.start; slot < node.end; slot += slotsOf(insns, slot)) count++;
    if (count > 0) this.spend(count, node.start);
  }

  round(slot: number): void {
    if (this.fuel >= 0) this.spend(1, slot);
  }

  private spend(count: number, slot: number): void {
    const { f } = this.e;
    f.localGet(this.fuel).i64Const(count).op("i64.sub").localTee(this.fuel).i64Const(0).op("i64.lt_s").if();
    f.i64Const(0).globalSet(this.e.index.globals.fuel);
    this.e.fail(StopCode.BUDGET, slot);
    f.end();
  }

  /** Writes zeroes to the part of the stack that the function may read: from its lowest offset up. */
  private zeroStack(code: readonly Node[]): void {
    const { f } = this.e;
    const from = STACK_SIZE + this.lowestOffset(code);
    if (STACK_SIZE - from > ZEROED_INLINE) {
      f.localGet(this.e.frameBottom()).i32Const(from).op("i32.add");
      f.i32Const(0)
        .i32Const(STACK_SIZE - from)
        .memoryFill();
      return;
    }
    for (let at = from; at < STACK_SIZE; at += 8)
      f.localGet(this.e.frameBottom()).i64Const(0).memory("i64.store", at, 8);
  }

  /** Lowest multiple of 8 below r10 that is named: by an access, or by an addition to a copy of r10 and an access. */
  private lowestOffset(code: readonly Node[]): number {
    const { insns } = this.e;
    let [direct, access, added] = [0, 0, 0];
    for (const node of code) {
      for (let slot = node.start; slot < node.end; slot += slotsOf(insns, slot)) {
        const opcode = insns.opcode[slot];
        const off = insns.off[slot];
        const kind = classOf(opcode);
        const base = kind === Class.LDX ? insns.src[slot] : insns.dst[slot];
        if (kind === Class.ALU64 && (opcode & CODE_MASK) === ALU_OPS.add.code) {
          if (!usesSourceRegister(opcode)) added = Math.min(added, insns.imm[slot]);
        } else if (kind === Class.ALU64 && (opcode & CODE_MASK) === ALU_OPS.sub.code) {
          if (!usesSourceRegister(opcode)) added = Math.min(added, -insns.imm[slot]);
        } else if (kind === Class.LDX || kind === Class.ST || kind === Class.STX) {
          if (base === 10) direct = Math.min(direct, off);
          else access = Math.min(access, off);
        }
      }
    }
    return Math.max(-STACK_SIZE, Math.min(direct, added + access) & ~7);
  }

  private usesFrame(node: Node): boolean {
    const { insns } = this.e;
    const { slots } = this.e;
    for (let slot = node.start; slot < node.end; slot += slotsOf(insns, slot)) {
      if (insns.dst[slot] !== 10 && insns.src[slot] !== 10) continue;
      if (!slots.has(insns.off[slot])) return true;
    }
    return false;
  }
}
