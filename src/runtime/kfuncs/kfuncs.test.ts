import { describe, expect, it } from "vitest";
import { BpfError, toHex } from "../../base/index.ts";
import { BtfBuilder } from "../../btf/index.ts";
import { runProgram, type TestMap, type TestProgram } from "../helpers/program.fixture.ts";

const out: TestMap = { type: "BPF_MAP_TYPE_ARRAY", value: 64 };
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

async function violation(program: TestProgram): Promise<string> {
  try {
    await runProgram(program);
  } catch (error) {
    if (error instanceof BpfError) return error.code;
    throw error;
  }
  return "no error";
}

const fp = (n: number, offset: number): string => `r${n} = r10\nr${n} += ${offset}`;

describe("iterators", () => {
  const walk = (family: string, begin: string, size: number): TestProgram => ({
    maps: {
      words: { type: "BPF_MAP_TYPE_ARRAY", data: new Uint8Array([0b1010, ...new Uint8Array(14), 0x80]) },
    },
    text: `
      r6 = 0
      ${fp(1, -size)}
      ${begin}
      call bpf_iter_${family}_new
      r7 = r0
    next:
      ${fp(1, -size)}
      call bpf_iter_${family}_next
      if r0 == 0 goto done
      r6 *= 10
      r0 = *(s32 *)(r0 + 0)
      r6 += r0
      goto next
    done:
      ${fp(1, -size)}
      call bpf_iter_${family}_destroy
      r0 = r6
      r0 += r7
      exit`,
  });
  it.each([
    ["1 to 5", "r2 = 1\nr3 = 5", 1234],
    ["nothing", "r2 = 5\nr3 = 5", 0],
    ["backwards", "r2 = 5\nr3 = 1", -22],
    ["too many", "r2 = 0\nr3 = 8388609", -7],
    ["negative", "r2 = -2\nr3 = 0", -21],
  ])("num: %s", async (_, begin, want) => {
    expect((await runProgram(walk("num", begin, 8))).retval).toBe(want);
  });
  it.each([
    ["one word", "r2 = value_of_words ll\nr3 = 1", 13],
    ["two words", "r2 = value_of_words ll\nr3 = 2", (1 * 10 + 3) * 10 + 127],
    ["no words", "r2 = value_of_words ll\nr3 = 0", -22],
    ["null", "r2 = 0\nr3 = 1", -22],
    ["too many words", "r2 = value_of_words ll\nr3 = 512", -7],
    ["not readable", "r2 = 8\nr3 = 1", -14],
    ["not readable, two words", "r2 = 8\nr3 = 2", -34],
  ])("bits: %s", async (_, begin, want) => {
    expect((await runProgram(walk("bits", begin, 16))).retval).toBe(want);
  });
  it("must be destroyed, and begun before next", async () => {
    const begin = `${fp(1, -8)}\nr2 = 0\nr3 = 1\ncall bpf_iter_num_new\nr0 = 0\nexit`;
    expect(await violation({ text: begin })).toMatch(/^runtime\//);
    const next = `r1 = 0\n*(u64 *)(r10 - 8) = r1\n${fp(1, -8)}\ncall bpf_iter_num_next\nr0 = 0\nexit`;
    expect(await violation({ text: next })).toBe("runtime/bad-iterator");
  });
});

describe("sections", () => {
  it.each([
    ["rcu", "call bpf_rcu_read_lock", "call bpf_rcu_read_unlock"],
    ["preemption", "call bpf_preempt_disable", "call bpf_preempt_enable"],
    ["interrupts", `${fp(1, -8)}\ncall bpf_local_irq_save`, `${fp(1, -8)}\ncall bpf_local_irq_restore`],
  ])("%s", async (_, open, close) => {
    const end = "r0 = 0\nexit";
    expect((await runProgram({ text: `${open}\n${close}\n${end}` })).retval).toBe(0);
    expect(await violation({ text: `${open}\n${end}` })).toMatch(/^runtime\//);
    expect(await violation({ text: `r1 = 0\n*(u64 *)(r10 - 8) = r1\n${close}\n${end}` })).toBe(
      "runtime/lock",
    );
  });
});

describe("dynptrs over packets", () => {
  const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
  const skb = (then: string, type: TestProgram["type"] = "BPF_PROG_TYPE_SCHED_CLS"): TestProgram => ({
    type,
    maps: { out },
    input: { data: packet },
    text: `
      r9 = r1
      r2 = 0
      ${fp(3, -16)}
      call bpf_dynptr_from_${type === "BPF_PROG_TYPE_XDP" ? "xdp" : "skb"}
      ${then}
      exit`,
  });
  const slice = (offset: number, size: number, end = ""): string =>
    `${fp(1, -16)}\nr2 = ${offset}\nr3 = 0\nr4 = ${size}\ncall bpf_dynptr_slice${end}\nif r0 == 0 goto +1\nr0 = *(u8 *)(r0 + 1)`;
  it.each([
    ["size", `${fp(1, -16)}\ncall bpf_dynptr_size`, "BPF_PROG_TYPE_SCHED_CLS", 64],
    ["size, xdp", `${fp(1, -16)}\ncall bpf_dynptr_size`, "BPF_PROG_TYPE_XDP", 64],
    ["slice", slice(20, 4), "BPF_PROG_TYPE_SCHED_CLS", 21],
    ["slice, xdp", slice(20, 4), "BPF_PROG_TYPE_XDP", 21],
    ["slice beyond the end", slice(62, 4), "BPF_PROG_TYPE_XDP", 0],
    ["slice_rdwr", slice(20, 4, "_rdwr"), "BPF_PROG_TYPE_SCHED_CLS", 21],
    ["slice_rdwr where packets are read-only", slice(20, 4, "_rdwr"), "BPF_PROG_TYPE_CGROUP_SKB", 0],
    ["is_rdonly", `${fp(1, -16)}\ncall bpf_dynptr_is_rdonly`, "BPF_PROG_TYPE_CGROUP_SKB", 1],
    [
      "data is not for packets",
      `${fp(1, -16)}\nr2 = 0\nr3 = 4\ncall bpf_dynptr_data`,
      "BPF_PROG_TYPE_XDP",
      0,
    ],
  ] as const)("%s", async (_, then, type, want) => {
    // Linux starts a cgroup program's packet behind the Ethernet header; sizes there are not asked for.
    expect((await runProgram(skb(then, type))).retval & 0xff).toBe(want);
  });

  it("write changes the packet and ends its slices", async () => {
    const write = `
      r1 = 0xaa
      *(u64 *)(r10 - 24) = r1
      ${fp(1, -16)}
      r2 = 3
      ${fp(3, -24)}
      r4 = 1
      r5 = 0
      call bpf_dynptr_write`;
    const run = await runProgram(skb(write));
    expect([run.retval, run.result.data?.[3], run.result.data?.[4]]).toEqual([0, 0xaa, 4]);
    const stale = `${fp(1, -16)}\nr2 = 0\nr3 = 0\nr4 = 4\ncall bpf_dynptr_slice\nr6 = r0\n${write}\nr0 = *(u8 *)(r6 + 0)`;
    expect(await violation(skb(stale))).toMatch(/^runtime\//);
  });
});

describe("objects, lists and trees", () => {
  const types = new BtfBuilder();
  const word = types.int("unsigned long", 8);
  const plain = (name: string, size: number) =>
    types.add({ kind: "struct", name, size, kindFlag: false, members: [] });
  const node = plain("bpf_rb_node", 32);
  const member = (name: string, type: number, offset: number) => ({
    name,
    type,
    bitOffset: offset * 8,
    bitSize: 0,
  });
  const elem = types.add({
    kind: "struct",
    name: "elem",
    size: 40,
    kindFlag: false,
    members: [member("key", word, 0), member("node", node, 8)],
  });
  const valueType = types.add({
    kind: "struct",
    name: "value",
    size: 24,
    kindFlag: false,
    members: [member("root", plain("bpf_rb_root", 16), 0), member("data", word, 16)],
  });
  const btf = types.build();
  const maps = { data: { type: "BPF_MAP_TYPE_ARRAY", value: 24, valueType } } as const;
  const make = (key: number): string => `
    r1 = ${elem}
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto fail
    r1 = ${key}
    *(u64 *)(r0 + 0) = r1`;
  const program = (text: string): TestProgram => ({
    btf,
    maps,
    functions: ["less"],
    text: `
      ${text}
      exit
    fail:
      r0 = -99
      exit
    less:
      r1 = *(u64 *)(r1 - 8)
      r2 = *(u64 *)(r2 - 8)
      r0 = 1
      if r1 < r2 goto +1
      r0 = 0
      exit`,
  });
  const drop = "r1 = r0\nr2 = 0\ncall bpf_obj_drop_impl";
  const push = (how: string, key: number): string => `${make(key)}
    r2 = r0
    r2 += 8
    r1 = value_of_data ll
    r3 = 0
    r4 = 0
    call bpf_list_push_${how}_impl`;
  const pop = (how: string): string => `
    r1 = value_of_data ll
    call bpf_list_pop_${how}
    if r0 == 0 goto fail
    r6 = *(u64 *)(r0 - 8)
    r7 *= 10
    r7 += r6
    r0 += -8
    r1 = r0
    r2 = 0
    call bpf_obj_drop_impl`;

  it("new and drop", async () => {
    expect((await runProgram(program(`${make(5)}\nr6 = *(u64 *)(r0 + 0)\n${drop}\nr0 = r6`))).retval).toBe(5);
  });
  it("an object that is not dropped is a violation, and so is one used after", async () => {
    expect(await violation(program(`${make(5)}\nr0 = 0`))).toMatch(/^runtime\//);
    expect(await violation(program(`${make(5)}\nr6 = r0\n${drop}\nr0 = *(u64 *)(r6 + 0)`))).toMatch(
      /^runtime\//,
    );
  });
  it("list: both ends", async () => {
    const text = `r7 = 0\n${push("back", 2)}\n${push("front", 1)}\n${push("back", 3)}
      ${pop("front")}\n${pop("back")}\n${pop("front")}\nr0 = r7`;
    expect((await runProgram(program(text))).retval).toBe(132);
  });
  it("tree: the smallest first, removed by node", async () => {
    const add = (key: number): string => `${make(key)}
      r2 = r0
      r2 += 8
      r1 = value_of_data ll
      r3 = less ll
      r4 = 0
      r5 = 0
      call bpf_rbtree_add_impl`;
    const take = `
      r1 = value_of_data ll
      call bpf_rbtree_first
      if r0 == 0 goto fail
      r1 = value_of_data ll
      r2 = r0
      call bpf_rbtree_remove
      if r0 == 0 goto fail
      r6 = *(u64 *)(r0 - 8)
      r7 *= 10
      r7 += r6
      r0 += -8
      r1 = r0
      r2 = 0
      call bpf_obj_drop_impl`;
    const text = `r7 = 0\n${add(5)}\n${add(2)}\n${add(9)}\n${add(4)}\n${take}\n${take}\n${take}\n${take}\nr0 = r7`;
    expect((await runProgram(program(text))).retval).toBe(2459);
  });
});

describe("cpumasks", () => {
  const masks = (text: string): TestProgram => ({
    host: { numCpus: 4 },
    text: `
      call bpf_cpumask_create
      if r0 == 0 goto fail
      r6 = r0
      r7 = 0
      ${text}
      r1 = r6
      call bpf_cpumask_release
      r0 = r7
      exit
    fail:
      r0 = -99
      exit`,
  });
  const set = (cpu: number): string => `r1 = ${cpu}\nr2 = r6\ncall bpf_cpumask_set_cpu`;
  const ask = (what: string): string => `r1 = r6\ncall bpf_cpumask_${what}\nr7 = r0`;
  const test = (cpu: number): string => `r1 = ${cpu}\nr2 = r6\ncall bpf_cpumask_test_cpu\nr7 = r0`;
  it.each([
    ["empty", ask("empty"), 1],
    ["first of none is the number of CPUs", ask("first"), 4],
    ["first", `${set(2)}\n${set(3)}\n${ask("first")}`, 2],
    ["first_zero", `${set(0)}\n${ask("first_zero")}`, 1],
    ["weight", `${set(2)}\n${set(3)}\n${ask("weight")}`, 2],
    ["test", `${set(2)}\n${test(2)}`, 1],
    ["no such CPU", `${set(4)}\n${ask("empty")}`, 1],
    ["full", `r1 = r6\ncall bpf_cpumask_setall\n${ask("full")}`, 1],
    [
      "test_and_clear",
      `${set(1)}\nr1 = 1\nr2 = r6\ncall bpf_cpumask_test_and_clear_cpu\nr7 = r0\n${test(1)}`,
      0,
    ],
  ])("%s", async (_, text, want) => expect((await runProgram(masks(text))).retval).toBe(want));
  it("not released is a violation", async () => {
    expect(await violation({ text: "call bpf_cpumask_create\nr0 = 0\nexit" })).toMatch(/^runtime\//);
  });
});

describe("tasks and cgroups", () => {
  const release = "r1 = r0\ncall bpf_task_release\nr0 = 1\nexit\nnone:\nr0 = 0\nexit";
  const fromPid = (pid: number): TestProgram => ({
    text: `r1 = ${pid}\ncall bpf_task_from_pid\nif r0 == 0 goto none\n${release}`,
  });
  it("from_pid knows the current task only", async () => {
    expect((await runProgram(fromPid(42))).retval).toBe(1);
    expect((await runProgram(fromPid(43))).retval).toBe(0);
  });
  it("task_under_cgroup", async () => {
    const under = (id: number): TestProgram => ({
      text: `r1 = ${id}\ncall bpf_cgroup_from_id\nif r0 == 0 goto none\nr6 = r0\ncall bpf_get_current_task_btf
        r1 = r0\nr2 = r6\ncall bpf_task_under_cgroup\nr7 = r0\nr1 = r6\ncall bpf_cgroup_release\nr0 = r7\nexit
        none:\nr0 = -1\nexit`,
    });
    expect((await runProgram(under(7))).retval).toBe(1);
    expect((await runProgram(under(1))).retval).toBe(1);
    expect((await runProgram(under(8))).retval).toBe(-1);
  });
});

/** Answers of Linux 6.18, from a syscall program run by BPF_PROG_TEST_RUN. */
describe("strings", () => {
  const text = (a: string, b: string): TestProgram["maps"] => ({
    a: { type: "BPF_MAP_TYPE_ARRAY", data: ascii(`${a}\0`) },
    b: { type: "BPF_MAP_TYPE_ARRAY", data: ascii(`${b}\0`) },
  });
  const two = (name: string, a: string, b: string, extra = ""): TestProgram => ({
    maps: text(a, b),
    text: `r1 = value_of_a ll\nr2 = value_of_b ll\n${extra}\ncall bpf_${name}\nexit`,
  });
  const one = (name: string, a: string, args: string): TestProgram => ({
    maps: text(a, ""),
    text: `r1 = value_of_a ll\n${args}\ncall bpf_${name}\nexit`,
  });
  it.each([
    ["strcmp equal", two("strcmp", "abc", "abc"), 0],
    ["strcmp less", two("strcmp", "abb", "abc"), -1],
    ["strcmp longer", two("strcmp", "abcd", "abc"), 1],
    ["strcmp compares unsigned", two("strcmp", "é", "a"), 1],
    ["strstr of nothing in nothing", two("strstr", "", ""), 0],
    ["strnlen 0", one("strnlen", "hello", "r2 = 0"), 0],
    ["strnchr 0", one("strnchr", "hello", "r2 = 0\nr3 = 104"), -2],
    ["strcasecmp", two("strcasecmp", "aBc", "AbC"), 0],
    ["strlen", one("strlen", "hello", ""), 5],
    ["strnlen", one("strnlen", "hello", "r2 = 3"), 3],
    ["strchr", one("strchr", "hello", "r2 = 108"), 2],
    ["strchr none", one("strchr", "hello", "r2 = 120"), -2],
    ["strchr NUL", one("strchr", "hello", "r2 = 0"), 5],
    ["strrchr", one("strrchr", "hello", "r2 = 108"), 3],
    ["strchrnul none", one("strchrnul", "hello", "r2 = 120"), 5],
    ["strnchr", one("strnchr", "hello", "r2 = 3\nr3 = 111"), -2],
    ["strspn", two("strspn", "aabbc", "ab"), 4],
    ["strcspn", two("strcspn", "xyzab", "ab"), 3],
    ["strstr", two("strstr", "hello", "ll"), 2],
    ["strstr behind a false start", two("strstr", "aabaabaaab", "aabaaab"), 3],
    ["strstr longer than the text", two("strstr", "ab", "abc"), -2],
    ["strstr empty", two("strstr", "hello", ""), 0],
    ["strstr none", two("strstr", "hello", "lo!"), -2],
    ["strnstr cut", two("strnstr", "hello", "lo", "r3 = 4"), -2],
    ["strnstr", two("strnstr", "hello", "lo", "r3 = 5"), 3],
    ["a user's address", { text: "r1 = 8\ncall bpf_strlen\nexit" }, -34],
    ["a kernel address with nothing", { text: "r1 = -256 ll\ncall bpf_strlen\nexit" }, -14],
  ] satisfies [string, TestProgram, number][])("%s", async (_, program, want) => {
    expect((await runProgram(program)).retval).toBe(want);
  });
});

describe("work queues and exceptions", () => {
  it("a work queue's callback runs after the program", async () => {
    const types = new BtfBuilder();
    const word = types.int("unsigned long", 8);
    const field = types.add({ kind: "struct", name: "bpf_wq", size: 16, kindFlag: false, members: [] });
    const valueType = types.add({
      kind: "struct",
      name: "value",
      size: 24,
      kindFlag: false,
      members: [
        { name: "work", type: field, bitOffset: 0, bitSize: 0 },
        { name: "data", type: word, bitOffset: 128, bitSize: 0 },
      ],
    });
    const run = await runProgram({
      btf: types.build(),
      maps: { data: { type: "BPF_MAP_TYPE_ARRAY", value: 24, valueType } },
      functions: ["work"],
      text: `
        r6 = value_of_data ll
        r1 = r6
        r2 = data ll
        r3 = 0
        call bpf_wq_init
        r1 = r6
        r2 = work ll
        r3 = 0
        r4 = 0
        call bpf_wq_set_callback_impl
        r1 = r6
        r2 = 0
        call bpf_wq_start
        r0 = *(u64 *)(r6 + 16)
        exit
      work:
        r1 = 77
        *(u64 *)(r3 + 16) = r1
        r0 = 0
        exit`,
    });
    expect(run.retval).toBe(0);
    expect(toHex(run.value("data").subarray(16))).toBe("4d00000000000000");
  });

  it("throw ends the program from any depth with the cookie", async () => {
    const run = await runProgram({
      functions: ["inner"],
      text: "call inner\nr0 = 1\nexit\ninner:\nr1 = 5\ncall bpf_throw\nr0 = 2\nexit",
    });
    expect(run.retval).toBe(5);
  });

  it("throw calls the exception callback that the program's tag names", async () => {
    const types = new BtfBuilder();
    const proto = types.add({ kind: "func_proto", name: "", type: 0, params: [] });
    const entry = types.add({ kind: "func", name: "test", type: proto, linkage: "global" });
    types.add({
      kind: "decl_tag",
      name: "exception_callback:caught",
      type: entry,
      componentIndex: -1,
      kindFlag: false,
    });
    const run = await runProgram({
      btf: types.build(),
      entryBtfId: entry,
      functions: ["inner", "caught"],
      text: `
        call inner
        r0 = 1
        exit
      inner:
        r1 = 5
        call bpf_throw
        r0 = 2
        exit
      caught:
        r0 = r1
        r0 += 100
        exit`,
    });
    expect(run.retval).toBe(105);
  });
});
