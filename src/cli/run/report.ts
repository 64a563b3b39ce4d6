import pc from "picocolors";
import { toJson } from "../format/json.ts";
import { formatCount, formatTable } from "../format/table.ts";
import type { Io } from "../io.ts";
import { isZero, type ReadableEntry } from "./map-values.ts";

/** What `skep run` found out; `--json` prints it as it is. */
export interface RunReport {
  readonly object: string;
  readonly program: string;
  /** `xdp`, `sched_cls` … */
  readonly type: string;
  readonly engine: string;
  readonly packets: number;
  readonly bytes: number;
  /**
   * Mean time of one run of the program, nanoseconds; in a batch, with the building of its context. The first (cold)
   * packet or batch counts only when it is the only one.
   */
  readonly nsPerPacket: number;
  /** Runs by what they returned. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Packets sent elsewhere, by target. Only when there are any. */
  readonly redirects?: Readonly<Record<string, number>>;
  /** Packets that could not be run, by reason. Only when there are any. */
  readonly skipped?: Readonly<Record<string, number>>;
  /** With `--each`: every packet. */
  readonly runs?: readonly { readonly retval: number; readonly packet: string }[];
  readonly maps: Readonly<Record<string, readonly ReadableEntry[]>>;
  /** Lines from bpf_printk. */
  readonly trace: readonly string[];
  /** Records from ring buffers and perf event arrays. */
  readonly events: Readonly<Record<string, readonly unknown[]>>;
  /** Records that did not fit into a buffer. */
  readonly lost: number;
}

/** How much of it the text form shows. */
export interface ReportOptions {
  /** Rows of each map, events and trace lines; the rest is counted. */
  readonly limit: number;
  /** Also entries that are all zero, and empty maps. */
  readonly all: boolean;
  /** Maps whose values are lists with one value for each CPU. */
  readonly perCpu: ReadonlySet<string>;
  /** Records by map, the report may hold fewer. */
  readonly eventTotals: Readonly<Record<string, number>>;
}

const BAR_WIDTH = 24;

/** The report for people. */
export function formatReport(report: RunReport, io: Pick<Io, "colors">, options: ReportOptions): string {
  const colors = pc.createColors(io.colors);
  const heading = (text: string) => `\n${colors.bold(text)}`;
  const lines = [
    `${colors.bold(report.program)} ${colors.dim(`(${report.type}, ${report.object})`)}: ` +
      `${counted(report.packets, "packet", "packets")}, ${formatCount(report.bytes)} bytes, ` +
      `${formatCount(Math.round(report.nsPerPacket))} ns per packet ${colors.dim(`(${report.engine})`)}`,
  ];
  lines.push(heading("Verdicts"), formatShares(report.verdicts, report.packets, io));
  if (report.redirects !== undefined)
    lines.push(heading("Redirected to"), formatShares(report.redirects, report.packets, io));
  if (report.skipped !== undefined) {
    lines.push(heading("Packets not run"));
    for (const [reason, count] of Object.entries(report.skipped))
      lines.push(`${formatCount(count)}  ${reason}`);
  }
  const globals = globalVariables(report, options.all);
  if (globals.length > 0) {
    lines.push(
      heading("Global variables"),
      formatTable(io, [{ title: "name" }, { title: "value" }], globals),
    );
  }
  for (const [name, entries] of Object.entries(report.maps)) {
    if (isGlobals(name)) continue;
    const shown = options.all ? entries : entries.filter((entry) => !isZero(entry.value));
    if (shown.length === 0 && !options.all) continue;
    const zeros = entries.length - shown.length;
    const note = zeros === 0 ? "" : `, ${formatCount(zeros)} all zero`;
    lines.push(
      heading(`Map ${name}`) + colors.dim(` (${counted(entries.length, "entry", "entries")}${note})`),
    );
    const rows = options.perCpu.has(name) ? shown.flatMap((entry) => splitByCpu(entry, options.all)) : shown;
    if (shown.length > 0) lines.push(formatEntries(rows.slice(0, options.limit), io));
    lines.push(...more(rows.length, options.limit, colors.dim));
  }
  for (const [name, events] of Object.entries(report.events)) {
    const total = options.eventTotals[name];
    if (total === 0 && !options.all) continue;
    lines.push(heading(`Events of ${name}`) + colors.dim(` (${formatCount(total)})`));
    const shown = events.slice(0, options.limit);
    if (shown.length > 0) lines.push(formatValues(shown, io));
    lines.push(...more(total, options.limit, colors.dim));
  }
  if (report.lost > 0)
    lines.push(colors.yellow(`${formatCount(report.lost)} events were lost: a buffer was full`));
  if (report.trace.length > 0) {
    lines.push(heading("Trace") + colors.dim(` (${formatCount(report.trace.length)} lines)`));
    lines.push(
      ...report.trace.slice(0, options.limit),
      ...more(report.trace.length, options.limit, colors.dim),
    );
  }
  return lines.join("\n");
}

