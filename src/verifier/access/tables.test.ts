import { describe, expect, it } from "vitest";
import { type Btf, BtfIndex, type BtfType } from "../../btf/index.ts";
import { RegType, TypeFlag } from "../register-types.ts";
import { accessStruct, isSafeField, resolveSize, structContains } from "./btf-walk.ts";
import { ContextRules } from "./context-rules.ts";
import { recordOfObject, recordOfValue } from "./record.ts";
import { maySocketRead } from "./socket-rules.ts";

const INT = { signed: true, char: false, bool: false };
const member = (name: string, type: number, byte: number, bitSize = 0): object => ({
  name,
  type,
  bitOffset: byte * 8,
  bitSize,
});
const struct = (name: string, size: number, ...members: object[]): object => ({
  kind: "struct",
  name,
  size,
  kindFlag: false,
  members,
});

/** A BTF written by hand; `types[0]` is void. */
function btfOf(...types: object[]): Btf {
  return { types: [{ kind: "void", name: "" }, ...types] as BtfType[], baseCount: 0 };
}

// 1 int  2 int[3]  3 inner  4 outer  5 inner*  6 tag rcu  7 rcu inner*  8 union  9 void*  10 int[0]  11 flexible  12 safe list
const KERNEL = btfOf(
  { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding: INT },
  { kind: "array", name: "", type: 1, indexType: 1, length: 3 },
  struct("inner", 8, member("a", 1, 0), member("b", 1, 4)),
  struct(
    "outer",
    72,
    member("first", 3, 0),
    member("numbers", 2, 8),
    member("flag", 1, 20, 3),
    member("next", 5, 24),
    member("guarded", 7, 32),
    member("either", 8, 40),
    member("any", 9, 48),
  ),
  { kind: "ptr", name: "", type: 3 },
  { kind: "type_tag", name: "rcu", type: 3, kindFlag: false },
  { kind: "ptr", name: "", type: 6 },
  { kind: "union", name: "", size: 8, kindFlag: false, members: [member("p", 5, 0), member("n", 1, 0)] },
  { kind: "ptr", name: "", type: 0 },
  { kind: "array", name: "", type: 1, indexType: 1, length: 0 },
  struct("flexible", 8, member("n", 1, 0), member("rest", 10, 8)),
  struct("outer__safe_trusted", 8, member("next", 5, 0)),
);
const OUTER = 4;

describe("walks through structures", () => {
  it.each<[string, number, number, string]>([
    ["a member of the first member", 0, 4, "scalar"],
    ["two ints at once are more than the member", 0, 8, "beyond the end of member a"],
    ["an element of an array", 12, 4, "scalar"],
    ["two elements, inside of the array", 8, 8, "scalar"],
    ["beyond the array", 16, 8, "beyond the end of member numbers"],
    ["a bit-field", 20, 4, "scalar"],
    ["a pointer", 24, 8, "pointer 3 0"],
    [
      "half of a pointer",
      24,
      4,
      "cannot access ptr member next with moff 24 in struct outer with off 24 size 4",
    ],
    ["a pointer with a tag", 32, 8, `pointer 3 ${TypeFlag.MEM_RCU}`],
    ["a pointer in a union", 40, 8, `pointer 3 ${TypeFlag.PTR_UNTRUSTED}`],
    ["a void pointer", 48, 8, "untrusted"],
    ["a hole", 60, 4, "struct outer doesn't have field at offset 60"],
    ["the end", 72, 1, "access beyond struct outer at off 72 size 1"],
  ])("%s", (_, off, size, want) => {
    const found = accessStruct(KERNEL, OUTER, off, size, false);
    const text = found.kind === "error" ? found.message : found.kind;
    expect(found.kind === "pointer" ? `pointer ${found.type} ${found.flags}` : text).toContain(want);
  });

  it("a last array without length goes on, unless the object is the program's", () => {
    expect(accessStruct(KERNEL, 11, 400, 4, false).kind).toBe("scalar");
    expect(accessStruct(KERNEL, 11, 400, 4, true).kind).toBe("error");
  });

  it("pointers in an object of the program's are numbers, void pointers untrusted memory", () => {
    expect(accessStruct(KERNEL, OUTER, 24, 8, true).kind).toBe("scalar");
    expect(accessStruct(KERNEL, OUTER, 48, 8, true).kind).toBe("untrusted");
  });

  it("a pointer to a structure is one to its first member", () => {
    expect(structContains(KERNEL, OUTER, 0, KERNEL, 3, false, true)).toBe(true);
    expect(structContains(KERNEL, OUTER, 0, KERNEL, 3, true, true)).toBe(false);
    expect(structContains(KERNEL, OUTER, 8, KERNEL, 3, false, true)).toBe(false);
  });

  it("the kernel's own lists say which fields stay trusted", () => {
    const index = new BtfIndex(KERNEL);
    expect(isSafeField(index, OUTER, "next", 3, "__safe_trusted")).toBe(true);
    expect(isSafeField(index, OUTER, "guarded", 3, "__safe_trusted")).toBe(false);
    expect(isSafeField(index, OUTER, "next", 3, "__safe_rcu")).toBe(false);
  });

  it("types that contain themselves end", () => {
    const endless = btfOf({ kind: "typedef", name: "t", type: 1 }, struct("s", 8, member("m", 1, 0)));
    expect(resolveSize(endless, 1)).toBeUndefined();
    expect(accessStruct(endless, 2, 0, 4, false).kind).toBe("error");
  });
});

