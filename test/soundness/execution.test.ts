import { expect, it } from "vitest";
import { listing, SoundnessBench } from "./check-program.ts";
import { soundnessProgram } from "./random-program.ts";

// Soundness by execution: what the verifier accepts runs in the checked interpreter without a violation, and before every
// instruction all registers and stack slots of the frame lie in one of the abstract states that the verifier had there.
// States are those of a walk without pruning, which must accept what the walk with pruning accepted.
// SKEP_FUZZ_PROGRAMS, SKEP_FUZZ_SEED for longer runs.
const PROGRAMS = Number(process.env.SKEP_FUZZ_PROGRAMS ?? 2_000);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);
const RUNS = 2;

it(`${PROGRAMS} programs do what the verifier says`, async () => {
  const bench = await SoundnessBench.open();
  const problems: string[] = [];
  const messages = new Map<string, number>();
  const sum = { accepted: 0, rejected: 0, compared: 0, runs: 0, steps: 0 };
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const program = soundnessProgram(seed, 4 + (seed % 12));
    const checked = bench.check(program, seed, RUNS);
    if (checked.verdict === "accepted") sum.accepted++;
    else sum.rejected++;
    if (checked.compared) sum.compared++;
    sum.runs += checked.runs;
    sum.steps += checked.steps;
    if (checked.verdict === "unsupported") problems.push(`seed ${seed}: unsupported: ${checked.message}`);
    const kind = checked.message.replace(/-?\d+/g, "#");
    if (checked.verdict === "rejected") messages.set(kind, (messages.get(kind) ?? 0) + 1);
    if (checked.problem !== undefined && problems.length < 5) {
      problems.push(`seed ${seed}: ${checked.problem}\n${listing(program)}`);
    }
  }
  if (process.env.SKEP_FUZZ_REPORT) report(sum, messages);
  expect(problems.join("\n\n")).toBe("");
  expect(sum.accepted).toBeGreaterThan(PROGRAMS / 2);
  expect(sum.rejected).toBeGreaterThan(PROGRAMS / 50);
  expect(sum.compared).toBeGreaterThan(sum.accepted / 2);
}, 3_600_000);

function report(sum: Readonly<Record<string, number>>, messages: ReadonlyMap<string, number>): void {
  const lines = [...messages].sort(([, a], [, b]) => b - a).slice(0, 12);
  process.stderr.write(`${JSON.stringify(sum)}\n${lines.map(([text, n]) => `${n} ${text}`).join("\n")}\n`);
}
