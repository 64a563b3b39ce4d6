// Programs that a verifier should never have let through, compiled and metered, each in a kernel of its own: they may do
// what they like there, but they end, with a value or a BpfError, and nothing outside of that kernel's memory changes.
// SKEP_FUZZ_RUNS: how many (default 300); SKEP_FUZZ_SEED: the first seed (default 1). A failure names its seed.
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { BpfError } from "../../src/base/index.ts";
import { type EmbeddedKernel, openEmbeddedKernel } from "../../src/runtime/index.ts";
import { fixedHost } from "../differential/host.ts";
import { randomCase } from "../differential/random-program.ts";
import { runOnEmbedded, specOf } from "../differential/run-case.ts";
import { hostileCase } from "./hostile-case.ts";

const COUNT = Number(process.env.SKEP_FUZZ_RUNS ?? 300);
const SEED = Number(process.env.SKEP_FUZZ_SEED ?? 1);
/** Instructions of one run. */
const BUDGET = 100_000;
/** What a case may take at most, all of its runs and looking at its maps included; far more than any does. */
const CASE_MS = 30_000;
/** Bytes that a kernel's memory may grow to. */
const MEMORY_BYTES = 32 << 20;

it(`${COUNT} hostile programs leave everything around them as it was`, async () => {
  using witness = await openEmbeddedKernel({ host: fixedHost(1), engine: "jit" });
  const reference = randomCase(2);
  using collection = await witness.load(specOf(reference));
  expect(collection.programs.size).toBe(reference.programs.length);
  const before = { witness: stateOf(witness), host: hostState() };
  const problems: string[] = [];
  let stopped = 0;
  let damaged = 0;
  for (let seed = SEED; seed < SEED + COUNT && problems.length < 5; seed++) {
    const start = performance.now();
    using kernel = await openEmbeddedKernel({
      host: fixedHost(1),
      engine: "jit",
      uninitStack: "zero",
      memoryLimit: MEMORY_BYTES,
    });
    try {
      const { runs } = await runOnEmbedded(kernel, hostileCase(seed), BUDGET);
      if (runs.some(({ errno }) => errno !== undefined)) stopped++;
    } catch (error) {
      // What maps hold afterwards may make no sense, and the host says so.
      if (error instanceof BpfError && !error.code.startsWith("isa/")) damaged++;
      else problems.push(`seed ${seed}: ${(error as Error).stack}`);
    }
    const took = performance.now() - start;
    if (took > CASE_MS) problems.push(`seed ${seed} took ${Math.round(took)} ms`);
  }
  expect(problems.join("\n\n")).toBe("");
  // They did do harm, to themselves.
  expect(stopped).toBeGreaterThan(COUNT / 10);
  expect(damaged).toBeGreaterThan(COUNT / 50);
  expect(stateOf(witness)).toBe(before.witness);
  expect(hostState()).toEqual(before.host);
  using fresh = await openEmbeddedKernel({ host: fixedHost(1) });
  expect(await runOnEmbedded(witness, reference)).toEqual(await runOnEmbedded(fresh, reference));
}, 7_200_000);

/** A digest of all of a kernel's linear memory. */
function stateOf(kernel: EmbeddedKernel): string {
  const { interpreter } = kernel as unknown as { interpreter: { module: { memory: { u8: Uint8Array } } } };
  return createHash("sha256").update(interpreter.module.memory.u8).digest("hex");
}

/** What JavaScript shares between everything in a process: names and values. */
function hostState(): unknown {
  const shared = [globalThis, Object, Array, Function, Map, Promise, Uint8Array, DataView, WebAssembly];
  return shared
    .flatMap((value): object[] => [value, (value as { prototype?: object }).prototype ?? {}])
    .map((object) => Object.entries(Object.getOwnPropertyDescriptors(object)).map(describeProperty));
}

function describeProperty([name, { value, get, set }]: [string, PropertyDescriptor]): string {
  const part = (item: unknown) =>
    typeof item === "object" && item !== null ? "object" : `${typeof item} ${String(item)}`;
  return `${name}: ${part(value)}, ${part(get)}, ${part(set)}`;
}
