import fc from "fast-check";
import type { Btf, BtfMember, BtfValue } from "../src/btf/index.ts";
import { BtfBuilder } from "../src/btf/index.ts";

/** Test help: a type and a canonical value of it (what a decoder would give). */
export interface TypeWithValue {
  readonly id: number;
  readonly size: number;
  readonly value: fc.Arbitrary<BtfValue>;
}

/** What a random type is made of. */
export type Shape =
  | { readonly kind: "int"; readonly bytes: 1 | 2 | 4 | 8 | 16; readonly signed: boolean }
  | { readonly kind: "bool" | "ptr" | "double" }
  | { readonly kind: "enum"; readonly signed: boolean }
  | { readonly kind: "enum64" }
  | { readonly kind: "text"; readonly length: number }
  | { readonly kind: "array"; readonly of: Shape; readonly length: number }
  | { readonly kind: "struct"; readonly members: readonly MemberShape[] };

export type MemberShape =
  | { readonly kind: "plain"; readonly shape: Shape }
  | { readonly kind: "bits"; readonly bytes: 4 | 8; readonly signed: boolean; readonly bits: number }
  | { readonly kind: "anonymous"; readonly members: readonly MemberShape[] };

/** Random shapes, nested a few levels. */
export const shape: fc.Arbitrary<Shape> = fc.letrec<{ shape: Shape; member: MemberShape }>((tie) => ({
  shape: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.record({
      kind: fc.constant("int" as const),
      bytes: fc.constantFrom(1 as const, 2 as const, 4 as const, 8 as const, 16 as const),
      signed: fc.boolean(),
    }),
    fc.record({ kind: fc.constantFrom("bool" as const, "ptr" as const, "double" as const) }),
    fc.record({ kind: fc.constant("enum" as const), signed: fc.boolean() }),
    fc.record({ kind: fc.constant("enum64" as const) }),
    fc.record({ kind: fc.constant("text" as const), length: fc.nat(20) }),
    fc.record({ kind: fc.constant("array" as const), of: tie("shape"), length: fc.nat(4) }),
    fc.record({ kind: fc.constant("struct" as const), members: fc.array(tie("member"), { maxLength: 5 }) }),
  ),
  member: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.record({ kind: fc.constant("plain" as const), shape: tie("shape") }),
    fc.record({
      kind: fc.constant("bits" as const),
      bytes: fc.constantFrom(4 as const, 8 as const),
      signed: fc.boolean(),
      bits: fc.integer({ min: 1, max: 32 }),
    }),
    fc.record({
      kind: fc.constant("anonymous" as const),
      members: fc.array(tie("member"), { maxLength: 3 }),
    }),
  ),
})).shape;

/** Builds the shape's types. */
export function buildShape(root: Shape): { readonly btf: Btf } & TypeWithValue {
  const types = new BtfBuilder();
  const made = build(types, root);
  return { btf: types.build(), ...made };
}

function build(types: BtfBuilder, item: Shape): TypeWithValue {
  switch (item.kind) {
    case "int": {
      const { bytes, signed } = item;
      const id = types.int(`${signed ? "s" : "u"}${bytes * 8}`, bytes, { signed });
      return { id, size: bytes, value: integers(bytes * 8, signed, bytes > 4) };
    }
    case "bool":
      return { id: types.int("_Bool", 1, { bool: true }), size: 1, value: fc.boolean() };
    case "ptr":
      return { id: types.ptr(0), size: 8, value: integers(64, false, true) };
    case "double":
      return {
        id: types.add({ kind: "float", name: "double", size: 8 }),
        size: 8,
        value: fc.double({ noNaN: true }),
      };
    case "enum": {
      const { signed } = item;
      const values = [
        { name: "ZERO", value: 0 },
        { name: "ONE", value: 1 },
        { name: "EDGE", value: signed ? -5 : 0xffff_fff0 },
      ];
      const id = types.add({ kind: "enum", name: "e", size: 4, signed, values });
      const unknown = integers(32, signed, false).filter(
        (value) => !values.some((known) => known.value === value),
      );
      return { id, size: 4, value: fc.oneof(fc.constantFrom("ZERO", "ONE", "EDGE"), unknown) };
    }
    case "enum64": {
      const values = [
        { name: "BIG", value: 1n << 40n },
        { name: "SMALL", value: 2n },
      ];
      const id = types.add({ kind: "enum64", name: "e64", size: 8, signed: false, values });
      const unknown = integers(64, false, true).filter((value) => value !== 2n && value !== 1n << 40n);
      return { id, size: 8, value: fc.oneof(fc.constantFrom("BIG", "SMALL"), unknown) };
    }
    case "text": {
      const type = types.int("char", 1, { signed: true });
      const id = types.add({
        kind: "array",
        name: "",
        type,
        indexType: types.int("int", 4),
        length: item.length,
      });
      return { id, size: item.length, value: fc.string({ maxLength: item.length }) };
    }
    case "array": {
      const element = build(types, item.of);
      const { length } = item;
      const id = types.add({
        kind: "array",
        name: "",
        type: element.id,
        indexType: types.int("int", 4),
        length,
      });
      const value = fc.array(element.value, { minLength: length, maxLength: length });
      return { id, size: element.size * length, value };
    }
    case "struct": {
      const { members, size, value } = layOut(types, item.members, "m");
      return { id: types.add({ kind: "struct", name: "s", size, kindFlag: true, members }), size, value };
    }
  }
}

/** Packed: each member right behind the one before, bit-fields bit by bit. */
function layOut(
  types: BtfBuilder,
  shapes: readonly MemberShape[],
  prefix: string,
): { members: BtfMember[]; size: number; value: fc.Arbitrary<Record<string, BtfValue>> } {
  const members: BtfMember[] = [];
  const plain: Record<string, fc.Arbitrary<BtfValue>> = {};
  const nested: fc.Arbitrary<Record<string, BtfValue>>[] = [];
  let bit = 0;
  shapes.forEach((item, i) => {
    const name = `${prefix}${i}`;
    if (item.kind === "bits") {
      const { bytes, signed, bits } = item;
      const type = types.int(`${signed ? "s" : "u"}${bytes * 8}`, bytes, { signed });
      members.push({ name, type, bitOffset: bit, bitSize: bits });
      plain[name] = integers(bits, signed, bytes > 4);
      bit += bits;
      return;
    }
    bit = Math.ceil(bit / 8) * 8;
    if (item.kind === "plain") {
      const made = build(types, item.shape);
      members.push({ name, type: made.id, bitOffset: bit, bitSize: 0 });
      plain[name] = made.value;
      bit += made.size * 8;
      return;
    }
    const inner = layOut(types, item.members, `${name}_`);
    const type = types.add({
      kind: "struct",
      name: "",
      size: inner.size,
      kindFlag: true,
      members: inner.members,
    });
    members.push({ name: "", type, bitOffset: bit, bitSize: 0 });
    nested.push(inner.value);
    bit += inner.size * 8;
  });
  const value = fc
    .tuple(fc.record(plain), ...nested)
    .map((parts) => Object.assign({}, ...parts) as Record<string, BtfValue>);
  return { members, size: Math.ceil(bit / 8), value };
}

function integers(bits: number, signed: boolean, big: boolean): fc.Arbitrary<BtfValue> {
  const span = 1n << BigInt(bits);
  const min = signed ? -(span >> 1n) : 0n;
  const max = min + span - 1n;
  if (big) return fc.bigInt({ min, max });
  return fc.integer({ min: Number(min), max: Number(max) });
}
