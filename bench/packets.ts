import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { pcapWriter } from "../src/capture/index.ts";
import { formatTable } from "../src/cli/format/table.ts";
import { nodeWorkers } from "../src/cli/node-workers.ts";
import { type PacketBatch, packPackets, readObject } from "../src/object/index.ts";
import { openEmbeddedKernel } from "../src/runtime/index.ts";
import type { Benchmark } from "./index.ts";

const PACKETS = 1_000_000;
const BATCH = 10_000;
const OBJECT = "fixtures/bench/xdp_parse_count.bpf.o";
const PROGRAM = "xdp_parse_count";
const ROUNDS = 7;

/** Packets per second, medians of the rounds. */
interface Figure {
  readonly what: string;
  readonly workers: number;
  readonly packetsPerSecond: number;
  /** Of processor time, all threads together: what other work on the machine changes little. null: not measured. */
  readonly packetsPerCpuSecond: number | null;
}

/** A capture through xdp_parse_count: from memory, and `skep run` with the file, start of the process included. */
export const packets: Benchmark = {
  name: "packets",
  summary:
    "a capture of a million packets through xdp_parse_count, from memory and by skep run, 1 and 2 workers",
  async run() {
    const folder = mkdtempSync(join(tmpdir(), "skep-packets-"));
    try {
      copyFileSync("package.json", join(folder, "package.json")); // where the command reads its version
      const [worker, command] = await Promise.all([
        bundle("src/cli/worker.ts", join(folder, "dist/cli/worker.js")),
        bundle("src/cli/bin.ts", join(folder, "dist/cli/bin.js")),
      ]);
      const batches = traffic();
      const capture = join(folder, "million.pcap");
      writeFileSync(capture, asPcap(batches));
      const figures: Figure[] = [];
      for (const workers of [0, 1, 2]) figures.push(await fromMemory(batches, workers, worker));
      for (const workers of [0, 1, 2]) figures.push(bySkepRun(command, capture, workers));
      const machine = `${cpus().length} × ${cpus()[0]?.model ?? process.arch}, Linux ${release()}, Node ${process.version}`;
      return { figures: { packets: PACKETS, figures, machine }, table: table(figures, machine) };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** One file that Node can run; packages stay outside of it, found from the repository's root. */
async function bundle(entry: string, outfile: string): Promise<string> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["#linux"],
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(${JSON.stringify(pathToFileURL(`${process.cwd()}/`).href)});`,
    },
    logLevel: "warning",
  });
  return outfile;
}

/** TCP and UDP over IPv4 and IPv6, 60 to 120 bytes, a thousand flows. */
function traffic(): PacketBatch[] {
  const frames = Array.from({ length: BATCH }, (_, n) => {
    const frame = new Uint8Array(60 + ((n * 7) % 61));
    const v6 = n % 5 === 0;
    frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ...(v6 ? [0x86, 0xdd] : [0x08, 0x00])]);
    frame[14] = v6 ? 0x60 : 0x45;
    frame[v6 ? 20 : 23] = n % 3 === 0 ? 17 : 6;
    new DataView(frame.buffer).setUint32(26, n % 1000);
    return frame;
  });
  const batch = packPackets(frames);
  return Array.from({ length: PACKETS / BATCH }, () => batch);
}

function asPcap(batches: readonly PacketBatch[]): Uint8Array {
  const writer = pcapWriter();
  const [{ bytes, spans }] = batches;
  const parts = Array.from({ length: BATCH }, (_, n) => {
    const data = bytes.subarray(spans[2 * n], spans[2 * n] + spans[2 * n + 1]);
    return writer.packet({ data, timestampNs: BigInt(n) * 1000n, originalLength: data.length });
  });
  return Buffer.concat([writer.header(), ...batches.flatMap(() => parts)]);
}

/** `workers` 0: this thread. */
async function fromMemory(batches: readonly PacketBatch[], workers: number, script: string): Promise<Figure> {
  const kernel = await openEmbeddedKernel({
    engine: "jit",
    metered: false,
    ...(workers > 0 && { workers: nodeWorkers(workers, pathToFileURL(script)) }),
  });
  try {
    const collection = await kernel.load(readObject(readFileSync(OBJECT)), { programs: [PROGRAM] });
    const program = collection.programs.get(PROGRAM)!;
    const round = async () => {
      let count = 0;
      for await (const { result } of program.runBatches(batches)) count += result.count;
      if (count !== PACKETS) throw new Error(`${count} packets of ${PACKETS} were run`);
    };
    await round(); // V8's optimising tier takes over
    return await measured("from memory", workers, round);
  } finally {
    kernel[Symbol.dispose]();
  }
}

function bySkepRun(command: string, capture: string, workers: number): Figure {
  const argv = [command, "run", OBJECT, "--prog", PROGRAM, "--pcap", capture, "--engine", "jit", "--json"];
  const wall: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    const start = performance.now();
    const out = execFileSync(
      process.execPath,
      workers === 0 ? argv : [...argv, "--workers", String(workers)],
    );
    wall.push(performance.now() - start);
    const { packets: run } = JSON.parse(out.toString()) as { packets: number };
    if (run !== PACKETS) throw new Error(`${run} packets of ${PACKETS} were run`);
  }
  const seconds = median(wall) / 1000;
  return {
    what: "skep run, from start to end",
    workers,
    packetsPerSecond: PACKETS / seconds,
    packetsPerCpuSecond: null,
  };
}

async function measured(what: string, workers: number, round: () => Promise<void>): Promise<Figure> {
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    const before = process.cpuUsage();
    const start = performance.now();
    await round();
    wall.push((performance.now() - start) / 1000);
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1e6);
  }
  return {
    what,
    workers,
    packetsPerSecond: PACKETS / median(wall),
    packetsPerCpuSecond: PACKETS / median(cpu),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function table(figures: readonly Figure[], machine: string): string {
  const million = (value: number | null) => (value === null ? "" : (value / 1e6).toFixed(2));
  const rows = figures.map(({ what, workers, packetsPerSecond, packetsPerCpuSecond }) => [
    what,
    workers === 0 ? "none" : String(workers),
    million(packetsPerSecond),
    million(packetsPerCpuSecond),
  ]);
  const columns = [
    { title: "million packets per second" },
    { title: "workers", align: "right" as const },
    { title: "wall clock", align: "right" as const },
    { title: "processor time", align: "right" as const },
  ];
  return `${formatTable({ colors: false }, columns, rows)}\n${machine}`;
}
