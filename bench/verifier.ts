import { readdirSync, readFileSync } from "node:fs";
import { parseBtf } from "../src/btf/index.ts";
import { formatTable } from "../src/cli/format/table.ts";
import { readObject } from "../src/object/index.ts";
import { Verifier, type VerifierProgram, verifierProgram } from "../src/verifier/index.ts";
import { kernelLog, oracleMissing, Programs, type Row, readRows } from "../test/verifier/corpora.ts";
import { RunningKernel } from "../test/verifier/running-kernel.ts";
import type { Benchmark } from "./index.ts";

/** The kernel tests that cost its verifier most. */
const HEAVY = /^(pyperf|strobemeta|test_verif_scale|loop\d)/;
/** Below this a verification is repeated, and the fastest counts: ours, and the kernel's. */
const SHORT_US = 200_000;
const REPEATS = 5;

interface Subject {
  readonly name: string;
  readonly group: string;
  readonly program: VerifierProgram;
  /** Asks the oracle's own loader where ours cannot put the program to the kernel. */
  readonly row?: Row;
}

interface Figure {
  readonly name: string;
  readonly group: string;
  readonly insns: number;
  readonly processed: number;
  /** Null where the running kernel cannot be asked. */
  readonly kernelProcessed: number | null;
  readonly us: number;
  readonly kernelUs: number | null;
  readonly memoryMiB: number;
}

/** Time to verify real programs, beside the running kernel's time from its log in the same run. */
export const verifier: Benchmark = {
  name: "verifier",
  summary: "microseconds to verify real programs, the running kernel beside it",
  async run() {
    const kernel = await RunningKernel.open();
    const judge = new Verifier();
    const programs: Figure[] = [];
    for (const subject of subjects()) programs.push(await measure(subject, judge, kernel));
    if (typeof kernel !== "string") kernel.close();
    const groups = summed(programs);
    const notes = [
      ...(typeof kernel === "string" ? [`no kernel columns: ${kernel}`] : []),
      ...(oracleMissing() === undefined ? [] : [`the repository's own objects only: ${oracleMissing()}`]),
    ];
    const machine = `${process.arch}, Node ${process.version}`;
    return { figures: { programs, groups, machine, notes }, table: tables(programs, groups, notes) };
  },
};

function* subjects(): Iterable<Subject> {
  const btf = runningBtf();
  for (const file of readdirSync("fixtures/bench").filter((name) => name.endsWith(".bpf.o"))) {
    const spec = readObject(readFileSync(`fixtures/bench/${file}`));
    for (const program of spec.programs) {
      const input = verifierProgram(spec, program, { kernelBtf: btf });
      yield { name: program.name, group: "fixtures", program: input };
    }
  }
  if (oracleMissing() !== undefined) return;
  const programs = new Programs();
  for (const row of readRows("xdp-tools").judged) {
    yield { name: `${row.obj} ${row.prog}`, group: "xdp-tools", program: programs.program(row), row };
  }
  for (const row of readRows("selftests-v3").judged) {
    if (!HEAVY.test(row.obj)) continue;
    yield { name: `${row.obj} ${row.prog}`, group: "selftests", program: programs.program(row), row };
  }
}

function runningBtf() {
  try {
    return parseBtf(readFileSync("/sys/kernel/btf/vmlinux"));
  } catch {
    return undefined;
  }
}

async function measure(subject: Subject, judge: Verifier, kernel: RunningKernel | string): Promise<Figure> {
  const { program, name, group } = subject;
  let us = Number.POSITIVE_INFINITY;
  let verdict = judge.verify(program);
  for (let i = 0; i < REPEATS; i++) {
    const start = performance.now();
    verdict = judge.verify(program);
    us = Math.min(us, (performance.now() - start) * 1000);
    if (us > SHORT_US) break;
  }
  const theirs = typeof kernel === "string" ? undefined : await kernelFigures(subject, kernel);
  return {
    name,
    group,
    insns: program.insns.length / 8,
    processed: verdict.insnsProcessed,
    kernelProcessed: theirs?.processed ?? null,
    us: Math.round(us),
    kernelUs: theirs?.us ?? null,
    memoryMiB: Math.round(verdict.memoryBytes / 1024 / 1024),
  };
}

