// One algorithm: the arguments of a kernel function call against its BTF.
import type { Btf } from "../../btf/index.ts";
import { resolveSize, skipModifiers, structContains, typeName } from "../access/btf-walk.ts";
import { checkConstString, checkMemorySizePair } from "../access/helper-memory.ts";
import { programTypeOf } from "../access/program-type.ts";
import {
  inSleepable,
  isAllocatedObject,
  isRcu,
  isTrusted,
  STRUCT_OF_TYPE,
  TRUSTED_FLAGS,
} from "../access/trust.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { Rejection } from "../errors.ts";
import { checkArgOffset } from "../helpers/arg-types.ts";
import { A, B, ID, OFF, REF_OBJ_ID, TYPE, VAR_VALUE } from "../layout.ts";
import { checkDynptrUse, dynptrRow } from "../objects/dynptr.ts";
import { checkGraphNode, checkGraphRoot, type GraphKind, inTreeCallback } from "../objects/graph.ts";
import { checkIrqFlagUse } from "../objects/irq-flag.ts";
import { checkIteratorUse } from "../objects/iterator.ts";
import { changeLock, recordOf } from "../objects/spin-lock.ts";
import { offsetOf } from "../objects/stack-object.ts";
import { markChainPrecision } from "../precision.ts";
import {
  baseType,
  DynptrType,
  mayBeNull,
  RegType,
  regTypeName,
  TypeFlag,
  typeFlags,
} from "../register-types.ts";
import { isConst, isNull, unsignedBig } from "../regs.ts";
import type { CallMeta } from "./call-meta.ts";
import {
  classifyPointer,
  hasSuffix,
  isScalarType,
  kindText,
  type Param,
  type PointerKind,
  targetOf,
} from "./classify.ts";
import { isProjection, kernelContextId } from "./context-types.ts";
import { KF } from "./kfunc.ts";

/** `MAX_BPF_FUNC_REG_ARGS` */
const MAX_ARGS = 5;

const OBJECT = RegType.PTR_TO_BTF_ID | TypeFlag.MEM_ALLOC;

/** Checks r1–r5 of a call and says in `meta` what they are. `check_kfunc_args` @ v6.18 */
export function checkKfuncArgs(env: VerifierEnv, meta: CallMeta, insn: number): void {
  const { name, proto, btf } = meta.kfunc;
  const count = proto.params.length;
  if (count > MAX_ARGS)
    env.fail("verifier/kfunc-arg-type", `Function ${name} has ${count} > ${MAX_ARGS} args`);
  for (let index = 0; index < count; index++) {
    const param = proto.params[index];
    if (hasSuffix(param, "__ign") || hasSuffix(param, "__prog")) continue;
    const type = btf.types[skipModifiers(btf, param.type)];
    if (isScalarType(type)) checkScalar(env, meta, param, index + 1);
    else if (type?.kind !== "ptr")
      env.fail("verifier/kfunc-arg-type", `Unrecognized arg#${index} type ${kindText(type)}`);
    else if (checkPointer(env, meta, index, insn) === "memory-size") index++;
  }
  if (meta.isRelease && meta.releaseReg === 0) {
    env.fail(
      "verifier/release-unreferenced",
      `release kernel function ${name} expects refcounted PTR_TO_BTF_ID`,
    );
  }
}

function checkScalar(env: VerifierEnv, meta: CallMeta, param: Param, n: number): void {
  const row = env.reg(n);
  if (env.mem.i32[row + TYPE] !== RegType.SCALAR_VALUE) {
    env.fail("verifier/kfunc-scalar", `R${n} is not a scalar`);
  }
  if (hasSuffix(param, "__k")) {
    meta.constant = constantOf(env, n, "must be a known constant");
    return;
  }
  const readOnly = param.name === "rdonly_buf_size";
  if (!readOnly && param.name !== "rdwr_buf_size") return;
  if (readOnly) meta.returnReadOnly = true;
  const size = constantOf(env, n, "is not a const");
  if (size > 0xffff_ffffn) {
    env.fail("verifier/kfunc-constant", `R${n} rdonly/rdwr_buf_size exceeds u32 max`);
  }
  meta.returnSize = Number(size);
}

