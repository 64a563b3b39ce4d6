import { execFileSync } from "node:child_process";
import { assemble, decode } from "../src/isa/index.ts";
import { compileProgram, RUN_GLOBALS } from "../src/jit/index.ts";
import { Verifier, type VerifierProgram } from "../src/verifier/index.ts";
import { median } from "./peers.ts";

const COMPILES = 7;
const SIZES = [400, 10_000];
const WARM_RUNS = 40;
const COLD_RUNS = 5;

/** Milliseconds from instructions to a program that can be run, step by step. */
export interface CompileTime {
  readonly name: string;
  readonly verifyMs: number;
  readonly jitMs: number;
  readonly moduleMs: number;
  readonly instantiateMs: number;
  readonly allMs: number;
}

/**
 * Programs of both sizes: warm, and cold, as the first thing that a new process does. The fastest counts: whatever else the
 * machine does only ever adds to a time that is measured once.
 */
export async function compileTimes(): Promise<readonly CompileTime[]> {
  const rows: CompileTime[] = [];
  for (const size of SIZES) {
    const warm = Array.from({ length: WARM_RUNS }, (_, seed) => compileSteps(size, seed));
    const cold = Array.from({ length: COLD_RUNS }, () =>
      execFileSync(process.execPath, ["scripts/run-ts.mjs", "bench/cold.ts", String(size)], {
        encoding: "utf8",
      }),
    ).map((text) => JSON.parse(text) as CompileTime);
    rows.push({ ...fastest(warm), name: `${size} instructions, warm` });
    rows.push({ ...fastest(cold), name: `${size} instructions, cold` });
  }
  return rows;
}

function fastest(steps: readonly CompileTime[]): CompileTime {
  return steps.reduce((best, step) => (step.allMs < best.allMs ? step : best));
}

/** One program that V8 has not seen, step by step. */
export function compileSteps(size: number, seed: number): CompileTime {
  const insns = program(size, seed);
  const start = performance.now();
  const verdict = new Verifier().verify(verifierInput(insns));
  if (verdict.verdict !== "accepted") throw new Error(`the program is ${verdict.verdict}`);
  const verified = performance.now();
  const bytes = compiled(insns, `program ${seed}`);
  const written = performance.now();
  const module = new WebAssembly.Module(bytes);
  const made = performance.now();
  new WebAssembly.Instance(module, surroundings(module));
  const done = performance.now();
  return {
    name: `${size} instructions`,
    verifyMs: verified - start,
    jitMs: written - verified,
    moduleMs: made - written,
    instantiateMs: done - made,
    allMs: done - start,
  };
}

/** Milliseconds from instructions to a module, each time under another name so that V8 knows none of them. */
export function programCompileTime(insns: Uint8Array): number {
  const times = Array.from({ length: COMPILES }, (_, i) => {
    const start = performance.now();
    new WebAssembly.Module(compiled(insns, `again ${i}`));
    return performance.now() - start;
  });
  return median(times);
}

function compiled(insns: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  return compileProgram({
    name,
    insns: decode(insns),
    names: new Map(),
    entries: [],
    stops: new Set(),
    metered: false,
    zeroStack: false,
    map: () => undefined,
    helperArgs: () => 5,
    mapField: () => undefined,
    contextKeeps: () => undefined,
    layout: { mapType: 0, mapMaxEntries: 12, mapValues: 32, codeEntry: 32 },
  }).bytes;
}

/** Something for every import: nothing is run. */
function surroundings(module: WebAssembly.Module): WebAssembly.Imports {
  const run: WebAssembly.ModuleImports = {
    memory: new WebAssembly.Memory({ initial: 1, maximum: 65536 }),
    table: new WebAssembly.Table({ element: "anyfunc", initial: 1 }),
  };
  for (const [name, value] of Object.entries(RUN_GLOBALS))
    run[name] = new WebAssembly.Global({ value, mutable: true }, value === "i64" ? 0n : 0);
  const imports: Record<string, WebAssembly.ModuleImports> = { run };
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === "function") imports[from][name] = () => 0;
  }
  return imports;
}

function verifierInput(insns: Uint8Array): VerifierProgram {
  return {
    name: "bench",
    type: "BPF_PROG_TYPE_XDP",
    attachType: undefined,
    insns,
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf: undefined,
  };
}

/** A packet parser's mix: loads behind a bounds check, arithmetic, spills, branches. */
function program(size: number, seed: number): Uint8Array {
  const lines = [
    "r7 = *(u32 *)(r1 + 0)",
    "r8 = *(u32 *)(r1 + 4)",
    "r2 = r7",
    "r2 += 64",
    `r6 = ${seed}`,
    "if r2 > r8 goto out",
  ];
  for (let n = 0; lines.filter((line) => !line.endsWith(":")).length < size - 12; n++)
    lines.push(
      `r3 = *(u8 *)(r7 + ${n % 60})`,
      "r3 <<= 3",
      `r3 ^= ${(n * 2654435761) % 1000}`,
      "*(u64 *)(r10 - 8) = r3",
      "r6 += r3",
      `if r3 < ${n % 255} goto next${n}`,
      "r4 = *(u64 *)(r10 - 8)",
      "r6 *= 31",
      "r6 += r4",
      `next${n}:`,
    );
  const result = assemble([...lines, "out:", "r0 = r6", "r0 &= 3", "exit"].join("\n"));
  if (!result.ok) throw new Error(JSON.stringify(result));
  return result.bytes;
}
