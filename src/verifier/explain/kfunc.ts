// One table: pages of the errors of kernel functions and of what they manage.
import type { ACCESS_ERRORS } from "../errors/access.ts";
import type { KFUNC_ERRORS } from "../errors/kfunc.ts";
import { asm, c, type ErrorDetails, none, RINGBUF, VALUE, VALUES } from "./page.ts";

const values = { values: VALUES };
const SLEEPABLE = { flags: { sleepable: true } };

/** Declarations of programs with objects, lists and trees. */
const MAKE = `extern void *bpf_obj_new_impl(unsigned long long type, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
#define NEW() bpf_obj_new_impl(bpf_core_type_id_local(struct node), 0)`;
const OBJECTS = `struct node { long key; struct bpf_rb_node links; };
${MAKE}`;
const TREE = `${OBJECTS}
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node, _Bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *), void *meta, unsigned long long off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
struct bpf_spin_lock lock SEC(".data.tree");
struct bpf_rb_root root __attribute__((btf_decl_tag("contains:node:links"))) SEC(".data.tree") __attribute__((aligned(8)));`;
const LIST = `struct node { long key; struct bpf_list_node list; };
${MAKE}
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, unsigned long long off) __ksym;
struct bpf_spin_lock lock SEC(".data.list");
struct bpf_list_head head __attribute__((btf_decl_tag("contains:node:list"))) SEC(".data.list") __attribute__((aligned(8)));`;
const LOCKS = `struct value { int n; struct bpf_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 2); } values SEC(".maps");`;
const FIND = `int key = 0;
  struct value *v = bpf_map_lookup_elem(&values, &key);
  if (!v) return 0;`;
const WORK = `struct value { long n; struct bpf_wq wq; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } others SEC(".maps");
extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;`;
/** What the pages say besides help.ts. */
export const KFUNC_PAGES: Readonly<
  Record<Exclude<keyof typeof KFUNC_ERRORS, keyof typeof ACCESS_ERRORS>, ErrorDetails>
