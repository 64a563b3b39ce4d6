// One table: errors of kernel-function calls and what they manage. Key = stable code, value = the kernel's words with {…}.

/** Errors raised by kfunc, dynptr, iterator, lock and object checks. */
export const KFUNC_ERRORS = {
  "verifier/kfunc-not-allowed": "calling kernel function {name} is not allowed",
} as const;
