// What counts as the same message: registers, numbers and names normalised, as the oracle's tables do it.

/** Lines of a kernel log that are not the answer: traces, statistics, remarks. */
const NOISE = new RegExp(
  [
    "verification time",
    "stack depth",
    String.raw`processed \d+ insns`,
    "Global function .* doesn't return scalar",
    String.raw`arg#\d+ reference type\('[^']*'\) size cannot be determined`,
    String.raw`func '[^']*' arg\d+ (has btf_id|type)`,
    "(cur|old) state:",
    "mark_precise",
    String.raw`from \d+ to \d+`,
    String.raw`\d+: `,
    "; ",
    String.raw`Func#\d+`,
    "caller:",
    "callee:",
    "to caller",
    "Validating ",
    "returning from callee",
    String.raw`\s*$`,
    "verifier backtracking bug",
    "last_idx",
    "regs=",
    "parent ",
  ]
    .map((start) => `^(?:${start})`)
    .join("|"),
);
/** The kernel prints two lines for one cause; the first says which memory. */
const TWO_LINES = /outside of the (allowed memory range|packet)/;

/** A message without what varies from program to program. */
export function normMessage(message: string): string {
  let text = message
    .replace(/'[^']*'/g, "'_'")
    .replace(/\b0x[0-9a-f]+/g, "N")
    .replace(/\bR-?\d+\b/g, "R")
    .replace(/-?\d+/g, "N")
    .replace(/\b(STRUCT|struct) \w+/g, "$1 _");
  if (/helper|kernel function|func bpf_|kfunc/.test(text)) {
    text = text.replace(
      /(call|calling kernel function|kernel function|helper|func|kfunc) (bpf_)?\w+(#N)?/g,
      "$1 _",
    );
  }
  return text
    .replace(/Global function \w+\(\)/g, "Global function _()")
    .replace(/type=\w+ expected=.*/g, "type=_ expected=_")
    .trim();
}

/** The last lines of a log as one normalised message; `""` when there are none. */
export function normLines(lines: readonly string[]): string {
  let kept = lines.flatMap((line) => line.split("\n")).filter((line) => !NOISE.test(line));
  if (kept.length === 0) kept = lines.filter((line) => !/^(\s*$|\d+: |; )/.test(line));
  const last = kept.at(-1);
  if (last === undefined) return "";
  const norm = normMessage(last);
  if (kept.length < 2 || !TWO_LINES.test(last)) return norm;
  return `${normMessage(kept.at(-2)!).split(",")[0]} / ${norm}`;
}
