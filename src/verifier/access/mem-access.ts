// One algorithm: a load or store through a register, by the kind of pointer it holds.
import type { VerifierEnv } from "../env.ts";
import { A, B, ID, OFF, REF_OBJ_ID, TYPE } from "../layout.ts";
import { type ContextLoad, MemAccess } from "../ports.ts";
import { findReference } from "../refs.ts";
import {
  BASE_TYPE_MASK,
  isSocketPointer,
  mayBeNull,
  RegType,
  regTypeName,
  TypeFlag,
} from "../register-types.ts";
import { isConst, isPointerValue, markPointer, markUnknown, smin } from "../regs.ts";
import { checkStackBounds, checkStackRead, checkStackWrite } from "../stack.ts";
import { checkAlignment } from "./alignment.ts";
import { checkBtfAccess, checkMapPointerAccess } from "./btf-pointer.ts";
import { BTF_CONTEXT_TYPES, type ContextRules } from "./context-rules.ts";
import { checkKptrAccess } from "./kptr-access.ts";
import {
  checkMapDirection,
  checkMapValue,
  hasDirectValue,
  isConstantMap,
  loadConstant,
} from "./map-value.ts";
import { checkPacket, checkRegion, checkUnmodified } from "./memory-region.ts";
import { mayWritePacket } from "./packet-rights.ts";
import { programTypeOf } from "./program-type.ts";
import { fieldAt, isKptr } from "./record.ts";
import { constLow, isConstZero, tnumText } from "./row.ts";
import { maySocketRead } from "./socket-rules.ts";

/** One access: the arguments of {@link checkMemAccess}, `off` with the row's fixed offset. */
interface Access {
  readonly insn: number;
  readonly reg: number;
  readonly row: number;
  readonly type: number;
  readonly off: number;
  readonly bytes: number;
  readonly access: MemAccess;
  readonly valueReg: number;
  readonly isLdsx: boolean;
}

/** `check_mem_access` @ v6.18; see `AccessPort.checkMemAccess`. */
export function checkMemAccess(
  env: VerifierEnv,
  rules: ContextRules,
  insn: number,
  reg: number,
  offset: number,
  bytes: number,
  access: MemAccess,
  valueReg: number,
  strictOnce: boolean,
  isLdsx: boolean,
): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  checkAlignment(env, row, offset, bytes, strictOnce);
  const type = i32[row + TYPE];
  const off = (offset + i32[row + OFF]) | 0;
  const write = access === MemAccess.WRITE;
  if (type === RegType.PTR_TO_STACK) {
    checkStackBounds(env, reg, off, bytes, access);
    if (write) checkStackWrite(env, reg, off, bytes, valueReg, insn);
    else checkStackRead(env, reg, off, bytes, valueReg);
  } else if (type === RegType.PTR_TO_MAP_VALUE) {
    if (write) checkLeak(env, valueReg, "map");
    mapValueAccess(env, insn, reg, off, bytes, access, valueReg, isLdsx);
  } else if (type === RegType.PTR_TO_PACKET || type === RegType.PTR_TO_PACKET_META) {
    if (write && !mayWritePacket(programTypeOf(env))) {
      env.fail("verifier/packet-read-only", "cannot write into packet", "EACCES");
    }
    if (write) checkLeak(env, valueReg, "packet");
    checkPacket(env, reg, off, bytes, false);
    markRead(env, valueReg, access);
  } else {
    otherAccess(env, rules, { insn, reg, row, type, off, bytes, access, valueReg, isLdsx });
  }
  if (valueReg < 0 || write || bytes === 8) return;
  const value = env.reg(valueReg);
  if (env.mem.i32[value + TYPE] !== RegType.SCALAR_VALUE) return;
  if (isLdsx) env.domain.signExtend(value, bytes);
  else env.domain.coerce(value, bytes);
}

/** Pointers kept from the program's owner may not be stored where others can read them. */
function checkLeak(env: VerifierEnv, valueReg: number, where: string): void {
  if (valueReg >= 0 && isPointerValue(env, env.reg(valueReg))) {
    env.fail("verifier/pointer-leak", `R${valueReg} leaks addr into ${where}`, "EACCES");
  }
}

/** A load leaves an unknown number. */
function markRead(env: VerifierEnv, valueReg: number, access: MemAccess): void {
  if (valueReg >= 0 && access === MemAccess.READ) markUnknown(env, env.reg(valueReg));
}

