import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BpfError, fromHex } from "../base/index.ts";
import { decode, encode, insnAt, tableOf } from "./decode.ts";

describe.each([
  {
    name: "r0 += 1",
    bytes: "07 00 00 00 01 00 00 00",
    want: { opcode: 0x07, dst: 0, src: 0, off: 0, imm: 1 },
  },
  {
    name: "r0 = r1",
    bytes: "bf 10 00 00 00 00 00 00",
    want: { opcode: 0xbf, dst: 0, src: 1, off: 0, imm: 0 },
  },
  {
    name: "imm is s32",
    bytes: "b7 00 00 00 ff ff ff ff",
    want: { opcode: 0xb7, dst: 0, src: 0, off: 0, imm: -1 },
  },
  {
    name: "off is s16",
    bytes: "7b 1a f8 ff 00 00 00 00",
    want: { opcode: 0x7b, dst: 10, src: 1, off: -8, imm: 0 },
  },
])("decode $name", ({ bytes, want }) => {
  it("reads every field", () => expect(insnAt(decode(fromHex(bytes)), 0)).toEqual(want));
  it("encodes back to the same bytes", () => expect(encode(decode(fromHex(bytes)))).toEqual(fromHex(bytes)));
});

describe("big endian", () => {
  // *(u64 *)(r10 - 8) = r1 as clang --target=bpfeb emits it
  const bytes = fromHex("7b a1 ff f8 00 00 00 00");
  it("swaps the register nibbles and the numbers", () =>
    expect(insnAt(decode(bytes, "big"), 0)).toEqual({ opcode: 0x7b, dst: 10, src: 1, off: -8, imm: 0 }));
  it("encodes back", () => expect(encode(decode(bytes, "big"), "big")).toEqual(bytes));
});

describe("decode", () => {
  const slots = fc.uint8Array({ maxLength: 512 }).map((bytes) => bytes.subarray(0, bytes.length & ~7));
  it.each(["little", "big"] as const)("encode∘decode is the identity (%s)", (order) => {
    fc.assert(
      fc.property(slots, (bytes) => {
        expect(encode(decode(bytes, order), order)).toEqual(bytes.slice());
      }),
    );
  });
  it("tableOf∘insnAt is the identity", () => {
    fc.assert(
      fc.property(slots, (bytes) => {
        const insns = decode(bytes);
        expect(tableOf(Array.from({ length: insns.length }, (_, slot) => insnAt(insns, slot)))).toEqual(
          insns,
        );
      }),
    );
  });
  it("refuses a length that is no multiple of 8", () => {
    expect(() => decode(new Uint8Array(12))).toThrow(
      expect.objectContaining({ name: "BpfError", code: "isa/bad-length", offset: 8 }),
    );
  });
  it("insnAt refuses a slot outside the program", () => {
    expect(() => insnAt(decode(new Uint8Array(8)), 1)).toThrow(BpfError);
  });
});