function constantOf(env: VerifierEnv, n: number, problem: string): bigint {
  const row = env.reg(n);
  if (!isConst(env, row)) env.fail("verifier/kfunc-constant", `R${n} ${problem}`);
  markChainPrecision(env, n);
  return unsignedBig(env, env.reg(n) + VAR_VALUE);
}

function checkPointer(env: VerifierEnv, meta: CallMeta, index: number, insn: number): PointerKind {
  const { i32 } = env.mem;
  const n = index + 1;
  const row = env.reg(n);
  const param = meta.kfunc.proto.params[index];
  const nullable = isNull(env, row) || mayBeNull(i32[row + TYPE]);
  if ((meta.wantsTrusted || meta.wantsRcu) && nullable && !hasSuffix(param, "__nullable")) {
    env.fail("verifier/kfunc-null", `Possibly NULL pointer passed to trusted arg${index}`, "EACCES");
  }
  const refId = i32[row + REF_OBJ_ID];
  if (refId !== 0) {
    meta.refObjId = refId;
    if (meta.isRelease) meta.releaseReg = n;
  }
  const kind = classifyPointer(env, meta, index);
  if (kind === "null") return kind;
  if (kind === "map") noteMap(env, meta, n);
  if (kind === "map" || kind === "alloc-object" || kind === "btf") checkTrust(env, meta, n);
  checkArgOffset(env, n, meta.isRelease && refId !== 0, false);
  CHECKS[kind](env, meta, index, insn);
  return kind;
}

function checkTrust(env: VerifierEnv, meta: CallMeta, n: number): void {
  const row = env.reg(n);
  if ((!meta.wantsTrusted && !meta.wantsRcu) || isTrusted(env, row)) return;
  if (!meta.wantsRcu) env.fail("verifier/kfunc-untrusted", `R${n} must be referenced or trusted`);
  if (!isRcu(env, row)) env.fail("verifier/kfunc-not-rcu", `R${n} must be a rcu pointer`);
}

/** Number of the map whose field or value the register points to; undefined for others. `reg->map_ptr` */
function mapOf(env: VerifierEnv, n: number): number | undefined {
  const { i32 } = env.mem;
  const row = env.reg(n);
  const base = baseType(i32[row + TYPE]);
  const hasMap =
    base === RegType.CONST_PTR_TO_MAP || base === RegType.PTR_TO_MAP_VALUE || base === RegType.PTR_TO_MAP_KEY;
  return hasMap ? i32[row + A] : undefined;
}

function noteMap(env: VerifierEnv, meta: CallMeta, n: number): void {
  const { i32 } = env.mem;
  const row = env.reg(n);
  const map = mapOf(env, n);
  if (map === undefined) {
    // The kernel reads the same place of a BTF pointer: not null, and refused further down for its type.
    if (baseType(i32[row + TYPE]) === RegType.PTR_TO_BTF_ID) return;
    env.fail("verifier/kfunc-map", `pointer in R${n} isn't map pointer`);
  }
  const uid = i32[row + B];
  const record = env.access.mapRecord(env, map);
  const hasWork = (record?.workqueue ?? -1) >= 0;
  const hasTaskWork = (record?.taskWork ?? -1) >= 0;
  if (meta.map !== undefined && (hasWork || hasTaskWork) && (meta.map !== map || meta.mapUid !== uid)) {
    const text = hasTaskWork
      ? `bpf_task_work pointer in R2 map_uid=${meta.mapUid} doesn't match map pointer in R3 map_uid=${uid}`
      : `workqueue pointer in R1 map_uid=${meta.mapUid} doesn't match map pointer in R2 map_uid=${uid}`;
    env.fail("verifier/kfunc-map-mismatch", text);
  }
  meta.map = map;
  meta.mapUid = uid;
}

type Check = (env: VerifierEnv, meta: CallMeta, index: number, insn: number) => void;

