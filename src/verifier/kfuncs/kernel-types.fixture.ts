import { type Btf, BtfBuilder, type BtfMember } from "../../btf/index.ts";

/** A small made-up kernel: enough types and functions to call the main groups of kernel functions. */
export interface FakeKernel {
  readonly btf: Btf;
  /** BTF ids of the functions and structures, by name. */
  readonly ids: ReadonlyMap<string, number>;
}

const PROTOTYPES: readonly string[] = [
  "bpf_iter_num_new int it:bpf_iter_num* start:int end:int",
  "bpf_iter_num_next int* it:bpf_iter_num*",
  "bpf_iter_num_destroy void it:bpf_iter_num*",
  "bpf_iter_task_new int it:bpf_iter_task* task__nullable:task_struct* flags:int",
  "bpf_iter_task_next task_struct* it:bpf_iter_task*",
  "bpf_iter_task_destroy void it:bpf_iter_task*",
  "bpf_rcu_read_lock void",
  "bpf_rcu_read_unlock void",
  "bpf_preempt_disable void",
  "bpf_preempt_enable void",
  "bpf_local_irq_save void flags__irq_flag:long*",
  "bpf_local_irq_restore void flags__irq_flag:long*",
  "bpf_task_from_pid task_struct* pid:int",
  "bpf_task_acquire task_struct* p:task_struct*",
  "bpf_task_release void p:task_struct*",
  "bpf_dynptr_from_skb int s:__sk_buff* flags:u64 ptr__uninit:bpf_dynptr*",
  "bpf_dynptr_slice void* p:bpf_dynptr* offset:int buffer__opt:void* buffer__szk:int",
  "bpf_dynptr_size int p:bpf_dynptr*",
  "bpf_obj_new_impl void* local_type_id__k:u64 meta__ign:void*",
  "bpf_obj_drop_impl void p__alloc:void* meta__ign:void*",
  "bpf_rbtree_first bpf_rb_node* root:bpf_rb_root*",
  "bpf_rbtree_remove bpf_rb_node* root:bpf_rb_root* node:bpf_rb_node*",
  "bpf_cast_to_kern_ctx void* obj:void*",
  "bpf_rdonly_cast void* obj__ign:void* btf_id__k:int",
  "bpf_throw void cookie:u64",
  "bpf_copy_from_user_str int dst:void* dst__sz:int unsafe_ptr__ign:void* flags:u64",
  "bpf_sock_destroy int sock:sock_common*",
  "bpf_cpumask_set_cpu void cpu:int cpumask:bpf_cpumask*",
];

/** Builds it. */
export function fakeKernel(): FakeKernel {
  const types = new BtfBuilder();
  const ids = new Map<string, number>([["void", 0]]);
  const int = types.int("int", 4, { signed: true });
  const u64 = types.int("unsigned long long", 8);
  const long = types.int("long", 8, { signed: true });
  ids.set("int", int).set("u64", u64).set("long", long);
  const struct = (name: string, size: number, members: readonly BtfMember[] = []): void => {
    ids.set(name, types.add({ kind: "struct", name, size, kindFlag: false, members }));
  };
  const field = (name: string, type: number, at: number): BtfMember => ({
    name,
    type,
    bitOffset: at * 8,
    bitSize: 0,
  });
  struct("bpf_iter_num", 8, [field("__opaque", u64, 0)]);
  struct("bpf_iter_task", 24, [field("__opaque", u64, 0)]);
  struct("bpf_dynptr", 16, [field("__opaque", u64, 0)]);
  struct("bpf_rb_node", 32, [field("__opaque", u64, 0)]);
  struct("bpf_rb_root", 16, [field("__opaque", u64, 0)]);
  struct("__sk_buff", 192, [field("len", int, 0)]);
  struct("sk_buff", 240, [field("len", int, 112)]);
  struct("task_struct", 4096, [field("pid", int, 1000)]);
  struct("sock_common", 136);
  struct("bpf_cpumask", 16, [field("bits", u64, 0)]);
  const typeOf = (text: string): number => {
    const star = text.endsWith("*");
    const id = ids.get(star ? text.slice(0, -1) : text) as number;
    return star ? types.ptr(id) : id;
  };
  for (const line of PROTOTYPES) {
    const [name, result, ...params] = line.split(" ");
    const proto = types.add({
      kind: "func_proto",
      name: "",
      type: typeOf(result),
      params: params.map((param) => {
        const [paramName, type] = param.split(":");
        return { name: paramName, type: typeOf(type) };
      }),
    });
    const id = types.add({ kind: "func", name, type: proto, linkage: "static" });
    ids.set(name, id);
    types.add({ kind: "decl_tag", name: "bpf_kfunc", type: id, componentIndex: -1, kindFlag: false });
  }
  return { btf: types.build(), ids };
}
