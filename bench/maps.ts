import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { formatTable } from "../src/cli/format/table.ts";
import type { Benchmark } from "./index.ts";

/** Loops over the map functions, compiled like JIT code will be: wasm in another instance over the same memory. */
const LOOPS = `
@external("kernel", "mapLookup") declare function mapLookup(map: u32, key: u32, cpu: u32): u32;
@external("kernel", "arrayLookup") declare function arrayLookup(map: u32, key: u32): u32;
@external("kernel", "hashLookup") declare function hashLookup(map: u32, key: u32): u32;
@external("kernel", "lruLookup") declare function lruLookup(map: u32, key: u32): u32;
@external("kernel", "lpmLookup") declare function lpmLookup(map: u32, key: u32): u32;
@external("kernel", "mapUpdate") declare function mapUpdate(map: u32, key: u32, value: u32, flags: u64, cpu: u32): i32;
@external("kernel", "mapDelete") declare function mapDelete(map: u32, key: u32): i32;
@external("kernel", "mapPush") declare function mapPush(map: u32, value: u32, flags: u64): i32;
@external("kernel", "mapPop") declare function mapPop(map: u32, value: u32): i32;
@external("kernel", "mapPeek") declare function mapPeek(map: u32, value: u32): i32;
@external("kernel", "ringbufReserve") declare function ringbufReserve(map: u32, size: u64, flags: u64): u32;
@external("kernel", "ringbufSubmit") declare function ringbufSubmit(record: u32, flags: u64): void;
@external("kernel", "ringbufPeek") declare function ringbufPeek(map: u32): u32;
@external("kernel", "ringbufConsume") declare function ringbufConsume(map: u32): void;

export function base(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) sum += load<u32>(keys + i * step);
  return sum;
}
export function lookup(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { const v = mapLookup(map, keys + i * step, 0); if (v) sum += load<u64>(v); }
  return sum;
}
export function array(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { const v = arrayLookup(map, keys + i * step); if (v) sum += load<u64>(v); }
  return sum;
}
export function hash(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { const v = hashLookup(map, keys + i * step); if (v) sum += load<u64>(v); }
  return sum;
}
export function lru(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { const v = lruLookup(map, keys + i * step); if (v) sum += load<u64>(v); }
  return sum;
}
export function lpm(map: u32, keys: u32, step: u32, n: u32): u64 {
  let sum: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { const v = lpmLookup(map, keys + i * step); if (v) sum += load<u64>(v); }
  return sum;
}
export function update(map: u32, keys: u32, step: u32, n: u32): u64 {
  let bad: u64 = 0;
  for (let i: u32 = 0; i < n; i++) if (mapUpdate(map, keys + i * step, keys, 0, 0)) bad++;
  return bad;
}
export function turnover(map: u32, keys: u32, step: u32, n: u32): u64 {
  let bad: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { mapDelete(map, keys + i * step); if (mapUpdate(map, keys + i * step, keys, 0, 0)) bad++; }
  return bad;
}
export function queue(map: u32, keys: u32, step: u32, n: u32): u64 {
  let bad: u64 = 0;
  for (let i: u32 = 0; i < n; i++) { if (mapPush(map, keys + i * step, 0)) bad++; if (mapPop(map, keys)) bad++; }
  return bad;
}
export function peek(map: u32, keys: u32, step: u32, n: u32): u64 {
  let bad: u64 = 0;
  for (let i: u32 = 0; i < n; i++) if (mapPeek(map, keys + i * step)) bad++;
  return bad;
}
export function ring(map: u32, keys: u32, step: u32, n: u32): u64 {
  let bad: u64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const r = ringbufReserve(map, 32, 0);
    if (!r) { bad++; while (ringbufPeek(map)) ringbufConsume(map); continue; }
    store<u64>(r, i);
    ringbufSubmit(r, 0);
  }
  return bad;
}
`;

async function compileLoops(): Promise<Uint8Array<ArrayBuffer>> {
  let binary: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    [
      "loops.ts",
      "--outFile",
      "loops.wasm",
      "-O3",
      "--runtime",
      "stub",
      "--importMemory",
      "--memoryBase",
      "65536",
      "--use",
      "abort=",
    ],
    {
      readFile: (name: string) => (name === "loops.ts" ? LOOPS : null),
      writeFile: (name: string, data: unknown) => {
        if (name.endsWith(".wasm")) binary = data as Uint8Array<ArrayBuffer>; // the compiler's output
      },
      listFiles: () => [],
    },
  );
  if (error || binary === undefined) throw new Error(`${stderr}`);
  return binary;
}

interface Row {
  readonly operation: string;
  /** Median of nine warm rounds, nanoseconds for one operation; keys are walked in a shuffled order. */
  readonly ns: number;
  /** Slowest less fastest round. */
  readonly spread: number;
  /** What it should be at most. */
  readonly goal?: number;
}

/** Nanoseconds per map operation, called from wasm. */
export const maps: Benchmark = {
  name: "maps",
  summary: "nanoseconds per map operation, called from wasm",
  async run() {
    const operations = await measureAll();
    const right = (title: string) => ({ title, align: "right" as const });
    const table = formatTable(
      { colors: false },
      [{ title: "operation" }, right("ns/op"), right("spread"), right("goal")],
      operations.map(({ operation, ns, spread, goal }) => [
        operation,
        ns.toFixed(1),
        spread.toFixed(1),
        goal === undefined ? "" : `<= ${goal}`,
      ]),
    );
    return { figures: { operations, machine: `${process.arch}, Node ${process.version}` }, table };
  },
};

