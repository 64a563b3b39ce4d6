import { describe, expect, test } from "vitest";
import { KFUNCS, type ProgramTypeName } from "../../abi/index.ts";
import { type Btf, BtfBuilder } from "../../btf/index.ts";
import { assemble } from "../../isa/index.ts";
import type { VerifierMap, VerifierProgramFlags } from "../input.ts";
import { Verifier } from "../verify.ts";
import { fakeKernel } from "./kernel-types.fixture.ts";

const kernel = fakeKernel();
const verifier = new Verifier();

interface Case {
  readonly name: string;
  /** `@name` stands for the BTF id of a kernel function or structure. */
  readonly text: string;
  /** `"accepted"`, or the last line of the kernel's log. */
  readonly says: string;
  readonly type?: ProgramTypeName;
  readonly flags?: VerifierProgramFlags;
  readonly btf?: Btf;
  readonly maps?: readonly VerifierMap[];
}

function judge({ text, type = "BPF_PROG_TYPE_SCHED_CLS", flags = {}, btf, maps = [] }: Case): string {
  const source = text.replace(
    /@(\w+)/g,
    (_, name: string) => `0x${(kernel.ids.get(name) ?? 0).toString(16)}`,
  );
  const verdict = verifier.verify({
    name: "test",
    type,
    attachType: undefined,
    insns: assemble(source).bytes,
    maps,
    btf,
    funcs: [],
    lines: [],
    license: "GPL",
    flags,
    kernelBtf: kernel.btf,
  });
  if (verdict.verdict === "rejected") return verdict.error.message;
  return verdict.verdict === "unsupported" ? `unsupported: ${verdict.feature}` : "accepted";
}

const call = (name: string): string => `call @${name} <kfunc>`;
const EXIT = "r0 = 0x0\nexit";
const NUM_NEW = `r1 = r10\nr1 += -0x8\nr2 = 0x0\nr3 = 0xa\n${call("bpf_iter_num_new")}`;
const FP8 = "r1 = r10\nr1 += -0x8";
const DYNPTR = `r2 = 0x0\nr3 = r10\nr3 += -0x10\n${call("bpf_dynptr_from_skb")}`;