// 1 int  2 bpf_spin_lock  3 bpf_timer  4 task_struct  5 tag kptr  6 kptr*  7 value  8 bpf_list_node  9 elem  10 bpf_list_head
// 11 root  12 contains  13 two locks  14 kptr*[2]  15 array of kptrs
const PROGRAM = btfOf(
  { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding: INT },
  struct("bpf_spin_lock", 4, member("val", 1, 0)),
  struct("bpf_timer", 16),
  struct("task_struct", 4, member("pid", 1, 0)),
  { kind: "type_tag", name: "kptr", type: 4, kindFlag: false },
  { kind: "ptr", name: "", type: 5 },
  struct("value", 32, member("lock", 2, 0), member("timer", 3, 8), member("task", 6, 24)),
  struct("bpf_list_node", 24),
  struct("elem", 32, member("data", 1, 0), member("node", 8, 8)),
  struct("bpf_list_head", 16),
  struct("root", 24, member("lock", 2, 0), member("head", 10, 8)),
  { kind: "decl_tag", name: "contains:elem:node", type: 11, componentIndex: 1, kindFlag: false },
  struct("two", 8, member("a", 2, 0), member("b", 2, 4)),
  { kind: "array", name: "", type: 6, indexType: 1, length: 2 },
  struct("kptrs", 16, member("tasks", 14, 0)),
);

describe("special fields", () => {
  it("lock, timer and kptr of a map's value", () => {
    const kernel = btfOf(struct("other", 8), struct("task_struct", 9000));
    const record = recordOfValue(PROGRAM, 7, 32, [new BtfIndex(kernel)]);
    expect(record?.fields).toEqual([
      { kind: "spinLock", offset: 0, size: 4 },
      { kind: "timer", offset: 8, size: 16 },
      { kind: "kptrRef", offset: 24, size: 8, kptr: { btf: 0, type: 2 } },
    ]);
    expect(record?.spinLock).toBe(0);
    expect(record?.timer).toBe(8);
    expect(record?.refcount).toBe(-1);
  });

  it("a kptr to a type the kernel does not know is one of the program's own", () => {
    expect(recordOfValue(PROGRAM, 7, 32, [])?.fields[2].kptr).toEqual({ btf: 1, type: 4 });
  });

  it("a list head names its elements", () => {
    const root = recordOfValue(PROGRAM, 11, 24, [])?.fields[1];
    expect(root).toMatchObject({ kind: "listHead", offset: 8, root: { valueType: 9, nodeOffset: 8 } });
  });

  it("objects may hold nodes, map values may not", () => {
    expect(recordOfObject(PROGRAM, 9, [])?.fields).toEqual([{ kind: "listNode", offset: 8, size: 24 }]);
    expect(recordOfValue(PROGRAM, 9, 32, [])).toBeUndefined();
    expect(recordOfObject(PROGRAM, 4, [])).toBeUndefined();
  });

  it("arrays of kptrs repeat, two locks are refused", () => {
    expect(recordOfValue(PROGRAM, 15, 16, [])?.fields.map(({ offset }) => offset)).toEqual([0, 8]);
    expect(recordOfValue(PROGRAM, 13, 8, [])).toBeUndefined();
  });
});

