// Verified programs do the same in the interpreter and compiled, metered and not: all of r0, packet, context, maps,
// records. SKEP_FUZZ_RUNS: how many (default 2000); SKEP_FUZZ_SEED: the first seed (default 1). A failure names its seed.
import { afterAll, beforeAll, expect, it } from "vitest";
import { decode, disassemble } from "../../src/isa/index.ts";
import type { CollectionSpec } from "../../src/object/index.ts";
import {
  type EmbeddedKernel,
  openEmbeddedKernel,
  type ProgramFacts,
  type ProgramGate,
} from "../../src/runtime/index.ts";
import type { Interpreter } from "../../src/runtime/interpreter.ts";
import { Verifier, verifierProgram } from "../../src/verifier/index.ts";
import { fixedHost } from "../differential/host.ts";
import type { RandomCase } from "../differential/random-program.ts";
import { runOnEmbedded, specOf } from "../differential/run-case.ts";
import { withFunctionTypes } from "../verifier/soundness.ts";
import { engineCase } from "./engine-cases.ts";

const COUNT = Number(process.env.SKEP_FUZZ_RUNS ?? 2_000);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);
/** Instructions the verifier may walk: programs with more are left out, for the time they take. */
const WALK_LIMIT = 20_000;
const verifier = new Verifier();
/** What the verifier finds out of each program; undefined: it does not accept one. */
function factsOf(spec: CollectionSpec): Map<string, ProgramFacts> | undefined {
  const typed = withFunctionTypes(spec);
  const facts = new Map<string, ProgramFacts>();
  for (const program of typed.programs) {
    const verdict = verifier.verify(verifierProgram(typed, program), { insnLimit: WALK_LIMIT });
    if (verdict.verdict !== "accepted") return undefined;
    facts.set(program.name, verdict);
  }
  return facts;
}
const gate: ProgramGate = (spec, { name }) => factsOf(spec)?.get(name);

const ENGINES = [
  { name: "interpreter", options: {} },
  { name: "compiled, metered", options: { engine: "jit" } },
  { name: "compiled", options: { engine: "jit", metered: false } },
  { name: "compiled with the verifier's facts", options: { engine: "jit", metered: false, gate } },
] as const;
/** Kernels are opened anew after so many programs, so that V8 can let go of what was compiled. */
const FRESH = 1_000;

let kernels: EmbeddedKernel[] = [];
/** What the runs of a case left in r0, all 64 bits (a verdict has 32), by engine. */
let returned: string[][] = [];
async function open(): Promise<void> {
  close();
  kernels = await Promise.all(
    ENGINES.map(({ options }) => openEmbeddedKernel({ host: fixedHost(2), uninitStack: "zero", ...options })),
  );
  returned = kernels.map(watchReturns);
}
function close(): void {
  for (const kernel of kernels) kernel[Symbol.dispose]();
}
beforeAll(open);
afterAll(close);

it(`${COUNT} verified programs do the same in every engine`, async () => {
  const problems: string[] = [];
  let run = 0;
  let results64 = 0;
  for (let seed = SEED; run < COUNT && problems.length < 5; seed++) {
    const test = engineCase(seed);
    if (factsOf(specOf(test)) === undefined) continue;
    run++;
    if (run % FRESH === 0) await open();
    const results = [];
    for (const [i, kernel] of kernels.entries()) {
      returned[i].length = 0;
      const result = await runOnEmbedded(kernel, test);
      results.push(JSON.stringify({ ...result, r0: returned[i] }));
    }
    results64 += returned[0].length;
    for (const [i, { name }] of ENGINES.entries())
      if (results[i] !== results[0])
        problems.push(`seed ${seed}, ${name}: ${results[i]}\nnot ${results[0]}\n${listing(test)}`);
  }
  expect(problems.join("\n\n")).toBe("");
  expect(results64).toBeGreaterThan(COUNT);
}, 3_600_000);

/** Writes down r0 of every run of a kernel. */
function watchReturns(kernel: EmbeddedKernel): string[] {
  const { interpreter } = kernel as unknown as { interpreter: Pick<Interpreter, "run"> };
  const values: string[] = [];
  const run = interpreter.run.bind(interpreter);
  interpreter.run = (request) => {
    const output = run(request);
    values.push(output.r0.toString(16));
    return output;
  };
  return values;
}

function listing({ programs }: RandomCase): string {
  const text = (insns: Uint8Array) => disassemble(decode(insns)).map((line) => `${line.slot}: ${line.text}`);
  return programs.map(({ insns }) => text(insns).join("\n")).join("\n--\n");
}
