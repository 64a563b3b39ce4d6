import { release } from "node:os";
import { expect, it } from "vitest";
import { LinuxOracle } from "../differential/kernel.ts";
import { MutantBench } from "./compare-mutants.ts";

// Programs of test/differential with maps, helpers, packets, calls and callbacks, some of their checks, offsets and
// numbers changed: verdict, final message and processed instructions are the running kernel's (6.18.y, y >= 44).
// SKEP_FUZZ_PROGRAMS, SKEP_FUZZ_SEED for longer runs.
const PROGRAMS = Number(process.env.SKEP_FUZZ_PROGRAMS ?? 800);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);

it(`${PROGRAMS} mutants are judged as by the running kernel`, async (context) => {
  const oracle = await LinuxOracle.open();
  if (typeof oracle === "string") return context.skip(oracle);
  try {
    if (!/^6\.18\.(4[4-9]|[5-9]\d|\d{3})/.test(release())) return context.skip(`the kernel is ${release()}`);
    const bench = new MutantBench(oracle);
    for (let seed = SEED; bench.count < PROGRAMS; seed++) await bench.compare(seed, 20);
    expect(bench.different.join("\n")).toBe("");
    expect(bench.accepted).toBeGreaterThan(PROGRAMS / 10);
    expect(bench.rejected).toBeGreaterThan(PROGRAMS / 4);
  } finally {
    oracle.close();
  }
}, 3_600_000);
