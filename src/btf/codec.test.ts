import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildShape, shape } from "../../test/random-btf.ts";
import { fromHex, toHex } from "../base/index.ts";
import {
  BtfBuilder,
  type BtfCodec,
  type BtfValue,
  type CodecOptions,
  codecFor,
  parseBtf,
  writeBtf,
} from "./index.ts";

const types = new BtfBuilder();
const u8 = types.int("unsigned char", 1);
const char = types.int("char", 1, { signed: true });
const s32 = types.int("int", 4, { signed: true });
const u32 = types.int("unsigned int", 4);
const u64 = types.int("unsigned long", 8);
const i128 = types.int("__int128", 16, { signed: true });
const bool = types.int("_Bool", 1, { bool: true });
const half = types.add({ kind: "float", name: "_Float16", size: 2 });
const single = types.add({ kind: "float", name: "float", size: 4 });
const pointer = types.ptr(0);
const array = (type: number, length: number): number =>
  types.add({ kind: "array", name: "", type, indexType: u32, length });
const verdict = types.add({
  kind: "enum",
  name: "verdict",
  size: 4,
  signed: false,
  values: [
    { name: "DROP", value: 0 },
    { name: "PASS", value: 2 },
    { name: "ALIAS", value: 2 },
  ],
});
const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
  name,
  type,
  bitOffset,
  bitSize,
});
const words = types.add({
  kind: "struct",
  name: "",
  size: 4,
  kindFlag: false,
  members: [member("low", types.int("u16", 2), 0), member("high", types.int("u16", 2), 16)],
});
const address = types.add({
  kind: "union",
  name: "",
  size: 4,
  kindFlag: false,
  members: [member("word", u32, 0), member("", words, 0), member("bytes", array(u8, 4), 0)],
});
const typedef = types.add({
  kind: "typedef",
  name: "addr_t",
  type: types.add({ kind: "const", name: "", type: address }),
});
const packet = types.add({
  kind: "struct",
  name: "packet",
  size: 12,
  kindFlag: true,
  members: [
    member("", typedef, 0),
    member("flags", u32, 32, 3),
    member("delta", s32, 35, 5),
    member("wide", u64, 40, 24),
    member("verdict", verdict, 64),
  ],
});
const oldBits = types.add({
  kind: "int",
  name: "int",
  size: 4,
  bits: 3,
  bitOffset: 0,
  encoding: { signed: true, char: false, bool: false },
});
const old = types.add({
  kind: "struct",
  name: "old",
  size: 4,
  kindFlag: false,
  members: [member("a", oldBits, 0), member("b", oldBits, 29)],
});
const counter = types.add({ kind: "var", name: "counter", type: u32, linkage: "global" });
const name = types.add({ kind: "var", name: "name", type: array(char, 4), linkage: "static" });
const section = types.add({
  kind: "datasec",
  name: ".data",
  size: 12,
  vars: [
    { type: counter, offset: 0, size: 4 },
    { type: name, offset: 8, size: 4 },
  ],
});
const codecOf = (type: number, options?: CodecOptions): BtfCodec => codecFor(types.build(), type, options);

