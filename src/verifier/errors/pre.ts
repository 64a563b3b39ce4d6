// One table: errors found before the walk. Key = stable code, value = the kernel's words with {…} for what varies.

/** Errors raised by the checks before (and after) the walk. */
export const PRE_ERRORS = {
  "verifier/no-exit": "last insn is not an exit or jmp",
  "verifier/unreachable": "unreachable insn {insn}",
} as const;
