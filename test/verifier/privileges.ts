// How far our verdicts under dropped capabilities agree with the running kernel's (root; Linux 6.18).
//
//   SKEP_ORACLE=… node scripts/run-ts.mjs test/verifier/privileges.ts [SOURCE…] [OPTION…]
//
// SOURCE    raw-tests  verifier (the verifier_* objects)  pointers  accesses  branches (the last three are generated);
//           default: all
// On Linux 6.12 (for loaders without any capability; 6.18 differs): what fails on a guessed path alone is "fenced", and
// "message" differs where 6.12 forgets a negated number's bounds.
//
// --caps S  only this set: bpf networking tracing, unprivileged where kernel.unprivileged_bpf_disabled is 0
// --only T  only programs whose name contains T        --rows X  list these (false-accept, …; commas)
// --count N generated programs (default 3000)          --from N  first seed
// --limit N lines of each list (default 30)            --log     our log and the kernel's of the first program
import { readFileSync } from "node:fs";
import { type Btf, parseBtf } from "../../src/btf/index.ts";
import { Verifier, type VerifierProgram } from "../../src/verifier/index.ts";
import { branchingProgram } from "../differential/branching-program.ts";
import { accessProgram } from "./access-programs.ts";
import { CORPORA, type CorpusName, oracleMissing, Programs, prepareCorpus, readRows } from "./corpora.ts";
import { pointerProgram } from "./pointer-programs.ts";
import { askedSets, type Compared, compare, PARTINGS, type Parting } from "./privileges-compare.ts";
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

/** Seeded programs, by source. */
const GENERATED: Readonly<Record<string, (seed: number) => VerifierProgram>> = {
  pointers: pointerProgram,
  accesses: (seed) => {
    kernelBtf ??= parseBtf(readFileSync("/sys/kernel/btf/vmlinux"));
    return accessProgram(seed, kernelBtf);
  },
  branches: (seed) => ({
    name: `branches ${seed}`,
    type: seed % 2 === 0 ? "BPF_PROG_TYPE_SCHED_CLS" : "BPF_PROG_TYPE_CGROUP_SKB",
    attachType: undefined,
    insns: branchingProgram(seed, 15 + (seed % 40)),
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: { testStateFreq: seed % 4 === 1, testRegInvariants: seed % 3 === 0 },
    kernelBtf: undefined,
  }),
};

interface Case {
  readonly name: string;
  readonly program: VerifierProgram;
}

let kernelBtf: Btf | undefined;
const kernel = await RunningKernel.open();
if (typeof kernel === "string") {
  process.stdout.write(`${kernel}\n`);
  process.exit(2);
}
const verifier = new Verifier();
for (const source of sources.length > 0 ? sources : ["raw-tests", "verifier", ...Object.keys(GENERATED)]) {
  for (const [set, capabilities] of Object.entries(askedSets())) {
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
  if (Object.hasOwn(GENERATED, source)) {
    const make = GENERATED[source];
    for (let seed = from; seed < from + count; seed++) yield { name: `seed ${seed}`, program: make(seed) };
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
