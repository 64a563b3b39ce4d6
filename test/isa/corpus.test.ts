// Every object of the oracle's work directory: our text is llvm-objdump's, and llvm-objdump's text assembles back.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assemble, decode, disassemble } from "../../src/isa/index.ts";
import { asPrinted, type Listing, parseListing } from "./listing.ts";

const ORACLE = process.env.SKEP_ORACLE;
const FOLDERS = ["st-v3", "linked", "carved/libbpf-tools", "carved/xdp-tools", "carved/debian-misc"];
const BATCH = 100;

describe.skipIf(ORACLE === undefined)("corpus (needs SKEP_ORACLE, the oracle's work directory)", () => {
  // LLVM knows 32-bit atomics only with alu32 and prints w registers for narrow loads and stores then: try both.
  describe.each([{ alu32: false }, { alu32: true }])("alu32 $alu32", ({ alu32 }) => {
    it.each(FOLDERS)("%s", { timeout: 600_000 }, (folder) => {
      let instructions = 0;
      for (const listing of listings(join(ORACLE ?? "", "obj", folder), alu32)) {
        instructions += listing.texts.length;
        compare(listing, alu32);
      }
      expect(instructions).toBeGreaterThan(0);
    });
  });
});

function compare({ section, bytes, texts, source }: Listing, alu32: boolean): void {
  const ours = disassemble(decode(bytes), { style: "llvm", alu32 }).map((line) => line.text);
  // Without alu32 llvm-objdump cannot print 32-bit atomics, and takes the fetching add for the plain one.
  const known = (text: string, index: number) => {
    const theirs = texts[index];
    return !alu32 && /u32 \*|32_32/.test(text) && /<unknown>|^lock/.test(theirs) ? theirs : text;
  };
  const difference = ours.findIndex((text, index) => known(text, index) !== texts[index]);
  if (difference >= 0 || ours.length !== texts.length) {
    expect.fail(
      `${section}: insn line ${difference}: ours '${ours[difference]}', theirs '${texts[difference]}'`,
    );
  }
  const assembly = assemble(source);
  expect(assembly.diagnostics, section).toEqual([]);
  if (alu32) expect(asPrinted(assembly.bytes), section).toEqual(asPrinted(bytes));
  const exact = disassemble(decode(bytes), { alu32 }).map((line) => line.text);
  if (!exact.includes("<unknown>")) expect(assemble(exact.join("\n")).bytes, section).toEqual(bytes);
}

function* listings(folder: string, alu32: boolean): Generator<Listing> {
  if (!existsSync(folder)) throw new Error(`SKEP_ORACLE has no ${folder}`);
  const objects = readdirSync(folder).filter((name) => name.endsWith(".o"));
  for (let at = 0; at < objects.length; at += BATCH) {
    const paths = objects.slice(at, at + BATCH).map((name) => join(folder, name));
    const args = ["-d", "-z", ...(alu32 ? ["--mcpu=v4"] : []), ...paths];
    yield* parseListing(execFileSync("llvm-objdump-19", args, { encoding: "utf8", maxBuffer: 1 << 30 }));
  }
}