const CASES: readonly Case[] = [
  {
    name: "an iterator, made, used and destroyed",
    text: `${NUM_NEW}\n${FP8}\n${call("bpf_iter_num_next")}\nif r0 != 0x0 goto -0x4\n${FP8}\n${call("bpf_iter_num_destroy")}\n${EXIT}`,
    says: "accepted",
  },
  {
    name: "an iterator left behind",
    text: `${NUM_NEW}\n${EXIT}`,
    says: "BPF_EXIT instruction in main prog would lead to reference leak",
  },
  {
    name: "an iterator that was not made",
    text: `${FP8}\n${call("bpf_iter_num_next")}\n${EXIT}`,
    says: "expected an initialized iter_num as arg #0",
  },
  {
    name: "an iterator made twice",
    text: `${NUM_NEW}\n${NUM_NEW}\n${EXIT}`,
    says: "expected uninitialized iter_num as arg #0",
  },
  {
    name: "an iterator off the stack",
    text: `${call("bpf_iter_num_destroy")}\n${EXIT}`,
    says: "arg#0 expected pointer to an iterator on stack",
  },
  {
    name: "an element after the iterator's end",
    text: `${NUM_NEW}\n${FP8}\n${call("bpf_iter_num_next")}\nr6 = r0\n${FP8}\n${call("bpf_iter_num_destroy")}\nif r6 == 0x0 goto +0x1\nr0 = *(u32 *)(r6 + 0x0)\n${EXIT}`,
    says: "R6 invalid mem access 'scalar'",
  },
  {
    name: "tasks without RCU in a program that may sleep",
    type: "BPF_PROG_TYPE_SYSCALL",
    flags: { sleepable: true },
    text: `r1 = r10\nr1 += -0x18\nr2 = 0x0\nr3 = 0x0\n${call("bpf_iter_task_new")}\n${EXIT}`,
    says: "kernel func bpf_iter_task_new requires RCU critical section protection",
  },
  {
    name: "an RCU section left open",
    text: `${call("bpf_rcu_read_lock")}\n${EXIT}`,
    says: "BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region",
  },
  {
    name: "RCU sections do not nest",
    text: `${call("bpf_rcu_read_lock")}\n${call("bpf_rcu_read_lock")}\n${EXIT}`,
    says: "nested rcu read lock (kernel function bpf_rcu_read_lock)",
  },
  {
    name: "an RCU section that was never entered",
    text: `${call("bpf_rcu_read_unlock")}\n${EXIT}`,
    says: "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)",
  },
  {
    name: "preemption sections nest",
    text: `${call("bpf_preempt_disable")}\n${call("bpf_preempt_disable")}\n${call("bpf_preempt_enable")}\n${call("bpf_preempt_enable")}\n${EXIT}`,
    says: "accepted",
  },
  {
    name: "sleeping with preemption off",
    type: "BPF_PROG_TYPE_SYSCALL",
    flags: { sleepable: true },
    text: `${call("bpf_preempt_disable")}\n${FP8}\nr2 = 0x8\nr3 = 0x0\nr4 = 0x0\n${call("bpf_copy_from_user_str")}\n${EXIT}`,
    says: "kernel func bpf_copy_from_user_str is sleepable within non-preemptible region",
  },
  {
    name: "sleeping in a program that must not",
    text: `${FP8}\nr2 = 0x8\nr3 = 0x0\nr4 = 0x0\n${call("bpf_copy_from_user_str")}\n${EXIT}`,
    says: "program must be sleepable to call sleepable kfunc bpf_copy_from_user_str",
  },
  {
    name: "memory shorter than its size",
    type: "BPF_PROG_TYPE_SYSCALL",
    flags: { sleepable: true },
    text: `${FP8}\nr2 = 0x9\nr3 = 0x0\nr4 = 0x0\n${call("bpf_copy_from_user_str")}\n${EXIT}`,
    says: "arg#0 arg#1 memory, len pair leads to invalid memory access",
  },
  {
    name: "interrupts restored out of order",
    text: `${FP8}\n${call("bpf_local_irq_save")}\nr1 = r10\nr1 += -0x10\n${call("bpf_local_irq_save")}\n${FP8}\n${call("bpf_local_irq_restore")}\n${EXIT}`,
    says: "cannot restore irq state out of order, expected id=2 acquired at insn_idx=5",
  },
  {
    name: "a saved interrupt state overwritten",
    text: `${FP8}\n${call("bpf_local_irq_save")}\n*(u64 *)(r10 - 0x8) = 0x0\n${FP8}\n${call("bpf_local_irq_restore")}\n${EXIT}`,
    says: "expected an initialized irq flag as arg#0",
  },
  {
    name: "a task acquired and released",
    text: `r1 = 0x1\n${call("bpf_task_from_pid")}\nif r0 == 0x0 goto +0x2\nr1 = r0\n${call("bpf_task_release")}\n${EXIT}`,
    says: "accepted",
  },
  {
    name: "a task not tested for null",
    text: `r1 = 0x1\n${call("bpf_task_from_pid")}\nr1 = r0\n${call("bpf_task_release")}\n${EXIT}`,
    says: "Possibly NULL pointer passed to trusted arg0",
  },
  {
    name: "a task never released",
    text: `r1 = 0x1\n${call("bpf_task_from_pid")}\n${EXIT}`,
    says: "BPF_EXIT instruction in main prog would lead to reference leak",
  },
  {
    name: "a task where a CPU mask is wanted",
    type: "BPF_PROG_TYPE_SYSCALL",
    flags: { sleepable: true },
    text: `r1 = 0x1\n${call("bpf_task_from_pid")}\nif r0 == 0x0 goto +0x3\nr1 = 0x0\nr2 = r0\n${call("bpf_cpumask_set_cpu")}\n${EXIT}`,
    says: "kernel function bpf_cpumask_set_cpu args#1 expected pointer to STRUCT bpf_cpumask but R2 has a pointer to STRUCT task_struct",
  },
  {
    name: "a function of other program types",
    text: `${call("bpf_sock_destroy")}\n${EXIT}`,
    says: "calling kernel function bpf_sock_destroy is not allowed",
  },
  {
    name: "bytes of a packet through a dynptr",
    text: `${DYNPTR}\nr1 = r10\nr1 += -0x10\nr2 = 0x0\nr3 = 0x0\nr4 = 0x8\n${call("bpf_dynptr_slice")}\nif r0 == 0x0 goto +0x1\nr1 = *(u64 *)(r0 + 0x0)\n${EXIT}`,
    says: "accepted",
  },
  {
    name: "a slice is read-only",
    text: `${DYNPTR}\nr1 = r10\nr1 += -0x10\nr2 = 0x0\nr3 = 0x0\nr4 = 0x8\n${call("bpf_dynptr_slice")}\nif r0 == 0x0 goto +0x1\n*(u64 *)(r0 + 0x0) = 0x1\n${EXIT}`,
    says: "R0 cannot write into rdonly_mem",
  },
  {
    name: "a dynptr overwritten",
    text: `${DYNPTR}\n*(u64 *)(r10 - 0x8) = 0x0\nr1 = r10\nr1 += -0x10\n${call("bpf_dynptr_size")}\n${EXIT}`,
    says: "Expected an initialized dynptr as arg #0",
  },
  {
    name: "a dynptr at an odd place",
    text: `r2 = 0x0\nr3 = r10\nr3 += -0xc\n${call("bpf_dynptr_from_skb")}\n${EXIT}`,
    says: "Dynptr has to be an uninitialized dynptr",
  },
  {
    name: "the kernel's view of the context",
    text: `${call("bpf_cast_to_kern_ctx")}\nr0 = *(u32 *)(r0 + 0x70)\n${EXIT}`,
    says: "accepted",
  },
  {
    name: "a cast to no structure",
    text: `r2 = @int\n${call("bpf_rdonly_cast")}\n${EXIT}`,
    says: "kfunc bpf_rdonly_cast type ID argument must be of a struct or void",
  },
  {
    name: "a cast to a structure is read with care, not passed on",
    text: `r2 = @task_struct\n${call("bpf_rdonly_cast")}\nr1 = r0\nr0 = *(u32 *)(r1 + 0x3e8)\n${call("bpf_task_acquire")}\n${EXIT}`,
    says: "R1 must be a rcu pointer",
  },
  {
    name: "a throw that leaks",
    text: `r1 = 0x1\n${call("bpf_task_from_pid")}\nr1 = 0x0\n${call("bpf_throw")}\n${EXIT}`,
    says: "bpf_throw would lead to reference leak",
  },
  {
    name: "objects need the program's types",
    text: `r1 = 0x1\nr2 = 0x0\n${call("bpf_obj_new_impl")}\n${EXIT}`,
    says: "bpf_obj_new/bpf_percpu_obj_new requires prog BTF",
  },
];

