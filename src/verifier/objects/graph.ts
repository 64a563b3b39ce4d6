import { structContains, typeName } from "../access/btf-walk.ts";
import { type BtfRecord, FIELD_KINDS, fieldAt, type SpecialField } from "../access/record.ts";
import { BTF_KERNEL, BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { A, B, F_CALLSITE, F_FLAGS, FrameFlag, OFF, REF_OBJ_ID, TYPE } from "../layout.ts";
import { isKfuncCall } from "../prechecks-calls.ts";
import { dropReference, findReference } from "../refs.ts";
import { RegType, TypeFlag } from "../register-types.ts";
import { forEachRow, isConst, markPointer } from "../regs.ts";
import { isAllocationLocked, recordOf } from "./spin-lock.ts";
import { offsetOf } from "./stack-object.ts";

/** A list or tree: `listHead` with `listNode`, `rbRoot` with `rbNode`. */
export type GraphKind = "list" | "tree";

const ROOT_KIND = { list: "listHead", tree: "rbRoot" } as const;
const NODE_KIND = { list: "listNode", tree: "rbNode" } as const;

/** The graph root that a call works on. */
export interface GraphRoot {
  readonly valueType: number;
  readonly nodeOffset: number;
}

/** Register `n` points to the head of a list or the root of a tree. `__process_kf_arg_ptr_to_graph_root` @ v6.18 */
export function checkGraphRoot(env: VerifierEnv, n: number, kind: GraphKind): GraphRoot {
  const row = env.reg(n);
  const { name } = FIELD_KINDS[ROOT_KIND[kind]];
  checkConstOffset(env, row, n, name);
  const record = recordOf(env, row);
  const off = offsetOf(env, row) >>> 0;
  const root = fieldOf(record, off, ROOT_KIND[kind])?.root;
  if (root === undefined) env.fail("verifier/graph-field", `${name} not found at offset=${off}`);
  if (!isAllocationLocked(env, row)) {
    const at = record?.spinLock ?? -1;
    env.fail("verifier/lock-not-held", `bpf_spin_lock at off=${at} must be held for ${name}`);
  }
  return root;
}

function checkConstOffset(env: VerifierEnv, row: number, n: number, name: string): void {
  if (isConst(env, row)) return;
  const text = `R${n} doesn't have constant offset. ${name} has to be at the constant offset`;
  env.fail("verifier/lock-offset", text);
}

function fieldOf(
  record: BtfRecord | undefined,
  off: number,
  kind: SpecialField["kind"],
): SpecialField | undefined {
  const field = fieldAt(record, off);
  return field?.kind === kind ? field : undefined;
}

/** Register `n` points to a node that fits the root. `__process_kf_arg_ptr_to_graph_node` @ v6.18 */
export function checkGraphNode(env: VerifierEnv, n: number, kind: GraphKind, root: GraphRoot): void {
  const row = env.reg(n);
  const { i32 } = env.mem;
  const { name } = FIELD_KINDS[NODE_KIND[kind]];
  checkConstOffset(env, row, n, name);
  const off = offsetOf(env, row);
  if (fieldOf(recordOf(env, row), off, NODE_KIND[kind]) === undefined) {
    env.fail("verifier/graph-field", `${name} not found at offset=${off >>> 0}`);
  }
  const owner = env.btfs[BTF_PROGRAM];
  const btf = env.btfs[i32[row + B]];
  if (owner === undefined || btf === undefined) env.unsupported("list or tree without BTF");
  const wanted = typeName(owner, root.valueType);
  const flexible = (i32[row + TYPE] & TypeFlag.MEM_ALLOC) === 0;
  if (!structContains(btf, i32[row + A], 0, owner, root.valueType, true, flexible)) {
    env.fail(
      "verifier/graph-node-type",
      `operation on ${FIELD_KINDS[ROOT_KIND[kind]].name} expects arg#1 ${name} at offset=${root.nodeOffset} in struct ${wanted}, but arg is at offset=${off} in struct ${typeName(btf, i32[row + A])}`,
    );
  }
  if (off !== root.nodeOffset) {
    env.fail(
      "verifier/graph-node-type",
      `arg#1 offset=${off}, but expected ${name} at offset=${root.nodeOffset} in struct ${wanted}`,
    );
  }
}

/** The row points to a node of the graph: its structure, at the node's offset. `mark_reg_graph_node` */
export function markGraphNode(env: VerifierEnv, row: number, root: GraphRoot): void {
  const { i32 } = env.mem;
  markPointer(env, row, RegType.PTR_TO_BTF_ID | TypeFlag.MEM_ALLOC);
  i32[row + A] = root.valueType;
  i32[row + B] = BTF_PROGRAM;
  i32[row + OFF] = root.nodeOffset;
}

/** The pointer's object belongs to a list or tree: valid until the lock is given back. `ref_set_non_owning` @ v6.18 */
export function markNonOwning(env: VerifierEnv, row: number): void {
  const { i32 } = env.mem;
  i32[row + TYPE] |= TypeFlag.NON_OWN_REF;
  if ((recordOf(env, row)?.refcount ?? -1) >= 0) i32[row + TYPE] |= TypeFlag.MEM_RCU;
}

/** The object went into a list or tree: its pointers own it no longer; false: not held. */
export function disown(env: VerifierEnv, refId: number): boolean {
  const { i32 } = env.mem;
  if (refId === 0 || findReference(env, refId) === undefined) return false;
  forEachRow(env, (row) => {
    if (i32[row + REF_OBJ_ID] !== refId) return;
    i32[row + REF_OBJ_ID] = 0;
    markNonOwning(env, row);
  });
  return dropReference(env, refId);
}

/** The walk is inside of a comparison that a tree calls with its lock held. `in_rbtree_lock_required_cb` @ v6.18 */
export function inTreeCallback(env: VerifierEnv): boolean {
  const { i32 } = env.mem;
  const btf = env.btfs[BTF_KERNEL];
  for (let f = env.cur.curFrame; f > 0; f--) {
    const frame = env.cur.frames[f];
    if ((i32[frame + F_FLAGS] & FrameFlag.IN_CALLBACK) === 0) continue;
    const insn = i32[frame + F_CALLSITE];
    if (insn < 0 || !isKfuncCall(env.insns, insn) || env.insns.off[insn] !== 0) continue;
    const func = btf?.types[env.insns.imm[insn]];
    if (func?.kind === "func" && func.name.startsWith("bpf_rbtree_")) return true;
  }
  return false;
}

/** Registers of the comparison that `bpf_rbtree_add_impl` calls: two nodes. `set_rbtree_add_callback_state` @ v6.18 */
export function markTreeCallbackArgs(
  env: VerifierEnv,
  callerRoot: number,
  first: number,
  second: number,
): void {
  const root = fieldOf(recordOf(env, callerRoot), env.mem.i32[callerRoot + OFF], "rbRoot")?.root;
  if (root === undefined) env.fail("verifier/graph-field", "bpf_rb_root not found", "EFAULT");
  for (const row of [first, second]) {
    markGraphNode(env, row, root);
    markNonOwning(env, row);
  }
}
