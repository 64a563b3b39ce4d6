import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { fromHex } from "../src/base/index.ts";
import { formatTable } from "../src/cli/format/table.ts";
import { decode } from "../src/isa/index.ts";
import { compileProgram } from "../src/jit/index.ts";
import { type CollectionSpec, type ProgramSpec, readObject } from "../src/object/index.ts";
import { openEmbeddedKernel } from "../src/runtime/index.ts";
import { LinuxOracle, type MapId } from "../test/differential/kernel.ts";
import type { Benchmark } from "./index.ts";

const ROUNDS = 9;
const ROUND_MS = 60;
/** What the interpreter may take of a round: it is there for the ratio. */
const INTERPRETER_MS = 30;
/** Runs before measuring: V8's optimising tier takes over after some milliseconds. */
const WARM_MS = 150;
const COMPILES = 7;

/** One program; nanoseconds of processor time for one run, medians of the rounds; null where a peer is absent. */
interface Figure {
  readonly name: string;
  readonly jitNs: number;
  readonly interpreterNs: number;
  readonly kernelNs: number | null;
  /** clang -O2 of the same source; programs without maps only. */
  readonly nativeNs: number | null;
  /** BPF to wasm to V8's module, median of seven in this process. */
  readonly compileMs: number;
  /** The first run after loading: V8's baseline tier. */
  readonly firstRunNs: number;
}

interface Input {
  readonly object: string;
  readonly maps?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
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
    } finally {
      oracle?.close();
      rmSync(folder, { recursive: true });
    }
    const machine = `${cpus()[0]?.model ?? process.arch}, Linux ${release()}, Node ${process.version}`;
    return { figures: { programs, machine }, table: table(programs, machine, opened) };
  },
};

/** A peer: the time of one run, measured anew at each call. */
type Peer = () => Promise<number> | number;

async function measure(
  name: string,
  input: Input,
  oracle: LinuxOracle | undefined,
  folder: string,
): Promise<Figure> {
  const spec = readObject(readFileSync(`fixtures/bench/${input.object}`));
  const data = fromHex(input.runs[0].packet);
  const jitPeer = await embedded("jit", name, spec, input, data, ROUND_MS);
  const interpreter = await embedded("interpreter", name, spec, input, data, INTERPRETER_MS);
  const kernel = oracle === undefined ? undefined : await running(oracle, name, spec, input, data);
  const native = spec.maps.length > 0 ? undefined : nativePeer(name, folder, data);
  const peers: (Peer | undefined)[] = [jitPeer.peer, interpreter.peer, kernel, native];
  const times: number[][] = peers.map(() => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, peer] of peers.entries()) if (peer !== undefined) times[i].push(await peer());
  jitPeer.close();
  interpreter.close();
  return {
    name,
    jitNs: median(times[0]),
    interpreterNs: median(times[1]),
    kernelNs: kernel === undefined ? null : median(times[2]),
    nativeNs: native === undefined ? null : median(times[3]),
    compileMs: compileTime(spec.programs.find((program) => program.name === name)!),
    firstRunNs: jitPeer.firstRunNs,
  };
}

async function embedded(
  engine: "jit" | "interpreter",
  name: string,
  spec: CollectionSpec,
  input: Input,
  data: Uint8Array,
  roundMs: number,
) {
  const kernel = await openEmbeddedKernel({ engine, metered: false, numCpus: cpus().length });
  const collection = await kernel.load(spec, { programs: [name] });
  for (const [map, pairs] of Object.entries(input.maps ?? {}))
    for (const [key, value] of pairs) collection.maps.get(map)!.update(fromHex(key), fromHex(value));
  const program = collection.programs.get(name)!;
  const firstRunNs = program.run({ data }).durationNs;
  const start = performance.now();
  let repeat = 16;
  let perRun = firstRunNs;
  while (performance.now() - start < WARM_MS) {
    perRun = program.run({ data, repeat }).durationNs;
    if (perRun * repeat < 1e7) repeat *= 2;
  }
  const times = Math.max(1, Math.ceil((roundMs * 1e6) / perRun));
  return {
    firstRunNs,
    // Processor time: other work on the machine does not count, as it does not in the kernel's test run.
    peer: () => {
      const before = process.cpuUsage();
      program.run({ data, repeat: times });
      const { user, system } = process.cpuUsage(before);
      return ((user + system) * 1000) / times;
    },
    close() {
      collection[Symbol.dispose]();
      kernel[Symbol.dispose]();
    },
  };
}

