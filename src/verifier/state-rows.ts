import type { VerifierEnv } from "./env.ts";
import {
  F_SLOTS,
  FRAME_HEADER,
  FRAME_REGS,
  FRAME_STACK_AT,
  ROW_WORDS,
  SLOT_TYPE_WORDS,
  SLOT_WORDS,
  SlotType,
} from "./layout.ts";
import type { State } from "./state.ts";

/** Row of register `n` in the frame at word `frame`, of any state. */
export function frameReg(frame: number, n: number): number {
  return frame + FRAME_HEADER + n * ROW_WORDS;
}

/** Row of the register spilled in stack slot `slot` of the frame at word `frame`. */
export function frameSlotRow(frame: number, slot: number): number {
  return frame + FRAME_STACK_AT + slot * SLOT_WORDS + SLOT_TYPE_WORDS;
}

/** Byte index of the eight types of stack slot `slot` of the frame at word `frame`. */
export function frameSlotTypes(frame: number, slot: number): number {
  return (frame + FRAME_STACK_AT + slot * SLOT_WORDS) * 4;
}

/** Every row of any state: registers of all frames and spilled registers. `bpf_for_each_reg_in_vstate` */
export function forEachRowOf(env: VerifierEnv, state: State, visit: (row: number) => void): void {
  const { mem } = env;
  for (let f = 0; f <= state.curFrame; f++) {
    const frame = state.frames[f];
    for (let n = 0; n < FRAME_REGS; n++) visit(frameReg(frame, n));
    const slots = mem.i32[frame + F_SLOTS];
    for (let slot = 0; slot < slots; slot++) {
      if (mem.u8[frameSlotTypes(frame, slot) + 7] === SlotType.SPILL) visit(frameSlotRow(frame, slot));
    }
  }
}
