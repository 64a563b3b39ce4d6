// One algorithm: bytes of a BTF type to JavaScript values and back, kind by kind.
import { BpfError } from "../base/index.ts";
import { BTF_POINTER_SIZE, type BtfTypeOf, resolveType, sizeOf, typeAt } from "./query.ts";
import type { Btf } from "./types.ts";

/**
 * A value of a BTF type:
 *
 * | C | JavaScript |
 * |---|---|
 * | integers up to 32 bits | `number` |
 * | 64 and 128 bits, pointers | `bigint` |
 * | `bool` | `boolean` (a byte other than 0 and 1: `number`) |
 * | enums | name of the first enumerator with the value; the number or bigint when there is none |
 * | `float`, `double` | `number` (others: `Uint8Array`) |
 * | arrays | `Array`; `char` arrays a `string` where they hold one, see {@link CodecOptions.strings} |
 * | structs | object; members of anonymous members are members of the outer object |
 * | unions | object with every member, each a view of the same bytes |
 * | data sections | object by variable name |
 */
export type BtfValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly BtfValue[]
  | { readonly [member: string]: BtfValue };

/** Reads and writes values of one type. */
export interface BtfCodec {
  /** Bytes of a value. */
  readonly size: number;
  /** @throws BpfError `btf/bad-length` when `bytes` has not `size` bytes. */
  decode(bytes: Uint8Array): BtfValue;
  /**
   * As a C initialiser: members that are not given are zero, padding is zero. Integers may be given as number,
   * bigint, or text (`"0x10"`, `"-3"`); an enum by name or number. Members given of a union must agree on the bytes
   * they share, so to change a union give one member only.
   * @throws BpfError `btf/bad-value` with the path to the culprit in the message.
   */
  encode(value: BtfValue): Uint8Array;
}

export interface CodecOptions {
  /** Default: little. */
  readonly byteOrder?: "little" | "big";
  /**
   * Default true: an array of `char` (not of `unsigned char`) is a string when it holds valid UTF-8 without control
   * characters other than tab and line ends, and nothing but zero bytes from its first NUL on. Other contents, and
   * everything with false, are arrays of numbers. Both forms can be encoded.
   */
  readonly strings?: boolean;
}

/** Largest type a codec is made for, in bytes. */
export const CODEC_MAX_SIZE = 1 << 28;
/** Most JavaScript values one decode may make; unions in unions could ask for any number. */
const MAX_VALUES = 1 << 26;

/**
 * A codec for the type (or variable, or data section) `id`. What it writes and reads back is the same value; what it
 * reads and writes back is the same bytes but for padding and NaN payloads.
 * @throws BpfError `btf/no-size` (void, functions, forward declarations), `btf/too-big`, `btf/bad-type-id`,
 * `btf/bad-int`.
 */
export function codecFor(btf: Btf, id: number, options: CodecOptions = {}): BtfCodec {
  const size = sizeOf(btf, id);
  if (size > CODEC_MAX_SIZE) throw tooBig(id);
  const node = new Builder(btf, options).build(id);
  return {
    size,
    decode(bytes) {
      if (bytes.length === size) return node.read(new DataView(bytes.buffer, bytes.byteOffset, size), 0);
      throw new BpfError("btf/bad-length", `type ${id} has ${size} bytes, got ${bytes.length}`, {
        subject: `type ${id}`,
      });
    },
    encode(value) {
      try {
        const out = newSink(size);
        node.write(out, 0, value);
        return out.bytes;
      } catch (error) {
        if (!(error instanceof BadValue)) throw error;
        const path = `value${error.steps.reverse().join("")}`;
        throw new BpfError("btf/bad-value", `${path}: ${error.message}`, {
          subject: path,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        });
      }
    },
  };
}

/** Part of a codec: one type, at any byte offset. */
interface Node {
  readonly size: number;
  /** JavaScript values a read makes. */
  readonly cost: number;
  read(view: DataView, at: number): BtfValue;
  write(out: Sink, at: number, value: unknown): void;
}

/** A struct, union or data section: what an anonymous member needs to live in the object around it. */
interface RecordNode extends Node {
  readonly keys: ReadonlySet<string>;
  readInto(view: DataView, at: number, into: Record<string, BtfValue>): void;
  writeFrom(out: Sink, at: number, from: Readonly<Record<string, unknown>>): void;
}

/** Bytes being written, and which of their bits have been. */
interface Sink {
  readonly bytes: Uint8Array;
  readonly mask: Uint8Array;
  readonly view: DataView;
}

interface Field {
  /** Undefined: anonymous, its own members are the outer object's. */
  readonly key: string | undefined;
  readonly at: number;
  readonly node: Node;
}

