/** Facts about one comparison. */
export interface JmpRow {
  /** High nibble of the opcode byte, in place (RFC 9669 §4.3). */
  readonly code: number;
  /** How LLVM's assembler spells it. */
  readonly sym: string;
  /** The comparison that holds exactly when this one does not; `jset` has none. */
  readonly inverse?: string;
  /** First kernel that runs the 64-bit form; all 32-bit forms came with 5.1. */
  readonly since: string;
}

/** Conditional jumps, in JMP (64 bits) and JMP32 alike: `if dst op (src or imm) goto pc + 1 + off`. */
export const JMP_OPS = {
  jeq: { code: 0x10, sym: "==", inverse: "jne", since: "3.18" },
  jgt: { code: 0x20, sym: ">", inverse: "jle", since: "3.18" },
  jge: { code: 0x30, sym: ">=", inverse: "jlt", since: "3.18" },
  jset: { code: 0x40, sym: "&", since: "3.18" },
  jne: { code: 0x50, sym: "!=", inverse: "jeq", since: "3.18" },
  jsgt: { code: 0x60, sym: "s>", inverse: "jsle", since: "3.18" },
  jsge: { code: 0x70, sym: "s>=", inverse: "jslt", since: "3.18" },
  jlt: { code: 0xa0, sym: "<", inverse: "jge", since: "4.14" },
  jle: { code: 0xb0, sym: "<=", inverse: "jgt", since: "4.14" },
  jslt: { code: 0xc0, sym: "s<", inverse: "jsge", since: "4.14" },
  jsle: { code: 0xd0, sym: "s<=", inverse: "jsgt", since: "4.14" },
} as const satisfies Record<string, JmpRow>;
/** Name of a comparison. */
export type JmpOp = keyof typeof JMP_OPS;

/** Codes of the jumps that compare nothing. */
export const JmpCode = { JA: 0x00, CALL: 0x80, EXIT: 0x90, JCOND: 0xe0 } as const;
