import type { VerifierEnv } from "../env.ts";
import { OFF, SlotType, VAR_VALUE } from "../layout.ts";
import { isConst, markNotInit } from "../regs.ts";
import { frameOf, markSlotScratched, markSlotWritten, slotOf } from "../stack.ts";

/** Why a stack pointer names no object: outside of what the stack holds so far (`-ERANGE`), or unusable. */
export type NoSlot = "beyond" | "bad";

/** Constant offset of a pointer: its fixed and (known) variable part. */
export function offsetOf(env: VerifierEnv, row: number): number {
  const { i32 } = env.mem;
  return (i32[row + OFF] + i32[row + VAR_VALUE]) | 0;
}

/**
 * The first (highest) of the `count` stack slots that an object at the pointer in `row` takes, printing what is wrong with
 * the pointer. `stack_slot_obj_get_spi` @ v6.18
 */
export function objectSlot(env: VerifierEnv, row: number, object: string, count: number): number | NoSlot {
  if (!isConst(env, row)) {
    env.verbose(`${object} has to be at a constant offset\n`);
    return "bad";
  }
  const off = offsetOf(env, row);
  const slot = slotOf(off);
  if (off % 8 !== 0 || slot + 1 < count) {
    env.verbose(`cannot pass in ${object} at an offset=${off}\n`);
    return "bad";
  }
  return slot - count + 1 >= 0 && slot < env.slotCount(frameOf(env, row)) ? slot : "beyond";
}

/** Sets the type of all eight bytes of a slot. */
export function setSlotType(env: VerifierEnv, frame: number, slot: number, type: SlotType): void {
  const at = env.slotTypes(frame, slot);
  env.mem.u8.fill(type, at, at + 8);
}

/** All eight bytes of the slot are of this type. */
export function isWholeSlot(env: VerifierEnv, frame: number, slot: number, type: SlotType): boolean {
  const at = env.slotTypes(frame, slot);
  for (let i = 0; i < 8; i++) if (env.mem.u8[at + i] !== type) return false;
  return true;
}

/** One of the slot's bytes is of this type. */
export function hasSlotType(env: VerifierEnv, frame: number, slot: number, type: SlotType): boolean {
  const at = env.slotTypes(frame, slot);
  for (let i = 0; i < 8; i++) if (env.mem.u8[at + i] === type) return true;
  return false;
}

/** The slot holds nothing any more. */
export function clearSlot(env: VerifierEnv, frameNo: number, slot: number): void {
  const frame = env.cur.frames[frameNo];
  setSlotType(env, frame, slot, SlotType.INVALID);
  markNotInit(env, env.slotRow(frame, slot));
  markSlotWritten(env, frameNo, slot);
  markSlotScratched(env, slot);
}
