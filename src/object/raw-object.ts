import { BpfError } from "../base/index.ts";
import { type Btf, type BtfExt, parseBtf, parseBtfExt } from "../btf/index.ts";
import {
  type ElfFile,
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  EM_BPF,
  EM_NONE,
  ET_REL,
  R_BPF,
  readElf,
  readRelocations,
  SHF,
  SHT,
} from "../elf/index.ts";

/** A BPF object file taken apart: sections with their relocations, symbols, BTF. Input of reader and linker. */
export interface RawObject {
  readonly byteOrder: "little" | "big";
  /** Indexed by section number. */
  readonly sections: readonly RawSection[];
  readonly symbols: readonly ElfSymbol[];
  readonly btf: Btf | undefined;
  readonly ext: BtfExt | undefined;
}

export interface RawSection {
  readonly index: number;
  readonly name: string;
  /** SHT_*. */
  readonly type: number;
  /** SHF_*. */
  readonly flags: number;
  readonly size: number;
  readonly align: number;
  /** Empty for SHT_NOBITS. */
  readonly data: Uint8Array;
  /** In file order; addends of RELA are already in `data`, as REL has them. */
  readonly relocations: readonly ElfRelocation[];
}

/** True for a section of instructions that is not empty. */
export function isCode(section: RawSection): boolean {
  return section.type === SHT.PROGBITS && (section.flags & SHF.EXECINSTR) !== 0 && section.size > 0;
}

/**
 * Takes an object file apart.
 * @throws BpfError `elf/…`, `btf/…`, `object/not-bpf`, `object/no-symbols`.
 */
export function takeApart(bytes: Uint8Array): RawObject {
  const elf = readElf(bytes);
  if (elf.type !== ET_REL || (elf.machine !== EM_BPF && elf.machine !== EM_NONE)) {
    throw new BpfError(
      "object/not-bpf",
      `ELF type ${elf.type} for machine ${elf.machine} is no relocatable BPF object (type ${ET_REL}, machine ${EM_BPF})`,
      { offset: 16, hint: "compile with `clang --target=bpf -O2 -g -c`" },
    );
  }
  if (elf.symbolSection === 0) {
    throw new BpfError("object/no-symbols", "the object has no symbol table", {
      hint: "it was stripped: keep the symbols (llvm-strip -g drops only debug data)",
    });
  }
  const relocations = relocationsByTarget(elf);
  const sections = elf.sections.map((section) => rawSection(elf, section, relocations[section.index]));
  const { btf, ext } = readTypes(elf);
  return { byteOrder: elf.byteOrder, sections, symbols: elf.symbols, btf, ext };
}

/** BTF and its companion; a `.BTF.ext` without BTF is of no use and dropped. */
function readTypes(elf: ElfFile): { btf: Btf | undefined; ext: BtfExt | undefined } {
  const types = elf.sections.find((section) => section.name === ".BTF");
  const extra = elf.sections.find((section) => section.name === ".BTF.ext");
  if (types === undefined) return { btf: undefined, ext: undefined };
  const btf = within(types, () => parseBtf(types.data));
  const ext = extra === undefined ? undefined : within(extra, () => parseBtfExt(extra.data, btf));
  return { btf, ext };
}

/** Offsets of errors become offsets in the file. */
function within<T>(section: ElfSection, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new BpfError(error.code, `section '${section.name}': ${error.message}`, {
      ...(error.offset === undefined ? {} : { offset: section.offset + error.offset }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      subject: section.name,
      cause: error,
    });
  }
}

interface SectionRelocations {
  readonly plain: ElfRelocation[];
  readonly withAddend: ElfRelocation[];
}

function relocationsByTarget(elf: ElfFile): SectionRelocations[] {
  const out: SectionRelocations[] = elf.sections.map(() => ({ plain: [], withAddend: [] }));
  for (const section of elf.sections) {
    if (section.type !== SHT.REL && section.type !== SHT.RELA) continue;
    const target = elf.sections[section.info];
    if (target === undefined) {
      throw new BpfError(
        "elf/bad-relocations",
        `section '${section.name}' relocates section ${section.info}, of ${elf.sections.length}`,
        { offset: section.offset, subject: section.name },
      );
    }
    if (/^\.(debug_|BTF|eh_frame)/.test(target.name)) continue;
    const rows = readRelocations(elf, section);
    const list = section.type === SHT.RELA ? out[target.index].withAddend : out[target.index].plain;
    for (const row of rows) list.push(row);
  }
  return out;
}

function rawSection(elf: ElfFile, section: ElfSection, relocations: SectionRelocations): RawSection {
  const { index, name, type, flags, size, align } = section;
  const data = relocations.withAddend.length === 0 ? section.data : section.data.slice();
  for (const row of relocations.withAddend) storeAddend(data, elf.byteOrder === "little", row);
  return {
    index,
    name,
    type,
    flags,
    size,
    align,
    data,
    relocations: [...relocations.plain, ...relocations.withAddend],
  };
}

/** Puts a RELA addend where REL keeps it: Documentation/bpf/llvm_reloc.rst. */
function storeAddend(data: Uint8Array, little: boolean, row: ElfRelocation): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const room = row.type === R_BPF.R64_64 ? 16 : 8;
  if (row.offset + room > data.length) {
    throw new BpfError(
      "elf/bad-relocations",
      `relocation at ${row.offset} of a section of ${data.length} bytes`,
    );
  }
  switch (row.type) {
    case R_BPF.R64_64:
      view.setInt32(row.offset + 4, row.addend | 0, little);
      break;
    case R_BPF.R64_32:
      view.setInt32(row.offset + 4, (row.addend / 8 - 1) | 0, little);
      break;
    case R_BPF.ABS64:
      view.setBigInt64(row.offset, BigInt(Math.trunc(row.addend)), little);
      break;
    default:
      view.setInt32(row.offset, row.addend | 0, little);
  }
}
