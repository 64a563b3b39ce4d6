import type { VerifierEnv } from "../env.ts";
import { A, B, C, ID, REF_OBJ_ID, SlotType, TYPE } from "../layout.ts";
import { MemAccess } from "../ports.ts";
import { acquireReference, releaseReference } from "../refs.ts";
import { DynptrType, RegType, TypeFlag } from "../register-types.ts";
import { forEachRow, markInvalid, markPointer } from "../regs.ts";
import { frameOf, markSlotScratched, markSlotUsed, markSlotWritten } from "../stack.ts";
import { clearSlot, isWholeSlot, type NoSlot, objectSlot, setSlotType } from "./stack-object.ts";

/** Slots a dynptr takes: 16 bytes. `BPF_DYNPTR_NR_SLOTS` */
const SLOTS = 2;

/** How a function uses a dynptr argument. */
export interface DynptrUse {
  /** The function makes it. */
  readonly uninit: boolean;
  /** The function leaves the dynptr itself as it is. */
  readonly constant: boolean;
  /** Only of this make; `DynptrType.INVALID`: of any. */
  readonly type: number;
  /** Clones: the reference of the original; 0: none. */
  readonly cloneRefId: number;
}

/** Type flag of memory that a dynptr of this make gives. `get_dynptr_type_flag` */
export function dynptrTypeFlag(type: number): number {
  switch (type) {
    case DynptrType.LOCAL:
      return TypeFlag.DYNPTR_TYPE_LOCAL;
    case DynptrType.RINGBUF:
      return TypeFlag.DYNPTR_TYPE_RINGBUF;
    case DynptrType.SKB:
      return TypeFlag.DYNPTR_TYPE_SKB;
    case DynptrType.XDP:
      return TypeFlag.DYNPTR_TYPE_XDP;
    case DynptrType.SKB_META:
      return TypeFlag.DYNPTR_TYPE_SKB_META;
    case DynptrType.FILE:
      return TypeFlag.DYNPTR_TYPE_FILE;
    default:
      return 0;
  }
}

const NAMES: readonly string[] = ["<unknown>", "local", "ringbuf", "skb", "xdp", "skb_meta", "file"];

/** The make's name in messages. `dynptr_type_str` */
export function dynptrTypeName(type: number): string {
  return NAMES[type] ?? "<unknown>";
}

/** Dynptrs of this make hold a reference. `dynptr_type_refcounted` */
export function isReferencedDynptr(type: number): boolean {
  return type === DynptrType.RINGBUF || type === DynptrType.FILE;
}

/** The dynptr's slot, or why there is none. */
function slotAt(env: VerifierEnv, row: number): number | NoSlot {
  return objectSlot(env, row, "dynptr", SLOTS);
}

/** Row that holds the dynptr's state: the register itself, or its first stack slot. Call after the argument was checked. */
export function dynptrRow(env: VerifierEnv, n: number): number {
  const row = env.reg(n);
  if (env.mem.i32[row + TYPE] === RegType.CONST_PTR_TO_DYNPTR) return row;
  const slot = slotAt(env, row);
  if (typeof slot === "string") env.unsupported("dynptr out of reach"); // the argument check has placed it
  return env.slotRow(frameOf(env, row), slot);
}

/** A register of a callback that points to a constant dynptr. `mark_dynptr_cb_reg` */
export function markDynptrRegister(env: VerifierEnv, row: number, type: number): void {
  markDynptr(env, row, type, true, env.newId());
}

function markDynptr(env: VerifierEnv, row: number, type: number, first: boolean, id: number): void {
  const { i32 } = env.mem;
  markPointer(env, row, RegType.CONST_PTR_TO_DYNPTR);
  i32[row + A] = type;
  i32[row + B] = first ? 1 : 0;
  i32[row + ID] = id;
}

/**
 * A dynptr argument in register `n`, of a helper or kernel function. A dynptr the function makes is there afterwards.
 * `process_dynptr_func` @ v6.18
 */
