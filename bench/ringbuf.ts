import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { formatTable } from "../src/cli/format/table.ts";
import { openKernel } from "../src/kernel/index.ts";
import {
  type LinuxCollection,
  type LinuxEventMap,
  type LinuxKernel,
  readObject,
} from "../src/object/index.ts";
import type { Benchmark } from "./index.ts";

const ROUNDS = 7;
const ROUND_MS = 1000;
const LATENCY_MS = 2000;
const RING_BYTES = 1 << 26;
/** Records of the demonstration object, and where the time of writing stands in them. */
const TIME_AT = 8;

interface Reading {
  readonly perSecond: number;
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
}

/** Records from the running kernel to JavaScript, against the same map read by libbpf in C. Needs root. */
export const ringbuf: Benchmark = {
  name: "ringbuf",
  summary: "records per second out of a ring buffer of the running kernel, and their latency, against libbpf",
  async run() {
    using kernel = await openKernel("linux");
    const folder = mkdtempSync(join(tmpdir(), "skep-bench-"));
    const peer = buildPeer(folder);
    const children: ChildProcess[] = [];
    const start = (command: string, args: readonly string[]): ChildProcess => {
      const child = spawn(command, args, { stdio: "ignore" });
      children.push(child);
      return child;
    };
    try {
      // As many system calls as a process can make: two for each byte.
      const busy = start("dd", ["if=/dev/zero", "of=/dev/null", "bs=1", "count=1000000000000"]);
      const [ours, theirs]: [Reading[], Reading[]] = [[], []];
      {
        using load = await record(kernel, busy);
        await readHere(load, ROUND_MS); // V8 compiles
        for (let round = 0; round < ROUNDS; round++) {
          ours.push(await readHere(load, ROUND_MS));
          if (peer !== undefined) theirs.push(await readThere(load, peer, ROUND_MS));
        }
        busy.kill("SIGKILL");
      }
      // One event at a time: a timer, and the few system calls that it takes.
      const calm = start(process.execPath, ["-e", "setInterval(() => {}, 3)"]);
      using load = await record(kernel, calm);
      const single = await readHere(load, LATENCY_MS);
      const peerSingle = peer === undefined ? undefined : await readThere(load, peer, LATENCY_MS);
      const figures = {
        recordsPerSecond: Math.round(median(ours.map(({ perSecond }) => perSecond))),
        libbpfRecordsPerSecond:
          peer === undefined ? null : Math.round(median(theirs.map(({ perSecond }) => perSecond))),
        ratio:
          peer === undefined ? null : median(ours.map(({ perSecond }, i) => perSecond / theirs[i].perSecond)),
        lost: ours.reduce((sum, { lost }) => sum + lost, 0),
        libbpfLost: peer === undefined ? null : theirs.reduce((sum, { lost }) => sum + lost, 0),
        latencyUs: { p50: single.p50, p99: single.p99 },
        libbpfLatencyUs: peerSingle === undefined ? null : { p50: peerSingle.p50, p99: peerSingle.p99 },
      };
      return { figures, table: tableOf(figures) };
    } finally {
      for (const child of children) child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  },
};

interface Recording extends Disposable {
  readonly collection: LinuxCollection;
  readonly map: LinuxEventMap;
}

/** Records the system calls of a process. */
async function record(kernel: LinuxKernel, process: ChildProcess): Promise<Recording> {
  const object = readObject(readFileSync("fixtures/linux/records.bpf.o"));
  const collection = await kernel.load(object, {
    programs: ["to_ring"],
    globals: { target_pid: process.pid ?? 0 },
    maxEntries: { ring: RING_BYTES },
  });
  const link = collection.programs.get("to_ring")?.attach();
  return {
    collection,
    map: collection.maps.get("ring") as LinuxEventMap, // BPF_MAP_TYPE_RINGBUF
    [Symbol.dispose]() {
      link?.close();
      collection[Symbol.dispose]();
    },
  };
}

async function readHere({ collection, map }: Recording, milliseconds: number): Promise<Reading> {
  const dropped = () => Number(collection.globals.get("dropped")?.get());
  map.consume(() => {}); // what came between the rounds
  const before = dropped();
  const ages: number[] = [];
  let count = 0;
  const subscription = map.onRecord((bytes, start) => {
    if ((count++ & 63) !== 0 && count > 32768) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset + start + TIME_AT);
    ages.push(Number(process.hrtime.bigint() - view.getBigUint64(0, true)));
  });
  const start = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  subscription.stop();
  await subscription.done;
  const nanoseconds = Number(process.hrtime.bigint() - start);
  return { ...reading(count, nanoseconds, ages), lost: dropped() - before };
}

async function readThere(
  { collection, map }: Recording,
  peer: string,
  milliseconds: number,
): Promise<Reading> {
  const dropped = () => Number(collection.globals.get("dropped")?.get());
  map.consume(() => {});
  const before = dropped();
  const { stdout } = await promisify(execFile)(peer, [String(map.id), String(milliseconds)]);
  const [count, nanoseconds, p50, p99] = stdout.trim().split(" ").map(Number);
  return {
    perSecond: (count / nanoseconds) * 1e9,
    lost: dropped() - before,
    p50: p50 / 1000,
    p99: p99 / 1000,
  };
}

function reading(count: number, nanoseconds: number, ages: number[]): Omit<Reading, "lost"> {
  ages.sort((a, b) => a - b);
  const at = (share: number) => (ages[Math.floor(ages.length * share)] ?? Number.NaN) / 1000;
  return { perSecond: (count / nanoseconds) * 1e9, p50: at(0.5), p99: at(0.99) };
}

/** The C program, where a compiler and libbpf are. */
function buildPeer(folder: string): string | undefined {
  const source = "bench/ringbuf-libbpf.c";
  const out = join(folder, "peer");
  const flags = ["-O2", source, "-o", out, "-lbpf"];
  if (spawnSync("gcc", flags, { stdio: "ignore" }).status !== 0) return undefined;
  return out;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function tableOf(figures: {
  readonly recordsPerSecond: number;
  readonly libbpfRecordsPerSecond: number | null;
  readonly ratio: number | null;
  readonly lost: number;
  readonly libbpfLost: number | null;
  readonly latencyUs: { readonly p50: number; readonly p99: number };
  readonly libbpfLatencyUs: { readonly p50: number; readonly p99: number } | null;
}): string {
  const row = (
    name: string,
    perSecond: number | null,
    lost: number | null,
    latency: { p50: number; p99: number } | null,
  ) => [
    name,
    perSecond === null ? "–" : perSecond.toLocaleString("en"),
    lost === null ? "–" : String(lost),
    latency === null ? "–" : latency.p50.toFixed(1),
    latency === null ? "–" : latency.p99.toFixed(1),
  ];
  const number = { align: "right" } as const;
  const table = formatTable(
    { colors: false },
    [
      { title: "consumer" },
      { title: "records/s", ...number },
      { title: "lost", ...number },
      { title: "p50 µs", ...number },
      { title: "p99 µs", ...number },
    ],
    [
      row("skep", figures.recordsPerSecond, figures.lost, figures.latencyUs),
      row("libbpf (C)", figures.libbpfRecordsPerSecond, figures.libbpfLost, figures.libbpfLatencyUs),
    ],
  );
  return `${table}\nskep/libbpf: ${figures.ratio === null ? "–" : figures.ratio.toFixed(2)} (64-byte records)`;
}