> = {
  "verifier/kfunc-not-allowed": {
    title: "Programs of this type may not call the kernel function",
    why: "The kernel registers each function for certain program types (and some for certain hooks or members of struct_ops). This program's type is not among them.",
    example: asm("SOCKET_FILTER", "r1 = 1\ncall bpf_task_from_pid\nr0 = 0\nexit"),
  },
  "verifier/kfunc-missing": {
    title: "The kernel function does not exist",
    why: "A weak declaration lets the program be loaded where the function is missing; then no path may reach the call. This one does. The same code stands for __bpf_trap(), which clang puts where an uninitialised variable decides.",
    before: "extern void bpf_new_thing(void) __ksym __weak;\nbpf_new_thing();",
    after: "if (bpf_ksym_exists(bpf_new_thing)) bpf_new_thing();",
    example: asm("SCHED_CLS", "call __bpf_trap\nr0 = 0\nexit"),
    notes: "__bpf_trap() exists since Linux 6.17.",
  },
  "verifier/kfunc-privilege": {
    title: "A destructive kernel function",
    why: "crash_kexec() and its like stop the machine. They need the capability to reboot.",
    example: none(
      "the one destructive function is there only in kernels with crash dumps, and needs a tracing hook",
    ),
  },
  "verifier/kfunc-sleepable": {
    title: "The kernel function may wait, the program must not",
    why: "Functions marked KF_SLEEPABLE may wait for memory or a lock. A program that is not sleepable runs where waiting is impossible.",
    before: 'SEC("lsm/file_open")',
    after: 'SEC("lsm.s/file_open")',
    example: asm(
      "KPROBE",
      "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = 0\ncall bpf_copy_from_user_str\nr0 = 0\nexit",
    ),
  },
  "verifier/kfunc-sleeps-in-region": {
    title: "A function that may wait inside a section that must not",
    why: "Between bpf_rcu_read_lock() and unlock, with preemption or interrupts off, the program keeps others from going on; it cannot wait itself.",
    before: "bpf_rcu_read_lock();\nbpf_copy_from_user_str(buf, 8, p, 0);\nbpf_rcu_read_unlock();",
    after: "bpf_copy_from_user_str(buf, 8, p, 0);\nbpf_rcu_read_lock();\n…\nbpf_rcu_read_unlock();",
    example: asm(
      "SYSCALL",
      "call bpf_preempt_disable\n*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = 0\ncall bpf_copy_from_user_str\ncall bpf_preempt_enable\nr0 = 0\nexit",
      SLEEPABLE,
    ),
  },
  "verifier/kfunc-needs-rcu": {
    title: "The kernel function needs an RCU section",
    why: "The function is marked KF_RCU_PROTECTED: what it returns or visits stays alive only inside an RCU section. Sleepable programs have to open one themselves.",
    before: "struct task_struct *t = bpf_iter_task_next(&it);",
    after:
      "bpf_rcu_read_lock();\nstruct task_struct *t = bpf_iter_task_next(&it);\n…\nbpf_rcu_read_unlock();",
    example: asm(
      "SYSCALL",
      "r1 = r10\nr1 += -24\nr2 = 0\nr3 = 0\ncall bpf_iter_task_new\nr0 = 0\nexit",
      SLEEPABLE,
    ),
  },
  "verifier/kfunc-scalar": {
    title: "The kernel function wants a number",
    why: "The parameter is a number; the register holds a pointer.",
    before: "bpf_task_from_pid((long)&pid);",
    after: "bpf_task_from_pid(pid);",
    example: asm("SYSCALL", "r1 = r10\ncall bpf_task_from_pid\nr0 = 0\nexit", SLEEPABLE),
  },
  "verifier/kfunc-constant": {
    title: "The argument must be a constant",
    why: "The verifier uses the value itself, as a size or a type. It must be the same on every run.",
    before: "bpf_dynptr_slice(&ptr, 0, buf, len);",
    after: "bpf_dynptr_slice(&ptr, 0, buf, sizeof(buf));",
    example: asm(
      "SCHED_CLS",
      `*(u64 *)(r10 - 8) = 0
r6 = r1
call bpf_get_prandom_u32
r7 = r0
r7 &= 7
r1 = r6
r2 = 0
r3 = r10
r3 += -32
call bpf_dynptr_from_skb
r1 = r10
r1 += -32
r2 = 0
r3 = r10
r3 += -8
r4 = r7
call bpf_dynptr_slice
r0 = 0
exit`,
    ),
  },
  "verifier/kfunc-null": {
    title: "A pointer that may be NULL is passed to a kernel function",
    why: "The function uses the pointer without a look at it. Acquire functions and lookups return NULL when there is nothing; that has to be checked first.",
    before: "struct task_struct *t = bpf_task_from_pid(pid);\nbpf_task_release(t);",
    after: "struct task_struct *t = bpf_task_from_pid(pid);\nif (!t) return 0;\nbpf_task_release(t);",
    example: asm(
      "SYSCALL",
      "r1 = 1\ncall bpf_task_from_pid\nr1 = r0\ncall bpf_task_release\nr0 = 0\nexit",
      SLEEPABLE,
    ),
  },
  "verifier/kfunc-untrusted": {
    title: "The pointer is not known to be valid",
    why: "A pointer is trusted when it is an argument of the hook or was acquired. One that was read from the memory of a kernel object may be stale or NULL by now: it can be read through, since faults are caught, but not given to kernel functions.",
    before: "bpf_task_acquire(task->parent->parent);",
    after:
      "bpf_rcu_read_lock();\nstruct task_struct *p = task->real_parent;   /* an RCU field */\nif (p) p = bpf_task_acquire(p);\nbpf_rcu_read_unlock();",
    example: c(`
struct task_struct { struct task_struct *real_parent; } __attribute__((preserve_access_index));
extern void bpf_task_release(struct task_struct *task) __ksym;

SEC("syscall")
int prog(void *ctx)
{
  struct task_struct *task = (void *)bpf_get_current_task_btf();
  bpf_task_release(task->real_parent);
  return 0;
}`),
    notes: "Trust is tracked since Linux 6.2.",
  },
  "verifier/kfunc-not-rcu": {
    title: "The pointer is neither held nor protected by RCU",
    why: "The function takes pointers that RCU keeps alive. This one was read outside of an RCU section, or the section has ended since.",
    before: "struct task_struct *p = task->real_parent;\nbpf_task_acquire(p);",
    after:
      "bpf_rcu_read_lock();\nstruct task_struct *p = task->real_parent;\nif (p) p = bpf_task_acquire(p);\nbpf_rcu_read_unlock();",
    example: c(`
struct task_struct { struct task_struct *real_parent; } __attribute__((preserve_access_index));
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;

SEC("syscall")
int prog(void *ctx)
{
  struct task_struct *task = (void *)bpf_get_current_task_btf();
  bpf_task_acquire(task->real_parent);
  return 0;
}`),
  },
  "verifier/kfunc-arg-type": {
    title: "The memory passed to a kernel function has an unfit type",
    why: "For a parameter that points to plain memory, the type must consist of numbers: a pointer in it could be forged by the program.",
    before: "struct task_struct copy;\nbpf_task_acquire(&copy);",
    after: "bpf_task_acquire(bpf_get_current_task_btf());",
    example: asm(
      "SYSCALL",
      "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\ncall bpf_task_acquire\nr0 = 0\nexit",
      { flags: { sleepable: true } },
    ),
  },
  "verifier/kfunc-context": {
    title: "The kernel function wants the program's context",
    why: "The parameter is the context of the program, as it came in r1. Copies of fields or other pointers do not do.",
    before: "bpf_dynptr_from_skb(task, 0, &ptr);",
    after: "bpf_dynptr_from_skb(skb, 0, &ptr);",
    example: asm(
      "SCHED_CLS",
      "r1 = r10\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr0 = 0\nexit",
    ),
  },
  "verifier/kfunc-struct-mismatch": {
    title: "The kernel function gets a pointer to the wrong structure",
    why: "The parameter's type is known from BTF, the register's type from where it came. They are different structures, and neither is the other's first member.",
    before: "bpf_cgroup_release((struct cgroup *)task);",
    after: "bpf_task_release(task);",
    example: asm(
      "SYSCALL",
      "r1 = 1\ncall bpf_task_from_pid\nif r0 == 0 goto out\nr1 = r0\ncall bpf_cgroup_release\nout: r0 = 0\nexit",
      SLEEPABLE,
    ),
  },
  "verifier/kfunc-memory-size": {
    title: "Buffer and size do not fit",
    why: "The parameter after a pointer is its size. The memory has fewer bytes, or is not all initialised.",
    before: "bpf_dynptr_slice(&ptr, 0, buf, 64);   /* char buf[16] */",
    after: "bpf_dynptr_slice(&ptr, 0, buf, sizeof(buf));",
    example: asm(
      "SCHED_CLS",
      `*(u64 *)(r10 - 8) = 0
r2 = 0
r3 = r10
r3 += -32
call bpf_dynptr_from_skb
r1 = r10
r1 += -32
r2 = 0
r3 = r10
r3 += -8
r4 = 64
call bpf_dynptr_slice
r0 = 0
exit`,
    ),
  },
  "verifier/kfunc-map": {
    title: "The kernel function wants a map",
    why: "The parameter stands for a map of the program; the register holds something else.",
    before: "bpf_wq_init(&v->wq, v, 0);",
    after: "bpf_wq_init(&v->wq, &values, 0);",
    example: c(`
${WORK}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_wq_init(&v->wq, skb, 0);
  return 0;
}`),
  },
  "verifier/kfunc-map-mismatch": {
    title: "Work queue and map do not belong together",
    why: "A work queue is initialised with the map whose value it lies in, so that it ends when the map does.",
    before: "bpf_wq_init(&v->wq, &others, 0);   /* v is a value of values */",
    after: "bpf_wq_init(&v->wq, &values, 0);",
    example: c(`
${WORK}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_wq_init(&v->wq, &others, 0);
  return 0;
}`),
  },
  "verifier/kfunc-callback": {
    title: "The kernel function wants a callback",
    why: "The parameter is a function of the program; the register holds something else. Only the address of a static function, as it was loaded, will do.",
    before: "bpf_rbtree_add(&root, &n->links, 0);",
    after: "bpf_rbtree_add(&root, &n->links, less);",
    example: c(`
${TREE}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = NEW();
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_rbtree_add_impl(&root, &n->links, (void *)(long)skb->len, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/kfunc-return-type": {
    title: "Programs cannot use what the kernel function returns",
    why: "The function returns a pointer of a kind for which the verifier has no rules.",
    example: none(
      "functions that are open to programs return usable types; the check is for those who add functions",
    ),
  },
  "verifier/release-unreferenced": {
    title: "What is released is not held",
    why: "A release function gives back one reference. The argument carries none: it was never acquired, is NULL-checked wrongly, or was released or handed over before.",
    before: "bpf_sk_release(skb->sk);",
    after: "struct bpf_sock *sk = bpf_sk_lookup_tcp(…);\nif (sk) bpf_sk_release(sk);",
    example: asm(
      "SCHED_CLS",
      "r1 = *(u64 *)(r1 + 168)\nif r1 == 0 goto out\ncall bpf_sk_release\nout: r0 = 0\nexit",
    ),
  },
  "verifier/release-offset": {
    title: "A moved pointer is released",
    why: "What was acquired is identified by its start. The pointer has an offset.",
    before: "bpf_ringbuf_submit(event + 1, 0);",
    after: "bpf_ringbuf_submit(event, 0);",
    example: asm(
      "XDP",
      "r1 = rb ll\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\nr1 = r0\nr1 += 8\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 2\nexit",
      { maps: { rb: RINGBUF } },
    ),
  },
  "verifier/object-expected": {
    title: "The kernel function wants an object of the program",
    why: "Objects come from bpf_obj_new() or out of a list, tree or kptr. The register holds some other pointer.",
    before: "bpf_obj_drop(v);        /* a map value */",
    after: "struct node *n = bpf_obj_new(typeof(*n));\nif (n) bpf_obj_drop(n);",
    example: c(`
${LIST}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct bpf_list_node mine = {};
  bpf_spin_lock(&lock);
  bpf_list_push_front_impl(&head, &mine, 0, 0);
  bpf_spin_unlock(&lock);
  return NEW() != 0;
}`),
  },
  "verifier/object-type": {
    title: "No structure to make an object of",
    why: "bpf_obj_new() gets the BTF id of a structure of the program, put in by the macro. Per-CPU objects must besides be small and hold numbers only.",
    before: "bpf_obj_new(int);",
    after: "struct counter { int n; };\nbpf_obj_new(struct counter);",
    example: c(`
${OBJECTS}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  void *p = bpf_obj_new_impl(bpf_core_type_id_local(int), 0);
  if (p) bpf_obj_drop_impl(p, 0);
  return 0;
}`),
  },
  "verifier/object-not-refcounted": {
    title: "The structure has no reference count",
    why: "bpf_refcount_acquire() makes a second owner. That needs a counter in the object.",
    before: "struct node { long key; struct bpf_rb_node links; };",
    after: "struct node { long key; struct bpf_rb_node links; struct bpf_refcount refs; };",
    example: c(`
${OBJECTS}
extern void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym;

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = NEW();
  if (!n) return 0;
  void *m = bpf_refcount_acquire_impl(n, 0);
  bpf_obj_drop_impl(n, 0);
  bpf_obj_drop_impl(m, 0);
  return 0;
}`),
  },
  "verifier/cast-type": {
    title: "The type of a cast is no structure",
    why: "bpf_rdonly_cast() gives a pointer the type with this BTF id of the kernel, for reading. It must be a structure, or void for plain bytes.",
    before: "bpf_rdonly_cast(p, bpf_core_type_id_kernel(int));",
    after: "bpf_rdonly_cast(p, bpf_core_type_id_kernel(struct sock));",
    example: asm("SCHED_CLS", "r1 = r10\nr2 = 1\ncall bpf_rdonly_cast\nr0 = 0\nexit"),
  },
  "verifier/dynptr-expected": {
    title: "The function wants a dynptr",
    why: "A dynptr lives on the stack, in a variable of type struct bpf_dynptr, or is given to a callback. The register points to something else.",
    before: "bpf_dynptr_read(buf, 8, value, 0, 0);",
    after:
      "struct bpf_dynptr ptr;\nbpf_dynptr_from_mem(value, 16, 0, &ptr);\nbpf_dynptr_read(buf, 8, &ptr, 0, 0);",
    example: asm("SCHED_CLS", "r2 = r1\nr1 = r2\ncall bpf_dynptr_size\nr0 = 0\nexit"),
  },
  "verifier/dynptr-uninitialized": {
    title: "The dynptr is not ready",
    why: "On this path nobody has made the dynptr, or it ended since: it was submitted or discarded, its packet was changed, or its bytes were overwritten.",
    before: "bpf_ringbuf_submit_dynptr(&ptr, 0);\nbpf_dynptr_write(&ptr, 0, buf, 8, 0);",
    after: "bpf_dynptr_write(&ptr, 0, buf, 8, 0);\nbpf_ringbuf_submit_dynptr(&ptr, 0);",
    example: asm(
      "XDP",
      "*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data\nr0 = 2\nexit",
    ),
  },
  "verifier/dynptr-initialized": {
    title: "The dynptr is in use",
    why: "The function makes a new dynptr here, but the place is not free, not aligned to 8 bytes, or not wholly on the stack.",
    before: "bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &ptr);\nbpf_ringbuf_reserve_dynptr(&rb, 8, 0, &ptr);",
    after: "struct bpf_dynptr one, two;",
    example: asm(
      "XDP",
      `${VALUE}\nr6 = r0\nr1 = r0\nr2 = 16\nr3 = 0\nr4 = r10\nr4 += -28\ncall bpf_dynptr_from_mem\nout: r0 = 2\nexit`,
      { maps: values },
    ),
  },
  "verifier/dynptr-overwritten": {
    title: "A dynptr that must be released is overwritten",
    why: "The dynptr holds a record of a ring buffer. With its bytes gone, the record could never be submitted or discarded.",
    before: "bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &ptr);\n__builtin_memset(&ptr, 0, sizeof(ptr));",
    after: "bpf_ringbuf_reserve_dynptr(&rb, 8, 0, &ptr);\nbpf_ringbuf_discard_dynptr(&ptr, 0);",
    example: asm(
      "XDP",
      "r1 = rb ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr\n*(u64 *)(r10 - 16) = 0\nr0 = 2\nexit",
      { maps: { rb: RINGBUF } },
    ),
  },
  "verifier/dynptr-write-forbidden": {
    title: "A writable view of a packet that cannot be written",
    why: "bpf_dynptr_slice_rdwr() hands out memory to write to. Programs of this type may only read packets.",
    before: "bpf_dynptr_slice_rdwr(&ptr, 0, buf, 8);",
    after: "bpf_dynptr_slice(&ptr, 0, buf, 8);",
    example: asm(
      "CGROUP_SKB",
      `*(u64 *)(r10 - 8) = 0
