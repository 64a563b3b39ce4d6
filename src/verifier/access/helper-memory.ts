// One algorithm: memory that a function is given by pointer, of a fixed size or one that a register holds.
import type { VerifierEnv } from "../env.ts";
import { A, ID, OFF, TYPE, UMAX, UMIN } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { markChainPrecision } from "../precision.ts";
import { BASE_TYPE_MASK, mayBeNull, RegType, regTypeName, TypeFlag } from "../register-types.ts";
import { isConst, isNull, smin, umax, umin, unsignedBig } from "../regs.ts";
import { checkStackRange } from "../stack.ts";
import { checkBtfAccess } from "./btf-pointer.ts";
import { ContextRules } from "./context-rules.ts";
import { checkMapDirection, checkMapValue, constantBytes, isConstantMap } from "./map-value.ts";
import { cannotWrite, checkBuffer } from "./mem-access.ts";
import { checkPacket, checkRegion } from "./memory-region.ts";
import { programTypeOf } from "./program-type.ts";
import { constLow, MAX_VAR_SIZE } from "./row.ts";

/**
 * `size` bytes at register `reg` may be read or written by a function. `rawMode`: the function fills them; true: they lie on
 * the stack and are to be marked as written when all arguments are checked (`meta.access_size`).
 * `check_helper_mem_access` @ v6.18
 */
export function checkHelperMemory(
  env: VerifierEnv,
  reg: number,
  size: number,
  access: MemAccess,
  zeroSizeAllowed: boolean,
  rawMode: boolean,
): boolean {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const off = i32[row + OFF];
  const write = access === MemAccess.WRITE;
  switch (type & BASE_TYPE_MASK) {
    case RegType.PTR_TO_STACK:
      return checkStackRange(env, reg, off, size, zeroSizeAllowed, access, rawMode);
    case RegType.PTR_TO_PACKET:
    case RegType.PTR_TO_PACKET_META:
      checkPacket(env, reg, off, size, zeroSizeAllowed);
      return false;
    case RegType.PTR_TO_MAP_KEY:
      if (write) cannotWrite(env, reg, type);
      checkRegion(env, reg, off, size, env.maps[i32[row + A]].keySize, false);
      return false;
    case RegType.PTR_TO_MAP_VALUE:
      checkMapDirection(env, reg, off, size, access);
      checkMapValue(env, reg, off, size, zeroSizeAllowed, false);
      return false;
    case RegType.PTR_TO_MEM:
      if (write && (type & TypeFlag.MEM_RDONLY) !== 0) cannotWrite(env, reg, type);
      checkRegion(env, reg, off, size, i32[row + A] >>> 0, zeroSizeAllowed);
      return false;
    case RegType.PTR_TO_BUF:
      if (write && (type & TypeFlag.MEM_RDONLY) !== 0) cannotWrite(env, reg, type);
      checkBuffer(env, (type & TypeFlag.MEM_RDONLY) !== 0 ? "rdonly" : "rdwr", reg, off, size);
      return false;
    case RegType.PTR_TO_BTF_ID:
      checkBtfAccess(env, reg, off, size, MemAccess.READ, -1);
      return false;
    case RegType.PTR_TO_CTX:
      if (!ContextRules.isPlainMemory(programTypeOf(env))) break;
      if (size === 0) {
        if (!zeroSizeAllowed) env.fail("verifier/size-zero", "", "EACCES");
        return false;
      }
      env.access.checkMemAccess(env, env.insn, reg, size - 1, 1, access, -1, false, false);
      return false;
    default:
      break;
  }
  if (zeroSizeAllowed && size === 0 && isNull(env, row)) return false;
  return env.fail(
    "verifier/argument-type",
    `R${reg} type=${regTypeName(type)} expected=${regTypeName(RegType.PTR_TO_STACK)}`,
    "EACCES",
  );
}

/**
 * Register `reg` holds the size of the memory that register `reg - 1` points to. Answers as {@link checkHelperMemory}.
 * `check_mem_size_reg` @ v6.18
 */
