// One table: errors of the walk itself. Key = stable code, value = the kernel's words with {…} for what varies.

/** Errors raised by walk, ALU, jumps, stack, calls, exit and termination. */
export const CORE_ERRORS = {
  "verifier/uninitialized-register": "R{reg} !read_ok",
  "verifier/write-frame-pointer": "frame pointer is read only",
  "verifier/too-complex": "BPF program is too large. Processed {processed} insn",
  "verifier/too-many-jumps": "The sequence of {count} jumps is too complex.",
  "verifier/infinite-loop": "infinite loop detected at insn {insn}",
  "verifier/div-by-zero": "div by zero",
  "verifier/invalid-shift": "invalid shift {imm}",
  "verifier/pointer-arithmetic": "R{reg} pointer arithmetic on {type} prohibited",
  "verifier/pointer-operator": "R{reg} pointer {operator} pointer prohibited",
  "verifier/partial-copy-of-pointer": "R{reg} partial copy of pointer",
  "verifier/pointer-comparison": "R{reg} pointer comparison prohibited",
  "verifier/unbounded-pointer-offset":
    "math between {type} pointer and register with unbounded min value is not allowed",
  "verifier/invalid-stack-read": "invalid read from stack R{reg} off {off}+{byte} size {size}",
  "verifier/invalid-stack-write": "invalid write to stack R{reg} off={off} size={size}",
  "verifier/stack-corrupt-spill": "attempt to corrupt spilled pointer on stack",
  "verifier/exit-value": "At program exit the register R{reg} has {range} should have been in [{min}, {max}]",
  "verifier/reference-leak": "BPF_EXIT instruction in main prog would lead to reference leak",
  "verifier/call-depth": "the call stack of {frames} frames is too deep !",
  "verifier/caller-args": "Caller passes invalid args into func#{subprog} ('{name}')",
  "verifier/return-stack-pointer": "cannot return stack pointer to the caller",
  "verifier/unknown-opcode": "unknown opcode {opcode}",
  "verifier/internal": "verifier bug",
} as const;
