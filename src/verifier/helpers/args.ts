// One algorithm: the arguments of a helper call, one after the other.

import { checkAlignment } from "../access/alignment.ts";
import { checkConstString, checkHelperMemory, checkMemorySize } from "../access/helper-memory.ts";
import { mayPassPacket } from "../access/packet-rights.ts";
import { programTypeOf } from "../access/program-type.ts";
import { constLow } from "../access/row.ts";
import type { VerifierEnv } from "../env.ts";
import { A, B, REF_OBJ_ID, TYPE } from "../layout.ts";
import { checkDynptrUse } from "../objects/dynptr.ts";
import { inTreeCallback } from "../objects/graph.ts";
import { changeLock } from "../objects/spin-lock.ts";
import { objectSlot } from "../objects/stack-object.ts";
import { MemAccess } from "../ports.ts";
import { markChainPrecision } from "../precision.ts";
import { isPacketPointer, RegType, TypeFlag } from "../register-types.ts";
import { checkRegRead, isConst, isNull, isPointerValue, umax } from "../regs.ts";
import { frameOf } from "../stack.ts";
import { checkArgOffset, checkArgType } from "./arg-types.ts";
import type { CallState } from "./call-state.ts";
import { constantKey, neverMisses } from "./constant-key.ts";
import type { ArgKind, ArgSpec } from "./prototypes.ts";
import { checkKptrPlace, checkTimer } from "./special-args.ts";

const { PTR_MAYBE_NULL, MEM_UNINIT, MEM_WRITE, MEM_RDONLY, MEM_ALIGNED, MEM_FIXED_SIZE, OBJ_RELEASE } =
  TypeFlag;

/** Argument `index` (0–4) is what the helper takes; notes in `call` what the call's effects need. `check_func_arg` @ v6.18 */
export function checkArg(env: VerifierEnv, call: CallState, index: number): void {
  const arg = call.proto.args[index];
  const reg = index + 1;
  checkRegRead(env, reg);
  const row = env.reg(reg);
  const { i32 } = env.mem;
  if (arg.kind === "anything") {
    if (isPointerValue(env, row)) {
      env.fail("verifier/pointer-leak", `R${reg} leaks addr into helper function`, "EACCES");
    }
    return;
  }
  const type = i32[row + TYPE];
  if (isPacketPointer(type) && !mayPassPacket(programTypeOf(env), call.proto.row.pktAccess === true)) {
    env.fail("verifier/packet-argument", "helper access to the packet is not allowed", "EACCES");
  }
  const resolved = resolveValue(env, call, arg);
  const release = (arg.flags & OBJ_RELEASE) !== 0;
  const skipTypeCheck = (resolved.flags & PTR_MAYBE_NULL) !== 0 && isNull(env, row);
  if (skipTypeCheck) {
    markChainPrecision(env, reg);
  } else {
    checkArgType(env, call.proto, reg, resolved, resolved.kind, call.kptr);
    checkArgOffset(env, reg, release, arg.kind === "dynptr");
  }
  if (release) noteRelease(env, call, reg, arg.kind);
  const ref = i32[row + REF_OBJ_ID];
  if (ref !== 0 && arg.kind !== "kptr") {
    if (call.refObjId !== 0) {
      env.fail(
        "verifier/two-references",
        `more than one arg with ref_obj_id R${reg} ${ref} ${call.refObjId}`,
        "EACCES",
      );
    }
    call.refObjId = ref;
  }
  CHECKS[resolved.kind]?.(env, call, reg, resolved, index);
}

const SOCKET_VALUE: Partial<ArgSpec> = { kind: "btf-sock-common", struct: "sock_common" };

/** Values of sockmaps are sockets; of a Bloom filter, `map_peek_elem` reads one. `resolve_map_arg_type` @ v6.18 */
function resolveValue(env: VerifierEnv, call: CallState, arg: ArgSpec): ArgSpec {
  if (arg.kind !== "value" || call.map < 0) return arg;
  const { type } = env.maps[call.map];
  if (type === "BPF_MAP_TYPE_SOCKMAP" || type === "BPF_MAP_TYPE_SOCKHASH") {
    if (arg.flags !== 0) env.fail("verifier/map-type", "invalid arg_type for sockmap/sockhash");
    return { ...arg, ...SOCKET_VALUE };
  }
  if (type === "BPF_MAP_TYPE_BLOOM_FILTER" && call.proto.name === "map_peek_elem")
    return { ...arg, flags: 0 };
  return arg;
}

function noteRelease(env: VerifierEnv, call: CallState, reg: number, kind: ArgKind): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  if (kind === "dynptr") {
    if (i32[row + TYPE] !== RegType.PTR_TO_STACK) {
      env.fail("verifier/release-unreferenced", "cannot release unowned const bpf_dynptr");
    }
    if (!holdsReference(env, reg)) {
      env.fail("verifier/release-unreferenced", `arg ${reg} is an unacquired reference`);
    }
  } else if (i32[row + REF_OBJ_ID] === 0 && !isNull(env, row)) {
    env.fail("verifier/release-unreferenced", `R${reg} must be referenced when passed to release function`);
  }
  call.releaseReg = reg;
}

/** The dynptr a stack pointer leads to holds a reference. */
function holdsReference(env: VerifierEnv, reg: number): boolean {
  const at = stackDynptrRow(env, reg);
  return at !== 0 && env.mem.i32[at + REF_OBJ_ID] !== 0;
}

