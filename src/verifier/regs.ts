import type { VerifierEnv } from "./env.ts";
import {
  A,
  B,
  FRAME_REGS,
  ID,
  OFF,
  PRECISE,
  REF_OBJ_ID,
  ROW_WORDS,
  SlotType,
  SMAX,
  SMIN,
  TYPE,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "./layout.ts";
import { ADD_CONST, BASE_TYPE_MASK, isSocketPointer, RegType, TypeFlag } from "./register-types.ts";

// -- making registers: all take a row ---------------------------------------------------------------------------------

/** Unknown scalar; without CAP_BPF it is precise from the start. `__mark_reg_unknown` */
export function markUnknown(env: VerifierEnv, row: number): void {
  env.domain.markUnknown(row);
  if (!env.bpfCapable) env.mem.i32[row + PRECISE] = 1;
}

/** Nothing was written here. `__mark_reg_not_init` */
export function markNotInit(env: VerifierEnv, row: number): void {
  env.domain.zeroWords(row, ROW_WORDS);
}

/** Scalar constant 0 that was computed, not given: precise only without CAP_BPF. `__mark_reg_const_zero` */
export function markConstZero(env: VerifierEnv, row: number): void {
  env.domain.markKnown(row, 0, 0);
  env.mem.i32[row + PRECISE] = env.bpfCapable ? 0 : 1;
}

/** A pointer of this type with offset 0 and nothing else set: `mark_reg_known_zero` and the type. */
export function markPointer(env: VerifierEnv, row: number, type: number): void {
  env.domain.zeroWords(row, ROW_WORDS); // all ranges and the tnum are the constant 0
  env.mem.i32[row + TYPE] = type;
}

/**
 * What a load through a BTF pointer gives: PTR_TO_BTF_ID with `flags`, or an unknown scalar when `type` is SCALAR_VALUE.
 * Maybe-null pointers get a fresh id. `mark_btf_ld_reg`
 */
export function markBtfLoad(
  env: VerifierEnv,
  row: number,
  type: number,
  btf: number,
  btfId: number,
  flags: number,
): void {
  if (type === RegType.SCALAR_VALUE) {
    markUnknown(env, row);
    return;
  }
  markPointer(env, row, RegType.PTR_TO_BTF_ID | flags);
  const { i32 } = env.mem;
  i32[row + A] = btfId;
  i32[row + B] = btf;
  if ((flags & TypeFlag.PTR_MAYBE_NULL) !== 0) i32[row + ID] = env.newId();
}

/** What an invalidated pointer becomes. `mark_reg_invalid` */
export function markInvalid(env: VerifierEnv, row: number): void {
  if (env.allowPtrLeaks) markUnknown(env, row);
  else markNotInit(env, row);
}

// -- asking rows ------------------------------------------------------------------------------------------------------

/** The row's tnum is a constant (for pointers: the variable offset is). */
export function isConst(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  return (i32[row + VAR_MASK] | i32[row + VAR_MASK + 1]) === 0;
}

/** The low 32 bits are a constant. */
export function isConst32(env: VerifierEnv, row: number): boolean {
  return env.mem.i32[row + VAR_MASK] === 0;
}

/** Scalar constant 0. `register_is_null` */
export function isNull(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  return (
    i32[row + TYPE] === RegType.SCALAR_VALUE &&
    (i32[row + VAR_MASK] | i32[row + VAR_MASK + 1] | i32[row + VAR_VALUE] | i32[row + VAR_VALUE + 1]) === 0
  );
}

/** A 64-bit signed member (SMIN, SMAX, VAR_VALUE) as a number; exact up to 2^53. */
export function signed64(env: VerifierEnv, at: number): number {
  const { i32 } = env.mem;
  return i32[at + 1] * 0x1_0000_0000 + (i32[at] >>> 0);
}

/** A 64-bit unsigned member (UMIN, UMAX, tnum words) as a number; exact up to 2^53. */
export function unsigned64(env: VerifierEnv, at: number): number {
  const { i32 } = env.mem;
  return (i32[at + 1] >>> 0) * 0x1_0000_0000 + (i32[at] >>> 0);
}

/** For messages. */
export function signedBig(env: VerifierEnv, at: number): bigint {
  return BigInt.asIntN(64, unsignedBig(env, at));
}

/** For messages. */
export function unsignedBig(env: VerifierEnv, at: number): bigint {
  const { i32 } = env.mem;
  return (BigInt(i32[at + 1] >>> 0) << 32n) | BigInt(i32[at] >>> 0);
}

/** Smallest signed value, see {@link signed64}. */
export function smin(env: VerifierEnv, row: number): number {
  return signed64(env, row + SMIN);
}
/** Greatest signed value, see {@link signed64}. */
export function smax(env: VerifierEnv, row: number): number {
  return signed64(env, row + SMAX);
}
/** Smallest unsigned value, see {@link unsigned64}. */
export function umin(env: VerifierEnv, row: number): number {
  return unsigned64(env, row + UMIN);
}
/** Greatest unsigned value, see {@link unsigned64}. */
export function umax(env: VerifierEnv, row: number): number {
  return unsigned64(env, row + UMAX);
}

/** `tnum_strn`: `(0x0; 0xff)`; unknown: `(0x0; 0xffffffffffffffff)`. */
export function tnumText(env: VerifierEnv, row: number): string {
  const value = unsignedBig(env, row + VAR_VALUE).toString(16);
  return `(0x${value}; 0x${unsignedBig(env, row + VAR_MASK).toString(16)})`;
}

/** Index of the highest set bit of umax, plus one. `get_reg_width` */
export function bitWidth(env: VerifierEnv, row: number): number {
  const { i32 } = env.mem;
  const hi = i32[row + UMAX + 1];
  return hi !== 0 ? 64 - Math.clz32(hi) : 32 - Math.clz32(i32[row + UMAX]);
}

/** May this value not be shown to the program's owner? `__is_pointer_value` */
export function isPointerValue(env: VerifierEnv, row: number): boolean {
  return !env.allowPtrLeaks && env.mem.i32[row + TYPE] !== RegType.SCALAR_VALUE;
}

/** Pointer to a live object of the kernel. `is_trusted_reg` */
export function isTrusted(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  if (i32[row + REF_OBJ_ID] !== 0) return true;
  const type = i32[row + TYPE];
  const base = type & BASE_TYPE_MASK;
  // Sockets and contexts that helpers hand out are trusted as they are.
  if (base !== RegType.PTR_TO_BTF_ID) return isSocketPointer(type) && (type & TypeFlag.PTR_MAYBE_NULL) === 0;
  const trust = TypeFlag.MEM_ALLOC | TypeFlag.PTR_TRUSTED | TypeFlag.NON_OWN_REF;
  return (type & trust) !== 0 && (type & ~(trust | BASE_TYPE_MASK | TypeFlag.PTR_MAYBE_NULL)) === 0;
}

/** No value of the register is null. `reg_not_null` */
export function isNeverNull(env: VerifierEnv, row: number): boolean {
  const type = env.mem.i32[row + TYPE];
  if ((type & TypeFlag.PTR_MAYBE_NULL) !== 0) return false;
  // The base is not null, but an unbounded offset could wrap to it.
  if (smin(env, row) <= -MAX_VAR_OFF || smax(env, row) >= MAX_VAR_OFF) return false;
  switch (type & BASE_TYPE_MASK) {
    case RegType.PTR_TO_SOCKET:
    case RegType.PTR_TO_TCP_SOCK:
    case RegType.PTR_TO_XDP_SOCK:
    case RegType.PTR_TO_SOCK_COMMON:
    case RegType.PTR_TO_BUF:
    case RegType.PTR_TO_MAP_VALUE:
    case RegType.PTR_TO_MAP_KEY:
    case RegType.CONST_PTR_TO_MAP:
      return true;
    case RegType.PTR_TO_MEM:
      return (type & TypeFlag.PTR_UNTRUSTED) === 0;
    case RegType.PTR_TO_BTF_ID:
      return isTrusted(env, row);
    default:
      return false;
  }
}

/** `BPF_MAX_VAR_OFF`: offsets of pointers stay below. */
export const MAX_VAR_OFF: number = 1 << 29;

// -- linked scalars -----------------------------------------------------------------------------------------------------

/** Cuts a scalar's links. `clear_scalar_id` */
export function clearScalarId(env: VerifierEnv, row: number): void {
  const { i32 } = env.mem;
  i32[row + ID] = 0;
  i32[row + OFF] = 0;
}

/** Gives an unknown scalar an id before it is copied, so that both are narrowed together. */
export function assignScalarId(env: VerifierEnv, row: number): void {
  const { i32 } = env.mem;
  if (i32[row + TYPE] !== RegType.SCALAR_VALUE) return;
  if ((i32[row + ID] & ADD_CONST) !== 0) clearScalarId(env, row);
  if (i32[row + ID] === 0 && !isConst(env, row)) i32[row + ID] = env.newId();
}

// -- operands of instructions: all take a register number -----------------------------------------------------------------

/** The instruction reads register `n`. @throws Rejection when nothing was written to it. `check_reg_arg` SRC_OP */
export function checkRegRead(env: VerifierEnv, n: number): void {
  if (n >= FRAME_REGS) env.fail("verifier/invalid-register", `R${n} is invalid`);
  env.scratchedRegs |= 1 << n;
  if (env.mem.i32[env.reg(n) + TYPE] === RegType.NOT_INIT) {
    env.fail("verifier/uninitialized-register", `R${n} !read_ok`, "EACCES");
  }
}

/** The instruction writes register `n`; the caller says what. `check_reg_arg` DST_OP_NO_MARK */
export function checkRegWrite(env: VerifierEnv, n: number): void {
  if (n >= FRAME_REGS) env.fail("verifier/invalid-register", `R${n} is invalid`);
  env.scratchedRegs |= 1 << n;
  if (n === FRAME_REGS - 1) {
    env.fail("verifier/write-frame-pointer", "frame pointer is read only", "EACCES");
  }
}

/** As {@link checkRegWrite}; the register becomes an unknown scalar. `check_reg_arg` DST_OP */
export function checkRegWriteUnknown(env: VerifierEnv, n: number): void {
  checkRegWrite(env, n);
  markUnknown(env, env.reg(n));
}

/** Every row of the current state: registers of all frames, then spilled registers (slot type in `slots` bit mask). */
export function forEachRow(
  env: VerifierEnv,
  visit: (row: number, frame: number) => void,
  slots: number = 1 << SlotType.SPILL,
): void {
  const { cur, mem } = env;
  for (let f = 0; f <= cur.curFrame; f++) {
    const frame = cur.frames[f];
    for (let n = 0; n < FRAME_REGS; n++) visit(env.regIn(f, n), f);
    const count = env.slotCount(frame);
    for (let slot = 0; slot < count; slot++) {
      if ((slots & (1 << mem.u8[env.slotTypes(frame, slot) + 7])) !== 0) visit(env.slotRow(frame, slot), f);
    }
  }
}

/** Copies a row. */
export function copyRow(env: VerifierEnv, dst: number, src: number): void {
  env.domain.copyRow(dst, src);
}

/** The reference id a row carries. */
export function refObjId(env: VerifierEnv, row: number): number {
  return env.mem.i32[row + REF_OBJ_ID];
}
