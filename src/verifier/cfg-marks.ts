/** Bits of `InsnAux.marks`. */
export const InsnMark = {
  /** A jump lands here. */
  JUMP_TARGET: 1,
  /** A spill before or a fill behind a `bpf_fastcall` call (`fastcall_pattern`). */
  FASTCALL_PATTERN: 2,
  /** A call whose spills and fills the kernel takes out (`fastcall_spills_num` > 0). */
  FASTCALL_CALL: 4,
} as const;
/** One of the bits of `InsnAux.marks`. */
export type InsnMark = (typeof InsnMark)[keyof typeof InsnMark];
