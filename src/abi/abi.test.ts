import { describe, expect, it } from "vitest";
import {
  ARG_TYPES,
  ATTACH_TYPE_SINCE,
  ATTACH_TYPES,
  type AttachTypeName,
  compareKernelVersions,
  contextOf,
  ERRNO,
  errnoName,
  HELPERS,
  type HelperName,
  helperArgs,
  helperById,
  helperRow,
  helpersOf,
  MAP_TYPES,
  PROGRAM_TYPES,
  type ProgramTypeName,
  programTypeRow,
  sizeAllowed,
  verdictName,
} from "./index.ts";

const helperNames = Object.keys(HELPERS) as HelperName[];
const programTypes = Object.keys(PROGRAM_TYPES) as ProgramTypeName[];

describe("helpers", () => {
  it("has 211 of them, ids without gaps", () =>
    expect(helperNames.map((name) => HELPERS[name].id)).toEqual(
      Array.from({ length: 211 }, (_, i) => i + 1),
    ));

  it("kernel versions never go back as ids rise", () => {
    for (let i = 1; i < helperNames.length; i++) {
      const [before, now] = [HELPERS[helperNames[i - 1]], HELPERS[helperNames[i]]];
      expect(
        compareKernelVersions(before.since, now.since),
        `${helperNames[i]} ${now.since}`,
      ).toBeLessThanOrEqual(0);
    }
  });

  it("memory without a size of its own is followed by a size", () => {
    for (const name of helperNames) {
      const { args } = helperRow(name);
      args.forEach((arg, i) => {
        const row = ARG_TYPES[arg];
        if (row.kind === "memory" && !("size" in row))
          expect(ARG_TYPES[args[i + 1]]?.kind, name).toBe("size");
      });
    }
  });

  it.each([
    { name: "map_lookup_elem", args: ["CONST_MAP_PTR", "PTR_TO_MAP_KEY"], ret: "PTR_TO_MAP_VALUE_OR_NULL" },
    {
      name: "probe_read_kernel",
      args: ["PTR_TO_UNINIT_MEM", "CONST_SIZE_OR_ZERO", "ANYTHING"],
      ret: "INTEGER",
    },
    { name: "ringbuf_submit", args: ["PTR_TO_RINGBUF_MEM", "ANYTHING"], ret: "VOID" },
    { name: "map_pop_elem", args: ["CONST_MAP_PTR", "PTR_TO_UNINIT_MAP_VALUE"], ret: "INTEGER" },
  ] as const)("$name", ({ name, args, ret }) => {
    expect(HELPERS[name].args).toEqual(args);
    expect(HELPERS[name].ret).toBe(ret);
  });

  it("gives program types their own argument types", () => {
    expect(helperArgs("sk_assign", "BPF_PROG_TYPE_SK_LOOKUP")[1]).toBe("PTR_TO_SOCKET_OR_NULL");
    expect(helperArgs("sk_assign", "BPF_PROG_TYPE_SCHED_CLS")[1]).toBe("PTR_TO_BTF_ID_SOCK_COMMON");
  });

  it("finds helpers by id", () => {
    expect(helperById(44)).toBe("xdp_adjust_head");
    expect(helperById(212)).toBeUndefined();
  });

  it("knows who may call what", () => {
    expect(helpersOf("BPF_PROG_TYPE_XDP")?.has("xdp_adjust_head")).toBe(true);
    expect(helpersOf("BPF_PROG_TYPE_XDP")?.has("skb_load_bytes")).toBe(false);
    expect(helpersOf("BPF_PROG_TYPE_SCHED_CLS")?.has("skb_load_bytes")).toBe(true);
    expect(helpersOf("BPF_PROG_TYPE_LSM")).toBeUndefined();
  });
});

