import { release } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newDomain } from "../../src/verifier/domain.fixture.ts";
import { LinuxOracle } from "./kernel.ts";
import { compareWithLog, randomScalarProgram, seeded } from "./scalar-program.ts";

// Random programs over scalars; every register state that the running kernel prints equals ours. Wants a Linux of
// 6.18.y as late as 6.18.44: earlier ones deduce less. SKEP_FUZZ_PROGRAMS, SKEP_FUZZ_SEED for longer runs.
const PROGRAMS = Number(process.env.SKEP_FUZZ_PROGRAMS ?? 1_500);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);
let oracle: LinuxOracle | string;

beforeAll(async () => {
  oracle = await LinuxOracle.open();
});
afterAll(() => {
  if (typeof oracle !== "string") oracle.close();
});

it(`the domain's states are the kernel's in ${PROGRAMS} programs`, async (context) => {
  if (typeof oracle === "string") return context.skip(oracle);
  if (!/^6\.18\.(4[4-9]|[5-9]\d|\d{3})/.test(release())) return context.skip(`the kernel is ${release()}`);
  const memory = newDomain();
  let compared = 0;
  let rejected = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const program = randomScalarProgram(memory, seeded(seed), 20 + (seed % 40));
    const { errno, log } = await oracle.verifierLog("BPF_PROG_TYPE_SCHED_CLS", program.insns, 2);
    if (errno) rejected++;
    const result = compareWithLog(program, log);
    compared += result.compared;
    expect(result.differences, `seed ${seed}`).toEqual([]);
  }
  expect(compared).toBeGreaterThan(PROGRAMS * 50);
  expect(rejected).toBeLessThan(PROGRAMS / 100 + 1);
}, 600_000);
