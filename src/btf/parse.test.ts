import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { elfSections } from "./elf-sections.fixture.ts";
import {
  alignOf,
  type Btf,
  BtfBuilder,
  type BtfExt,
  BtfIndex,
  BtfStringTable,
  type BtfType,
  checkBtf,
  essentialName,
  findMember,
  formatBtfC,
  formatBtfRaw,
  formatDeclaration,
  parseBtf,
  parseBtfExt,
  prototypeOf,
  resolveType,
  sizeOf,
  skipModifiers,
  trySizeOf,
  writeBtf,
  writeBtfExt,
} from "./index.ts";

const fixture = (path: string): Map<string, Uint8Array> =>
  elfSections(new Uint8Array(readFileSync(new URL(`../../fixtures/${path}`, import.meta.url))));
const reader = fixture("core/reader.bpf.o");
const moved = fixture("core/kernel-moved.bpf.o");
const get = (sections: Map<string, Uint8Array>, name: string): Uint8Array => {
  const bytes = sections.get(name);
  if (bytes === undefined) throw new Error(`no ${name}`);
  return bytes;
};

const INT = {
  kind: "int",
  name: "int",
  size: 4,
  bits: 32,
  bitOffset: 0,
  encoding: { signed: true, char: false, bool: false },
} as const;
const member = (name: string, type: number, bitOffset = 0, bitSize = 0) => ({
  name,
  type,
  bitOffset,
  bitSize,
});

/** One type of each of the 19 kinds. */
const EVERY_KIND: readonly BtfType[] = [
  { kind: "void", name: "" },
  INT,
  { kind: "ptr", name: "", type: 4 },
  { kind: "array", name: "", type: 1, indexType: 1, length: 3 },
  {
    kind: "struct",
    name: "s",
    size: 24,
    kindFlag: true,
    members: [member("a", 2), member("b", 3, 64), member("c", 1, 160, 7)],
  },
  { kind: "union", name: "u", size: 4, kindFlag: false, members: [member("x", 1), member("y", 16)] },
  {
    kind: "enum",
    name: "e",
    size: 4,
    signed: true,
    values: [
      { name: "MINUS", value: -1 },
      { name: "ONE", value: 1 },
    ],
  },
  { kind: "fwd", name: "later", union: true },
  { kind: "typedef", name: "s_t", type: 9 },
  { kind: "volatile", name: "", type: 10 },
  { kind: "const", name: "", type: 4 },
  { kind: "restrict", name: "", type: 2 },
  { kind: "func", name: "f", type: 13, linkage: "global" },
  {
    kind: "func_proto",
    name: "",
    type: 1,
    params: [
      { name: "p", type: 11 },
      { name: "", type: 0 },
    ],
  },
  { kind: "var", name: "v", type: 1, linkage: "extern" },
  { kind: "datasec", name: ".data", size: 4, vars: [{ type: 14, offset: 0, size: 4 }] },
  { kind: "float", name: "float", size: 4 },
  { kind: "decl_tag", name: "tagged", type: 4, componentIndex: 1, kindFlag: false },
  { kind: "type_tag", name: "user", type: 4, kindFlag: true },
  {
    kind: "enum64",
    name: "e64",
    size: 8,
    signed: false,
    values: [{ name: "BIG", value: 0xffff_ffff_0000_0001n }],
  },
];
const everyKind: Btf = { types: EVERY_KIND, baseCount: 0 };