export function checkMemorySize(
  env: VerifierEnv,
  reg: number,
  access: MemAccess,
  zeroSizeAllowed: boolean,
  rawMode: boolean,
): boolean {
  const row = env.reg(reg);
  if (smin(env, row) < 0) {
    env.fail(
      "verifier/size-negative",
      `R${reg} min value is negative, either use unsigned or 'var &= const'`,
      "EACCES",
    );
  }
  if (umin(env, row) === 0 && !zeroSizeAllowed) {
    const range = `u64=[${BigInt.asIntN(64, unsignedBig(env, row + UMIN))},${BigInt.asIntN(64, unsignedBig(env, row + UMAX))}]`;
    env.fail("verifier/size-zero", `R${reg} invalid zero-sized read: ${range}`, "EACCES");
  }
  const max = umax(env, row);
  if (max >= MAX_VAR_SIZE) {
    env.fail(
      "verifier/size-unbounded",
      `R${reg} unbounded memory access, use 'var &= const' or 'if (var < const)'`,
      "EACCES",
    );
  }
  // With a size that varies, all the memory must be initialised: the function may fill only part of it.
  const raw = checkHelperMemory(env, reg - 1, max, access, zeroSizeAllowed, rawMode && isConst(env, row));
  markChainPrecision(env, reg);
  return raw;
}

/** Runs a check with a maybe-null pointer taken as not null, then puts the register back. */
function assumingNotNull(env: VerifierEnv, reg: number, check: () => void): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if (!mayBeNull(type)) {
    check();
    return;
  }
  const id = i32[row + ID];
  i32[row + TYPE] = type & ~TypeFlag.PTR_MAYBE_NULL;
  check();
  env.mem.i32[row + TYPE] = type;
  env.mem.i32[row + ID] = id;
}

/** A pointer to `size` bytes that a function reads and writes, or null. `check_mem_reg` @ v6.18 */
export function checkMemReg(env: VerifierEnv, reg: number, size: number): void {
  if (isNull(env, env.reg(reg))) return;
  assumingNotNull(env, reg, () => {
    checkHelperMemory(env, reg, size, MemAccess.READ, true, false);
    checkHelperMemory(env, reg, size, MemAccess.WRITE, true, false);
  });
}

/** Memory and its size, as pairs of arguments of kernel functions. `check_kfunc_mem_size_reg` @ v6.18 */
export function checkMemorySizePair(env: VerifierEnv, sizeReg: number): void {
  assumingNotNull(env, sizeReg - 1, () => {
    checkMemorySize(env, sizeReg, MemAccess.READ, true, false);
    checkMemorySize(env, sizeReg, MemAccess.WRITE, true, false);
  });
}

/**
 * The register points to a string in a map nobody changes any more; answers its bytes from there to the end of the value.
 * `check_reg_const_str` @ v6.18
 */
export function checkConstString(env: VerifierEnv, reg: number): Uint8Array {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  if (i32[row + TYPE] !== RegType.PTR_TO_MAP_VALUE) env.fail("verifier/not-constant-string", "", "EINVAL");
  const map = env.maps[i32[row + A]];
  if (!isConstantMap(map)) {
    env.fail("verifier/not-constant-string", `R${reg} does not point to a readonly map'`, "EACCES");
  }
  if (!isConst(env, row)) {
    env.fail("verifier/not-constant-string", `R${reg} is not a constant address'`, "EACCES");
  }
  if (map.type !== "BPF_MAP_TYPE_ARRAY") {
    env.fail("verifier/not-constant-string", "no direct value access support for this map type", "EACCES");
  }
  const off = i32[row + OFF];
  checkMapValue(env, reg, off, map.valueSize - off, false, false);
  if (map.maxEntries !== 1)
    env.fail("verifier/not-constant-string", "direct value access on string failed", "ENOTSUPP");
  if (map.data === undefined) env.unsupported("constant string in a map without known contents");
  const bytes = constantBytes(map).subarray(off + constLow(env, row), map.valueSize);
  if (!bytes.includes(0)) env.fail("verifier/string-not-terminated", "string is not zero-terminated");
  return bytes;
}
