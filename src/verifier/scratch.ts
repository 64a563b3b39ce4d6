/** Who uses which scratch row (`scratchRow(Scratch.X)` of domain.ts); no two users are active at once on one row. */
export const Scratch = {
  /** stack.ts: constants stored by ST. */
  STACK: 0,
  /** alu.ts: immediates, copies of the destination. */
  ALU_SRC: 1,
  ALU_DST: 2,
  ALU_PTR: 3,
  /** jmp.ts: immediate; both registers on both branches. */
  JMP_IMM: 4,
  JMP_TRUE_A: 5,
  JMP_TRUE_B: 6,
  JMP_FALSE_A: 7,
  JMP_FALSE_B: 8,
  JMP_LINKED: 9,
  /** prune.ts: an unknown scalar that stands for stack bytes of any value. */
  UNBOUND: 10,
  /** calls.ts: return values. */
  CALL: 11,
  /** First row of the access checks (8 rows). */
  ACCESS: 12,
  /** First row of the kfunc checks (8 rows). */
  KFUNC: 20,
} as const;
