// One table: errors of memory accesses and helper calls. Key = stable code, value = the kernel's words with {…}.

/** Errors raised by memory access and helper checks. */
export const ACCESS_ERRORS = {
  "verifier/invalid-mem-access": "R{reg} invalid mem access '{type}'",
  "verifier/invalid-context-access": "invalid bpf_context access off={off} size={size}",
} as const;
