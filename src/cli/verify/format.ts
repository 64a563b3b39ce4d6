import pc from "picocolors";
import type { SourceLocation } from "../../base/index.ts";
import {
  type Branch,
  type Budget,
  type Cause,
  type CoreAccess,
  errorCodeOf,
  type PruningPoint,
} from "../../verifier/index.ts";
import { formatError } from "../format/error.ts";
import { formatCount, formatTable } from "../format/table.ts";
import type { Io } from "../io.ts";
import type { ProgramReport, ProgramView } from "./report.ts";

type Screen = Pick<Io, "colors">;

/** Lines of the budget that are shown. */
const BUDGET_LINES = 12;
/** Meeting points of paths that are shown, and differences at each. */
const PRUNING_POINTS = 5;
const PRUNING_ROWS = 4;
/** Jumps of the path that are shown. */
const PATH_JUMPS = 8;

/**
 * A line for the program; for a rejection also the code frame, how it came about, the path and what to do.
 * ```
 * rejected  guard.bpf.o xdp_guard (xdp)  24 insns, 17 processed, 0.3 ms
 * error: R2 offset is outside of the packet [verifier/packet-bounds]
 *   --> guard.bpf.c:42:9, instruction 17
 * ```
 */
export function formatReport({ view, insns, explanation }: ProgramReport, io: Screen): string {
  const colors = pc.createColors(io.colors);
  const paint = { accepted: colors.green, rejected: colors.red, unsupported: colors.yellow }[view.verdict];
  const type = view.type ?? (view.section || "no type");
  const figures = colors.dim(
    `${formatCount(insns)} insns, ${formatCount(view.insnsProcessed)} processed, ` +
      `${formatCount(view.states)} states, stack ${view.stackDepth} B, ${milliseconds(view.timeUs)}`,
  );
  const head = `${paint(view.verdict.padEnd(11))} ${view.object}  ${colors.bold(view.program)} (${type})`;
  const parts = [insns === 0 ? head : `${head}  ${figures}`];
  if (view.log !== undefined) parts.push(view.log.trimEnd());
  if (view.error !== undefined) parts.push(formatRejection(view, explanation?.pathLength ?? 0, io));
  if (view.budget !== undefined) parts.push(formatBudget(view.budget, io));
  return parts.join("\n");
}

function milliseconds(us: number): string {
  return us < 10_000 ? `${(us / 1000).toFixed(2)} ms` : `${formatCount(Math.round(us / 1000))} ms`;
}

function formatRejection(view: ProgramView, pathLength: number, io: Screen): string {
  const { code, message, insn, source, access, causes, path, hint } = view.error!;
  const diagnostic = {
    code: code as `${string}/${string}`,
    message,
    ...(insn >= 0 && { insn }),
    ...(source !== undefined && { source }),
  };
  const lines = [formatError(diagnostic, io, view.verdict === "unsupported" ? "warning" : "error")];
  if (access !== undefined) {
    lines.push(`  ${pc.createColors(io.colors).dim("it accesses")} ${accessText(access)}`);
  }
  if (causes.length > 0) lines.push(formatCauses(causes, io));
  if (path.length > 0) lines.push(formatPath(path, pathLength, io));
  if (hint !== undefined) lines.push(`${pc.createColors(io.colors).cyan("  hint:")} ${hint}`);
  if (errorCodeOf(code) !== undefined)
    lines.push(`${pc.createColors(io.colors).cyan("  more:")} skep explain ${code}`);
  return `${lines.join("\n")}\n`;
}

const CAUSE_WORDS: Readonly<Record<Cause["kind"], string>> = {
  origin: "made",
  derived: "",
  learned: "compared",
  lost: "lost",
  refused: "refused",
};

/** Links under the source line they belong to. */
function formatCauses(causes: readonly Cause[], io: Screen): string {
  const colors = pc.createColors(io.colors);
  const rows = columns(
    causes.map(({ insn, text, kind, place: where, known, access }) => [
      `    ${insn}`,
      access === undefined ? text : `${text}  ${access.type}${access.field === "" ? "" : `.${access.field}`}`,
      colors.bold(CAUSE_WORDS[kind]),
      known === "" ? "" : `${where}: ${known}`,
    ]),
    io,
  ).split("\n");
  const lines = [`  ${colors.dim("how it came about (instruction, what it did, what is known after it)")}`];
  let line = "";
  for (const [i, { source }] of causes.entries()) {
    const here = place(source);
    if (here !== line) lines.push(`    ${colors.dim(here)}  ${sourceText(source)}`);
    line = here;
    lines.push(rows[i]);
  }
  return lines.join("\n");
}