const nothing: Check = () => {};

const CHECKS: Readonly<Record<PointerKind, Check>> = {
  ctx: checkContext,
  "alloc-object": checkAllocObject,
  "refcounted-object": checkRefcounted,
  dynptr: checkDynptr,
  iterator: checkIterator,
  "list-head": (env, meta, index) => checkRoot(env, meta, index, "list"),
  "tree-root": (env, meta, index) => checkRoot(env, meta, index, "tree"),
  "list-node": (env, meta, index) => checkNode(env, meta, index, "list"),
  "tree-node": checkTreeNode,
  btf: (env, meta, index) => checkStruct(env, meta, index, undefined),
  map: (env, meta, index) => checkStruct(env, meta, index, "bpf_map"),
  memory: checkMemory,
  "memory-size": checkMemorySize,
  callback: checkCallback,
  null: nothing,
  "const-string": checkString,
  workqueue: (env, meta, index) => checkMapField(env, meta, index, "workqueue", "bpf_wq"),
  "task-work": (env, meta, index) => checkMapField(env, meta, index, "taskWork", "bpf_task_work"),
  "irq-flag": (env, meta, index, insn) => checkIrqFlagUse(env, index + 1, insn, meta.kfunc.name),
  "res-spin-lock": checkResLock,
};

function checkContext(env: VerifierEnv, meta: CallMeta, index: number): void {
  const type = env.mem.i32[env.reg(index + 1) + TYPE];
  if (type !== RegType.PTR_TO_CTX) {
    env.fail("verifier/kfunc-context", `arg#${index} expected pointer to ctx, but got ${regTypeName(type)}`);
  }
  if (meta.kfunc.name !== "bpf_cast_to_kern_ctx") return;
  const id = kernelContextId(env, programTypeOf(env));
  const kind = env.btfs[BTF_KERNEL]?.types[id]?.kind;
  if (kind !== "struct") env.fail("verifier/kfunc-context", `kern ctx type id ${id} is not a struct`);
  meta.kernelContext = id;
}

function noteObject(env: VerifierEnv, meta: CallMeta, row: number): void {
  meta.objectBtf = env.mem.i32[row + B];
  meta.objectType = env.mem.i32[row + A];
}

function checkReferenced(env: VerifierEnv, row: number): void {
  if (env.mem.i32[row + REF_OBJ_ID] !== 0) return;
  env.fail("verifier/internal", "allocated object must be referenced");
}

function checkAllocObject(env: VerifierEnv, meta: CallMeta, index: number): void {
  const row = env.reg(index + 1);
  const type = env.mem.i32[row + TYPE];
  const { name } = meta.kfunc;
  if (type === OBJECT) {
    if (name !== "bpf_obj_drop_impl") {
      env.fail("verifier/object-expected", `arg#${index} expected for bpf_obj_drop_impl()`);
    }
  } else if (type === (OBJECT | TypeFlag.MEM_PERCPU)) {
    if (name !== "bpf_percpu_obj_drop_impl") {
      env.fail("verifier/object-expected", `arg#${index} expected for bpf_percpu_obj_drop_impl()`);
    }
  } else env.fail("verifier/object-expected", `arg#${index} expected pointer to allocated object`);
  checkReferenced(env, row);
  noteObject(env, meta, row);
}

function checkRefcounted(env: VerifierEnv, meta: CallMeta, index: number): void {
  const { i32 } = env.mem;
  const row = env.reg(index + 1);
  if (!isAllocatedObject(i32[row + TYPE])) {
    env.fail("verifier/object-expected", `arg#${index} is neither owning or non-owning ref`);
  }
  if ((i32[row + TYPE] & TypeFlag.NON_OWN_REF) === 0 && i32[row + REF_OBJ_ID] !== 0) meta.owning = true;
  const record = recordOf(env, row);
  if (record === undefined)
    env.fail("verifier/object-not-refcounted", "verifier bug: Couldn't find btf_record", "EFAULT");
  if (record.refcount < 0) {
    const text = `arg#${index} doesn't point to a type with bpf_refcount field`;
    env.fail("verifier/object-not-refcounted", text);
  }
  noteObject(env, meta, row);
}

