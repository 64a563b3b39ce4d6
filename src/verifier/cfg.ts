import {
  Class,
  CODE_MASK,
  classOf,
  functionTarget,
  type InsnTable,
  isFunctionLoad,
  isLocalCall,
  isWide,
  JmpCode,
  jumpTarget,
  Opcode,
} from "../isa/index.ts";
import { InsnMark } from "./cfg-marks.ts";
import type { CallSummaries } from "./prechecks-calls.ts";
import type { Fail } from "./prechecks-fail.ts";
import type { InsnAux, Subprog } from "./state.ts";
import { subprogOf } from "./subprograms.ts";

/** What {@link checkCfg} needs to know. */
export interface CfgInput {
  readonly insns: InsnTable;
  readonly subprogs: readonly Subprog[];
  /** Number of the exception callback; 0: the program has none. */
  readonly exceptionCallback: number;
  /** Without CAP_BPF no edge may lead back. */
  readonly loopsAllowed: boolean;
  readonly calls: CallSummaries;
  readonly fail: Fail;
}

/**
 * Walks the flow graph depth first, local calls and function addresses being edges too: every instruction must be
 * reached, none may lie in the middle of an `lddw`, and without privilege nothing may lead back. On the way it marks in
 * `aux` where states may and must be saved and where the jump history gets an entry, and in `subprogs` which functions
 * may sleep or change the packet, through the functions they call.
 * @throws by `fail`: `verifier/unreachable`, `verifier/back-edge`, `verifier/bad-jump`.
 * @see kernel/bpf/verifier.c `check_cfg` @ v6.18
 */
export function checkCfg(input: CfgInput, aux: InsnAux): void {
  const walk = new CfgWalk(input, aux);
  walk.from(0);
  if (input.exceptionCallback !== 0) walk.from(input.subprogs[input.exceptionCallback].start);
  walk.checkReached();
}

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

/** Depth-first search without recursion: {@link state} holds DISCOVERED | edges tried, then EXPLORED. */
class CfgWalk {
  private readonly insns: InsnTable;
  private readonly input: CfgInput;
  private readonly aux: InsnAux;
  private readonly state: Uint8Array;
  private readonly stack: Int32Array;
  private depth = 0;

  constructor(input: CfgInput, aux: InsnAux) {
    this.input = input;
    this.insns = input.insns;
    this.aux = aux;
    this.state = new Uint8Array(input.insns.length);
    this.stack = new Int32Array(input.insns.length);
  }

  from(start: number): void {
    const { stack, state } = this;
    stack[0] = start;
    state[start] = DISCOVERED;
    this.depth = 1;
    while (this.depth > 0) {
      const slot = stack[this.depth - 1];
      if (this.visit(slot)) continue;
      state[slot] = EXPLORED;
      this.depth--;
    }
  }

  checkReached(): void {
    const { insns, state } = this;
    for (let slot = 0; slot < insns.length; slot++) {
      if (state[slot] !== EXPLORED)
        this.input.fail("verifier/unreachable", `unreachable insn ${slot}`, "EINVAL", slot);
      if (!isWide(insns.opcode[slot])) continue;
      if (state[slot + 1] !== 0) {
        this.input.fail("verifier/bad-jump", `jump into the middle of ldimm64 insn ${slot}`, "EINVAL", slot);
      }
      slot++;
    }
  }

  /** True when an edge led to something new, which now lies on the stack. */
  private visit(slot: number): boolean {
    const { insns } = this;
    const opcode = insns.opcode[slot];
    if (isFunctionLoad(insns, slot)) return this.visitCall(slot, 2, true);
    const klass = classOf(opcode);
    if (klass !== Class.JMP && klass !== Class.JMP32) {
      return this.follow(slot, slot + (isWide(opcode) ? 2 : 1), FALLTHROUGH);
    }
    switch (opcode & CODE_MASK) {
      case JmpCode.EXIT:
        return false;
      case JmpCode.CALL:
        this.markCall(slot);
        return this.visitCall(slot, 1, isLocalCall(insns, slot));
      case JmpCode.JA: {
        const target = jumpTarget(insns, slot);
        if (this.follow(slot, target, FALLTHROUGH)) return true;
        this.markLanding(target);
        return false;
      }
      default:
        this.aux.prunePoint[slot] = 1;
        if (opcode === Opcode.JCOND) this.aux.forceCheckpoint[slot] = 1;
        if (this.follow(slot, slot + 1, FALLTHROUGH)) return true;
        return this.follow(slot, jumpTarget(insns, slot), BRANCH);
    }
  }

  private visitCall(slot: number, slots: number, entersCallee: boolean): boolean {
    if (this.follow(slot, slot + slots, FALLTHROUGH)) return true;
    const { aux } = this;
    aux.prunePoint[slot + slots] = 1;
    aux.jumpPoint[slot + slots] = 1; // returning is a step out of line
    if (!entersCallee) return false;
    const target = functionTarget(this.insns, slot);
    aux.prunePoint[slot] = 1;
    this.mergeCallee(slot, target);
    return this.follow(slot, target, BRANCH);
  }

  /** The last visit of the call comes when the callee is explored, so that its marks are complete. */
  private mergeCallee(slot: number, target: number): void {
    const caller = subprogOf(this.input.subprogs, slot);
    const callee = subprogOf(this.input.subprogs, target);
    if (callee.changesPacketData) caller.changesPacketData = true;
    if (callee.mightSleep) caller.mightSleep = true;
  }

  private markCall(slot: number): void {
    const call = this.input.calls(slot);
    if (call === undefined) return;
    const { aux } = this;
    if (call.asyncCallback) aux.prunePoint[slot] = 1;
    if (call.syncCallback) {
      aux.callsCallback[slot] = 1;
      aux.forceCheckpoint[slot] = 1;
      aux.prunePoint[slot] = 1;
      aux.jumpPoint[slot] = 1;
    }
    if (call.iterNext) {
      aux.prunePoint[slot] = 1;
      aux.forceCheckpoint[slot] = 1;
    }
    if (call.mightSleep) subprogOf(this.input.subprogs, slot).mightSleep = true;
    if (call.changesPacket) subprogOf(this.input.subprogs, slot).changesPacketData = true;
  }

  private markLanding(target: number): void {
    this.aux.prunePoint[target] = 1;
    this.aux.jumpPoint[target] = 1;
    this.aux.marks[target] |= InsnMark.JUMP_TARGET;
  }

  private follow(from: number, to: number, edge: number): boolean {
    const { state } = this;
    if (state[from] >= (DISCOVERED | edge)) return false;
    if (to < 0 || to >= this.insns.length) {
      this.input.fail("verifier/bad-jump", `jump out of range from insn ${from} to ${to}`, "EINVAL", from);
    }
    if (edge === BRANCH) this.markLanding(to);
    if (state[to] === 0) {
      state[from] = DISCOVERED | edge;
      state[to] = DISCOVERED;
      this.stack[this.depth++] = to; // each slot is pushed once: there is room
      return true;
    }
    if (state[to] === EXPLORED) {
      state[from] = DISCOVERED | edge;
    } else if (!this.input.loopsAllowed) {
      this.input.fail("verifier/back-edge", `back-edge from insn ${from} to ${to}`, "EINVAL", from);
    }
    return false;
  }
}
