// Memory accesses and helper calls: our verdicts and messages beside the running kernel's.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Btf, parseBtf } from "../../src/btf/index.ts";
import { Verifier } from "../../src/verifier/index.ts";
import { accessProgram } from "./access-programs.ts";
import { normLines } from "./norm.ts";
import { RunningKernel } from "./running-kernel.ts";

/** SKEP_ACCESS_PROGRAMS: how many, SKEP_ACCESS_SEED: the first one's number. */
const COUNT = Number(process.env.SKEP_ACCESS_PROGRAMS ?? 2000);
const FIRST = Number(process.env.SKEP_ACCESS_SEED ?? 1);

/** What is deduced and how it is said differs in earlier kernels. */
const kernel = await RunningKernel.openSame();
const reason = typeof kernel === "string" ? `: ${kernel}` : "";

describe.skipIf(typeof kernel === "string")(`the running kernel's judgement${reason}`, () => {
  let btf: Btf;
  beforeAll(() => {
    btf = parseBtf(readFileSync("/sys/kernel/btf/vmlinux"));
  });
  afterAll(() => {
    if (typeof kernel !== "string") kernel.close();
  });

  it(`${COUNT} generated programs: same verdict, same words, same work`, { timeout: 600_000 }, async () => {
    if (typeof kernel === "string") return;
    const verifier = new Verifier();
    const differences: string[] = [];
    let accepted = 0;
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const program = accessProgram(seed, btf);
      const theirs = await kernel.judge(program, 4);
      if (typeof theirs === "string") {
        differences.push(`${seed}: not put to the kernel: ${theirs}`);
        continue;
      }
      const ours = verifier.verify(program, { numCpus: cpus().length });
      if (ours.verdict === "accepted") accepted++;
      const text = ours.verdict === "rejected" ? normLines(ours.error.lines) : ours.verdict;
      const wanted = theirs.accepted ? "accepted" : withoutFigures(theirs.norm);
      if (text !== wanted) differences.push(`${seed}: ours: ${text} kernel: ${wanted}`);
      else if (theirs.accepted && ours.insnsProcessed !== theirs.processed) {
        differences.push(`${seed}: processed ${ours.insnsProcessed}, kernel ${theirs.processed}`);
      }
    }
    expect(differences).toEqual([]);
    expect(accepted).toBeGreaterThan(COUNT / 10);
  });
});

/** Some messages of the kernel end without a line break, or are none: what follows them is its statistics. */
function withoutFigures(norm: string): string {
  return norm.replace(/(verification time|processed N insns).*$/, "");
}
