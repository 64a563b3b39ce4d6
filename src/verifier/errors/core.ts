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
  "verifier/invalid-register": "R{reg} is invalid",
  "verifier/lock-held": "{what} cannot be used inside bpf_spin_lock-ed region",
  "verifier/irq-disabled": "{what} cannot be used inside bpf_local_irq_save-ed region",
  "verifier/rcu-locked": "{what} cannot be used inside bpf_rcu_read_lock-ed region",
  "verifier/preempt-disabled": "{what} cannot be used inside bpf_preempt_disable-ed region",
  "verifier/stack-out-of-bounds": "invalid {read from|write to} stack R{reg} off={off} size={size}",
  "verifier/stack-unbounded": "invalid unbounded variable-offset {read from|write to} stack R{reg}",
  "verifier/stack-variable-offset":
    "R{reg} variable offset stack access prohibited for !root, var_off={tnum}",
  "verifier/stack-variable-helper":
    "variable offset stack pointer cannot be passed into helper function; var_off={tnum} off={off} size={size}",
  "verifier/zero-sized-read": "invalid zero-sized read",
  "verifier/spill-size": "invalid size of register spill",
  "verifier/fill-size": "invalid size of register fill",
  "verifier/spill-stack-pointer": "cannot spill pointers to stack into stack frame of the caller",
  "verifier/stack-pointer-leak": "leaking pointer from stack off {off}",
  "verifier/stack-write-over-pointer":
    "spilled ptr in range of var-offset stack write; insn {insn}, ptr off: {off}",
  "verifier/stack-write-uninitialized":
    "uninit stack in range of var-offset write prohibited for !root; insn {insn}, off: {off}",
  "verifier/stack-write-dynptr": "potential write to dynptr at off={off} disallowed",
  "verifier/invariant": "REG INVARIANTS VIOLATION ({where}): {what}",
  "verifier/maybe-null": "R{reg} pointer arithmetic on {type} prohibited, null-check it first",
  "verifier/pointer-offset-too-large": "math between {type} pointer and {value} is not allowed",
  "verifier/bad-instruction": "{instruction} uses reserved fields",
  "verifier/internal": "verifier bug",
} as const;