/** Wrong shape; collects the way to the culprit on its way up. */
class BadValue extends Error {
  readonly steps: string[] = [];
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

function newSink(size: number): Sink {
  const bytes = new Uint8Array(size);
  return { bytes, mask: new Uint8Array(size), view: new DataView(bytes.buffer) };
}

function tooBig(id: number): BpfError {
  return new BpfError("btf/too-big", `type ${id} is too big to be decoded as a whole`, {
    subject: `type ${id}`,
    hint: "decode the members you need one by one",
  });
}

class Builder {
  private readonly btf: Btf;
  private readonly little: boolean;
  private readonly strings: boolean;
  private readonly made = new Map<number, Node>();

  constructor(btf: Btf, options: CodecOptions) {
    this.btf = btf;
    this.little = options.byteOrder !== "big";
    this.strings = options.strings !== false;
  }

  build(start: number): Node {
    let id = resolveType(this.btf, start);
    let type = typeAt(this.btf, id);
    if (type.kind === "var") {
      id = resolveType(this.btf, type.type);
      type = typeAt(this.btf, id);
    }
    const known = this.made.get(id);
    if (known !== undefined) return known;
    const node = this.make(id);
    if (node.cost > MAX_VALUES) throw tooBig(id);
    this.made.set(id, node);
    return node;
  }

  private make(id: number): Node {
    const type = typeAt(this.btf, id);
    switch (type.kind) {
      case "int":
        return this.int(id, type);
      case "ptr":
        return intNode({ size: BTF_POINTER_SIZE, signed: false, bool: false, little: this.little });
      case "enum":
      case "enum64":
        return this.enumeration(id, type);
      case "float":
        return floatNode(type.size, this.little);
      case "array":
        return this.array(type);
      case "struct":
      case "union":
        return this.composite(type);
      case "datasec":
        return this.section(type);
      default:
        throw new BpfError("btf/no-size", `${type.kind} ${type.name || "(anonymous)"} has no size`, {
          subject: `type ${id}`,
        });
    }
  }

  private int(id: number, type: BtfTypeOf<"int">): Node {
    if (type.size < 1 || type.size > 16 || type.bits > type.size * 8 || type.bits === 0) {
      throw new BpfError("btf/bad-int", `int ${type.name} has ${type.bits} bits in ${type.size} bytes`, {
        subject: `type ${id}`,
      });
    }
    const { signed, bool } = type.encoding;
    if (type.bits < type.size * 8) {
      return bitsNode({
        bitOffset: type.bitOffset,
        bits: type.bits,
        size: type.size,
        signed,
        little: this.little,
        wide: type.size > 4,
      });
    }
    return intNode({ size: type.size, signed, bool, little: this.little });
  }

  private enumeration(id: number, type: BtfTypeOf<"enum" | "enum64">): Node {
    if (![1, 2, 4, 8].includes(type.size)) {
      throw new BpfError("btf/bad-int", `enum ${type.name} has ${type.size} bytes`, {
        subject: `type ${id}`,
      });
    }
    return enumNode(
      intNode({ size: type.size, signed: type.signed, bool: false, little: this.little }),
      type,
    );
  }

  private array(type: BtfTypeOf<"array">): Node {
    const element = this.build(type.type);
    const { length } = type;
    const elementType = typeAt(this.btf, resolveType(this.btf, type.type));
    const isChar =
      elementType.kind === "int" &&
      elementType.size === 1 &&
      (elementType.name === "char" || elementType.encoding.char) &&
      !elementType.encoding.bool;
    return arrayNode(element, length, isChar && this.strings, isChar);
  }

