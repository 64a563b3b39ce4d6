// One algorithm: reads and writes of the stack, by instructions and by helpers.
import { Class, classOf } from "../isa/index.ts";
import { checkFastcallStack } from "./cfg-fastcall.ts";
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { pushHistory, STACK_ACCESS } from "./history.ts";
import {
  C,
  F_FRAMENO,
  F_SLOTS,
  F_SUBPROG,
  ID,
  MAX_STACK_BYTES,
  SLOT_WORDS,
  SlotType,
  TYPE,
  VAR_VALUE,
} from "./layout.ts";
import { MemAccess } from "./ports.ts";
import { markChainPrecision } from "./precision.ts";
import { BASE_TYPE_MASK, RegType } from "./register-types.ts";
import {
  assignScalarId,
  bitWidth,
  clearScalarId,
  isConst,
  isNull,
  isPointerValue,
  MAX_VAR_OFF,
  markConstZero,
  markUnknown,
  smax,
  smin,
  tnumText,
} from "./regs.ts";
import { Scratch } from "./scratch.ts";

/** Stack slot of the byte at `fp + off` (negative). `__get_spi` */
export function slotOf(off: number): number {
  return ((-off - 1) / 8) | 0;
}

/** Word index of the frame that a stack pointer's row points into. */
export function frameOf(env: VerifierEnv, row: number): number {
  return env.cur.frames[env.mem.i32[row + C]];
}

/** The slot holds a spilled register. */
export function isSpilled(env: VerifierEnv, frame: number, slot: number): boolean {
  return env.mem.u8[env.slotTypes(frame, slot) + 7] === SlotType.SPILL;
}

/** The slot holds a spilled scalar. */
export function isSpilledScalar(env: VerifierEnv, frame: number, slot: number): boolean {
  return isSpilled(env, frame, slot) && env.mem.i32[env.slotRow(frame, slot) + TYPE] === RegType.SCALAR_VALUE;
}

/** Makes room for `bytes` bytes of stack in a frame of the current state. `grow_stack_state` */
export function growStack(env: VerifierEnv, frame: number, bytes: number): void {
  const { mem } = env;
  const before = mem.i32[frame + F_SLOTS];
  const slots = (bytes + 7) >> 3;
  if (slots <= before) return;
  env.domain.zeroWords(env.slotTypes(frame, before) >> 2, (slots - before) * SLOT_WORDS);
  mem.i32[frame + F_SLOTS] = slots;
  const subprog = env.subprogs[mem.i32[frame + F_SUBPROG]];
  if (subprog.stackDepth < bytes) subprog.stackDepth = bytes;
}

/**
 * The access at register `reg` + `off` stays inside the stack; makes room for it. `off` holds the row's OFF already.
 * `check_stack_access_within_bounds`
 */
export function checkStackBounds(
  env: VerifierEnv,
  reg: number,
  off: number,
  bytes: number,
  access: MemAccess,
): void {
  const row = env.reg(reg);
  const frame = frameOf(env, row);
  const fixed = isConst(env, row);
  const verb = access === MemAccess.READ ? " read from" : " write to";
  let min: number;
  let max: number;
  if (fixed) {
    min = constOff(env, row) + off;
    max = min + bytes;
  } else {
    if (smax(env, row) >= MAX_VAR_OFF || smin(env, row) <= -MAX_VAR_OFF) {
      env.fail(
        "verifier/stack-unbounded",
        `invalid unbounded variable-offset${verb} stack R${reg}`,
        "EACCES",
      );
    }
    min = smin(env, row) + off;
    max = smax(env, row) + off + bytes;
  }
  const lowest =
    access === MemAccess.WRITE || env.allowUninitStack ? -MAX_STACK_BYTES : -8 * env.slotCount(frame);
  const outside = min < lowest || min > -1;
  if (outside || max > 0 || bytes < 0) {
    const where = fixed ? "" : ` var_off=${tnumText(env, row)}`;
    const kind = fixed ? "invalid" : "invalid variable-offset";
    const errno = outside ? "EACCES" : max > 0 ? "EINVAL" : "EFAULT";
    env.fail(
      "verifier/stack-out-of-bounds",
      `${kind}${verb} stack R${reg}${where} off=${off} size=${bytes}`,
      errno,
    );
  }
  growStack(env, frame, -min);
}

/** Constant part of a pointer's variable offset as a number. */
function constOff(env: VerifierEnv, row: number): number {
  const { i32 } = env.mem;
  return i32[row + VAR_VALUE + 1] * 0x1_0000_0000 + (i32[row + VAR_VALUE] >>> 0);
}

