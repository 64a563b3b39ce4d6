import { formatTable } from "../src/cli/format/table.ts";

/** A table of all numbers that two results have in common, with the later one as a share of the earlier. */
export function changes(earlier: unknown, later: unknown): string {
  const before = numbersIn(earlier);
  const rows: [string, string, string, string][] = [];
  for (const [path, now] of numbersIn(later)) {
    const then = before.get(path);
    if (then !== undefined && then !== 0)
      rows.push([path, then.toPrecision(4), now.toPrecision(4), (now / then).toFixed(2)]);
  }
  const right = (title: string) => ({ title, align: "right" as const });
  return formatTable(
    { colors: false },
    [{ title: "figure" }, right("before"), right("now"), right("now/before")],
    rows,
  );
}

/** Numbers by their path; an element of a list goes by its name, where it has one. */
function numbersIn(value: unknown, path = "", found = new Map<string, number>()): Map<string, number> {
  if (typeof value === "number") found.set(path, value);
  else if (Array.isArray(value))
    for (const [i, item] of value.entries()) {
      const { name, operation } = (item ?? {}) as { name?: string; operation?: string };
      numbersIn(item, `${path} ${name ?? operation ?? i}`.trim(), found);
    }
  else if (typeof value === "object" && value !== null)
    for (const [key, item] of Object.entries(value)) numbersIn(item, `${path} ${key}`.trim(), found);
  return found;
}
