import { BpfError } from "../base/index.ts";
import { SHT } from "./format.ts";

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

/** One section header with its bytes. */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** `sh_type`: see {@link SHT}. */
  readonly type: number;
  /** `sh_flags`, low 32 bits: see SHF. */
  readonly flags: number;
  /** Byte offset in the file. */
  readonly offset: number;
  /** Bytes; of a SHT_NOBITS section: bytes in memory, none of them in the file. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  /** `sh_entsize`. */
  readonly entrySize: number;
  /** Empty for SHT_NOBITS and SHT_NULL. */
  readonly data: Uint8Array;
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

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const REL_SIZE = 16;
const RELA_SIZE = 24;
/** Longest name read: far above the kernel's 511, and a bound on what a hostile string table costs. */
const MAX_NAME = 8192;

/**
 * Reads a 64-bit ELF file of either byte order. Allocates in proportion to the file, never to a count it claims.
 * @throws BpfError `elf/…` with the offset of what is wrong.
 */
export function readElf(bytes: Uint8Array): ElfFile {
  checkIdent(bytes);
  const little = bytes[5] === 1;
  const file = new Reader(bytes, little);
  if (bytes.length < HEADER_SIZE) throw truncated("the ELF header", 0, HEADER_SIZE, bytes.length);
  const headers = sectionTable(file);
  const sections = namedSections(file, headers);
  refuseOverlaps(sections);
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

function checkIdent(bytes: Uint8Array): void {
  if (bytes.length < 16) throw truncated("the ELF identification", 0, 16, bytes.length);
  if (bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new BpfError("elf/not-elf", "the file does not start with \\x7fELF", {
      offset: 0,
      hint: "give an object file made by `clang --target=bpf -c`",
    });
  }
  if (bytes[4] !== 2) {
    throw new BpfError("elf/not-64-bit", `ELF class ${bytes[4]} is not 2 (64-bit)`, {
      offset: 4,
      hint: "BPF objects are always 64-bit: compile with --target=bpf",
    });
  }
  if (bytes[5] !== 1 && bytes[5] !== 2) {
    throw new BpfError("elf/bad-byte-order", `data encoding ${bytes[5]} is neither little (1) nor big (2)`, {
      offset: 5,
    });
  }
}

interface RawHeader {
  readonly at: number;
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entrySize: number;
}

function sectionTable(file: Reader): { rows: RawHeader[]; names: number } {
  const start = file.u64(40);
  const entrySize = file.u16(58);
  let count = file.u16(60);
  let names = file.u16(62);
  if (start === 0) {
    throw new BpfError("elf/no-sections", "the file has no section header table", {
      offset: 40,
      hint: "give the object file itself, not a stripped or extracted program",
    });
  }
  if (entrySize !== SECTION_HEADER_SIZE) {
    throw new BpfError(
      "elf/bad-header",
      `section headers of ${entrySize} bytes; expected ${SECTION_HEADER_SIZE}`,
      {
        offset: 58,
      },
    );
  }
  if (start + SECTION_HEADER_SIZE > file.length) {
    throw truncated("the section header table", start, SECTION_HEADER_SIZE, file.length);
  }
  // Past 0xff00 sections the true numbers stand in section 0.
  if (count === 0) count = file.u64(start + 32);
  if (names === 0xffff) names = file.u32(start + 40);
  if (count * SECTION_HEADER_SIZE > file.length - start) {
    throw truncated(`the table of ${count} section headers`, start, count * SECTION_HEADER_SIZE, file.length);
  }
  const rows: RawHeader[] = [];
  for (let i = 0; i < count; i++) {
    const at = start + i * SECTION_HEADER_SIZE;
    rows.push({
      at,
      nameOffset: file.u32(at),
      type: file.u32(at + 4),
      flags: file.u64(at + 8) % 2 ** 32,
      offset: file.u64(at + 24),
      size: file.u64(at + 32),
      link: file.u32(at + 40),
      info: file.u32(at + 44),
      align: file.u64(at + 48),
      entrySize: file.u64(at + 56),
    });
  }
  return { rows, names };
}

function namedSections(file: Reader, table: { rows: RawHeader[]; names: number }): ElfSection[] {
  const bodies = table.rows.map((row) => {
    if (row.type === SHT.NOBITS || row.type === SHT.NULL) return new Uint8Array(0);
    if (row.offset + row.size > file.length) {
      throw new BpfError(
        "elf/section-outside-file",
        `section at header ${row.at} covers bytes ${row.offset}–${row.offset + row.size} of ${file.length}`,
        { offset: row.at, hint: "the file is truncated or damaged: copy or compile it again" },
      );
    }
    return file.bytes.subarray(row.offset, row.offset + row.size);
  });
  const nameRow = table.rows[table.names];
  if (nameRow === undefined || nameRow.type !== SHT.STRTAB) {
    throw new BpfError("elf/bad-string-table", `section ${table.names} holds no section names`, {
      offset: 62,
    });
  }
  const nameAt = stringTable(bodies[table.names], nameRow.offset);
  return table.rows.map((row, index) => ({
    index,
    name: index === 0 && row.nameOffset === 0 ? "" : nameAt(row.nameOffset, row.at),
    type: row.type,
    flags: row.flags,
    offset: row.offset,
    size: row.size,
    link: row.link,
    info: row.info,
    align: row.align,
    entrySize: row.entrySize,
    data: bodies[index],
  }));
}

/** No honest tool lets two sections share bytes; refusing it bounds the work by the file's size. */
function refuseOverlaps(sections: readonly ElfSection[]): void {
  const placed = sections.filter((section) => section.data.length > 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < placed.length; i++) {
    const [before, after] = [placed[i - 1], placed[i]];
    if (before.offset + before.size > after.offset) {
      throw new BpfError(
        "elf/overlapping-sections",
        `sections '${before.name}' and '${after.name}' share bytes from ${after.offset}`,
        { offset: after.offset, subject: after.name, hint: "the file is damaged: compile it again" },
      );
    }
  }
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

function stringTable(data: Uint8Array, offset: number): (at: number, user: number) => string {
  const seen = new Map<number, string>();
  const decoder = new TextDecoder();
  return (at, user) => {
    const known = seen.get(at);
    if (known !== undefined) return known;
    if (at === 0 && data.length === 0) return "";
    const end = at < data.length ? data.indexOf(0, at) : -1;
    if (end < 0 || end - at > MAX_NAME) {
      throw new BpfError(
        "elf/bad-string",
        `name at ${at} of a string table of ${data.length} bytes (file offset ${offset}) ${end < 0 ? "does not end in it" : "is too long"}`,
        { offset: user, hint: "the file is damaged: compile it again" },
      );
    }
    const text = decoder.decode(data.subarray(at, end));
    seen.set(at, text);
    return text;
  };
}

function truncated(what: string, at: number, need: number, have: number): BpfError {
  return new BpfError("elf/truncated", `${what} needs ${need} bytes at ${at}; the file has ${have}`, {
    offset: at,
    hint: "the file is cut short: copy or compile it again",
  });
}

/** Reads numbers at byte offsets. Callers have checked the bounds; outside them a RangeError would be our bug. */
class Reader {
  readonly bytes: Uint8Array;
  readonly length: number;
  private readonly view: DataView;
  private readonly little: boolean;

  constructor(bytes: Uint8Array, little: boolean) {
    this.bytes = bytes;
    this.length = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = little;
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.little);
  }
  u32(at: number): number {
    return this.view.getUint32(at, this.little);
  }
  /** Exact below 2^53; above, rounded, which every bounds check still refuses. */
  u64(at: number): number {
    const [low, high] = this.little ? [at, at + 4] : [at + 4, at];
    return this.u32(high) * 2 ** 32 + this.u32(low);
  }
  s64(at: number): number {
    const [low, high] = this.little ? [at, at + 4] : [at + 4, at];
    return this.view.getInt32(high, this.little) * 2 ** 32 + this.u32(low);
  }
}
