import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { readElf } from "../elf/index.ts";
import { readObject } from "./index.ts";

/** A fixture with its sections changed by name: `header` is the byte offset of the section header. */
function changed(edit: (view: DataView, header: (section: string) => number) => void): Uint8Array {
  const bytes = new Uint8Array(
    readFileSync(new URL("../../fixtures/object/programs.bpf.o", import.meta.url)),
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { sections } = readElf(bytes);
  const table = Number(view.getBigUint64(40, true));
  edit(view, (name) => table + 64 * sections.find((section) => section.name === name)!.index);
  return bytes;
}

/** Byte offset of a symbol's row. */
function symbolAt(view: DataView, name: string): number {
  const elf = readElf(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  return (
    elf.sections[elf.symbolSection].offset + 24 * elf.symbols.findIndex((symbol) => symbol.name === name)
  );
}

/** Byte offset of a section's contents. */
function bytesAt(view: DataView, name: string): number {
  const elf = readElf(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  return elf.sections.find((section) => section.name === name)!.offset;
}

const OFFSET = 24;
const SIZE = 32;
const ENTRY_SIZE = 56;

describe("hostile objects", () => {
  it.each([
    {
      name: "a .bss of 2^40 bytes",
      code: "object/section-too-large",
      bytes: () => changed((v, header) => v.setBigUint64(header(".bss") + SIZE, 1n << 40n, true)),
    },
    {
      name: "a function behind its section",
      code: "object/bad-function",
      bytes: () => changed((v) => v.setBigUint64(symbolAt(v, "entry") + 8, 1n << 60n, true)),
    },
    {
      name: "a function of 12 bytes",
      code: "object/bad-function",
      bytes: () => changed((v) => v.setBigUint64(symbolAt(v, "entry") + 16, 12n, true)),
    },
    {
      name: "a relocation outside its section",
      code: "object/bad-relocation",
      bytes: () => changed((v) => v.setBigUint64(bytesAt(v, ".relxdp"), 1n << 50n, true)),
    },
    {
      name: "a relocation of an instruction that takes none",
      code: "object/bad-relocation",
      bytes: () => changed((v) => v.setBigUint64(bytesAt(v, ".relxdp"), 0n, true)),
    },
    {
      name: "relocations of 0 bytes",
      code: "elf/bad-relocations",
      bytes: () => changed((v, header) => v.setBigUint64(header(".relxdp") + ENTRY_SIZE, 0n, true)),
    },
    {
      name: "a version of 3 bytes",
      code: "object/bad-version",
      bytes: () => changed((v, header) => v.setBigUint64(header("version") + SIZE, 3n, true)),
    },
    {
      name: "BTF that is no BTF",
      code: "btf/bad-magic",
      bytes: () => changed((v) => v.setUint16(bytesAt(v, ".BTF"), 0xdead, true)),
    },
    {
      name: "sections that share bytes",
      code: "elf/overlapping-sections",
      bytes: () =>
        changed((v, header) =>
          v.setBigUint64(header("xdp") + OFFSET, v.getBigUint64(header(".text") + OFFSET, true), true),
        ),
    },
  ])("$name: $code", ({ bytes, code }) => {
    try {
      readObject(bytes());
    } catch (error) {
      expect(error).toBeInstanceOf(BpfError);
      expect((error as BpfError).code).toBe(code);
      return;
    }
    expect.unreachable();
  });
});
