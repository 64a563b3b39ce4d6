import { alignUp, BpfError } from "../base/index.ts";
import { BTF_HEADER_SIZE, BTF_KINDS, BTF_LINKAGES, BTF_MAGIC, BTF_MAX_TYPE } from "./parse.ts";
import { BTF_EXT_RECORD_SIZES } from "./parse-ext.ts";
import { type Btf, type BtfExt, type BtfMember, type BtfType, CORE_RELOCATION_KINDS } from "./types.ts";

export interface WriteBtfOptions {
  /** Default: little. */
  readonly byteOrder?: "little" | "big";
  /** Strings to share with {@link writeBtfExt}; write the `.BTF.ext` first, the `.BTF` holds the strings of both. */
  readonly strings?: BtfStringTable;
}

/** A string section in the making; each string is stored once. */
export class BtfStringTable {
  private readonly offsets = new Map<string, number>([["", 0]]);
  private readonly chunks: Uint8Array[] = [];
  private readonly start: number;
  private end: number;

  /** `base`: for a split BTF, what {@link parseBtf} made of the base; its strings are used first. */
  constructor(base?: Btf) {
    if (base === undefined) {
      this.start = 0;
      this.end = 1;
      this.chunks.push(new Uint8Array(1));
      return;
    }
    if (base.strings === undefined) {
      throw new BpfError("btf/bad-base", "the base BTF carries no string section", {
        hint: "pass the value parseBtf returned for the base, not a copy of it",
      });
    }
    for (const [offset, text] of base.strings.entries())
      if (!this.offsets.has(text)) this.offsets.set(text, offset);
    this.start = base.strings.end;
    this.end = this.start;
  }

  /** Offset of the string, added if new. @throws BpfError `btf/bad-string` for text with a NUL. */
  add(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    if (text.includes("\0"))
      throw new BpfError("btf/bad-string", "BTF strings end at NUL, so they cannot hold one");
    const offset = this.end;
    const bytes = new TextEncoder().encode(`${text}\0`);
    this.offsets.set(text, offset);
    this.chunks.push(bytes);
    this.end += bytes.length;
    return offset;
  }

  /** Bytes of the section so far. */
  get length(): number {
    return this.end - this.start;
  }

  /** Copies the section to `out` at `at`. */
  copyTo(out: Uint8Array, at: number): void {
    let pos = at;
    for (const chunk of this.chunks) {
      out.set(chunk, pos);
      pos += chunk.length;
    }
  }
}

/**
 * A `.BTF` section: {@link parseBtf} of it gives equal types. Of a split BTF only its own types are written; `strings`
 * must then be `new BtfStringTable(base)`.
 * @throws BpfError `btf/cannot-write` when a number does not fit the format, with the type as `subject`.
 */
export function writeBtf(btf: Btf, options: WriteBtfOptions = {}): Uint8Array {
  if (btf.types.length - 1 > BTF_MAX_TYPE) {
    throw new BpfError("btf/too-many-types", `more than ${BTF_MAX_TYPE} types`);
  }
  if (btf.baseCount > 0 && options.strings === undefined) {
    throw new BpfError("btf/bad-base", "a split BTF needs the strings of its base", {
      hint: "pass { strings: new BtfStringTable(base) }",
    });
  }
  const strings = options.strings ?? new BtfStringTable();
  const out = new WordWriter(options.byteOrder !== "big");
  for (let id = Math.max(btf.baseCount, 1); id < btf.types.length; id++)
    writeType(out, strings, btf.types[id], id);

  const bytes = new Uint8Array(BTF_HEADER_SIZE + out.length + strings.length);
  const header = new DataView(bytes.buffer);
  writeHeader(header, out.little, BTF_HEADER_SIZE, [0, out.length, out.length, strings.length]);
  out.copyTo(bytes, BTF_HEADER_SIZE);
  strings.copyTo(bytes, BTF_HEADER_SIZE + out.length);
  return bytes;
}

/**
 * A `.BTF.ext` section whose names go to `strings`: write the `.BTF` with the same table afterwards. Neighbouring
 * records of one section share a header.
 */
export function writeBtfExt(
  ext: BtfExt,
  strings: BtfStringTable,
  options: Pick<WriteBtfOptions, "byteOrder"> = {},
): Uint8Array {
  const HEADER = 32;
  const out = new WordWriter(options.byteOrder !== "big");
  const parts: number[] = [];
  const part = <R extends { readonly section: string }>(
    records: readonly R[],
    size: number,
    write: (record: R) => void,
  ): void => {
    const start = out.length;
    if (records.length > 0) out.u32(size);
    for (let from = 0; from < records.length; ) {
      let to = from;
      while (to < records.length && records[to].section === records[from].section) to++;
      out.u32(strings.add(records[from].section));
      out.u32(to - from);
      for (; from < to; from++) write(records[from]);
    }
    parts.push(start, out.length - start);
  };
  part(ext.funcInfo, BTF_EXT_RECORD_SIZES.funcInfo, (record) => {
    out.u32(record.insn * 8);
    out.u32(record.type);
  });
  part(ext.lineInfo, BTF_EXT_RECORD_SIZES.lineInfo, (record) => {
    out.u32(record.insn * 8);
    out.u32(strings.add(record.file));
    out.u32(strings.add(record.text));
    // 22 bits of line, 10 bits of column; what does not fit is unknown (0), as compilers do.
    const line = record.line <= 0x3f_ffff ? record.line : 0;
    out.u32(((line << 10) | (record.column <= 0x3ff ? record.column : 0)) >>> 0);
  });
  part(ext.coreRelocations, BTF_EXT_RECORD_SIZES.coreRelocations, (record) => {
    out.u32(record.insn * 8);
    out.u32(record.type);
    out.u32(strings.add(record.access));
    out.u32(CORE_RELOCATION_KINDS.indexOf(record.kind));
  });
  const bytes = new Uint8Array(HEADER + out.length);
  writeHeader(new DataView(bytes.buffer), out.little, HEADER, parts);
  out.copyTo(bytes, HEADER);
  return bytes;
}

