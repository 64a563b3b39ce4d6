// One table: pages of the errors found before (and after) the walk.
import type { PRE_ERRORS } from "../errors/pre.ts";
import { asm, c, type ErrorDetails, none, VALUES } from "./page.ts";

/** What the pages say besides help.ts. */
export const PRE_PAGES: Readonly<Record<keyof typeof PRE_ERRORS, ErrorDetails>> = {
  "verifier/missing-capability": {
    title: "The loader lacks a capability",
    why: "Before anything else Linux compares what the program wants with the rights of the process that loads it. Functions, kernel functions and most program types need CAP_BPF; tracing types also CAP_PERFMON, networking types CAP_NET_ADMIN. The program itself may be fine.",
    example: asm("SOCKET_FILTER", "call f\nexit\nf: r0 = 0\nexit", { capabilities: "unprivileged" }),
    notes: "CAP_BPF exists since Linux 5.8; before, CAP_SYS_ADMIN stood for all of it.",
  },
  "verifier/bad-attach-type": {
    title: "Program type and attach type do not belong together",
    why: "For some program types the attach type decides which context fields and return values are valid, so it is given at load time and checked there. Here it is one that the type does not have.",
    before: 'SEC("cgroup_skb/connect4") int f(struct bpf_sock_addr *ctx)',
    after: 'SEC("cgroup/connect4") int f(struct bpf_sock_addr *ctx)',
    example: asm("CGROUP_SOCK_ADDR", "r0 = 1\nexit", { attachType: "BPF_CGROUP_INET_INGRESS" }),
  },
  "verifier/bad-attach-target": {
    title: "The hook does not exist or cannot be used",
    why: "Programs of types tracing, LSM, struct_ops and ext are checked against the BTF of what they attach to: it gives the types of the arguments. The program names nothing, or something that is no traceable function, raw tracepoint or member.",
    before: 'SEC("fentry/tcp_conect") int f(void *ctx)',
    after: 'SEC("fentry/tcp_connect") int f(void *ctx)',
    example: asm("TRACING", "r0 = 0\nexit", { attachType: "BPF_TRACE_FENTRY" }),
  },
  "verifier/not-sleepable": {
    title: "This kind of program cannot be sleepable",
    why: "A sleepable program may wait, for instance for a page of user memory. That is possible only at hooks that Linux calls in process context; an XDP program runs in the middle of the network driver.",
    before: 'SEC("xdp.s") int f(struct xdp_md *ctx)',
    after: 'SEC("xdp") int f(struct xdp_md *ctx)',
    example: asm("XDP", "r0 = 2\nexit", { flags: { sleepable: true } }),
  },
  "verifier/gpl-only-program": {
    title: "Programs of this type must be under a GPL-compatible licence",
    why: "LSM and struct_ops programs become part of the kernel's own decisions; Linux takes them only with a licence compatible with its own.",
    before: 'char LICENSE[] SEC("license") = "Proprietary";',
    after: 'char LICENSE[] SEC("license") = "GPL";',
    example: asm("LSM", "r0 = 0\nexit", {
      attachType: "BPF_LSM_MAC",
      attachTo: "bpf_lsm_file_open",
      license: "Proprietary",
    }),
  },
  "verifier/bad-call": {
    title: "A call goes to no function",
    why: "A call of a function of the program holds the distance to its first instruction. The distance leads outside the program.",
    example: asm("XDP", "call +9\nr0 = 0\nexit"),
  },
  "verifier/too-many-functions": {
    title: "More than 256 functions",
    why: "Each target of a call or callback starts a function. The verifier keeps tables per function and limits them to 256.",
    example: asm(
      "XDP",
      Array.from({ length: 256 }, (_, i) => `call f${i}`).join("\n") +
        "\nr0 = 0\nexit\n" +
        Array.from({ length: 256 }, (_, i) => `f${i}: r0 = 0\nexit`).join("\n"),
    ),
  },
  "verifier/bad-kfunc": {
    title: "The called kernel function is none",
    why: "The call holds the number of a type in the kernel's BTF; that type must be a function that the kernel can call by its address. Numbers change from kernel to kernel, so an object must not keep them.",
    before: "/* number taken from another kernel */",
    after: "extern void bpf_rcu_read_lock(void) __ksym;",
    example: none("needs a BTF id that differs from kernel to kernel"),
  },
  "verifier/gpl-only-kfunc": {
    title: "Kernel functions need a GPL-compatible licence",
    why: "All kernel functions that BPF programs may call are exported for GPL-compatible code only.",
    before: 'char LICENSE[] SEC("license") = "BSD";',
    after: 'char LICENSE[] SEC("license") = "Dual BSD/GPL";',
    example: asm("SCHED_CLS", "call bpf_rcu_read_lock\ncall bpf_rcu_read_unlock\nr0 = 0\nexit", {
      license: "Proprietary",
    }),
  },
  "verifier/device-bound": {
    title: "Packet metadata of a device needs a program bound to it",
    why: "bpf_xdp_metadata_rx_hash() and its relatives are replaced by the driver's own functions at load time. Without a device there is nothing to put in their place.",
    example: asm(
      "XDP",
      `
r2 = r10
r2 += -8
*(u64 *)(r10 - 8) = 0
call bpf_xdp_metadata_rx_timestamp
r0 = 2
exit`,
    ),
    notes: "Device-bound XDP programs exist since Linux 6.3.",
  },
  "verifier/exception-callback": {
    title: "The exception callback is missing or unfit",
    why: "A declaration tag names the function that runs after bpf_throw(). It must be in the function table, be global, take one number and return one; and there can be only one.",
    example: c(`
__noinline int first(unsigned long long cookie)
{
  return (int)cookie;
}

__noinline int second(unsigned long long cookie)
{
  return (int)cookie + 1;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:first")))
__attribute__((btf_decl_tag("exception_callback:second")))
int prog(struct __sk_buff *skb)
{
  return 0;
}`),
    notes: "bpf_throw() exists since Linux 6.7.",
  },
  "verifier/bad-jump": {
    title: "A jump leaves the function",
    why: "Every jump must land on an instruction of the same function, not past its end, not inside another one and not on the second half of a 64-bit load.",
    before: "if r1 == 0 goto +7   ; the program has 3 instructions",
    after: "if r1 == 0 goto +1",
    example: asm("XDP", "r0 = 2\nif r0 == 0 goto +7\nexit"),
  },
  "verifier/no-exit": {
    title: "Execution can run past the end of a function",
    why: "The last instruction of every function must be an exit or an unconditional jump. Clang leaves it out where it believes that the place is never reached: after __builtin_unreachable(), an endless loop or undefined behaviour such as the use of an uninitialised variable.",
    before: "switch (x) { case 0: return 1; default: __builtin_unreachable(); }",
    after: "switch (x) { case 0: return 1; default: return 0; }",
    example: asm("XDP", "r0 = 2"),
  },
  "verifier/bad-func-info": {
    title: "The function table does not fit the program",
    why: "With BTF comes a table that says which type the function at each instruction has. It must name each function of the program exactly once, in order, and nothing else.",
    example: none("only a loader that writes wrong func_info records provokes it"),
  },
  "verifier/bad-line-info": {
    title: "The line table does not fit the program",
    why: "The table of source lines must be sorted, lie inside the program, begin with each function's first instruction and not point at the second half of a 64-bit load.",
    example: none("only a loader that writes wrong line_info records provokes it"),
  },
  "verifier/needs-int-function": {
    title: "A function with LD_ABS or a tail call must return int",
    why: "When such an old packet load fails, the function ends at once with 0; after a tail call the next program's number is returned. Both make sense only in functions that return a number, which only BTF can tell.",
    before: "static __noinline void f(struct __sk_buff *skb) { bpf_tail_call(skb, &progs, 0); }",
    after: "static __noinline int f(struct __sk_buff *skb) { bpf_tail_call(skb, &progs, 0); return 0; }",
    example: asm("SOCKET_FILTER", "r6 = r1\ncall f\nexit\nf: r6 = r1\nr0 = *(u8 *)skb[0]\nexit"),
  },
  "verifier/reserved-fields": {
    title: "A field that must be zero is not",
    why: "Each instruction uses some of the fields dst, src, off and imm. The rest are kept at zero, so that later kernels can give them a meaning; anything else is an instruction that this kernel does not understand.",
    example: none("assemblers write zeros; only a damaged or hand-encoded instruction provokes it"),
  },
  "verifier/bad-lddw": {
    title: "A 64-bit load is damaged",
    why: "The 64-bit load takes two slots. The second one is missing, not blank, or the first one carries a mark that has no meaning.",
    example: none("assemblers write both slots; only a damaged or hand-encoded instruction provokes it"),
  },
  "verifier/bad-map": {
    title: "A map reference leads nowhere",
    why: "Where C takes the address of a map, the instruction holds a file descriptor that the loader put there. It is not one of a map.",
    example: none("the descriptor is put in by the loader"),
  },
  "verifier/too-many-maps": {
    title: "More than 64 maps in one program",
    why: "The kernel keeps a reference for each map that a program uses, at most 64 of them.",
    example: asm(
      "XDP",
      `${Array.from({ length: 65 }, (_, i) => `r1 = m${i}x ll`).join("\n")}\nr0 = 2\nexit`,
      {
        maps: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}x`, VALUES])),
      },
    ),
  },
  "verifier/map-not-for-program": {
    title: "A program of this type must not use such a map",
    why: "Tracing programs run anywhere, even inside the function that manages the lock or timer of the map's value: that would be a deadlock. So maps whose values hold a bpf_spin_lock, a timer, a list or a tree are closed to them.",
    before: 'SEC("kprobe/…") … bpf_spin_lock(&v->lock);',
    after: "__sync_fetch_and_add(&v->count, 1);   /* in a map without a lock */",
    example: c(`
struct value { int n; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getpid")
int prog(void *ctx)
{
  int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  return v ? v->n : 0;
}`),
  },
  "verifier/map-not-sleepable": {
    title: "A sleepable program cannot use a map of this type",
    why: "Elements of the map are protected only as long as the program does not wait. Arrays, hashes, ring buffers, local storage, queues and arenas have a protection that covers waiting.",
    example: asm("SYSCALL", "r1 = stacks ll\nr0 = 0\nexit", {
      flags: { sleepable: true },
      maps: { stacks: { type: "BPF_MAP_TYPE_STACK_TRACE", keySize: 4, valueSize: 64, maxEntries: 8 } },
    }),
  },
  "verifier/bad-map-value-offset": {
    title: "A direct address lies outside the map's value",
    why: "Global variables are loaded as the address of a map's only value plus an offset. The offset is not inside the value.",
    example: none("the assembler's symbols carry no offset; objects with wrong relocations provoke it"),
  },
  "verifier/bad-ksym": {
    title: "The kernel variable does not exist or cannot be used",
    why: "The instruction holds the BTF id of a kernel variable or function, which must exist, have a size and an address.",
    before: "extern const int runqueue __ksym;",
    after: "extern const struct rq runqueues __ksym __weak;",
    example: none("needs a BTF id that differs from kernel to kernel"),
  },
  "verifier/unreachable": {
    title: "Dead code",
    why: "Every instruction must be reachable from the start of its function by following jumps, whatever their conditions. Compilers drop dead code by themselves; in hand-written code it is usually a mistake.",
    example: asm("XDP", "r0 = 2\nexit\nr0 = 1\nexit"),
  },
  "verifier/back-edge": {
    title: "A loop in an unprivileged program",
    why: "Verifying a loop can take long, so only loaders with CAP_BPF may have one; for others every jump backwards ends the check.",
    before: "for (int i = 0; i < 8; i++) sum += p[i];",
    after: "#pragma unroll\nfor (int i = 0; i < 8; i++) sum += p[i];",
    example: asm("SOCKET_FILTER", "r0 = 0\nagain: r0 += 1\nif r0 < 8 goto again\nexit", {
      capabilities: "unprivileged",
    }),
    notes: "Bounded loops are accepted since Linux 5.3.",
  },
  "verifier/stack-too-deep": {
    title: "More than 512 bytes of stack in a chain of calls",
    why: "After the walk the verifier adds the frames of every chain of calls, each rounded up to 32 bytes (16 with the JIT). The kernel's stack is small, so the sum may not pass 512 bytes.",
    before: "static __noinline int f(void) { char path[400]; … }   /* called with 200 bytes in use */",
    after:
      "char *path = bpf_map_lookup_elem(&scratch, &zero);   /* a BPF_MAP_TYPE_PERCPU_ARRAY */\nif (!path) return 0;",
    example: asm(
      "XDP",
      "*(u64 *)(r10 - 300) = 0\ncall f\nr0 = 2\nexit\nf: *(u64 *)(r10 - 300) = 0\nr0 = 0\nexit".replaceAll(
        "300",
        "304",
      ),
    ),
    notes: "Since Linux 6.13 some program types get a private stack, which relaxes the sum.",
  },
  "verifier/tail-call-stack": {
    title: "A tail call below 256 bytes of stack",
    why: "A tail call from a function keeps the frames of its callers, and up to 33 tail calls may follow each other. So that they fit the kernel's stack, callers of a function with tail calls may use less than 256 bytes.",
    example: c(`
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } progs SEC(".maps");

static __noinline int next(struct __sk_buff *skb)
{
  bpf_tail_call(skb, &progs, 0);
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  volatile char buffer[300] = {};
  return next(skb) + buffer[skb->len & 255];
}`),
    notes: "Functions and tail calls can be mixed since Linux 5.10 (x86-64; arm64 since 6.0).",
  },
  "verifier/tail-call-in-callback": {
    title: "A tail call in the exception callback",
    why: "When the exception callback runs, the program's frames are gone; another program cannot continue from there.",
    example: c(`
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } programs SEC(".maps");
extern void bpf_throw(unsigned long long cookie) __ksym;

static __noinline int next(void)
{
  int never;
  asm volatile("%0 = 0" : "=r"(never));
  if (never)
    bpf_tail_call(0, &programs, 0);
  return 0;
}

__noinline int rescue(unsigned long long cookie)
{
  return next();
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:rescue")))
int prog(struct __sk_buff *skb)
{
  bpf_throw(1);
  return 0;
}`),
  },
  "verifier/throw-in-callback": {
    title: "bpf_throw() in a callback",
    why: "An exception unwinds the program's frames. Between a callback and the program lie frames of the helper, which holds resources of its own.",
    example: c(`
extern void bpf_throw(unsigned long long cookie) __ksym;

static int step(unsigned int i, void *data)
{
  bpf_throw(i);
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  bpf_loop(4, step, 0, 0);
  return 0;
}`),
  },
  "verifier/call-of-exception-callback": {
    title: "The exception callback is called directly",
    why: "The function named by exception_callback replaces the program's end after bpf_throw(). It is compiled for that and cannot be called as a function.",
    example: c(`
__noinline int rescue(unsigned long long cookie)
{
  return (int)cookie;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:rescue")))
int prog(struct __sk_buff *skb)
{
  return rescue(skb->len);
}`),
  },
  "verifier/bad-function-type": {
    title: "A global function has a type that cannot be verified alone",
    why: "A global (not static) function is verified once, without its callers: all that is known of it is its BTF. It may take at most five arguments and must return a number.",
    before: "__noinline struct value *find(__u32 key) { … }",
    after: "static __noinline struct value *find(__u32 key) { … }",
    example: c(`
extern void bpf_throw(unsigned long long cookie) __ksym;

__noinline void *rescue(unsigned long long cookie)
{
  return (void *)cookie;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:rescue")))
int prog(struct __sk_buff *skb)
{
  bpf_throw(1);
  return 0;
}`),
    notes: "Global functions exist since Linux 5.6. Void ones are accepted since 7.0.",
  },
  "verifier/bad-argument-type": {
    title: "An argument of a global function has an unknown size",
    why: "For a pointer argument the verifier assumes memory of the size of the type that it points to, and checks at each call that the caller has it. With void or an incomplete type there is no size.",
    before: "__noinline int sum(void *p)",
    after: "__noinline int sum(struct numbers *p)",
    example: c(`
extern void bpf_throw(unsigned long long cookie) __ksym;

__noinline int rescue(void *cookie)
{
  return cookie != 0;
}

SEC("tc")
__attribute__((btf_decl_tag("exception_callback:rescue")))
int prog(struct __sk_buff *skb)
{
  bpf_throw(1);
  return 0;
}`),
  },
};
