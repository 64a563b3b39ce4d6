import { describe, expect, it } from "vitest";
import { BpfError, fromHex } from "../base/index.ts";
import type { Btf, CoreRelocation } from "../btf/index.ts";
import { openEmbeddedKernel } from "./embedded-kernel.ts";
import { mapSpec, specOf, specOfAll } from "./spec.fixture.ts";

const data = new Uint8Array(14);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

const INT = {
  kind: "int",
  name: "int",
  size: 4,
  bits: 32,
  bitOffset: 0,
  encoding: { signed: true, char: false, bool: false },
} as const;
const member = (name: string, bitOffset: number) => ({ name, type: 1, bitOffset, bitSize: 0 });
const btf = (...names: string[]): Btf => ({
  types: [
    { kind: "void", name: "" },
    INT,
    {
      kind: "struct",
      name: "s",
      size: 4 * names.length,
      kindFlag: false,
      members: names.map((name, i) => member(name, 32 * i)),
    },
  ],
  baseCount: 0,
});
const fieldOf = (insn: number, access: string): CoreRelocation => ({
  section: "xdp",
  insn,
  type: 2,
  access,
  kind: "field_byte_offset",
});

describe("CO-RE at load", () => {
  it("takes the target's offsets", async () => {
    using kernel = await openEmbeddedKernel();
    const program = { text: "r0 = 0; exit", coreRelocations: [fieldOf(0, "0:0")] };
    using collection = await kernel.load(specOf(program, [], btf("a")), { targetBtf: btf("x", "y", "a") });
    expect(collection.programs.get("prog")!.run({ data }).retval).toBe(8);
  });
  it("takes the object's own types when there is no target", async () => {
    using kernel = await openEmbeddedKernel();
    const program = { text: "r0 = 4; exit", coreRelocations: [fieldOf(0, "0:1")] };
    using collection = await kernel.load(specOf(program, [], btf("a", "b")));
    expect(collection.programs.get("prog")!.run({ data }).retval).toBe(4);
  });
  it("a field that is missing is an error only when the program gets there", async () => {
    using kernel = await openEmbeddedKernel();
    const options = { targetBtf: btf("b") };
    const dead = { text: "r0 = 2; goto +1; r2 = 0; exit", coreRelocations: [fieldOf(2, "0:0")] };
    using fine = await kernel.load(specOf(dead, [], btf("a")), options);
    expect(fine.programs.get("prog")!.run({ data }).retval).toBe(2);
    const live = { text: "r0 = 0; exit", coreRelocations: [fieldOf(0, "0:0")] };
    using bad = await kernel.load(specOf(live, [], btf("a")), options);
    expect(() => bad.programs.get("prog")!.run({ data })).toThrow(
      expect.objectContaining({
        code: "runtime/unresolved",
        insn: 0,
        message: expect.stringContaining("struct s.a"),
      }),
    );
  });
});

describe("tail calls", () => {
  const slots = mapSpec("jumps", {
    type: "BPF_MAP_TYPE_PROG_ARRAY",
    valueSize: 4,
    maxEntries: 3,
    values: [
      { key: 1, program: "second" },
      { key: 2, program: "again" },
    ],
  });
  const jump = (index: number) => `r2 = jumps ll; r3 = ${index}; call 12;`;
  const counting =
    "*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r6 = r1; r1 = values ll; call 1; r1 = 1; lock *(u64 *)(r0 + 0) += r1; r1 = r6;";
  const programs = [
    { name: "first", text: `${jump(1)} r0 = 1; exit` },
    { name: "second", text: "r0 = *(u32 *)(r1 + 4); r1 = *(u32 *)(r1 + 0); r0 -= r1; exit" },
    { name: "empty", text: `${jump(0)} r0 = 3; exit` },
    { name: "beyond", text: `${jump(9)} r0 = 4; exit` },
    { name: "again", text: `${counting} ${jump(2)} r0 = 5; exit` },
    { name: "keeps", text: `r6 = 1; ${jump(1)} r0 = r6; exit` },
  ];
  it.each([
    ["first", 14, "the context is in r1 of the next program"],
    ["empty", 3, "an empty slot falls through"],
    ["beyond", 4, "so does an index past the end"],
    ["again", 5, "and the 34th call"],
  ])("%s returns %i: %s", async (name, retval) => {
    using kernel = await openEmbeddedKernel();
    using collection = await kernel.load(specOfAll(programs, [mapSpec("values"), slots]));
    expect(collection.programs.get(name)!.run({ data }).retval).toBe(retval);
    if (name === "again")
      expect(collection.maps.get("values")!.lookup(u32(0))).toEqual(fromHex("2200000000000000"));
  });
});

