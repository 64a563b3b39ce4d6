// One algorithm: conditional jumps, and what each branch learns.
import { Class, CODE_MASK, classOf, SOURCE_X } from "../isa/index.ts";
import { checkBounds } from "./alu.ts";
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { DST_IS_POINTER, LINKED_COUNT_SHIFT, LINKED_IS_REG, pushHistory, SRC_IS_POINTER } from "./history.ts";
import {
  A,
  F_CALLSITE,
  F_SLOTS,
  FRAME_REGS,
  ID,
  OFF,
  SlotType,
  TYPE,
  UMAX,
  VAR_MASK,
  VAR_VALUE,
} from "./layout.ts";
import { markChainPrecision } from "./precision.ts";
import { markNotNull, markPtrOrNullRegs } from "./refs.ts";
import {
  ADD_CONST,
  ADD_CONST32,
  AT_PKT_END,
  BASE_TYPE_MASK,
  BEYOND_PKT_END,
  isPacketPointer,
  RegType,
  TypeFlag,
} from "./register-types.ts";
import {
  checkRegRead,
  clearScalarId,
  isConst,
  isConst32,
  isNeverNull,
  isPointerValue,
  unsigned64,
} from "./regs.ts";
import { pushSpeculative } from "./sanitation.ts";
import { Scratch } from "./scratch.ts";
import type { State } from "./state.ts";
import { forEachRowOf, frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";
import { pushPath } from "./states.ts";
import { findPrevEntry, widenImprecise } from "./widen.ts";

const JEQ = 0x10;
const JGT = 0x20;
const JGE = 0x30;
const JNE = 0x50;
const JSGT = 0x60;
const JSGE = 0x70;
const JLT = 0xa0;
const JLE = 0xb0;
const JSLT = 0xc0;
const JSLE = 0xd0;
/** `MAX_PACKET_OFF` */
const MAX_PACKET_OFF = 0xffff;

/** `may_goto`: forks into going on and leaving the loop. Returns the next slot. */
export function checkMayGoto(env: VerifierEnv, insn: number): number {
  const prev = env.cur.parent === undefined ? undefined : findPrevEntry(env, env.cur.parent, insn);
  const queued = pushPath(env, insn + 1, insn, false);
  queued.mayGotoDepth++;
  if (prev !== undefined) widenImprecise(env, prev, queued);
  return insn + 1 + env.insns.off[insn];
}

/** A conditional jump; returns the slot at which the current path goes on. `check_cond_jmp_op` */
export function checkConditionalJump(env: VerifierEnv, insn: number): number {
  const { insns, mem, domain, cur } = env;
  const opcode = insns.opcode[insn];
  const op = opcode & CODE_MASK;
  const dst = insns.dst[insn];
  const src = insns.src[insn];
  const fromReg = (opcode & SOURCE_X) !== 0;
  const is32 = classOf(opcode) === Class.JMP32 ? 1 : 0;
  const target = insn + 1 + insns.off[insn];
  checkRegRead(env, dst);
  const a = env.reg(dst);
  let b: number;
  let flags = mem.i32[a + TYPE] === RegType.PTR_TO_STACK ? DST_IS_POINTER : 0;
  if (fromReg) {
    checkRegRead(env, src);
    b = env.reg(src);
    const packets = isPacketAny(mem.i32[a + TYPE]) && isPacketAny(mem.i32[b + TYPE]);
    if (!packets && isPointerValue(env, b)) comparisonProhibited(env, src);
    if (mem.i32[b + TYPE] === RegType.PTR_TO_STACK) flags |= SRC_IS_POINTER;
  } else {
    b = scratchRow(Scratch.JMP_IMM);
    const imm = insns.imm[insn];
    domain.markKnown(b, imm, imm >> 31);
    mem.i32[b + TYPE] = RegType.SCALAR_VALUE;
  }
  if (flags !== 0) pushHistory(env, flags);
  const taken = branchTaken(env, op, is32, a, b);
  if (taken >= 0) {
    // The decision hangs on the exact values.
    if (mem.i32[a + TYPE] === RegType.SCALAR_VALUE) markChainPrecision(env, dst);
    if (fromReg && mem.i32[b + TYPE] === RegType.SCALAR_VALUE) markChainPrecision(env, src);
    if (!env.bypassSpecV1) pushSpeculative(env, insn, taken === 1 ? insn + 1 : target);
    if (env.log.traces) env.traceChange();
    return taken === 1 ? target : insn + 1;
  }
  const { linked } = env;
  linked.clear();
  if (fromReg && isLinked(mem.i32, b)) collectLinked(env, mem.i32[b + ID]);
  if (isLinked(mem.i32, a)) collectLinked(env, mem.i32[a + ID]);
  const { count: links, lo, hi } = linked;
  if (links > 1) pushHistory(env, links << LINKED_COUNT_SHIFT, lo, hi);

  const other = pushPath(env, target, insn, false);
  const { i32 } = mem; // after pushPath: the memory may have grown
  const otherFrame = other.frames[other.curFrame];
  const otherA = frameReg(otherFrame, dst);
  let otherB: number;
  if (fromReg) {
    otherB = frameReg(otherFrame, src);
  } else {
    otherB = scratchRow(Scratch.JMP_TRUE_B);
    domain.copyRow(otherB, b);
  }
  if (i32[a + TYPE] === RegType.SCALAR_VALUE && i32[b + TYPE] === RegType.SCALAR_VALUE) {
    domain.refine(op, is32, otherA, otherB, a, b);
    checkBounds(env, otherA, "true_reg1");
    checkBounds(env, otherB, "true_reg2");
    checkBounds(env, a, "false_reg1");
    checkBounds(env, b, "false_reg2");
  }
  if (links > 1) {
    if (fromReg && isLinked(i32, b) && i32[b + ID] === i32[otherB + ID]) {
      syncLinked(env, cur, b, links, lo, hi);
      syncLinked(env, other, otherB, links, lo, hi);
    }
    if (isLinked(i32, a) && i32[a + ID] === i32[otherA + ID]) {
      syncLinked(env, cur, a, links, lo, hi);
      syncLinked(env, other, otherA, links, lo, hi);
    }
  }
  if (is32 === 0 && fromReg) learnFromEqualPointers(env, op, a, b, otherA, otherB);
  const type = i32[a + TYPE];
  if (
    is32 === 0 &&
    !fromReg &&
    insns.imm[insn] === 0 &&
    (op === JEQ || op === JNE) &&
    (type & TypeFlag.PTR_MAYBE_NULL) !== 0
  ) {
    markPtrOrNullRegs(env, cur, dst, op === JNE);
    markPtrOrNullRegs(env, other, dst, op === JEQ);
  } else if (
    !(fromReg && is32 === 0 && matchPacketPointers(env, op, dst, src, cur, other)) &&
    isPointerValue(env, a)
  ) {
    comparisonProhibited(env, dst);
  }
  if (env.log.traces) env.traceChange();
  return insn + 1;
}

function comparisonProhibited(env: VerifierEnv, reg: number): never {
  return env.fail("verifier/pointer-comparison", `R${reg} pointer comparison prohibited`, "EACCES");
}

function isPacketAny(type: number): boolean {
  return isPacketPointer(type) || type === RegType.PTR_TO_PACKET_END;
}

/** 1: taken, 0: not taken, -1: either. `is_branch_taken` */
function branchTaken(env: VerifierEnv, op: number, is32: number, a: number, b: number): number {
  const { i32 } = env.mem;
  const typeA = i32[a + TYPE];
  const typeB = i32[b + TYPE];
  if (typeA === RegType.SCALAR_VALUE && typeB === RegType.SCALAR_VALUE)
    return env.domain.isBranchTaken(op, is32, a, b);
  if (is32 === 0 && isPacketAny(typeA) && isPacketAny(typeB)) return packetBranchTaken(i32, op, a, b);
  // A pointer that is not null against 0.
  const scalarB = typeB === RegType.SCALAR_VALUE;
  const pointer = scalarB ? a : b;
  const scalar = scalarB ? b : a;
  if (i32[scalar + TYPE] !== RegType.SCALAR_VALUE) return -1;
  if (!(is32 !== 0 ? isConst32(env, scalar) : isConst(env, scalar))) return -1;
  if (!isNeverNull(env, pointer)) return -1;
  if (i32[scalar + VAR_VALUE] !== 0 || (is32 === 0 && i32[scalar + VAR_VALUE + 1] !== 0)) return -1;
  if (op === JEQ) return 0;
  return op === JNE ? 1 : -1;
}

/** `is_pkt_ptr_branch_taken` */
function packetBranchTaken(i32: Int32Array, opcode: number, a: number, b: number): number {
  let op = opcode;
  let packet = a;
  if (i32[a + TYPE] === RegType.PTR_TO_PACKET_END) {
    packet = b;
    op = flip(opcode);
  } else if (i32[b + TYPE] !== RegType.PTR_TO_PACKET_END) {
    return -1;
  }
  const range = i32[packet + A];
  if (range >= 0) return -1;
  if (op === JLE || op === JGT) return range === BEYOND_PKT_END ? (op === JGT ? 1 : 0) : -1;
  if (op === JLT || op === JGE)
    return range === BEYOND_PKT_END || range === AT_PKT_END ? (op === JGE ? 1 : 0) : -1;
  return -1;
}

/** `a op b` as `b flip(op) a`. */
function flip(op: number): number {
  switch (op) {
    case JGT:
      return JLT;
    case JLT:
      return JGT;
    case JGE:
      return JLE;
    case JLE:
      return JGE;
    case JSGT:
      return JSLT;
    case JSLT:
      return JSGT;
    case JSGE:
      return JSLE;
    case JSLE:
      return JSGE;
    default:
      return op; // JEQ, JNE and JSET
  }
}

// -- linked scalars -----------------------------------------------------------------------------------------------------

function isLinked(i32: Int32Array, row: number): boolean {
  return i32[row + TYPE] === RegType.SCALAR_VALUE && i32[row + ID] !== 0;
}

/**
 * Adds all copies of the scalar with this id, in registers that are still read and in slots; the seventh and later are
 * cut loose. `collect_linked_regs` @ v6.18.y
 */
function collectLinked(env: VerifierEnv, linkedId: number): void {
  const { i32, u8 } = env.mem;
  const { cur } = env;
  const id = linkedId & ~ADD_CONST;
  for (let f = cur.curFrame; f >= 0; f--) {
    const frame = cur.frames[f];
    const at = f === cur.curFrame ? env.insn : i32[cur.frames[f + 1] + F_CALLSITE];
    const live = env.aux.liveRegs[at];
    for (let n = 0; n < FRAME_REGS - 1; n++) {
      if ((live & (1 << n)) === 0) continue;
      const row = frameReg(frame, n);
      if (i32[row + TYPE] === RegType.SCALAR_VALUE && (i32[row + ID] & ~ADD_CONST) === id) {
        addLinked(env, row, f | (n << 3) | LINKED_IS_REG);
      }
    }
    const slots = i32[frame + F_SLOTS];
    for (let slot = 0; slot < slots; slot++) {
      const row = frameSlotRow(frame, slot);
      if (
        (i32[row + ID] & ~ADD_CONST) === id &&
        u8[frameSlotTypes(frame, slot) + 7] === SlotType.SPILL &&
        i32[row + TYPE] === RegType.SCALAR_VALUE
      ) {
        addLinked(env, row, f | (slot << 3));
      }
    }
  }
}

function addLinked(env: VerifierEnv, row: number, entry: number): void {
  if (!env.linked.add(entry)) clearScalarId(env, row);
}

/** Tells the copies what is known of one of them now. `sync_linked_regs` */
function syncLinked(
  env: VerifierEnv,
  state: State,
  known: number,
  count: number,
  lo: number,
  hi: number,
): void {
  const { mem, domain } = env;
  const { i32 } = mem;
  const id = i32[known + ID];
  for (let i = 0; i < count; i++) {
    const entry = i < 3 ? (lo >>> (10 * i)) & 0x3ff : (hi >>> (10 * (i - 3))) & 0x3ff;
    const frame = state.frames[entry & 7];
    const index = (entry >> 3) & 63;
    const row = (entry & LINKED_IS_REG) !== 0 ? frameReg(frame, index) : frameSlotRow(frame, index);
    if (row === known || i32[row + TYPE] !== RegType.SCALAR_VALUE) continue;
    const other = i32[row + ID];
    if ((other & ~ADD_CONST) !== (id & ~ADD_CONST)) continue;
    // One is a 64-bit distance away, the other a 32-bit one: between them there is none.
    if (((other ^ id) & ADD_CONST) === ADD_CONST) continue;
    const off = i32[row + OFF];
    if (((other | id) & ADD_CONST) === 0 || off === i32[known + OFF]) {
      domain.copyRow(row, known);
    } else {
      const distance = off - i32[known + OFF];
      domain.copyRow(row, known);
      i32[row + OFF] = off;
      i32[row + ID] = other;
      domain.addConst(row, distance, ((other | id) & ADD_CONST32) !== 0 ? 1 : 0);
    }
  }
}

// -- pointers -----------------------------------------------------------------------------------------------------------

/** A pointer that equals one that is not null is not null. */
function learnFromEqualPointers(
  env: VerifierEnv,
  op: number,
  a: number,
  b: number,
  otherA: number,
  otherB: number,
): void {
  if (op !== JEQ && op !== JNE) return;
  const { i32 } = env.mem;
  const typeA = i32[a + TYPE];
  const typeB = i32[b + TYPE];
  if (typeA === RegType.SCALAR_VALUE || typeB === RegType.SCALAR_VALUE) return;
  if (
    (typeA & BASE_TYPE_MASK) === RegType.PTR_TO_BTF_ID ||
    (typeB & BASE_TYPE_MASK) === RegType.PTR_TO_BTF_ID
  )
    return;
  const equalA = op === JEQ ? otherA : a;
  const equalB = op === JEQ ? otherB : b;
  const neverA = isNeverNull(env, a);
  const neverB = isNeverNull(env, b);
  if (neverA && (typeB & TypeFlag.PTR_MAYBE_NULL) !== 0) markNotNull(env, equalB);
  if (neverB && (typeA & TypeFlag.PTR_MAYBE_NULL) !== 0) markNotNull(env, equalA);
}

/** A comparison of a packet pointer with the end (or of the metadata with the start): ranges. `try_match_pkt_pointers` */
function matchPacketPointers(
  env: VerifierEnv,
  op: number,
  dst: number,
  src: number,
  cur: State,
  other: State,
): boolean {
  if (op !== JGT && op !== JLT && op !== JGE && op !== JLE) return false;
  const a = env.reg(dst);
  const b = env.reg(src);
  const { i32 } = env.mem;
  const typeA = i32[a + TYPE];
  const typeB = i32[b + TYPE];
  const forward =
    (typeA === RegType.PTR_TO_PACKET && typeB === RegType.PTR_TO_PACKET_END) ||
    (typeA === RegType.PTR_TO_PACKET_META && isPacketStart(i32, b));
  const backward =
    (typeA === RegType.PTR_TO_PACKET_END && typeB === RegType.PTR_TO_PACKET) ||
    (isPacketStart(i32, a) && typeB === RegType.PTR_TO_PACKET_META);
  if (!forward && !backward) return false;
  // Written as `packet op end`: which branch is inside the packet, and is `packet == end` inside?
  const order = forward ? op : flip(op);
  const packet = forward ? dst : src;
  const jumpIsInside = order === JLT || order === JLE;
  const inside = jumpIsInside ? other : cur;
  const outside = jumpIsInside ? cur : other;
  const open = order === JLT || order === JGE; // inside: packet < end
  findGoodPackets(env, inside, frameReg(inside.frames[inside.curFrame], packet), open);
  markPacketEnd(env, outside, packet, !open);
  return true;
}

function isPacketStart(i32: Int32Array, row: number): boolean {
  return (
    i32[row + TYPE] === RegType.PTR_TO_PACKET &&
    (i32[row + ID] |
      i32[row + OFF] |
      i32[row + VAR_MASK] |
      i32[row + VAR_MASK + 1] |
      i32[row + VAR_VALUE] |
      i32[row + VAR_VALUE + 1]) ===
      0
  );
}

/** Raises the range of all pointers with the same base. `find_good_pkt_pointers` */
function findGoodPackets(env: VerifierEnv, state: State, row: number, open: boolean): void {
  const { i32 } = env.mem;
  const off = i32[row + OFF];
  if (off < 0 || (off === 0 && open)) return; // this proves nothing
  const max = unsigned64(env, row + UMAX);
  if (max > MAX_PACKET_OFF || max + off > MAX_PACKET_OFF) return;
  const range = open ? off + 1 : off;
  const type = i32[row + TYPE];
  const id = i32[row + ID];
  forEachRowOf(env, state, (each) => {
    if (i32[each + TYPE] === type && i32[each + ID] === id) i32[each + A] = Math.max(i32[each + A], range);
  });
}

/** The pointer lies at the end or (`beyond`) past it. `mark_pkt_end` */
function markPacketEnd(env: VerifierEnv, state: State, reg: number, beyond: boolean): void {
  const { i32 } = env.mem;
  const row = frameReg(state.frames[state.curFrame], reg);
  if (i32[row + TYPE] !== RegType.PTR_TO_PACKET) return;
  i32[row + A] = beyond ? BEYOND_PKT_END : AT_PKT_END;
}
