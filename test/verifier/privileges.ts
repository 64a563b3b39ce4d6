// How far our verdicts under dropped capabilities agree with the running kernel's (root; Linux 6.18).
//
//   SKEP_ORACLE=… node scripts/run-ts.mjs test/verifier/privileges.ts [SOURCE…] [OPTION…]
//
// SOURCE    raw-tests  verifier (the verifier_* objects)  generated; default: all
// --caps S  only this set: bpf networking tracing
// --only T  only programs whose name contains T        --rows X  list these (false-accept, …; commas)
// --count N generated programs (default 3000)          --from N  first seed
// --limit N lines of each list (default 30)            --log     our log and the kernel's of the first program
import { Verifier, type VerifierProgram } from "../../src/verifier/index.ts";
import { CORPORA, type CorpusName, oracleMissing, Programs, prepareCorpus, readRows } from "./corpora.ts";
import { pointerProgram } from "./pointer-programs.ts";
import { ASKED_SETS, type Compared, compare, PARTINGS, type Parting } from "./privileges-compare.ts";
import { RunningKernel } from "./running-kernel.ts";

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args.splice(at, 2)[1];
};
const caps = option("caps");
const only = option("only");
const listed = option("rows")?.split(",") ?? [
  "false-accept",
  "false-reject",
  "unsupported",
  "message",
  "pc",
  "processed",
];
const count = Number(option("count") ?? 3000);
const from = Number(option("from") ?? 1);
const limit = Number(option("limit") ?? 30);
const showLog = args.includes("--log");
const sources = args.filter((arg) => !arg.startsWith("--"));

interface Case {
  readonly name: string;
  readonly program: VerifierProgram;
}

const kernel = await RunningKernel.open();
if (typeof kernel === "string") {
  process.stdout.write(`${kernel}\n`);
  process.exit(2);
}
const verifier = new Verifier();
for (const source of sources.length > 0 ? sources : ["raw-tests", "verifier", "generated"]) {
  for (const [set, capabilities] of Object.entries(ASKED_SETS)) {
    if (caps !== undefined && caps !== set) continue;
    const lists = new Map<Parting, string[]>(PARTINGS.map((parting) => [parting, []]));
    let accepted = 0;
    for (const { name, program } of casesOf(source)) {
      if (only !== undefined && !name.includes(only)) continue;
      if (showLog) {
        const theirs = await kernel.judge(program, 2, capabilities);
        const ours = verifier.verify(program, { capabilities, logLevel: 2 });
        process.stdout.write(
          `${name}\n--- ours\n${ours.log}\n--- Linux\n${typeof theirs === "string" ? theirs : theirs.log}\n`,
        );
        process.exit(0);
      }
      let compared: Compared;
      try {
        compared = await compare(verifier, kernel, program, capabilities);
      } catch (error) {
        compared = { parting: "false-reject", accepted: false, text: `crash: ${(error as Error).stack}` };
      }
      if (compared.accepted) accepted++;
      lists.get(compared.parting)?.push(`${name}: ${compared.text}`);
    }
    const counts = [...lists]
      .filter(([, names]) => names.length > 0)
      .map(([parting, names]) => `${parting} ${names.length}`);
    process.stdout.write(`${source}, ${set}: Linux accepts ${accepted}; ${counts.join(", ")}\n`);
    for (const [parting, names] of lists) {
      if (!listed.includes(parting)) continue;
      for (const line of names.slice(0, limit)) process.stdout.write(`  ${parting}: ${line}\n`);
    }
  }
}
kernel.close();

function* casesOf(source: string): Generator<Case> {
  if (source === "generated") {
    for (let seed = from; seed < from + count; seed++)
      yield { name: `seed ${seed}`, program: pointerProgram(seed) };
    return;
  }
  const missing = oracleMissing();
  if (missing !== undefined || !Object.hasOwn(CORPORA, source)) {
    process.stdout.write(`${source}: ${missing ?? "no such corpus"}\n`);
    return;
  }
  prepareCorpus(source as CorpusName);
  const programs = new Programs();
  for (const row of readRows(source as CorpusName).judged) {
    let program: VerifierProgram;
    try {
      program = programs.program(row);
    } catch {
      continue; // what our reader refuses is counted by report.ts
    }
    yield { name: `${row.obj} ${row.prog}`, program };
  }
}