function mapValueAccess(
  env: VerifierEnv,
  insn: number,
  reg: number,
  off: number,
  bytes: number,
  access: MemAccess,
  valueReg: number,
  isLdsx: boolean,
): void {
  const row = env.reg(reg);
  checkMapDirection(env, reg, off, bytes, access);
  checkMapValue(env, reg, off, bytes, false, true);
  const mapIndex = env.mem.i32[row + A];
  const fixed = isConst(env, row);
  const at = off + constLow(env, row);
  const record = fixed ? env.access.mapRecord(env, mapIndex) : undefined;
  const field = fieldAt(record, at);
  if (field !== undefined && (isKptr(field) || field.kind === "uptr")) {
    checkKptrAccess(env, insn, valueReg, field);
    return;
  }
  if (access !== MemAccess.READ || valueReg < 0) return;
  const map = env.maps[mapIndex];
  const target = env.reg(valueReg);
  if (!fixed || !isConstantMap(map) || !hasDirectValue(map)) {
    markUnknown(env, target);
    return;
  }
  // Only arrays of one element lie at a fixed address; the kernel refuses the others without a word.
  if (map.maxEntries !== 1) env.fail("verifier/map-read-only", "", "ENOTSUPP");
  if (map.data === undefined) markUnknown(env, target);
  else loadConstant(env, target, map, at, bytes, isLdsx);
}

function otherAccess(env: VerifierEnv, rules: ContextRules, a: Access): void {
  const { reg, row, type, off, bytes, access, valueReg } = a;
  const { i32 } = env.mem;
  const write = access === MemAccess.WRITE;
  if (type === RegType.PTR_TO_CTX) {
    if (write) checkLeak(env, valueReg, "ctx");
    contextAccess(env, rules, a);
    return;
  }
  if (type === RegType.PTR_TO_MAP_KEY) {
    if (write) env.fail("verifier/map-key-read-only", `write to change key R${reg} not allowed`, "EACCES");
    checkRegion(env, reg, off, bytes, env.maps[i32[row + A]].keySize, false);
    if (valueReg >= 0) markUnknown(env, env.reg(valueReg));
    return;
  }
  if (isSocketPointer(type)) {
    if (write) cannotWrite(env, reg, type);
    checkSocket(env, reg, off, bytes);
    if (valueReg >= 0) markUnknown(env, env.reg(valueReg));
    return;
  }
  switch (type & BASE_TYPE_MASK) {
    case RegType.PTR_TO_MEM:
      memoryAccess(env, a);
      return;
    case RegType.PTR_TO_BTF_ID:
      if (mayBeNull(type)) break;
      checkBtfAccess(env, reg, off, bytes, access, valueReg);
      return;
    case RegType.PTR_TO_BUF:
      if (mayBeNull(type)) break;
      bufferAccess(env, a);
      return;
    default:
      break;
  }
  switch (type) {
    case RegType.PTR_TO_FLOW_KEYS:
      if (write) checkLeak(env, valueReg, "flow keys");
      checkFlowKeys(env, off, bytes);
      markRead(env, valueReg, access);
      return;
    case RegType.PTR_TO_TP_BUFFER:
      checkBuffer(env, "tracepoint", reg, off, bytes);
      markRead(env, valueReg, access);
      return;
    case RegType.CONST_PTR_TO_MAP:
      checkMapPointerAccess(env, reg, off, bytes, access, valueReg);
      return;
    case RegType.PTR_TO_ARENA:
      markRead(env, valueReg, access);
      return;
    default:
      env.fail("verifier/invalid-mem-access", `R${reg} invalid mem access '${regTypeName(type)}'`, "EACCES");
  }
}

/** Also for helpers: `R1 cannot write into rdonly_mem`. */
export function cannotWrite(env: VerifierEnv, reg: number, type: number): never {
  return env.fail("verifier/read-only-memory", `R${reg} cannot write into ${regTypeName(type)}`, "EACCES");
}

function memoryAccess(env: VerifierEnv, a: Access): void {
  const { reg, row, type, off, bytes, access, valueReg } = a;
  const write = access === MemAccess.WRITE;
  const readOnly = (type & TypeFlag.MEM_RDONLY) !== 0;
  if (mayBeNull(type)) {
    env.fail("verifier/invalid-mem-access", `R${reg} invalid mem access '${regTypeName(type)}'`, "EACCES");
  }
  if (write && readOnly) cannotWrite(env, reg, type);
  if (write) checkLeak(env, valueReg, "mem");
  // Untrusted memory is read by probing loads, which cannot fault: any address will do.
  if (!readOnly || (type & TypeFlag.PTR_UNTRUSTED) === 0) {
    checkRegion(env, reg, off, bytes, env.mem.i32[row + A] >>> 0, false);
  }
  markRead(env, valueReg, access);
}

