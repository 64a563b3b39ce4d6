import { BpfError } from "../base/index.ts";
import { SHT } from "./format.ts";
import { Reader, stringTable, truncated } from "./reader.ts";

/** One section header with its bytes. */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** `sh_type`: see {@link SHT}. */
  readonly type: number;
  /** `sh_flags`, low 32 bits: see SHF. */
  readonly flags: number;
  /** `sh_addr`: where it lies in memory; 0 in relocatable files. */
  readonly address: number;
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

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;

/** What to do about a file of another format. */
export interface FormatHints {
  readonly notElf: string;
  readonly not64Bit: string;
}

/**
 * The file behind its identification, with a whole header.
 * @throws BpfError `elf/not-elf`, `elf/not-64-bit`, `elf/bad-byte-order`, `elf/truncated`.
 */
export function openElf(bytes: Uint8Array, hints: FormatHints): Reader {
  checkIdent(bytes, hints);
  if (bytes.length < HEADER_SIZE) throw truncated("the ELF header", 0, HEADER_SIZE, bytes.length);
  return new Reader(bytes, bytes[5] === 1);
}

/**
 * All sections with their bytes, which overlap nowhere.
 * @throws BpfError `elf/no-sections`, `elf/section-outside-file`, `elf/overlapping-sections`, `elf/…`.
 */
export function readSections(file: Reader): ElfSection[] {
  const sections = namedSections(file, sectionTable(file));
  refuseOverlaps(sections);
  return sections;
}

function checkIdent(bytes: Uint8Array, hints: FormatHints): void {
  if (bytes.length < 16) throw truncated("the ELF identification", 0, 16, bytes.length);
  if (bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new BpfError("elf/not-elf", "the file does not start with \\x7fELF", {
      offset: 0,
      hint: hints.notElf,
    });
  }
  if (bytes[4] !== 2) {
    throw new BpfError("elf/not-64-bit", `ELF class ${bytes[4]} is not 2 (64-bit)`, {
      offset: 4,
      hint: hints.not64Bit,
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
  readonly address: number;
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
      address: file.u64(at + 16),
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
    address: row.address,
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