describe("kernel function calls", () => {
  test.each(CASES)("$name", (each) => {
    expect(judge(each)).toBe(each.says);
  });

  test("without the kernel's BTF they are not judged", () => {
    const verdict = verifier.verify({
      name: "test",
      type: "BPF_PROG_TYPE_SCHED_CLS",
      attachType: undefined,
      insns: assemble(`call 0x5 <kfunc>\n${EXIT}`).bytes,
      maps: [],
      btf: undefined,
      funcs: [],
      lines: [],
      license: "GPL",
      flags: {},
      kernelBtf: undefined,
    });
    expect(verdict.verdict).toBe("unsupported");
  });
});

describe("objects, locks and trees", () => {
  const { btf, map, ids } = treeProgram();
  const maps = [map];
  const LOCK = "ld_pseudo r1, 0x2, 0x0, 0x0\ncall 0x5d"; // bpf_spin_lock
  const UNLOCK = "ld_pseudo r1, 0x2, 0x0, 0x0\ncall 0x5e"; // bpf_spin_unlock
  const ROOT = "ld_pseudo r1, 0x2, 0x0, 0x8";
  const NEW = `r1 = ${ids.item}\nr2 = 0x0\n${call("bpf_obj_new_impl")}`;
  const cases: readonly Case[] = [
    {
      name: "an object made and dropped",
      text: `${NEW}\nif r0 == 0x0 goto +0x4\n*(u64 *)(r0 + 0x0) = 0x1\nr1 = r0\nr2 = 0x0\n${call("bpf_obj_drop_impl")}\n${EXIT}`,
      says: "accepted",
    },
    {
      name: "an object's node is not for the program",
      text: `${NEW}\nif r0 == 0x0 goto +0x1\n*(u64 *)(r0 + 0x8) = 0x1\n${EXIT}`,
      says: "direct access to bpf_rb_node is disallowed",
    },
    {
      name: "an object after its end",
      text: `${NEW}\nif r0 == 0x0 goto +0x5\nr6 = r0\nr1 = r0\nr2 = 0x0\n${call("bpf_obj_drop_impl")}\nr0 = *(u64 *)(r6 + 0x0)\n${EXIT}`,
      says: "R6 invalid mem access 'scalar'",
    },
    {
      name: "a tree without its lock",
      text: `${ROOT}\n${call("bpf_rbtree_first")}\n${EXIT}`,
      says: "bpf_spin_lock at off=0 must be held for bpf_rb_root",
    },
    {
      name: "no tree at this place",
      text: `${LOCK}\nld_pseudo r1, 0x2, 0x0, 0x10\n${call("bpf_rbtree_first")}\n${UNLOCK}\n${EXIT}`,
      says: "bpf_rb_root not found at offset=16",
    },
    {
      name: "a node seen with the lock held",
      text: `${LOCK}\n${ROOT}\n${call("bpf_rbtree_first")}\nr6 = r0\nif r6 == 0x0 goto +0x1\nr7 = *(u64 *)(r6 - 0x8)\n${UNLOCK}\n${EXIT}`,
      says: "accepted",
    },
    {
      name: "a node seen after the lock",
      text: `${LOCK}\n${ROOT}\n${call("bpf_rbtree_first")}\nr6 = r0\n${UNLOCK}\nif r6 == 0x0 goto +0x1\nr7 = *(u64 *)(r6 - 0x8)\n${EXIT}`,
      says: "R6 invalid mem access 'scalar'",
    },
    {
      name: "a call with the lock held",
      text: `${LOCK}\ncall 0x5\n${UNLOCK}\n${EXIT}`,
      says: "function calls are not allowed while holding a lock",
    },
    {
      name: "a lock left locked",
      text: `${LOCK}\n${EXIT}`,
      says: "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region",
    },
    {
      name: "an unlock without a lock",
      text: `${UNLOCK}\n${EXIT}`,
      says: "bpf_spin_unlock without taking a lock",
    },
  ];
  test.each(cases)("$name", (each) => {
    expect(judge({ ...each, btf, maps })).toBe(each.says);
  });
});