type ArgCheck = (env: VerifierEnv, call: CallState, reg: number, arg: ArgSpec, index: number) => void;

function accessOf(arg: ArgSpec): MemAccess {
  return (arg.flags & MEM_WRITE) !== 0 ? MemAccess.WRITE : MemAccess.READ;
}

function noteRaw(call: CallState, isRaw: boolean, reg: number, size: number): void {
  if (!isRaw) return;
  call.rawReg = reg;
  call.rawSize = size;
}

/** What follows the check of the type, by kind; kinds without an entry need nothing more. */
const CHECKS: Partial<Record<ArgKind, ArgCheck>> = {
  map: checkMap,
  key: checkKey,
  value: checkValue,
  memory: checkMemory,
  size: checkSize,
  "alloc-size": checkAllocSize,
  "percpu-object": (env, call, reg) => {
    const row = env.reg(reg);
    call.retBtf = env.mem.i32[row + B];
    call.retBtfId = env.mem.i32[row + A];
    if (call.retBtfId === 0)
      env.fail("verifier/argument-type", `Helper has invalid btf_id in R${reg}`, "EACCES");
  },
  function: (env, call, reg) => {
    call.subprog = env.mem.i32[env.reg(reg) + A];
  },
  "spin-lock": (env, call, reg) => {
    if (inTreeCallback(env)) {
      env.fail("verifier/lock-in-callback", "can't spin_{lock,unlock} in rbtree cb", "EACCES");
    }
    changeLock(env, reg, call.insn, { lock: call.proto.name === "spin_lock", resilient: false, irq: false });
  },
  timer: (env, call, reg) => {
    const use = checkTimer(env, reg);
    call.map = use.map;
    call.mapUid = use.uid;
  },
  dynptr: (env, call, reg, arg) => {
    const uninit = (arg.flags & MEM_UNINIT) !== 0;
    const constant = (arg.flags & MEM_RDONLY) !== 0;
    checkDynptrUse(env, reg, call.insn, { uninit, constant, type: arg.dynptr, cloneRefId: 0 });
  },
  "const-string": (env, _call, reg) => {
    checkConstString(env, reg);
  },
  kptr: (env, call, reg) => {
    call.kptr = checkKptrPlace(env, reg);
    const row = env.reg(reg);
    if (env.mem.i32[row + TYPE] === RegType.PTR_TO_MAP_VALUE) call.map = env.mem.i32[row + A];
  },
};

function checkMap(env: VerifierEnv, call: CallState, reg: number): void {
  const row = env.reg(reg);
  const map = env.mem.i32[row + A];
  const uid = env.mem.i32[row + B];
  // A timer must be given the map it lies in, told apart by the lookup for inner maps.
  if (call.map >= 0 && (call.map !== map || call.mapUid !== uid)) {
    env.fail(
      "verifier/map-mismatch",
      `timer pointer in R1 map_uid=${call.mapUid} doesn't match map pointer in R2 map_uid=${uid}`,
    );
  }
  call.map = map;
  call.mapUid = uid;
}

function checkKey(env: VerifierEnv, call: CallState, reg: number): void {
  const { keySize, type } = env.maps[call.map];
  checkHelperMemory(env, reg, keySize, MemAccess.READ, false, false);
  call.constKey = neverMisses(type) ? constantKey(env, reg, keySize) : -1;
}

function checkValue(env: VerifierEnv, call: CallState, reg: number, arg: ArgSpec): void {
  if ((arg.flags & PTR_MAYBE_NULL) !== 0 && isNull(env, env.reg(reg))) return;
  const { valueSize } = env.maps[call.map];
  call.rawMode = (arg.flags & MEM_UNINIT) !== 0;
  noteRaw(call, checkHelperMemory(env, reg, valueSize, accessOf(arg), false, call.rawMode), reg, valueSize);
}

function checkMemory(env: VerifierEnv, call: CallState, reg: number, arg: ArgSpec): void {
  call.rawMode = (arg.flags & MEM_UNINIT) !== 0;
  if ((arg.flags & MEM_FIXED_SIZE) === 0) return; // checked with the size that follows
  noteRaw(call, checkHelperMemory(env, reg, arg.size, accessOf(arg), false, call.rawMode), reg, arg.size);
  if ((arg.flags & MEM_ALIGNED) !== 0) checkAlignment(env, env.reg(reg), 0, arg.size, true);
}

function checkSize(env: VerifierEnv, call: CallState, reg: number, arg: ArgSpec, index: number): void {
  const size = umax(env, env.reg(reg));
  call.maxSize = size;
  const raw = checkMemorySize(env, reg, accessOf(call.proto.args[index - 1]), arg.orZero, call.rawMode);
  noteRaw(call, raw, reg - 1, size);
}

function checkAllocSize(env: VerifierEnv, call: CallState, reg: number): void {
  const row = env.reg(reg);
  if (!isConst(env, row))
    env.fail("verifier/size-not-constant", `R${reg} is not a known constant'`, "EACCES");
  call.memSize = constLow(env, row);
  markChainPrecision(env, reg);
}

/** Row of the dynptr that a stack pointer leads to; 0: there is none. */
function stackDynptrRow(env: VerifierEnv, reg: number): number {
  const row = env.reg(reg);
  const slot = objectSlot(env, row, "dynptr", 2);
  return typeof slot === "string" ? 0 : env.slotRow(frameOf(env, row), slot);
}
