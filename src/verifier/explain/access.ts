// One table: pages of the errors of memory accesses and helper calls.
import type { ACCESS_ERRORS } from "../errors/access.ts";
import { asm, c, type ErrorDetails, LOOKUP, none, RINGBUF, VALUE, VALUES } from "./page.ts";

const values = { values: VALUES };
/** A value with a lock, as several examples want it. */
const LOCKED = `struct value { int n; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");`;
const TIMED = `struct value { long n; struct bpf_timer timer; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");`;
const KPTR = `struct task_struct { int pid; };
int pid_of(struct task_struct *t) { return t->pid; }   /* makes clang write the whole type */
struct value { long n; struct task_struct __attribute__((btf_type_tag("kptr"))) *task; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");`;
const FIND = `int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  if (!v) return 0;`;

/** What the pages say besides help.ts. */
export const ACCESS_PAGES: Readonly<Record<keyof typeof ACCESS_ERRORS, ErrorDetails>> = {
  "verifier/invalid-mem-access": {
    title: "A load or store through something that is no valid pointer",
    why: "The message names what the register holds. `map_value_or_null` and other `…_or_null`: the pointer was not checked for NULL on this path. `scalar`: it is a number, perhaps a pointer that was read from memory, or a packet pointer that a helper such as bpf_skb_pull_data() made stale. `map_ptr` and the like: an object of the kernel that has no bytes for programs.",
    before: "__u64 *n = bpf_map_lookup_elem(&counts, &key);\n*n += 1;",
    after: "__u64 *n = bpf_map_lookup_elem(&counts, &key);\nif (!n) return 0;\n*n += 1;",
    example: asm("XDP", `${LOOKUP}\nr1 = *(u64 *)(r0 + 0)\nr0 = 2\nexit`, { maps: values }),
  },
  "verifier/invalid-context-access": {
    title: "The context has no such field here",
    why: "The context is no real memory: each access to it is translated to the kernel's own structure, by a table for each program type. The table has no entry for this offset, size and direction. Clang sometimes merges two neighbouring fields into one wide access or narrows one.",
    before: 'SEC("socket") int f(struct __sk_buff *skb) { return skb->tc_classid; }',
    after: 'SEC("tc") int f(struct __sk_buff *skb) { return skb->tc_classid; }',
    example: asm("XDP", "r0 = *(u32 *)(r1 + 64)\nexit"),
  },
  "verifier/modified-pointer": {
    title: "A pointer was moved that must stay where it is",
    why: "Accesses to this object are translated or checked by the offset in the instruction. A pointer to which something was added before would hide the offset. Clang does this when it computes &ctx->field once and uses it twice.",
    before: "__u32 *mark = &skb->mark;\nbpf_helper(mark);",
    after: "__u32 mark = skb->mark;",
    example: asm("SCHED_CLS", "r1 += 8\nr2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit"),
  },
  "verifier/variable-offset": {
    title: "An offset that is not constant",
    why: "This object has fields rather than bytes: which one is accessed must be known when the program is loaded.",
    before: "return skb->cb[i];",
    after: "switch (i) { case 0: return skb->cb[0]; case 1: return skb->cb[1]; default: return 0; }",
    example: asm(
      "SCHED_CLS",
      "r6 = r1\nr2 = *(u32 *)(r1 + 0)\nr2 &= 4\nr1 += r2\nr0 = *(u32 *)(r1 + 48)\nr0 = 0\nexit",
    ),
  },
  "verifier/negative-offset": {
    title: "An access before the beginning of a kernel object",
    why: "The pointer leads to the start of a structure of which only the type is known. What lies before it is another object.",
    before: "struct outer *o = container_of(inner, struct outer, member);\nreturn o->field;",
    after: "return BPF_CORE_READ(container_of(inner, struct outer, member), field);",
    example: asm("SYSCALL", "call bpf_get_current_task_btf\nr1 = *(u64 *)(r0 - 8)\nr0 = 0\nexit", {
      flags: { sleepable: true },
    }),
  },
  "verifier/negative-index": {
    title: "The index may be negative",
    why: "The upper bound of the index was checked, the lower one was not: signed numbers also go below zero, and the access would lie before the memory.",
    before: "int i = read_index();\nif (i >= 16) return 0;\nreturn table[i];",
    after: "__u32 i = read_index();\nif (i >= 16) return 0;\nreturn table[i];",
    example: asm(
      "XDP",
      `${VALUE}\nr1 = *(u32 *)(r0 + 0)\nr1 &= 15\nr1 += -8\nr0 += r1\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/out-of-bounds": {
    title: "The access may lie outside the memory",
    why: "The verifier knows the size of the memory and the smallest and largest offset on this path. With one of them the access goes past an end. Often a check is off by one, forgets the size of the element, or was made on a copy of the index that clang then did not use.",
    before: "if (i <= ARRAY_SIZE(table)) return table[i];",
    after: "if (i < ARRAY_SIZE(table)) return table[i];",
    example: asm("XDP", `${VALUE}\nr0 = *(u64 *)(r0 + 12)\nout: r0 = 2\nexit`, { maps: values }),
  },
  "verifier/unbounded-access": {
    title: "Nothing limits the offset of the access",
    why: "No check on this path gives the index an upper bound, or the bound is far beyond any memory. The bound must be known for the very register that is added to the pointer.",
    before: "return table[i];",
    after: "if (i >= ARRAY_SIZE(table)) return 0;\nreturn table[i];",
    example: asm(
      "XDP",
      `${VALUE}\nr1 = *(u32 *)(r0 + 0)\nr0 += r1\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/packet-bounds": {
    title: "Packet bytes are read that may not be there",
    why: "A packet can have any length. The verifier learns how many bytes there are only from a comparison of a packet pointer with data_end; that many bytes are then valid for this pointer and its copies, on the branch where the comparison holds. Offsets that vary start a new count: the pointer with that offset must be compared itself.",
    before: "struct ethhdr *eth = data;\nreturn eth->h_proto;",
    after:
      "struct ethhdr *eth = data;\nif ((void *)(eth + 1) > data_end) return XDP_PASS;\nreturn eth->h_proto;",
    example: asm("XDP", "r1 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r1 + 0)\nr0 = 2\nexit"),
  },
  "verifier/packet-read-only": {
    title: "This program may not write into the packet",
    why: "Socket filters, cgroup and flow dissector programs look at packets that others use too. Only types such as tc, XDP, lwt_xmit and sk_skb may change them.",
    before: 'SEC("cgroup_skb/egress") … eth->h_dest[0] = 0;',
    after: 'SEC("tc") … eth->h_dest[0] = 0;',
    example: asm(
      "CGROUP_SKB",
      "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 8\nif r4 > r3 goto out\n*(u8 *)(r2 + 0) = 0\nout: r0 = 1\nexit",
    ),
  },
  "verifier/misaligned-access": {
    title: "The address is not aligned",
    why: "Accesses to the stack, the context and most objects must be at a multiple of their size. Packets may be accessed at any address on processors that can do so, but not when strict alignment is asked for.",
    before: "struct { char tag; __u32 n; } __attribute__((packed)) s;\ns.n = 1;",
    after: "__builtin_memcpy(&s.n, &one, sizeof(one));",
    example: asm("XDP", "*(u32 *)(r10 - 7) = 0\nr0 = 2\nexit"),
  },
  "verifier/pointer-leak": {
    title: "An address would leave the program",
    why: "User space reads maps. Whoever may not see the kernel's addresses must not store one there, in the context or in a packet, nor pass one to a helper as a number.",
    before: "*value = (__u64)ctx;",
    after: "*value = ctx->len;",
    example: asm("SOCKET_FILTER", `r6 = r1\n${VALUE}\n*(u64 *)(r0 + 0) = r6\nout: r0 = 0\nexit`, {
      maps: values,
      capabilities: "unprivileged",
    }),
  },
  "verifier/read-only-memory": {
    title: "A write to read-only memory",
    why: "The pointer was given out for reading only: what it points to belongs to the kernel or to another owner.",
    before: "const int *n = bpf_per_cpu_ptr(&counter, 0);\n*(int *)n = 0;",
    after: "int copy = *n;",
    example: asm(
      "SCHED_CLS",
      `*(u64 *)(r10 - 8) = 0
r2 = 0
r3 = r10
r3 += -24
r7 = r3
r1 = r1
call bpf_dynptr_from_skb
r1 = r7
r2 = 0
r3 = r10
r3 += -8
r4 = 8
call bpf_dynptr_slice
if r0 == 0 goto out
*(u8 *)(r0 + 0) = 0
out: r0 = 0
exit`,
    ),
  },
  "verifier/map-read-only": {
    title: "The map is read-only for programs",
    why: "The map was made with BPF_F_RDONLY_PROG, as libbpf does for const globals (.rodata): their values may be taken for constants, so nothing may change them.",
    before: "const int limit = 10;\n… *(int *)&limit = 20;",
    after: "int limit = 10;",
    example: asm("XDP", `${VALUE}\n*(u32 *)(r0 + 0) = 1\nout: r0 = 2\nexit`, {
      maps: { values: { ...VALUES, flags: 1 << 7 } },
    }),
  },
  "verifier/map-write-only": {
    title: "The map is write-only for programs",
    why: "The map was made with BPF_F_WRONLY_PROG: programs put values in, only user space reads them.",
    example: asm("XDP", `${VALUE}\nr0 = *(u32 *)(r0 + 0)\nout: r0 = 2\nexit`, {
      maps: { values: { ...VALUES, flags: 1 << 8 } },
    }),
  },
  "verifier/map-key-read-only": {
    title: "A map's key is changed in place",
    why: "The place of an element follows from its key. A callback of bpf_for_each_map_elem() gets the key to look at.",
    before: "static long each(struct bpf_map *map, int *key, int *value, void *data) { *key = 0; … }",
    after: "int new_key = 0;\nbpf_map_update_elem(map, &new_key, value, 0);",
    example: c(`
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, int); __type(value, int); __uint(max_entries, 8); } values SEC(".maps");

static long each(void *map, int *key, int *value, void *data)
{
  *key = 1;
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  bpf_for_each_map_elem(&values, each, 0, 0);
  return 0;
}`),
  },
  "verifier/special-field": {
    title: "A lock, timer or the like is accessed as plain memory",
    why: "Some fields of a map value or an object are managed by the kernel. Whoever could read or write their bytes could forge a pointer in them.",
    before: "__builtin_memset(value, 0, sizeof(*value));",
    after: "value->n = 0;   /* the other fields, one by one */",
    example: c(`
${LOCKED}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  return *(volatile int *)&v->lock;
}`),
  },
  "verifier/kptr-access": {
    title: "A kptr field is accessed with the wrong size or offset",
    why: "A kptr is a pointer to a kernel object in a map. It can only be loaded or stored as a whole, by plain 8-byte instructions at its exact place.",
    before: "__builtin_memcpy(&copy, v, sizeof(*v));",
    after: "copy.n = v->n;",
    example: c(`
${KPTR}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  return *(volatile int *)&v->task;
}`),
  },
  "verifier/kptr-store": {
    title: "A plain store to a field that owns its object",
    why: "A referenced kptr (__kptr) holds a count on its object. A store would lose the old one without giving it back, so only an exchange is possible.",
    before: "v->task = task;",
    after: "struct task_struct *old = bpf_kptr_xchg(&v->task, task);\nif (old) bpf_task_release(old);",
    example: c(`
${KPTR}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  *(volatile long *)&v->task = skb->len;
  return 0;
}`),
  },
  "verifier/kptr-type": {
    title: "A pointer of the wrong type is put into a kptr field",
    why: "The field says which structure it points to. The value stored must be a pointer to just that structure, at its start.",
    example: c(`
${KPTR.replace('"kptr"', '"kptr_untrusted"')}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  *(volatile long *)&v->task = skb->len;
  return 0;
}`),
  },
  "verifier/buffer-access": {
    title: "An access outside a buffer of the kernel",
    why: "The buffer is accessed at a negative offset, or past the size that the hook guarantees.",
    example: asm("RAW_TRACEPOINT_WRITABLE", "r1 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 - 8)\nr0 = 0\nexit"),
  },
  "verifier/socket-access": {
    title: "The socket structure has no such field",
    why: "Like the context, struct bpf_sock and its relatives are translated field by field. There is no field with this offset and size, or it is not open to this kind of socket.",
    before: "return sk->dst_port_raw;",
    after: "return sk->dst_port;",
    example: asm(
      "SCHED_CLS",
      "r1 = *(u64 *)(r1 + 168)\nif r1 == 0 goto out\nr0 = *(u32 *)(r1 + 200)\nout: r0 = 0\nexit",
    ),
  },
  "verifier/user-memory": {
    title: "User memory is read like kernel memory",
    why: "The pointer leads into a process (it is marked __user). The page may be absent, and reading it directly would fault.",
    before: "return BPF_PROG_ARG(path)->name;",
    after: "bpf_probe_read_user_str(buf, sizeof(buf), path);",
    example: none(
      "few kernel functions carry the __user mark in their BTF; it depends on the kernel's build",
    ),
    notes:
      "The mark is known since Linux 5.18, in kernels built with a clang that writes it, or pahole 1.22 and later.",
  },
  "verifier/percpu-memory": {
    title: "A per-CPU variable is read without choosing a CPU",
    why: "The address of a per-CPU variable is only an offset: each CPU adds its own base to it.",
    before: "return runqueues.nr_running;",
    after: "struct rq *rq = bpf_per_cpu_ptr(&runqueues, cpu);\nif (rq) return rq->nr_running;",
    notes: "The same goes for objects of bpf_percpu_obj_new() (Linux 6.7): this example has one.",
    example: c(`
struct counter { __u64 hits; };
extern void *bpf_percpu_obj_new_impl(__u64 type, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym;

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct counter *counter = bpf_percpu_obj_new_impl(bpf_core_type_id_local(struct counter), 0);
  if (!counter)
    return 0;
  int hits = (int)counter->hits;
  bpf_percpu_obj_drop_impl(counter, 0);
  return hits;
}`),
  },
  "verifier/read-only-object": {
    title: "A write to a kernel object",
    why: "Pointers with a BTF type lead to the kernel's own structures. Programs read them; only a few fields of a few structures may be written, by programs made for that.",
    before: "task->prio = 1;",
    after: "__u32 *boost = bpf_task_storage_get(&storage, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);",
    example: asm("SYSCALL", "call bpf_get_current_task_btf\n*(u32 *)(r0 + 24) = 0\nr0 = 0\nexit", {
      flags: { sleepable: true },
    }),
  },
  "verifier/btf-access": {
    title: "The structure has nothing readable there",
    why: "An access through a typed pointer is checked with the type's layout: it must fall on members, inside the structure, and read a pointer as a whole.",
    before: "return *((char *)task + 100000);",
    after: "return task->pid;",
    example: asm("SYSCALL", "call bpf_get_current_task_btf\nr1 = *(u64 *)(r0 + 0x7ff8)\nr0 = 0\nexit", {
      flags: { sleepable: true },
    }),
  },
  "verifier/needs-capability": {
    title: "Kernel structures need CAP_PERFMON",
    why: "Reading the kernel's structures shows addresses and other secrets. CAP_BPF alone is not enough for it.",
    before: "return ((struct bpf_map *)&values)->max_entries;   // loaded with CAP_BPF",
    after: "return MAX_ENTRIES;",
    example: asm("SOCKET_FILTER", "r1 = values ll\nr0 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", {
      maps: values,
      capabilities: "bpf",
    }),
  },
  "verifier/needs-gpl": {
    title: "A helper that only GPL-compatible programs may call",
    why: "Some helpers are open only to programs with a GPL-compatible licence: most of those for tracing, bpf_ktime_get_ns() among them until 5.8.",
    before: 'char LICENSE[] SEC("license") = "Proprietary";',
    after: 'char LICENSE[] SEC("license") = "Dual BSD/GPL";',
    example: asm(
      "KPROBE",
      "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit",
      { license: "Proprietary" },
    ),
  },
  "verifier/unknown-helper": {
    title: "There is no helper with this number",
    why: "Helpers are called by number, and Linux 6.18 has 211 of them. Newer functions of the kernel are kfuncs, called by name.",
    example: asm("XDP", "call 9999\nr0 = 2\nexit"),
  },
  "verifier/helper-not-available": {
    title: "Programs of this type cannot call the helper",
    why: "Each program type has its own set of helpers: a packet helper means nothing in a kprobe. The set also depends on the attach type and on the loader's rights. docs/helpers.md lists them.",
    before: 'SEC("xdp") … bpf_skb_load_bytes(…);',
    after: 'SEC("xdp") … bpf_xdp_load_bytes(…);',
    example: asm("XDP", "call bpf_get_current_pid_tgid\ncall bpf_skb_get_tunnel_key\nr0 = 2\nexit"),
  },
  "verifier/helper-not-allowed": {
    title: "The helper is not allowed at this hook",
    why: "The program type knows the helper, but this hook or state does not let it be called: bpf_d_path() works in a list of functions only, for instance.",
    example: asm(
      "TRACING",
      "*(u64 *)(r10 - 8) = 0\nr1 = *(u64 *)(r1 + 0)\nr2 = r10\nr2 += -8\nr3 = 8\ncall bpf_d_path\nr0 = 0\nexit",
      { attachType: "BPF_TRACE_FENTRY", attachTo: "vfs_fsync" },
    ),
  },
  "verifier/helper-might-sleep": {
    title: "The helper may wait, the program must not",
    why: "Reading user memory with bpf_copy_from_user() may wait for a page. Programs that are not sleepable, and sections under RCU, locks or without preemption, must not wait.",
    before: 'SEC("fentry/do_nanosleep") … bpf_copy_from_user(…);',
    after: 'SEC("fentry.s/__x64_sys_nanosleep") … bpf_copy_from_user(…);',
    example: asm(
      "KPROBE",
      "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user\nr0 = 0\nexit",
    ),
  },
  "verifier/argument-type": {
    title: "The helper gets the wrong kind of argument",
    why: "Each argument of a helper has kinds that it takes. The message says what the register holds (type=) and what would be right (expected=). `scalar` where memory is expected is often a pointer that lost its type: stored as a number, or read from memory.",
    before: "bpf_map_lookup_elem(&values, 5);",
    after: "int key = 5;\nbpf_map_lookup_elem(&values, &key);",
    example: asm("XDP", "r1 = values ll\nr2 = 0\ncall bpf_map_lookup_elem\nr0 = 2\nexit", { maps: values }),
  },
  "verifier/argument-struct": {
    title: "The helper gets a pointer to the wrong structure",
    why: "The argument is a typed pointer, but to another structure than the helper works on, and neither contains the other at its start.",
    before: "bpf_sock_from_file((struct file *)task);",
    after: "bpf_sock_from_file(file);",
    example: asm("TRACING", "call bpf_get_current_task_btf\nr1 = r0\ncall bpf_sock_from_file\nr0 = 0\nexit", {
      attachType: "BPF_TRACE_FENTRY",
      attachTo: "vfs_fsync",
    }),
  },
  "verifier/argument-maybe-null": {
    title: "A pointer that may be NULL is passed to a helper",
    why: "The helper uses the pointer without a look at it. The program has to check it first, on every path that leads to the call.",
    before: "struct bpf_sock *sk = skb->sk;\nsk = bpf_sk_fullsock(sk);",
    after: "struct bpf_sock *sk = skb->sk;\nif (!sk) return 0;\nsk = bpf_sk_fullsock(sk);",
    example: c(`
${KPTR}
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  struct task_struct *old = bpf_kptr_xchg(&v->task, bpf_task_from_pid(1));
  if (old)
    bpf_task_release(old);
  return 0;
}`),
  },
  "verifier/helper-writes-object": {
    title: "The helper would write into a kernel object",
    why: "The helper fills or changes the memory that it is given; a typed kernel pointer may only be read.",
    example: asm(
      "SYSCALL",
      "call bpf_get_current_task_btf\nr1 = r0\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit",
      { flags: { sleepable: true } },
    ),
  },
  "verifier/packet-argument": {
    title: "Packet memory cannot be passed to helpers here",
    why: "For this program type the packet may be in pieces or belong to others, so helpers get copies of it only.",
    before: "bpf_map_lookup_elem(&values, packet + 4);",
    after: "__u32 key;\nbpf_skb_load_bytes(skb, 4, &key, sizeof(key));\nbpf_map_lookup_elem(&values, &key);",
    example: asm(
      "SCHED_CLS",
      "r3 = *(u32 *)(r1 + 76)\nr5 = *(u32 *)(r1 + 80)\nr4 = r3\nr4 += 8\nif r4 > r5 goto out\nr2 = 0\nr4 = 8\ncall bpf_skb_load_bytes\nout: r0 = 0\nexit",
    ),
  },
  "verifier/size-negative": {
    title: "The size passed to a helper may be negative",
    why: "Sizes are taken as unsigned numbers; a negative one would be enormous. The lower bound of the number is below zero on this path.",
    before: "int len = end - start;\nbpf_probe_read_kernel(buf, len, p);",
    after: "__u32 len = end - start;\nif (len > sizeof(buf)) return 0;\nbpf_probe_read_kernel(buf, len, p);",
    example: asm(
      "XDP",
      `r6 = r1\n${VALUE}\nr7 = *(u32 *)(r0 + 0)\nr7 &= 15\nr7 += -4\nr1 = r6\nr2 = 0\nr3 = r0\nr4 = r7\ncall bpf_xdp_load_bytes\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/size-zero": {
    title: "The size passed to a helper may be 0",
    why: "This helper does not accept a size of 0. The number's lower bound is 0 on this path.",
    before: "bpf_perf_event_output(ctx, &events, 0, buf, len & 63);",
    after: "if (len == 0 || len > 64) return 0;\nbpf_perf_event_output(ctx, &events, 0, buf, len);",
    example: asm(
      "XDP",
      `r6 = r1\n${VALUE}\nr7 = *(u32 *)(r0 + 0)\nr7 &= 15\nr1 = r6\nr2 = 0\nr3 = r0\nr4 = r7\ncall bpf_xdp_load_bytes\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/size-unbounded": {
    title: "Nothing limits the size passed to a helper",
    why: "The upper bound of the number is larger than any memory. Clang often removes a mask or check that it thinks useless; a check right before the call, on the variable that is passed, helps.",
    before: "bpf_probe_read_kernel(buf, len, p);",
    after: "if (len > sizeof(buf)) return 0;\nbpf_probe_read_kernel(buf, len, p);",
    example: asm(
      "XDP",
      `r6 = r1\n${VALUE}\nr7 = *(u32 *)(r0 + 0)\nr1 = r6\nr2 = 0\nr3 = r0\nr4 = r7\nif r4 == 0 goto out\ncall bpf_xdp_load_bytes\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/size-not-constant": {
    title: "The size must be a constant",
    why: "The helper hands out memory of this size; later accesses to it are checked with the number, so it must be known exactly.",
    before: "bpf_ringbuf_reserve(&rb, len, 0);",
    after: "bpf_ringbuf_reserve(&rb, sizeof(struct event), 0);   /* or bpf_ringbuf_output() */",
    example: asm(
      "XDP",
      "call bpf_get_prandom_u32\nr1 = rb ll\nr2 = r0\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 2\nexit",
      {
        maps: { rb: RINGBUF },
      },
    ),
  },
  "verifier/not-constant-string": {
    title: "The helper wants a constant text",
    why: "The text is read when the program is loaded, so it must lie in a frozen read-only map, as string literals and const globals do, at a constant offset.",
    before: 'char fmt[] = "%d";\nbpf_snprintf(out, sizeof(out), fmt, args, 8);',
    after: 'static const char fmt[] = "%d";\nbpf_snprintf(out, sizeof(out), fmt, args, 8);',
    example: asm("XDP", `${VALUE}\nr6 = r0\nr1 = r0\nr2 = 8\nr3 = r6\ncall bpf_strncmp\nout: r0 = 2\nexit`, {
      maps: values,
    }),
  },
  "verifier/string-not-terminated": {
    title: "A constant text without its end",
    why: "From the given place to the end of the read-only data there is no NUL byte.",
    before: "static const char word[3] = { 'a', 'b', 'c' };",
    after: 'static const char word[] = "abc";',
    example: c(`
const volatile char word[3] = { 'a', 'b', 'c' };

SEC("tc")
int prog(struct __sk_buff *skb)
{
  char text[4] = {};
  return bpf_strncmp(text, sizeof(text), (const char *)word);
}`),
  },
  "verifier/format-string": {
    title: "The format or its arguments are wrong",
    why: "The format of bpf_snprintf() is checked at load time. It has a conversion that BPF does not offer, more conversions than arguments, or bytes that are no text.",
    before: 'BPF_SNPRINTF(out, sizeof(out), "%f", x);',
    after: 'BPF_SNPRINTF(out, sizeof(out), "%llu", x);',
    example: c(`
static const char format[] = "%f";

SEC("tc")
int prog(struct __sk_buff *skb)
{
  char out[16];
  unsigned long long args[1] = { skb->len };
  bpf_snprintf(out, sizeof(out), format, args, sizeof(args));
  return 0;
}`),
  },
  "verifier/map-type": {
    title: "The helper does not go with this type of map",
    why: "Map types and helpers are made for each other: bpf_tail_call() wants a program array, bpf_ringbuf_output() a ring buffer. Maps such as perf event arrays cannot be looked up from programs at all.",
    before: "bpf_map_lookup_elem(&ringbuf, &key);",
    after: "bpf_ringbuf_output(&ringbuf, &event, sizeof(event), 0);",
    example: asm("XDP", "r1 = values ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 2\nexit", {
      maps: values,
    }),
  },
  "verifier/map-mismatch": {
    title: "Timer and map do not belong together",
    why: "bpf_timer_init() gets the timer and the map whose value it lies in, so that the timer ends when the map does. With maps in maps the same variable can stand for different maps.",
    before: "bpf_timer_init(&v->timer, &other_map, CLOCK_MONOTONIC);",
    after: "bpf_timer_init(&v->timer, &map, CLOCK_MONOTONIC);",
    example: c(`
struct element { struct bpf_timer timer; };
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, struct element); } first SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 4); __uint(key_size, 4); __array(values, struct inner); } outer SEC(".maps") = {
  .values = { [1] = &first },
};

SEC("tc")
int prog(struct __sk_buff *skb)
{
  int one = 1, two = 2;
  struct inner *map1 = bpf_map_lookup_elem(&outer, &one);
  struct inner *map2 = bpf_map_lookup_elem(&outer, &two);
  if (!map1 || !map2)
    return 0;
  struct element *element = bpf_map_lookup_elem(map1, &one);
  if (!element)
    return 0;
  return bpf_timer_init(&element->timer, map2, 1);
}`),
  },
  "verifier/field-pointer": {
    title: "The pointer does not lead to the field",
    why: "Locks and timers are recognised by their place in the BTF of the map's value. The pointer leads somewhere else, or the map has no such field or no BTF.",
    before: "bpf_timer_init((struct bpf_timer *)v, &values, CLOCK_MONOTONIC);",
    after: "bpf_timer_init(&v->timer, &values, CLOCK_MONOTONIC);",
    example: c(`
${TIMED}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_timer_cancel((struct bpf_timer *)&v->n);
  return 0;
}`),
  },
  "verifier/kptr-argument": {
    title: "The pointer does not lead to a kptr",
    why: "bpf_kptr_xchg() works on fields marked __kptr in the BTF of a map value or object, and only on those that own their object.",
    before: "bpf_kptr_xchg(&v->n, 0);",
    after: "bpf_kptr_xchg(&v->task, 0);",
    example: c(`
