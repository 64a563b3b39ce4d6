import { POOL_AT, ROW_WORDS, SCRATCH_AT } from "./layout.ts";

/**
 * The scalar domain in WebAssembly: what `assembly/verifier/` exports. A `row` is a word index into the shared memory
 * (layout.ts), a multiple of 2. 64-bit immediates come as two signed 32-bit words. Every function is total: no traps.
 *
 * Functions that narrow or compute touch VAR_VALUE … U32_MAX only, unless they say so.
 */
export interface DomainExports {
  // -- words ------------------------------------------------------------------------------------------------------
  /** Copies a whole row. */
  copyRow(dst: number, src: number): void;
  /** Copies `words` words; ranges may overlap. */
  copyWords(dst: number, src: number, words: number): void;
  /** Sets `words` words to 0. */
  zeroWords(dst: number, words: number): void;
  /** 1 when the `words` words at both places are equal. */
  equalWords(a: number, b: number, words: number): number;

  // -- making scalars -----------------------------------------------------------------------------------------------
  /**
   * Row becomes an unknown SCALAR_VALUE: OFF, A, B, C, ID, REF_OBJ_ID, PRECISE 0. `__mark_reg_unknown` without the
   * unprivileged `precise`, which the caller sets.
   */
  markUnknown(row: number): void;
  /** Row becomes the constant, TYPE = SCALAR_VALUE, OFF … REF_OBJ_ID 0, PRECISE kept. `__mark_reg_known` */
  markKnown(row: number, lo: number, hi: number): void;
  /** Sets tnum and ranges to the constant; all else stays. `___mark_reg_known` */
  setConst(row: number, lo: number, hi: number): void;
  /** Sets the low half of the tnum and the 32-bit ranges to the constant; no sync. `__mark_reg32_known` */
  setConst32(row: number, lo: number): void;
  /** Sets tnum to unknown and ranges to all; all else stays. */
  setUnknown(row: number): void;
  /** Sets the ranges to all; tnum stays. `__mark_reg_unbounded` */
  setUnbounded(row: number): void;
  /** smin, smax := s64 bounds given as words, then {@link syncBounds}; not intersected. For return values. */
  setSigned64(row: number, minLo: number, minHi: number, maxLo: number, maxHi: number): void;
  /** Narrows s32min, s32max and smin, smax to the bounds (sign-extended), then {@link syncBounds}. `__mark_reg_s32_range` */
  setSigned32(row: number, min: number, max: number): void;

  // -- keeping them consistent ----------------------------------------------------------------------------------------
  /** Deduces each member from the others. `reg_bounds_sync` @ v6.18 */
  syncBounds(row: number): void;
  /** 0: consistent; else which rule is broken (1 range bounds, 2 const tnum out of sync, …). `reg_bounds_sanity_check` */
  boundsViolation(row: number): number;

  // -- arithmetic -----------------------------------------------------------------------------------------------------
  /**
   * dst := dst op src for `op` = the CODE_MASK bits of the opcode (0x00 ADD … 0xc0 ARSH, 0x80 NEG ignores src; 0xd0 END is
   * {@link swapBytes}, 0xb0 MOV is the caller's). `is64` 0: 32-bit operation with zero extension (`zext_32_to_64`).
   * Shifts by what is not one number below the width, and DIV, MOD, give a wholly unknown number and return 1
   * (`__mark_reg_unknown`: the caller clears ID and PRECISE too); else 0. Ends with {@link syncBounds}. src may equal dst.
   * `adjust_scalar_min_max_vals` @ v6.18 (without its id handling)
   */
  aluScalar(op: number, is64: number, dst: number, src: number): number;
  /** Ranges and tnum of pointer + scalar into dst (both may be dst); unknown on overflow; no sync. */
  addVarOff(dst: number, pointer: number, scalar: number): void;
  /** Ranges and tnum of pointer - scalar into dst, as {@link addVarOff}. */
  subVarOff(dst: number, pointer: number, scalar: number): void;
  /**
   * Row := row + delta (a whole number, |delta| < 2^33) in both widths, synced; with `is32` the upper half then becomes 0.
   * For linked scalars (`sync_linked_regs` @ v6.18.y: `is32` where either id has BPF_ADD_CONST32).
   */
  addConst(row: number, delta: number, is32?: number): void;
  /** Zero extension of the low 32 bits. `zext_32_to_64` + `reg_bounds_sync` */
  zeroExtend32(row: number): void;
  /** Truncates to `size` (1, 2, 4) bytes. `coerce_reg_to_size` */
  coerce(row: number, size: number): void;
  /** Sign extension from `size` (1, 2, 4) bytes to 64 bits. `coerce_reg_to_size_sx` */
  signExtend(row: number, size: number): void;
  /** Sign extension from `size` (1, 2) bytes to 32 bits, upper half cleared. `coerce_subreg_to_size_sx` */
  signExtend32(row: number, size: number): void;
  /**
   * BPF_END: the low `bytes` bytes (2, 4, 8) in reverse order if `reverse` (on little-endian Linux: BPF_TO_BE, and all of
   * class ALU64), upper bytes 0. Synced. The caller clears ID unless nothing changes (8 bytes, not reversed).
   * `scalar_byte_swap` @ v6.18.y
   */
  swapBytes(row: number, bytes: number, reverse: number): void;

