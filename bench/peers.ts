import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fromHex } from "../src/base/index.ts";
import type { CollectionSpec, EventMap } from "../src/object/index.ts";
import { openEmbeddedKernel } from "../src/runtime/index.ts";
import type { LinuxOracle, MapId, ProgramId } from "../test/differential/kernel.ts";

/** What a map holds first: pairs of key and value, in hex. */
export type Entries = Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;

/** A program to be timed, and what it runs on. */
export interface Subject {
  readonly name: string;
  readonly spec: CollectionSpec;
  readonly maps?: Entries | undefined;
  readonly data: Uint8Array;
  /** At most so many runs in a row, then this ring buffer is emptied. */
  readonly drain?: { readonly ring: string; readonly runs: number };
}

/** Nanoseconds for one run, measured anew at each call. */
export type Peer = () => Promise<number> | number;

/** Runs before measuring: V8's optimising tier takes over after some milliseconds. */
const WARM_MS = 150;

/** The program in the embedded kernel, unmetered, repeated inside wasm. `roundMs`: time for one measurement. */
export async function embeddedPeer(
  engine: "jit" | "interpreter",
  { name, spec, maps = {}, data, drain }: Subject,
  roundMs: number,
) {
  const numCpus = cpus().length;
  const kernel = await openEmbeddedKernel({ engine, metered: false, numCpus });
  const collection = await kernel.load(spec, { programs: [name] });
  for (const [map, pairs] of Object.entries(maps))
    for (const [key, value] of pairs)
      collection.maps.get(map)!.update(fromHex(key), fromHex(forCpus(spec, map, value, numCpus)));
  const program = collection.programs.get(name)!;
  const empty = () => {
    if (drain !== undefined) (collection.maps.get(drain.ring)! as unknown as EventMap).drain(); // a ring buffer is one
  };
  const most = drain?.runs ?? Number.POSITIVE_INFINITY;
  const firstRunNs = program.run({ data }).durationNs;
  const start = performance.now();
  let repeat = Math.min(16, most);
  let perRun = firstRunNs;
  while (performance.now() - start < WARM_MS) {
    empty();
    perRun = program.run({ data, repeat }).durationNs;
    if (perRun * repeat < 1e7) repeat = Math.min(most, repeat * 2);
  }
  const times = Math.min(most, Math.max(1, Math.ceil((roundMs * 1e6) / perRun)));
  return {
    firstRunNs,
    // Processor time: other work on the machine does not count, as it does not in the kernel's test run.
    peer: () => {
      empty();
      if (times === most) return program.run({ data, repeat: times }).durationNs;
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

/** A value of a map, for all CPUs where it has one for each. */
function forCpus(spec: CollectionSpec, map: string, value: string, numCpus: number): string {
  return spec.maps.find((row) => row.name === map)!.type.includes("PERCPU") ? value.repeat(numCpus) : value;
}

/** Puts a collection's maps and one of its programs into the running kernel. */
export async function intoKernel(
  oracle: LinuxOracle,
  { name, spec, maps = {} }: Subject,
): Promise<{ readonly program: ProgramId; readonly maps: ReadonlyMap<string, MapId> }> {
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
  for (const [map, entries] of Object.entries(maps)) {
    const perCpu = spec.maps.find((row) => row.name === map)!.type.includes("PERCPU");
    for (const [key, value] of entries)
      await oracle.update(
        ids.get(map)!,
        fromHex(key),
        fromHex(perCpu ? value.repeat(oracle.numCpus) : value),
      );
  }
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
  return { program: id, maps: ids };
}

/** The program in the running kernel: BPF_PROG_TEST_RUN with `repeat`. */
export async function kernelPeer(oracle: LinuxOracle, subject: Subject, roundMs: number): Promise<Peer> {
  const { program, maps } = await intoKernel(oracle, subject);
  const { data, drain } = subject;
  const first = Math.min(10_000, drain?.runs ?? 10_000);
  const { duration } = await oracle.run(program, { data, repeat: first });
  const wanted = Math.max(1, Math.min(50_000_000, Math.ceil((roundMs * 1e6) / Math.max(1, duration))));
  const repeat = Math.min(wanted, drain?.runs ?? wanted);
  return async () => {
    if (drain !== undefined) await oracle.drain(maps.get(drain.ring)!);
    return (await oracle.run(program, { data, repeat })).duration;
  };
}

/** The same source as native code (clang -O2); undefined without clang. */
export function nativePeer(
  name: string,
  folder: string,
  data: Uint8Array,
  roundMs: number,
): Peer | undefined {
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
  return built ? () => outsidePeer(binary, [], data, roundMs) : undefined;
}

/** Asks a program that is given a packet in hex and milliseconds behind `args` and prints nanoseconds for one run. */
export function outsidePeer(
  binary: string,
  args: readonly string[],
  data: Uint8Array,
  roundMs: number,
): number {
  const hex = [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return Number(execFileSync(binary, [...args, hex, String(roundMs)], { encoding: "utf8" }));
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

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Median of each peer's figures over `rounds`, measured by turns; null for a peer that is absent. */
export async function interleaved(
  rounds: number,
  peers: readonly (Peer | undefined)[],
): Promise<readonly (number | null)[]> {
  const times: number[][] = peers.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, peer] of peers.entries()) if (peer !== undefined) times[i].push(await peer());
  return times.map((row) => (row.length === 0 ? null : median(row)));
}
