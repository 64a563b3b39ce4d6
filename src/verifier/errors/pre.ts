// One table: errors found before the walk. Key = stable code, value = the kernel's words with {…} for what varies.

/** Errors raised by the checks before (and after) the walk. */
export const PRE_ERRORS = {
  "verifier/missing-capability":
    "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN",
  "verifier/bad-attach-type": "programs of type {type} cannot have attach type {attach}",
  "verifier/bad-attach-target": "Tracing programs must provide btf_id",
  "verifier/not-sleepable":
    "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
  "verifier/gpl-only-program": "LSM programs must have a GPL compatible license",
  "verifier/bad-call": "call to invalid destination",
  "verifier/too-many-functions": "too many subprograms",
  "verifier/bad-kfunc": "kernel btf_id {id} is not a function",
  "verifier/gpl-only-kfunc": "cannot call kernel function from non-GPL compatible program",
  "verifier/device-bound": "metadata kfuncs require device-bound program",
  "verifier/exception-callback": "exception callback type id not found in func_info",
  "verifier/bad-jump": "jump out of range from insn {from} to {to}",
  "verifier/no-exit": "last insn is not an exit or jmp",
  "verifier/bad-func-info": "number of funcs in func_info doesn't match number of subprogs",
  "verifier/bad-line-info": "missing bpf_line_info for func#{subprog}",
  "verifier/needs-int-function": "LD_ABS is only allowed in functions that return 'int'.",
  "verifier/reserved-fields": "BPF_LDX uses reserved fields",
  "verifier/bad-lddw": "invalid bpf_ld_imm64 insn",
  "verifier/bad-map": "fd {fd} is not pointing to valid bpf_map",
  "verifier/too-many-maps": "The total number of maps per program has reached the limit of 64",
  "verifier/map-not-for-program": "tracing progs cannot use bpf_spin_lock yet",
  "verifier/map-not-sleepable": "Sleepable programs can only use array, hash, ringbuf and local storage maps",
  "verifier/bad-map-value-offset": "invalid access to map value pointer, value_size={size} off={off}",
  "verifier/bad-ksym": "ldimm64 insn specifies invalid btf_id {id}.",
  "verifier/unreachable": "unreachable insn {insn}",
  "verifier/back-edge": "back-edge from insn {from} to {to}",
  "verifier/stack-too-deep": "combined stack size of {calls} calls is {bytes}. Too large",
  "verifier/tail-call-stack":
    "tail_calls are not allowed when call stack of previous frames is {bytes} bytes. Too large",
  "verifier/tail-call-in-callback": "cannot tail call within exception cb",
  "verifier/throw-in-callback":
    "bpf_throw kfunc (insn {insn}) cannot be called from callback subprog {subprog}",
  "verifier/call-of-exception-callback": "insn {insn} cannot call exception cb directly",
  "verifier/bad-function-type": "Global function {name}() doesn't return scalar. Only those are supported.",
  "verifier/bad-argument-type":
    "arg#{arg} reference type('{kind} {name}') size cannot be determined: {errno}",
} as const;