describe("contexts", () => {
  it.each([
    { type: "BPF_PROG_TYPE_XDP", attach: undefined, off: 0, size: 4, read: true, write: false },
    { type: "BPF_PROG_TYPE_XDP", attach: undefined, off: 0, size: 8, read: false, write: false },
    { type: "BPF_PROG_TYPE_XDP", attach: undefined, off: 20, size: 4, read: false, write: false },
    { type: "BPF_PROG_TYPE_XDP", attach: "BPF_XDP_DEVMAP", off: 20, size: 4, read: true, write: false },
    { type: "BPF_PROG_TYPE_SCHED_CLS", attach: undefined, off: 8, size: 4, read: true, write: true },
    { type: "BPF_PROG_TYPE_SCHED_CLS", attach: undefined, off: 48, size: 1, read: true, write: true },
    { type: "BPF_PROG_TYPE_SCHED_CLS", attach: undefined, off: 76, size: 2, read: false, write: false },
    { type: "BPF_PROG_TYPE_SOCKET_FILTER", attach: undefined, off: 76, size: 4, read: false, write: false },
    { type: "BPF_PROG_TYPE_TRACEPOINT", attach: undefined, off: 0, size: 8, read: false, write: false },
    { type: "BPF_PROG_TYPE_TRACEPOINT", attach: undefined, off: 1000, size: 8, read: true, write: false },
    { type: "BPF_PROG_TYPE_SYSCALL", attach: undefined, off: 4096, size: 4, read: true, write: true },
    { type: "BPF_PROG_TYPE_KPROBE", attach: undefined, off: 168, size: 8, read: false, write: false },
  ] as const)("$type $attach: $size bytes at $off", ({ type, attach, off, size, read, write }) => {
    const context = contextOf(type, attach);
    expect([context.mayRead(off, size), context.mayWrite(off, size)]).toEqual([read, write]);
  });

  it("every type has one; fields lie inside and do not end past the structure", () => {
    for (const type of programTypes) {
      const context = contextOf(type);
      expect(context.struct, type).toBe(programTypeRow(type).context);
      for (const field of context.fields)
        expect(field.offset + field.size * (field.count ?? 1), `${type} ${field.name}`).toBeLessThanOrEqual(
          context.size,
        );
    }
  });

  it("pointer fields are readable at their full size", () => {
    const context = contextOf("BPF_PROG_TYPE_SCHED_CLS");
    const pointers = context.fields.filter((field) => field.kind !== "scalar" && field.kind !== "flow_keys");
    expect(pointers.map((field) => field.name)).toEqual(["data", "data_end", "data_meta", "sk"]);
    for (const field of pointers) expect(context.mayRead(field.offset, field.size), field.name).toBe(true);
  });

  it("knows the return values the verifier accepts", () => {
    expect(contextOf("BPF_PROG_TYPE_CGROUP_SKB", "BPF_CGROUP_INET_EGRESS").returns).toEqual([0, 3]);
    expect(contextOf("BPF_PROG_TYPE_XDP").returns).toBeUndefined();
  });
});

describe("names", () => {
  it.each([
    { type: "BPF_PROG_TYPE_XDP", retval: 2, name: "XDP_PASS" },
    { type: "BPF_PROG_TYPE_XDP", retval: 77, name: "77" },
    { type: "BPF_PROG_TYPE_SCHED_CLS", retval: 0xffffffff, name: "TC_ACT_UNSPEC" },
    { type: "BPF_PROG_TYPE_SCHED_CLS", retval: 2, name: "TC_ACT_SHOT" },
    { type: "BPF_PROG_TYPE_SOCKET_FILTER", retval: 64, name: "KEEP" },
    { type: "BPF_PROG_TYPE_SOCKET_FILTER", retval: 0, name: "DROP" },
    { type: "BPF_PROG_TYPE_KPROBE", retval: 0xfffffffe, name: "-2" },
  ] as const)("verdict $retval of $type is $name", ({ type, retval, name }) =>
    expect(verdictName(type, retval)).toBe(name),
  );

  it("errno both ways", () => {
    expect(ERRNO.ENOENT).toBe(2);
    expect(errnoName(-2)).toBe("ENOENT");
    expect(errnoName(524)).toBe("ENOTSUPP");
    expect(errnoName(9999)).toBeUndefined();
  });
});

describe("map and attach types", () => {
  it("ids are those of the enum, without gaps", () => {
    expect(Object.values(MAP_TYPES).map((row) => row.id)).toEqual(
      Array.from({ length: 33 }, (_, i) => i + 1),
    );
    expect(Object.values(PROGRAM_TYPES).map((row) => row.id)).toEqual(
      Array.from({ length: 32 }, (_, i) => i + 1),
    );
    expect(Object.values(ATTACH_TYPES)).toEqual(Array.from({ length: 58 }, (_, i) => i));
  });

  it("no attach type is older than its predecessor's kernel by mistake", () => {
    const names = Object.keys(ATTACH_TYPES) as AttachTypeName[];
    for (let i = 1; i < names.length; i++)
      expect(
        compareKernelVersions(ATTACH_TYPE_SINCE[names[i - 1]], ATTACH_TYPE_SINCE[names[i]]),
        names[i],
      ).toBeLessThanOrEqual(0);
  });

  it.each([
    { rule: "any", size: 0, ok: false },
    { rule: "any", size: 7, ok: true },
    { rule: 4, size: 8, ok: false },
    { rule: [4, 8], size: 8, ok: true },
    { rule: { min: 5, max: 260 }, size: 261, ok: false },
    { rule: { min: 8, multipleOf: 8 }, size: 12, ok: false },
  ] as const)("size rule $rule, $size: $ok", ({ rule, size, ok }) =>
    expect(sizeAllowed(rule, size)).toBe(ok),
  );
});
