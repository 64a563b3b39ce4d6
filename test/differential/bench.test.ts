// The benchmark programs in the running kernel and in the embedded one, on the inputs that fixtures/bench holds, against
// each other and against the results worked out there.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/index.ts";
import { type CollectionSpec, type Kernel, type ProgramSpec, readObject } from "../../src/object/index.ts";
import { openEmbeddedKernel } from "../../src/runtime/index.ts";
import { fixedHost } from "./host.ts";
import { LinuxOracle, type MapId } from "./kernel.ts";

/** fixtures/bench/inputs.json: bytes in hex, per-CPU values summed word by word. */
interface Bench {
  readonly object: string;
  readonly maps?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
  readonly runs: readonly {
    readonly packet: string;
    readonly retval: number;
    readonly packet_out?: string;
  }[];
  readonly maps_after?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
}
interface BenchResult {
  readonly runs: readonly { readonly retval: number; readonly packet: string }[];
  readonly maps: Readonly<Record<string, readonly string[]>>;
}

const folder = join(import.meta.dirname, "../../fixtures/bench");
const benches = JSON.parse(readFileSync(join(folder, "inputs.json"), "utf8")) as Record<string, Bench>;
const opened = await LinuxOracle.open();
const reason = typeof opened === "string" ? opened : "";

describe("bench programs", () => {
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await openEmbeddedKernel({ host: fixedHost(2) });
  });
  afterAll(() => {
    kernel[Symbol.dispose]();
    if (opened instanceof LinuxOracle) opened.close();
  });

  for (const [name, bench] of Object.entries(benches)) {
    it(`${name}: the embedded kernel gives the expected results`, async () => {
      expect(await onEmbedded(kernel, name, bench)).toEqual(expected(bench));
    });
    it.skipIf(reason !== "")(
      `${name}: the running kernel agrees${reason && ` (skipped: ${reason})`}`,
      async () => {
        expect(await onLinux(opened as LinuxOracle, name, bench)).toEqual(expected(bench));
      },
    );
  }
});

function expected(bench: Bench): BenchResult {
  const maps = Object.entries(bench.maps_after ?? {}).map(([map, entries]) => [
    map,
    entries.map(([key, value]) => `${key}=${value}`).sort(),
  ]);
  const runs = bench.runs.map((run) => ({ retval: run.retval, packet: run.packet_out ?? run.packet }));
  return { runs, maps: Object.fromEntries(maps) };
}

function load(bench: Bench, name: string): { spec: CollectionSpec; program: ProgramSpec } {
  const spec = readObject(readFileSync(join(folder, bench.object)));
  return { spec, program: spec.programs.find((program) => program.name === name)! };
}

async function onEmbedded(kernel: Kernel, name: string, bench: Bench): Promise<BenchResult> {
  const { spec } = load(bench, name);
  using collection = await kernel.load(spec, { programs: [name] });
  const numCpus = kernel.numCpus;
  for (const [map, entries] of Object.entries(bench.maps ?? {}))
    for (const [key, value] of entries) collection.maps.get(map)!.update(fromHex(key), fromHex(value));
  const program = collection.programs.get(name)!;
  const runs = bench.runs.map(({ packet }) => {
    const run = program.run({ data: fromHex(packet) });
    return { retval: run.retval, packet: toHex(run.data!) };
  });
  const maps: Record<string, string[]> = {};
  for (const map of Object.keys(bench.maps_after ?? {})) {
    const live = collection.maps.get(map)!;
    const perCpu = live.type.includes("PERCPU");
    maps[map] = [...live.entries()]
      .map(([key, value]) => `${toHex(key)}=${toHex(perCpu ? summed(value, numCpus) : value)}`)
      .sort();
  }
  return { runs, maps };
}

async function onLinux(oracle: LinuxOracle, name: string, bench: Bench): Promise<BenchResult> {
  await oracle.reset();
  const { spec, program } = load(bench, name);
  const ids = new Map<string, MapId>();
  for (const map of spec.maps) {
    const { type, keySize, valueSize, maxEntries, flags } = map;
    const id = await oracle.createMap({ type, keySize, valueSize, maxEntries, flags });
    if (typeof id === "string") throw new Error(`map ${map.name}: ${id}`);
    ids.set(map.name, id);
    if (map.data) await oracle.update(id, new Uint8Array(4), map.data);
    if (map.frozen) await oracle.freeze(id);
  }
  for (const [map, entries] of Object.entries(bench.maps ?? {}))
    for (const [key, value] of entries) await oracle.update(ids.get(map)!, fromHex(key), fromHex(value));
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
  const runs = [];
  for (const { packet } of bench.runs) {
    const run = await oracle.run(id, { data: fromHex(packet) });
    runs.push({ retval: run.retval, packet: toHex(run.data!) });
  }
  const maps: Record<string, string[]> = {};
  for (const map of Object.keys(bench.maps_after ?? {})) {
    const perCpu = spec.maps.find((candidate) => candidate.name === map)!.type.includes("PERCPU");
    const entries = await oracle.dump(ids.get(map)!);
    maps[map] = entries
      .map(({ key, value }) => `${toHex(key)}=${toHex(perCpu ? summed(value, oracle.numCpus) : value)}`)
      .sort();
  }
  return { runs, maps };
}

/** Per-CPU values, each 64-bit word summed over the CPUs. */
function summed(values: Uint8Array, numCpus: number): Uint8Array {
  const view = new DataView(values.buffer, values.byteOffset, values.length);
  const stride = values.length / numCpus;
  const out = new Uint8Array(stride);
  const outView = new DataView(out.buffer);
  for (let off = 0; off < stride; off += 8) {
    let sum = 0n;
    for (let cpu = 0; cpu < numCpus; cpu++) sum += view.getBigUint64(cpu * stride + off, true);
    outView.setBigUint64(off, BigInt.asUintN(64, sum), true);
  }
  return out;
}
