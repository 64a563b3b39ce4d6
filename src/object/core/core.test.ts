import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { elfSections } from "../../btf/elf-sections.fixture.ts";
import {
  type Btf,
  BtfBuilder,
  BtfIndex,
  CORE_RELOCATION_KINDS,
  parseBtf,
  parseBtfExt,
} from "../../btf/index.ts";
import { applyCoreRelocations, type CoreApplication, POISON_HELPER, resolveCoreRelocation } from "./index.ts";

function sections(name: string): Map<string, Uint8Array> {
  const file = new URL(`../../../fixtures/core/${name}.bpf.o`, import.meta.url);
  return elfSections(new Uint8Array(readFileSync(file)));
}

function section(name: string, wanted: string): Uint8Array {
  const bytes = sections(name).get(wanted);
  if (bytes === undefined) throw new Error(`${name} has no ${wanted}`);
  return bytes;
}

const reader = parseBtf(section("reader", ".BTF"));
const relocations = parseBtfExt(section("reader", ".BTF.ext"), reader).coreRelocations;
const kernel = (name: string): Btf => parseBtf(section(`kernel-${name}`, ".BTF"));

function relocate(program: string, target?: Btf | BtfIndex): CoreApplication {
  const name = `raw_tp/${program}`;
  const coreRelocations = relocations.filter((relo) => relo.section === name);
  return applyCoreRelocations({ insns: section("reader", name), coreRelocations }, reader, target);
}

const results = (result: CoreApplication): string[] =>
  result.relos.map(({ kind, from, to }) => `${kind} ${from} -> ${to ?? "poison"}`);

describe("CO-RE on our own fixtures", () => {
  it("covers all kinds", () => {
    expect(new Set(relocations.map((relo) => relo.kind))).toEqual(new Set(CORE_RELOCATION_KINDS));
  });

  // Expected numbers follow from the C sources by hand: see fixtures/core.
  it.each([
    {
      program: "loads",
      on: "same",
      want: ["0 -> 0", "8 -> 8", "14 -> 14", "16 -> 16", "32 -> 32", "14 -> 14"],
    },
    {
      program: "loads",
      on: "moved",
      want: ["0 -> 12", "8 -> 24", "14 -> 28", "16 -> 0", "32 -> 60", "14 -> 28"],
    },
    {
      program: "types",
      on: "same",
      want: ["4 -> 4", "4 -> 3", "1 -> 1", "1 -> 1", "48 -> 56", "4 -> 4", "1 -> 1"],
    },
    {
      program: "types",
      on: "moved",
      want: ["4 -> 4", "4 -> 7", "1 -> 1", "1 -> 0", "48 -> 88", "4 -> 0", "1 -> 1"],
    },
    {
      program: "enums",
      on: "moved",
      want: ["1 -> 1", "2 -> 20", "1 -> 0", "4294967297 -> 30064771079", "1 -> 0", "8589934594 -> poison"],
    },
  ])("$program on kernel-$on", ({ program, on, want }) => {
    const result = relocate(program, kernel(on));
    expect(result.error).toBeUndefined();
    expect(results(result).map((line) => line.replace(/^\S+ /, ""))).toEqual(want);
  });

  it("moves bit-fields with word, size and shifts together", () => {
    const moved = results(relocate("fields", kernel("moved")));
    expect(moved).toEqual([
      "field_byte_offset 36 -> 64",
      "field_byte_size 8 -> 12",
      "field_exists 1 -> 1",
      "field_exists 1 -> 0",
      // unsigned level : 9 at bit 385 = byte 48, bit 1
      "field_byte_offset 8 -> 48",
      "field_byte_size 8 -> 4",
      "field_lshift_u64 27 -> 54",
      "field_signed 0 -> 0",
      "field_rshift_u64 59 -> 55",
      "field_rshift_u64 59 -> 55",
      // int delta : 11 at bit 394 = byte 48, bit 10
      "field_byte_offset 8 -> 48",
      "field_byte_size 8 -> 4",
      "field_lshift_u64 20 -> 43",
      "field_signed 1 -> 1",
      "field_rshift_u64 57 -> 53",
      "field_rshift_u64 57 -> 53",
    ]);
  });

  it("shifts the other way on big-endian machines", () => {
    const relo = relocations.find((item) => item.kind === "field_lshift_u64");
    if (relo === undefined) throw new Error("no such relocation");
    // (8 - 4) * 8 + 1: the word's unused upper half, then the bit before the field.
    expect(resolveCoreRelocation(reader, relo, kernel("moved"), { byteOrder: "big" }).to).toBe(33n);
  });

  it("widens a load of an unsigned number", () => {
    const result = relocate("loads", kernel("moved"));
    // r2 = *(u16 *)(r1 + 14) becomes r2 = *(u32 *)(r1 + 28)
    expect([...result.insns.subarray(64, 72)]).toEqual([0x61, 0x12, 28, 0, 0, 0, 0, 0]);
    expect(result.relos[2].text).toEqual([
      "relo #2: patched insn #8 (LDX/ST/STX) off 14 -> 28",
      "relo #2: patched insn #8 (LDX/ST/STX) mem_sz 2 -> 4",
    ]);
  });

  it("poisons both halves of a wide instruction", () => {
    const result = relocate("enums", kernel("moved"));
    const { insn } = result.relos[5];
    const call = [0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b];
    expect([...result.insns.subarray(insn * 8, insn * 8 + 16)]).toEqual([...call, ...call]);
    expect(POISON_HELPER).toBe(0xbad2310);
    expect(result.diagnostics).toEqual([expect.objectContaining({ code: "core/no-target", insn })]);
  });

  it("leaves the program alone", () => {
    const before = section("reader", "raw_tp/loads").slice();
    relocate("loads", kernel("moved"));
    expect(section("reader", "raw_tp/loads")).toEqual(before);
  });

  it.each(["loads", "types", "enums"])(
    "changes nothing in %s when the object is its own kernel",
    (program) => {
      const result = relocate(program);
      expect(result.error).toBeUndefined();
      expect(result.insns).toEqual(section("reader", `raw_tp/${program}`));
      for (const { from, to } of result.relos) expect(to).toBe(from);
    },
  );

  it.each([
    { program: "loads", message: "relo #1: field offset ambiguity: 160 != 64" },
    { program: "types", message: "relo #1: relocation decision ambiguity: success 4 != success 1" },
  ])("refuses to guess in $program", ({ program, message }) => {
    const result = relocate(program, kernel("twice"));
    expect(result.error).toMatchObject({ code: "core/ambiguous", message });
    expect(result.relos).toHaveLength(1);
  });

  it("takes an index to share", () => {
    const index = new BtfIndex(kernel("moved"));
    expect(results(relocate("loads", index))).toEqual(results(relocate("loads", index.btf)));
  });
});

