import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BtfIndex, parseBtf } from "../../src/btf/index.ts";
import { Verifier } from "../../src/verifier/index.ts";
import { KfuncPrograms } from "./kfunc-program.ts";
import { normLines } from "./norm.ts";
import { RunningKernel } from "./running-kernel.ts";

/** Programs compared; `SKEP_FUZZ` (a number) for more, `SKEP_SEED` for others. */
const COUNT = Number(process.env.SKEP_FUZZ ?? 600);
const SEED = Number(process.env.SKEP_SEED ?? 1);

/**
 * Linux forgets, when it compares states, that an iterator's RCU section has ended: it takes a path with such an iterator for
 * one it has walked with a good one. We compare it, and go on to the use that it refuses elsewhere.
 */
function isKnown(said: string): boolean {
  return said.startsWith("expected an RCU CS when using bpf_iter_task_");
}

const opened = await RunningKernel.openSame();
const missing = typeof opened === "string" ? opened : undefined;

describe.skipIf(missing !== undefined)(
  `random kernel function calls${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const kernel = opened as RunningKernel;
    let programs: KfuncPrograms;
    beforeAll(() => {
      programs = new KfuncPrograms(
        new BtfIndex(parseBtf(new Uint8Array(readFileSync("/sys/kernel/btf/vmlinux")))),
      );
    });
    afterAll(() => kernel.close());

    test("get the running kernel's verdict and words", async () => {
      const verifier = new Verifier();
      const wrong: string[] = [];
      let accepted = 0;
      let judged = 0;
      for (let seed = SEED; seed < SEED + COUNT; seed++) {
        const program = programs.make(seed);
        const theirs = await kernel.judge(program);
        if (typeof theirs === "string") throw new Error(theirs);
        const ours = verifier.verify(program);
        if (ours.verdict === "unsupported") continue;
        judged++;
        if (theirs.accepted) accepted++;
        const said = ours.verdict === "accepted" ? "accepted" : normLines(ours.error.lines);
        const wanted = theirs.accepted ? "accepted" : theirs.norm;
        if (said !== wanted && !isKnown(said)) wrong.push(`seed ${seed}: Linux: ${wanted}; ours: ${said}`);
      }
      expect(wrong).toEqual([]);
      expect(judged).toBeGreaterThan(COUNT * 0.9);
      expect(accepted).toBeGreaterThan(COUNT / 10);
    }, 600_000);
  },
);
