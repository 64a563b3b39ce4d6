import { release } from "node:os";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Verifier } from "../../src/verifier/index.ts";
import { branchingProgram } from "./branching-program.ts";
import { LinuxOracle } from "./kernel.ts";

// Random programs with joins, loops, functions, stack and packet: the verdict, the final message and the number of
// processed instructions are the running kernel's. Wants Linux 6.18.y, y >= 44: what is deduced and compared differs in
// earlier ones. SKEP_FUZZ_PROGRAMS, SKEP_FUZZ_SEED for longer runs.
const PROGRAMS = Number(process.env.SKEP_FUZZ_PROGRAMS ?? 2_000);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);
const F_TEST_STATE_FREQ = 1 << 3;
const F_TEST_REG_INVARIANTS = 1 << 7;
let oracle: LinuxOracle | string;

beforeAll(async () => {
  oracle = await LinuxOracle.open();
});
afterAll(() => {
  if (typeof oracle !== "string") oracle.close();
});

it(`verdict, message and cost are the kernel's in ${PROGRAMS} programs`, async (context) => {
  if (typeof oracle === "string") return context.skip(oracle);
  if (!/^6\.18\.(4[4-9]|[5-9]\d|\d{3})/.test(release())) return context.skip(`the kernel is ${release()}`);
  const verifier = new Verifier();
  const different: string[] = [];
  let accepted = 0;
  let rejected = 0;
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const insns = branchingProgram(seed, 15 + (seed % 40));
    const testStateFreq = seed % 2 === 1;
    const testRegInvariants = seed % 3 === 0;
    const flags = (testStateFreq ? F_TEST_STATE_FREQ : 0) | (testRegInvariants ? F_TEST_REG_INVARIANTS : 0);
    const { errno, log } = await oracle.verifierLog("BPF_PROG_TYPE_SCHED_CLS", insns, 1, flags);
    if (errno === "ENOSPC") continue; // the log is longer than the harness's buffer
    const theirs = errno === undefined ? "accepted" : lastLine(log);
    const processed = Number(/processed (\d+) insns/.exec(log)?.[1] ?? 0);
    if (errno === undefined) accepted++;
    else rejected++;
    const verdict = verifier.verify({
      name: "random",
      type: "BPF_PROG_TYPE_SCHED_CLS",
      attachType: undefined,
      insns,
      maps: [],
      btf: undefined,
      funcs: [],
      lines: [],
      license: "GPL",
      flags: { testStateFreq, testRegInvariants },
      kernelBtf: undefined,
    });
    let ours: string = verdict.verdict;
    if (verdict.verdict === "rejected") ours = verdict.error.message;
    if (verdict.verdict === "unsupported") ours = `unsupported: ${verdict.feature}`;
    if (ours !== theirs) different.push(`seed ${seed}: ours "${ours}", the kernel's "${theirs}"`);
    else if (verdict.insnsProcessed !== processed) {
      different.push(`seed ${seed}: ours processed ${verdict.insnsProcessed}, the kernel ${processed}`);
    }
  }
  expect(different).toEqual([]);
  expect(accepted).toBeGreaterThan(PROGRAMS / 10);
  expect(rejected).toBeGreaterThan(PROGRAMS / 10);
}, 600_000);

/** The last line that is no statistics. */
function lastLine(log: string): string {
  const lines = log.trimEnd().split("\n");
  const isStatistics = (line: string): boolean => /^(processed|verification time|stack depth)/.test(line);
  return lines.findLast((line) => !isStatistics(line)) ?? "";
}