describe("CO-RE on hostile types", () => {
  const int = {
    kind: "int",
    name: "int",
    size: 4,
    bits: 32,
    bitOffset: 0,
    encoding: { signed: true, char: false, bool: false },
  } as const;
  const member = (name: string, type: number) => ({ name, type, bitOffset: 0, bitSize: 0 });
  const relo = (over: object) =>
    ({ section: "x", insn: 0, type: 0, access: "0:0", kind: "field_byte_offset", ...over }) as const;

  /** `struct s` whose anonymous members fan out: 2^60 ways down. */
  function fan(leaf: string): { btf: Btf; root: number } {
    const types = new BtfBuilder();
    let id = types.add({
      kind: "struct",
      name: "",
      size: 4,
      kindFlag: false,
      members: [member(leaf, types.add(int))],
    });
    for (let i = 0; i < 60; i++) {
      id = types.add({
        kind: "union",
        name: "",
        size: 4,
        kindFlag: false,
        members: [member("", id), member("", id)],
      });
    }
    const root = types.add({
      kind: "struct",
      name: "s",
      size: 4,
      kindFlag: false,
      members: [member("", id)],
    });
    return { btf: types.build(), root };
  }

  it("does not try every way through anonymous members", () => {
    const types = new BtfBuilder();
    const local = types.add({
      kind: "struct",
      name: "s",
      size: 4,
      kindFlag: false,
      members: [member("a", types.add(int))],
    });
    const result = resolveCoreRelocation(types.build(), relo({ type: local }), fan("other").btf);
    expect(result.poison).toBe(true);
  });

  it("gives up on types made to be slow", () => {
    const named = (): { btf: Btf; root: number } => {
      const types = new BtfBuilder();
      let id = types.add(int);
      for (let i = 0; i < 28; i++) {
        id = types.add({
          kind: "struct",
          name: `s${i}`,
          size: 4,
          kindFlag: false,
          members: [member("a", id), member("b", id)],
        });
      }
      return { btf: types.build(), root: id };
    };
    const { btf, root } = named();
    expect(() =>
      resolveCoreRelocation(btf, relo({ type: root, access: "0", kind: "type_matches" }), btf),
    ).toThrow(expect.objectContaining({ code: "core/too-complex" }));
  });

  it.each(["", ":", "0:", "0:x", "-1", "0:99", "0:0:0", "99999999999", "0".repeat(2) + ":0".repeat(70)])(
    "refuses the access string '%s'",
    (access) => {
      const types = new BtfBuilder();
      const type = types.add({
        kind: "struct",
        name: "s",
        size: 4,
        kindFlag: false,
        members: [member("a", types.add(int))],
      });
      expect(() => resolveCoreRelocation(types.build(), relo({ type, access }))).toThrow(BpfError);
    },
  );
});
