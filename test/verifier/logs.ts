// How far our log of level 2 is the running kernel's, line by line (root; Linux 6.18).
//
//   SKEP_ORACLE=… node scripts/run-ts.mjs test/verifier/logs.ts [CORPUS…] [--every N] [--limit N]
//
// CORPUS   as report.ts has them; default: verifier and raw-tests
// --every  only each N-th program (default 8)        --limit  lines of the list (default 40)
//
// Not compared: addresses that 64-bit loads print, the time, and the kernel's own count of what it kept.
import { readFileSync } from "node:fs";
import { Verifier } from "../../src/verifier/index.ts";
import {
  CORPORA,
  type CorpusName,
  kernelLog,
  oracleMissing,
  Programs,
  prepareCorpus,
  readRows,
} from "./corpora.ts";

/** Longer logs take seconds to make and do not fit the loader's buffer. */
const MAX_PROCESSED = 5000;

const args = process.argv.slice(2);
const option = (name: string, otherwise: number): number => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(args.splice(at, 2)[1]);
};
const every = option("every", 8);
const limit = option("limit", 40);
const missing = oracleMissing();
if (missing !== undefined) {
  process.stdout.write(`${missing}\n`);
  process.exit(2);
}

const possible = readFileSync("/sys/devices/system/cpu/possible", "utf8");
const numCpus = Number(/(\d+)\s*$/.exec(possible)?.[1] ?? 0) + 1;
const verifier = new Verifier();
const programs = new Programs();
for (const corpus of (args.length > 0 ? args : ["verifier", "raw-tests"]) as CorpusName[]) {
  if (!Object.hasOwn(CORPORA, corpus)) throw new Error(`no corpus '${corpus}'`);
  prepareCorpus(corpus);
  const rows = readRows(corpus)
    .judged.filter(({ processed }) => (processed ?? 0) <= MAX_PROCESSED)
    .filter((_, i) => i % every === 0);
  const different: string[] = [];
  let compared = 0;
  let lines = 0;
  for (const row of rows) {
    const log = kernelLog(row, 2);
    if (log.startsWith("no log")) continue; // a loader of old: not put to this kernel
    const theirs = linesOf(log);
    // the loader goes on without BTF where Linux refuses it
    const sourceless = !theirs.some((line) => line.startsWith("; "));
    const ours = linesOf(verifier.verify(programs.program(row), { logLevel: 2, numCpus }).log).filter(
      (line) => !sourceless || !line.startsWith("; "),
    );
    compared++;
    lines += theirs.length;
    const first = Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) => i).find(
      (i) => ours[i] !== theirs[i],
    );
    if (first === undefined) continue;
    different.push(
      `${row.obj} ${row.prog}, line ${first}\n    Linux: ${theirs[first] ?? "the end"}\n    ours:  ${ours[first] ?? "the end"}`,
    );
  }
  process.stdout.write(
    `${corpus}: ${compared} programs, ${lines} lines; equal ${compared - different.length}\n`,
  );
  for (const line of different.slice(0, limit)) process.stdout.write(`  ${line}\n`);
}

/** The lines that matter, without what differs from load to load. */
function linesOf(log: string): string[] {
  return log
    .split("\n")
    .filter((line) => line !== "" && !/^(verification time|stack depth|processed) /.test(line))
    .map((line) =>
      line.replace(/\(18\) r\d+ = 0x[0-9a-f]+ */, "(18) ").replace(/0x[0-9a-f]{15,}(?=$| )/g, "ADDRESS"),
    );
}