describe("context rules", () => {
  it.each([
    ["BPF_PROG_TYPE_XDP", undefined, 0, 4, RegType.PTR_TO_PACKET],
    ["BPF_PROG_TYPE_XDP", undefined, 4, 4, RegType.PTR_TO_PACKET_END],
    ["BPF_PROG_TYPE_XDP", undefined, 0, 8, "refused"],
    ["BPF_PROG_TYPE_XDP", undefined, 12, 4, "scalar"],
    ["BPF_PROG_TYPE_XDP", undefined, -4, 4, "refused"],
    ["BPF_PROG_TYPE_SCHED_CLS", undefined, 168, 8, RegType.PTR_TO_SOCK_COMMON | TypeFlag.PTR_MAYBE_NULL],
    ["BPF_PROG_TYPE_SK_LOOKUP", "BPF_SK_LOOKUP", 0, 8, RegType.PTR_TO_SOCKET | TypeFlag.PTR_MAYBE_NULL],
    ["BPF_PROG_TYPE_FLOW_DISSECTOR", "BPF_FLOW_DISSECTOR", 144, 8, RegType.PTR_TO_FLOW_KEYS],
    ["BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", undefined, 0, 8, RegType.PTR_TO_TP_BUFFER],
    ["BPF_PROG_TYPE_CGROUP_SOCKOPT", "BPF_CGROUP_GETSOCKOPT", 0, 8, RegType.PTR_TO_SOCKET],
  ] as const)("%s %s: %i bytes at %i", (type, attach, off, size, want) => {
    const found = new ContextRules(type, attach, true).read(off, size, false);
    expect(typeof found === "string" ? found : found.type).toBe(want);
  });

  it("sign-extending loads give no pointers", () => {
    expect(new ContextRules("BPF_PROG_TYPE_XDP", undefined, true).read(0, 4, true)).toBe("refused");
  });

  it("packets of cgroup_skb need CAP_BPF", () => {
    const attach = "BPF_CGROUP_INET_INGRESS";
    expect(new ContextRules("BPF_PROG_TYPE_CGROUP_SKB", attach, true).read(76, 4, false)).not.toBe("refused");
    expect(new ContextRules("BPF_PROG_TYPE_CGROUP_SKB", attach, false).read(76, 4, false)).toBe("refused");
  });
});

describe("socket fields", () => {
  it.each([
    [RegType.PTR_TO_SOCKET, 8, 4, true], // type
    [RegType.PTR_TO_SOCK_COMMON, 8, 4, false],
    [RegType.PTR_TO_SOCKET, 24, 1, true], // src_ip4
    [RegType.PTR_TO_SOCKET, 25, 2, false],
    [RegType.PTR_TO_SOCKET, 48, 2, true], // dst_port
    [RegType.PTR_TO_SOCKET, 48, 4, true],
    [RegType.PTR_TO_SOCKET, 50, 2, false],
    [RegType.PTR_TO_SOCKET, 80, 4, false],
    [RegType.PTR_TO_TCP_SOCK, 80, 8, true], // bytes_received
    [RegType.PTR_TO_TCP_SOCK, 80, 4, false],
    [RegType.PTR_TO_XDP_SOCK, 0, 4, true],
    [RegType.PTR_TO_XDP_SOCK, 4, 4, false],
  ])("type %i, offset %i, %i bytes: %s", (type, off, size, want) =>
    expect(maySocketRead(type, off, size)).toBe(want),
  );
});