/** Maps of global variables are named after their section. */
function isGlobals(map: string): boolean {
  return map.startsWith(".");
}

/** Name and value of every global variable that says something. */
function globalVariables(report: RunReport, all: boolean): string[][] {
  const rows: string[][] = [];
  for (const [map, entries] of Object.entries(report.maps)) {
    if (!isGlobals(map)) continue;
    for (const { value } of entries) {
      for (const [name, text, , item] of cells(map, value, Number.POSITIVE_INFINITY)) {
        if (all || !isZero(item)) rows.push([name, text]);
      }
    }
  }
  return rows;
}

function counted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function more(count: number, limit: number, dim: (text: string) => string): string[] {
  return count > limit ? [dim(`… ${formatCount(count - limit)} more; --limit N shows more of them`)] : [];
}

function formatShares(
  counts: Readonly<Record<string, number>>,
  total: number,
  io: Pick<Io, "colors">,
): string {
  const colors = pc.createColors(io.colors);
  const rows = Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => {
      const share = total === 0 ? 0 : count / total;
      const bar = "█".repeat(Math.max(1, Math.round(share * BAR_WIDTH)));
      return [name, formatCount(count), `${(100 * share).toFixed(1)}%`, colors.green(bar)];
    });
  return formatTable(
    io,
    [{ title: "" }, { title: "packets", align: "right" }, { title: "", align: "right" }, { title: "" }],
    rows,
  )
    .split("\n")
    .slice(1)
    .join("\n");
}

/** One row for each CPU whose value says something; the CPU stands between key and value. */
interface CpuRow extends ReadableEntry {
  readonly cpu?: number;
}

function splitByCpu({ key, value }: ReadableEntry, all: boolean): CpuRow[] {
  if (!Array.isArray(value)) return [{ key, value }];
  if (value.length === 1) return [{ key, value: value[0] }];
  const rows = value.map((item, cpu): CpuRow => ({ key, value: item, cpu }));
  return all ? rows : rows.filter((row) => !isZero(row.value));
}

/** Entries of a map as a table; per-CPU values in rows of their own, with `all` those that are zero too. */
export function formatMapEntries(
  entries: readonly ReadableEntry[],
  io: Pick<Io, "colors">,
  { all, perCpu }: { readonly all: boolean; readonly perCpu: boolean },
): string {
  const rows = perCpu ? entries.flatMap((entry) => splitByCpu(entry, all)) : entries;
  return rows.length === 0 ? "" : formatEntries(rows, io);
}

function formatEntries(entries: readonly CpuRow[], io: Pick<Io, "colors">): string {
  return formatCells(
    entries.map(({ key, value, cpu }) => [
      ...cells("key", key),
      ...(cpu === undefined ? [] : [cell("cpu", cpu)]),
      ...cells("value", value),
    ]),
    io,
  );
}

function formatValues(values: readonly unknown[], io: Pick<Io, "colors">): string {
  return formatCells(
    values.map((value) => cells("data", value)),
    io,
  );
}

type Cell = readonly [title: string, text: string, isNumber: boolean, item: unknown];

const MAX_COLUMNS = 12;

/** A record becomes one cell for each member, anything else (and records with too many members) a single one. */
function cells(title: string, value: unknown, most = MAX_COLUMNS): Cell[] {
  if (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  ) {
    const members = Object.entries(value);
    if (members.length > 0 && members.length <= most) return members.map(([name, item]) => cell(name, item));
  }
  return [cell(title, value)];
}

function cell(title: string, item: unknown): Cell {
  const isNumber = typeof item === "number" || typeof item === "bigint";
  const text = isNumber ? String(item) : typeof item === "string" ? item : toJson(item, 0);
  return [title, text, isNumber, item];
}

function formatCells(rows: readonly (readonly Cell[])[], io: Pick<Io, "colors">): string {
  const columns = rows[0].map(([title, , isNumber]) => ({
    title,
    align: isNumber ? ("right" as const) : ("left" as const),
  }));
  return formatTable(
    io,
    columns,
    rows.map((row) => row.map(([, text]) => text)),
  );
}
