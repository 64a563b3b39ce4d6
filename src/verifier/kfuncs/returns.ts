// One algorithm: what r0 is after a kernel function call.
import type { Btf } from "../../btf/index.ts";
import { isStruct, resolveSize, skipModifiers, typeName } from "../access/btf-walk.ts";
import { mayWritePacket } from "../access/packet-rights.ts";
import { programTypeOf } from "../access/program-type.ts";
import { BTF_KERNEL, BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { A, B, ID, REF_OBJ_ID, TYPE } from "../layout.ts";
import { dynptrTypeFlag } from "../objects/dynptr.ts";
import { markGraphNode, markNonOwning } from "../objects/graph.ts";
import { recordOf } from "../objects/spin-lock.ts";
import { acquireReference } from "../refs.ts";
import { RegType, TypeFlag } from "../register-types.ts";
import { markConstZero, markPointer, markUnknown } from "../regs.ts";
import type { CallMeta } from "./call-meta.ts";
import { isScalarStruct, isScalarType, kindText } from "./classify.ts";
import { KF } from "./kfunc.ts";

/** `BPF_GLOBAL_PERCPU_MA_MAX_SIZE` */
const MAX_PERCPU_OBJECT = 512;

/** Sets r0 after the caller-saved registers were forgotten. `check_kfunc_call` @ v6.18 */
export function setReturnValue(env: VerifierEnv, meta: CallMeta, insn: number): void {
  const { btf, proto, name } = meta.kfunc;
  const id = skipModifiers(btf, proto.type);
  const type = btf.types[id];
  if (meta.has(KF.ACQUIRE) && !isStructPointer(btf, id) && !NEW_OBJECTS.has(name)) {
    env.fail("verifier/kfunc-return-type", "acquire kernel function does not return PTR_TO_BTF_ID");
  }
  const r0 = env.reg(0);
  if (isScalarType(type)) {
    // A lock that could not be taken goes on in a path of its own.
    if (name === "bpf_res_spin_lock" || name === "bpf_res_spin_lock_irqsave") markConstZero(env, r0);
    else markUnknown(env, r0);
  } else if (type?.kind === "ptr") setPointer(env, meta, insn, skipModifiers(btf, type.type));
}

const NEW_OBJECTS: ReadonlySet<string> = new Set([
  "bpf_obj_new_impl",
  "bpf_percpu_obj_new_impl",
  "bpf_refcount_acquire_impl",
]);

function isStructPointer(btf: Btf, id: number): boolean {
  const type = btf.types[id];
  return type?.kind === "ptr" && isStruct(btf.types[skipModifiers(btf, type.type)]);
}

function setPointer(env: VerifierEnv, meta: CallMeta, insn: number, target: number): void {
  const { i32 } = env.mem;
  const { btf, btfNumber } = meta.kfunc;
  const r0 = env.reg(0);
  const structName = btf.types[target]?.kind === "struct" ? typeName(btf, target) : "";
  const isNode = structName === "bpf_list_node" || structName === "bpf_rb_node";
  const special = btfNumber === BTF_KERNEL ? specialReturn(meta, isNode) : undefined;
  if (special !== undefined) special(env, meta, r0);
  else if (target === 0) markUnknown(env, r0);
  else if (isStruct(btf.types[target])) setStruct(env, meta, r0, target);
  else setMemory(env, meta, r0, target);

  const nullable = meta.has(KF.RET_NULL) && !(meta.kfunc.name === "bpf_refcount_acquire_impl" && meta.owning);
  if (nullable) {
    i32[r0 + TYPE] |= TypeFlag.PTR_MAYBE_NULL;
    i32[r0 + ID] = env.newId();
  }
  if (meta.has(KF.ACQUIRE)) {
    const id = acquireReference(env, insn);
    if (nullable) i32[r0 + ID] = id;
    i32[r0 + REF_OBJ_ID] = id;
  } else if (isNode) markNonOwning(env, r0);
  const record = recordOf(env, r0);
  if (record !== undefined && (record.spinLock >= 0 || record.resSpinLock >= 0) && i32[r0 + ID] === 0) {
    i32[r0 + ID] = env.newId();
  }
}

type SetReturn = (env: VerifierEnv, meta: CallMeta, r0: number) => void;

const SPECIAL: Readonly<Record<string, SetReturn>> = {
  bpf_obj_new_impl: setNewObject,
  bpf_percpu_obj_new_impl: setNewObject,
  bpf_refcount_acquire_impl: (env, meta, r0) => {
    markBtf(env, r0, TypeFlag.MEM_ALLOC, meta.objectBtf, meta.objectType);
  },
  bpf_cast_to_kern_ctx: (env, meta, r0) => {
    markBtf(env, r0, TypeFlag.PTR_TRUSTED, BTF_KERNEL, meta.kernelContext);
  },
  bpf_rdonly_cast: setCast,
  bpf_dynptr_slice: setSlice,
  bpf_dynptr_slice_rdwr: setSlice,
};

function specialReturn(meta: CallMeta, isNode: boolean): SetReturn | undefined {
  if (isNode) return setNode;
  const { name } = meta.kfunc;
  return Object.hasOwn(SPECIAL, name) ? SPECIAL[name] : undefined;
}

function setNode(env: VerifierEnv, meta: CallMeta, r0: number): void {
  if (meta.root === undefined) env.unsupported(`${meta.kfunc.name} without its root`);
  markGraphNode(env, r0, meta.root);
}

function markBtf(env: VerifierEnv, row: number, flags: number, btf: number, id: number): void {
  markPointer(env, row, RegType.PTR_TO_BTF_ID | flags);
  env.mem.i32[row + A] = id;
  env.mem.i32[row + B] = btf;
}

function setNewObject(env: VerifierEnv, meta: CallMeta, r0: number): void {
  const constant = meta.constant ?? 0n;
  const percpu = meta.kfunc.name === "bpf_percpu_obj_new_impl";
  if (constant > 0xffff_ffffn) {
    env.fail("verifier/object-type", "local type ID argument must be in range [0, U32_MAX]");
  }
  const btf = env.btfs[BTF_PROGRAM];
  if (btf === undefined) env.fail("verifier/object-type", "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
  const id = Number(constant);
  const type = btf.types[id];
  if (type?.kind !== "struct") {
    env.fail("verifier/object-type", "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct");
  }
  if (percpu) {
    if (type.size > MAX_PERCPU_OBJECT) {
      const text = `bpf_percpu_obj_new type size (${type.size}) is greater than ${MAX_PERCPU_OBJECT}`;
      env.fail("verifier/object-type", text);
    }
    if (!isScalarStruct(env, btf, id, 0)) {
      env.fail("verifier/object-type", "bpf_percpu_obj_new type ID argument must be of a struct of scalars");
    }
    if (env.access.objectRecord(env, BTF_PROGRAM, id) !== undefined) {
      env.fail("verifier/object-type", "bpf_percpu_obj_new type ID argument must not contain special fields");
    }
  }
  markBtf(env, r0, TypeFlag.MEM_ALLOC | (percpu ? TypeFlag.MEM_PERCPU : 0), BTF_PROGRAM, id);
}

function setCast(env: VerifierEnv, meta: CallMeta, r0: number): void {
  const id = meta.constant ?? 0n;
  const type = id <= 0xffff_ffffn ? meta.kfunc.btf.types[Number(id)] : undefined;
  if (type === undefined) {
    env.fail("verifier/cast-type", `Unknown type ID ${id} passed to kfunc bpf_rdonly_cast`);
  }
  if (isStruct(type)) markBtf(env, r0, TypeFlag.PTR_UNTRUSTED, meta.kfunc.btfNumber, Number(id));
  else if (type.kind === "void")
    markPointer(env, r0, RegType.PTR_TO_MEM | TypeFlag.MEM_RDONLY | TypeFlag.PTR_UNTRUSTED);
  else env.fail("verifier/cast-type", "kfunc bpf_rdonly_cast type ID argument must be of a struct or void");
}

function setSlice(env: VerifierEnv, meta: CallMeta, r0: number): void {
  const { i32 } = env.mem;
  const size = meta.constant;
  if (size === undefined)
    env.fail("verifier/kfunc-constant", "verifier bug: bpf_dynptr_slice(_rdwr) no constant size", "EFAULT");
  const readOnly = meta.kfunc.name === "bpf_dynptr_slice";
  if (!readOnly && !mayWritePacket(programTypeOf(env))) {
    env.fail("verifier/dynptr-write-forbidden", "the prog does not allow writes to packet data");
  }
  markPointer(
    env,
    r0,
    RegType.PTR_TO_MEM | dynptrTypeFlag(meta.dynptrType) | (readOnly ? TypeFlag.MEM_RDONLY : 0),
  );
  i32[r0 + A] = Number(BigInt.asIntN(32, size));
  i32[r0 + B] = meta.dynptrId;
}

function setStruct(env: VerifierEnv, meta: CallMeta, r0: number, target: number): void {
  let flags = 0;
  if (meta.kfunc.name === "bpf_get_kmem_cache") flags = TypeFlag.PTR_UNTRUSTED;
  else if (meta.has(KF.RCU_PROTECTED)) flags = TypeFlag.MEM_RCU;
  if (meta.has(KF.ITER_NEXT) && meta.iterator !== undefined) {
    const { frameNo, slot } = meta.iterator;
    const state = env.mem.i32[env.slotRow(env.cur.frames[frameNo], slot) + TYPE];
    flags = (state & TypeFlag.MEM_RCU) !== 0 ? TypeFlag.MEM_RCU : TypeFlag.PTR_TRUSTED;
  }
  markBtf(env, r0, flags, meta.kfunc.btfNumber, target);
}

function setMemory(env: VerifierEnv, meta: CallMeta, r0: number, target: number): void {
  const { btf, name } = meta.kfunc;
  let size = meta.returnSize ?? 0;
  let readOnly = meta.returnReadOnly;
  if (name === "bpf_session_cookie") {
    size = 8;
    readOnly = false;
  } else if (size === 0) {
    size = resolveSize(btf, target)?.size ?? 0;
    readOnly = true;
  }
  if (size === 0) {
    const what = `${kindText(btf.types[target])} ${typeName(btf, target)}`;
    env.fail(
      "verifier/kfunc-return-type",
      `kernel function ${name} returns pointer type ${what} is not supported`,
    );
  }
  markPointer(env, r0, RegType.PTR_TO_MEM | (readOnly ? TypeFlag.MEM_RDONLY : 0));
  env.mem.i32[r0 + A] = size;
  if (meta.refObjId !== 0) env.mem.i32[r0 + REF_OBJ_ID] = meta.refObjId;
}