describe("parseBtf", () => {
  it.each(["little", "big"] as const)("reads every kind, %s endian", (byteOrder) => {
    expect(parseBtf(writeBtf(everyKind, { byteOrder }))).toEqual(everyKind);
  });

  it("reads what clang wrote", () => {
    const btf = parseBtf(get(moved, ".BTF"));
    const worker = new BtfIndex(btf).find("worker", "struct") ?? 0;
    expect(sizeOf(btf, worker)).toBe(88);
    expect(findMember(btf, worker, "delta")).toMatchObject({ bitOffset: 394, bitSize: 11 });
  });

  it("keeps the string section out of the data", () => {
    const btf = parseBtf(writeBtf(everyKind));
    expect(btf.strings?.get(0)).toBe("");
    expect(Object.keys(btf)).toEqual(["types", "baseCount"]);
  });

  it("reads a split BTF on its base", () => {
    const base = parseBtf(writeBtf(everyKind));
    const builder = new BtfBuilder(base);
    const id = builder.add({
      kind: "struct",
      name: "s",
      size: 4,
      kindFlag: false,
      members: [member("own", 1)],
    });
    const split = builder.build();
    const bytes = writeBtf(split, { strings: new BtfStringTable(base) });
    const read = parseBtf(bytes, { base });
    expect(read).toEqual(split);
    expect(read.baseCount).toBe(EVERY_KIND.length);
    expect(formatBtfRaw(read)).toBe(`[${id}] STRUCT 's' size=4 vlen=1\n\t'own' type_id=1 bits_offset=0\n`);
    // "s" is the base's string, "own" is new.
    expect(bytes.length).toBe(24 + 12 + 12 + 4);
    expect(() => parseBtf(bytes)).toThrow(BpfError);
  });

  it("reads longer headers", () => {
    const bytes = writeBtf(everyKind);
    const longer = new Uint8Array(bytes.length + 8);
    longer.set(bytes.subarray(0, 24));
    longer.set(bytes.subarray(24), 32);
    longer[4] = 32;
    expect(parseBtf(longer)).toEqual(everyKind);
  });

  it("reads a view into a bigger buffer", () => {
    const bytes = writeBtf(everyKind);
    const bigger = new Uint8Array(bytes.length + 20);
    bigger.set(bytes, 12);
    expect(parseBtf(bigger.subarray(12, 12 + bytes.length))).toEqual(everyKind);
  });
});

/** `bytes` with a u32 changed. */
function poke(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
}
const ints = writeBtf({ types: [{ kind: "void", name: "" }, INT], baseCount: 0 });
const build = (...types: BtfType[]): Uint8Array =>
  writeBtf({ types: [{ kind: "void", name: "" }, ...types], baseCount: 0 });