r2 = 0
r3 = r10
r3 += -32
call bpf_dynptr_from_skb
r1 = r10
r1 += -32
r2 = 0
r3 = r10
r3 += -8
r4 = 8
call bpf_dynptr_slice_rdwr
r0 = 1
exit`,
    ),
  },
  "verifier/iterator-expected": {
    title: "The function wants an iterator on the stack",
    why: "The state of a loop lives in a variable of type struct bpf_iter_… on the stack, where the verifier can follow it.",
    before: "bpf_iter_num_new(&value->it, 0, 10);",
    after: "struct bpf_iter_num it;\nbpf_iter_num_new(&it, 0, 10);",
    example: asm("XDP", `${VALUE}\nr1 = r0\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nout: r0 = 2\nexit`, {
      maps: values,
    }),
  },
  "verifier/iterator-initialized": {
    title: "The iterator is in use",
    why: "The variable holds an iterator that was started and not destroyed.",
    before: "bpf_iter_num_new(&it, 0, 10);\nbpf_iter_num_new(&it, 0, 20);",
    after: "bpf_iter_num_new(&it, 0, 10);\nbpf_iter_num_destroy(&it);\nbpf_iter_num_new(&it, 0, 20);",
    example: asm(
      "XDP",
      "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr1 = r10\nr1 += -8\nr2 = 0\nr3 = 10\ncall bpf_iter_num_new\nr0 = 2\nexit",
    ),
  },
  "verifier/iterator-uninitialized": {
    title: "The iterator was not started",
    why: "On this path the iterator was not started, was destroyed before, or its bytes were overwritten.",
    before: "struct bpf_iter_num it;\nbpf_iter_num_next(&it);",
    after: "struct bpf_iter_num it;\nbpf_iter_num_new(&it, 0, 10);\nbpf_iter_num_next(&it);",
    example: asm("XDP", "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\ncall bpf_iter_num_next\nr0 = 2\nexit"),
    notes: "Open-coded iterators exist since Linux 6.4.",
  },
  "verifier/iterator-needs-rcu": {
    title: "The iterator needs an RCU section",
    why: "The objects that it visits are kept alive by RCU. A sleepable program has to open the section before the iterator and keep it open until the end of the loop.",
    before: "bpf_for_each(task, t, NULL, BPF_TASK_ITER_ALL_PROCS) { … }",
    after:
      "bpf_rcu_read_lock();\nbpf_for_each(task, t, NULL, BPF_TASK_ITER_ALL_PROCS) { … }\nbpf_rcu_read_unlock();",
    example: asm(
      "SYSCALL",
      "call bpf_rcu_read_lock\nr1 = r10\nr1 += -24\nr2 = 0\nr3 = 0\ncall bpf_iter_task_new\ncall bpf_rcu_read_unlock\nr1 = r10\nr1 += -24\ncall bpf_iter_task_next\nr0 = 0\nexit",
      SLEEPABLE,
    ),
  },
  "verifier/iterator-not-allowed": {
    title: "The iterator is not offered to this program",
    why: "Walking the tasks of a cgroup takes a lock that other hooks may hold already. It is open to LSM programs, iterators and sleepable programs.",
    example: asm("KPROBE", "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 0\ncall bpf_iter_css_task_new\nr0 = 0\nexit"),
  },
  "verifier/irq-flag": {
    title: "The saved interrupt state is not one",
    why: "bpf_local_irq_save() stores the state in a variable on the stack, which must be free; restore needs one that holds a state of the same kind.",
    before: "unsigned long flags = 0;\nbpf_local_irq_restore(&flags);",
    after: "unsigned long flags;\nbpf_local_irq_save(&flags);\nbpf_local_irq_restore(&flags);",
    example: asm(
      "SCHED_CLS",
      "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\ncall bpf_local_irq_restore\nr0 = 0\nexit",
    ),
  },
  "verifier/irq-order": {
    title: "Interrupt states are restored in the wrong order",
    why: "Each save remembers whether interrupts were on. Restoring the outer state first would switch them on inside the inner section.",
    before: "bpf_local_irq_save(&a);\nbpf_local_irq_save(&b);\nbpf_local_irq_restore(&a);",
    after:
      "bpf_local_irq_save(&a);\nbpf_local_irq_save(&b);\nbpf_local_irq_restore(&b);\nbpf_local_irq_restore(&a);",
    example: asm(
      "SCHED_CLS",
      "r1 = r10\nr1 += -8\ncall bpf_local_irq_save\nr1 = r10\nr1 += -16\ncall bpf_local_irq_save\nr1 = r10\nr1 += -8\ncall bpf_local_irq_restore\nr0 = 0\nexit",
    ),
  },
  "verifier/rcu-nesting": {
    title: "RCU lock and unlock do not pair",
    why: "There is an unlock without a lock on this path, or (in some releases) a second lock inside the first.",
    before: "if (x) bpf_rcu_read_lock();\n…\nbpf_rcu_read_unlock();",
    after: "bpf_rcu_read_lock();\n…\nbpf_rcu_read_unlock();",
    example: asm("SCHED_CLS", "call bpf_rcu_read_unlock\nr0 = 0\nexit"),
    notes: "6.18 refuses nested sections; 7.0 counts them.",
  },
  "verifier/preempt-unmatched": {
    title: "Preemption is enabled without having been disabled",
    why: "There is no bpf_preempt_disable() on this path that the call would end.",
    example: asm("SCHED_CLS", "call bpf_preempt_enable\nr0 = 0\nexit"),
  },
  "verifier/lock-offset": {
    title: "The place of a lock or field is not constant",
    why: "Locks, lists and trees are found by their offset in the type. A variable offset could lead into the middle of one.",
    before: "bpf_spin_lock((void *)v + off);",
    after: "bpf_spin_lock(&v->lock);",
    example: c(`
