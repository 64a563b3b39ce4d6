import { ROW_WORDS } from "./row-layout.ts";

export * from "./row-layout.ts";

/**
 * Where the verifier's state lies in its WebAssembly memory. All figures are 32-bit words; an address is a word index
 * (`mem.i32[row + TYPE]`), which the AssemblyScript domain shifts left by two. The row itself: row-layout.ts.
 *
 * ```
 * row:    TYPE OFF A B C ID REF_OBJ_ID PRECISE | tnum value, mask | smin smax umin umax | s32min s32max u32min u32max
 * slot:   8 type bytes (2 words) | row of the spilled register
 * frame:  header (FRAME_HEADER words) | rows of r0–r10 | slots of the stack, slot i = bytes fp-8*(i+1) … fp-8*i-1
 * ```
 */

/** Registers in a frame: r0–r10. */
export const FRAME_REGS = 11;
/** Slot types come before the row in a slot. */
export const SLOT_TYPE_WORDS = 2;
/** Words of a stack slot. */
export const SLOT_WORDS = SLOT_TYPE_WORDS + ROW_WORDS;
/** 512 bytes of stack. */
export const MAX_STACK_SLOTS = 64;
/** `MAX_BPF_STACK`, bytes. */
export const MAX_STACK_BYTES = 512;
/** `MAX_CALL_FRAMES`. */
export const MAX_FRAMES = 8;

/** Frame header: slot of the call instruction that made the frame; -1 in frame 0 (`BPF_MAIN_FUNC`). */
export const F_CALLSITE = 0;
/** Frame header: number of this frame, 0 = main. */
export const F_FRAMENO = 1;
/** Frame header: number of the subprogram it runs. */
export const F_SUBPROG = 2;
/** Frame header: stack slots in use (`allocated_stack / 8`). */
export const F_SLOTS = 3;
/** Frame header: bits {@link FrameFlag}. */
export const F_FLAGS = 4;
/** Frame header: least value a callback may return (s32). */
export const F_RET_MIN = 5;
/** Frame header: greatest value a callback may return (s32). */
export const F_RET_MAX = 6;
/** Frame header: `async_entry_cnt`. */
export const F_ASYNC_ENTRY = 7;
/** Frame header: `callback_depth` (how often the callback was simulated on this path). */
export const F_CALLBACK_DEPTH = 8;
/** Frame header: index + 1 of the row of `callback ret` rules; spare. */
export const F_SPARE = 9;
/** Words of the frame header. */
export const FRAME_HEADER = 10;
/** Words before the first slot. */
export const FRAME_STACK_AT = FRAME_HEADER + FRAME_REGS * ROW_WORDS;
/** Words of a frame with a full stack. */
export const FRAME_WORDS = FRAME_STACK_AT + MAX_STACK_SLOTS * SLOT_WORDS;

/** Bits of {@link F_FLAGS}. */
export const FrameFlag = {
  IN_CALLBACK: 1,
  IN_ASYNC_CALLBACK: 2,
  IN_EXCEPTION_CALLBACK: 4,
  /** `callback_ret_range` holds 64-bit values. */
  RET_64: 8,
} as const;

/** Types of a stack byte. @see include/linux/bpf_verifier.h `enum bpf_stack_slot_type` */
export const SlotType = {
  INVALID: 0,
  SPILL: 1,
  MISC: 2,
  ZERO: 3,
  DYNPTR: 4,
  ITER: 5,
  IRQ_FLAG: 6,
} as const;
export type SlotType = (typeof SlotType)[keyof typeof SlotType];

/** Memory map: first word of rows for temporary use (word 0 stays unused, so that 0 is no row). */
export const SCRATCH_AT = 16;
/** Number of scratch rows. Who uses which: scratch.ts. */
export const SCRATCH_ROWS = 32;
/** First word of the frames of the current state, {@link MAX_FRAMES} × {@link FRAME_WORDS}. */
export const CURRENT_AT = SCRATCH_AT + SCRATCH_ROWS * ROW_WORDS;
/** First word of the pool of saved frames. */
export const POOL_AT = CURRENT_AT + MAX_FRAMES * FRAME_WORDS;
