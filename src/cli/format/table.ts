import Table from "cli-table3";
import type { Io } from "../io.ts";

/** A column: heading, and `right` for numbers. */
export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

const NO_BORDER = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** Rows under headings, columns lined up, no lines between: easy on the eye and on `awk`. */
export function formatTable(
  io: Pick<Io, "colors">,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const table = new Table({
    head: columns.map((column) => column.title),
    colAligns: columns.map((column) => column.align ?? "left"),
    chars: NO_BORDER,
    style: {
      head: io.colors ? ["dim"] : [],
      border: [],
      "padding-left": 0,
      "padding-right": 0,
      compact: true,
    },
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** `1234567` → `1,234,567`. */
export function formatCount(n: number | bigint): string {
  return n.toLocaleString("en-US");
}
