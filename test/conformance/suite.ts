import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex } from "../../src/base/index.ts";
import { assemble } from "../../src/isa/index.ts";
import { toLlvmSyntax } from "./dialect.ts";

/** One file of the suite. */
export interface ConformanceCase {
  /** File name without `.data`. */
  readonly name: string;
  /** The program, little endian. */
  readonly bytes: Uint8Array;
  /** What r1 points to at the start and r2 gives the length of; empty = r1 and r2 are 0. */
  readonly memory: Uint8Array;
  /** r0 at the end, as u64. */
  readonly result: bigint;
}

/**
 * The cases of a checkout of https://github.com/Alan-Jowett/bpf_conformance, in order of their names.
 * @throws Error naming the file that cannot be read.
 */
export function loadSuite(checkout: string): ConformanceCase[] {
  const folder = join(checkout, "tests");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".data"))
    .sort()
    .map((file) => parseCase(file.replace(/\.data$/, ""), readFileSync(join(folder, file), "utf8")));
}

/** One case from a file's text: sections `-- asm`, `-- raw`, `-- mem`, `-- result`; others are remarks. */
export function parseCase(name: string, text: string): ConformanceCase {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/#.*/, "").trim();
    const heading = /^--\s+(.*)$/.exec(line);
    if (heading === null) {
      current.push(line);
    } else {
      current = [];
      sections.set(heading[1], current);
    }
  }
  const result = sections.get("result")?.findLast((line) => line !== "");
  if (result === undefined) throw new Error(`${name}: no result`);
  const memory = fromHex((sections.get("mem") ?? []).join(" "));
  return { name, bytes: program(name, sections), memory, result: BigInt(result) };
}

function program(name: string, sections: ReadonlyMap<string, readonly string[]>): Uint8Array {
  const raw = sections.get("raw")?.filter((line) => line !== "");
  if (raw !== undefined) {
    const slots = new BigUint64Array(raw.map((line) => BigInt(line)));
    return new Uint8Array(slots.buffer); // tests run on little-endian machines
  }
  const assembly = assemble(toLlvmSyntax((sections.get("asm") ?? []).join("\n")), { file: name });
  if (assembly.ok) return assembly.bytes;
  const { message, source } = assembly.diagnostics[0];
  throw new Error(`${name}:${source?.line}:${source?.column}: ${message}: ${source?.text}`);
}
