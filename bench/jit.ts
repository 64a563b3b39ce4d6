import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { buildStandalone } from "../src/aot/index.ts";
import { fromHex } from "../src/base/index.ts";
import { formatTable } from "../src/cli/format/table.ts";
import { verifierGate } from "../src/kernel/index.ts";
import { type CollectionSpec, readObject } from "../src/object/index.ts";
import { LinuxOracle } from "../test/differential/kernel.ts";
import { type CompileTime, compileTimes, programCompileTime } from "./compile-time.ts";
import type { Benchmark } from "./index.ts";
import { type MapMemory, type MapOperation, mapMemory, mapOperations } from "./map-operations.ts";
import {
  type Entries,
  embeddedPeer,
  interleaved,
  kernelPeer,
  nativePeer,
  outsidePeer,
  type Peer,
} from "./peers.ts";

const ROUNDS = 9;
const ROUND_MS = 60;
/** What the interpreter may take of a round: it is there for the ratio. */
const INTERPRETER_MS = 30;
/** Programs that reckon, which the promised geometric mean is over. */
const RECKONING = ["sieve", "checksum", "match", "siphash"];

/** One program; nanoseconds of processor time for one run, medians of the rounds; null where a peer is absent. */
interface Figure {
  readonly name: string;
  readonly jitNs: number;
  readonly interpreterNs: number;
  readonly kernelNs: number | null;
  /** clang -O2 of the same source; programs without maps only. */
  readonly nativeNs: number | null;
  /** What the program named by SKEP_UBPF says; programs without maps only. */
  readonly ubpfNs: number | null;
  /** BPF to wasm to V8's module, median of seven in this process. */
  readonly compileMs: number;
  /** The first run after loading: V8's baseline tier. */
  readonly firstRunNs: number;
  /** The program as a standalone module (`skep build`). */
  readonly standaloneBytes: number;
}

interface Figures {
  readonly programs: readonly Figure[];
  readonly machine: string;
  /** Geometric mean of JIT/kernel over the programs that reckon. */
  readonly geometricMean: number | null;
  readonly compile: readonly CompileTime[];
  readonly mapOperations: readonly MapOperation[];
  readonly mapMemory: readonly MapMemory[];
}

interface Input {
  readonly object: string;
  readonly maps?: Entries;
  readonly runs: readonly { readonly packet: string }[];
}

/** Compiled programs against the interpreter, the running kernel and native code, interleaved. */
export const jit: Benchmark = {
  name: "jit",
  summary: "compiled programs against interpreter, running kernel (root) and native code (clang)",
  async run() {
    const inputs = JSON.parse(readFileSync("fixtures/bench/inputs.json", "utf8")) as Record<string, Input>;
    const opened = await LinuxOracle.open();
    const oracle = typeof opened === "string" ? undefined : opened;
    const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
    const programs: Figure[] = [];
    try {
      for (const [name, input] of Object.entries(inputs))
        programs.push(await measure(name, input, oracle, folder));
      const figures: Figures = {
        programs,
        machine: `${cpus()[0]?.model ?? process.arch}, Linux ${release()}, Node ${process.version}`,
        geometricMean: geometricMean(programs),
        compile: await compileTimes(),
        mapOperations: await mapOperations(oracle),
        mapMemory: await mapMemory(oracle),
      };
      const note = typeof opened === "string" ? `\nno running kernel: ${opened}` : "";
      return { figures, table: tables(figures) + note };
    } finally {
      oracle?.close();
      rmSync(folder, { recursive: true });
    }
  },
};

