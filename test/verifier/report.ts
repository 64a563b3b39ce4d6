// How far our verifier agrees with the kernel's tables.
//
//   SKEP_ORACLE=… node scripts/run-ts.mjs test/verifier/report.ts [CORPUS…] [OPTION…]
//
// CORPUS    raw-tests  verifier (the verifier_* objects)  selftests-v3 (all, with those)  libbpf-tools  xdp-tools
//           debian-misc; default: raw-tests and verifier
// --live F  programs of any objects, from what the oracle's loader printed of them (`$SKEP_ORACLE/oracle foo.o > F`); in
//           place of a corpus. SKEP_KERNEL_BTF names the types of the kernel it ran on; default: the running one's
// --rows X  list the programs of one kind: false-accept false-reject crash timeout unread unsupported message pc
//           processed agree; several with commas; `all`
// --only T  only programs whose "object program" contains T (several with commas)
// --norm T  only programs whose normalised kernel message contains T
// --group   with --rows: group by message instead of a line for each program
// --limit N lines of each list (default 40; groups 25)
// --every N only each N-th program (a quick look)
// --workers N threads (default 2)   --timeout N seconds for one program (default 20)   --insns N processed at most
// --json F  all outcomes into a file
// --log L   our log at level L (1 or 2) of the first program that matches, and with
// --kernel  the running kernel's log of it too (root); --diff prints where the two part
//
// "processed" counts accepted programs whose number of processed instructions differs; their ratio is in the summary.
import { writeFileSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Verifier, type VerifyOptions } from "../../src/verifier/index.ts";
import {
  CORPORA,
  type CorpusName,
  kernelLog,
  oracleMissing,
  Programs,
  prepareCorpus,
  type Row,
  readRows,
} from "./corpora.ts";
import { DIFFERENCES, type Difference, judge, type Outcome, samePc } from "./judge.ts";
import { readLiveRows } from "./live-rows.ts";

interface Options {
  readonly corpora: readonly CorpusName[];
  readonly live: string | undefined;
  readonly rows: readonly Difference[];
  readonly only: readonly string[];
  readonly norm: string | undefined;
  readonly group: boolean;
  readonly limit: number | undefined;
  readonly every: number;
  readonly workers: number;
  readonly timeoutMs: number;
  readonly insns: number | undefined;
  readonly json: string | undefined;
  readonly log: number | undefined;
  readonly kernel: boolean;
  readonly diff: boolean;
}

/** What the main thread tells a worker. */
interface Task {
  readonly id: number;
  readonly row: Row;
  readonly options: VerifyOptions;
}

if (isMainThread) await main(parseOptions(process.argv.slice(2)));
else work();

function work(): void {
  const programs = new Programs();
  const verifier = new Verifier();
  parentPort!.on("message", ({ id, row, options }: Task) => {
    const outcome = judge(verifier, row, () => programs.program(row), options);
    parentPort!.postMessage({ id, outcome });
  });
}

async function main(options: Options): Promise<void> {
  const missing = oracleMissing();
  if (missing !== undefined) {
    print(missing);
    process.exitCode = 2;
    return;
  }
  for (const name of options.live === undefined ? options.corpora : (["live"] as const)) {
    const { judged, env } = name === "live" ? readLiveRows(options.live ?? "") : readRows(name);
    const chosen = judged.filter((row) => matches(row, options)).filter((_, i) => i % options.every === 0);
    if (name !== "live") prepareCorpus(name);
    if (options.log !== undefined) {
      if (chosen.length > 0) printLog(chosen[0], options);
      continue;
    }
    const start = performance.now();
    const outcomes = await judgeAll(chosen, options);
    print(summary(name, outcomes, env, judged.length - chosen.length, (performance.now() - start) / 1000));
    print(lists(outcomes, options));
    if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(outcomes, null, 1));
  }
}

function matches(row: Row, { only, norm }: Options): boolean {
  const name = `${row.obj} ${row.prog}`;
  if (only.length > 0 && !only.some((text) => name.includes(text))) return false;
  return norm === undefined || (row.norm ?? "").includes(norm);
}

// -- workers ----------------------------------------------------------------------------------------------------------

/** Judges rows on several threads; a thread that hangs or dies costs its program only. */
async function judgeAll(rows: readonly Row[], options: Options): Promise<Outcome[]> {
  const outcomes: Outcome[] = new Array(rows.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    let worker: Worker | undefined;
    while (next < rows.length) {
      const id = next++;
      worker ??= new Worker(new URL(import.meta.url), {
        execArgv: ["--enable-source-maps"],
        resourceLimits: { maxOldGenerationSizeMb: 3000 },
      });
      const answer = await ask(
        worker,
        { id, row: rows[id], options: verifyOptions(options) },
        options.timeoutMs,
      );
      outcomes[id] = answer;
      if (answer.difference === "timeout" || (answer.difference === "crash" && answer.us < 0)) {
        await worker.terminate();
        worker = undefined;
      }
    }
    await worker?.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(options.workers, rows.length) }, lane));
  return outcomes;
}

function verifyOptions({ insns }: Options): VerifyOptions {
  return insns === undefined ? {} : { insnLimit: insns };
}