/**
 * Reads `bytes` bytes into register `dst` (-1: only checks). Bounds were checked. `off` as in {@link checkStackBounds}.
 * `check_stack_read`
 */
export function checkStackRead(env: VerifierEnv, reg: number, off: number, bytes: number, dst: number): void {
  const row = env.reg(reg);
  const frame = frameOf(env, row);
  if (isConst(env, row)) {
    readFixed(env, frame, off + constOff(env, row), bytes, dst);
    return;
  }
  if (dst < 0) {
    const text = `variable offset stack pointer cannot be passed into helper function; var_off=${tnumText(env, row)} off=${off} size=${bytes}`;
    env.fail("verifier/stack-variable-helper", text, "EACCES");
  }
  checkStackRange(env, reg, off, bytes, false, MemAccess.READ);
  const min = smin(env, row) + off;
  const max = smax(env, row) + off + bytes;
  readBytes(env, frame, min, max, dst);
  checkFastcallContract(env, frame, env.insn, min);
}

/** Writes register `value` (-1: the instruction's immediate or something unknown). `check_stack_write` */
export function checkStackWrite(
  env: VerifierEnv,
  reg: number,
  off: number,
  bytes: number,
  value: number,
  insn: number,
): void {
  const row = env.reg(reg);
  if (isConst(env, row)) writeFixed(env, frameOf(env, row), off + constOff(env, row), bytes, value, insn);
  else writeVariable(env, row, off, bytes, value, insn);
}

/** Copies a register into a slot as a spill of `bytes` bytes. `save_register_state` */
function saveRegister(env: VerifierEnv, frame: number, slot: number, row: number, bytes: number): void {
  env.domain.copyRow(env.slotRow(frame, slot), row);
  const { u8 } = env.mem;
  const types = env.slotTypes(frame, slot);
  let i = 8;
  for (; i > 8 - bytes; i--) u8[types + i - 1] = SlotType.SPILL;
  for (; i > 0; i--) {
    const type = u8[types + i - 1];
    if (type !== SlotType.ZERO && type !== SlotType.INVALID) u8[types + i - 1] = SlotType.MISC;
  }
}

/** Forgets a spill, dynptr or iterator that is overwritten in part. `scrub_special_slot` */
export function scrubSlot(env: VerifierEnv, frame: number, slot: number): void {
  const { mem } = env;
  const types = env.slotTypes(frame, slot);
  mem.i32[env.slotRow(frame, slot) + TYPE] = RegType.NOT_INIT;
  const last = mem.u8[types + 7];
  if (last !== SlotType.INVALID && last !== SlotType.MISC && last !== SlotType.ZERO) scrubTypes(env, types);
}

function scrubTypes(env: VerifierEnv, types: number): void {
  const { u8 } = env.mem;
  for (let i = 0; i < 8; i++) if (u8[types + i] !== SlotType.INVALID) u8[types + i] = SlotType.MISC;
}

function isStoreOfImmediate(env: VerifierEnv, insn: number): boolean {
  return classOf(env.insns.opcode[insn]) === Class.ST;
}

function writeFixed(
  env: VerifierEnv,
  frame: number,
  off: number,
  bytes: number,
  value: number,
  insn: number,
): void {
  const { mem } = env;
  const from = -off - 1;
  const slot = from >> 3;
  const types = env.slotTypes(frame, slot);
  const frameNo = mem.i32[frame + F_FRAMENO];
  if (
    !env.allowPtrLeaks &&
    isSpilled(env, frame, slot) &&
    mem.i32[env.slotRow(frame, slot) + TYPE] !== RegType.SCALAR_VALUE &&
    bytes !== 8
  ) {
    env.fail("verifier/stack-corrupt-spill", "attempt to corrupt spilled pointer on stack", "EACCES");
  }
  const row = value >= 0 ? env.reg(value) : 0;
  if (!env.bypassSpecV4) fenceStaleBytes(env, insn, types, from, bytes, row);
  destroyIfDynptr(env, frame, slot);
  if (bytes === 8) markSlotWritten(env, frameNo, slot);
  checkFastcallContract(env, frame, insn, off);
  markSlotScratched(env, slot);
  const aligned = (off & 7) === 0;
  if (row !== 0 && aligned && mem.i32[row + TYPE] === RegType.SCALAR_VALUE && env.bpfCapable) {
    const fits = bitWidth(env, row) <= 8 * bytes;
    if (fits) assignScalarId(env, row);
    saveRegister(env, frame, slot, row, bytes);
    if (!fits) mem.i32[env.slotRow(frame, slot) + ID] = 0;
  } else if (row === 0 && aligned && isStoreOfImmediate(env, insn) && env.bpfCapable) {
    const constant = scratchRow(Scratch.STACK);
    const imm = env.insns.imm[insn];
    env.domain.markUnknown(constant);
    env.domain.markKnown(constant, imm, imm >> 31);
    saveRegister(env, frame, slot, constant, bytes);
  } else if (row !== 0 && isSpillable(mem.i32[row + TYPE])) {
    if (bytes !== 8) env.fail("verifier/spill-size", "invalid size of register spill", "EACCES");
    if (frame !== env.frame && mem.i32[row + TYPE] === RegType.PTR_TO_STACK) {
      env.fail(
        "verifier/spill-stack-pointer",
        "cannot spill pointers to stack into stack frame of the caller",
      );
    }
    saveRegister(env, frame, slot, row, bytes);
  } else {
    scrubSlot(env, frame, slot);
    let type: number = SlotType.MISC;
    const zero = row !== 0 ? isNull(env, row) : isStoreOfImmediate(env, insn) && env.insns.imm[insn] === 0;
    if (zero) {
      if (value >= 0) markChainPrecision(env, value);
      type = SlotType.ZERO;
    }
    for (let i = 0; i < bytes; i++) mem.u8[types + ((from - i) & 7)] = type;
    return; // no spill: nothing for the history
  }
  pushHistory(env, STACK_ACCESS | frameNo | (slot << 3));
}