it("load is all or nothing: a program that cannot be loaded leaves no memory behind", async () => {
  using kernel = await openEmbeddedKernel();
  const good = { name: "good", text: "r0 = 0; exit" };
  (await kernel.load(specOfAll([good])))[Symbol.dispose]();
  const before = kernel.usedBytes;
  await expect(kernel.load(specOfAll([good, { name: "bad", text: "call 9999; exit" }]))).rejects.toThrow(
    BpfError,
  );
  expect(kernel.usedBytes).toBe(before);
  (await kernel.load(specOfAll([good])))[Symbol.dispose]();
  expect(kernel.usedBytes).toBe(before);
});

it("loads only the programs that are asked for", async () => {
  using kernel = await openEmbeddedKernel();
  const spec = specOfAll([
    { name: "good", text: "r0 = 0; exit" },
    { name: "bad", text: "call 9999; exit" },
  ]);
  using collection = await kernel.load(spec, { programs: ["good"] });
  expect([...collection.programs.keys()]).toEqual(["good"]);
  await expect(kernel.load(spec, { programs: ["none"] })).rejects.toMatchObject({
    code: "runtime/no-such-program",
    hint: "there are: good, bad",
  });
});

it("maxEntries replaces a map's size", async () => {
  using kernel = await openEmbeddedKernel();
  using collection = await kernel.load(specOf({ text: "r0 = 0; exit" }), { maxEntries: { values: 7 } });
  expect([...collection.maps.get("values")!.entries()]).toHaveLength(7);
});

it("repeats share packet and budget, and count their instructions", async () => {
  using kernel = await openEmbeddedKernel();
  using collection = await kernel.load(
    specOf({
      text: "r2 = *(u32 *)(r1 + 0); r3 = 1; r0 = *(u8 *)(r2 + 0); r0 += 1; *(u8 *)(r2 + 0) = r0; exit",
    }),
  );
  const program = collection.programs.get("prog")!;
  const result = program.run({ data, repeat: 5 });
  expect({ retval: result.retval, first: result.data![0], insns: result.insns }).toEqual({
    retval: 5,
    first: 5,
    insns: 30,
  });
  expect(() => program.run({ data, repeat: 5, maxInsns: 29 })).toThrow(
    expect.objectContaining({ code: "runtime/budget" }),
  );
});

it.each([
  [{ cpu: 1 }, "ENXIO"],
  [{ repeat: 0 }, "EINVAL"],
  [{ repeat: 1.5 }, "EINVAL"],
])("run refuses %j with %s", async (input, errno) => {
  using kernel = await openEmbeddedKernel();
  using collection = await kernel.load(specOf({ text: "r0 = 0; exit" }));
  expect(() => collection.programs.get("prog")!.run({ data, ...input })).toThrow(
    expect.objectContaining({ errno }),
  );
});

it("a closed program says so", async () => {
  using kernel = await openEmbeddedKernel();
  const collection = await kernel.load(specOf({ text: "r0 = 0; exit" }));
  const program = collection.programs.get("prog")!;
  collection[Symbol.dispose]();
  expect(() => program.run({ data })).toThrow(expect.objectContaining({ code: "runtime/closed" }));
});

it("map pointers give the members of struct bpf_map that the target's BTF lays out", async () => {
  using kernel = await openEmbeddedKernel();
  const types: Btf = {
    types: [
      { kind: "void", name: "" },
      INT,
      {
        kind: "struct",
        name: "bpf_map",
        size: 12,
        kindFlag: false,
        members: ["ops", "value_size", "max_entries"].map((name, i) => member(name, 32 * i)),
      },
    ],
    baseCount: 0,
  };
  const text =
    "r1 = values ll; r0 = *(u32 *)(r1 + 4); r0 <<= 8; r2 = *(u32 *)(r1 + 8); r0 |= r2; r2 = *(u32 *)(r1 + 0); r0 += r2; exit";
  using collection = await kernel.load(specOf({ text }, [mapSpec("values", { maxEntries: 5 })], types));
  expect(collection.programs.get("prog")!.run({ data }).retval).toBe(0x805);
});

it("a map whose size is left to the loader says how to give it", async () => {
  using kernel = await openEmbeddedKernel();
  const spec = specOf({ text: "r0 = 0; exit" }, [mapSpec("open", { maxEntries: 0 })]);
  await expect(kernel.load(spec)).rejects.toMatchObject({
    code: "runtime/map-create",
    errno: "EINVAL",
    hint: expect.stringContaining('maxEntries: { "open"'),
  });
});