function ask(worker: Worker, task: Task, timeoutMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      worker.removeAllListeners("message");
      worker.removeAllListeners("error");
      worker.removeAllListeners("exit");
      worker.on("error", () => {});
      resolve(outcome);
    };
    const failed = (difference: Difference, text: string): void =>
      settle({ row: task.row, difference, text, message: text, us: -1 });
    const timer = setTimeout(() => failed("timeout", `> ${timeoutMs / 1000} s`), timeoutMs);
    worker.on("message", ({ outcome }: { outcome: Outcome }) => settle(outcome));
    worker.on("error", (error) => failed("crash", `thread died: ${String(error).split("\n")[0]}`));
    worker.on("exit", (code) => failed("crash", `thread left with ${code}`));
    worker.postMessage(task);
  });
}

// -- figures ----------------------------------------------------------------------------------------------------------

function summary(
  name: string,
  outcomes: readonly Outcome[],
  env: number,
  left: number,
  seconds: number,
): string {
  const count = (...kinds: Difference[]): number =>
    outcomes.filter(({ difference }) => kinds.includes(difference)).length;
  const answered = count("false-accept", "false-reject", "message", "pc", "processed", "agree");
  const wrong = count("false-accept", "false-reject");
  const rejected = outcomes.filter(
    ({ row, difference }) => row.res === "rejected" && ["message", "pc", "agree"].includes(difference),
  );
  const sameMessage = rejected.filter(({ difference }) => difference !== "message");
  const pcs = rejected.filter(({ row, insn }) => samePc(row, insn));
  const ratios = outcomes
    .filter(({ row, difference }) => row.res === "accepted" && ["processed", "agree"].includes(difference))
    .filter(({ row, processed }) => row.processed && processed !== undefined)
    .map(({ row, processed }) => processed! / row.processed!)
    .sort((a, b) => a - b);
  const equal = ratios.filter((ratio) => ratio === 1).length;
  const timed = outcomes.filter(
    ({ row, us, difference }) => (row.us ?? 0) > 0 && us > 0 && difference !== "crash",
  );
  const ours = timed.reduce((sum, { us }) => sum + us, 0);
  const theirs = timed.reduce((sum, { row }) => sum + row.us!, 0);
  return [
    `== ${name}: ${outcomes.length} programs${left > 0 ? `, ${left} left out` : ""} (env, not scored: ${env}), ${seconds.toFixed(1)} s`,
    `   judged ${answered}   unsupported ${count("unsupported")}   crash ${count("crash")}   timeout ${count("timeout")}   unread ${count("unread")}`,
    `   verdict equal ${share(answered - wrong, answered)}   FALSE ACCEPTS ${count("false-accept")}   false rejects ${count("false-reject")}`,
    `   rejections: message equal ${share(sameMessage.length, rejected.length)}   pc equal ${share(pcs.length, rejected.length)}`,
    `   processed: equal ${share(equal, ratios.length)}   ratio median ${at(ratios, 0.5)}   p95 ${at(ratios, 0.95)}   max ${at(ratios, 1)}`,
    `   time: ours ${(ours / 1e6).toFixed(2)} s, kernel ${(theirs / 1e6).toFixed(2)} s (${theirs > 0 ? (ours / theirs).toFixed(1) : "-"}×)`,
  ].join("\n");
}

function share(part: number, whole: number): string {
  return `${part}/${whole} ${whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`}`;
}

function at(sorted: readonly number[], quantile: number): string {
  if (sorted.length === 0) return "-";
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))].toFixed(2);
}

// -- lists ------------------------------------------------------------------------------------------------------------

function lists(outcomes: readonly Outcome[], options: Options): string {
  if (options.rows.length > 0) {
    return options.rows
      .map((kind) => {
        const these = outcomes.filter(({ difference }) => difference === kind);
        return options.group
          ? groups(kind, these, options.limit ?? 25)
          : lines(kind, these, options.limit ?? 40);
      })
      .join("\n");
  }
  const parts: string[] = [];
  for (const kind of DIFFERENCES) {
    const these = outcomes.filter(({ difference }) => difference === kind);
    if (these.length === 0 || kind === "agree" || kind === "processed") continue;
    parts.push(
      kind === "false-accept"
        ? lines(kind, these, options.limit ?? 20)
        : groups(kind, these, options.limit ?? 8),
    );
  }
  return parts.join("\n");
}

function lines(kind: Difference, outcomes: readonly Outcome[], limit: number): string {
  const shown = outcomes.slice(0, limit).map((outcome) => `   ${oneLine(outcome)}`);
  const rest = outcomes.length > limit ? [`   … ${outcomes.length - limit} more`] : [];
  return [`-- ${kind}: ${outcomes.length}`, ...shown, ...rest].join("\n");
}

function oneLine({ row, difference, message, insn, processed }: Outcome): string {
  const name =
    row.corpus === "raw-tests" ? `#${row.index ?? 0} ${row.prog}` : `${row.obj} ${row.prog} (${row.type})`;
  const kernel = `kernel: ${row.msg ?? row.res}${row.pc === undefined ? "" : ` @${row.pc}`}`;
  const ours = `ours: ${message}${insn === undefined ? "" : ` @${insn}`}`;
  switch (difference) {
    case "processed":
      return `${name}: kernel ${row.processed}, ours ${processed}`;
    case "agree":
      return name;
    case "false-accept":
      return `${name}\n       ${kernel}`;
    case "unsupported":
    case "crash":
    case "timeout":
    case "unread":
      return `${name}: ${message}${insn === undefined ? "" : ` @${insn}`}`;
    default:
      return `${name}\n       ${kernel}\n       ${ours}`;
  }
}