/** Functions that make dynptrs of one kind. */
const MAKES: Readonly<Record<string, number>> = {
  bpf_dynptr_from_skb: DynptrType.SKB,
  bpf_dynptr_from_xdp: DynptrType.XDP,
  bpf_dynptr_from_skb_meta: DynptrType.SKB_META,
};

function checkDynptr(env: VerifierEnv, meta: CallMeta, index: number, insn: number): void {
  const { i32 } = env.mem;
  const n = index + 1;
  const uninit = hasSuffix(meta.kfunc.proto.params[index], "__uninit");
  let type = MAKES[meta.kfunc.name] ?? DynptrType.INVALID;
  let cloneRefId = 0;
  if (uninit && meta.kfunc.name === "bpf_dynptr_clone") {
    type = meta.dynptrType;
    cloneRefId = meta.dynptrRefId;
  }
  if (uninit && type === DynptrType.INVALID) env.unsupported(`dynptr made by ${meta.kfunc.name}`);
  const constant = i32[env.reg(n) + TYPE] === RegType.CONST_PTR_TO_DYNPTR;
  checkDynptrUse(env, n, insn, { uninit, constant, type: uninit ? type : DynptrType.INVALID, cloneRefId });
  if (uninit) return;
  const row = dynptrRow(env, n);
  meta.dynptrId = i32[row + ID];
  meta.dynptrType = i32[row + A];
  meta.dynptrRefId = i32[row + REF_OBJ_ID];
}

function checkIterator(env: VerifierEnv, meta: CallMeta, index: number, insn: number): void {
  const { name, btf, btfNumber, proto } = meta.kfunc;
  if (name === "bpf_iter_css_task_new" && !mayIterateCssTasks(env)) {
    const text = "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs";
    env.fail("verifier/iterator-not-allowed", text);
  }
  const kind = meta.has(KF.ITER_NEW)
    ? "new"
    : meta.has(KF.ITER_NEXT)
      ? "next"
      : meta.has(KF.ITER_DESTROY)
        ? "destroy"
        : "use";
  const rcuProtected = meta.has(KF.RCU_PROTECTED);
  const place = checkIteratorUse(env, index + 1, insn, { name, btf, btfNumber, proto, kind, rcuProtected });
  if (place === undefined) return;
  meta.iterator = place;
  meta.refObjId = place.refId;
}

/** `check_css_task_iter_allowlist` */
function mayIterateCssTasks(env: VerifierEnv): boolean {
  const type = programTypeOf(env);
  if (type === "BPF_PROG_TYPE_LSM") return true;
  if (type === "BPF_PROG_TYPE_TRACING" && env.program.attachType === "BPF_TRACE_ITER") return true;
  return inSleepable(env);
}

function checkRoot(env: VerifierEnv, meta: CallMeta, index: number, kind: GraphKind): void {
  const row = env.reg(index + 1);
  const type = env.mem.i32[row + TYPE];
  if (type !== RegType.PTR_TO_MAP_VALUE && type !== OBJECT) {
    env.fail("verifier/graph-root", `arg#${index} expected pointer to map value or allocated object`);
  }
  if (type === OBJECT) checkReferenced(env, row);
  meta.root = checkGraphRoot(env, index + 1, kind);
}

function checkNode(env: VerifierEnv, meta: CallMeta, index: number, kind: GraphKind): void {
  const row = env.reg(index + 1);
  if (env.mem.i32[row + TYPE] !== OBJECT) {
    env.fail("verifier/object-expected", `arg#${index} expected pointer to allocated object`);
  }
  checkReferenced(env, row);
  finishNode(env, meta, index, kind);
}

function finishNode(env: VerifierEnv, meta: CallMeta, index: number, kind: GraphKind): void {
  if (meta.root === undefined) env.unsupported(`${meta.kfunc.name} without its root`);
  checkGraphNode(env, index + 1, kind, meta.root);
  noteObject(env, meta, env.reg(index + 1));
}

