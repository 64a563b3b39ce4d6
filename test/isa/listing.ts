import { concatBytes, fromHex } from "../../src/base/index.ts";

/** One section of `llvm-objdump -d`'s output. */
export interface Listing {
  readonly section: string;
  readonly bytes: Uint8Array;
  /** Texts in order, without the notes in `<>` that follow them; white space as single blanks. */
  readonly texts: readonly string[];
  /** The section's own lines, as printed. */
  readonly source: string;
}

const INSTRUCTION =
  /^\s*\d+:\s((?:[0-9a-f]{2} ){7}(?:[0-9a-f]{2})(?: (?:[0-9a-f]{2} ){7}[0-9a-f]{2})?)\t(.*)$/;

/** The sections of a listing; lines that are no instruction (headings, relocations) stay in `source` only. */
export function parseListing(text: string): Listing[] {
  return text
    .split(/^Disassembly of section /m)
    .slice(1)
    .map((part) => {
      const lines = part.split("\n");
      const rows = lines.map((line) => INSTRUCTION.exec(line)).filter((row) => row !== null);
      return {
        section: lines[0].replace(/:$/, ""),
        bytes: concatBytes(rows.map((row) => fromHex(row[1]))),
        texts: rows.map((row) => withoutNote(row[2])),
        source: lines.slice(1).join("\n"),
      };
    });
}

/** A text without the `<symbol>` at its end. */
export function withoutNote(text: string): string {
  return text
    .replace(/\t/g, " ")
    .replace(/ <[^<>=\s][^<>]*>$/, "")
    .trimEnd();
}

/**
 * Forgets what llvm-objdump does not print: the kind of a call (`call 0x5` for a helper, a function and a kfunc alike)
 * and the number that LD_IND adds to its register.
 */
export function asPrinted(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  for (let at = 0; at < copy.length; at += 8) {
    if (copy[at] === 0x85) copy[at + 1] = 0;
    if ((copy[at] & 0xe7) === 0x40) copy.fill(0, at + 4, at + 8);
  }
  return copy;
}