type Functions = Record<string, (...args: (number | bigint)[]) => number>;

async function measureAll(): Promise<readonly Row[]> {
  const generated = readFileSync("src/runtime/generated/kernel-wasm.ts", "utf8");
  const base64 = /"([A-Za-z0-9+/=]+)"/.exec(generated)?.[1] ?? "";
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const none = () => 0;
  const { instance: kernel } = await WebAssembly.instantiate(Buffer.from(base64, "base64"), {
    env: { memory },
    kernel: new Proxy({}, { get: () => none }),
  });
  const k = kernel.exports as Functions; // of assembly/maps/exports.ts
  const { instance } = await WebAssembly.instantiate(await compileLoops(), {
    env: { memory },
    kernel: kernel.exports,
  });
  const loops = instance.exports as Functions; // of LOOPS
  /** A small generator of repeatable numbers. */
  let state = 1;
  function random(): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  }
  function shuffled(count: number): number[] {
    const all = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = random() % (i + 1);
      [all[i], all[j]] = [all[j], all[i]];
    }
    return all;
  }

  const N = 16384;
  const STEP = 64;
  const keys = k.alloc(N * STEP) >>> 0;
  const view = () => new DataView(memory.buffer);

  function fill(write: (data: DataView, at: number, i: number) => void): void {
    const data = view();
    for (let i = 0; i < N; i++) write(data, keys + i * STEP, i);
  }

  function create(type: number, key: number, value: number, max: number, flags = 0): number {
    const map = k.mapCreate(type, key, value, max, flags, 0n, 2);
    if (map < 0 && map > -4096) throw new Error(`mapCreate: ${map}`);
    return map >>> 0;
  }

  function measure(loop: string, map: number): { median: number; spread: number } {
    const once = () => {
      const start = process.hrtime.bigint();
      for (let i = 0; i < 8; i++) loops[loop](map, keys, STEP, N);
      return Number(process.hrtime.bigint() - start) / (8 * N);
    };
    for (let i = 0; i < 12; i++) once();
    const rounds = Array.from({ length: 9 }, once).sort((a, b) => a - b);
    return { median: rounds[4], spread: rounds[8] - rounds[0] };
  }

  const rows: Row[] = [];
  function report(operation: string, loop: string, map: number, goal?: number): void {
    const { median, spread } = measure(loop, map);
    rows.push({ operation, ns: median, spread, ...(goal !== undefined && { goal }) });
  }

  function fillMap(map: number, count: number): void {
    for (let i = 0; i < count; i++)
      if (k.mapUpdate(map, keys + (i % N) * STEP, keys, 0n, 0)) throw new Error("update");
  }

  const order = shuffled(N);
  fill((data, at, i) => data.setUint32(at, order[i] % 1024, true));
  report("(loop alone)", "base", 0);
  const array = create(2, 4, 8, 1024);
  report("array lookup, 1024 elements, per kind", "array", array, 3);
  report("array lookup, through mapLookup", "lookup", array);
  report("array update", "update", array);
  report("percpu array lookup", "lookup", create(6, 4, 8, 1024));
  k.mapDestroy(array);

  for (const [size, count] of [
    [4, 1024],
    [4, 16384],
    [8, 1024],
    [16, 1024],
    [16, 16384],
    [40, 1024],
  ]) {
    fill((data, at, i) => {
      const n = order[i] % count;
      for (let word = 0; word < size; word += 4)
        data.setUint32(at + word, Math.imul(n + 1, 0x9e3779b1 + word) >>> 0, true);
    });
    const map = create(1, size, 8, count);
    fillMap(map, N);
    report(`hash lookup, ${size}-byte key, ${count} elements`, "hash", map, 10);
    if (size === 4 && count === 1024) report("hash lookup, through mapLookup", "lookup", map);
    report(`hash update, ${size}-byte key, ${count} elements`, "update", map, 25);
    if (size === 16 && count === 1024) report("hash delete + insert", "turnover", map);
    k.mapDestroy(map);
    if (count === 1024 && size !== 40) {
      const lru = create(9, size, 8, count);
      fillMap(lru, N);
      report(`LRU lookup (hit), ${size}-byte key`, "lru", lru, 15);
      k.mapDestroy(lru);
    }
  }
  fill((data, at, i) => data.setUint32(at, i, true));
  const churn = create(9, 4, 8, 1024);
  report("LRU insert with eviction", "update", churn);

  const routes = create(11, 8, 8, 4096, 1);
  const key = keys;
  for (let i = 0; i < 4000; ) {
    const length = [8, 12, 16, 20, 22, 24, 24, 24, 28, 32][random() % 10];
    const data = view();
    data.setUint32(key, length, true);
    data.setUint32(key + 4, random(), false);
    if (k.mapUpdate(routes, key, key, 1n, 0) === 0) i++;
  }
  fill((data, at) => {
    data.setUint32(at, 32, true);
    data.setUint32(at + 4, random(), false);
  });
  report("LPM trie lookup, IPv4, 4000 routes", "lpm", routes, 40);
  report("queue push + pop", "queue", create(22, 0, 8, 64));
  const bloom = create(30, 0, 8, 16384);
  fill((data, at, i) => {
    data.setUint32(at, i, true);
    data.setUint32(at + 4, 0, true);
    k.mapPush(bloom, at, 0n);
  });
  report("bloom filter, 5 hashes, hit", "peek", bloom);
  report("ring buffer reserve + submit (consumed too)", "ring", create(27, 0, 0, 1 << 16), 25);

  return rows;
}