function checkTreeNode(env: VerifierEnv, meta: CallMeta, index: number): void {
  const { name } = meta.kfunc;
  if (name === "bpf_rbtree_add_impl") {
    checkNode(env, meta, index, "tree");
    return;
  }
  const { i32 } = env.mem;
  const row = env.reg(index + 1);
  if ((i32[row + TYPE] & TypeFlag.NON_OWN_REF) === 0 && i32[row + REF_OBJ_ID] === 0) {
    env.fail(
      "verifier/graph-node-owned",
      `${name} can only take non-owning or refcounted bpf_rb_node pointer`,
    );
  }
  if (inTreeCallback(env)) env.fail("verifier/graph-callback", `${name} not allowed in rbtree cb`);
  finishNode(env, meta, index, "tree");
}

/** A pointer to a kernel structure (`wanted`: this one, whatever the parameter says). */
function checkStruct(env: VerifierEnv, meta: CallMeta, index: number, wanted: string | undefined): void {
  const type = env.mem.i32[env.reg(index + 1) + TYPE];
  const unsafe = (typeFlags(type) & ~TRUSTED_FLAGS) !== 0;
  const isBtf = baseType(type) === RegType.PTR_TO_BTF_ID && (!unsafe || (type & TypeFlag.MEM_RCU) !== 0);
  if (!isBtf && STRUCT_OF_TYPE[baseType(type)] === undefined) {
    const expected = regTypeName(baseType(type) | (typeFlags(type) & TRUSTED_FLAGS));
    env.verbose(`arg#${index} is ${regTypeName(type)} `);
    env.fail("verifier/kfunc-struct-mismatch", `expected ${expected} or socket`);
  }
  const { btf, proto } = meta.kfunc;
  let target = targetOf(btf, skipModifiers(btf, proto.params[index].type));
  let owner = btf;
  if (wanted !== undefined) {
    const found = env.btfIndexes[BTF_KERNEL]?.find(wanted, "struct");
    const kernel = env.btfs[BTF_KERNEL];
    if (found === undefined || kernel === undefined) env.unsupported(`struct ${wanted} in the kernel's BTF`);
    target = found;
    owner = kernel;
  }
  matchStruct(env, meta, index, owner, target);
}

/** `process_kf_arg_ptr_to_btf_id` @ v6.18 */
function matchStruct(env: VerifierEnv, meta: CallMeta, index: number, owner: Btf, target: number): void {
  const { i32 } = env.mem;
  const row = env.reg(index + 1);
  const isBtf = baseType(i32[row + TYPE]) === RegType.PTR_TO_BTF_ID;
  const btf = env.btfs[isBtf ? i32[row + B] : BTF_KERNEL];
  const known = isBtf
    ? i32[row + A]
    : env.btfIndexes[BTF_KERNEL]?.find(STRUCT_OF_TYPE[baseType(i32[row + TYPE])], "struct");
  if (btf === undefined || known === undefined) env.unsupported("kernel structures without the kernel's BTF");
  const id = skipModifiers(btf, known);
  const name = typeName(btf, id);
  const wanted = typeName(owner, target);
  const strict = (meta.isRelease && i32[row + REF_OBJ_ID] !== 0) || isNocastAlias(name, wanted);
  const flexible = (i32[row + TYPE] & TypeFlag.MEM_ALLOC) === 0;
  if (structContains(btf, id, i32[row + OFF], owner, target, strict, flexible)) return;
  if (isProjection(wanted, name)) return;
  env.fail(
    "verifier/kfunc-struct-mismatch",
    `kernel function ${meta.kfunc.name} args#${index} expected pointer to ${kindText(owner.types[target])} ${wanted} but R${index + 1} has a pointer to ${kindText(btf.types[id])} ${name}`,
  );
}

/** One is the other with `___init` behind: an object that is not set up yet. `btf_type_ids_nocast_alias` */
function isNocastAlias(a: string, b: string): boolean {
  return a === `${b}___init` || b === `${a}___init`;
}

