import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { EM_BPF, ET_REL, readElf, readRelocations, SHT, STB, STT } from "./index.ts";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/object/${name}.bpf.o`, import.meta.url)));

/** Little-endian file with one number changed. */
function changed(edit: (view: DataView) => void): Uint8Array {
  const bytes = fixture("legacy");
  edit(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return bytes;
}

/** Byte offset of a section's header. */
function headerOf(view: DataView, name: string): number {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const { sections } = readElf(bytes);
  return Number(view.getBigUint64(40, true)) + 64 * sections.find((section) => section.name === name)!.index;
}

describe("readElf", () => {
  it.each(["programs", "big-endian"])("reads sections, symbols and relocations of %s", (name) => {
    const elf = readElf(fixture(name));
    expect([elf.type, elf.machine]).toEqual([ET_REL, EM_BPF]);
    const xdp = elf.sections.find((section) => section.name === "xdp")!;
    expect(xdp.data.length).toBe(xdp.size);
    const entry = elf.symbols.find((symbol) => symbol.name === "entry")!;
    expect(entry).toMatchObject({
      section: xdp.index,
      type: STT.FUNC,
      binding: STB.GLOBAL,
      value: 0,
      size: xdp.size,
    });
    const relocations = elf.sections.find(
      (section) => section.type === SHT.REL && section.info === xdp.index,
    )!;
    expect(readRelocations(elf, relocations).map((row) => elf.symbols[row.symbol].name)).toContain("flows");
    expect(elf.sections.find((section) => section.name === ".bss")).toMatchObject({
      size: 8,
      type: SHT.NOBITS,
    });
  });

  it.each([
    { name: "an empty file", bytes: () => new Uint8Array(0), code: "elf/truncated" },
    { name: "half a header", bytes: () => fixture("legacy").subarray(0, 40), code: "elf/truncated" },
    { name: "no magic", bytes: () => changed((v) => v.setUint8(0, 0)), code: "elf/not-elf" },
    { name: "32 bits", bytes: () => changed((v) => v.setUint8(4, 1)), code: "elf/not-64-bit" },
    { name: "no byte order", bytes: () => changed((v) => v.setUint8(5, 3)), code: "elf/bad-byte-order" },
    {
      name: "no sections",
      bytes: () => changed((v) => v.setBigUint64(40, 0n, true)),
      code: "elf/no-sections",
    },
    {
      name: "a section table behind the file",
      bytes: () => changed((v) => v.setBigUint64(40, 1n << 62n, true)),
      code: "elf/truncated",
    },
    {
      name: "65535 sections",
      bytes: () => changed((v) => v.setUint16(60, 0xffff, true)),
      code: "elf/truncated",
    },
    {
      name: "2^40 sections by section 0",
      bytes: () =>
        changed((v) => {
          v.setUint16(60, 0, true);
          v.setBigUint64(Number(v.getBigUint64(40, true)) + 32, 1n << 40n, true);
        }),
      code: "elf/truncated",
    },
    {
      name: "headers of 0 bytes",
      bytes: () => changed((v) => v.setUint16(58, 0, true)),
      code: "elf/bad-header",
    },
    {
      name: "no name table",
      bytes: () => changed((v) => v.setUint16(62, 999, true)),
      code: "elf/bad-string-table",
    },
    {
      name: "a section larger than the file",
      bytes: () => changed((v) => v.setBigUint64(headerOf(v, "maps") + 32, 1n << 33n, true)),
      code: "elf/section-outside-file",
    },
    {
      name: "two sections in one place",
      bytes: () =>
        changed((v) =>
          v.setBigUint64(headerOf(v, "maps") + 24, v.getBigUint64(headerOf(v, ".BTF") + 24, true), true),
        ),
      code: "elf/overlapping-sections",
    },
    {
      name: "a name outside the string table",
      bytes: () => changed((v) => v.setUint32(headerOf(v, "maps"), 0x7fffffff, true)),
      code: "elf/bad-string",
    },
    {
      name: "symbols of 0 bytes",
      bytes: () => changed((v) => v.setBigUint64(headerOf(v, ".symtab") + 56, 0n, true)),
      code: "elf/bad-symbols",
    },
    {
      name: "symbols without names",
      bytes: () => changed((v) => v.setUint32(headerOf(v, ".symtab") + 40, 77, true)),
      code: "elf/bad-string-table",
    },
  ])("refuses $name", ({ bytes, code }) => {
    try {
      readElf(bytes());
    } catch (error) {
      expect(error).toBeInstanceOf(BpfError);
      expect(error).toMatchObject({ code, offset: expect.any(Number) });
      return;
    }
    expect.unreachable();
  });

  it("refuses relocations of 0 bytes, and of symbols that do not exist", () => {
    const elf = readElf(fixture("legacy"));
    const section = elf.sections.find((candidate) => candidate.name === ".relxdp_old_style")!;
    expect(() => readRelocations(elf, { ...section, entrySize: 0 })).toThrow("expected a multiple of 16");
    expect(() => readRelocations({ ...elf, symbols: [] }, section)).toThrow("names symbol");
  });
});