/**
 * A processor may read what the bytes held before a write to them: a barrier behind the write where a pointer is written,
 * or the bytes were more than plain data.
 */
function fenceStaleBytes(
  env: VerifierEnv,
  insn: number,
  types: number,
  from: number,
  bytes: number,
  row: number,
): void {
  const { u8, i32 } = env.mem;
  let stale = row !== 0 && isSpillable(i32[row + TYPE]);
  for (let i = 0; i < bytes && !stale; i++) {
    const type = u8[types + ((from - i) & 7)];
    stale = type !== SlotType.MISC && type !== SlotType.ZERO;
  }
  if (stale && env.sanitation !== undefined) env.sanitation.fenceAfter[insn] = 1;
}

function writeVariable(
  env: VerifierEnv,
  pointer: number,
  off: number,
  bytes: number,
  value: number,
  insn: number,
): void {
  const { mem } = env;
  const frame = frameOf(env, pointer);
  const min = smin(env, pointer) + off;
  const max = smax(env, pointer) + off + bytes;
  const row = value >= 0 ? env.reg(value) : 0;
  const zero = row !== 0 ? isNull(env, row) : isStoreOfImmediate(env, insn) && env.insns.imm[insn] === 0;
  let zeroUsed = false;
  for (let at = min; at < max; at++) destroyIfDynptr(env, frame, slotOf(at));
  checkFastcallContract(env, frame, insn, min);
  for (let at = min; at < max; at++) {
    const byte = -at - 1;
    const slot = byte >> 3;
    const type = env.slotTypes(frame, slot) + (byte & 7);
    markSlotScratched(env, slot);
    const old = mem.u8[type];
    if (!env.allowPtrLeaks && old !== SlotType.MISC && old !== SlotType.ZERO) {
      const text = `spilled ptr in range of var-offset stack write; insn ${insn}, ptr off: ${at}`;
      env.fail("verifier/internal", text);
    }
    // A zero written over a spilled zero changes nothing.
    if (
      zero &&
      old === SlotType.SPILL &&
      isSpilledScalar(env, frame, slot) &&
      isNull(env, env.slotRow(frame, slot))
    ) {
      zeroUsed = true;
      continue;
    }
    scrubSlot(env, frame, slot);
    let next: number = SlotType.MISC;
    if (zero && mem.u8[type] === SlotType.ZERO) {
      next = SlotType.ZERO;
      zeroUsed = true;
    }
    if (mem.u8[type] === SlotType.INVALID && !env.allowUninitStack) {
      const text = `uninit stack in range of var-offset write prohibited for !root; insn ${insn}, off: ${at}`;
      env.fail("verifier/internal", text);
    }
    mem.u8[type] = next;
  }
  if (zeroUsed && value >= 0) markChainPrecision(env, value);
}

