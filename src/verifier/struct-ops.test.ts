import { describe, expect, it } from "vitest";
import { BtfBuilder } from "../btf/index.ts";
import { assemble } from "../isa/index.ts";
import { type Verdict, Verifier } from "./index.ts";

// A kernel with queueing disciplines in small: `enqueue` is handed a packet it must give up, `dequeue` may return one.
const builder = new BtfBuilder();
const int = builder.int("int", 4);
const long = builder.int("long unsigned int", 8);
const byte = builder.int("unsigned char", 1);
const bytes = (count: number) =>
  builder.add({ kind: "array", name: "", type: byte, indexType: int, length: count });
const struct = (name: string, size: number, members: readonly [name: string, type: number, at: number][]) =>
  builder.add({
    kind: "struct",
    name,
    size,
    kindFlag: false,
    members: members.map(([member, type, at]) => ({ name: member, type, bitOffset: 8 * at, bitSize: 0 })),
  });
const pointer = (type: number) => builder.add({ kind: "ptr", name: "", type });
const func = (name: string, type: number) => builder.add({ kind: "func", name, type, linkage: "static" });
const proto = (type: number, params: readonly [name: string, type: number][]) =>
  builder.add({
    kind: "func_proto",
    name: "",
    type,
    params: params.map(([name, at]) => ({ name, type: at })),
  });

const skb = pointer(
  struct("sk_buff", 64, [
    ["len", long, 0],
    ["tstamp", long, 8],
    ["cb", bytes(48), 16],
  ]),
);
struct("qdisc_skb_cb", 28, [["data", bytes(20), 8]]);
struct("bpf_sk_buff_ptr", 8, [["skb", skb, 0]]);
const head = struct("qdisc_skb_head", 8, [["qlen", int, 4]]);
const qdisc = pointer(
  struct("Qdisc", 32, [
    ["flags", int, 0],
    ["limit", int, 4],
    ["q", head, 8],
    ["qstats", bytes(8), 16],
  ]),
);
const enqueue = proto(int, [
  ["skb", skb],
  ["sch", qdisc],
  ["to_free", pointer(skb)],
]);
const dequeue = proto(skb, [["sch", qdisc]]);
func(
  "Qdisc_ops__enqueue",
  proto(int, [
    ["skb__ref", skb],
    ["sch", qdisc],
    ["to_free", pointer(skb)],
  ]),
);
func("Qdisc_ops__dequeue", dequeue);
const ops = struct("Qdisc_ops", 16, [
  ["enqueue", pointer(enqueue), 0],
  ["dequeue", pointer(dequeue), 8],
]);
const kernelBtf = builder.build();

function verdictOf(member: number, code: string): Verdict {
  return new Verifier().verify({
    name: "test",
    type: "BPF_PROG_TYPE_STRUCT_OPS",
    attachType: undefined,
    insns: assemble(code).bytes,
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf,
    attachBtfId: ops,
    structOpsMember: member,
  });
}

const ENQUEUE = 0;
const DEQUEUE = 1;
const REST = "r0 = 0x0\nexit";

// No kernel at hand has this structure: what is wanted here is read in net/sched/bpf_qdisc.c and verifier.c of v6.18.
describe("struct_ops programs", () => {
  it.each([
    {
      name: "a packet that is not given up",
      member: ENQUEUE,
      code: `r2 = *(u64 *)(r1 + 0x0)\n${REST}`,
      want: "BPF_EXIT instruction in main prog would lead to reference leak",
    },
    { name: "nothing to give back", member: DEQUEUE, code: REST, want: "accepted" },
    {
      name: "a number in a packet's place",
      member: DEQUEUE,
      code: "r0 = 0x1\nexit",
      want: "At program exit the register R0 has smin=1 smax=1 should have been in [0, 0]",
    },
    {
      name: "an object that is not held",
      member: DEQUEUE,
      code: "r0 = *(u64 *)(r1 + 0x0)\nexit",
      want: "At program exit the register R0 is not a known value (trusted_ptr_)",
    },
    {
      name: "a store into the limit",
      member: DEQUEUE,
      code: `r2 = *(u64 *)(r1 + 0x0)\nr3 = 0x1\n*(u32 *)(r2 + 0x4) = r3\n*(u32 *)(r2 + 0xc) = r3\n${REST}`,
      want: "accepted",
    },
    {
      name: "a store into the flags",
      member: DEQUEUE,
      code: `r2 = *(u64 *)(r1 + 0x0)\nr3 = 0x1\n*(u32 *)(r2 + 0x0) = r3\n${REST}`,
      want: "no write support to Qdisc at off 0",
    },
    {
      name: "a store beyond the limit",
      member: DEQUEUE,
      code: `r2 = *(u64 *)(r1 + 0x0)\nr3 = 0x1\n*(u64 *)(r2 + 0x4) = r3\n${REST}`,
      want: "write access at off 4 with size 8 beyond the member of Qdisc ended at 8",
    },
    {
      name: "a store behind the control block's part",
      member: ENQUEUE,
      code: `r2 = *(u64 *)(r1 + 0x0)\nr3 = 0x1\n*(u8 *)(r2 + 0x2b) = r3\n*(u8 *)(r2 + 0x2c) = r3\n${REST}`,
      want: "no write support to sk_buff at off 44",
    },
  ])("$name", ({ member, code, want }) => {
    const verdict = verdictOf(member, code);
    expect(verdict.verdict === "rejected" ? verdict.error.message : verdict.verdict).toBe(want);
  });
});