describe.each<{ what: string; type: number; bytes: string; value: BtfValue }>([
  { what: "u32", type: u32, bytes: "78563412", value: 0x12345678 },
  { what: "s32", type: s32, bytes: "feffffff", value: -2 },
  { what: "u64", type: u64, bytes: "0100000000000080", value: 0x8000000000000001n },
  { what: "128 bits", type: i128, bytes: "ffffffffffffffffffffffffffffffff", value: -1n },
  { what: "bool", type: bool, bytes: "01", value: true },
  { what: "a bool that is none", type: bool, bytes: "02", value: 2 },
  { what: "pointer", type: pointer, bytes: "00000000ffffffff", value: 0xffffffff00000000n },
  { what: "float", type: single, bytes: "0000803f", value: 1 },
  { what: "a float JavaScript has not", type: half, bytes: "003c", value: new Uint8Array([0, 0x3c]) },
  { what: "enum", type: verdict, bytes: "02000000", value: "PASS" },
  { what: "enum without name", type: verdict, bytes: "09000000", value: 9 },
  { what: "text", type: array(char, 6), bytes: "6574683000 00", value: "eth0" },
  { what: "text without NUL", type: array(char, 2), bytes: "6869", value: "hi" },
  { what: "text in UTF-8", type: array(char, 4), bytes: "c3a90000", value: "é" },
  { what: "chars behind a NUL", type: array(char, 3), bytes: "680069", value: [104, 0, 105] },
  { what: "control characters", type: array(char, 2), bytes: "1b00", value: [27, 0] },
  { what: "broken UTF-8", type: array(char, 2), bytes: "c300", value: [-61, 0] },
  { what: "bytes are no text", type: array(u8, 3), bytes: "686900", value: [104, 105, 0] },
  {
    what: "two dimensions",
    type: array(array(u8, 2), 2),
    bytes: "01020304",
    value: [
      [1, 2],
      [3, 4],
    ],
  },
  {
    what: "bit-fields, anonymous members, a union",
    type: packet,
    // flags = 5 (bits 32-34), delta = -3 (35-39): 0b11101_101; wide = 0x030201
    bytes: "0a000001 ed 010203 02000000",
    value: {
      word: 0x0100000a,
      low: 10,
      high: 256,
      bytes: [10, 0, 0, 1],
      flags: 5,
      delta: -3,
      wide: 0x030201n,
      verdict: "PASS",
    },
  },
  { what: "bit-fields of old compilers", type: old, bytes: "010000e0", value: { a: 1, b: -1 } },
  {
    what: "data section",
    type: section,
    bytes: "07000000 00000000 61620000",
    value: { counter: 7, name: "ab" },
  },
])("$what", ({ type, bytes, value }) => {
  const codec = codecOf(type);
  it("decodes", () => expect(codec.decode(fromHex(bytes))).toEqual(value));
  it("encodes back", () => expect(toHex(codec.encode(value))).toBe(toHex(fromHex(bytes))));
});

describe("encode", () => {
  it.each<{ what: string; type: number; value: unknown; message: string }>([
    { what: "a number too big", type: u8, value: 256, message: "value: 256 is outside 0 to 255" },
    { what: "a fraction", type: u8, value: 1.5, message: "value: expected an integer, got 1.5" },
    { what: "a missing object", type: packet, value: null, message: "value: expected an object, got null" },
    {
      what: "an unknown member",
      type: packet,
      value: { colour: 1 },
      message: "value: there is no member 'colour'",
    },
    {
      what: "an unknown enumerator",
      type: packet,
      value: { verdict: "TX" },
      message: "value.verdict: enum verdict has no 'TX'",
    },
    {
      what: "a bit-field overflow",
      type: packet,
      value: { flags: 8 },
      message: "value.flags: 8 is outside 0 to 7",
    },
    {
      what: "an element deep inside",
      type: packet,
      value: { bytes: [1, 2, "x", 4] },
      message: "value.bytes[2]: expected an integer, got 'x'",
    },
    {
      what: "a wrong length",
      type: packet,
      value: { bytes: [1] },
      message: "value.bytes: expected 4 elements, got 1",
    },
    {
      what: "long text",
      type: array(char, 3),
      value: "four",
      message: "value: text of 4 bytes in an array of 3",
    },
    {
      what: "union members at odds",
      type: packet,
      value: { word: 1, bytes: [2, 0, 0, 0] },
      message: "value: union member 'bytes' and one before it disagree on byte 0",
    },
  ])("refuses $what", ({ type, value, message }) => {
    expect(() => codecOf(type).encode(value as BtfValue)).toThrow(
      expect.objectContaining({ code: "btf/bad-value", message }),
    );
  });

  it("zeroes what is not given, as C does", () => {
    expect(toHex(codecOf(packet).encode({ high: 0x0102 }))).toBe("000002010000000000000000");
  });

  it.each(["0x10", "16", 16n, 16])("takes %s for sixteen", (value) => {
    expect(codecOf(u32).encode(value)).toEqual(Uint8Array.of(16, 0, 0, 0));
  });
});