function readFixed(env: VerifierEnv, frame: number, off: number, bytes: number, dst: number): void {
  const { mem } = env;
  const { u8 } = mem;
  const from = -off - 1;
  const slot = from >> 3;
  const types = env.slotTypes(frame, slot);
  const spill = env.slotRow(frame, slot);
  const frameNo = mem.i32[frame + F_FRAMENO];
  markSlotScratched(env, slot);
  checkFastcallContract(env, frame, env.insn, off);
  markSlotRead(env, frameNo, slot);
  if (u8[types + 7] !== SlotType.SPILL) {
    for (let i = 0; i < bytes; i++) checkReadable(env, u8[types + ((from - i) & 7)], off, i, bytes);
    if (dst >= 0) readBytes(env, frame, off, off + bytes, dst);
    return;
  }
  let spillBytes = 1;
  for (let i = 7; i > 0 && u8[types + i - 1] === SlotType.SPILL; i--) spillBytes++;
  if (bytes === 8 && spillBytes === 8) {
    if (dst >= 0) env.domain.copyRow(env.reg(dst), spill);
    else if (isPointerValue(env, spill)) {
      env.fail("verifier/stack-pointer-leak", `leaking pointer from stack off ${off}`, "EACCES");
    }
    pushHistory(env, STACK_ACCESS | frameNo | (slot << 3));
    return;
  }
  if (mem.i32[spill + TYPE] !== RegType.SCALAR_VALUE) {
    env.fail("verifier/fill-size", "invalid size of register fill", "EACCES");
  }
  if (dst < 0) return;
  const row = env.reg(dst);
  // Little endian: the low bytes are at the low address, where the spill starts.
  if (bytes <= spillBytes && (off & 7) === 0) {
    env.domain.copyRow(row, spill);
    if (bitWidth(env, row) > bytes * 8) clearScalarId(env, row);
  } else {
    let spilled = 0;
    let zeros = 0;
    for (let i = 0; i < bytes; i++) {
      const type = u8[types + ((from - i) & 7)];
      if (type === SlotType.SPILL) spilled++;
      else if (type === SlotType.ZERO) zeros++;
      else checkReadable(env, type, off, i, bytes);
    }
    if (spilled === bytes && isNull(env, spill)) {
      markConstZero(env, row);
    } else if (zeros === bytes) {
      markConstZero(env, row);
      return;
    } else {
      markUnknown(env, row);
      return;
    }
  }
  pushHistory(env, STACK_ACCESS | frameNo | (slot << 3));
}

function checkReadable(env: VerifierEnv, type: number, off: number, i: number, bytes: number): void {
  if (type === SlotType.MISC || type === SlotType.ZERO) return;
  if (type === SlotType.INVALID && env.allowUninitStack) return;
  env.fail("verifier/invalid-stack-read", `invalid read from stack off ${off}+${i} size ${bytes}`, "EACCES");
}

/** Zero when every byte is, unknown otherwise. `mark_reg_stack_read` */
function readBytes(env: VerifierEnv, frame: number, min: number, max: number, dst: number): void {
  const { u8 } = env.mem;
  let zeros = 0;
  for (let at = min; at < max; at++) {
    const byte = -at - 1;
    markSlotScratched(env, byte >> 3);
    if (u8[env.slotTypes(frame, byte >> 3) + (byte & 7)] !== SlotType.ZERO) break;
    zeros++;
  }
  if (zeros === max - min) markConstZero(env, env.reg(dst));
  else markUnknown(env, env.reg(dst));
}

/**
 * Memory on the stack handed to a helper, or read with a variable offset: inside the stack and initialised. `off` holds
 * the row's OFF. `access`: what the helper does; a write clobbers spills. `rawMode`: the helper fills the memory, nothing
 * needs to be there; answers true when it is to be marked as written afterwards ({@link markHelperWrite}).
 * `check_stack_range_initialized`
 */