${LOCKS}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_spin_lock((void *)&v->lock + (skb->len & 4));
  v->n++;
  return 0;
}`),
  },
  "verifier/lock-missing": {
    title: "The map's value has no such lock",
    why: "The lock must be a member of the value's structure, and the map must be loaded with BTF that says so.",
    before: "struct value { int n; int lock; };",
    after: "struct value { int n; struct bpf_spin_lock lock; };",
    example: asm("SCHED_CLS", `${VALUE}\nr1 = r0\ncall bpf_spin_lock\nout: r0 = 0\nexit`, { maps: values }),
  },
  "verifier/lock-nested": {
    title: "A second spin lock",
    why: "Two CPUs that take the same two locks in different order wait for each other for ever. A program therefore holds one bpf_spin_lock at a time.",
    before: "bpf_spin_lock(&a->lock);\nbpf_spin_lock(&b->lock);",
    after: "bpf_spin_lock(&a->lock);\n…\nbpf_spin_unlock(&a->lock);\nbpf_spin_lock(&b->lock);",
    example: c(`
struct bpf_res_spin_lock { unsigned int val; };
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
struct value { int n; struct bpf_res_spin_lock lock; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __type(key, int); __type(value, struct value); __uint(max_entries, 1); } values SEC(".maps");

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  if (bpf_res_spin_lock(&v->lock)) return 0;
  if (bpf_res_spin_lock(&v->lock) == 0) bpf_res_spin_unlock(&v->lock);
  bpf_res_spin_unlock(&v->lock);
  return 0;
}`),
    notes: "bpf_res_spin_lock() (Linux 6.15) can be nested; it finds deadlocks at run time.",
  },
  "verifier/lock-not-held": {
    title: "A list or tree is touched without its lock",
    why: "The spin lock beside the list head or tree root, in the same map value or object, protects it. It is not held on this path.",
    before: "bpf_list_push_front(&head, &n->list);",
    after: "bpf_spin_lock(&lock);\nbpf_list_push_front(&head, &n->list);\nbpf_spin_unlock(&lock);",
    example: c(`
