// One table: what each error of the verifier means and how it is usually cured.
import type { VerifierCode } from "./errors.ts";

/** Cause and cure of an error code. */
export interface ErrorHelp {
  /** What the rule protects and how programs break it. */
  readonly cause: string;
  /** What to do, in the imperative. */
  readonly cure: string;
}

const help = (cause: string, cure: string): ErrorHelp => ({ cause, cure });

/** By stable code. */
export const ERROR_HELP: Readonly<Record<VerifierCode, ErrorHelp>> = {
  // -- before and after the walk ----------------------------------------------------------------------------------------
  "verifier/missing-capability": help(
    "The program uses something that Linux reserves for privileged loaders: functions, loops, kernel functions or this program type.",
    "load it with CAP_BPF (tracing: also CAP_PERFMON; networking: also CAP_NET_ADMIN)",
  ),
  "verifier/bad-attach-type": help(
    "The expected attach type does not belong to the program type.",
    'use the SEC() name of the hook, such as SEC("cgroup/connect4"), so that both fit',
  ),
  "verifier/bad-attach-target": help(
    "The program names no hook, or one that these kernel types do not have.",
    "check the function's or tracepoint's name after the slash of SEC(), and that --btf is of the kernel that has it",
  ),
  "verifier/not-sleepable": help(
    "Only programs whose hook may sleep can be marked so.",
    "drop the .s of the section name, or move the work to a hook that may sleep",
  ),
  "verifier/gpl-only-program": help(
    "Programs of this type are for GPL-compatible code only.",
    'declare char LICENSE[] SEC("license") = "GPL" (or Dual BSD/GPL)',
  ),
  "verifier/bad-call": help(
    "A call lands outside the program or in the middle of a function.",
    "let clang or libbpf place the calls; in hand-written code, count slots from the instruction after the call",
  ),
  "verifier/too-many-functions": help(
    "A program has at most 256 functions.",
    "inline small functions or split the program with tail calls",
  ),
  "verifier/bad-kfunc": help(
    "A call names a BTF id that is no function of the kernel.",
    "declare the kernel function extern … __ksym and let the loader find its id",
  ),
  "verifier/gpl-only-kfunc": help(
    "Kernel functions may be called by GPL-compatible programs only.",
    'declare char LICENSE[] SEC("license") = "GPL"',
  ),
  "verifier/device-bound": help(
    "Metadata of a packet's device can be asked only by a program bound to that device.",
    "load the program with BPF_F_XDP_DEV_BOUND_ONLY and the device's ifindex",
  ),
  "verifier/exception-callback": help(
    "The function named by __exception_cb() is missing, or not one that an exception can call.",
    "make it a global function that takes the cookie (u64) and returns int",
  ),
  "verifier/bad-jump": help(
    "A jump leaves its function.",
    "keep jumps inside a function; for code across functions use a call",
  ),
  "verifier/no-exit": help(
    "The last instruction of a function lets execution run past its end.",
    "end every function with a return; in C this comes from undefined behaviour or from __builtin_unreachable()",
  ),
  "verifier/bad-func-info": help(
    "The table of functions in the BTF does not fit the instructions.",
    "load the object with libbpf, or give func_info records for each function in ascending order",
  ),
  "verifier/bad-line-info": help(
    "The table of source lines in the BTF does not fit the instructions.",
    "load the object with libbpf, or give line_info records in ascending order, one at each function's start",
  ),
  "verifier/needs-int-function": help(
    "Old packet loads (LD_ABS, LD_IND) and tail calls can leave a function early, with an int.",
    "let the function return int, or read the packet through data and data_end",
  ),
  "verifier/reserved-fields": help(
    "A field that the instruction does not use is not zero.",
    "set unused dst, src, off and imm to 0; compilers do so, so look for a damaged or newer object",
  ),
  "verifier/bad-lddw": help(
    "A 64-bit load is not followed by its second half, or its second half is damaged.",
    "write both slots; the second has opcode 0 and no registers",
  ),
  "verifier/bad-map": help(
    "A map reference does not lead to a map.",
    "let the loader create the map first and put its descriptor into the instruction",
  ),
  "verifier/too-many-maps": help(
    "A program refers to at most 64 maps.",
    "merge maps, or put some into a map of maps",
  ),
  "verifier/map-not-for-program": help(
    "Programs of this type must not use maps with such fields: they could run in the middle of a holder of the same lock or timer.",
    "use a map without the lock or timer here, or do the update in a program of another type",
  ),
  "verifier/map-not-sleepable": help(
    "This map's elements can go away while a sleepable program waits.",
    "use an array, hash, ring buffer or local storage map",
  ),
  "verifier/bad-map-value-offset": help(
    "A direct address into a map's value lies outside the value.",
    "use an offset below value_size; only arrays with one element have addresses",
  ),
  "verifier/bad-ksym": help(
    "A kernel variable's BTF id is wrong or names something else.",
    "declare it extern … __ksym and let the loader find it in the BTF of the target kernel",
  ),
  "verifier/unreachable": help(
    "Linux refuses code that no path reaches.",
    "remove the dead code; in hand-written code look for a jump that goes too far",
  ),
  "verifier/back-edge": help(
    "Without CAP_BPF a program may not jump backwards.",
    "unroll the loop (#pragma unroll) or load the program with CAP_BPF",
  ),
  "verifier/stack-too-deep": help(
    "The functions of a chain of calls use more than 512 bytes of stack together.",
    "move large buffers into a per-CPU array map; make the functions' frames smaller",
  ),
  "verifier/tail-call-stack": help(
    "A tail call keeps the frames of its callers: they may use 256 bytes together.",
    "tail-call from the main program, or shrink the callers' stack",
  ),
  "verifier/tail-call-in-callback": help(
    "A tail call would never return to the helper that called this callback.",
    "return from the callback and tail-call in the program",
  ),
  "verifier/ld-abs-in-callback": help(
    "LD_ABS and LD_IND may leave the function, which a callback must not.",
    "read the packet through data and data_end, or with bpf_skb_load_bytes()",
  ),
  "verifier/throw-in-callback": help(
    "bpf_throw() would unwind past the helper that called the callback.",
    "return a value from the callback and throw in the program",
  ),
  "verifier/call-of-exception-callback": help(
    "The exception callback runs with the stack unwound; nobody may call it.",
    "put the common code into another function",
  ),
  "verifier/bad-function-type": help(
    "Global functions are verified alone, by their BTF: it must say what they return.",
    "return an integer, or make the function static so that it is verified with its callers",
  ),
  "verifier/bad-argument-type": help(
    "Global functions are verified alone, by their BTF: an argument's type says too little.",
    "pass numbers, the context, or pointers to complete types (add __arg_ctx, __arg_nonnull, __arg_trusted); or make the function static",
  ),

  // -- the walk -----------------------------------------------------------------------------------------------------------
  "verifier/uninitialized-register": help(
    "A register is read that no instruction on this path has set. Calls take away r1 to r5.",
    "give the variable a value on every path; in assembly keep what must survive a call in r6 to r9",
  ),
  "verifier/write-frame-pointer": help(
    "r10 is the frame pointer and cannot be written.",
    "copy it to another register first",
  ),
  "verifier/too-complex": help(
    "Linux gives up after one million processed instructions: too many paths differ in what is known at the same place.",
    "shorten or bound loops, use bpf_loop() or an open-coded iterator, split off global functions (verified once, alone)",
  ),
  "verifier/too-many-jumps": help(
    "More than 8,192 branches wait to be explored on one path.",
    "split the function into global functions, or use a loop or table in place of long chains of conditions",
  ),
  "verifier/infinite-loop": help(
    "A loop comes back to the same place with nothing changed that could end it.",
    "count with a variable that changes each time and is compared with a constant; for waiting loops use bpf_loop()",
  ),
  "verifier/div-by-zero": help("A constant divisor is 0.", "divide by something else"),
  "verifier/invalid-shift": help(
    "A constant shift is as wide as the register or wider.",
    "shift by less than 64 (32-bit operations: less than 32)",
  ),
  "verifier/pointer-arithmetic": help(
    "Only addition and subtraction of bounded numbers keep a pointer valid, and not for every kind of pointer.",
    "compute the offset as a number first, check its bounds, then add it once",
  ),
  "verifier/maybe-null": help(
    "The pointer may be NULL: arithmetic would turn NULL into something that passes a check.",
    "compare the pointer with NULL first, then add the offset",
  ),
  "verifier/pointer-operator": help(
    "This operator makes no sense with a pointer, or would show the program's owner an address.",
    "work on numbers; differences of packet pointers are allowed with CAP_PERFMON",
  ),
  "verifier/partial-copy-of-pointer": help(
    "Half of a pointer is no pointer.",
    "copy all 64 bits; in C, do not cast a pointer to a 32-bit integer",
  ),
  "verifier/pointer-comparison": help(
    "Comparing these pointers would show an address, or means nothing.",
    "compare offsets, or packet pointers with data_end",
  ),
  "verifier/speculation": help(
    "Without CAP_PERFMON a pointer moves by a register only as far as Linux can mask, should the processor guess wrong.",
    "bound the number on the same side of zero, move only map values and the frame pointer, or load the program with CAP_PERFMON",
  ),
  "verifier/unbounded-pointer-offset": help(
    "A number with no known minimum (or maximum) is added to a pointer.",
    "bound it first, with an unsigned type and if (n < MAX) or n &= MAX - 1; make clang keep the check with barrier_var(n)",
  ),
  "verifier/pointer-offset-too-large": help(
    "The offset could leave the range in which pointers are tracked (±2^29).",
    "bound the number before it is added",
  ),
  "verifier/invalid-stack-read": help(
    "Stack bytes are read that were never written.",
    "initialise the whole variable, padding included: struct s v = {}; or __builtin_memset",
  ),
  "verifier/stack-corrupt-spill": help(
    "A write changes part of a pointer that is kept on the stack.",
    "write whole 8-byte slots, or keep pointers and data apart",
  ),
  "verifier/exit-value": help(
    "What this program may return is limited by its hook.",
    "return one of the values of the hook on every path",
  ),
  "verifier/reference-leak": help(
    "Something was acquired and is not released on this path.",
    "release it before every return, error paths too",
  ),
  "verifier/call-depth": help(
    "Calls nest at most 8 deep.",
    "flatten the calls, or use tail calls; recursion is not possible",
  ),
  "verifier/caller-args": help(
    "The arguments do not fit what the global function's BTF promises.",
    "pass pointers to the types that the function declares, checked for NULL unless it says __arg_nullable",
  ),
  "verifier/return-stack-pointer": help(
    "A function's stack is gone when it returns.",
    "let the caller pass a buffer",
  ),
  "verifier/unknown-opcode": help(
    "No kernel of this version knows the instruction.",
    "compile for an older instruction set (-mcpu=v3)",
  ),
  "verifier/invalid-register": help("There is no such register.", "use r0 to r10"),
  "verifier/bad-instruction": help(
    "The instruction's operand is not allowed here.",
    "compile again; in hand-written code compare it with RFC 9669",
  ),
  "verifier/lock-held": help(
    "A spin lock is held where it must not be.",
    "call bpf_spin_unlock() first, on every path",
  ),
  "verifier/irq-disabled": help(
    "Interrupts are off where they must not be.",
    "call bpf_local_irq_restore() first, on every path",
  ),
  "verifier/rcu-locked": help(
    "An RCU section is open where it must not be.",
    "call bpf_rcu_read_unlock() first, on every path",
  ),
  "verifier/preempt-disabled": help(
    "Preemption is off where it must not be.",
    "call bpf_preempt_enable() first, on every path",
  ),
  "verifier/stack-out-of-bounds": help(
    "The access lies outside the function's 512 bytes of stack.",
    "check the array's index before use: if (i >= ARRAY_SIZE(a)) return …;",
  ),
  "verifier/stack-unbounded": help(
    "A stack access has an offset without bounds.",
    "check the index before use, with an unsigned type",
  ),
  "verifier/stack-variable-offset": help(
    "Without privileges a stack access must have a constant offset.",
    "unroll the loop, or load the program with CAP_BPF and CAP_PERFMON",
  ),
  "verifier/stack-variable-helper": help(
    "Without privileges a helper takes stack memory at a constant offset only.",
    "pass the start of the buffer",
  ),
  "verifier/spill-size": help(
    "A pointer was not stored whole.",
    "store all 8 bytes at an address divisible by 8",
  ),
  "verifier/fill-size": help("A pointer on the stack was not read whole.", "read all 8 bytes at once"),
  "verifier/spill-stack-pointer": help(
    "A callee's stack address would outlive the callee.",
    "pass buffers down, not up",
  ),
  "verifier/stack-pointer-leak": help(
    "Without privileges a pointer on the stack must not be read as data.",
    "overwrite the slot first, or read something else",
  ),
  "verifier/stack-write-dynptr": help(
    "A write at a variable offset could damage a dynptr.",
    "keep buffers and dynptrs apart on the stack",
  ),
  "verifier/invariant": help(
    "The ranges of a register contradict each other (tested only with BPF_F_TEST_REG_INVARIANTS).",
    "load without the flag",
  ),
  "verifier/return-leaks-pointer": help(
    "Without privileges a program must not return an address.",
    "return a number",
  ),
  "verifier/atomic-target": help(
    "Atomic operations work on maps, stack and memory that the program owns, not here.",
    "do it on a map value",
  ),
  "verifier/different-pointers": help(
    "The same instruction meets pointers of different kinds on different paths, which Linux would translate differently.",
    "access each kind in its own branch; stop clang from merging the branches with barrier() or asm volatile",
  ),
  "verifier/call-while-locked": help(
    "Only few functions may be called while a lock is held.",
    "do the call before bpf_spin_lock() or after bpf_spin_unlock()",
  ),
  "verifier/global-call-in-region": help(
    "A global function is verified without knowing that its caller holds a lock.",
    "make it static, or call it outside the lock",
  ),
  "verifier/bad-callback": help(
    "A callback must be a static function of the program with the arguments that its helper gives it.",
    "declare it static and check its parameters against the helper's documentation",
  ),
  "verifier/ld-abs-context": help(
    "LD_ABS and LD_IND read from the packet in r6.",
    "keep the context in r6, or read through data and data_end",
  ),
  "verifier/program-size": help(
    "Programs have 1 to 1,000,000 instructions (4,096 without CAP_BPF).",
    "split the program with tail calls",
  ),
  "verifier/bad-kfunc-call": help(
    "A kernel function is called that this kernel lacks, on a path that can be reached.",
    "guard the call with bpf_ksym_exists(), or require a kernel that has the function",
  ),
  "verifier/internal": help("The verifier contradicts itself.", "report it with the object, please"),

  // -- memory ---------------------------------------------------------------------------------------------------------------
  "verifier/invalid-mem-access": help(
    "The register is no pointer that may be read or written through: it may be NULL, it is a number, or its memory is gone.",
    "check the pointer for NULL; read kernel memory with BPF_CORE_READ() or bpf_probe_read_kernel(); fetch data and data_end again after helpers that move the packet",
  ),
  "verifier/invalid-context-access": help(
    "The context has no such field for this program type, or not with this size or direction.",
    "use the fields that the type has, whole; `volatile` or a local copy keeps clang from widening or narrowing the access",
  ),
  "verifier/modified-pointer": help(
    "This pointer may be used only as it came, not after arithmetic.",
    "use the original pointer with a constant offset; keep clang from moving the addition with barrier_var()",
  ),
  "verifier/variable-offset": help(
    "This memory may be accessed at constant offsets only.",
    "unroll the loop (#pragma unroll) or choose the field with if and switch",
  ),
  "verifier/negative-offset": help(
    "The access lies before the object.",
    "do not step back with container_of() here; use BPF_CORE_READ()",
  ),
  "verifier/negative-index": help(
    "The index may be negative.",
    "use an unsigned type, or check if (i < 0) return …; too",
  ),
  "verifier/out-of-bounds": help(
    "The access may lie past the end of the memory.",
    "compare the index with the size first: if (i >= MAX) return …;",
  ),
  "verifier/unbounded-access": help(
    "Nothing limits the offset.",
    "compare the index with the size first, with an unsigned type: if (i >= MAX) return …;",
  ),
  "verifier/packet-bounds": help(
    "The packet may be shorter: the bytes were not compared with data_end on this path.",
    "check before reading: if ((void *)(p + 1) > data_end) return …;",
  ),
  "verifier/packet-read-only": help(
    "Programs of this type may only read packet data directly.",
    "use bpf_skb_store_bytes(), or a program type that may write",
  ),
  "verifier/misaligned-access": help(
    "The address is not a multiple of the access's size.",
    "align the field, or copy bytes with __builtin_memcpy",
  ),
  "verifier/pointer-leak": help(
    "Without CAP_PERFMON an address must not leave the program.",
    "store numbers, or load the program with CAP_PERFMON",
  ),
  "verifier/read-only-memory": help("This memory is read-only.", "write to a copy"),
  "verifier/map-read-only": help(
    "The map forbids writes by programs (BPF_F_RDONLY_PROG; .rodata).",
    "drop const from the variable, or the flag from the map",
  ),
  "verifier/map-write-only": help(
    "The map forbids reads by programs (BPF_F_WRONLY_PROG).",
    "drop the flag from the map",
  ),
  "verifier/map-key-read-only": help(
    "A map's keys cannot be changed in place.",
    "delete the element and insert the new key",
  ),
  "verifier/special-field": help(
    "Locks, timers, lists and their like are changed by their own functions only.",
    "access the other fields by name; do not copy the structure as a whole",
  ),
  "verifier/kptr-access": help(
    "A kptr is read and written whole.",
    "use 8-byte accesses to the field itself",
  ),
  "verifier/kptr-store": help("A referenced kptr is exchanged, not stored.", "use bpf_kptr_xchg()"),
  "verifier/kptr-type": help(
    "The pointer's type is not that of the kptr field.",
    "store an object of the declared type",
  ),
  "verifier/buffer-access": help(
    "The access lies outside the buffer that the hook gives.",
    "check offsets and sizes against the hook's buffer",
  ),
  "verifier/socket-access": help(
    "The socket structure has no such field, or not with this size.",
    "use the fields of struct bpf_sock / bpf_tcp_sock, whole",
  ),
  "verifier/user-memory": help(
    "The pointer leads to user memory.",
    "use bpf_probe_read_user() or bpf_copy_from_user()",
  ),
  "verifier/percpu-memory": help(
    "The pointer leads to per-CPU memory.",
    "use bpf_this_cpu_ptr() or bpf_per_cpu_ptr()",
  ),
  "verifier/read-only-object": help(
    "Kernel objects may only be read.",
    "use a kernel function that changes it, if there is one",
  ),
  "verifier/btf-access": help(
    "The structure has no field there with this size.",
    "access fields by name with CO-RE (vmlinux.h, preserve_access_index)",
  ),
  "verifier/needs-capability": help(
    "Kernel memory may be read with CAP_PERFMON only.",
    "load with CAP_PERFMON",
  ),
  "verifier/needs-gpl": help(
    "The helper is for GPL-compatible programs.",
    'declare char LICENSE[] SEC("license") = "GPL" (or Dual BSD/GPL)',
  ),

  // -- helper calls -----------------------------------------------------------------------------------------------------------
  "verifier/unknown-helper": help(
    "This kernel has no helper of that number; libbpf also marks unresolved relocations so.",
    "guard newer helpers with bpf_core_enum_value_exists(), fields with bpf_core_field_exists()",
  ),
  "verifier/helper-not-available": help(
    "The helper is not offered to programs of this type (or attach type).",
    "use another helper or hook; skep inspect lists what an object needs",
  ),
  "verifier/helper-not-allowed": help("The helper is not allowed at this hook.", "use another hook"),
  "verifier/helper-might-sleep": help(
    "The helper may wait, and this program or section must not.",
    "use a sleepable hook (SEC name with .s), outside of locks and RCU sections",
  ),
  "verifier/argument-type": help(
    "The helper wants another kind of argument.",
    "pass what its documentation says: a map, initialised stack or map memory, the context, …",
  ),
  "verifier/argument-struct": help(
    "The helper wants a pointer to another kernel structure.",
    "pass the right object",
  ),
  "verifier/argument-maybe-null": help("The pointer may be NULL.", "check it first: if (!p) return …;"),
  "verifier/helper-writes-object": help(
    "The helper would write into memory that is read-only.",
    "pass a buffer on the stack or in a map",
  ),
  "verifier/packet-argument": help(
    "Programs of this type cannot pass packet memory to helpers.",
    "copy the bytes to the stack first",
  ),
  "verifier/size-negative": help(
    "The size may be negative.",
    "use an unsigned type, or mask it: size &= MAX - 1",
  ),
  "verifier/size-zero": help(
    "The size may be 0, which this helper refuses.",
    "check for 0 first: if (size == 0) return …;",
  ),
  "verifier/size-unbounded": help(
    "Nothing limits the size.",
    "bound it: if (size > sizeof(buf)) return …; or size &= sizeof(buf) - 1 (a power of two)",
  ),
  "verifier/size-not-constant": help("The size must be a constant.", "pass sizeof(…) or a literal"),
  "verifier/not-constant-string": help(
    "The helper wants text that cannot change.",
    "pass a string literal or a const global",
  ),
  "verifier/string-not-terminated": help("The text has no NUL at its end.", "use a string literal"),
  "verifier/format-string": help(
    "The format has a conversion that BPF does not know, or arguments do not fit.",
    "use %d %i %u %x %ld %llu %s %p %pK %pB %pi4 %pI4 and at most as many arguments as the helper takes",
  ),
  "verifier/map-type": help(
    "The helper does not work on maps of this type.",
    "use the map type that the helper is for",
  ),
  "verifier/map-mismatch": help(
    "The field and the map are of different maps.",
    "pass the map that holds the value",
  ),
  "verifier/field-pointer": help(
    "The pointer does not lead to the field that the helper works on.",
    "pass the address of the field itself: &value->lock, &value->timer",
  ),
  "verifier/kptr-argument": help(
    "The pointer does not lead to a kptr field.",
    "pass the address of the __kptr field",
  ),
  "verifier/lock-in-callback": help("The tree's lock is held already in its callback.", "do not lock there"),
  "verifier/two-references": help("Two arguments carry references.", "pass one referenced object"),
  "verifier/helper-argument-value": help(
    "The helper accepts other values here.",
    "pass 0 for flags that are not used, constants where they are wanted",
  ),
  "verifier/callback-map": help(
    "The map's elements cannot be walked by a callback.",
    "use a map type that bpf_for_each_map_elem() supports",
  ),
  "verifier/ld-abs-type": help(
    "LD_ABS and LD_IND exist for socket filters and tc programs only.",
    "read through data and data_end",
  ),

  // -- kernel functions and objects -------------------------------------------------------------------------------------------
  "verifier/kfunc-not-allowed": help(
    "The kernel function is not offered to programs of this type.",
    "use a hook that may call it",
  ),
  "verifier/kfunc-missing": help(
    "The kernel lacks the function, on a path that can be reached.",
    "guard it with bpf_ksym_exists(), or require a kernel that has it",
  ),
  "verifier/kfunc-privilege": help("The function can damage the system.", "load with CAP_SYS_BOOT"),
  "verifier/kfunc-sleepable": help("The function may wait.", "use a sleepable hook (SEC name with .s)"),
  "verifier/kfunc-sleeps-in-region": help(
    "The function may wait, and this section must not.",
    "call it outside of the lock or RCU section",
  ),
  "verifier/kfunc-needs-rcu": help(
    "The function needs an RCU section.",
    "call bpf_rcu_read_lock() first and bpf_rcu_read_unlock() after",
  ),
  "verifier/kfunc-scalar": help("The function wants a number.", "pass a number"),
  "verifier/kfunc-constant": help("The argument must be a constant.", "pass a literal"),
  "verifier/kfunc-null": help("The pointer may be NULL.", "check it first: if (!p) return …;"),
  "verifier/kfunc-untrusted": help(
    "The function takes only pointers that are known to be valid: arguments of the hook, or what acquire functions return.",
    "get the object from the hook's arguments or acquire it; pointers read from memory lose their trust",
  ),
  "verifier/kfunc-not-rcu": help(
    "The pointer must be protected by RCU.",
    "read it inside bpf_rcu_read_lock() … bpf_rcu_read_unlock()",
  ),
  "verifier/kfunc-arg-type": help(
    "The argument's memory holds pointers or is of unknown layout.",
    "pass a structure of plain numbers",
  ),
  "verifier/kfunc-context": help("The function wants the program's context.", "pass ctx itself"),
  "verifier/kfunc-struct-mismatch": help(
    "The function wants another structure.",
    "pass the right object, or cast with bpf_core_cast() where reading is enough",
  ),
  "verifier/kfunc-memory-size": help(
    "The size does not fit the memory passed with it.",
    "pass sizeof(buffer)",
  ),
  "verifier/kfunc-map": help("The function wants a map.", "pass &map"),
  "verifier/kfunc-map-mismatch": help(
    "The field and the map are of different maps.",
    "pass the map that holds the value",
  ),
  "verifier/kfunc-callback": help("The function wants a callback.", "pass a static function of the program"),
  "verifier/kfunc-return-type": help(
    "Programs cannot use what the function returns.",
    "use another function",
  ),
  "verifier/release-unreferenced": help(
    "Only what was acquired can be released.",
    "pass the pointer that the acquiring function returned, once, after its NULL check",
  ),
  "verifier/release-offset": help("The pointer was moved.", "pass the pointer as it was returned"),
  "verifier/object-expected": help(
    "The function wants an object of bpf_obj_new() or a kptr.",
    "pass such an object",
  ),
  "verifier/object-type": help(
    "The type id must be of a structure of the program.",
    "use the bpf_obj_new(typeof(*p)) macro",
  ),
  "verifier/object-not-refcounted": help(
    "The structure has no reference count.",
    "add a struct bpf_refcount field",
  ),
  "verifier/cast-type": help("Only structures can be cast to.", "name a kernel structure"),
  "verifier/dynptr-expected": help(
    "The function wants a dynptr.",
    "pass the address of a struct bpf_dynptr on the stack",
  ),
  "verifier/dynptr-uninitialized": help(
    "The dynptr was not made yet, or was destroyed on this path.",
    "make it with bpf_dynptr_from_*() or bpf_ringbuf_reserve_dynptr() first",
  ),
  "verifier/dynptr-initialized": help(
    "The dynptr is in use already.",
    "use a fresh struct bpf_dynptr, or release this one first",
  ),
  "verifier/dynptr-overwritten": help(
    "A write destroys a dynptr that must be released.",
    "submit or discard it first",
  ),
  "verifier/dynptr-write-forbidden": help(
    "The packet cannot be written here.",
    "use bpf_dynptr_slice(), which reads",
  ),
  "verifier/iterator-expected": help(
    "The function wants an iterator on the stack.",
    "use bpf_for(), bpf_for_each() or declare a struct bpf_iter_*",
  ),
  "verifier/iterator-initialized": help(
    "The iterator is in use already.",
    "call its _destroy function first",
  ),
  "verifier/iterator-uninitialized": help(
    "The iterator was not started, or was destroyed.",
    "call its _new function first, on every path",
  ),
  "verifier/iterator-needs-rcu": help(
    "The iterator needs an RCU section.",
    "call bpf_rcu_read_lock() before its _new function",
  ),
  "verifier/iterator-not-allowed": help(
    "The iterator is not offered here.",
    "use a sleepable program, LSM or iter hook",
  ),
  "verifier/irq-flag": help(
    "The flags were not saved by bpf_local_irq_save().",
    "save first, restore once, with the same variable",
  ),
  "verifier/irq-order": help(
    "Saved interrupt states are restored in the wrong order.",
    "restore the last saved first",
  ),
  "verifier/rcu-nesting": help("There is no RCU section to leave.", "pair each unlock with a lock"),
  "verifier/preempt-unmatched": help(
    "Preemption was not disabled.",
    "pair bpf_preempt_enable() with bpf_preempt_disable()",
  ),
  "verifier/lock-offset": help(
    "The lock's place must be constant.",
    "pass &value->lock of a looked-up value",
  ),
  "verifier/lock-missing": help(
    "The map's value has no such lock.",
    "add a struct bpf_spin_lock to the value's structure, and compile with -g",
  ),
  "verifier/lock-nested": help("A program holds one spin lock at a time.", "unlock the first one before"),
  "verifier/lock-not-held": help(
    "Lists and trees are changed under their lock only.",
    "call bpf_spin_lock() on the lock beside the list or tree first",
  ),
  "verifier/unlock-without-lock": help(
    "No lock is held here.",
    "pair each unlock with a lock on the same path",
  ),
  "verifier/unlock-other": help("Another lock is held.", "unlock what was locked, through the same pointer"),
  "verifier/graph-root": help(
    "The function wants a list head or tree root in a map value or object.",
    "pass the address of that field",
  ),
  "verifier/graph-field": help(
    "There is no such field at this offset.",
    "pass the address of the list or tree field",
  ),
  "verifier/graph-node-type": help(
    "The node is of another structure or field than the root's __contains() says.",
    "pass the node field that __contains() names",
  ),
  "verifier/graph-node-owned": help(
    "The node is in a list or tree already, or owned.",
    "pass a non-owning reference, inside the same lock",
  ),
  "verifier/graph-callback": help("The tree's callback must not change the tree.", "only compare there"),
  "verifier/field-not-map-value": help(
    "The field must lie in a map's value.",
    "pass the address of the field in a looked-up value",
  ),
  "verifier/const-string": help(
    "The function wants text that cannot change.",
    "pass a string literal or a const global",
  ),
};