async function measure(
  name: string,
  input: Input,
  oracle: LinuxOracle | undefined,
  folder: string,
): Promise<Figure> {
  const path = `fixtures/bench/${input.object}`;
  const spec = readObject(readFileSync(path));
  const data = fromHex(input.runs[0].packet);
  const subject = { name, spec, data, maps: input.maps };
  const jitPeer = await embeddedPeer("jit", subject, ROUND_MS);
  const interpreter = await embeddedPeer("interpreter", subject, INTERPRETER_MS);
  const kernel = oracle && (await kernelPeer(oracle, subject, ROUND_MS));
  const bare = spec.maps.length === 0;
  const native = bare ? nativePeer(name, folder, data, ROUND_MS) : undefined;
  const ubpf = bare ? ubpfPeer(path, data) : undefined;
  const [jitNs, interpreterNs, kernelNs, nativeNs, ubpfNs] = await interleaved(ROUNDS, [
    jitPeer.peer,
    interpreter.peer,
    kernel,
    native,
    ubpf,
  ]);
  jitPeer.close();
  interpreter.close();
  return {
    name,
    jitNs: jitNs!, // these two are never absent
    interpreterNs: interpreterNs!,
    kernelNs,
    nativeNs,
    ubpfNs,
    compileMs: programCompileTime(spec.programs.find((program) => program.name === name)!.insns),
    firstRunNs: jitPeer.firstRunNs,
    standaloneBytes: await standaloneBytes(spec, name),
  };
}

/** uBPF, through a program of the user's: SKEP_UBPF is called with object file, packet in hex and milliseconds. */
function ubpfPeer(path: string, data: Uint8Array): Peer | undefined {
  const binary = process.env.SKEP_UBPF;
  if (binary === undefined || !existsSync(binary)) return undefined;
  return () => outsidePeer(binary, [path], data, ROUND_MS);
}

async function standaloneBytes(spec: CollectionSpec, name: string): Promise<number> {
  const { wasm } = await buildStandalone(spec, { name, gate: verifierGate(), load: { programs: [name] } });
  return wasm.length;
}

function geometricMean(programs: readonly Figure[]): number | null {
  const logs = programs.flatMap(({ name, jitNs, kernelNs }) =>
    RECKONING.includes(name) && kernelNs !== null ? [Math.log(jitNs / kernelNs)] : [],
  );
  return logs.length === 0 ? null : Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
}

function tables({ programs, compile, mapOperations, mapMemory, geometricMean, machine }: Figures): string {
  const ns = (value: number | null) => (value === null ? "–" : value.toFixed(value < 100 ? 1 : 0));
  const ratio = (a: number, b: number | null) => (b === null ? "–" : (a / b).toFixed(2));
  const table = (titles: readonly string[], rows: readonly (readonly string[])[]) =>
    formatTable(
      { colors: false },
      titles.map((title, i) => ({ title, ...(i > 0 && { align: "right" as const }) })),
      rows,
    );
  const ms = (value: number) => value.toFixed(2);
  return [
    table(
      [
        "program",
        "JIT ns",
        "interpreter ns",
        "kernel ns",
        "native ns",
        "uBPF ns",
        "JIT/kernel",
        "JIT/native",
        "compile ms",
        "first run ns",
        "standalone KiB",
      ],
      programs.map((p) => [
        p.name,
        ns(p.jitNs),
        ns(p.interpreterNs),
        ns(p.kernelNs),
        ns(p.nativeNs),
        ns(p.ubpfNs),
        ratio(p.jitNs, p.kernelNs),
        ratio(p.jitNs, p.nativeNs),
        ms(p.compileMs),
        ns(p.firstRunNs),
        (p.standaloneBytes / 1024).toFixed(1),
      ]),
    ),
    ...(geometricMean === null
      ? []
      : [`JIT/kernel, geometric mean of ${RECKONING.join(", ")}: ${geometricMean.toFixed(2)}`]),
    "",
    table(
      [
        "from instructions to a runnable program",
        "verify ms",
        "JIT ms",
        "module ms",
        "instance ms",
        "all ms",
      ],
      compile.map((c) => [
        c.name,
        ms(c.verifyMs),
        ms(c.jitMs),
        ms(c.moduleMs),
        ms(c.instantiateMs),
        ms(c.allMs),
      ]),
    ),
    "",
    table(
      ["map operation, called from a program", "JIT ns", "kernel ns", "JIT/kernel"],
      mapOperations.map((m) => [m.name, ns(m.jitNs), ns(m.kernelNs), ratio(m.jitNs, m.kernelNs)]),
    ),
    "",
    table(
      ["bytes for each entry of 10,000", "JIT", "kernel", "JIT/kernel"],
      mapMemory.map((m) => [m.name, ns(m.bytes), ns(m.kernelBytes), ratio(m.bytes, m.kernelBytes)]),
    ),
    machine,
  ].join("\n");
}
