import { BpfError } from "../base/index.ts";
import { PF_X, PT_LOAD, SHN, SHT, STB, STT } from "./format.ts";
import { Reader, stringTable, truncated } from "./reader.ts";
import { type ElfSection, openElf, readSections } from "./sections.ts";

/** A 64-bit program or shared library: what probes need of it. Plain data over the file's bytes. */
export interface ElfExecutable {
  readonly byteOrder: "little" | "big";
  /** `e_type`: ET_EXEC or ET_DYN, where the file is what it should be. */
  readonly type: number;
  /** `e_machine`. */
  readonly machine: number;
  /** The parts of the file that are mapped (PT_LOAD), in file order. */
  readonly segments: readonly ElfSegment[];
  /** Empty when the file was stripped of them. */
  readonly sections: readonly ElfSection[];
}

/** A part of the file that is mapped. */
export interface ElfSegment {
  /** First byte in the file, and how many. */
  readonly offset: number;
  readonly fileSize: number;
  /** Virtual address: absolute for ET_EXEC, from the load address for ET_DYN. */
  readonly address: number;
  readonly memorySize: number;
  readonly executable: boolean;
}

/** A function that a program or library defines. */
export interface ElfFunction {
  /** Without the version. */
  readonly name: string;
  /** Symbol version (`"GLIBC_2.34"`), where it has one. */
  readonly version: string | undefined;
  /** True for the version that programs linked today get, and for functions without versions. */
  readonly isDefault: boolean;
  readonly address: number;
  readonly size: number;
  readonly weak: boolean;
  /** STT_GNU_IFUNC: the address is that of the function that chooses the one to be called. */
  readonly indirect: boolean;
  readonly table: "dynsym" | "symtab";
}

/** One entry of a SHT_NOTE section. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
}

const HINTS = {
  notElf: "give the program or library itself: scripts and linker scripts (libc.so) hold no code",
  not64Bit: "only 64-bit programs can be probed",
};
const PROGRAM_HEADER_SIZE = 56;
const SYMBOL_SIZE = 24;
const VERSYM_HIDDEN = 0x8000;

/**
 * Reads the headers of a program or library. Allocates in proportion to the file, never to a count it claims.
 * @throws BpfError `elf/…` with the offset of what is wrong.
 */
export function readExecutable(bytes: Uint8Array): ElfExecutable {
  const file = openElf(bytes, HINTS);
  return {
    byteOrder: file.little ? "little" : "big",
    type: file.u16(16),
    machine: file.u16(18),
    segments: readSegments(file),
    sections: file.u64(40) === 0 ? [] : readSections(file),
  };
}

/** Where a virtual address lies in the file; undefined when no part of the file is mapped there. */
export function fileOffset(
  elf: ElfExecutable,
  address: number,
): { readonly offset: number; readonly segment: ElfSegment } | undefined {
  const segment = elf.segments.find(
    ({ address: start, fileSize }) => start <= address && address < start + fileSize,
  );
  return segment && { offset: address - segment.address + segment.offset, segment };
}

/**
 * Functions that the file defines, of the dynamic symbol table first (a stripped file has no other), then of the full
 * one. With `name` only those: without decoding the names of all others.
 * @throws BpfError `elf/bad-symbols`, `elf/bad-string`, `elf/bad-versions`.
 */
export function* executableFunctions(elf: ElfExecutable, name?: string): Generator<ElfFunction, void, void> {
  for (const table of elf.sections) {
    if (table.type === SHT.DYNSYM) yield* functionsOf(elf, table, "dynsym", name);
  }
  for (const table of elf.sections) {
    if (table.type === SHT.SYMTAB) yield* functionsOf(elf, table, "symtab", name);
  }
}