describe("parseBtf refuses", () => {
  it.each<{ what: string; bytes: Uint8Array; code: string; offset?: number }>([
    { what: "nothing", bytes: new Uint8Array(0), code: "btf/truncated", offset: 0 },
    { what: "a wrong magic", bytes: poke(ints, 0, 0x1234), code: "btf/bad-magic", offset: 0 },
    { what: "version 2", bytes: poke(ints, 0, 0x0002_eb9f), code: "btf/bad-header", offset: 2 },
    { what: "flags", bytes: poke(ints, 0, 0x0101_eb9f), code: "btf/bad-header", offset: 3 },
    { what: "a header too short", bytes: poke(ints, 4, 20), code: "btf/bad-header", offset: 4 },
    { what: "a header beyond the end", bytes: poke(ints, 4, 0x7fff_fffc), code: "btf/bad-header", offset: 4 },
    {
      what: "a type section beyond the end",
      bytes: poke(ints, 12, 0xffff_fff0),
      code: "btf/truncated",
      offset: 24,
    },
    {
      what: "a string section beyond the end",
      bytes: poke(ints, 20, 0xffff_fff0),
      code: "btf/truncated",
      offset: 40,
    },
    { what: "no strings", bytes: poke(ints, 20, 0), code: "btf/bad-header", offset: 40 },
    {
      what: "a string section without last NUL",
      bytes: poke(ints, 20, 4),
      code: "btf/bad-header",
      offset: 40,
    },
    { what: "a name outside the strings", bytes: poke(ints, 24, 99), code: "btf/bad-string", offset: 99 },
    { what: "kind 20", bytes: poke(ints, 28, 20 << 24), code: "btf/unknown-kind", offset: 24 },
    { what: "an int with members", bytes: poke(ints, 28, (1 << 24) | 1), code: "btf/bad-type", offset: 36 },
    {
      what: "more members than bytes",
      bytes: poke(ints, 28, (4 << 24) | 0xffff),
      code: "btf/truncated",
      offset: 36,
    },
    { what: "a type cut off", bytes: poke(ints, 12, 14), code: "btf/truncated", offset: 36 },
    {
      what: "a pointer with a name",
      bytes: poke(poke(ints, 28, 2 << 24), 12, 12),
      code: "btf/bad-type",
      offset: 36,
    },
    { what: "an id that is none", bytes: build({ kind: "ptr", name: "", type: 2 }), code: "btf/bad-type-id" },
    {
      what: "a struct in itself",
      bytes: build({ kind: "struct", name: "s", size: 4, kindFlag: false, members: [member("s", 1)] }),
      code: "btf/cycle",
    },
    {
      what: "an array of itself",
      bytes: build({ kind: "array", name: "", type: 1, indexType: 1, length: 2 }),
      code: "btf/cycle",
    },
    { what: "a typedef of itself", bytes: build({ kind: "typedef", name: "t", type: 1 }), code: "btf/cycle" },
    {
      what: "a loop of typedefs",
      bytes: build({ kind: "typedef", name: "a", type: 2 }, { kind: "const", name: "", type: 1 }),
      code: "btf/cycle",
    },
    { what: "a pointer to itself", bytes: build({ kind: "ptr", name: "", type: 1 }), code: "btf/cycle" },
    {
      what: "two structs in each other",
      code: "btf/cycle",
      bytes: build(
        { kind: "struct", name: "a", size: 4, kindFlag: false, members: [member("b", 2)] },
        { kind: "union", name: "b", size: 4, kindFlag: false, members: [member("a", 1)] },
      ),
    },
    {
      what: "a chain without end",
      code: "btf/too-deep",
      bytes: build(
        ...Array.from(
          { length: 300 },
          (_, i): BtfType => ({ kind: "ptr", name: "", type: i === 299 ? 0 : i + 2 }),
        ),
      ),
    },
  ])("$what", ({ bytes, code, offset }) => {
    expect(() => parseBtf(bytes)).toThrow(
      expect.objectContaining(offset === undefined ? { code } : { code, offset }),
    );
  });

  it("a base without its strings", () => {
    const base = { ...parseBtf(ints) };
    expect(() => parseBtf(ints, { base })).toThrow(expect.objectContaining({ code: "btf/bad-base" }));
  });

  it("every way to cut a section off", () => {
    const bytes = writeBtf(everyKind);
    for (let end = 0; end < bytes.length; end++)
      expect(() => parseBtf(bytes.subarray(0, end))).toThrow(BpfError);
  });
});

describe("parseBtfExt", () => {
  const btf = parseBtf(get(reader, ".BTF"));
  const ext = parseBtfExt(get(reader, ".BTF.ext"), btf);

  it("reads what clang wrote", () => {
    expect(ext.funcInfo.map(({ section, insn, type }) => [section, insn, btf.types[type].name])).toEqual([
      ["raw_tp/loads", 0, "loads"],
      ["raw_tp/fields", 0, "fields"],
      ["raw_tp/types", 0, "types"],
      ["raw_tp/enums", 0, "enums"],
    ]);
    const line = ext.lineInfo.find(({ section, insn }) => section === "raw_tp/loads" && insn === 4);
    expect(line).toMatchObject({
      text: expect.stringContaining("w->place.column"),
      file: expect.stringContaining("reader.bpf.c"),
    });
    expect(ext.coreRelocations[1]).toEqual({
      section: "raw_tp/loads",
      insn: 4,
      type: expect.any(Number),
      access: "0:1:1",
      kind: "field_byte_offset",
    });
  });

  it.each(["little", "big"] as const)("is written back, %s endian", (byteOrder) => {
    const strings = new BtfStringTable();
    const extBytes = writeBtfExt(ext, strings, { byteOrder });
    const again = parseBtf(writeBtf(btf, { byteOrder, strings }));
    expect(again).toEqual(btf);
    expect(parseBtfExt(extBytes, again)).toEqual(ext);
  });

  it("takes records that are longer, and headers that are shorter", () => {
    const strings = new BtfStringTable();
    const section = strings.add("xdp");
    const words = [
      0xeb9f | (1 << 16),
      24,
      0,
      4 + 8 + 12,
      24,
      0,
      /* record size */ 12,
      section,
      1,
      16,
      1,
      0xdead,
    ];
    const bytes = new Uint8Array(new Uint32Array(words).buffer);
    const named = parseBtf(writeBtf({ types: [{ kind: "void", name: "" }, INT], baseCount: 0 }, { strings }));
    const want: BtfExt = {
      funcInfo: [{ section: "xdp", insn: 2, type: 1 }],
      lineInfo: [],
      coreRelocations: [],
    };
    expect(parseBtfExt(bytes, named)).toEqual(want);
    expect(() => parseBtfExt(poke(bytes, 24, 4), named)).toThrow(
      expect.objectContaining({ code: "btf/bad-record", offset: 24 }),
    );
    expect(() => parseBtfExt(poke(bytes, 32, 0x7fff_ffff), named)).toThrow(
      expect.objectContaining({ code: "btf/bad-record", offset: 32 }),
    );
    expect(() => parseBtfExt(poke(bytes, 36, 15), named)).toThrow(
      expect.objectContaining({ code: "btf/bad-record", offset: 36 }),
    );
    expect(() => parseBtfExt(poke(bytes, 40, 7), named)).toThrow(
      expect.objectContaining({ code: "btf/bad-type-id", offset: 40 }),
    );
    expect(() => parseBtfExt(poke(bytes, 12, 0xffff_fff0), named)).toThrow(
      expect.objectContaining({ code: "btf/truncated", offset: 8 }),
    );
  });

  it("needs the strings of the BTF", () => {
    expect(() => parseBtfExt(get(reader, ".BTF.ext"), { ...btf })).toThrow(
      expect.objectContaining({ code: "btf/bad-base" }),
    );
  });
});