export function checkDynptrUse(env: VerifierEnv, n: number, insn: number, use: DynptrUse): void {
  const row = env.reg(n);
  const type = env.mem.i32[row + TYPE];
  if (type !== RegType.PTR_TO_STACK && type !== RegType.CONST_PTR_TO_DYNPTR) {
    env.fail("verifier/dynptr-expected", `arg#${n - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if (use.uninit) {
    checkUninit(env, row);
    for (let i = 0; i < 8 * SLOTS; i += 8) {
      env.access.checkMemAccess(env, insn, n, i, 8, MemAccess.WRITE, -1, false, false);
    }
    markSlots(env, row, use, insn);
    return;
  }
  if (type === RegType.CONST_PTR_TO_DYNPTR && !use.constant) {
    env.fail("verifier/internal", "cannot pass pointer to const bpf_dynptr, the helper mutates it");
  }
  if (!isInitialized(env, row)) {
    env.fail("verifier/dynptr-uninitialized", `Expected an initialized dynptr as arg #${n - 1}`);
  }
  if (use.type !== DynptrType.INVALID && env.mem.i32[dynptrRow(env, n) + A] !== use.type) {
    env.fail("verifier/internal", `Expected a dynptr of type ${dynptrTypeName(use.type)} as arg #${n - 1}`);
  }
  markRead(env, row);
}

function checkUninit(env: VerifierEnv, row: number): void {
  const constant = env.mem.i32[row + TYPE] === RegType.CONST_PTR_TO_DYNPTR;
  if (constant || slotAt(env, row) === "bad") {
    env.fail("verifier/dynptr-initialized", "Dynptr has to be an uninitialized dynptr");
  }
}

function isInitialized(env: VerifierEnv, row: number): boolean {
  if (env.mem.i32[row + TYPE] === RegType.CONST_PTR_TO_DYNPTR) return true;
  const slot = slotAt(env, row);
  if (typeof slot === "string") return false;
  const frame = frameOf(env, row);
  if (env.mem.i32[env.slotRow(frame, slot) + B] !== 1) return false;
  return isWholeSlot(env, frame, slot, SlotType.DYNPTR) && isWholeSlot(env, frame, slot - 1, SlotType.DYNPTR);
}

function markRead(env: VerifierEnv, row: number): void {
  if (env.mem.i32[row + TYPE] === RegType.CONST_PTR_TO_DYNPTR) return;
  const slot = slotAt(env, row);
  if (typeof slot === "string") return;
  const frameNo = env.mem.i32[row + C];
  markSlotUsed(env, frameNo, slot);
  markSlotUsed(env, frameNo, slot - 1);
}

function markSlots(env: VerifierEnv, row: number, use: DynptrUse, insn: number): void {
  const slot = slotAt(env, row);
  if (typeof slot === "string")
    env.fail("verifier/dynptr-initialized", "Dynptr has to be an uninitialized dynptr");
  const frameNo = env.mem.i32[row + C];
  const frame = env.cur.frames[frameNo];
  destroyDynptr(env, frame, slot);
  destroyDynptr(env, frame, slot - 1);
  const id = env.newId();
  for (let i = 0; i < SLOTS; i++) {
    setSlotType(env, frame, slot - i, SlotType.DYNPTR);
    markDynptr(env, env.slotRow(frame, slot - i), use.type, i === 0, id);
    markSlotWritten(env, frameNo, slot - i);
    markSlotScratched(env, slot - i);
  }
  if (!isReferencedDynptr(use.type)) return;
  const ref = use.cloneRefId !== 0 ? use.cloneRefId : acquireReference(env, insn);
  for (let i = 0; i < SLOTS; i++) env.mem.i32[env.slotRow(frame, slot - i) + REF_OBJ_ID] = ref;
}

/** A write to a slot ends the dynptr it is part of, and all memory got from it. `destroy_if_dynptr_stack_slot` @ v6.18 */
export function destroyDynptr(env: VerifierEnv, frame: number, anySlot: number): void {
  const { mem } = env;
  if (mem.u8[env.slotTypes(frame, anySlot)] !== SlotType.DYNPTR) return;
  const slot = mem.i32[env.slotRow(frame, anySlot) + B] === 1 ? anySlot : anySlot + 1;
  const row = env.slotRow(frame, slot);
  if (isReferencedDynptr(mem.i32[row + A])) {
    env.fail("verifier/dynptr-overwritten", "cannot overwrite referenced dynptr");
  }
  const id = mem.i32[row + ID];
  const frameNo = frameNumber(env, frame);
  clearSlot(env, frameNo, slot);
  clearSlot(env, frameNo, slot - 1);
  forEachRow(env, (each) => {
    const type = mem.i32[each + TYPE] & ~TypeFlag.PTR_MAYBE_NULL;
    if (type === RegType.PTR_TO_MEM && mem.i32[each + B] === id) markInvalid(env, each);
  });
}

function frameNumber(env: VerifierEnv, frame: number): number {
  for (let i = 0; i <= env.cur.curFrame; i++) if (env.cur.frames[i] === frame) return i;
  return env.cur.curFrame;
}

/**
 * The dynptr in register `n` is given back: its reference, clones of it and memory got from any of them end.
 * `unmark_stack_slots_dynptr` @ v6.18
 */
export function releaseDynptr(env: VerifierEnv, n: number): void {
  const { mem } = env;
  const row = env.reg(n);
  const slot = slotAt(env, row);
  if (typeof slot === "string") {
    env.fail("verifier/dynptr-uninitialized", `Expected an initialized dynptr as arg #${n - 1}`);
  }
  const frameNo = mem.i32[row + C];
  const frame = env.cur.frames[frameNo];
  const state = env.slotRow(frame, slot);
  if (!isReferencedDynptr(mem.i32[state + A])) {
    clearSlot(env, frameNo, slot);
    clearSlot(env, frameNo, slot - 1);
    return;
  }
  const ref = mem.i32[state + REF_OBJ_ID];
  releaseReference(env, ref);
  for (let i = 1; i < env.slotCount(frame); i++) {
    const other = env.slotRow(frame, i);
    if (mem.i32[other + REF_OBJ_ID] !== ref || mem.u8[env.slotTypes(frame, i)] !== SlotType.DYNPTR) continue;
    if (mem.i32[other + B] !== 1) continue;
    clearSlot(env, frameNo, i);
    clearSlot(env, frameNo, i - 1);
  }
}