  private composite(type: BtfTypeOf<"struct" | "union">): Node {
    const fields: Field[] = [];
    for (const member of type.members) {
      const inner = typeAt(this.btf, resolveType(this.btf, member.type));
      const anonymous = member.name === "";
      if (anonymous && inner.kind !== "struct" && inner.kind !== "union") continue;
      const key = anonymous ? undefined : member.name;
      const node = this.build(member.type);
      // BTF of old compilers puts width and place of a bit-field into its own int type.
      const narrow = inner.kind === "int" && inner.bits < inner.size * 8;
      const bitOffset = member.bitOffset + (narrow ? inner.bitOffset : 0);
      if (member.bitSize === 0 && !narrow && bitOffset % 8 === 0) {
        checkInside(type, member.name, bitOffset / 8 + node.size);
        fields.push({ key, at: bitOffset / 8, node });
        continue;
      }
      const size = node.size;
      const bits = member.bitSize || (inner.kind === "int" ? inner.bits : size * 8);
      if (!isNumeric(inner.kind) || bits > 128 || size > 16) {
        throw new BpfError("btf/bad-int", `member ${member.name} is a bit-field of kind ${inner.kind}`, {
          subject: `${type.kind} ${type.name}`,
        });
      }
      checkInside(type, member.name, Math.ceil((bitOffset + bits) / 8));
      const signed =
        (inner.kind === "int" && inner.encoding.signed) ||
        ((inner.kind === "enum" || inner.kind === "enum64") && inner.signed);
      const bitNode = bitsNode({
        bitOffset: bitOffset % 8,
        bits,
        size: Math.ceil(((bitOffset % 8) + bits) / 8),
        signed,
        little: this.little,
        wide: size > 4,
        bool: inner.kind === "int" && inner.encoding.bool,
      });
      const isEnum = inner.kind === "enum" || inner.kind === "enum64";
      fields.push({ key, at: Math.floor(bitOffset / 8), node: isEnum ? enumNode(bitNode, inner) : bitNode });
    }
    return recordNode(type.size, fields, type.kind === "union");
  }

  private section(type: BtfTypeOf<"datasec">): Node {
    const fields = type.vars.map((entry): Field => {
      const variable = typeAt(this.btf, entry.type);
      const node = this.build(entry.type);
      checkInside(type, variable.name, entry.offset + node.size);
      return { key: variable.name, at: entry.offset, node };
    });
    return recordNode(type.size, fields, false);
  }
}

function isNumeric(kind: string): boolean {
  return kind === "int" || kind === "enum" || kind === "enum64";
}

function checkInside(type: BtfTypeOf<"struct" | "union" | "datasec">, name: string, end: number): void {
  if (end <= type.size) return;
  throw new BpfError(
    "btf/bad-member",
    `${name || "(anonymous)"} ends at byte ${end}, behind the ${type.size} bytes`,
    {
      subject: `${type.kind} ${type.name}`,
      hint: "the BTF contradicts itself; build the object again",
    },
  );
}

interface IntShape {
  readonly size: number;
  readonly signed: boolean;
  readonly bool: boolean;
  readonly little: boolean;
}

function intNode({ size, signed, bool, little }: IntShape): Node {
  const bits = size * 8;
  const range = rangeOf(bits, signed);
  const readWide = (view: DataView, at: number): bigint => {
    let value = 0n;
    for (let i = 0; i < size; i++) {
      value = (value << 8n) | BigInt(view.getUint8(little ? at + size - 1 - i : at + i));
    }
    return signed ? BigInt.asIntN(bits, value) : value;
  };
  const readNumber = (view: DataView, at: number): number => {
    switch (size) {
      case 1:
        return signed ? view.getInt8(at) : view.getUint8(at);
      case 2:
        return signed ? view.getInt16(at, little) : view.getUint16(at, little);
      case 4:
        return signed ? view.getInt32(at, little) : view.getUint32(at, little);
      default:
        return Number(readWide(view, at));
    }
  };
  const readBig = (view: DataView, at: number): bigint => {
    if (size !== 8) return readWide(view, at);
    return signed ? view.getBigInt64(at, little) : view.getBigUint64(at, little);
  };
  return {
    size,
    cost: 1,
    read(view, at) {
      if (size > 4) return readBig(view, at);
      const value = readNumber(view, at);
      return bool && (value === 0 || value === 1) ? value === 1 : value;
    },
    write(out, at, value) {
      let rest = BigInt.asUintN(bits, integer(value, range));
      for (let i = 0; i < size; i++, rest >>= 8n) {
        const byte = little ? at + i : at + size - 1 - i;
        out.bytes[byte] = Number(rest & 0xffn);
        out.mask[byte] = 0xff;
      }
    },
  };
}

interface BitShape {
  /** From the first bit of the first byte: the lowest in little endian, the highest in big endian. */
  readonly bitOffset: number;
  readonly bits: number;
  /** Bytes touched. */
  readonly size: number;
  readonly signed: boolean;
  readonly little: boolean;
  /** The declared type has more than 32 bits: values are bigints. */
  readonly wide: boolean;
  readonly bool?: boolean;
}

function bitsNode({ bitOffset, bits, size, signed, little, wide, bool }: BitShape): Node {
  const range = rangeOf(bits, signed);
  const shift = BigInt(little ? bitOffset : size * 8 - bitOffset - bits);
  const ones = ((1n << BigInt(bits)) - 1n) << shift;
  return {
    size,
    cost: 1,
    read(view, at) {
      let word = 0n;
      for (let i = 0; i < size; i++) {
        word = (word << 8n) | BigInt(view.getUint8(little ? at + size - 1 - i : at + i));
      }
      const raw = (word & ones) >> shift;
      const value = signed ? BigInt.asIntN(bits, raw) : raw;
      if (wide) return value;
      return bool && value <= 1n && value >= 0n ? value === 1n : Number(value);
    },
    write(out, at, value) {
      let word = BigInt.asUintN(bits, integer(value, range)) << shift;
      let mask = ones;
      for (let i = 0; i < size; i++, word >>= 8n, mask >>= 8n) {
        const byte = little ? at + i : at + size - 1 - i;
        const bitsHere = Number(mask & 0xffn);
        out.bytes[byte] = (out.bytes[byte] & ~bitsHere) | Number(word & 0xffn);
        out.mask[byte] |= bitsHere;
      }
    },
  };
}

interface Range {
  readonly min: bigint;
  readonly max: bigint;
}

function rangeOf(bits: number, signed: boolean): Range {
  const span = 1n << BigInt(bits);
  return signed ? { min: -(span >> 1n), max: (span >> 1n) - 1n } : { min: 0n, max: span - 1n };
}

function integer(value: unknown, { min, max }: Range): bigint {
  const number = asBigInt(value);
  if (number === undefined) {
    throw new BadValue(
      `expected an integer, got ${describe(value)}`,
      "give a number, a bigint, or text such as '0x10'",
    );
  }
  if (number < min || number > max) throw new BadValue(`${number} is outside ${min} to ${max}`);
  return number;
}

function asBigInt(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== "string" || !/^-?(0x[0-9a-f]{1,32}|\d{1,40})$/i.test(value)) return undefined;
  return value.startsWith("-") ? -BigInt(value.slice(1)) : BigInt(value);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Uint8Array) return "bytes";
  switch (typeof value) {
    case "string":
      return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
    case "number":
    case "boolean":
      return String(value);
    case "undefined":
      return "undefined";
    default:
      return `a ${typeof value}`;
  }
}