${LIST}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = NEW();
  if (!n) return 0;
  bpf_list_push_front_impl(&head, &n->list, 0, 0);
  return 0;
}

int touch(void) { bpf_spin_lock(&lock); return 0; }`),
  },
  "verifier/unlock-without-lock": {
    title: "Unlock without a lock",
    why: "On this path the program holds no lock.",
    before: "if (v->n) bpf_spin_lock(&v->lock);\nbpf_spin_unlock(&v->lock);",
    after: "bpf_spin_lock(&v->lock);\n…\nbpf_spin_unlock(&v->lock);",
    example: c(`
${LOCKS}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  bpf_spin_unlock(&v->lock);
  return 0;
}`),
  },
  "verifier/unlock-other": {
    title: "Another lock is held",
    why: "The lock that is released lies in another value than the one that was locked. Two lookups give two values, even with the same key: in between the element may have been replaced.",
    before: "bpf_spin_lock(&a->lock);\nbpf_spin_unlock(&b->lock);",
    after: "bpf_spin_lock(&a->lock);\nbpf_spin_unlock(&a->lock);",
    example: c(`
${LOCKS}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  ${FIND}
  int second = 1;
  struct value *w = bpf_map_lookup_elem(&values, &second);
  if (!w) return 0;
  bpf_spin_lock(&v->lock);
  bpf_spin_unlock(&w->lock);
  return 0;
}`),
  },
  "verifier/graph-root": {
    title: "The function wants a list head or tree root",
    why: "Roots live in map values, global variables or objects of the program, where a lock lies beside them. The register points elsewhere.",
    example: c(`
