import type { Btf, BtfTypeOf } from "../../btf/index.ts";
import { isStruct, skipModifiers, typeName } from "../access/btf-walk.ts";
import { inRcuSection } from "../access/trust.ts";
import type { VerifierEnv } from "../env.ts";
import { A, B, C, REF_OBJ_ID, SlotType, TYPE } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { acquireReference, releaseReference } from "../refs.ts";
import { IterState, RegType, TypeFlag } from "../register-types.ts";
import { markPointer } from "../regs.ts";
import { frameOf, markSlotScratched, markSlotUsed, markSlotWritten } from "../stack.ts";
import { clearSlot, hasSlotType, isWholeSlot, objectSlot, setSlotType } from "./stack-object.ts";

const PREFIX = "bpf_iter_";

/** The iterator that a call works on. */
export interface IteratorPlace {
  readonly frameNo: number;
  readonly slot: number;
  /** Reference that the iterator holds. */
  readonly refId: number;
}

/** What an iterator argument's call is. */
export interface IteratorUse {
  readonly name: string;
  readonly btf: Btf;
  readonly btfNumber: number;
  readonly proto: BtfTypeOf<"func_proto">;
  readonly kind: "new" | "next" | "destroy" | "use";
  /** The elements are protected by RCU. */
  readonly rcuProtected: boolean;
}

/** BTF id of the iterator structure that parameter `index` points to; undefined: it is none. `btf_check_iter_arg` */
export function iteratorType(btf: Btf, proto: BtfTypeOf<"func_proto">, index: number): number | undefined {
  const param = proto.params[index];
  const pointer = param && btf.types[skipModifiers(btf, param.type)];
  if (pointer?.kind !== "ptr") return undefined;
  const id = skipModifiers(btf, pointer.type);
  return isStruct(btf.types[id]) && typeName(btf, id).startsWith(PREFIX) ? id : undefined;
}

/** `num` of `bpf_iter_num`. `iter_type_str` */
export function iteratorName(btf: Btf, id: number): string {
  const name = typeName(btf, id);
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
}

/**
 * An iterator argument in register `n`: made, used, or destroyed. Undefined for one that was just made.
 * `process_iter_arg` @ v6.18
 */
export function checkIteratorUse(
  env: VerifierEnv,
  n: number,
  insn: number,
  use: IteratorUse,
): IteratorPlace | undefined {
  const row = env.reg(n);
  if (env.mem.i32[row + TYPE] !== RegType.PTR_TO_STACK) {
    env.fail("verifier/iterator-expected", `arg#${n - 1} expected pointer to an iterator on stack`);
  }
  const id = iteratorType(use.btf, use.proto, n - 1);
  const struct = id === undefined ? undefined : use.btf.types[id];
  if (id === undefined || !isStruct(struct)) {
    env.fail("verifier/iterator-expected", `expected valid iter pointer as arg #${n - 1}`);
  }
  const count = struct.size >> 3;
  const name = iteratorName(use.btf, id);
  if (use.kind === "new") {
    if (!isUninit(env, row, count)) {
      env.fail("verifier/iterator-initialized", `expected uninitialized iter_${name} as arg #${n - 1}`);
    }
    for (let i = 0; i < count * 8; i += 8) {
      env.access.checkMemAccess(env, insn, n, i, 8, MemAccess.WRITE, -1, false, false);
    }
    markSlots(env, row, count, id, use, insn);
    return undefined;
  }
  const state = initState(env, row, count, id, use.btfNumber);
  if (state === "needs-rcu") {
    env.fail("verifier/iterator-needs-rcu", `expected an RCU CS when using ${use.name}`, "EPROTO");
  }
  if (state !== "ok") {
    env.fail("verifier/iterator-uninitialized", `expected an initialized iter_${name} as arg #${n - 1}`);
  }
  const slot = objectSlot(env, row, "iter", count) as number; // initState has placed it
  const frameNo = env.mem.i32[row + C];
  for (let i = 0; i < count; i++) markSlotUsed(env, frameNo, slot - i);
  const refId = env.mem.i32[env.slotRow(frameOf(env, row), slot) + REF_OBJ_ID];
  if (use.kind === "destroy") destroy(env, frameNo, slot, count, refId);
  return { frameNo, slot, refId };
}

function isUninit(env: VerifierEnv, row: number, count: number): boolean {
  const slot = objectSlot(env, row, "iter", count);
  if (typeof slot === "string") return slot === "beyond";
  const frame = frameOf(env, row);
  for (let i = 0; i < count; i++) if (hasSlotType(env, frame, slot - i, SlotType.ITER)) return false;
  return true;
}

function initState(
  env: VerifierEnv,
  row: number,
  count: number,
  id: number,
  btfNumber: number,
): "ok" | "uninitialized" | "needs-rcu" {
  const slot = objectSlot(env, row, "iter", count);
  if (typeof slot === "string") return "uninitialized";
  const frame = frameOf(env, row);
  const { i32 } = env.mem;
  for (let i = 0; i < count; i++) {
    const state = env.slotRow(frame, slot - i);
    if ((i32[state + TYPE] & TypeFlag.PTR_UNTRUSTED) !== 0) return "needs-rcu";
    if ((i === 0) !== (i32[state + REF_OBJ_ID] !== 0)) return "uninitialized";
    if (i32[state + B] !== btfNumber || i32[state + A] !== id) return "uninitialized";
    if (!isWholeSlot(env, frame, slot - i, SlotType.ITER)) return "uninitialized";
  }
  return "ok";
}

function markSlots(
  env: VerifierEnv,
  row: number,
  count: number,
  id: number,
  use: IteratorUse,
  insn: number,
): void {
  const slot = objectSlot(env, row, "iter", count);
  if (typeof slot === "string") env.unsupported("iterator out of reach"); // the writes before have grown the stack
  const { i32 } = env.mem;
  const frameNo = i32[row + C];
  const frame = env.cur.frames[frameNo];
  const refId = acquireReference(env, insn);
  const trust = !use.rcuProtected ? 0 : inRcuSection(env) ? TypeFlag.MEM_RCU : TypeFlag.PTR_UNTRUSTED;
  for (let i = 0; i < count; i++) {
    const state = env.slotRow(frame, slot - i);
    markPointer(env, state, RegType.PTR_TO_STACK | trust);
    i32[state + REF_OBJ_ID] = i === 0 ? refId : 0;
    i32[state + A] = id;
    i32[state + B] = use.btfNumber;
    i32[state + C] = IterState.ACTIVE;
    setSlotType(env, frame, slot - i, SlotType.ITER);
    markSlotWritten(env, frameNo, slot - i);
    markSlotScratched(env, slot - i);
  }
}

function destroy(env: VerifierEnv, frameNo: number, slot: number, count: number, refId: number): void {
  releaseReference(env, refId);
  for (let i = 0; i < count; i++) clearSlot(env, frameNo, slot - i);
}
