// One algorithm: arithmetic on scalars and pointers.
import { Class, CODE_MASK, classOf, SOURCE_X } from "../isa/index.ts";
import { checkMapValue } from "./access/map-value.ts";
import { tnumText } from "./access/row.ts";
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import {
  A,
  B,
  C,
  ID,
  OFF,
  PRECISE,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "./layout.ts";
import { markChainPrecision } from "./precision.ts";
import {
  ADD_CONST,
  ADD_CONST32,
  ADD_CONST64,
  BASE_TYPE_MASK,
  isPacketPointer,
  RegType,
  regTypeName,
  TypeFlag,
} from "./register-types.ts";
import {
  assignScalarId,
  bitWidth,
  checkRegRead,
  checkRegWrite,
  checkRegWriteUnknown,
  clearScalarId,
  isConst,
  isConst32,
  isPointerValue,
  MAX_VAR_OFF,
  markUnknown,
  signed64,
  signedBig,
  smin,
  unsignedBig,
} from "./regs.ts";
import { commitPointer, guardPointer, guardScalars } from "./sanitation.ts";
import { Scratch } from "./scratch.ts";
import { frameReg } from "./state-rows.ts";
import { pushPath } from "./states.ts";

const ADD = 0x00;
const SUB = 0x10;
const DIV = 0x30;
const OR = 0x40;
const AND = 0x50;
const LSH = 0x60;
const RSH = 0x70;
const NEG = 0x80;
const MOD = 0x90;
const XOR = 0xa0;
const MOV = 0xb0;
const ARSH = 0xc0;
const END = 0xd0;
/** Of BPF_END: big endian. The machine whose verdicts these are is little-endian. */
const TO_BE = 0x08;

/** The operators as messages write them, by `opcode >> 4`. @see kernel/bpf/disasm.c `bpf_alu_string` */
const OPERATORS = [
  "+=",
  "-=",
  "*=",
  "/=",
  "|=",
  "&=",
  "<<=",
  ">>=",
  "neg",
  "%=",
  "^=",
  "=",
  "s>>=",
  "endian",
];

/** An ALU or ALU64 instruction; its form was checked. `check_alu_op` */
export function checkAlu(env: VerifierEnv, insn: number): void {
  const { insns } = env;
  const opcode = insns.opcode[insn];
  const code = opcode & CODE_MASK;
  const dst = insns.dst[insn];
  if (code === MOV) checkMove(env, insn, opcode, dst);
  else if (code === END || code === NEG) checkUnary(env, insn, opcode, code, dst);
  else checkBinary(env, insn, opcode, code, dst);
  checkBounds(env, env.reg(dst), "alu");
}

/**
 * Contradicting bounds widen to everything, or reject when the program asked for it (`BPF_F_TEST_REG_INVARIANTS`).
 * `reg_bounds_sanity_check`
 */
export function checkBounds(env: VerifierEnv, row: number, context: string): void {
  const broken = env.domain.boundsViolation(row);
  if (broken === 0) return;
  if (env.testRegInvariants) {
    env.fail("verifier/invariant", `verifier bug: ${violationText(env, row, context, broken)}`, "EFAULT");
  }
  env.domain.setUnbounded(row);
}

const BROKEN_RULES = [
  "",
  "range bounds violation",
  "const tnum out of sync with range bounds",
  "const subreg tnum out of sync with range bounds",
];

function violationText(env: VerifierEnv, row: number, context: string, broken: number): string {
  const wide = (at: number): string => `0x${unsignedBig(env, row + at).toString(16)}`;
  const narrow = (at: number): string => `0x${(env.mem.i32[row + at] >>> 0).toString(16)}`;
  return (
    `REG INVARIANTS VIOLATION (${context}): ${BROKEN_RULES[broken]} u64=[${wide(UMIN)}, ${wide(UMAX)}] ` +
    `s64=[${wide(SMIN)}, ${wide(SMAX)}] u32=[${narrow(U32_MIN)}, ${narrow(U32_MAX)}] ` +
    `s32=[${narrow(S32_MIN)}, ${narrow(S32_MAX)}] var_off=(${wide(VAR_VALUE)}, ${wide(VAR_MASK)})`
  );
}

function checkUnary(env: VerifierEnv, insn: number, opcode: number, code: number, dst: number): void {
  checkRegRead(env, dst);
  const row = env.reg(dst);
  if (isPointerValue(env, row)) {
    env.fail("verifier/pointer-arithmetic", `R${dst} pointer arithmetic prohibited`, "EACCES");
  }
  if (env.mem.i32[row + TYPE] !== RegType.SCALAR_VALUE) {
    checkRegWriteUnknown(env, dst);
    return;
  }
  checkRegWrite(env, dst);
  const is64 = classOf(opcode) === Class.ALU64;
  if (code === NEG) {
    env.domain.aluScalar(NEG, is64 ? 1 : 0, row, row);
    clearScalarId(env, row);
  } else {
    const bytes = env.insns.imm[insn] / 8;
    const reverse = is64 || (opcode & TO_BE) !== 0;
    env.domain.swapBytes(row, bytes, reverse ? 1 : 0);
    if (reverse || bytes < 8) clearScalarId(env, row);
  }
}

function checkMove(env: VerifierEnv, insn: number, opcode: number, dst: number): void {
  const { insns, mem, domain } = env;
  const is64 = classOf(opcode) === Class.ALU64;
  if ((opcode & SOURCE_X) === 0) {
    checkRegWrite(env, dst);
    const row = env.reg(dst);
    const imm = insns.imm[insn];
    markUnknown(env, row);
    domain.markKnown(row, imm, is64 ? imm >> 31 : 0);
    return;
  }
  const src = insns.src[insn];
  const off = insns.off[insn];
  checkRegRead(env, src);
  checkRegWrite(env, dst);
  const from = env.reg(src);
  const to = env.reg(dst);
  const type = mem.i32[from + TYPE];
  if (is64) {
    if (insns.imm[insn] !== 0) {
      // addr_space_cast
      markUnknown(env, to);
      if (insns.imm[insn] === 1) mem.i32[to + TYPE] = RegType.PTR_TO_ARENA;
    } else if (off === 0) {
      assignScalarId(env, from);
      domain.copyRow(to, from);
    } else if (isPointerValue(env, from)) {
      env.fail("verifier/partial-copy-of-pointer", `R${src} sign-extension part of pointer`, "EACCES");
    } else if (type === RegType.SCALAR_VALUE) {
      copyLinked(env, to, from, bitWidth(env, from) < off);
      domain.signExtend(to, off >> 3);
    } else {
      markUnknown(env, to);
    }
    return;
  }
  if (isPointerValue(env, from)) {
    env.fail("verifier/partial-copy-of-pointer", `R${src} partial copy of pointer`, "EACCES");
  }
  if (type !== RegType.SCALAR_VALUE) {
    markUnknown(env, to);
  } else if (off === 0) {
    copyLinked(env, to, from, bitWidth(env, from) <= 32);
  } else {
    copyLinked(env, to, from, bitWidth(env, from) < off);
    domain.signExtend32(to, off >> 3);
  }
  domain.zeroExtend32(to);
}

/** Copies a scalar; the copy stays linked when it has the same value. */
function copyLinked(env: VerifierEnv, to: number, from: number, sameValue: boolean): void {
  if (sameValue) assignScalarId(env, from);
  env.domain.copyRow(to, from);
  if (!sameValue) clearScalarId(env, to);
}

function checkBinary(env: VerifierEnv, insn: number, opcode: number, code: number, dst: number): void {
  const { insns } = env;
  const fromReg = (opcode & SOURCE_X) !== 0;
  if (fromReg) checkRegRead(env, insns.src[insn]);
  checkRegRead(env, dst);
  if (!fromReg) {
    const imm = insns.imm[insn];
    if ((code === MOD || code === DIV) && imm === 0) env.fail("verifier/div-by-zero", "div by zero");
    if (code === LSH || code === RSH || code === ARSH) {
      const bits = classOf(opcode) === Class.ALU64 ? 64 : 32;
      if (imm < 0 || imm >= bits) env.fail("verifier/invalid-shift", `invalid shift ${imm}`);
    }
  }
  checkRegWrite(env, dst);
  compute(env, insn, opcode, code, dst, fromReg);
}

/** `adjust_reg_min_max_vals` */
function compute(
  env: VerifierEnv,
  insn: number,
  opcode: number,
  code: number,
  dst: number,
  fromReg: boolean,
): void {
  const { insns, mem, domain } = env;
  const is64 = classOf(opcode) === Class.ALU64;
  const to = env.reg(dst);
  const dstType = mem.i32[to + TYPE];
  let src: number;
  if (fromReg) {
    src = env.reg(insns.src[insn]);
    const srcType = mem.i32[src + TYPE];
    if (dstType === RegType.PTR_TO_ARENA || srcType === RegType.PTR_TO_ARENA) {
      if (dstType !== RegType.PTR_TO_ARENA) domain.copyRow(to, src);
      return;
    }
    if (srcType !== RegType.SCALAR_VALUE) {
      if (dstType !== RegType.SCALAR_VALUE) {
        if (code === SUB && env.allowPtrLeaks) {
          markUnknown(env, to);
          return;
        }
        env.fail(
          "verifier/pointer-operator",
          `R${dst} pointer ${OPERATORS[code >> 4]} pointer prohibited`,
          "EACCES",
        );
      }
      markChainPrecision(env, dst);
      const offset = scratchRow(Scratch.ALU_DST);
      domain.copyRow(offset, to);
      movePointer(env, insn, is64, code, dst, src, offset);
      return;
    }
    if (dstType !== RegType.SCALAR_VALUE) {
      markChainPrecision(env, insns.src[insn]);
      movePointer(env, insn, is64, code, dst, to, src);
      return;
    }
    if (mem.i32[to + PRECISE] !== 0) markChainPrecision(env, insns.src[insn]);
  } else {
    if (dstType === RegType.PTR_TO_ARENA) return;
    src = scratchRow(Scratch.ALU_SRC);
    const imm = insns.imm[insn];
    domain.setConst(src, imm, imm >> 31);
    if (dstType !== RegType.SCALAR_VALUE) {
      movePointer(env, insn, is64, code, dst, to, src);
      return;
    }
  }
  if ((code === AND || code === OR) && isConst(env, src)) forkOnSign(env, insn, dst);
  const same = fromReg && insns.src[insn] === dst;
  const distance = env.bpfCapable && !same ? distanceAfter(env, code, is64, to, src) : undefined;
  if (!env.bypassSpecV1 && (code === ADD || code === SUB)) guardScalars(env, insn);
  if (domain.aluScalar(code, is64 ? 1 : 0, to, src) !== 0) {
    markUnknown(env, to);
    return;
  }
  const { i32 } = mem;
  const id = i32[to + ID];
  if (distance !== undefined && id !== 0 && (id & ADD_CONST) === 0) {
    i32[to + ID] = id | (is64 ? ADD_CONST64 : ADD_CONST32);
    i32[to + OFF] = distance;
  } else {
    i32[to + ID] = 0;
    i32[to + OFF] = 0;
  }
}

/** How far a copy is from the others after adding or subtracting a constant; undefined where that says nothing. */
function distanceAfter(
  env: VerifierEnv,
  code: number,
  is64: boolean,
  to: number,
  src: number,
): number | undefined {
  if (code !== ADD && code !== SUB) return undefined;
  const { i32 } = env.mem;
  const low = i32[src + VAR_VALUE];
  if (is64) {
    if (!isConst(env, src) || i32[src + VAR_VALUE + 1] !== low >> 31) return undefined;
  } else if (!isConst32(env, src) || i32[to + UMAX + 1] !== 0) {
    return undefined;
  }
  if (code === ADD) return low;
  return low === -0x8000_0000 ? undefined : 0 - low;
}

/**
 * A number that is -1 or 0, such as a sign spread by `s>>= 63`: `&` and `|` with a constant are walked for each of the
 * two. This path goes on with -1. `maybe_fork_scalars`
 */
function forkOnSign(env: VerifierEnv, insn: number, dst: number): void {
  const { domain } = env;
  const width = domain.minusOneOrZero(env.reg(dst));
  if (width === 0) return;
  const zero = pushPath(env, insn, insn, false);
  const other = frameReg(zero.frames[zero.curFrame], dst);
  const row = env.reg(dst);
  if (width === 64) {
    domain.markKnown(other, 0, 0);
    domain.markKnown(row, -1, -1);
  } else {
    domain.setConst32(other, 0);
    domain.setConst32(row, -1);
  }
}

/** Pointer ± scalar into register `dst`; both operands are rows, one of them may be dst's. `adjust_ptr_min_max_vals` */
function movePointer(
  env: VerifierEnv,
  insn: number,
  is64: boolean,
  code: number,
  dst: number,
  pointer: number,
  offset: number,
): void {
  const { mem, domain } = env;
  const to = env.reg(dst);
  const known = isConst(env, offset);
  if (offsetBoundsContradict(env, offset, known)) {
    markUnknown(env, to);
    return;
  }
  const type = mem.i32[pointer + TYPE];
  if (!is64) {
    if (code === SUB && env.allowPtrLeaks) {
      markUnknown(env, to);
      return;
    }
    env.fail("verifier/pointer-arithmetic", `R${dst} 32-bit pointer arithmetic prohibited`, "EACCES");
  }
  if ((type & TypeFlag.PTR_MAYBE_NULL) !== 0) {
    const text = `R${dst} pointer arithmetic on ${regTypeName(type)} prohibited, null-check it first`;
    env.fail("verifier/maybe-null", text, "EACCES");
  }
  const base = type & BASE_TYPE_MASK;
  // Reads through it may fail: where it points does not matter.
  if (base === RegType.PTR_TO_MEM && (type & TypeFlag.PTR_UNTRUSTED) !== 0) return;
  if (!mayMove(env, base, known, code, offset)) {
    const text = `R${dst} pointer arithmetic on ${regTypeName(type)} prohibited`;
    env.fail("verifier/pointer-arithmetic", text, "EACCES");
  }
  const fromScalar = to !== pointer;
  checkSaneOffset(env, offset, type);
  checkSaneOffset(env, pointer, type);
  forgetLowHalf(mem.i32, to);
  const guarded = !env.bypassSpecV1 && (code === ADD || code === SUB);
  const guard = guarded ? guardPointer(env, insn, to, pointer, offset) : undefined;
  const { i32 } = mem; // the guard saves states: the memory may have grown
  if (code !== ADD && code !== SUB) {
    const bitwise = code === AND || code === OR || code === XOR;
    const how = bitwise
      ? `bitwise operator ${OPERATORS[code >> 4]} on pointer prohibited`
      : `pointer arithmetic with ${OPERATORS[code >> 4]} operator prohibited`;
    env.fail("verifier/pointer-operator", `R${dst} ${how}`, "EACCES");
  }
  if (code === SUB) {
    if (fromScalar) {
      env.fail("verifier/pointer-operator", `R${dst} tried to subtract pointer from scalar`, "EACCES");
    }
    if (type === RegType.PTR_TO_STACK) {
      env.fail("verifier/pointer-operator", `R${dst} subtraction from stack pointer prohibited`, "EACCES");
    }
  }
  const low = smin(env, offset);
  const total = code === ADD ? i32[pointer + OFF] + low : i32[pointer + OFF] - low;
  if (fromScalar) {
    domain.copyRow(to, pointer);
    forgetLowHalf(i32, to);
  }
  if (known && total === (total | 0)) {
    // The fixed part takes it; `range` of a packet pointer stays true.
    i32[to + OFF] = total;
  } else {
    if (code === ADD) domain.addVarOff(to, to, offset);
    else domain.subVarOff(to, to, offset);
    if (isPacketPointer(type)) {
      i32[to + ID] = env.newId();
      // What was compared with the end was another pointer now.
      if (code === ADD || low < 0) {
        i32[to + A] = 0;
        i32[to + B] = 0;
        i32[to + C] = 0;
      }
    }
  }
  checkSaneOffset(env, to, type);
  domain.syncBounds(to);
  if (env.bypassSpecV1) return;
  checkUnprivilegedMove(env, to, dst);
  if (guard !== undefined) commitPointer(env, insn, to, guard);
}

/** A pointer's low half has no bounds of its own. `__mark_reg32_unbounded` */
function forgetLowHalf(i32: Int32Array, row: number): void {
  i32[row + S32_MIN] = -0x8000_0000;
  i32[row + S32_MAX] = 0x7fff_ffff;
  i32[row + U32_MIN] = 0;
  i32[row + U32_MAX] = -1;
}

/** Bounds that contradict each other come from dead code; give up on the value. */
function offsetBoundsContradict(env: VerifierEnv, row: number, known: boolean): boolean {
  const { i32 } = env.mem;
  const s = compareSigned(i32, row + SMIN, row + SMAX);
  const u = compareUnsigned(i32, row + UMIN, row + UMAX);
  return s > 0 || u > 0 || (known && (s !== 0 || u !== 0));
}

function compareSigned(i32: Int32Array, a: number, b: number): number {
  return i32[a + 1] - i32[b + 1] || (i32[a] >>> 0) - (i32[b] >>> 0);
}

function compareUnsigned(i32: Int32Array, a: number, b: number): number {
  return (i32[a + 1] >>> 0) - (i32[b + 1] >>> 0) || (i32[a] >>> 0) - (i32[b] >>> 0);
}

function mayMove(env: VerifierEnv, base: number, known: boolean, code: number, offset: number): boolean {
  switch (base) {
    case RegType.PTR_TO_CTX:
    case RegType.PTR_TO_MAP_VALUE:
    case RegType.PTR_TO_MAP_KEY:
    case RegType.PTR_TO_STACK:
    case RegType.PTR_TO_PACKET_META:
    case RegType.PTR_TO_PACKET:
    case RegType.PTR_TO_TP_BUFFER:
    case RegType.PTR_TO_BTF_ID:
    case RegType.PTR_TO_MEM:
    case RegType.PTR_TO_BUF:
    case RegType.PTR_TO_FUNC:
    case RegType.CONST_PTR_TO_DYNPTR:
      return true;
    case RegType.PTR_TO_FLOW_KEYS:
      return known;
    case RegType.CONST_PTR_TO_MAP:
      return known && smin(env, offset) === 0 && code === ADD;
    default:
      return false;
  }
}

/** `check_reg_sane_offset` */
function checkSaneOffset(env: VerifierEnv, row: number, type: number): void {
  const { i32 } = env.mem;
  const name = regTypeName(type);
  const value = signed64(env, row + VAR_VALUE);
  if (isConst(env, row) && (value >= MAX_VAR_OFF || value <= -MAX_VAR_OFF)) {
    const text = `math between ${name} pointer and ${signedBig(env, row + VAR_VALUE)} is not allowed`;
    env.fail("verifier/pointer-offset-too-large", text);
  }
  // A linked scalar's distance counts too: the kernel keeps both in `reg->off`.
  const off =
    i32[row + TYPE] !== RegType.SCALAR_VALUE || (i32[row + ID] & ADD_CONST) !== 0 ? i32[row + OFF] : 0;
  if (off >= MAX_VAR_OFF || off <= -MAX_VAR_OFF) {
    env.fail("verifier/pointer-offset-too-large", `${name} pointer offset ${off} is not allowed`);
  }
  if (i32[row + SMIN] === 0 && i32[row + SMIN + 1] === -0x8000_0000) {
    const text = `math between ${name} pointer and register with unbounded min value is not allowed`;
    env.fail("verifier/unbounded-pointer-offset", text);
  }
  const low = smin(env, row);
  if (low >= MAX_VAR_OFF || low <= -MAX_VAR_OFF) {
    const text = `value ${signedBig(env, row + SMIN)} makes ${name} pointer be out of bounds`;
    env.fail("verifier/pointer-offset-too-large", text);
  }
}

/** Without privilege a pointer must stay inside what it points to. `sanitize_check_bounds` */
function checkUnprivilegedMove(env: VerifierEnv, row: number, dst: number): void {
  const { i32 } = env.mem;
  if (i32[row + TYPE] === RegType.PTR_TO_MAP_VALUE) {
    checkValueMove(env, row, dst);
    return;
  }
  if (i32[row + TYPE] !== RegType.PTR_TO_STACK) return;
  const off = i32[row + OFF] + i32[row + VAR_VALUE];
  if (!isConst(env, row)) {
    const text = `R${dst} variable stack access prohibited for !root, var_off=${tnumText(env, row)} off=${off}`;
    env.fail("verifier/stack-variable-offset", text, "EACCES");
  }
  if (off < 0 && off >= -512) return;
  const text = `R${dst} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}`;
  env.fail("verifier/pointer-offset-too-large", text, "EACCES");
}

/** A map value's pointer stays on a byte of the value, as a helper could be given it. */
function checkValueMove(env: VerifierEnv, row: number, dst: number): void {
  try {
    checkMapValue(env, dst, env.mem.i32[row + OFF], 1, false, false);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    const text = `R${dst} pointer arithmetic of map value goes out of range, prohibited for !root`;
    env.fail("verifier/pointer-offset-too-large", text, "EACCES");
  }
}
