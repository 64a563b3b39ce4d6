// Our disassembler and assembler against committed output of llvm-objdump 19 (scripts/make-isa-listings.mjs).
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assemble, checkStructure, decode, disassemble } from "../../src/isa/index.ts";
import { asPrinted, parseListing } from "./listing.ts";

const FIXTURES = new URL("../../fixtures/isa/", import.meta.url);

describe.each([
  { file: "all-v4.lst", alu32: true, byteOrder: "little" },
  { file: "all-v4-big-endian.lst", alu32: true, byteOrder: "big" },
  { file: "bench-v1.lst", alu32: false, byteOrder: "little" },
  { file: "bench-v2.lst", alu32: false, byteOrder: "little" },
  { file: "bench-v3.lst", alu32: true, byteOrder: "little" },
  { file: "bench-v4.lst", alu32: true, byteOrder: "little" },
] as const)("$file", ({ file, alu32, byteOrder }) => {
  const listings = parseListing(readFileSync(new URL(file, FIXTURES), "utf8"));

  it("has instructions", () =>
    expect(listings.flatMap((listing) => listing.texts).length).toBeGreaterThan(100));

  it("disassembles to llvm-objdump's text", () => {
    for (const { bytes, texts } of listings) {
      const lines = disassemble(decode(bytes, byteOrder), { style: "llvm", alu32 });
      expect(lines.map((line) => line.text)).toEqual(texts);
    }
  });

  it("assembles llvm-objdump's output, headings and raw bytes included, to the same bytes", () => {
    for (const { bytes, source } of listings) {
      const assembly = assemble(source, { byteOrder });
      expect(assembly.diagnostics).toEqual([]);
      expect(asPrinted(assembly.bytes)).toEqual(asPrinted(bytes));
    }
  });

  it("assembles its own text to the very same bytes", () => {
    for (const { bytes } of listings) {
      const text = disassemble(decode(bytes, byteOrder), { alu32 }).map((line) => line.text);
      expect(assemble(text.join("\n"), { byteOrder }).bytes).toEqual(bytes);
    }
  });
});

describe("all.s", () => {
  const source = readFileSync(new URL("all.s", FIXTURES), "utf8");
  const assembly = assemble(source, { file: "all.s" });
  const [{ bytes }] = parseListing(readFileSync(new URL("all-v4.lst", FIXTURES), "utf8"));

  it("assembles to clang's bytes", () => {
    expect(assembly.diagnostics).toEqual([]);
    expect(asPrinted(assembly.bytes)).toEqual(asPrinted(bytes));
  });

  it("has no structural fault but callx and the cast between other address spaces", () => {
    expect(checkStructure(decode(assembly.bytes)).map((diagnostic) => diagnostic.message)).toEqual([
      "unknown opcode 8d",
      "addr_space_cast insn can only convert between address space 1 and 0",
    ]);
  });
});
