// Random programs in the running kernel and in the embedded one's engines: same verdicts, packets and maps.
// SKEP_DIFF_RUNS: how many (default 300); SKEP_DIFF_SEED: the first seed (default 0). A failure names its seed.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decode, disassemble } from "../../src/isa/index.ts";
import type { Kernel } from "../../src/object/index.ts";
import { ENGINES, openEmbeddedKernel } from "../../src/runtime/index.ts";
import { fixedHost } from "./host.ts";
import { LinuxOracle } from "./kernel.ts";
import { type RandomCase, randomCase } from "./random-program.ts";
import { runOnEmbedded, runOnLinux } from "./run-case.ts";

const count = Number(process.env.SKEP_DIFF_RUNS ?? 300);
const firstSeed = Number(process.env.SKEP_DIFF_SEED ?? 0);
const BATCH = 50;
/** Long, since a batch that is given up would go on beside the next one, in the same harness. */
const BATCH_MS = 900_000;

const opened = await LinuxOracle.open();
const reason = typeof opened === "string" ? opened : "";

describe.skipIf(reason !== "")(`random programs${reason && ` (skipped: ${reason})`}`, () => {
  const oracle = opened as LinuxOracle;
  const kernels: Kernel[] = [];
  let rejected = 0;
  beforeAll(async () => {
    for (const engine of ENGINES)
      kernels.push(await openEmbeddedKernel({ host: fixedHost(oracle.numCpus), engine }));
  });
  afterAll(() => {
    for (const kernel of kernels) kernel[Symbol.dispose]();
    oracle.close();
  });

  for (let first = firstSeed; first < firstSeed + count; first += BATCH) {
    const last = Math.min(first + BATCH, firstSeed + count) - 1;
    it(
      `seeds ${first} to ${last} do the same everywhere`,
      async () => {
        for (let seed = first; seed <= last; seed++) {
          const test = randomCase(seed);
          const want = await runOnLinux(oracle, test);
          if ("rejected" in want) {
            rejected++;
            continue;
          }
          for (const [i, kernel] of kernels.entries()) {
            const got = await runOnEmbedded(kernel, test);
            expect(got, `${ENGINES[i]}, seed ${seed}, ${test.type}\n${listing(test)}`).toEqual(want);
          }
        }
      },
      BATCH_MS,
    );
  }

  it("hardly any is rejected by the kernel", () => expect(rejected).toBeLessThanOrEqual(count / 20));
});

function listing(test: RandomCase): string {
  const text = (insns: Uint8Array) => disassemble(decode(insns)).map((line) => `${line.slot}: ${line.text}`);
  return test.programs.map(({ insns }) => text(insns).join("\n")).join("\n--\n");
}
