import { decode, functionStarts } from "../isa/index.ts";
import type { VerifierEnv } from "./env.ts";
import type { VerifierProgram, VerifyOptions } from "./input.ts";
import { sourceAt } from "./places.ts";
import { type Difference, type DifferenceKind, type MeetingPoint, PruningTrace } from "./pruning.ts";
import { WalkTrace } from "./trace.ts";
import { Verifier } from "./verify.ts";

/** A share of the processed instructions. */
export interface BudgetRow {
  /** `file:line`, or the function's name. */
  readonly place: string;
  /** The source line's text; `""` for functions. */
  readonly text: string;
  readonly processed: number;
  /** Times the busiest instruction of the row was processed. */
  readonly visits: number;
  /** Instructions of the row. */
  readonly insns: number;
}

/** A place where paths met and were not merged. */
export interface PruningPoint {
  /** `file:line`, or `"insn 12"` without line information. */
  readonly place: string;
  readonly text: string;
  /** Instructions of the line where paths meet, ascending. */
  readonly insns: readonly number[];
  /** The flow graph comes back here. */
  readonly inLoop: boolean;
  /** Paths that were compared with earlier ones and went on; that ended here, covered by an earlier one. */
  readonly wentOn: number;
  readonly covered: number;
  /** Comparisons that failed; those that were looked into, which the differences count. */
  readonly compared: number;
  readonly sampled: number;
  /** What differed, most frequent first. */
  readonly differences: readonly PruningDifference[];
}

/** What kept paths apart. */
export interface PruningDifference {
  readonly kind: DifferenceKind;
  /** `"r7"`, `"fp-16"`, of a caller `"r7 of main"`; `"references and locks"`, `"the way here"`. */
  readonly what: string;
  /** Sampled comparisons in which it differed; in which nothing else did; with an iteration still being walked. */
  readonly count: number;
  readonly alone: number;
  readonly iterations: number;
  /** What was known of it on the first few paths. */
  readonly values: readonly string[];
  /** Numbers: what needs their exact value. */
  readonly neededBy?: { readonly insn: number; readonly place: string; readonly text: string };
  readonly hint: string;
}

/** Where a verification's work went. */
export interface Budget {
  readonly processed: number;
  /** By source line, most first; by slot (`"insn 12"`) without line information. */
  readonly lines: readonly BudgetRow[];
  /** By function, most first. */
  readonly functions: readonly BudgetRow[];
  /** Where paths met and did not merge, most failed comparisons first. */
  readonly pruning: readonly PruningPoint[];
}

/**
 * Where the processed instructions of a program go, by source line and function, and what made states differ where paths
 * met. Verifies the program once.
 */
export function budgetOf(
  program: VerifierProgram,
  options: VerifyOptions = {},
  verifier: Verifier = new Verifier(),
): Budget {
  const trace = new WalkTrace();
  const watch = new PruningTrace();
  verifier.verify(program, {
    ...options,
    logLevel: 0,
    watch,
    onState: (insn, env) => trace.record(insn, env as VerifierEnv),
  });
  const insns = decode(program.insns);
  const visits = trace.visits(insns.length);
  for (const [insn, count] of watch.coveredAt) visits[insn] += count; // compared, not walked
  const starts = program.funcs.length > 0 ? program.funcs.map(({ insn }) => insn) : functionStarts(insns);
  const names = new Map(program.funcs.map(({ insn, name }) => [insn, name]));
  const functionAt = (insn: number): string => {
    const start = starts.findLast((candidate) => candidate <= insn) ?? 0;
    return names.get(start) ?? (start === 0 ? program.name : `function at ${start}`);
  };
  const lineAt = (insn: number): { place: string; text: string } => {
    const source = sourceAt(program, insn);
    if (source === undefined) return { place: `insn ${insn}`, text: "" };
    return { place: `${source.file}:${source.line}`, text: source.text.trim() };
  };
  return {
    processed: sum([...visits]),
    lines: summed(visits, lineAt),
    functions: summed(visits, (insn) => ({ place: functionAt(insn), text: "" })),
    pruning: pruningPoints(watch, lineAt),
  };
}

type LineAt = (insn: number) => { place: string; text: string };

/** Places and differences at each that are reported. */
const MAX_POINTS = 50;
const MAX_DIFFERENCES = 16;

