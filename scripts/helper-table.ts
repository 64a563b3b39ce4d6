// Writes docs/helpers.md, the support table of helpers and kfuncs, from the tables of src/.
// node scripts/run-ts.mjs scripts/helper-table.ts
import { writeFileSync } from "node:fs";
import {
  HELPERS,
  type HelperName,
  helperRow,
  helpersOf,
  PROGRAM_TYPES,
  type ProgramTypeName,
} from "../src/abi/index.ts";
import { HELPER_DIFFERENCES } from "../src/runtime/helpers/differences.ts";
import { HELPER_TABLE } from "../src/runtime/helpers/index.ts";
import { KFUNC_TABLE } from "../src/runtime/kfuncs/index.ts";

export const HELPER_TABLE_PATH = "docs/helpers.md";

const names = Object.keys(HELPERS) as HelperName[]; // the keys are what HelperName is
const has = (name: HelperName): boolean => typeof HELPER_TABLE[name] === "function";

/** The page's text. */
export function renderHelperTable(): string {
  return [
    "# Helpers and kfuncs of the embedded kernel",
    "",
    "<!-- Printed from the tables in src/ by scripts/helper-table.ts; do not edit. -->",
    "",
    `Implemented: ${names.filter(has).length} of ${names.length} helpers. A program that uses one that is not is refused`,
    "when it is loaded, with the reason given here. *Since* is the first Linux that has it.",
    "",
    "## By program type",
    "",
    "Helpers that Linux 6.18 lets a program of the type call, and how many of them are implemented.",
    "",
    ...table(["program type", "Linux", "implemented", "not implemented"], programTypeRows()),
    "",
    "## Helpers",
    "",
    ...table(
      ["id", "helper", "since", "implemented", "difference from Linux, or why not"],
      names.map(helperCells),
    ),
    "",
    "## Kfuncs",
    "",
    "Kernel functions that the embedded kernel knows by name. Any other name is refused when the program is loaded, unless",
    "the extern is weak.",
    "",
    ...table(["kfunc", "since", "implemented", "why not"], kfuncRows()),
    "",
  ].join("\n");
}

function helperCells(name: HelperName): string[] {
  const { id, since } = helperRow(name);
  const entry = HELPER_TABLE[name];
  const note = typeof entry === "function" ? (HELPER_DIFFERENCES[name] ?? "") : entry.reason;
  return [String(id), `\`bpf_${name}\``, since, has(name) ? "yes" : "no", note];
}

function programTypeRows(): string[][] {
  const rows: string[][] = [];
  for (const type of Object.keys(PROGRAM_TYPES) as ProgramTypeName[]) {
    const allowed = helpersOf(type);
    if (allowed === undefined) continue;
    const missing = [...allowed].filter((name) => !has(name));
    rows.push([
      type.replace("BPF_PROG_TYPE_", "").toLowerCase(),
      String(allowed.size),
      String(allowed.size - missing.length),
      missing.map((name) => `\`${name}\``).join(" "),
    ]);
  }
  return rows;
}

function kfuncRows(): string[][] {
  return Object.entries(KFUNC_TABLE).map(([name, row]) =>
    "reason" in row ? [`\`${name}\``, "", "no", row.reason] : [`\`${name}\``, row.since, "yes", ""],
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

if (process.argv[1]?.endsWith("helper-table.ts")) writeFileSync(HELPER_TABLE_PATH, renderHelperTable());