describe("writeBtf refuses", () => {
  it.each<{ what: string; type: BtfType }>([
    {
      what: "a bit-field without kindFlag",
      type: { kind: "struct", name: "s", size: 4, kindFlag: false, members: [member("a", 1, 0, 3)] },
    },
    {
      what: "an offset beyond 24 bits",
      type: { kind: "struct", name: "s", size: 4, kindFlag: true, members: [member("a", 1, 1 << 24)] },
    },
    {
      what: "a negative value of an unsigned enum",
      type: { kind: "enum", name: "e", size: 4, signed: false, values: [{ name: "A", value: -1 }] },
    },
    {
      what: "a value beyond 64 bits",
      type: { kind: "enum64", name: "e", size: 8, signed: true, values: [{ name: "A", value: 1n << 63n }] },
    },
    { what: "a size beyond 32 bits", type: { kind: "float", name: "f", size: 2 ** 32 } },
  ])("$what", ({ type }) => {
    expect(() => build(INT, type)).toThrow(
      expect.objectContaining({ code: "btf/cannot-write", subject: "type 2" }),
    );
  });
});

describe("BtfBuilder", () => {
  it("gives equal types one id and lets types point to themselves", () => {
    const types = new BtfBuilder();
    const node = types.reserve();
    expect(types.ptr(node)).toBe(types.ptr(node));
    expect(() => types.build()).toThrow(expect.objectContaining({ code: "btf/undefined-type" }));
    types.define(node, {
      kind: "struct",
      name: "node",
      size: 8,
      kindFlag: false,
      members: [member("next", types.ptr(node))],
    });
    expect(() => types.define(node, INT)).toThrow(expect.objectContaining({ code: "btf/not-reserved" }));
    expect(parseBtf(writeBtf(types.build()))).toEqual(types.build());
  });
});

