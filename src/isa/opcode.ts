/**
 * The fields of an opcode byte, RFC 9669 §3.2. Three low bits are the class; arithmetic and jump classes use
 * `code(4) source(1) class(3)`, load and store classes `mode(3) size(2) class(3)`.
 */
export const CLASS_MASK = 0x07;
/** Instruction classes: `opcode & CLASS_MASK`. */
export const Class = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;
/** One of the eight instruction classes. */
export type Class = (typeof Class)[keyof typeof Class];

/** The operation bits of ALU, ALU64, JMP and JMP32 opcodes. */
export const CODE_MASK = 0xf0;
/** Source bit of ALU, ALU64, JMP and JMP32 opcodes: clear = the immediate (`BPF_K`), set = register `src` (`BPF_X`). */
export const SOURCE_X = 0x08;

/** The size bits of LD, LDX, ST and STX opcodes. */
export const SIZE_MASK = 0x18;
/** Access sizes as they stand in the opcode. */
export const Size = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;
/** One of the four access sizes. */
export type Size = (typeof Size)[keyof typeof Size];

/** The mode bits of LD, LDX, ST and STX opcodes. */
export const MODE_MASK = 0xe0;
/** Addressing modes as they stand in the opcode. */
export const Mode = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, MEMSX: 0x80, ATOMIC: 0xc0 } as const;
/** One of the addressing modes. */
export type Mode = (typeof Mode)[keyof typeof Mode];

/** Opcodes that code outside this folder needs by name. */
export const Opcode = {
  /** `LD | DW | IMM`: the one instruction of two slots. */
  LDDW: 0x18,
  /** `goto`, by `off`. */
  JA: 0x05,
  /** `gotol`, by `imm`. */
  JA32: 0x06,
  CALL: 0x85,
  /** Call through a register (`dst`), as clang emits it; the kernel knows no such instruction. */
  CALLX: 0x8d,
  EXIT: 0x95,
  /** `may_goto` (`src` 0 of `BPF_JCOND`). */
  JCOND: 0xe5,
} as const;

/** What `src` of an `lddw` says about its immediates. @see include/uapi/linux/bpf.h, `BPF_PSEUDO_*` */
export const PseudoLoad = {
  /** The 64-bit number itself. */
  NONE: 0,
  /** `imm` is a map's file descriptor: the map's address. */
  MAP_FD: 1,
  /** `imm` is a map's file descriptor, the second `imm` an offset into its first value. */
  MAP_VALUE: 2,
  /** `imm` is the BTF id of a kernel variable. */
  BTF_ID: 3,
  /** `imm` is the distance in slots to a function, from the slot after the first. */
  FUNC: 4,
  /** As MAP_FD, but `imm` is an index into the loader's fd array. */
  MAP_IDX: 5,
  /** As MAP_VALUE, but `imm` is an index into the loader's fd array. */
  MAP_IDX_VALUE: 6,
} as const;
/** One of the meanings of an `lddw`'s `src`. */
export type PseudoLoad = (typeof PseudoLoad)[keyof typeof PseudoLoad];

/** What `src` of a `call` says about its immediate. @see include/uapi/linux/bpf.h, `BPF_PSEUDO_*CALL` */
export const PseudoCall = {
  /** `imm` is a helper's id. */
  HELPER: 0,
  /** `imm` is the distance in slots to the callee, from the next slot. */
  LOCAL: 1,
  /** `imm` is a kernel function's BTF id, `off` an index into the loader's fd array (0 = vmlinux). */
  KFUNC: 2,
} as const;
/** One of the meanings of a `call`'s `src`. */
export type PseudoCall = (typeof PseudoCall)[keyof typeof PseudoCall];

/** Registers a program may name: r0 to r10. */
export const NUM_REGISTERS = 11;
/** The frame pointer, r10: read only. */
export const FRAME_POINTER = 10;
/** Bytes of one instruction slot. */
export const SLOT_BYTES = 8;