  // -- branches -------------------------------------------------------------------------------------------------------
  /**
   * 1: `a op b` always holds, 0: never, -1: unknown. `op` = CODE_MASK bits (0x10 JEQ … 0xd0 JSLE); the rows are scalars
   * (or a non-null pointer's row against a constant is the caller's business). `is_scalar_branch_taken` @ v6.18
   */
  isBranchTaken(op: number, is32: number, a: number, b: number): number;
  /**
   * Narrows copies of both operands for both outcomes, in place: `trueA op trueB` holds, `falseA op falseB` does not.
   * The four rows start as copies of a and b; sync included. `reg_set_min_max` @ v6.18
   */
  refine(op: number, is32: number, trueA: number, trueB: number, falseA: number, falseB: number): void;
  /** Both rows := what holds for both (tnum and ranges intersected), synced. The JEQ case of `regs_refine_cond_op`. */
  intersect(a: number, b: number): void;

  // -- questions ------------------------------------------------------------------------------------------------------
  /** 1 when every value of `inner` is one of `outer`: `range_within(outer, inner) && tnum_in(outer, inner)`. */
  scalarContains(outer: number, inner: number): number;
  /** 1 when tnum(row) + off is a multiple of `size`. `tnum_is_aligned` */
  isAligned(row: number, off: number, size: number): number;
  /** 1 when the tnums and ranges are equal. */
  sameScalar(a: number, b: number): number;
  /**
   * 64 or 32 when the number (its low half) is in [-1, 0] by its signed range: AND and OR with a constant then walk both
   * numbers one by one. Else 0. `maybe_fork_scalars`
   */
  minusOneOrZero(row: number): number;
}

/**
 * The verifier's memory, its views, and the domain that works on it. Views die when the memory grows: read
 * `mem.i32` afresh after anything that may save a state ({@link growTo}).
 */
export class DomainMemory {
  readonly memory: WebAssembly.Memory;
  readonly domain: DomainExports;
  i32: Int32Array;
  u8: Uint8Array;

  /** @param wasm the compiled `assembly/verifier/` (generated/domain-wasm.ts) */
  constructor(wasm: WebAssembly.Module, initialPages = 32, maximumPages = 8192) {
    this.memory = new WebAssembly.Memory({ initial: initialPages, maximum: maximumPages });
    this.i32 = new Int32Array(this.memory.buffer);
    this.u8 = new Uint8Array(this.memory.buffer);
    const { exports } = new WebAssembly.Instance(wasm, { env: { memory: this.memory } });
    this.domain = exports as unknown as DomainExports; // checked by domain.test.ts, export by export
  }

  /** Words in the memory. */
  get words(): number {
    return this.i32.length;
  }

  /** Makes room for at least `words` words; false when the maximum (512 MiB) is reached. */
  growTo(words: number): boolean {
    const missing = words - this.i32.length;
    if (missing <= 0) return true;
    const pages = Math.max(Math.ceil(missing / WORDS_PER_PAGE), this.i32.length / WORDS_PER_PAGE);
    for (const count of [pages, Math.ceil(missing / WORDS_PER_PAGE)]) {
      try {
        this.memory.grow(count);
      } catch {
        continue;
      }
      this.i32 = new Int32Array(this.memory.buffer);
      this.u8 = new Uint8Array(this.memory.buffer);
      return true;
    }
    return false;
  }
}

const WORDS_PER_PAGE = 65536 / 4;

/** Word index of the n-th scratch row. */
export function scratchRow(n: number): number {
  return SCRATCH_AT + n * ROW_WORDS;
}

/** First word that the pool of saved states may use. */
export const POOL_START: number = POOL_AT;