async function kernelFigures(
  { program, row }: Subject,
  kernel: RunningKernel,
): Promise<{ processed: number; us: number } | undefined> {
  let best: { processed: number; us: number } | undefined;
  for (let i = 0; i < REPEATS; i++) {
    const verdict = await kernel.judge(program, 4);
    const figures = typeof verdict === "string" ? fromLoader(row) : verdict;
    if (figures?.processed === undefined || figures.us === undefined) return best;
    if (best === undefined || figures.us < best.us) best = { processed: figures.processed, us: figures.us };
    if (figures.us > SHORT_US || typeof verdict === "string") break;
  }
  return best;
}

function fromLoader(row: Row | undefined): { processed: number; us: number } | undefined {
  if (row === undefined || row.legacy) return undefined;
  const log = kernelLog(row, 4);
  const [, processed] = /processed (\d+) insns/.exec(log) ?? [];
  const [, us] = /verification time (\d+) usec/.exec(log) ?? [];
  return processed === undefined || us === undefined
    ? undefined
    : { processed: Number(processed), us: Number(us) };
}

interface Group {
  readonly name: string;
  readonly programs: number;
  readonly us: number;
  readonly kernelUs: number;
  /** Sum over sum, of programs with both. */
  readonly ratio: number | null;
  readonly nsPerInsn: number;
}

function summed(programs: readonly Figure[]): Group[] {
  return [...new Set(programs.map(({ group }) => group)), "all"].map((name) => {
    const these = programs.filter(({ group }) => name === "all" || group === name);
    const both = these.filter(({ kernelUs }) => kernelUs !== null);
    const sum = (list: readonly Figure[], value: (figure: Figure) => number): number =>
      list.reduce((total, figure) => total + value(figure), 0);
    const kernelUs = sum(both, (figure) => figure.kernelUs!);
    return {
      name,
      programs: these.length,
      us: sum(these, ({ us }) => us),
      kernelUs,
      ratio: kernelUs === 0 ? null : sum(both, ({ us }) => us) / kernelUs,
      nsPerInsn: (1000 * sum(these, ({ us }) => us)) / sum(these, ({ processed }) => processed),
    };
  });
}

const SHOWN = 30;

function tables(programs: readonly Figure[], groups: readonly Group[], notes: readonly string[]): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const ratio = (value: number | null): string => (value === null ? "-" : `${value.toFixed(1)}×`);
  const slowest = [...programs].sort((a, b) => b.us - a.us).slice(0, SHOWN);
  const rows = slowest.map(({ name, insns, processed, kernelProcessed, us, kernelUs, memoryMiB }) => [
    name,
    String(insns),
    String(processed),
    String(kernelProcessed ?? "-"),
    String(us),
    String(kernelUs ?? "-"),
    ratio(kernelUs === null ? null : us / kernelUs),
    String(memoryMiB),
  ]);
  const columns = ["insns", "processed", "kernel", "µs", "kernel µs", "ratio", "MiB"].map(right);
  const sums = groups.map((group) => [
    group.name,
    String(group.programs),
    (group.us / 1000).toFixed(1),
    (group.kernelUs / 1000).toFixed(1),
    ratio(group.ratio),
    group.nsPerInsn.toFixed(0),
  ]);
  return [
    `the ${slowest.length} slowest of ${programs.length} programs (warm, the fastest of up to ${REPEATS})`,
    formatTable({ colors: false }, [{ title: "program" }, ...columns], rows),
    "",
    formatTable(
      { colors: false },
      [{ title: "group" }, ...["programs", "ms", "kernel ms", "ratio", "ns/processed"].map(right)],
      sums,
    ),
    ...notes,
  ].join("\n");
}