function checkMemory(env: VerifierEnv, meta: CallMeta, index: number): void {
  const { btf, proto } = meta.kfunc;
  const target = targetOf(btf, skipModifiers(btf, proto.params[index].type));
  const size = resolveSize(btf, target)?.size;
  if (size === undefined) {
    const what = `${kindText(btf.types[target])} ${typeName(btf, target)}`;
    env.fail(
      "verifier/kfunc-arg-type",
      `arg#${index} reference type('${what}') size cannot be determined: -22`,
    );
  }
  env.access.checkMemReg(env, index + 1, size);
}

function checkMemorySize(env: VerifierEnv, meta: CallMeta, index: number): void {
  const { params } = meta.kfunc.proto;
  if (!isNull(env, env.reg(index + 1)) || !hasSuffix(params[index], "__opt")) {
    try {
      checkMemorySizePair(env, index + 2);
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      const text = `arg#${index} arg#${index + 1} memory, len pair leads to invalid memory access`;
      env.fail("verifier/kfunc-memory-size", text, error.errno);
    }
  }
  if (!hasSuffix(params[index + 1], "__szk")) return;
  const size = env.reg(index + 2);
  if (!isConst(env, size)) env.fail("verifier/kfunc-constant", `R${index + 2} must be a known constant`);
  meta.constant = unsignedBig(env, size + VAR_VALUE);
}

function checkCallback(env: VerifierEnv, meta: CallMeta, index: number): void {
  const row = env.reg(index + 1);
  if (env.mem.i32[row + TYPE] !== RegType.PTR_TO_FUNC) {
    env.fail("verifier/kfunc-callback", `arg${index} expected pointer to func`);
  }
  meta.subprog = env.mem.i32[row + A];
}

function checkString(env: VerifierEnv, _meta: CallMeta, index: number): void {
  if (env.mem.i32[env.reg(index + 1) + TYPE] !== RegType.PTR_TO_MAP_VALUE) {
    env.fail("verifier/const-string", `arg#${index} doesn't point to a const string`);
  }
  checkConstString(env, index + 1);
}

/** A field of a map value that works only with its map. `check_map_field_pointer` @ v6.18 */
function checkMapField(
  env: VerifierEnv,
  meta: CallMeta,
  index: number,
  field: "workqueue" | "taskWork",
  name: string,
): void {
  const { i32 } = env.mem;
  const n = index + 1;
  const row = env.reg(n);
  if (i32[row + TYPE] !== RegType.PTR_TO_MAP_VALUE) {
    env.fail("verifier/field-not-map-value", `arg#${index} doesn't point to a map value`);
  }
  const map = i32[row + A];
  if (!isConst(env, row)) {
    env.fail(
      "verifier/lock-offset",
      `R${n} doesn't have constant offset. ${name} has to be at the constant offset`,
    );
  }
  if (env.maps[map].btf === undefined) {
    env.fail("verifier/lock-missing", `map '${env.maps[map].name}' has to have BTF in order to use ${name}`);
  }
  const at = env.access.mapRecord(env, map)?.[field] ?? -1;
  if (at < 0) env.fail("verifier/lock-missing", `map '${env.maps[map].name}' has no valid ${name}`);
  const off = offsetOf(env, row);
  if (at !== off)
    env.fail("verifier/field-pointer", `off ${off} doesn't point to 'struct ${name}' that is at ${at}`);
  meta.map = map;
  meta.mapUid = i32[row + B];
}

function checkResLock(env: VerifierEnv, meta: CallMeta, index: number, insn: number): void {
  const type = env.mem.i32[env.reg(index + 1) + TYPE];
  if (type !== RegType.PTR_TO_MAP_VALUE && type !== OBJECT) {
    env.fail("verifier/graph-root", `arg#${index} doesn't point to map value or allocated object`);
  }
  const { name } = meta.kfunc;
  const lock = name === "bpf_res_spin_lock" || name === "bpf_res_spin_lock_irqsave";
  changeLock(env, index + 1, insn, { lock, resilient: true, irq: name.includes("_irq") });
}