/** Rejections by the kernel's message, all else by ours. */
function groups(kind: Difference, outcomes: readonly Outcome[], limit: number): string {
  const byText = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const key =
      kind === "message"
        ? `${outcome.row.norm}   <-   ${outcome.text}`
        : kind === "pc" || kind === "false-accept"
          ? (outcome.row.norm ?? "")
          : outcome.text;
    byText.set(key, [...(byText.get(key) ?? []), outcome]);
  }
  const sorted = [...byText].sort((a, b) => b[1].length - a[1].length);
  const shown = sorted.slice(0, limit).map(([text, these]) => {
    const { row } = these[0];
    const example = row.corpus === "raw-tests" ? `#${row.index ?? 0} ${row.prog}` : `${row.obj} ${row.prog}`;
    return `   ${String(these.length).padStart(4)}  ${text}\n           ${example}`;
  });
  const rest = sorted.length > limit ? [`   … ${sorted.length - limit} more groups`] : [];
  return [`-- ${kind}: ${outcomes.length}`, ...shown, ...rest].join("\n");
}

// -- logs -------------------------------------------------------------------------------------------------------------

function printLog(row: Row, options: Options): void {
  const level = options.log!;
  const verdict = new Verifier().verify(new Programs().program(row), {
    ...verifyOptions(options),
    logLevel: level,
  });
  const end =
    verdict.verdict === "rejected"
      ? `${verdict.error.code}: ${verdict.error.message} @${verdict.error.insn}`
      : verdict.verdict === "unsupported"
        ? `unsupported: ${verdict.feature} @${verdict.insn}`
        : "accepted";
  if (!options.diff) {
    print(`== ours: ${row.obj} ${row.prog}\n${verdict.log}\n${end}, processed ${verdict.insnsProcessed}`);
    if (options.kernel) print(`== kernel\n${kernelLog(row, level)}`);
    return;
  }
  const comparable = (log: string): string[] =>
    log
      .split("\n")
      .filter((line) => /^(\d+: |from |R\d|[a-z-]+ )/.test(line))
      .map((line) => line.replace(/\(18\) r\d = 0x[0-9a-f]+ */, "(18) ").replace(/0x[0-9a-f]{9,}/g, "ADDR"));
  const ours = comparable(verdict.log);
  const theirs = comparable(kernelLog(row, level)).filter((line) => !line.startsWith("func#"));
  const first = theirs.findIndex((line, i) => line !== ours[i]);
  const from = Math.max(0, first - 6);
  print(first < 0 ? "logs agree" : `logs part at line ${first}`);
  print(
    `-- kernel\n${theirs.slice(from, first + 6).join("\n")}\n-- ours\n${ours.slice(from, first + 6).join("\n")}`,
  );
  print(`${end}; kernel: ${row.msg ?? row.res}`);
}

// -- command line -----------------------------------------------------------------------------------------------------

function parseOptions(args: readonly string[]): Options {
  const corpora: CorpusName[] = [];
  const values: Record<string, string> = {};
  const bare = new Set(["--group", "--kernel", "--diff"]);
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (!arg.startsWith("--")) {
      if (!Object.hasOwn(CORPORA, arg))
        throw new Error(`no corpus '${arg}'; there are: ${Object.keys(CORPORA).join(" ")}`);
      corpora.push(arg as CorpusName);
    } else values[arg] = bare.has(arg) ? "yes" : (args[++i] ?? "");
  }
  const number = (name: string): number | undefined =>
    values[name] === undefined ? undefined : Number(values[name]);
  const list = (name: string): string[] => (values[name] === undefined ? [] : values[name].split(","));
  const rows = list("--rows");
  return {
    live: values["--live"],
    corpora: corpora.length > 0 ? corpora : ["raw-tests", "verifier"],
    rows: rows.includes("all") ? DIFFERENCES : (rows as Difference[]),
    only: list("--only"),
    norm: values["--norm"],
    group: values["--group"] !== undefined,
    limit: number("--limit"),
    every: number("--every") ?? 1,
    workers: number("--workers") ?? 2,
    timeoutMs: (number("--timeout") ?? 20) * 1000,
    insns: number("--insns"),
    json: values["--json"],
    log:
      number("--log") ?? (values["--kernel"] !== undefined || values["--diff"] !== undefined ? 2 : undefined),
    kernel: values["--kernel"] !== undefined,
    diff: values["--diff"] !== undefined,
  };
}

function print(text: string): void {
  if (text !== "") process.stdout.write(`${text}\n`);
}
