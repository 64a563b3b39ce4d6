import { decode, functionStarts } from "../isa/index.ts";
import { sourceAt } from "./causes.ts";
import type { VerifierEnv } from "./env.ts";
import type { VerifierProgram, VerifyOptions } from "./input.ts";
import { WalkTrace } from "./trace.ts";
import { verify } from "./verify.ts";

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

/** Where a verification's work went. */
export interface Budget {
  readonly processed: number;
  /** By source line, most first; by slot (`"insn 12"`) without line information. */
  readonly lines: readonly BudgetRow[];
  /** By function, most first. */
  readonly functions: readonly BudgetRow[];
}

/** Where the processed instructions of a program go, by source line and function. Verifies the program once. */
export function budgetOf(program: VerifierProgram, options: VerifyOptions = {}): Budget {
  const trace = new WalkTrace();
  verify(program, {
    ...options,
    logLevel: 0,
    onState: (insn, env) => trace.record(insn, env as VerifierEnv),
  });
  const insns = decode(program.insns);
  const visits = trace.visits(insns.length);
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
    processed: trace.last,
    lines: summed(visits, lineAt),
    functions: summed(visits, (insn) => ({ place: functionAt(insn), text: "" })),
  };
}

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
