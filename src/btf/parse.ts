// One algorithm: the reader of `.BTF`, kind by kind. Documentation/bpf/btf.rst has the layouts.
import { BpfError } from "../base/index.ts";
import { checkNoLoops } from "./loops.ts";
import { BtfStrings } from "./strings.ts";
import type { Btf, BtfLinkage, BtfMember, BtfType } from "./types.ts";

export interface ParseBtfOptions {
  /** What a split BTF (a kernel module's) builds on: itself a result of {@link parseBtf}. */
  readonly base?: Btf;
}

/** `BTF_MAGIC`. */
export const BTF_MAGIC = 0xeb9f;
/** Bytes of the header this parser knows; longer ones are accepted. */
export const BTF_HEADER_SIZE = 24;
/** Largest type id the kernel accepts (`BTF_MAX_TYPE`). */
export const BTF_MAX_TYPE = 0x000f_ffff;

/** Numbers of `BTF_KIND_*`, include/uapi/linux/btf.h. */
export const BTF_KINDS = {
  void: 0,
  int: 1,
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  fwd: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  func: 12,
  func_proto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  decl_tag: 17,
  type_tag: 18,
  enum64: 19,
} as const satisfies Record<BtfType["kind"], number>;

/** `BTF_FUNC_STATIC`, `BTF_VAR_STATIC` and so on: the index is the number in the file. */
export const BTF_LINKAGES = ["static", "global", "extern"] as const satisfies readonly BtfLinkage[];

/**
 * Reads a `.BTF` section or /sys/kernel/btf/vmlinux, in either byte order. The result is sound: every type id and
 * string exists, and no type contains itself.
 * @throws BpfError `btf/bad-magic`, `btf/bad-header`, `btf/truncated`, `btf/unknown-kind`, `btf/bad-type`,
 * `btf/bad-string`, `btf/bad-type-id`, `btf/cycle`, `btf/too-deep`, `btf/too-many-types`; `offset` is the byte in
 * `bytes`, `subject` names the type.
 */
export function parseBtf(bytes: Uint8Array, options: ParseBtfOptions = {}): Btf {
  const header = readBtfHeader(bytes, "BTF");
  const { view, little, hdrLen } = header;
  const u32 = (at: number): number => view.getUint32(at, little);
  const typeStart = hdrLen + u32(8);
  const typeLen = u32(12);
  const strStart = hdrLen + u32(16);
  const strLen = u32(20);
  checkRange(bytes, typeStart, typeLen, "type section");
  checkRange(bytes, strStart, strLen, "string section");
  const base = options.base;
  if (base !== undefined && base.strings === undefined) {
    throw new BpfError("btf/bad-base", "the base BTF carries no string section", {
      hint: "pass the value parseBtf returned for the base, not a copy of it",
    });
  }
  const stringBytes = bytes.subarray(strStart, strStart + strLen);
  checkStrings(stringBytes, base !== undefined, strStart);
  const strings = new BtfStrings(stringBytes, base?.strings);

  const types: BtfType[] = base === undefined ? [VOID] : base.types.slice();
  const baseCount = base === undefined ? 0 : types.length;
  readTypes(view, little, typeStart, typeStart + typeLen, strings, types);
  checkBtf(types, baseCount);
  return withStrings({ types, baseCount }, strings);
}

/**
 * Checks what {@link parseBtf} promises of its result, for types made by hand: ids exist, nothing contains itself.
 * Types below `from` are taken as checked.
 * @throws BpfError `btf/bad-type-id`, `btf/cycle`, `btf/too-deep`.
 */
export function checkBtf(types: readonly BtfType[], from = 0): void {
  checkIds(types, from);
  checkNoLoops(types, from);
}

const VOID: BtfType = { kind: "void", name: "" };

/** Hangs the string section on `btf` without making it part of the data (not enumerable, not serialised). */
function withStrings(btf: Btf, strings: BtfStrings): Btf {
  return Object.defineProperty(btf, "strings", { value: strings, enumerable: false });
}

/** The fields that `.BTF` and `.BTF.ext` headers share. */
export interface BtfHeader {
  readonly view: DataView;
  readonly little: boolean;
  readonly hdrLen: number;
}

