import { BpfError } from "../base/index.ts";
import { SHT } from "./format.ts";
import { Reader, stringTable } from "./reader.ts";
import { type ElfSection, openElf, readSections } from "./sections.ts";

/** A 64-bit ELF file, read but not interpreted. Plain data; `data` arrays are views of the file's bytes. */
export interface ElfFile {
  readonly byteOrder: "little" | "big";
  /** `e_type`. */
  readonly type: number;
  /** `e_machine`. */
  readonly machine: number;
  /** In file order; index 0 is the null section. */
  readonly sections: readonly ElfSection[];
  /** The symbol table, index 0 included; empty when the file has none. */
  readonly symbols: readonly ElfSymbol[];
  /** Index of the SHT_SYMTAB section; 0 when the file has none. */
  readonly symbolSection: number;
}

/** One row of the symbol table. */
export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  /** `st_value`: in a relocatable file the byte offset in its section. */
  readonly value: number;
  readonly size: number;
  /** See STB. */
  readonly binding: number;
  /** See STT. */
  readonly type: number;
  /** See STV. */
  readonly visibility: number;
  /** Section index, or one of SHN. */
  readonly section: number;
}

/** One row of a SHT_REL or SHT_RELA section. */
export interface ElfRelocation {
  /** Bytes from the start of the section it applies to. */
  readonly offset: number;
  /** See R_BPF. */
  readonly type: number;
  /** Index in {@link ElfFile.symbols}. */
  readonly symbol: number;
  /** RELA only; 0 for REL, where the addend lies in the relocated bytes. */
  readonly addend: number;
}

const HINTS = {
  notElf: "give an object file made by `clang --target=bpf -c`",
  not64Bit: "BPF objects are always 64-bit: compile with --target=bpf",
};
const SYMBOL_SIZE = 24;
const REL_SIZE = 16;
const RELA_SIZE = 24;

/**
 * Reads a 64-bit ELF file of either byte order. Allocates in proportion to the file, never to a count it claims.
 * @throws BpfError `elf/…` with the offset of what is wrong.
 */
export function readElf(bytes: Uint8Array): ElfFile {
  const file = openElf(bytes, HINTS);
  const { little } = file;
  const sections = readSections(file);
  const tables = sections.filter((section) => section.type === SHT.SYMTAB);
  if (tables.length > 1) {
    throw new BpfError("elf/many-symbol-tables", `the file has ${tables.length} symbol tables`, {
      offset: tables[1].offset,
      hint: "link the objects into one with `bpftool gen object` or llvm-link, not with cat",
    });
  }
  const symbolTable = tables[0];
  return {
    byteOrder: little ? "little" : "big",
    type: file.u16(16),
    machine: file.u16(18),
    sections,
    symbols: symbolTable === undefined ? [] : readSymbols(symbolTable, sections, little),
    symbolSection: symbolTable?.index ?? 0,
  };
}

/**
 * The relocations that a SHT_REL or SHT_RELA section holds.
 * @throws BpfError `elf/bad-relocations` for an entry size that is not the type's, a partial entry or a symbol
 * that does not exist.
 */
export function readRelocations(elf: ElfFile, section: ElfSection): ElfRelocation[] {
  const size = section.type === SHT.RELA ? RELA_SIZE : REL_SIZE;
  if (section.entrySize !== size || section.size % size !== 0) {
    throw new BpfError(
      "elf/bad-relocations",
      `section '${section.name}' has ${section.size} bytes of entries of ${section.entrySize} bytes; expected a multiple of ${size}`,
      { offset: section.offset, subject: section.name, hint: "the file is damaged: compile it again" },
    );
  }
  const reader = new Reader(section.data, elf.byteOrder === "little");
  const out: ElfRelocation[] = [];
  for (let at = 0; at < section.data.length; at += size) {
    const symbol = reader.u32(at + (elf.byteOrder === "little" ? 12 : 8));
    const type = reader.u32(at + (elf.byteOrder === "little" ? 8 : 12));
    if (symbol >= elf.symbols.length) {
      throw new BpfError(
        "elf/bad-relocations",
        `relocation ${at / size} of '${section.name}' names symbol ${symbol}, of ${elf.symbols.length}`,
        { offset: section.offset + at, subject: section.name },
      );
    }
    out.push({
      offset: reader.u64(at),
      type,
      symbol,
      addend: section.type === SHT.RELA ? reader.s64(at + 16) : 0,
    });
  }
  return out;
}

function readSymbols(table: ElfSection, sections: readonly ElfSection[], little: boolean): ElfSymbol[] {
  if (table.entrySize !== SYMBOL_SIZE || table.size % SYMBOL_SIZE !== 0) {
    throw new BpfError(
      "elf/bad-symbols",
      `the symbol table has ${table.size} bytes of entries of ${table.entrySize} bytes; expected a multiple of ${SYMBOL_SIZE}`,
      { offset: table.offset, subject: table.name },
    );
  }
  const strings = sections[table.link];
  if (strings === undefined || strings.type !== SHT.STRTAB) {
    throw new BpfError("elf/bad-string-table", `section ${table.link} holds no symbol names`, {
      offset: table.offset,
      subject: table.name,
    });
  }
  const nameAt = stringTable(strings.data, strings.offset);
  const reader = new Reader(table.data, little);
  const out: ElfSymbol[] = [];
  for (let at = 0; at < table.data.length; at += SYMBOL_SIZE) {
    const info = table.data[at + 4];
    out.push({
      index: out.length,
      name: nameAt(reader.u32(at), table.offset + at),
      binding: info >> 4,
      type: info & 15,
      visibility: table.data[at + 5] & 3,
      section: reader.u16(at + 6),
      value: reader.u64(at + 8),
      size: reader.u64(at + 16),
    });
  }
  return out;
}