${LIST}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct bpf_list_head mine = {};
  struct node *n = NEW();
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_list_push_front_impl(&mine, &n->list, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/graph-field": {
    title: "There is no list or tree at this place",
    why: "The offset of the pointer is not that of a list head, tree root or node of the type.",
    before: "bpf_list_push_front((void *)&head + 8, &n->list);",
    after: "bpf_list_push_front(&head, &n->list);",
    example: c(`
${LIST}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = NEW();
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_list_push_front_impl((void *)&head + 8, &n->list, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/graph-node-type": {
    title: "The node does not fit the list or tree",
    why: "The root says with __contains() which structure it holds, by which member. The node is another one.",
    example: c(`
${LIST}
struct other { long key; struct bpf_list_node list; };

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *first = NEW();
  if (first) bpf_obj_drop_impl(first, 0);
  struct other *n = bpf_obj_new_impl(bpf_core_type_id_local(struct other), 0);
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_list_push_front_impl(&head, &n->list, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/graph-node-owned": {
    title: "The node is neither in the tree nor held",
    why: "bpf_rbtree_remove() takes a pointer to a node in the tree, from bpf_rbtree_first() or just added, under the lock; or one that the program holds besides, by bpf_refcount_acquire(). After the unlock such pointers are no longer valid.",
    before: "bpf_spin_unlock(&lock);\nbpf_rbtree_remove(&root, first);",
    after:
      "struct bpf_rb_node *first = bpf_rbtree_first(&root);\nif (first) bpf_rbtree_remove(&root, first);\nbpf_spin_unlock(&lock);",
    example: c(`
${TREE}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct bpf_rb_node *first;
  bpf_spin_lock(&lock);
  first = bpf_rbtree_first(&root);
  bpf_spin_unlock(&lock);
  if (!first)
    return 0;
  bpf_spin_lock(&lock);
  first = bpf_rbtree_remove(&root, first);
  bpf_spin_unlock(&lock);
  if (first)
    bpf_obj_drop_impl((char *)first - bpf_core_field_offset(struct node, links), 0);
  return 0;
}`),
  },
  "verifier/graph-callback": {
    title: "The tree is changed in its own callback",
    why: "While bpf_rbtree_add() looks for the place of the new node, the tree must stay as it is.",
    example: c(`
${TREE}

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
  bpf_rbtree_remove(&root, a);
  return 0;
}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct node *n = NEW();
  if (!n) return 0;
  bpf_spin_lock(&lock);
  bpf_rbtree_add_impl(&root, &n->links, less, 0, 0);
  bpf_spin_unlock(&lock);
  return 0;
}`),
  },
  "verifier/field-not-map-value": {
    title: "The field must lie in a map's value",
    why: "Work queues and the like belong to a map. The pointer leads to other memory.",
    before: "struct bpf_wq wq;\nbpf_wq_init(&wq, &values, 0);",
    after: "bpf_wq_init(&v->wq, &values, 0);",
    example: c(`
${WORK}

SEC("tc")
int prog(struct __sk_buff *skb)
{
  struct bpf_wq mine = {};
  bpf_wq_init(&mine, &values, 0);
  return 0;
}`),
  },
  "verifier/const-string": {
    title: "The kernel function wants a constant text",
    why: "The parameter is a text that is read when the program is loaded. It must lie in read-only map data.",
    before: 'char name[] = "key";\nbpf_get_file_xattr(file, name, &ptr);',
    after: 'bpf_get_file_xattr(file, "user.key", &ptr);',
    example: asm(
      "LSM",
      "r1 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr3 = r2\ncall bpf_get_file_xattr\nr0 = 0\nexit",
      { attachType: "BPF_LSM_MAC", attachTo: "bpf_lsm_file_open", flags: { sleepable: true } },
    ),
  },
};