/** Checks magic, version, flags and header length of a `.BTF` or `.BTF.ext` section. */
export function readBtfHeader(bytes: Uint8Array, what: "BTF" | "BTF.ext"): BtfHeader {
  if (bytes.length < BTF_HEADER_SIZE) {
    throw new BpfError(
      "btf/truncated",
      `${what} header needs ${BTF_HEADER_SIZE} bytes, got ${bytes.length}`,
      {
        offset: bytes.length,
      },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = view.getUint16(0, true) === BTF_MAGIC;
  if (!little && view.getUint16(0, false) !== BTF_MAGIC) {
    throw new BpfError("btf/bad-magic", `Invalid magic: 0x${view.getUint16(0, true).toString(16)}`, {
      offset: 0,
      hint: `a ${what} section starts with the bytes 9f eb (little endian) or eb 9f`,
    });
  }
  const version = view.getUint8(2);
  if (version !== 1) {
    throw new BpfError("btf/bad-header", `Unsupported version ${version}`, { offset: 2 });
  }
  const flags = view.getUint8(3);
  if (flags !== 0)
    throw new BpfError("btf/bad-header", `Unsupported flags 0x${flags.toString(16)}`, { offset: 3 });
  const hdrLen = view.getUint32(4, little);
  if (hdrLen < BTF_HEADER_SIZE || hdrLen > bytes.length || hdrLen % 4 !== 0) {
    throw new BpfError("btf/bad-header", `Invalid header length ${hdrLen}`, { offset: 4 });
  }
  return { view, little, hdrLen };
}

function checkRange(bytes: Uint8Array, start: number, length: number, what: string): void {
  if (start % 4 !== 0 && what === "type section") {
    throw new BpfError("btf/bad-header", `Unaligned ${what} at ${start}`, { offset: 8 });
  }
  if (start + length <= bytes.length) return;
  throw new BpfError(
    "btf/truncated",
    `${what} ends at ${start + length}, behind the ${bytes.length} bytes given`,
    {
      offset: start,
      hint: "the section is cut off; read the whole file",
    },
  );
}

function checkStrings(bytes: Uint8Array, split: boolean, offset: number): void {
  if (bytes.length === 0) {
    if (split) return;
    throw new BpfError("btf/bad-header", "Invalid string section: empty", { offset });
  }
  if ((!split && bytes[0] !== 0) || bytes[bytes.length - 1] !== 0) {
    throw new BpfError("btf/bad-header", "Invalid string section: it must start and end with NUL", {
      offset,
    });
  }
}

/** Appends every type between `start` and `end` to `types`. */
function readTypes(
  view: DataView,
  little: boolean,
  start: number,
  end: number,
  strings: BtfStrings,
  types: BtfType[],
): void {
  let at = start;
  const fail = (code: `btf/${string}`, message: string, hint?: string): never => {
    throw new BpfError(code, `[${types.length}] ${message}`, {
      offset: at,
      subject: `type ${types.length}`,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  const need = (count: number): void => {
    if (at + count > end)
      fail("btf/truncated", `type needs ${count} more bytes, the section has ${end - at}`);
  };
  const u32 = (pos: number): number => view.getUint32(pos, little);
  const linkage = (value: number): BtfLinkage =>
    BTF_LINKAGES[value] ?? fail("btf/bad-type", `Invalid linkage ${value}`);
  const anonymous = (nameOff: number): "" => {
    if (nameOff !== 0) fail("btf/bad-type", "Invalid name: this kind has none");
    return "";
  };
  const plain = (vlen: number): void => {
    if (vlen !== 0) fail("btf/bad-type", `vlen is ${vlen}, this kind has no members`);
  };

  const readOne = (): BtfType => {
    need(12);
    const nameOff = u32(at);
    const info = u32(at + 4);
    const sizeOrType = u32(at + 8);
    const kindFlag = info >>> 31 !== 0;
    const kind = (info >>> 24) & 0x1f;
    const vlen = info & 0xffff;
    const name = strings.get(nameOff);
    at += 12;
    switch (kind) {
      case BTF_KINDS.int: {
        plain(vlen);
        need(4);
        const data = u32(at);
        at += 4;
        const flags = (data >>> 24) & 0x0f;
        return {
          kind: "int",
          name,
          size: sizeOrType,
          bits: data & 0xff,
          bitOffset: (data >>> 16) & 0xff,
          encoding: { signed: (flags & 1) !== 0, char: (flags & 2) !== 0, bool: (flags & 4) !== 0 },
        };
      }
      case BTF_KINDS.ptr:
        plain(vlen);
        return { kind: "ptr", name: anonymous(nameOff), type: sizeOrType };
      case BTF_KINDS.array: {
        plain(vlen);
        need(12);
        at += 12;
        return {
          kind: "array",
          name: anonymous(nameOff),
          type: u32(at - 12),
          indexType: u32(at - 8),
          length: u32(at - 4),
        };
      }
      case BTF_KINDS.struct:
      case BTF_KINDS.union: {
        need(12 * vlen);
        const members: BtfMember[] = new Array(vlen);
        for (let i = 0; i < vlen; i++, at += 12) {
          const offset = u32(at + 8);
          members[i] = {
            name: strings.get(u32(at)),
            type: u32(at + 4),
            bitOffset: kindFlag ? offset & 0xff_ffff : offset,
            bitSize: kindFlag ? offset >>> 24 : 0,
          };
        }
        return {
          kind: kind === BTF_KINDS.struct ? "struct" : "union",
          name,
          size: sizeOrType,
          kindFlag,
          members,
        };
      }
      case BTF_KINDS.enum: {
        need(8 * vlen);
        const values: { name: string; value: number }[] = new Array(vlen);
        for (let i = 0; i < vlen; i++, at += 8) {
          const value = kindFlag ? view.getInt32(at + 4, little) : u32(at + 4);
          values[i] = { name: strings.get(u32(at)), value };
        }
        return { kind: "enum", name, size: sizeOrType, signed: kindFlag, values };
      }
      case BTF_KINDS.enum64: {
        need(12 * vlen);
        const values: { name: string; value: bigint }[] = new Array(vlen);
        for (let i = 0; i < vlen; i++, at += 12) {
          const bits = (BigInt(u32(at + 8)) << 32n) | BigInt(u32(at + 4));
          values[i] = { name: strings.get(u32(at)), value: kindFlag ? BigInt.asIntN(64, bits) : bits };
        }
        return { kind: "enum64", name, size: sizeOrType, signed: kindFlag, values };
      }
      case BTF_KINDS.fwd:
        plain(vlen);
        return { kind: "fwd", name, union: kindFlag };
      case BTF_KINDS.typedef:
        plain(vlen);
        return { kind: "typedef", name, type: sizeOrType };
      case BTF_KINDS.volatile:
        plain(vlen);
        return { kind: "volatile", name: anonymous(nameOff), type: sizeOrType };
      case BTF_KINDS.const:
        plain(vlen);
        return { kind: "const", name: anonymous(nameOff), type: sizeOrType };
      case BTF_KINDS.restrict:
        plain(vlen);
        return { kind: "restrict", name: anonymous(nameOff), type: sizeOrType };
      case BTF_KINDS.func:
        return { kind: "func", name, type: sizeOrType, linkage: linkage(vlen) };
      case BTF_KINDS.func_proto: {
        need(8 * vlen);
        const params: { name: string; type: number }[] = new Array(vlen);
        for (let i = 0; i < vlen; i++, at += 8) params[i] = { name: strings.get(u32(at)), type: u32(at + 4) };
        return { kind: "func_proto", name: anonymous(nameOff), type: sizeOrType, params };
      }
      case BTF_KINDS.var: {
        plain(vlen);
        need(4);
        at += 4;
        return { kind: "var", name, type: sizeOrType, linkage: linkage(u32(at - 4)) };
      }
      case BTF_KINDS.datasec: {
        need(12 * vlen);
        const vars: { type: number; offset: number; size: number }[] = new Array(vlen);
        for (let i = 0; i < vlen; i++, at += 12) {
          vars[i] = { type: u32(at), offset: u32(at + 4), size: u32(at + 8) };
        }
        return { kind: "datasec", name, size: sizeOrType, vars };
      }
      case BTF_KINDS.float:
        plain(vlen);
        return { kind: "float", name, size: sizeOrType };
      case BTF_KINDS.decl_tag: {
        plain(vlen);
        need(4);
        at += 4;
        return {
          kind: "decl_tag",
          name,
          type: sizeOrType,
          componentIndex: view.getInt32(at - 4, little),
          kindFlag,
        };
      }
      case BTF_KINDS.type_tag:
        plain(vlen);
        return { kind: "type_tag", name, type: sizeOrType, kindFlag };
      default:
        at -= 12;
        return fail(
          "btf/unknown-kind",
          `Invalid kind ${kind}`,
          "kinds 1 to 19 are known; a newer kernel or compiler may have made this BTF",
        );
    }
  };

  while (at < end) {
    if (types.length > BTF_MAX_TYPE) fail("btf/too-many-types", `more than ${BTF_MAX_TYPE} types`);
    types.push(readOne());
  }
}

/** Every type id that a type mentions. */
export function eachReference(type: BtfType, visit: (id: number) => void): void {
  switch (type.kind) {
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "func":
    case "var":
    case "decl_tag":
    case "type_tag":
      visit(type.type);
      return;
    case "array":
      visit(type.type);
      visit(type.indexType);
      return;
    case "struct":
    case "union":
      for (const member of type.members) visit(member.type);
      return;
    case "func_proto":
      visit(type.type);
      for (const param of type.params) visit(param.type);
      return;
    case "datasec":
      for (const entry of type.vars) visit(entry.type);
      return;
    default:
      return;
  }
}

function checkIds(types: readonly BtfType[], from: number): void {
  let owner = from;
  const visit = (id: number): void => {
    if (id < types.length) return;
    throw new BpfError(
      "btf/bad-type-id",
      `[${owner}] ${types[owner].kind} refers to type ${id}, the last is ${types.length - 1}`,
      {
        subject: `type ${owner}`,
        hint: "a split BTF (of a kernel module) needs its base: parseBtf(bytes, { base })",
      },
    );
  };
  for (; owner < types.length; owner++) eachReference(types[owner], visit);
}