describe("queries", () => {
  it("sizes", () => {
    expect(EVERY_KIND.map((_, id) => trySizeOf(everyKind, id))).toEqual([
      undefined,
      4,
      8,
      12,
      24,
      4,
      4,
      undefined,
      24,
      24,
      24,
      8,
      undefined,
      undefined,
      4,
      4,
      4,
      24,
      24,
      8,
    ]);
    expect(() => sizeOf(everyKind, 7)).toThrow(expect.objectContaining({ code: "btf/no-size" }));
  });
  it("alignments", () => {
    expect([1, 2, 3, 4, 5, 8, 19].map((id) => alignOf(everyKind, id))).toEqual([4, 8, 4, 8, 4, 8, 8]);
    const packed: BtfType = {
      kind: "struct",
      name: "p",
      size: 5,
      kindFlag: false,
      members: [member("a", 1, 8)],
    };
    expect(alignOf({ types: [EVERY_KIND[0], INT, packed], baseCount: 0 }, 2)).toBe(1);
  });
  it("what is behind a type", () => {
    expect(skipModifiers(everyKind, 9)).toBe(4);
    expect(skipModifiers(everyKind, 8)).toBe(8);
    expect(resolveType(everyKind, 8)).toBe(4);
    expect(prototypeOf(everyKind, 12)).toBe(EVERY_KIND[13]);
  });
  it("members by path", () => {
    expect(findMember(everyKind, 8, "b[2]")).toEqual({ type: 1, bitOffset: 128, bitSize: 0 });
    expect(findMember(everyKind, 8, "b[3]")).toBeUndefined();
    expect(findMember(everyKind, 8, "z")).toBeUndefined();
    expect(() => findMember(everyKind, 8, "b[")).toThrow(expect.objectContaining({ code: "btf/bad-path" }));
  });
  it("names", () => {
    const index = new BtfIndex(everyKind);
    expect(index.find("s", "struct")).toBe(4);
    expect(index.find("s", "union")).toBeUndefined();
    expect(index.all("e")).toEqual([6]);
  });
  it.each([
    ["task_struct", "task_struct"],
    ["task_struct___v2", "task_struct"],
    ["a___b___c", "a___b"],
    ["a____b", "a____b"],
    ["___a", "___a"],
    ["a___", "a___"],
  ])("essential name of %s", (name, essential) => expect(essentialName(name)).toBe(essential));
  it("loops in types made by hand end", () => {
    const loop: Btf = { types: [EVERY_KIND[0], { kind: "typedef", name: "t", type: 1 }], baseCount: 0 };
    for (const run of [resolveType, sizeOf, alignOf]) {
      expect(() => run(loop, 1)).toThrow(expect.objectContaining({ code: "btf/cycle" }));
    }
    expect(() => checkBtf(loop.types)).toThrow(expect.objectContaining({ code: "btf/cycle" }));
    expect(() => formatBtfC(loop)).toThrow(expect.objectContaining({ code: "btf/cycle" }));
  });
});

describe("C", () => {
  it("prints a fixture's types in order, with padding and inline members", () => {
    const text = formatBtfC(parseBtf(get(moved, ".BTF")));
    expect(text).toContain(`struct place {
	int depth;
	int row;
	int column;
};

struct worker {
	void *parent;
	union {
		long spare;
		struct {
			unsigned int reserved;
			unsigned int id;
		};
	};
	struct place place;
	unsigned int port;
	unsigned long long words[2];
	unsigned int ready: 1;
	unsigned int level: 9;
	int delta: 11;
	unsigned int slots[8];
};
`);
  });

  it.each([
    { id: 2, text: "struct s *x" },
    { id: 3, text: "int x[3]" },
    { id: 9, text: "const volatile struct s x" },
    { id: 11, text: "struct s * restrict x" },
    { id: 13, text: "int x(struct s * restrict p, ...)" },
  ])("declares $text", ({ id, text }) => expect(formatDeclaration(everyKind, id, "x")).toBe(text));

  it("numbers names that come again", () => {
    const s = (size: number): BtfType => ({ kind: "struct", name: "s", size, kindFlag: false, members: [] });
    const text = formatBtfC({ types: [EVERY_KIND[0], s(1), s(2)], baseCount: 0 }, { order: "id" });
    expect(text).toContain("struct s {\n\tchar: 8;\n};");
    expect(text).toContain("struct s___2 {\n\tshort: 16;\n};");
  });

  it("refuses types that unfold without end", () => {
    const types = new BtfBuilder();
    let id = types.add(INT);
    for (let i = 0; i < 200; i++) {
      id = types.add({
        kind: "struct",
        name: "",
        size: 4,
        kindFlag: false,
        members: [member("a", id), member("b", id)],
      });
    }
    types.add({ kind: "struct", name: "root", size: 4, kindFlag: false, members: [member("a", id)] });
    expect(() => formatBtfC(types.build())).toThrow(expect.objectContaining({ code: "btf/too-big" }));
  });
});