/** The program in the running kernel: BPF_PROG_TEST_RUN with `repeat`. */
async function running(
  oracle: LinuxOracle,
  name: string,
  spec: CollectionSpec,
  input: Input,
  data: Uint8Array,
): Promise<Peer> {
  await oracle.reset();
  const ids = new Map<string, MapId>();
  for (const map of spec.maps) {
    const { type, keySize, valueSize, maxEntries, flags } = map;
    const id = await oracle.createMap({ type, keySize, valueSize, maxEntries, flags });
    if (typeof id === "string") throw new Error(`map ${map.name}: ${id}`);
    ids.set(map.name, id);
    if (map.data) await oracle.update(id, new Uint8Array(4), map.data);
    if (map.frozen) await oracle.freeze(id);
  }
  for (const [map, entries] of Object.entries(input.maps ?? {}))
    for (const [key, value] of entries) await oracle.update(ids.get(map)!, fromHex(key), fromHex(value));
  const program = spec.programs.find((candidate) => candidate.name === name)!;
  const insns = program.insns.slice();
  const view = new DataView(insns.buffer);
  for (const reference of program.references) {
    if (reference.kind !== "map" && reference.kind !== "map-value") throw new Error(reference.kind);
    const at = 8 * reference.insn;
    insns[at + 1] = (insns[at + 1] & 0x0f) | (reference.kind === "map" ? 0x10 : 0x20);
    view.setInt32(at + 4, ids.get(reference.map)!, true);
    view.setInt32(at + 12, reference.kind === "map" ? 0 : reference.offset, true);
  }
  const id = await oracle.loadProgram({ type: program.type!, attachType: program.attachType, insns });
  if (typeof id !== "number") throw new Error(`${name}: ${id.errno}\n${id.log}`);
  const { duration } = await oracle.run(id, { data, repeat: 10_000 });
  const repeat = Math.max(1, Math.min(50_000_000, Math.ceil((ROUND_MS * 1e6) / Math.max(1, duration))));
  return async () => (await oracle.run(id, { data, repeat })).duration;
}

/** The same source as native code; undefined without clang. */
function nativePeer(name: string, folder: string, data: Uint8Array): Peer | undefined {
  const binary = join(folder, name);
  const main = `${binary}.main.c`;
  writeFileSync(main, NATIVE_MAIN.replaceAll("PROGRAM", name));
  const built = ["clang", "clang-19", "clang-18"].some((clang) => {
    try {
      const sources = [`fixtures/bench/${name}.bpf.c`, main];
      execFileSync(clang, ["-O2", "-w", "-I", "fixtures/bench", "-o", binary, ...sources], { stdio: "pipe" });
      return true;
    } catch {
      return false;
    }
  });
  if (!built) return undefined;
  const hex = [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return () => Number(execFileSync(binary, [hex, String(ROUND_MS)], { encoding: "utf8" }));
}

/** Doubles the number of runs until they fill the time asked for; prints nanoseconds for one. */
const NATIVE_MAIN = `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
struct xdp_md { unsigned char *data, *data_end; };
int PROGRAM(struct xdp_md *);
static double now(void) { struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
int main(int argc, char **argv)
{
    static unsigned char packet[65536];
    size_t length = strlen(argv[1]) / 2;
    for (size_t i = 0; i < length; i++) { unsigned byte; sscanf(argv[1] + 2 * i, "%2x", &byte); packet[i] = byte; }
    struct xdp_md ctx = { packet, packet + length };
    volatile int sink;
    double wanted = atof(argv[2]) * 1e6;
    for (long runs = 16;; runs *= 2) {
        double start = now();
        for (long i = 0; i < runs; i++) sink = PROGRAM(&ctx);
        double spent = now() - start;
        if (spent >= wanted / 2) { printf("%.3f\\n", spent / runs); return 0; }
    }
}
`;

/** Milliseconds from instructions to a module, each time under another name so that V8 knows none of them. */
function compileTime(program: ProgramSpec): number {
  const times = Array.from({ length: COMPILES }, (_, i) => {
    const start = performance.now();
    const { bytes } = compileProgram({
      name: `${program.name} ${i}`,
      insns: decode(program.insns),
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
    });
    new WebAssembly.Module(bytes);
    return performance.now() - start;
  });
  return median(times);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function table(programs: readonly Figure[], machine: string, oracle: LinuxOracle | string): string {
  const ns = (value: number | null) => (value === null ? "–" : value.toFixed(value < 100 ? 1 : 0));
  const ratio = (a: number, b: number | null) => (b === null ? "–" : (a / b).toFixed(2));
  const right = (title: string) => ({ title, align: "right" as const });
  const rows = programs.map((p) => [
    p.name,
    ns(p.jitNs),
    ns(p.interpreterNs),
    ns(p.kernelNs),
    ns(p.nativeNs),
    ratio(p.jitNs, p.kernelNs),
    ratio(p.jitNs, p.nativeNs),
    p.compileMs.toFixed(2),
    ns(p.firstRunNs),
  ]);
  const text = formatTable(
    { colors: false },
    [
      { title: "program" },
      right("JIT ns"),
      right("interpreter ns"),
      right("kernel ns"),
      right("native ns"),
      right("JIT/kernel"),
      right("JIT/native"),
      right("compile ms"),
      right("first run ns"),
    ],
    rows,
  );
  const note = typeof oracle === "string" ? `\nno running kernel: ${oracle}` : "";
  return `${text}\n${machine}${note}`;
}
