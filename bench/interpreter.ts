import { readFileSync } from "node:fs";
import { fromHex } from "../src/base/index.ts";
import { formatTable } from "../src/cli/format/table.ts";
import { readObject } from "../src/object/index.ts";
import { openEmbeddedKernel } from "../src/runtime/index.ts";
import type { Benchmark } from "./index.ts";

const PROGRAMS = ["sieve", "checksum", "match", "siphash", "xdp_parse_count"];
const ROUNDS = 7;
const ROUND_MS = 150;

interface Figure {
  readonly name: string;
  /** Instructions of one run. */
  readonly insns: number;
  /** Median over the rounds, nanoseconds for one run. */
  readonly ns: number;
  readonly nsPerInsn: number;
  readonly millionInsnsPerSecond: number;
}

/** The checked interpreter on the benchmark programs: median of seven warm rounds. */
export const interpreter: Benchmark = {
  name: "interpreter",
  summary: "instructions per second of the checked interpreter",
  async run() {
    const inputs = JSON.parse(readFileSync("fixtures/bench/inputs.json", "utf8"));
    const programs: Figure[] = [];
    for (const name of PROGRAMS) programs.push(await measure(name, fromHex(inputs[name].runs[0].packet)));
    const rows = programs.map(({ name, insns, ns, nsPerInsn, millionInsnsPerSecond }) => [
      name,
      String(insns),
      ns.toFixed(0),
      nsPerInsn.toFixed(2),
      millionInsnsPerSecond.toFixed(0),
    ]);
    const right = (title: string) => ({ title, align: "right" as const });
    const table = formatTable(
      { colors: false },
      [{ title: "program" }, right("insns"), right("ns/run"), right("ns/insn"), right("M insns/s")],
      rows,
    );
    return { figures: { programs, machine: `${process.arch}, Node ${process.version}` }, table };
  },
};

async function measure(name: string, data: Uint8Array): Promise<Figure> {
  const kernel = await openEmbeddedKernel();
  const collection = await kernel.load(readObject(readFileSync(`fixtures/bench/${name}.bpf.o`)));
  const program = collection.programs.get(name)!;
  const once = program.run({ data });
  let repeat = 1;
  while ((program.run({ data, repeat }).durationNs * repeat) / 1e6 < ROUND_MS) repeat *= 2;
  const rounds = Array.from({ length: ROUNDS }, () => program.run({ data, repeat }).durationNs).sort(
    (a, b) => a - b,
  );
  const ns = rounds[ROUNDS >> 1];
  const insns = once.insns!;
  collection[Symbol.dispose]();
  kernel[Symbol.dispose]();
  return { name, insns, ns, nsPerInsn: ns / insns, millionInsnsPerSecond: (insns / ns) * 1000 };
}
