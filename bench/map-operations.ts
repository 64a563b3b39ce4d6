import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { toHex } from "../src/base/index.ts";
import { type CollectionSpec, type MapSpec, readObject } from "../src/object/index.ts";
import { openEmbeddedKernel } from "../src/runtime/index.ts";
import type { LinuxOracle } from "../test/differential/kernel.ts";
import { embeddedPeer, interleaved, kernelPeer } from "./peers.ts";

const OBJECT = "fixtures/bench/map_operations.bpf.o";
const ROUNDS = 7;
const ROUND_MS = 20;
/** Of each program. */
const OPERATIONS = 1000;
/** The program that has the loop only: what it takes is taken off the others. */
const NOTHING = "nothing";
const ENTRIES = 1024;
const ROUTES = 3990;
/** A thousand records of 72 bytes a run, in a ring of 1 MiB. */
const RING = { ring: "ring", runs: 12 };

/** One operation, its share of the loop taken off. */
export interface MapOperation {
  readonly name: string;
  readonly jitNs: number;
  readonly kernelNs: number | null;
}

/** A map operation's cost in compiled programs and in the running kernel, from the same program. */
export async function mapOperations(oracle: LinuxOracle | undefined): Promise<readonly MapOperation[]> {
  const spec = readObject(readFileSync(OBJECT));
  const rows: MapOperation[] = [];
  for (const { name } of spec.programs) {
    const subject = {
      name,
      spec,
      maps: contents(spec),
      data: new Uint8Array(64),
      ...(name.startsWith("ringbuf") && { drain: RING }),
    };
    const ours = await embeddedPeer("jit", subject, ROUND_MS);
    const kernel = oracle && (await kernelPeer(oracle, subject, ROUND_MS));
    const [jitNs, kernelNs] = await interleaved(ROUNDS, [ours.peer, kernel]);
    ours.close();
    rows.push({
      name,
      jitNs: jitNs! / OPERATIONS,
      kernelNs: kernelNs === null ? null : kernelNs / OPERATIONS,
    });
  }
  const loop = rows.find(({ name }) => name === NOTHING)!; // the object has it
  return rows
    .filter((row) => row !== loop)
    .map(({ name, jitNs, kernelNs }) => ({
      name,
      jitNs: jitNs - loop.jitNs,
      kernelNs: kernelNs === null ? null : kernelNs - loop.kernelNs!,
    }));
}

/** What the maps hold: every key of the loop, and routes of usual lengths. */
function contents(spec: CollectionSpec): Record<string, [string, string][]> {
  const words = (...numbers: number[]) => toHex(new Uint8Array(Uint32Array.from(numbers).buffer));
  const one = words(1, 0);
  const all = (key: (n: number) => string) =>
    Array.from({ length: ENTRIES }, (_, n): [string, string] => [key(n), one]);
  const filled: Record<string, [string, string][]> = {};
  for (const { name, type, keySize } of spec.maps) {
    if (type === "BPF_MAP_TYPE_LPM_TRIE") filled[name] = routes(words);
    else if (keySize === 16) filled[name] = all((n) => words(n, n, n, n));
    else if (keySize === 4 && name !== "lru_small") filled[name] = all((n) => words(n));
  }
  return filled;
}

function routes(words: (...numbers: number[]) => string): [string, string][] {
  let state = 1;
  const lengths = [8, 12, 16, 20, 22, 24, 24, 24, 28, 32];
  return Array.from({ length: ROUTES }, (_, n): [string, string] => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return [words(lengths[n % lengths.length], state), words(n, 0)];
  });
}

/** Bytes that an entry of a full map takes. */
export interface MapMemory {
  readonly name: string;
  readonly bytes: number;
  readonly kernelBytes: number | null;
}

const MEMORY_ENTRIES = 10_000;
const MEMORY_KINDS = [
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_LPM_TRIE",
] as const;

/** Memory of maps with 8-byte keys (arrays: 4) and 16-byte values, full; the kernel's figure is `memlock` of its fdinfo. */
export async function mapMemory(oracle: LinuxOracle | undefined): Promise<readonly MapMemory[]> {
  const rows: MapMemory[] = [];
  for (const type of MEMORY_KINDS) {
    const keySize = type.endsWith("ARRAY") ? 4 : 8;
    const flags = type === "BPF_MAP_TYPE_LPM_TRIE" ? 1 : 0;
    const map = { type, keySize, valueSize: 16, maxEntries: MEMORY_ENTRIES, flags };
    rows.push({
      name: type.slice("BPF_MAP_TYPE_".length).toLowerCase(),
      bytes: (await embeddedBytes(map)) / MEMORY_ENTRIES,
      kernelBytes: oracle === undefined ? null : await kernelBytes(oracle, map),
    });
  }
  return rows;
}

type Shape = Pick<MapSpec, "type" | "keySize" | "valueSize" | "maxEntries" | "flags">;

function keyOf({ type, keySize }: Shape, n: number): Uint8Array {
  const key = new Uint8Array(keySize);
  const view = new DataView(key.buffer);
  if (type === "BPF_MAP_TYPE_LPM_TRIE") {
    view.setUint32(0, 32, true);
    view.setUint32(4, Math.imul(n, 0x9e3779b1), true);
  } else view.setUint32(0, n, true);
  return key;
}

async function embeddedBytes(shape: Shape): Promise<number> {
  const spec = readObject(readFileSync(OBJECT));
  const numCpus = cpus().length;
  using kernel = await openEmbeddedKernel({ numCpus });
  const before = kernel.usedBytes;
  const valueBytes = shape.type.includes("PERCPU") ? shape.valueSize * numCpus : shape.valueSize;
  const map: MapSpec = { ...spec.maps[0], ...shape, keyType: 0, valueType: 0 };
  using collection = await kernel.load({ ...spec, maps: [map], programs: [] }, { programs: [] });
  const live = collection.maps.get(map.name)!;
  for (let n = 0; n < MEMORY_ENTRIES; n++) live.update(keyOf(shape, n), new Uint8Array(valueBytes));
  return kernel.usedBytes - before;
}

/** Per-CPU kinds: for all possible CPUs, as in the embedded kernel of as many. */
async function kernelBytes(oracle: LinuxOracle, shape: Shape): Promise<number | null> {
  await oracle.reset();
  const id = await oracle.createMap(shape);
  if (typeof id !== "number") return null;
  const value = new Uint8Array(
    shape.type.includes("PERCPU") ? shape.valueSize * oracle.numCpus : shape.valueSize,
  );
  for (let n = 0; n < MEMORY_ENTRIES; n++) await oracle.update(id, keyOf(shape, n), value);
  const folder = `/proc/${oracle.pid}/fdinfo`;
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, "utf8");
    if (/^max_entries:\s+(\d+)/m.exec(text)?.[1] !== String(MEMORY_ENTRIES)) continue;
    return Number(/^memlock:\s+(\d+)/m.exec(text)?.[1]) / MEMORY_ENTRIES;
  }
  return null;
}