describe("options", () => {
  it("reads big-endian numbers and bit-fields", () => {
    const codec = codecOf(packet, { byteOrder: "big" });
    // Big endian counts bits from the top: flags 101, delta 11101
    const value = codec.decode(fromHex("0100000a bd 030201 00000002"));
    expect(value).toMatchObject({ word: 0x0100000a, flags: 5, delta: -3, wide: 0x030201n, verdict: "PASS" });
    expect(toHex(codec.encode(value))).toBe("0100000abd03020100000002");
  });

  it("leaves text as numbers when told to", () => {
    expect(codecOf(array(char, 2), { strings: false }).decode(fromHex("6100"))).toEqual([97, 0]);
  });
});

describe("codecFor refuses", () => {
  it("types without size", () =>
    expect(() => codecOf(0)).toThrow(expect.objectContaining({ code: "btf/no-size" })));
  it("types too big to decode", () => {
    const big = new BtfBuilder();
    const byte = big.int("u8", 1);
    const id = big.add({ kind: "array", name: "", type: byte, indexType: byte, length: 0xffff_ffff });
    expect(() => codecFor(big.build(), id)).toThrow(expect.objectContaining({ code: "btf/too-big" }));
  });
  it("unions of unions without end", () => {
    const wide = new BtfBuilder();
    let id = wide.int("u8", 1);
    for (let i = 0; i < 60; i++) {
      id = wide.add({
        kind: "union",
        name: `u${i}`,
        size: 1,
        kindFlag: false,
        members: [member("a", id, 0), member("b", id, 0)],
      });
    }
    expect(() => codecFor(wide.build(), id)).toThrow(expect.objectContaining({ code: "btf/too-big" }));
  });
  it("members outside their struct", () => {
    const broken = new BtfBuilder();
    const id = broken.add({
      kind: "struct",
      name: "s",
      size: 2,
      kindFlag: false,
      members: [member("a", broken.int("u32", 4), 0)],
    });
    expect(() => codecFor(broken.build(), id)).toThrow(expect.objectContaining({ code: "btf/bad-member" }));
  });
  it("bytes of another length", () => {
    expect(() => codecOf(u32).decode(new Uint8Array(3))).toThrow(
      expect.objectContaining({ code: "btf/bad-length" }),
    );
  });
});

describe("properties", () => {
  const byteOrder = fc.constantFrom("little" as const, "big" as const);
  const typeAndValue = shape.chain((root) => {
    const made = buildShape(root);
    return made.value.map((value) => ({ ...made, value }));
  });

  it("decode(encode(value)) is the value", () => {
    fc.assert(
      fc.property(typeAndValue, byteOrder, (made, order) => {
        const codec = codecFor(made.btf, made.id, { byteOrder: order });
        expect(codec.size).toBe(made.size);
        expect(codec.decode(codec.encode(made.value))).toEqual(made.value);
      }),
      { numRuns: 1000 },
    );
  });

  it("encode(decode(bytes)) decodes to the same, and is the same bytes once padding is gone", () => {
    fc.assert(
      fc.property(shape, fc.infiniteStream(fc.nat(255)), byteOrder, (root, stream, order) => {
        const made = buildShape(root);
        const codec = codecFor(made.btf, made.id, { byteOrder: order });
        const bytes = Uint8Array.from({ length: made.size }, () => stream.next().value ?? 0);
        const first = codec.encode(codec.decode(bytes));
        expect(codec.encode(codec.decode(first))).toEqual(first);
      }),
      { numRuns: 1000 },
    );
  });

  it("parse(write(types)) is the types, in both byte orders", () => {
    fc.assert(
      fc.property(shape, byteOrder, (root, order) => {
        const { btf: made } = buildShape(root);
        expect(parseBtf(writeBtf(made, { byteOrder: order }))).toEqual(made);
      }),
      { numRuns: 500 },
    );
  });
});