function bufferAccess(env: VerifierEnv, a: Access): void {
  const { reg, type, off, bytes, access, valueReg } = a;
  const readOnly = (type & TypeFlag.MEM_RDONLY) !== 0;
  if (readOnly && access === MemAccess.WRITE) cannotWrite(env, reg, type);
  checkBuffer(env, readOnly ? "rdonly" : "rdwr", reg, off, bytes);
  markRead(env, valueReg, access);
}

/** Buffers whose size only the attachment knows: fixed, not negative offsets. `__check_buffer_access` @ v6.18 */
export function checkBuffer(env: VerifierEnv, kind: string, reg: number, off: number, bytes: number): void {
  const row = env.reg(reg);
  if (off < 0) {
    env.fail(
      "verifier/buffer-access",
      `R${reg} invalid ${kind} buffer access: off=${off}, size=${bytes}`,
      "EACCES",
    );
  }
  if (!isConstZero(env, row)) {
    env.fail(
      "verifier/variable-offset",
      `R${reg} invalid variable buffer offset: off=${off}, var_off=${tnumText(env, row)}`,
      "EACCES",
    );
  }
}

const FLOW_KEYS_BYTES = 56;

function checkFlowKeys(env: VerifierEnv, off: number, bytes: number): void {
  if (off >= 0 && off + bytes <= FLOW_KEYS_BYTES) return;
  env.fail("verifier/out-of-bounds", `invalid access to flow keys off=${off} size=${bytes}`, "EACCES");
}

function checkSocket(env: VerifierEnv, reg: number, off: number, bytes: number): void {
  const row = env.reg(reg);
  const type = env.mem.i32[row + TYPE];
  if (smin(env, row) < 0) {
    env.fail(
      "verifier/negative-index",
      `R${reg} min value is negative, either use unsigned index or do a if (index >=0) check.`,
      "EACCES",
    );
  }
  if (maySocketRead(type, off, bytes)) return;
  env.fail(
    "verifier/socket-access",
    `R${reg} invalid ${regTypeName(type)} access off=${off} size=${bytes}`,
    "EACCES",
  );
}

function contextAccess(env: VerifierEnv, rules: ContextRules, a: Access): void {
  const { reg, row, off, bytes, access, valueReg, isLdsx } = a;
  checkUnmodified(env, row, reg, env.mem.i32[row + OFF], false);
  const load = BTF_CONTEXT_TYPES.has(programTypeOf(env))
    ? env.kfuncs.contextAccess(env, off, bytes, access)
    : tableAccess(env, rules, off, bytes, access, isLdsx);
  if (load === undefined) {
    env.fail(
      "verifier/invalid-context-access",
      `invalid bpf_context access off=${off} size=${bytes}`,
      "EACCES",
    );
  }
  const reference = load.refObjId ?? 0;
  if (reference !== 0 && findReference(env, reference) === undefined) {
    env.fail(
      "verifier/invalid-context-access",
      `invalid bpf_context access off=${off}. Reference may already be released`,
      "EACCES",
    );
  }
  if (access !== MemAccess.READ || valueReg < 0) return;
  markContextLoad(env, env.reg(valueReg), load);
}

const SCALAR: ContextLoad = { type: RegType.SCALAR_VALUE };

function tableAccess(
  env: VerifierEnv,
  rules: ContextRules,
  off: number,
  bytes: number,
  access: MemAccess,
  isLdsx: boolean,
): ContextLoad | undefined {
  if (access === MemAccess.WRITE) return rules.mayWrite(off, bytes) ? SCALAR : undefined;
  const found = rules.read(off, bytes, isLdsx);
  if (found === "refused") return undefined;
  if (found === "scalar") return SCALAR;
  if (found.structName === undefined) return found;
  const btfId = env.btfIndexes[0]?.find(found.structName, "struct");
  if (btfId === undefined) env.unsupported("context pointers without a vmlinux BTF");
  return { type: found.type, btf: 0, btfId };
}

function markContextLoad(env: VerifierEnv, row: number, load: ContextLoad): void {
  const { type, min, max } = load;
  if (type === RegType.SCALAR_VALUE) {
    markUnknown(env, row);
    if (min !== undefined && max !== undefined) env.domain.setSigned32(row, min, max);
    return;
  }
  markPointer(env, row, type);
  const { i32 } = env.mem;
  if ((type & BASE_TYPE_MASK) === RegType.PTR_TO_BTF_ID) {
    i32[row + A] = load.btfId ?? 0;
    i32[row + B] = load.btf ?? 0;
    i32[row + REF_OBJ_ID] = load.refObjId ?? 0;
  }
  if (mayBeNull(type)) i32[row + ID] = env.newId();
}