/** The entries of a SHT_NOTE section. @throws BpfError `elf/bad-note` for one that does not end in it. */
export function* readNotes(elf: ElfExecutable, section: ElfSection): Generator<ElfNote, void, void> {
  const { data } = section;
  const reader = new Reader(data, elf.byteOrder === "little");
  const decoder = new TextDecoder();
  for (let at = 0; at + 12 <= data.length; ) {
    const [nameSize, dataSize] = [reader.u32(at), reader.u32(at + 4)];
    const start = at + 12 + align4(nameSize);
    if (start + dataSize > data.length) {
      throw new BpfError("elf/bad-note", `note at ${at} of '${section.name}' does not end in it`, {
        offset: section.offset + at,
        subject: section.name,
      });
    }
    const name = decoder.decode(data.subarray(at + 12, at + 12 + nameSize)).replace(/\0.*$/s, "");
    yield { name, type: reader.u32(at + 8), data: data.subarray(start, start + dataSize) };
    at = start + align4(dataSize);
  }
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function readSegments(file: Reader): ElfSegment[] {
  const start = file.u64(32);
  const entrySize = file.u16(54);
  const count = file.u16(56);
  if (count === 0) return [];
  if (entrySize !== PROGRAM_HEADER_SIZE) {
    throw new BpfError(
      "elf/bad-header",
      `program headers of ${entrySize} bytes; expected ${PROGRAM_HEADER_SIZE}`,
      { offset: 54 },
    );
  }
  if (start + count * PROGRAM_HEADER_SIZE > file.length) {
    throw truncated(`the table of ${count} program headers`, start, count * PROGRAM_HEADER_SIZE, file.length);
  }
  const segments: ElfSegment[] = [];
  for (let at = start; at < start + count * PROGRAM_HEADER_SIZE; at += PROGRAM_HEADER_SIZE) {
    if (file.u32(at) !== PT_LOAD) continue;
    segments.push({
      offset: file.u64(at + 8),
      address: file.u64(at + 16),
      fileSize: file.u64(at + 32),
      memorySize: file.u64(at + 40),
      executable: (file.u32(at + 4) & PF_X) !== 0,
    });
  }
  return segments;
}

function* functionsOf(
  elf: ElfExecutable,
  table: ElfSection,
  kind: ElfFunction["table"],
  wanted: string | undefined,
): Generator<ElfFunction, void, void> {
  const strings = elf.sections[table.link];
  if (table.entrySize !== SYMBOL_SIZE || table.size % SYMBOL_SIZE !== 0 || strings?.type !== SHT.STRTAB) {
    throw new BpfError("elf/bad-symbols", `the symbol table '${table.name}' is damaged`, {
      offset: table.offset,
      subject: table.name,
    });
  }
  const reader = new Reader(table.data, elf.byteOrder === "little");
  const nameAt = stringTable(strings.data, strings.offset);
  const isWanted = wanted === undefined ? undefined : nameMatcher(strings.data, wanted);
  const versions = kind === "dynsym" ? symbolVersions(elf) : undefined;
  for (let at = 0; at < table.data.length; at += SYMBOL_SIZE) {
    const type = table.data[at + 4] & 15;
    if ((type !== STT.FUNC && type !== STT.GNU_IFUNC) || reader.u16(at + 6) === SHN.UNDEF) continue;
    const nameOffset = reader.u32(at);
    if (isWanted !== undefined && !isWanted(nameOffset)) continue;
    const symbol = nameAt(nameOffset, table.offset + at);
    // The full table writes the version behind the name: NAME@VERSION, NAME@@VERSION for the default.
    const [, name, mark, own] = /^(.+?)(@@?)(.+)$/s.exec(symbol) ?? [undefined, symbol];
    const version = versions?.(at / SYMBOL_SIZE);
    yield {
      name,
      version: own ?? version?.name,
      isDefault: mark === undefined ? !version?.hidden : mark === "@@",
      address: reader.u64(at + 8),
      size: reader.u64(at + 16),
      weak: table.data[at + 4] >> 4 === STB.WEAK,
      indirect: type === STT.GNU_IFUNC,
      table: kind,
    };
  }
}

const AT = 0x40;

/** True where the string is `wanted`, or `wanted` and a version behind an `@`. */
function nameMatcher(strings: Uint8Array, wanted: string): (at: number) => boolean {
  const bytes = new TextEncoder().encode(wanted);
  return (at) => {
    for (let i = 0; i < bytes.length; i++) if (strings[at + i] !== bytes[i]) return false;
    const end = strings[at + bytes.length];
    return end === 0 || end === AT;
  };
}

/** The version of each dynamic symbol; undefined when the file has none. */
function symbolVersions(
  elf: ElfExecutable,
): ((symbol: number) => { readonly name: string | undefined; readonly hidden: boolean }) | undefined {
  const indices = elf.sections.find(({ type }) => type === SHT.GNU_VERSYM);
  const definitions = elf.sections.find(({ type }) => type === SHT.GNU_VERDEF);
  if (indices === undefined || definitions === undefined) return undefined;
  const names = versionNames(elf, definitions);
  const reader = new Reader(indices.data, elf.byteOrder === "little");
  return (symbol) => {
    const at = symbol * 2;
    const value = at + 2 <= indices.data.length ? reader.u16(at) : 0;
    return { name: names.get(value & ~VERSYM_HIDDEN), hidden: (value & VERSYM_HIDDEN) !== 0 };
  };
}

/** `Verdef` and its first `Verdaux`: names of the versions that the file defines, by index. */
function versionNames(elf: ElfExecutable, section: ElfSection): Map<number, string> {
  const strings = elf.sections[section.link];
  const names = new Map<number, string>();
  const { data } = section;
  const reader = new Reader(data, elf.byteOrder === "little");
  const nameAt = strings && stringTable(strings.data, strings.offset);
  for (let at = 0; ; ) {
    const aux = at + 20 <= data.length ? at + reader.u32(at + 12) : data.length;
    if (nameAt === undefined || aux + 8 > data.length) {
      throw new BpfError("elf/bad-versions", `the versions in '${section.name}' are damaged`, {
        offset: section.offset + at,
        subject: section.name,
      });
    }
    names.set(reader.u16(at + 4), nameAt(reader.u32(aux), section.offset + aux));
    const next = reader.u32(at + 16);
    if (next === 0) return names;
    at += next; // ever forward: it ends with the section
  }
}
