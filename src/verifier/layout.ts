/**
 * Where the verifier's state lies in its WebAssembly memory. All figures are 32-bit words; an address is a word index
 * (`mem.i32[row + TYPE]`), which the AssemblyScript domain shifts left by two. Read by both compilers: constants only.
 *
 * ```
 * row:    TYPE OFF A B C ID REF_OBJ_ID PRECISE | tnum value, mask | smin smax umin umax | s32min s32max u32min u32max
 * slot:   8 type bytes (2 words) | row of the spilled register
 * frame:  header (FRAME_HEADER words) | rows of r0–r10 | slots of the stack, slot i = bytes fp-8*(i+1) … fp-8*i-1
 * ```
 */

/** Register type (low 8 bits) and type flags, as in register-types.ts. */
export const TYPE = 0;
/** Fixed part of a pointer's offset, signed; of a linked scalar: the distance to the others with the same id. */
export const OFF = 1;
/**
 * By type. Packet pointers: `range` (signed; BEYOND_PKT_END, AT_PKT_END). CONST_PTR_TO_MAP, PTR_TO_MAP_VALUE,
 * PTR_TO_MAP_KEY: index into `env.maps`. PTR_TO_MEM: size in bytes. PTR_TO_BTF_ID: BTF type id. PTR_TO_FUNC: number of
 * the subprogram. CONST_PTR_TO_DYNPTR and dynptr slots: dynptr type. Iterator slots: BTF id of the iterator's structure.
 * Irq-flag slots: kfunc class.
 */
export const A = 2;
/**
 * By type. Maps: `map_uid` (id of the outer lookup that gave an inner map). PTR_TO_MEM: `dynptr_id` of a slice.
 * PTR_TO_BTF_ID and iterator slots: index into `env.btfs` (0 kernel, 1 program). Dynptr: 1 in the first slot.
 */
export const B = 3;
/** By type. PTR_TO_STACK: number of the frame. Iterator slots: `state | depth << 2`. */
export const C = 4;
/** Links copies of one value (`BPF_ADD_CONST` may be set); 0: none. Dynptr slots: the dynptr's id. */
export const ID = 5;
/** Reference that keeps the pointed-to object alive; 0: none. */
export const REF_OBJ_ID = 6;
/** 1: the scalar's exact value matters to the paths behind it (`mark_chain_precision`). */
export const PRECISE = 7;
/** `var_off.value`, low word first as all 64-bit members. */
export const VAR_VALUE = 8;
/** `var_off.mask`: unknown bits. */
export const VAR_MASK = 10;
/** Signed 64-bit minimum. */
export const SMIN = 12;
/** Signed 64-bit maximum. */
export const SMAX = 14;
/** Unsigned 64-bit minimum. */
export const UMIN = 16;
/** Unsigned 64-bit maximum. */
export const UMAX = 18;
/** Signed minimum of the low 32 bits. */
export const S32_MIN = 20;
/** Signed maximum of the low 32 bits. */
export const S32_MAX = 21;
/** Unsigned minimum of the low 32 bits. */
export const U32_MIN = 22;
/** Unsigned maximum of the low 32 bits. */
export const U32_MAX = 23;
/** Words of a row: 96 bytes, a multiple of 8. */
export const ROW_WORDS = 24;
/** First word of what the domain owns (tnum and ranges). */
export const DOMAIN_WORDS_AT = VAR_VALUE;

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
