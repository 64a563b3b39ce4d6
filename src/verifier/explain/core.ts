// One table: pages of the errors of the walk itself.
import type { CORE_ERRORS } from "../errors/core.ts";
import type { PRE_ERRORS } from "../errors/pre.ts";
import { asm, c, type ErrorDetails, LOOKUP, none, VALUE, VALUES } from "./page.ts";

const values = { values: VALUES };

/** What the pages say besides help.ts. */
export const CORE_PAGES: Readonly<
  Record<Exclude<keyof typeof CORE_ERRORS, keyof typeof PRE_ERRORS>, ErrorDetails>
> = {
  "verifier/uninitialized-register": {
    title: "A register is read before it is set",
    why: "At the start only r1 (the context) and r10 (the frame pointer) hold something. A call takes away r1 to r5, since the called code may use them. In C this is a variable that has no value on some path, or a function without a return value.",
    before: "int n;\nif (ok) n = 1;\nreturn n;",
    after: "int n = 0;\nif (ok) n = 1;\nreturn n;",
    example: asm("XDP", "r0 = r2\nexit"),
  },
  "verifier/write-frame-pointer": {
    title: "The frame pointer is overwritten",
    why: "r10 points to the end of the function's stack. Everything known about the stack is counted from it, so it stays as it is.",
    example: asm("XDP", "r10 = 0\nr0 = 2\nexit"),
  },
  "verifier/too-complex": {
    title: "One million instructions were processed without an end",
    why: "The verifier follows every path. Where two paths meet and everything that still matters is known equally well, the second one ends; where they differ, both go on, and the paths multiply. Loops whose rounds differ are followed round by round. `skep verify --budget` shows where the instructions went.",
    before: "for (int i = 0; i < 100000; i++) { if (p[i & 63] == c) n++; … }",
    after: "static long step(__u32 i, void *data) { … return 0; }\nbpf_loop(100000, step, &state, 0);",
    example: asm("XDP", "r0 = 0\nagain: r0 += 1\nif r0 < 1000000 goto again\nr0 = 2\nexit"),
    notes:
      "The limit is one million since Linux 5.2 for privileged loaders; before, and for unprivileged ones, it was far smaller. bpf_loop() exists since 5.17, open-coded iterators (bpf_for) since 6.4.",
  },
  "verifier/too-many-jumps": {
    title: "More than 8192 branches wait to be explored",
    why: "At each condition whose outcome is unknown one side is put aside to be looked at later. A path that meets more than 8192 of them before it ends is given up.",
    example: asm(
      "XDP",
      `r6 = r1\nr7 = 0\nagain: call bpf_get_prandom_u32\nif r0 == 1 goto out\nr7 += 1\nif r7 < 20000 goto again\nout: r0 = 2\nexit`,
    ),
  },
  "verifier/infinite-loop": {
    title: "A loop that does not end",
    why: "The walk came back to an instruction with exactly the same knowledge as in an earlier round of the same path. Nothing can make the next round different, so the loop would run for ever.",
    before: "while (*flag) ;",
    after: "for (int i = 0; i < 1000 && *flag; i++) ;",
    example: asm("XDP", "r0 = 2\nagain: goto again\nexit".replace("goto again", "if r0 == 2 goto again")),
  },
  "verifier/div-by-zero": {
    title: "Division by the constant 0",
    why: "A divisor that turns out to be 0 at run time gives 0 (or leaves the dividend for %). A constant 0 in the instruction can only be a mistake.",
    before: "n / (sizeof(int) / 8)",
    after: "n / 8",
    example: asm("XDP", "r0 = 2\nr0 /= 0\nexit"),
  },
  "verifier/invalid-shift": {
    title: "A constant shift is too wide",
    why: "A shift by 64 (or 32 for 32-bit operations) and more has no meaning; processors disagree about the result.",
    before: "__u32 high = x >> 32;   /* x is a __u32 */",
    after: "__u32 high = (__u64)x >> 32;",
    example: asm("XDP", "r0 = 2\nw0 <<= 32\nexit"),
  },
  "verifier/pointer-arithmetic": {
    title: "Arithmetic on a pointer that does not stand it",
    why: "The verifier follows a pointer through additions and subtractions of numbers. Other operators, 32-bit operations, and any arithmetic on sockets, map pointers, the end of a packet and the like would give an address of which nothing is known.",
    before: "void *aligned = (void *)((long)p & ~7);",
    after: "__u32 off = i & ~7;\nif (off < LEN) p += off;",
    example: asm("XDP", "r1 = values ll\nr1 += 8\nr0 = 2\nexit", { maps: values }),
  },
  "verifier/maybe-null": {
    title: "Arithmetic on a pointer that may be NULL",
    why: "The result of a lookup is NULL when there is nothing. NULL plus an offset is no longer NULL: a check after the addition would pass, and the access behind it would hit address 8 or so. So the check has to come first.",
    before: "struct value *v = bpf_map_lookup_elem(&values, &key);\n__u32 *n = &v->count;\nif (n) *n += 1;",
    after: "struct value *v = bpf_map_lookup_elem(&values, &key);\nif (!v) return 0;\nv->count += 1;",
    example: asm("XDP", `${LOOKUP}\nr0 += 8\nr0 = 2\nexit`, { maps: values }),
  },
  "verifier/pointer-operator": {
    title: "This operator does not go with a pointer",
    why: "Two pointers can only be subtracted (and only by loaders that may see addresses); a pointer cannot be subtracted from a number, nor can a number be taken away from the frame pointer with -=. Other operators on pointers have no safe meaning.",
    before: "__u64 middle = ((__u64)a + (__u64)b) / 2;",
    after: "__u64 middle = from + (to - from) / 2;   /* offsets, not pointers */",
    example: asm("XDP", "r0 = 2\nr0 -= r10\nr0 = 2\nexit"),
  },
  "verifier/partial-copy-of-pointer": {
    title: "Half a pointer is copied",
    why: "A 32-bit move keeps the lower half of an address: no pointer any more, but still a piece of an address that unprivileged programs must not see.",
    before: "__u32 id = (__u32)(long)p;",
    after: "__u64 id = (__u64)p;   /* privileged loaders only */",
    example: asm("SOCKET_FILTER", "w0 = w1\nr0 = 0\nexit", { capabilities: "unprivileged" }),
  },
  "verifier/pointer-comparison": {
    title: "A pointer is compared with a number or an unrelated pointer",
    why: "The outcome would tell something about the address. Unprivileged programs may only compare packet pointers with their ends, and pointers that may be NULL with 0.",
    before: "if ((long)ctx > 4096) …",
    after: "if (ctx->len > 4096) …",
    example: asm("SOCKET_FILTER", "r0 = 0\nif r1 > 5 goto +0\nexit", { capabilities: "unprivileged" }),
  },
  "verifier/speculation": {
    title: "Pointer arithmetic that cannot be guarded against speculation",
    why: "A processor runs ahead of a bounds check and may read with a number that the check refuses. In programs of loaders without CAP_PERFMON Linux therefore masks every register that is added to or subtracted from a pointer. One mask per instruction must fit all paths: the number has to lie on one side of zero, the pointer must point into a map's value or the stack and stay inside, and all paths must come with the same kind of operands and the same limit.",
    before: "long n = off;              /* -8 to 8 */\nvalue->bytes[n + 8] = 1;",
    after: "unsigned long n = off + 8; /* 0 to 16 */\nvalue->bytes[n] = 1;",
    example: asm(
      "SOCKET_FILTER",
      `${VALUE}\nr1 = *(u8 *)(r0 + 0)\nr1 &= 7\nr1 -= 3\nr0 += r1\nout: r0 = 0\nexit`,
      { maps: values, capabilities: "bpf" },
    ),
    notes:
      "Linux 6.17 and later put a barrier before an instruction that only a wrong guess could make fail; before, such programs were rejected with the error of the guessed path.",
  },
  "verifier/unbounded-pointer-offset": {
    title: "A number without bounds is added to a pointer",
    why: "Anything could be in the number: a negative value would move the pointer before its memory, a huge one past its end. The verifier wants a lower and an upper bound before the addition. Often the check is there in C, but clang has compared another register than the one that is added.",
    before: "__s64 i = read_index();\nreturn table[i];",
    after: "__u64 i = read_index();\nif (i >= ARRAY_SIZE(table)) return 0;\nreturn table[i];",
    example: asm(
      "XDP",
      `${VALUE}\nr1 = *(u64 *)(r0 + 0)\nr0 += r1\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/pointer-offset-too-large": {
    title: "The offset is out of all proportion",
    why: "Offsets of pointers are followed between -2^29 and 2^29. Beyond, the arithmetic of the verifier itself could overflow.",
    example: asm("XDP", "r0 = r10\nr0 += 0x40000000\nr0 = 2\nexit"),
  },
  "verifier/invalid-stack-read": {
    title: "Stack bytes are read that were never written",
    why: "The stack holds whatever earlier code left there, possibly secrets of the kernel. The verifier keeps for every byte whether this function wrote it. A structure with padding is the usual trap: its members are set, the bytes between them are not, and a helper reads them all.",
    before:
      "struct key k;\nk.port = 80;        /* 2 bytes of padding follow */\nbpf_map_lookup_elem(&m, &k);",
    after:
      "struct key k = {};\n__builtin_memset(&k, 0, sizeof(k));\nk.port = 80;\nbpf_map_lookup_elem(&m, &k);",
    example: asm(
      "SOCKET_FILTER",
      "*(u32 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = values ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
      { maps: { values: { ...VALUES, keySize: 8 } }, capabilities: "unprivileged" },
    ),
    notes:
      "Since Linux 6.3 loaders with CAP_PERFMON may read such bytes directly; helpers that only fill the memory never needed them written.",
  },
  "verifier/stack-corrupt-spill": {
    title: "A pointer on the stack is partly overwritten",
    why: "A pointer kept on the stack is known only as a whole. After a write to a part of it an unprivileged program could read the rest of the address as a number.",
    example: asm("SOCKET_FILTER", "*(u64 *)(r10 - 8) = r1\n*(u8 *)(r10 - 7) = 0x23\nr0 = 0\nexit", {
      capabilities: "unprivileged",
    }),
  },
  "verifier/exit-value": {
    title: "The return value is not one that the hook allows",
    why: "Some hooks understand only certain values: cgroup programs return 0 or 1, LSM programs 0 or a negative errno, callbacks of bpf_loop() 0 or 1. The verifier knows the range that r0 can have at the exit and it is larger, or r0 is no number at all.",
    before: 'SEC("cgroup_skb/ingress") int f(struct __sk_buff *skb) { return skb->len; }',
    after: 'SEC("cgroup_skb/ingress") int f(struct __sk_buff *skb) { return skb->len > 100; }',
    example: asm("CGROUP_SOCK", "r0 = 7\nexit", { attachType: "BPF_CGROUP_INET_SOCK_CREATE" }),
  },
  "verifier/reference-leak": {
    title: "Something acquired is not released",
    why: "A socket, a ring buffer record, a task and the like are held by the program until it gives them back. The verifier keeps a list of what is held on each path; at an exit it is not empty. Usually one of the early returns forgets it.",
    before:
      "struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);\nif (!e) return 0;\nif (skip) return 0;\nbpf_ringbuf_submit(e, 0);",
    after:
      "struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0);\nif (!e) return 0;\nif (skip) {\n  bpf_ringbuf_discard(e, 0);\n  return 0;\n}\nbpf_ringbuf_submit(e, 0);",
    example: asm("XDP", "r1 = rb ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 2\nexit", {
      maps: { rb: { type: "BPF_MAP_TYPE_RINGBUF", keySize: 0, valueSize: 0, maxEntries: 4096 } },
    }),
  },
  "verifier/call-depth": {
    title: "Functions call each other too deep",
    why: "At most eight frames may lie upon each other. Recursion has no bound that the verifier could see, so it ends here too.",
    example: asm(
      "XDP",
      `${Array.from({ length: 8 }, (_, i) => `${i ? `f${i}: ` : ""}call f${i + 1}\nexit`).join("\n")}\nf8: r0 = 2\nexit`,
    ),
  },
  "verifier/caller-args": {
    title: "A global function is called with unfit arguments",
    why: "A global function was verified alone, with what its BTF promises: numbers, the context, memory of a certain size, NULL or not. Each caller has to keep the promise.",
    before: "int n = 0;\nreturn sum(&n);      /* sum() takes a struct of 16 bytes */",
    after: "struct numbers n = {};\nreturn sum(&n);",
    example: c(`
struct numbers { long a, b; };

__noinline int sum(struct numbers *n)
{
  return n ? n->a + n->b : 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  long one = skb->len;
  return sum((struct numbers *)&one);
}`),
  },
  "verifier/return-stack-pointer": {
    title: "A function returns a pointer to its own stack",
    why: "The frame is gone when the function has returned; the pointer would lead to memory that the next call uses.",
    before: "static __noinline char *name(void) { char text[16] = {}; return text; }",
    after: "static __noinline void name(char *text) { … }",
    example: asm("XDP", "call f\nr0 = 2\nexit\nf: r0 = r10\nexit"),
  },
  "verifier/unknown-opcode": {
    title: "The instruction does not exist",
    why: "The first byte is no operation that this kernel knows. The object may be built for a newer instruction set, or not be BPF at all.",
    example: none("assemblers refuse to write it; only hand-encoded bytes provoke it"),
  },
  "verifier/invalid-register": {
    title: "The register does not exist",
    why: "Programs have the registers r0 to r10. The encoding has room for 16; r11 is used inside the kernel.",
    example: asm("XDP", "r11 = 1\nr0 = 2\nexit"),
  },
  "verifier/bad-instruction": {
    title: "The instruction is malformed",
    why: "The operation exists, but a field that it does not use is set, or its operand has a value or size that it does not take.",
    example: none("assemblers write only well-formed instructions"),
  },
  "verifier/lock-held": {
    title: "A spin lock is held where it must not be",
    why: "Other CPUs wait actively as long as a lock is held, so the program must give it back before it ends, throws or loads from the packet with old instructions.",
    before: "bpf_spin_lock(&v->lock);\nif (v->n > 10) return 0;\nv->n++;\nbpf_spin_unlock(&v->lock);",
    after: "bpf_spin_lock(&v->lock);\nif (v->n <= 10) v->n++;\nbpf_spin_unlock(&v->lock);",
    example: c(`
struct value { int n; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");

SEC("tc")
int prog(struct __sk_buff *skb)
{
  int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  if (!v) return 0;
  bpf_spin_lock(&v->lock);
  v->n++;
  return 0;
}`),
  },
  "verifier/irq-disabled": {
    title: "Interrupts are off where they must not be",
    why: "After bpf_local_irq_save() the CPU answers no interrupt. The program must restore them before it ends.",
    example: asm("SCHED_CLS", "r1 = r10\nr1 += -8\ncall bpf_local_irq_save\nr0 = 0\nexit"),
    notes: "The functions exist since Linux 6.14.",
  },
  "verifier/rcu-locked": {
    title: "An RCU section is open where it must not be",
    why: "bpf_rcu_read_lock() keeps objects alive that others want to free. The program must leave the section before it ends.",
    before: "bpf_rcu_read_lock();\nif (!task) return 0;\n…\nbpf_rcu_read_unlock();",
    after: "bpf_rcu_read_lock();\nif (task) { … }\nbpf_rcu_read_unlock();",
    example: asm("SCHED_CLS", "call bpf_rcu_read_lock\nr0 = 0\nexit"),
  },
  "verifier/preempt-disabled": {
    title: "Preemption is off where it must not be",
    why: "After bpf_preempt_disable() the scheduler cannot take the CPU away. The program must enable it again before it ends.",
    example: asm("SCHED_CLS", "call bpf_preempt_disable\nr0 = 0\nexit"),
    notes: "The functions exist since Linux 6.11.",
  },
  "verifier/stack-out-of-bounds": {
    title: "An access outside the stack",
    why: "A function has the 512 bytes below r10. The access lies above r10, below r10 - 512, or may lie there for some value of its index.",
    before: "char buf[16];\nbuf[i] = 0;",
    after: "char buf[16];\nif (i >= sizeof(buf)) return 0;\nbuf[i] = 0;",
    example: asm("XDP", "*(u64 *)(r10 - 520) = 0\nr0 = 2\nexit"),
  },
  "verifier/stack-unbounded": {
    title: "A stack access without bounds",
    why: "The index of an array on the stack is so little known that the access could lie anywhere.",
    before: "return table[i];",
    after: "if (i >= ARRAY_SIZE(table)) return 0;\nreturn table[i];",
    example: asm(
      "XDP",
      "*(u64 *)(r10 - 8) = 0\ncall bpf_ktime_get_ns\nr0 >>= 1\nr1 = r10\nr1 += r0\nr0 = *(u8 *)(r1 - 8)\nr0 = 2\nexit",
    ),
  },
  "verifier/stack-variable-offset": {
    title: "An unprivileged stack access at a variable offset",
    why: "Processors run ahead speculatively with wrong offsets; on the stack that could show pointers. Linux therefore masks nothing but refuses variable offsets to unprivileged programs.",
    example: asm(
      "SOCKET_FILTER",
      "*(u64 *)(r10 - 8) = 0\nr2 = *(u32 *)(r1 + 0)\nr2 &= 7\nr2 -= 8\nr3 = r10\nr3 += r2\nr0 = *(u8 *)(r3 + 0)\nexit",
      { capabilities: "bpf" },
    ),
  },
  "verifier/stack-variable-helper": {
    title: "A stack pointer with a variable offset is passed on",
    why: "An atomic operation on the stack, like memory that a helper gets, must begin at an offset that is known exactly.",
    example: asm(
      "XDP",
      "*(u64 *)(r10 - 8) = 0\n*(u64 *)(r10 - 16) = 0\nr2 = *(u32 *)(r1 + 12)\nr2 &= 8\nr3 = r10\nr3 += -16\nr3 += r2\nr4 = 1\nlock *(u64 *)(r3 + 0) += r4\nr0 = 2\nexit",
    ),
  },
  "verifier/spill-size": {
    title: "A pointer is stored in part",
    why: "A pointer is known on the stack only when all its 8 bytes are stored at an address that is divisible by 8.",
    before: "*(__u32 *)&slot = (__u32)(long)ctx;",
    after: "slot = ctx;",
    example: asm("XDP", "*(u32 *)(r10 - 8) = r1\nr0 = 2\nexit"),
  },
  "verifier/fill-size": {
    title: "A pointer is read from the stack in part",
    why: "A part of an address is no pointer, and unprivileged programs must not see it.",
    example: asm("SOCKET_FILTER", "*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\nr0 = 0\nexit", {
      capabilities: "unprivileged",
    }),
  },
  "verifier/spill-stack-pointer": {
    title: "A stack address is handed up",
    why: "A function stores a pointer to its own stack into the frame of its caller, where it would outlive the memory.",
    before: "static __noinline void f(char **out) { char text[8] = {}; *out = text; }",
    after: "static __noinline void f(char *out) { out[0] = 0; }",
    example: asm("XDP", "r1 = r10\nr1 += -8\ncall f\nr0 = 2\nexit\nf: *(u64 *)(r1 + 0) = r10\nr0 = 0\nexit"),
  },
  "verifier/stack-pointer-leak": {
    title: "A pointer on the stack is read as data",
    why: "The bytes of an address would become a number that an unprivileged program can pass on.",
    example: asm(
      "SOCKET_FILTER",
      "*(u64 *)(r10 - 8) = r10\nr2 = 1\nlock *(u64 *)(r10 - 8) += r2\nr0 = 0\nexit",
      { capabilities: "unprivileged" },
    ),
  },
  "verifier/stack-write-dynptr": {
    title: "A helper could write over a dynptr",
    why: "The buffer that a helper is to fill overlaps a dynptr on the stack. Whoever writes there could forge the dynptr's pointer and length.",
    example: asm(
      "XDP",
      `r6 = r1
${VALUE}
r1 = r0
r2 = 16
r3 = 0
r4 = r10
r4 += -32
call bpf_dynptr_from_mem
r1 = r6
r2 = 0
r3 = r10
r3 += -32
r4 = 8
call bpf_xdp_load_bytes
out: r0 = 2
exit`,
      { maps: values },
    ),
  },
  "verifier/invariant": {
    title: "The verifier's ranges contradict each other",
    why: "The known bits and the four ranges of a register always describe the same set of numbers. With the test flag a program that brings them apart is rejected, so that the fault is found; without it the register counts as unknown.",
    example: asm(
      "XDP",
      "call bpf_get_prandom_u32\nr0 &= 1\nif w0 <= w0 goto out\nr0 = 1\nout: r0 = 2\nexit",
      { flags: { testRegInvariants: true } },
    ),
  },
  "verifier/return-leaks-pointer": {
    title: "The program returns an address",
    why: "What a program returns goes to whoever attached it. An unprivileged program must not show addresses of the kernel.",
    example: asm("SOCKET_FILTER", "r0 = r1\nexit", { capabilities: "unprivileged" }),
  },
  "verifier/atomic-target": {
    title: "An atomic operation on memory that does not take it",
    why: "Atomic operations are translated to those of the processor, on plain memory. Fields of the context are not memory, loads and stores of them are rewritten; packets and sockets are not shared in that way.",
    before: "__sync_fetch_and_add(&skb->mark, 1);",
    after: "skb->mark += 1;",
    example: asm("SCHED_CLS", "r0 = 1\nlock *(u32 *)(r1 + 8) += r0\nr0 = 0\nexit"),
  },
  "verifier/different-pointers": {
    title: "One instruction, two kinds of pointers",
    why: "An access to the context is rewritten to the kernel's own structure; one to a map value is not. The instruction is reached with both, and it can be translated only once. Clang merges equal tails of branches and so makes one instruction of two.",
    before: "__u32 *p = use_ctx ? &skb->mark : &value->mark;\nreturn *p;",
    after: "if (use_ctx) return *(volatile __u32 *)&skb->mark;\nreturn *(volatile __u32 *)&value->mark;",
    example: asm(
      "SCHED_CLS",
      `*(u64 *)(r10 - 8) = 0
r0 = *(u32 *)(r1 + 0)
if r0 == 0 goto use
r1 = r10
r1 += -16
*(u64 *)(r10 - 16) = 0
use: r0 = *(u32 *)(r1 + 8)
r0 = 0
exit`,
    ),
  },
  "verifier/call-while-locked": {
    title: "A call while a spin lock is held",
    why: "As long as the lock is held other CPUs wait. Only a few short functions that work on what the lock protects may be called, and none that could take the same lock.",
    before: "bpf_spin_lock(&v->lock);\nv->time = bpf_ktime_get_ns();\nbpf_spin_unlock(&v->lock);",
    after:
      "__u64 now = bpf_ktime_get_ns();\nbpf_spin_lock(&v->lock);\nv->time = now;\nbpf_spin_unlock(&v->lock);",
    example: c(`
struct value { long time; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");

SEC("tc")
int prog(struct __sk_buff *skb)
{
  int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  if (!v) return 0;
  bpf_spin_lock(&v->lock);
  v->time = bpf_ktime_get_ns();
  bpf_spin_unlock(&v->lock);
  return 0;
}`),
  },
  "verifier/global-call-in-region": {
    title: "A global function is called inside a locked section",
    why: "A global function is verified alone, as if nothing were locked. It could lock again, wait or end the program.",
    before: "bpf_spin_lock(&v->lock);\nupdate(v);             /* __noinline int update(…) */",
    after: "static __noinline int update(…)",
    example: c(`
struct value { int n; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");

__noinline int twice(int n)
{
  asm volatile("");
  return 2 * n;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  if (!v) return 0;
  bpf_spin_lock(&v->lock);
  v->n = twice(v->n);
  bpf_spin_unlock(&v->lock);
  return 0;
}`),
  },
  "verifier/bad-callback": {
    title: "The function cannot be a callback",
    why: "The helper calls the function with arguments of its own. It must be static, so that it is verified with what the helper really passes, and the program must have BTF that describes it.",
    before: "__noinline int step(__u32 i, void *data)",
    after: "static int step(__u32 i, void *data)",
    example: c(`
__noinline int step(unsigned int i, int *data)
{
  asm volatile("");
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  bpf_loop(4, step, 0, 0);
  return 0;
}`),
  },
  "verifier/ld-abs-in-callback": {
    title: "An old packet load in a callback",
    why: "LD_ABS and LD_IND end the function when the packet is too short. A callback that ends that way would return a wrong value to the helper that called it, so they are refused there. Linux 6.18 has no words of its own for it: it fails to find where the result of the callback comes from.",
    notes:
      "Later kernels, and updates of older ones, say `cannot use BPF_LD_[ABS|IND] within callback`, and refuse functions that callbacks call, too.",
    example: c(`
unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");

static long look(__u32 index, void *ctx)
{
  struct __sk_buff **skb = ctx;
  return load_byte(*skb, index) == 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  return bpf_loop(4, look, &skb, 0);
}`),
  },
  "verifier/ld-abs-context": {
    title: "r6 does not hold the context",
    why: "The old packet loads LD_ABS and LD_IND take the packet from r6, which must be the program's context at that instruction.",
    example: asm("SOCKET_FILTER", "r6 = 0\nr0 = *(u8 *)skb[0]\nexit"),
  },
  "verifier/program-size": {
    title: "The program is empty or too long",
    why: "A program has at least one instruction and at most a million, 4096 for loaders without CAP_BPF.",
    example: none("the smallest example is an empty program, which has no text"),
  },
  "verifier/bad-kfunc-call": {
    title: "A kernel function that does not exist is called",
    why: "The loader found no such function in the kernel and left the call without one, as it does for weak symbols. That is fine for dead code; this call can be reached.",
    before: "extern void bpf_new_thing(void) __ksym __weak;\nbpf_new_thing();",
    after: "if (bpf_ksym_exists(bpf_new_thing)) bpf_new_thing();",
    example: none("the assembler's symbols always name a function; see kfunc-missing"),
  },
  "verifier/internal": {
    title: "The verifier contradicts itself",
    why: "A check that can never fail has failed: Linux keeps some behind others that refuse the same programs first, and so do we. The program may be fine.",
    example: none("there is no program known that provokes it"),
  },
};