export function checkStackRange(
  env: VerifierEnv,
  reg: number,
  off: number,
  bytes: number,
  zeroAllowed: boolean,
  access: MemAccess,
  rawMode = false,
): boolean {
  const { mem } = env;
  const row = env.reg(reg);
  const frame = frameOf(env, row);
  const clobber = access === MemAccess.WRITE;
  if (bytes === 0 && !zeroAllowed) env.fail("verifier/internal", "invalid zero-sized read", "EACCES");
  checkStackBounds(env, reg, off, bytes, access);
  const fixed = isConst(env, row);
  let min: number;
  let max: number;
  let raw = rawMode;
  if (fixed) {
    min = max = constOff(env, row) + off;
  } else {
    if (!env.bypassSpecV1) {
      const text = `R${reg} variable offset stack access prohibited for !root, var_off=${tnumText(env, row)}`;
      env.fail("verifier/stack-variable-offset", text, "EACCES");
    }
    // Which bytes get written is unknown: all must be initialised before.
    raw = false;
    min = smin(env, row) + off;
    max = smax(env, row) + off;
  }
  const end = max + bytes;
  if (raw) {
    for (let at = min; at < end; at++) {
      const byte = -at - 1;
      if (byte >> 3 >= env.slotCount(frame)) continue;
      if (mem.u8[env.slotTypes(frame, byte >> 3) + (byte & 7)] === SlotType.DYNPTR) {
        env.fail(
          "verifier/stack-write-dynptr",
          `potential write to dynptr at off=${at} disallowed`,
          "EACCES",
        );
      }
    }
    return true;
  }
  for (let at = min; at < end; at++) {
    const byte = -at - 1;
    const slot = byte >> 3;
    const types = env.slotTypes(frame, slot);
    const type = mem.u8[types + (byte & 7)];
    if (type === SlotType.ZERO || (type === SlotType.INVALID && env.allowUninitStack)) {
      if (clobber) mem.u8[types + (byte & 7)] = SlotType.MISC;
    } else if (type !== SlotType.MISC) {
      const spill = env.slotRow(frame, slot);
      if (
        mem.u8[types + 7] === SlotType.SPILL &&
        (mem.i32[spill + TYPE] === RegType.SCALAR_VALUE || env.allowPtrLeaks)
      ) {
        if (clobber) {
          markUnknown(env, spill);
          scrubTypes(env, types);
        }
      } else {
        const where = fixed ? `off ${min}+${at - min}` : `var_off ${tnumText(env, row)}+${at - min}`;
        const text = `invalid read from stack R${reg} ${where} size ${bytes}`;
        env.fail("verifier/invalid-stack-read", text, "EACCES");
      }
    }
    markSlotRead(env, mem.i32[frame + F_FRAMENO], slot);
  }
  return false;
}

/**
 * A helper filled `bytes` bytes at register `reg` (raw mode): they are MISC now, the liveness sees writes. The kernel
 * simulates byte stores: `check_mem_access(…, BPF_WRITE, -1)` for each byte.
 */
export function markHelperWrite(
  env: VerifierEnv,
  reg: number,
  off: number,
  bytes: number,
  insn: number,
): void {
  const row = env.reg(reg);
  const frame = frameOf(env, row);
  const start = off + constOff(env, row);
  for (let i = 0; i < bytes; i++) writeFixed(env, frame, start + i, 1, -1, insn);
}

function destroyIfDynptr(env: VerifierEnv, frame: number, slot: number): void {
  if (env.mem.u8[env.slotTypes(frame, slot) + 7] === SlotType.DYNPTR)
    env.kfuncs.destroyDynptrSlot(env, frame, slot);
}

function checkFastcallContract(env: VerifierEnv, frame: number, insn: number, off: number): void {
  checkFastcallStack(env.subprogs[env.mem.i32[frame + F_SUBPROG]], env.aux, insn, off);
}

/** The log shows the slot with the next state it prints. */
export function markSlotScratched(env: VerifierEnv, slot: number): void {
  if (slot < 32) env.scratchedSlotsLo |= 1 << slot;
  else env.scratchedSlotsHi |= 1 << (slot - 32);
}

/** The instruction at hand reads the slot: for the stack's liveness. */
export function markSlotRead(env: VerifierEnv, frameNo: number, slot: number): void {
  const { stackLiveness } = env.pre;
  if (slot < 32) stackLiveness.markRead(env, frameNo, env.insn, 1 << slot, 0);
  else stackLiveness.markRead(env, frameNo, env.insn, 0, 1 << (slot - 32));
}

/** A call uses the dynptr, iterator or irq flag in the slot: it is read, and the log shows it. `mark_stack_slot_obj_read` */
export function markSlotUsed(env: VerifierEnv, frameNo: number, slot: number): void {
  markSlotRead(env, frameNo, slot);
  markSlotScratched(env, slot);
}

/** The instruction at hand overwrites the whole slot. */
export function markSlotWritten(env: VerifierEnv, frameNo: number, slot: number): void {
  const { stackLiveness } = env.pre;
  if (slot < 32) stackLiveness.markWrite(env, frameNo, 1 << slot, 0);
  else stackLiveness.markWrite(env, frameNo, 0, 1 << (slot - 32));
}

/** Types of registers whose state survives a spill. `is_spillable_regtype` */
export function isSpillable(type: number): boolean {
  const base = type & BASE_TYPE_MASK;
  return (
    base !== RegType.NOT_INIT &&
    base !== RegType.SCALAR_VALUE &&
    base !== RegType.CONST_PTR_TO_DYNPTR &&
    base !== RegType.PTR_TO_TP_BUFFER
  );
}