/** Points of one source line are one place: unrolled loops and inlined functions have many. */
function pruningPoints(watch: PruningTrace, lineAt: LineAt): PruningPoint[] {
  const lines = new Map<string, MeetingPoint[]>();
  for (const point of watch.points.values()) {
    if (point.compared === 0) continue;
    const { place } = lineAt(point.insn);
    lines.set(place, [...(lines.get(place) ?? []), point]);
  }
  const failed = (points: readonly MeetingPoint[]): number => sum(points.map(({ compared }) => compared));
  return [...lines.values()]
    .sort((a, b) => failed(b) - failed(a))
    .slice(0, MAX_POINTS)
    .map((points) => pruningPoint(watch, points, lineAt));
}

function pruningPoint(watch: PruningTrace, points: readonly MeetingPoint[], lineAt: LineAt): PruningPoint {
  const busiest = points.reduce((a, b) => (b.compared > a.compared ? b : a));
  const rows = new Map<string, { insn: number; row: Difference }>();
  for (const { insn, differences } of points) {
    for (const [key, row] of differences) {
      const known = rows.get(key);
      if (known === undefined) rows.set(key, { insn, row: { ...row } });
      else {
        known.row.count += row.count;
        known.row.alone += row.alone;
        known.row.iterations += row.iterations;
      }
    }
  }
  const inLoop = points.some((point) => point.inLoop);
  // what differs alone would have been enough to fix
  const weight = ({ row }: { readonly row: Difference }): number => row.count + 2 * row.alone;
  const ranked = [...rows.values()].sort((a, b) => weight(b) - weight(a));
  const differences = ranked.slice(0, MAX_DIFFERENCES).map(({ insn, row }): PruningDifference => {
    const { kind, what, count, alone, iterations, values } = row;
    const open = iterations === count;
    const needs = kind === "number" && !open ? watch.wantedBy(insn, row) : undefined;
    const neededBy = needs === undefined ? undefined : { insn: needs, ...lineAt(needs) };
    const hint = HINTS[kind](inLoop, open);
    return {
      kind,
      what,
      count,
      alone,
      iterations,
      values,
      ...(neededBy !== undefined && { neededBy }),
      hint,
    };
  });
  return {
    ...lineAt(busiest.insn),
    insns: points.map(({ insn }) => insn).sort((a, b) => a - b),
    inLoop,
    wentOn: sum(points.map(({ wentOn }) => wentOn)),
    covered: sum(points.map(({ insn }) => watch.coveredAt.get(insn) ?? 0)),
    compared: sum(points.map(({ compared }) => compared)),
    sampled: sum(points.map(({ sampled }) => sampled)),
    differences,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

/** What to do about a difference; `open`: only iterations of a loop differ that are walked one after the other. */
const HINTS: Readonly<Record<DifferenceKind, (inLoop: boolean, open: boolean) => string>> = {
  number: (inLoop, open) =>
    open && !inLoop
      ? "a callback is walked again until nothing new is known: keep what it counts in a map value, where numbers are not tracked"
      : open
        ? "Linux walks this loop iteration by iteration: bpf_for() or bpf_loop() walk the body once for all values"
        : inLoop
          ? "walk the loop with bpf_for() or bpf_loop(), or make all paths agree on its range where they meet: x &= MAX - 1, or if (x > MAX) break;"
          : "make all paths agree on its range where they meet: x &= MAX - 1, or if (x > MAX) return …; or compute it in a global function",
  pointer: () =>
    "keep an index and form the address from the start each time (base + (i & (MAX - 1))), so that the pointer is the same on all paths",
  "packet-range": () =>
    "paths checked different parts of the packet: keep the offset as a number and check the bounds again after they meet, or parse each header in a global function",
  type: () =>
    "give it the same kind of value on all paths before they meet: handle NULL and errors with an early return",
  stack: () => "write it on all paths before they meet: initialise the variable where it is declared",
  held: () => "release what was acquired and unlock before the paths meet",
  entry: () => "call the function from fewer places, or make it global (verified once, alone)",
};

function summed(visits: Int32Array, rowOf: (insn: number) => { place: string; text: string }): BudgetRow[] {
  const rows = new Map<string, { -readonly [Key in keyof BudgetRow]: BudgetRow[Key] }>();
  for (const [insn, count] of visits.entries()) {
    if (count === 0) continue;
    const { place, text } = rowOf(insn);
    const row = rows.get(place) ?? { place, text, processed: 0, visits: 0, insns: 0 };
    row.processed += count;
    row.visits = Math.max(row.visits, count);
    row.insns++;
    rows.set(place, row);
  }
  return [...rows.values()].sort((a, b) => b.processed - a.processed);
}