/** `struct item { long key; struct bpf_rb_node node; }`, and a lock and a tree of them as global variables. */
function treeProgram(): { btf: Btf; map: VerifierMap; ids: { item: number } } {
  const types = new BtfBuilder();
  const long = types.int("long", 8, { signed: true });
  const u32 = types.int("unsigned int", 4);
  const struct = (
    name: string,
    size: number,
    members: readonly (readonly [string, number, number])[],
  ): number =>
    types.add({
      kind: "struct",
      name,
      size,
      kindFlag: false,
      members: members.map(([field, type, at]) => ({ name: field, type, bitOffset: at * 8, bitSize: 0 })),
    });
  const node = struct("bpf_rb_node", 32, [["__opaque", long, 0]]);
  const root = struct("bpf_rb_root", 16, [["__opaque", long, 0]]);
  const lock = struct("bpf_spin_lock", 4, [["val", u32, 0]]);
  const item = struct("item", 40, [
    ["key", long, 0],
    ["node", node, 8],
  ]);
  const variable = (name: string, type: number): number =>
    types.add({ kind: "var", name, type, linkage: "static" });
  const lockVar = variable("lock", lock);
  const rootVar = variable("root", root);
  types.add({
    kind: "decl_tag",
    name: "contains:item:node",
    type: rootVar,
    componentIndex: -1,
    kindFlag: false,
  });
  const section = types.add({
    kind: "datasec",
    name: ".data.tree",
    size: 24,
    vars: [
      { type: lockVar, offset: 0, size: 4 },
      { type: rootVar, offset: 8, size: 16 },
    ],
  });
  const btf = types.build();
  const map: VerifierMap = {
    name: ".data.tree",
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: 24,
    maxEntries: 1,
    flags: 0x400,
    btf,
    keyType: 0,
    valueType: section,
  };
  return { btf, map, ids: { item } };
}

test("every kernel function has a hook, and iterators come in threes", () => {
  for (const [name, row] of Object.entries(KFUNCS)) {
    expect(row.hooks.length, name).toBeGreaterThan(0);
    const made = /^(bpf_iter_\w+)_new$/.exec(name);
    if (made === null) continue;
    expect(KFUNCS).toHaveProperty(`${made[1]}_next`);
    expect(KFUNCS).toHaveProperty(`${made[1]}_destroy`);
  }
});