function enumNode(int: Node, type: BtfTypeOf<"enum" | "enum64">): Node {
  // Keys are the values as the int node reads them: number up to 32 bits, bigint above.
  const names = new Map<BtfValue, string>();
  const values = new Map<string, number | bigint>();
  for (const { name, value } of type.values) {
    if (!values.has(name)) values.set(name, value);
    const key = type.size > 4 ? BigInt(value) : Number(value);
    if (!names.has(key)) names.set(key, name);
  }
  return {
    size: int.size,
    cost: 1,
    read(view, at) {
      const value = int.read(view, at);
      return names.get(value) ?? value;
    },
    write(out, at, value) {
      if (typeof value !== "string") {
        int.write(out, at, value);
        return;
      }
      const known = values.get(value) ?? asBigInt(value);
      if (known === undefined) {
        const some = [...values.keys()].slice(0, 5).join(", ");
        throw new BadValue(
          `enum ${type.name} has no '${value}'`,
          `it has ${some}${values.size > 5 ? ", …" : ""}`,
        );
      }
      int.write(out, at, known);
    },
  };
}

function floatNode(size: number, little: boolean): Node {
  const mark = (out: Sink, at: number): void => {
    out.mask.fill(0xff, at, at + size);
  };
  if (size === 4 || size === 8) {
    return {
      size,
      cost: 1,
      read: (view, at) => (size === 4 ? view.getFloat32(at, little) : view.getFloat64(at, little)),
      write(out, at, value) {
        if (typeof value !== "number") throw new BadValue(`expected a number, got ${describe(value)}`);
        if (size === 4) out.view.setFloat32(at, value, little);
        else out.view.setFloat64(at, value, little);
        mark(out, at);
      },
    };
  }
  return {
    size,
    cost: 1,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size).slice(),
    write(out, at, value) {
      if (!(value instanceof Uint8Array) || value.length !== size) {
        throw new BadValue(`expected ${size} bytes, got ${describe(value)}`);
      }
      out.bytes.set(value, at);
      mark(out, at);
    },
  };
}