${KPTR}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_kptr_xchg(&v->n, 0);
  return 0;
}`),
  },
  "verifier/lock-in-callback": {
    title: "A lock is taken or released in a tree's callback",
    why: "bpf_rbtree_add() calls the comparison while the tree's lock is held and relies on it.",
    example: c(`
struct node { long key; struct bpf_rb_node links; };
extern void *bpf_obj_new_impl(unsigned long long type, void *meta) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, _Bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *), void *meta, unsigned long long off) __ksym;
struct bpf_spin_lock lock SEC(".data.tree");
struct bpf_rb_root root __attribute__((btf_decl_tag("contains:node:links"))) SEC(".data.tree") __attribute__((aligned(8)));

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
  bpf_spin_unlock(&lock);
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = bpf_obj_new_impl(bpf_core_type_id_local(struct node), 0);
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_rbtree_add_impl(&root, &n->links, less, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/two-references": {
    title: "Two arguments carry references",
    why: "A helper gives back or passes on one reference at most; with two the verifier cannot say which of them its result depends on.",
    before: "sum = bpf_csum_diff(record1, 8, record2, 8, 0);   // both of bpf_ringbuf_reserve()",
    after: "__builtin_memcpy(copy, record2, 8);\nsum = bpf_csum_diff(record1, 8, copy, 8, 0);",
    example: asm(
      "SCHED_CLS",
      `r1 = rb ll
r2 = 8
r3 = 0
call bpf_ringbuf_reserve
if r0 == 0 goto out
r6 = r0
*(u64 *)(r6 + 0) = 0
r1 = rb ll
r2 = 8
r3 = 0
call bpf_ringbuf_reserve
if r0 == 0 goto one
r7 = r0
*(u64 *)(r7 + 0) = 0
r1 = r6
r2 = 8
r3 = r7
r4 = 8
r5 = 0
call bpf_csum_diff
r1 = r7
r2 = 0
call bpf_ringbuf_submit
one: r1 = r6
r2 = 0
call bpf_ringbuf_submit
out: r0 = 0
exit`,
      { maps: { rb: RINGBUF } },
    ),
  },
  "verifier/helper-argument-value": {
    title: "The argument has a value that the helper does not take",
    why: "bpf_get_local_storage() has a flags argument without flags: it must be the constant 0.",
    before: "bpf_get_local_storage(&storage, 1);",
    after: "bpf_get_local_storage(&storage, 0);",
    example: asm("CGROUP_SKB", "r1 = storage ll\nr2 = 1\ncall bpf_get_local_storage\nr0 = 1\nexit", {
      maps: { storage: { type: "BPF_MAP_TYPE_CGROUP_STORAGE", keySize: 16, valueSize: 8, maxEntries: 0 } },
    }),
  },
  "verifier/callback-map": {
    title: "The map's elements cannot be walked",
    why: "bpf_for_each_map_elem() works on arrays and hash tables, per-CPU ones included. Other maps have no order of elements that a program could follow.",
    before: "bpf_for_each_map_elem(&prefixes, callback, &ctx, 0);   // a trie",
    after: "bpf_for_each_map_elem(&values, callback, &ctx, 0);     // a hash table or an array",
    example: c(`
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 8); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, __u64); __type(value, __u64); } prefixes SEC(".maps");

static long look(void *map, __u64 *key, __u64 *value, void *ctx)
{
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  return bpf_for_each_map_elem(&prefixes, look, 0, 0);
}`),
  },
  "verifier/ld-abs-type": {
    title: "Old packet loads in a program that has no packet for them",
    why: "LD_ABS and LD_IND come from classic BPF and exist for socket filters, tc and cgroup_skb programs only.",
    before: "load_byte(ctx, 0)   /* in XDP */",
    after: "__u8 *p = data;\nif (p + 1 > data_end) return XDP_PASS;",
    example: asm("XDP", "r6 = r1\nr0 = *(u8 *)skb[0]\nexit"),
  },
};