/** `field pid of struct task_struct (CO-RE)` */
function accessText({ type, field, missing }: CoreAccess): string {
  const what = field === "" ? type : `field ${field} of ${type}`;
  return `${what} (CO-RE${missing ? ", not in the target's types" : ""})`;
}

function sourceText(source: SourceLocation | undefined): string {
  return oneLine(source?.text ?? "");
}

function formatPath(path: readonly Branch[], pathLength: number, io: Screen): string {
  const colors = pc.createColors(io.colors);
  const shown = path.slice(-PATH_JUMPS);
  const left = pathLength - shown.length;
  const rows = shown.map(({ insn, text, taken, source }) => [
    `  ${insn}`,
    taken ? "taken" : "not taken",
    text,
    source?.text.trim() ?? "",
    colors.dim(place(source)),
  ]);
  const before = left > 0 ? `, after ${formatCount(left)} others` : "";
  return `  ${colors.dim(`jumps on the way there${before}`)}\n${columns(rows, io)}`;
}

function place(source: SourceLocation | undefined): string {
  return source === undefined ? "" : `${source.file.split("/").at(-1)}:${source.line}`;
}

function columns(rows: readonly (readonly string[])[], io: Screen): string {
  const titles = rows[0].map(() => ({ title: "" }));
  return formatTable(io, titles, rows)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => `  ${line}`)
    .join("\n");
}

function formatBudget(budget: Budget, io: Screen): string {
  const colors = pc.createColors(io.colors);
  const share = (n: number): string => `${((100 * n) / Math.max(1, budget.processed)).toFixed(1)} %`;
  const rows = (list: Budget["lines"]): string[][] =>
    list
      .slice(0, BUDGET_LINES)
      .map(({ place: where, text, processed, visits }) => [
        `  ${share(processed)}`,
        formatCount(processed),
        `×${formatCount(visits)}`,
        shortPlace(where),
        text,
      ]);
  const functions = budget.functions.length > 1 ? `\n${columns(rows(budget.functions), io)}` : "";
  return [
    `  ${colors.dim(`where ${formatCount(budget.processed)} processed instructions went (share, processed, visits)`)}${functions}`,
    `${columns(rows(budget.lines), io)}`,
    ...formatPruning(budget.pruning, io),
    "",
  ].join("\n");
}

/** What kept paths apart, where most comparisons of states failed. */
function formatPruning(points: readonly PruningPoint[], io: Screen): string[] {
  if (points.length === 0) return [];
  const colors = pc.createColors(io.colors);
  const lines = [`  ${colors.dim("where paths met and could not be merged, and what differed")}`];
  const hints = new Set<string>();
  for (const {
    place: where,
    text,
    insns,
    inLoop,
    wentOn,
    covered,
    compared,
    sampled,
    differences,
  } of points.slice(0, PRUNING_POINTS)) {
    const at = insns.length === 1 ? `instruction ${insns[0]}` : `${formatCount(insns.length)} instructions`;
    const counts = `${formatCount(wentOn)} paths went on, ${formatCount(covered)} ended as known; ${formatCount(compared)} comparisons failed`;
    lines.push(
      `    ${colors.dim(shortPlace(where))}  ${oneLine(text)}`,
      `      ${inLoop ? "loop" : "join"} at ${at}: ${counts}`,
    );
    for (const { what, count, alone, values, neededBy } of differences.slice(0, PRUNING_ROWS)) {
      const share = `in ${percent(count, sampled)}${alone > 0 ? `, alone in ${percent(alone, sampled)}` : ""}`;
      lines.push(`      ${colors.bold(what)} differs ${share}: ${values.map(brief).join(" → ")}`);
      if (neededBy === undefined) continue;
      const line = `${shortPlace(neededBy.place)}, instruction ${neededBy.insn}  ${oneLine(neededBy.text)}`;
      lines.push(`        its exact value matters to ${line}`);
    }
    const hint = differences[0]?.hint;
    if (hint === undefined || hints.has(hint)) continue;
    hints.add(hint);
    lines.push(`      ${colors.cyan("hint:")} ${hint}`);
  }
  return lines;
}

function percent(part: number, whole: number): string {
  const value = (100 * part) / Math.max(1, whole);
  return value > 0 && value < 1 ? "< 1 %" : `${Math.round(value)} %`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

/** The file without its folders. */
function shortPlace(where: string): string {
  return where.split("/").at(-1)!;
}

/** A row of values reads better as figures. */
function brief(value: string): string {
  return value.replace(/^the number /, "").replace(/^an? (?:unsigned )?number from /, "");
}
