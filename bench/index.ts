// npm run bench -- NAME [--json] [--compare FILE]: what users feel, as ratios measured in one run. `npm run bench` lists
// the names; FILE holds what --json printed before, and every figure is set beside it.
import { readFileSync } from "node:fs";
import { changes } from "./compare.ts";
import { interpreter } from "./interpreter.ts";
import { jit } from "./jit.ts";
import { maps } from "./maps.ts";
import { packets } from "./packets.ts";
import { ringbuf } from "./ringbuf.ts";
import { verifier } from "./verifier.ts";

/** A benchmark prints a table for people and returns the same figures as data. */
export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  run(): Promise<{ readonly figures: unknown; readonly table: string }>;
}

const BENCHMARKS: readonly Benchmark[] = [interpreter, jit, maps, packets, ringbuf, verifier];

const [name, ...flags] = process.argv.slice(2);
const compareAt = flags.indexOf("--compare");
const earlier = compareAt < 0 ? undefined : JSON.parse(readFileSync(flags[compareAt + 1], "utf8"));
const chosen = BENCHMARKS.filter((benchmark) => benchmark.name === name);
if (chosen.length === 0) {
  for (const benchmark of BENCHMARKS)
    console.log(`npm run bench -- ${benchmark.name.padEnd(12)} ${benchmark.summary}`);
  process.exitCode = name === undefined ? 0 : 2;
}
for (const benchmark of chosen) {
  const { figures, table } = await benchmark.run();
  console.log(flags.includes("--json") ? JSON.stringify(figures, undefined, 2) : table);
  if (earlier !== undefined) console.error(changes(earlier, figures));
}
