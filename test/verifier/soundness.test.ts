// Soundness by execution, see soundness.ts. SKEP_SOUNDNESS=N checks N seeds (default 400), SKEP_SOUNDNESS_FROM=S starts
// at seed S.
import { afterAll, beforeAll, expect, it } from "vitest";
import { type EmbeddedKernel, openEmbeddedKernel } from "../../src/runtime/index.ts";
import { Verifier } from "../../src/verifier/index.ts";
import { fixedHost } from "../differential/host.ts";
import { randomCase } from "../differential/random-program.ts";
import { checkCase, mutated } from "./soundness.ts";

const COUNT = Number(process.env.SKEP_SOUNDNESS ?? 400);
const FROM = Number(process.env.SKEP_SOUNDNESS_FROM ?? 1);

let kernel: EmbeddedKernel;
beforeAll(async () => {
  kernel = await openEmbeddedKernel({ host: fixedHost(2), uninitStack: "zero" });
});
afterAll(() => kernel[Symbol.dispose]());

it(`${COUNT} random programs: what is accepted runs without a violation, each register inside what the verifier knew`, async () => {
  const verifier = new Verifier();
  const problems: string[] = [];
  const counts = { rejected: 0, unsupported: 0, refused: 0, run: 0, compared: 0 };
  for (let seed = FROM; seed < FROM + COUNT; seed++) {
    const plain = randomCase(seed);
    for (const test of [plain, mutated(plain, seed), mutated(plain, -seed)]) {
      const result = await checkCase(test, verifier, kernel);
      counts[result.outcome]++;
      counts.compared += result.compared;
      for (const problem of result.problems.slice(0, 1)) {
        problems.push(`seed ${seed}${test === plain ? "" : " mutated"}: ${problem}`);
      }
    }
  }
  process.stdout.write(`soundness: ${JSON.stringify(counts)}\n`);
  expect(problems).toEqual([]);
  expect(counts.run).toBeGreaterThanOrEqual(COUNT / 2);
  expect(counts.compared).toBeGreaterThan(COUNT * 100);
}, 3_600_000);
