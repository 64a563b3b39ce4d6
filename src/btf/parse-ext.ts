import { BpfError } from "../base/index.ts";
import { readBtfHeader } from "./parse.ts";
import { type Btf, type BtfExt, CORE_RELOCATION_KINDS, type CoreRelocation } from "./types.ts";

/** Bytes of one record as this parser knows it; files may use longer records. */
export const BTF_EXT_RECORD_SIZES = { funcInfo: 8, lineInfo: 16, coreRelocations: 16 } as const;

/**
 * Reads a `.BTF.ext` section. `btf` is what {@link parseBtf} made of the same object's `.BTF`: names live there.
 * Byte offsets of instructions become slots (divided by 8) in the section a record names.
 * @throws BpfError `btf/bad-magic`, `btf/bad-header`, `btf/truncated`, `btf/bad-record`, `btf/bad-string`,
 * `btf/bad-type-id`, `btf/unknown-core-kind`; `offset` is the byte in `bytes`.
 */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const { view, little, hdrLen } = readBtfHeader(bytes, "BTF.ext");
  const strings = btf.strings;
  if (strings === undefined) {
    throw new BpfError("btf/bad-base", "the BTF carries no string section", {
      hint: "pass the value parseBtf returned, not a copy of it",
    });
  }
  const u32 = (at: number): number => view.getUint32(at, little);
  const funcInfo: BtfExt["funcInfo"][number][] = [];
  const lineInfo: BtfExt["lineInfo"][number][] = [];
  const coreRelocations: CoreRelocation[] = [];
  const typeId = (at: number): number => {
    const id = u32(at);
    if (id < btf.types.length) return id;
    throw new BpfError(
      "btf/bad-type-id",
      `record refers to type ${id}, the last is ${btf.types.length - 1}`,
      {
        offset: at,
        hint: "pass the .BTF of the same object",
      },
    );
  };
  const slot = (at: number): number => {
    const byteOffset = u32(at);
    if (byteOffset % 8 === 0) return byteOffset / 8;
    throw new BpfError("btf/bad-record", `instruction offset ${byteOffset} is no multiple of 8`, {
      offset: at,
    });
  };

  const eachRecord = (
    headerAt: number,
    minSize: number,
    read: (at: number, section: string) => void,
  ): void => {
    // A header that ends before these fields has no such part (core_relo came with Linux 5.4's longer header).
    if (headerAt + 8 > hdrLen) return;
    const start = hdrLen + u32(headerAt);
    const length = u32(headerAt + 4);
    if (length === 0) return;
    const end = start + length;
    if (start % 4 !== 0)
      throw new BpfError("btf/bad-header", `part at ${start} is not aligned to 4`, { offset: headerAt });
    if (end > bytes.length || length < 4) {
      throw new BpfError("btf/truncated", `part ends at ${end}, behind the ${bytes.length} bytes given`, {
        offset: headerAt,
      });
    }
    const recordSize = u32(start);
    if (recordSize < minSize || recordSize % 4 !== 0) {
      throw new BpfError(
        "btf/bad-record",
        `record size ${recordSize}; at least ${minSize}, a multiple of 4, expected`,
        {
          offset: start,
        },
      );
    }
    let at = start + 4;
    while (at < end) {
      if (at + 8 > end) throw new BpfError("btf/truncated", "section header is cut off", { offset: at });
      const section = strings.get(u32(at));
      const count = u32(at + 4);
      at += 8;
      if (count === 0 || count * recordSize > end - at) {
        throw new BpfError(
          "btf/bad-record",
          `${count} records of ${recordSize} bytes, ${end - at} bytes left`,
          {
            offset: at - 4,
          },
        );
      }
      for (let i = 0; i < count; i++, at += recordSize) read(at, section);
    }
  };

  eachRecord(8, BTF_EXT_RECORD_SIZES.funcInfo, (at, section) => {
    funcInfo.push({ section, insn: slot(at), type: typeId(at + 4) });
  });
  eachRecord(16, BTF_EXT_RECORD_SIZES.lineInfo, (at, section) => {
    // line_col: 22 bits of line, 10 bits of column.
    const lineColumn = u32(at + 12);
    lineInfo.push({
      section,
      insn: slot(at),
      file: strings.get(u32(at + 4)),
      text: strings.get(u32(at + 8)),
      line: lineColumn >>> 10,
      column: lineColumn & 0x3ff,
    });
  });
  eachRecord(24, BTF_EXT_RECORD_SIZES.coreRelocations, (at, section) => {
    const kind = CORE_RELOCATION_KINDS[u32(at + 12)];
    if (kind === undefined) {
      throw new BpfError("btf/unknown-core-kind", `CO-RE relocation of unknown kind ${u32(at + 12)}`, {
        offset: at + 12,
        hint: "kinds 0 to 12 are known; a newer compiler may have made this object",
      });
    }
    coreRelocations.push({
      section,
      insn: slot(at),
      type: typeId(at + 4),
      access: strings.get(u32(at + 8)),
      kind,
    });
  });
  return { funcInfo, lineInfo, coreRelocations };
}