function arrayNode(element: Node, length: number, readStrings: boolean, isChar: boolean): Node {
  const size = element.size * length;
  return {
    size,
    cost: 1 + length * element.cost,
    read(view, at) {
      if (readStrings) {
        const text = textOf(new Uint8Array(view.buffer, view.byteOffset + at, size));
        if (text !== undefined) return text;
      }
      const values: BtfValue[] = new Array(length);
      for (let i = 0; i < length; i++) values[i] = element.read(view, at + i * element.size);
      return values;
    },
    write(out, at, value) {
      if (isChar && typeof value === "string") {
        const bytes = new TextEncoder().encode(value);
        if (bytes.length > length)
          throw new BadValue(`text of ${bytes.length} bytes in an array of ${length}`);
        out.bytes.fill(0, at, at + size);
        out.bytes.set(bytes, at);
        out.mask.fill(0xff, at, at + size);
        return;
      }
      if (!Array.isArray(value) && !(value instanceof Uint8Array)) {
        throw new BadValue(`expected an array${isChar ? " or text" : ""}, got ${describe(value)}`);
      }
      if (value.length !== length) throw new BadValue(`expected ${length} elements, got ${value.length}`);
      for (let i = 0; i < length; i++) {
        within(`[${i}]`, () => element.write(out, at + i * element.size, value[i]));
      }
    },
  };
}

/** The string in a char array; undefined when it holds anything else. */
function textOf(bytes: Uint8Array): string | undefined {
  let end = bytes.indexOf(0);
  if (end < 0) end = bytes.length;
  for (let i = end; i < bytes.length; i++) if (bytes[i] !== 0) return undefined;
  let ascii = true;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    const isControl = byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d;
    if (isControl || byte === 0x7f) return undefined;
    if (byte >= 0x80) ascii = false;
  }
  try {
    // `slice`: a decoder refuses views of shared memory.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice(0, end));
    // C1 control characters are not printable either.
    return ascii || !/[\u0080-\u009f]/.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function recordNode(size: number, fields: readonly Field[], isUnion: boolean): RecordNode {
  const keys = new Set<string>();
  let cost = 1;
  for (const { key, node } of fields) {
    cost += node.cost;
    if (key !== undefined) keys.add(key);
    else for (const inner of (node as RecordNode).keys) keys.add(inner);
  }
  const node: RecordNode = {
    size,
    cost,
    keys,
    read(view, at) {
      const value: Record<string, BtfValue> = {};
      node.readInto(view, at, value);
      return value;
    },
    readInto(view, at, into) {
      for (const field of fields) {
        if (field.key === undefined) (field.node as RecordNode).readInto(view, at + field.at, into);
        else setMember(into, field.key, field.node.read(view, at + field.at));
      }
    },
    write(out, at, value) {
      if (
        typeof value !== "object" ||
        value === null ||
        Array.isArray(value) ||
        value instanceof Uint8Array
      ) {
        throw new BadValue(`expected an object, got ${describe(value)}`);
      }
      for (const key of Object.keys(value)) {
        if (keys.has(key)) continue;
        const some = [...keys].slice(0, 8).join(", ");
        throw new BadValue(`there is no member '${key}'`, `members: ${some}${keys.size > 8 ? ", …" : ""}`);
      }
      node.writeFrom(out, at, value as Record<string, unknown>);
    },
    writeFrom(out, at, from) {
      for (const field of fields) {
        const place = at + field.at;
        const writeField = (sink: Sink, where: number): void => {
          if (field.key === undefined) {
            (field.node as RecordNode).writeFrom(sink, where, from);
          } else if (Object.hasOwn(from, field.key) && from[field.key] !== undefined) {
            const value = from[field.key];
            within(`.${field.key}`, () => field.node.write(sink, where, value));
          }
        };
        if (!isUnion) writeField(out, place);
        else if (isGiven(field, from)) {
          const part = newSink(field.node.size);
          writeField(part, 0);
          merge(out, place, part, field.key);
        }
      }
    },
  };
  return node;
}

function isGiven(field: Field, from: Readonly<Record<string, unknown>>): boolean {
  if (field.key !== undefined) return Object.hasOwn(from, field.key);
  const { keys } = field.node as RecordNode;
  return Object.keys(from).some((key) => keys.has(key));
}

/** Puts a union member's bytes where other members may have put theirs. */
function merge(out: Sink, at: number, part: Sink, key: string | undefined): void {
  for (let i = 0; i < part.bytes.length; i++) {
    const mask = part.mask[i];
    if (mask === 0) continue;
    if (((out.bytes[at + i] ^ part.bytes[i]) & mask & out.mask[at + i]) !== 0) {
      throw new BadValue(
        `union member '${key ?? "(anonymous)"}' and one before it disagree on byte ${i}`,
        "give one member of a union only",
      );
    }
    out.bytes[at + i] = (out.bytes[at + i] & ~mask) | (part.bytes[i] & mask);
    out.mask[at + i] |= mask;
  }
}

function setMember(into: Record<string, BtfValue>, key: string, value: BtfValue): void {
  if (key !== "__proto__") into[key] = value;
  else Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });
}

function within(step: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof BadValue) error.steps.push(step);
    throw error;
  }
}