function writeHeader(view: DataView, little: boolean, size: number, fields: readonly number[]): void {
  view.setUint16(0, BTF_MAGIC, little);
  view.setUint8(2, 1);
  view.setUint32(4, size, little);
  fields.forEach((field, i) => {
    view.setUint32(8 + 4 * i, field, little);
  });
}

/** 32-bit words, one after the other, in growing memory. */
class WordWriter {
  readonly little: boolean;
  length = 0;
  private bytes = new Uint8Array(4096);
  private view = new DataView(this.bytes.buffer);

  constructor(little: boolean) {
    this.little = little;
  }

  u32(value: number): void {
    if (this.length + 4 > this.bytes.length) {
      const grown = new Uint8Array(alignUp(this.bytes.length * 2, 4));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    this.view.setUint32(this.length, value, this.little);
    this.length += 4;
  }

  copyTo(out: Uint8Array, at: number): void {
    out.set(this.bytes.subarray(0, this.length), at);
  }
}

function writeType(out: WordWriter, strings: BtfStringTable, type: BtfType, id: number): void {
  const fail = (message: string): BpfError =>
    new BpfError("btf/cannot-write", `[${id}] ${type.kind} ${type.name}: ${message}`, {
      subject: `type ${id}`,
    });
  const number = (value: number, max: number, what: string): number => {
    if (Number.isInteger(value) && value >= 0 && value <= max) return value;
    throw fail(`${what} ${value} is not in 0 to ${max}`);
  };
  const u32 = (value: number, what: string): void => out.u32(number(value, 0xffff_ffff, what));
  const head = (vlen: number, kindFlag: boolean, sizeOrType: number): void => {
    out.u32(strings.add(type.name));
    number(vlen, 0xffff, "number of members");
    out.u32(((kindFlag ? 0x8000_0000 : 0) | (BTF_KINDS[type.kind] << 24) | vlen) >>> 0);
    u32(sizeOrType, "size or type");
  };
  switch (type.kind) {
    case "void":
      throw fail("only type 0 is void, and it is not written");
    case "int": {
      head(0, false, type.size);
      const { signed, char, bool } = type.encoding;
      const encoding = (signed ? 1 : 0) | (char ? 2 : 0) | (bool ? 4 : 0);
      number(type.bits, 0xff, "bits");
      number(type.bitOffset, 0xff, "bit offset");
      out.u32((encoding << 24) | (type.bitOffset << 16) | type.bits);
      return;
    }
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
      head(0, false, type.type);
      return;
    case "type_tag":
      head(0, type.kindFlag, type.type);
      return;
    case "array":
      head(0, false, 0);
      u32(type.type, "element type");
      u32(type.indexType, "index type");
      u32(type.length, "length");
      return;
    case "struct":
    case "union":
      head(type.members.length, type.kindFlag, type.size);
      for (const member of type.members) {
        out.u32(strings.add(member.name));
        u32(member.type, "member type");
        out.u32(memberOffset(member, type.kindFlag, number));
      }
      return;
    case "enum":
      head(type.values.length, type.signed, type.size);
      for (const { name, value } of type.values) {
        out.u32(strings.add(name));
        if (type.signed) number(value + 0x8000_0000, 0xffff_ffff, "value + 2^31");
        else number(value, 0xffff_ffff, "value");
        out.u32(value >>> 0);
      }
      return;
    case "enum64":
      head(type.values.length, type.signed, type.size);
      for (const { name, value } of type.values) {
        out.u32(strings.add(name));
        const fits = type.signed ? BigInt.asIntN(64, value) === value : BigInt.asUintN(64, value) === value;
        if (!fits) throw fail(`value ${value} does not fit 64 bits`);
        out.u32(Number(BigInt.asUintN(32, value)));
        out.u32(Number(BigInt.asUintN(32, value >> 32n)));
      }
      return;
    case "fwd":
      head(0, type.union, 0);
      return;
    case "func":
      head(BTF_LINKAGES.indexOf(type.linkage), false, type.type);
      return;
    case "func_proto":
      head(type.params.length, false, type.type);
      for (const param of type.params) {
        out.u32(strings.add(param.name));
        u32(param.type, "parameter type");
      }
      return;
    case "var":
      head(0, false, type.type);
      out.u32(BTF_LINKAGES.indexOf(type.linkage));
      return;
    case "datasec":
      head(type.vars.length, false, type.size);
      for (const entry of type.vars) {
        u32(entry.type, "variable");
        u32(entry.offset, "offset");
        u32(entry.size, "size");
      }
      return;
    case "float":
      head(0, false, type.size);
      return;
    case "decl_tag":
      head(0, type.kindFlag, type.type);
      number(type.componentIndex + 1, 0x7fff_ffff, "component index + 1");
      out.u32(type.componentIndex >>> 0);
      return;
  }
}

function memberOffset(
  member: BtfMember,
  kindFlag: boolean,
  number: (value: number, max: number, what: string) => number,
): number {
  if (!kindFlag) {
    number(member.bitSize, 0, "bit size without kindFlag");
    return number(member.bitOffset, 0xffff_ffff, "bit offset");
  }
  number(member.bitSize, 0xff, "bit size");
  number(member.bitOffset, 0xff_ffff, "bit offset");
  return ((member.bitSize << 24) | member.bitOffset) >>> 0;
}
