// An embedded kernel whose packets run in worker threads of Node's: sums must be exact, whatever runs at the same time.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { nodeWorkers } from "../src/cli/node-workers.ts";
import { type PacketBatch, packPackets, readObject } from "../src/object/index.ts";
import { type EmbeddedCollection, openEmbeddedKernel } from "../src/runtime/index.ts";
import { skep } from "./cli/fake-io.ts";
import { workerScript } from "./worker-script.ts";

const spec = readObject(readFileSync(new URL("../fixtures/batch/packets.bpf.o", import.meta.url)));
const BATCHES = 12;
const BATCH = 10_000;
let script: URL;

beforeAll(async () => {
  script = await workerScript();
});

/** Packets whose length and bytes vary; the four bytes behind the Ethernet header are random. */
function batches(count = BATCHES, keys = 0xffff_ffff): PacketBatch[] {
  let state = 99;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
  const packets = Array.from({ length: BATCH }, (_, n) => {
    const packet = new Uint8Array(60 + (n % 40));
    packet[12] = 8;
    packet[14] = 0x45;
    new DataView(packet.buffer).setUint32(14, random() & keys, true);
    return packet;
  });
  return Array.from({ length: count }, () => packPackets(packets));
}

async function open(name: string, workers: number) {
  const kernel = await openEmbeddedKernel({
    engine: "jit",
    metered: false,
    uninitStack: "zero",
    workers: nodeWorkers(workers, script),
  });
  const collection = await kernel.load(spec, { programs: [name] });
  return { kernel, collection, program: collection.programs.get(name)! };
}

const u64s = (bytes: Uint8Array) => [...new BigUint64Array(bytes.slice().buffer)].map(Number);
const slot = (collection: EmbeddedCollection, index: number) =>
  u64s(collection.maps.get("percpu")!.lookup(Uint8Array.of(index, 0, 0, 0)) as Uint8Array);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe.each([2, 4])("%i workers", (workers) => {
  it("count every packet once, each on its CPU, and the results are those of one thread", async () => {
    const { kernel, collection, program } = await open("xdp_count", workers);
    const alone = await openEmbeddedKernel({ engine: "jit", metered: false, uninitStack: "zero" });
    const single = await alone.load(spec, { programs: ["xdp_count"] });
    const input = batches();
    let index = 0;
    for await (const { batch, result } of program.runBatches(input)) {
      expect(batch).toBe(input[index++]);
      const expected = single.programs.get("xdp_count")!.runBatch(batch);
      expect(result.count).toBe(BATCH);
      expect(result.retvals).toEqual(expected.retvals);
      expect(result.lengths).toEqual(expected.lengths);
    }
    expect(index).toBe(BATCHES);
    const perCpu = slot(collection, 0);
    expect(perCpu).toHaveLength(workers);
    expect(sum(perCpu)).toBe(BATCHES * BATCH);
    expect(Math.min(...perCpu)).toBeGreaterThan((BATCHES * BATCH) / workers / 4);
    // Atomics on hash values: every length and interface exact.
    const seen = (from: EmbeddedCollection) =>
      [...from.maps.get("seen")!.entries()].map(([key, value]) => `${key.join()}: ${u64s(value)}`).sort();
    expect(seen(collection)).toEqual(seen(single));
    kernel[Symbol.dispose]();
    alone[Symbol.dispose]();
  });

  it("lose no ring buffer record and tear none; an LRU map stays whole and within its size", async () => {
    const { kernel, collection, program } = await open("xdp_share", workers);
    const ring = collection.maps.get("ring")! as unknown as { drain(): { data: Uint8Array }[]; lost: number };
    let records = 0;
    const keys = new Set<number>();
    const consume = () => {
      for (const { data } of ring.drain()) {
        records++;
        keys.add(u64s(data)[0]);
      }
    };
    for await (const _ of program.runBatches(batches(4), { consume }));
    consume();
    const total = 4 * BATCH;
    expect(sum(slot(collection, 0))).toBe(total);
    expect(records).toBe(sum(slot(collection, 2)));
    expect(sum(slot(collection, 2)) + sum(slot(collection, 3))).toBe(total);
    expect(ring.lost).toBe(sum(slot(collection, 3)));
    const [{ bytes, spans }] = batches(1);
    const sent = new Set(
      Array.from({ length: BATCH }, (_, n) => new DataView(bytes.buffer).getUint32(spans[2 * n] + 14, true)),
    );
    for (const key of keys) if (!sent.has(key)) expect.fail(`${key} was in no packet`);
    const recent = [...collection.maps.get("recent")!.entries()];
    expect(recent.length).toBeLessThanOrEqual(32);
    expect(recent.length).toBeGreaterThan(16);
    for (const [key] of recent) expect(keys.has(u64s(key)[0])).toBe(true);
    kernel[Symbol.dispose]();
  });

  it("update and delete the same keys without harm", async () => {
    const { kernel, collection, program } = await open("xdp_contend", workers);
    for await (const _ of program.runBatches(batches(6)));
    expect(sum(slot(collection, 0))).toBe(6 * BATCH);
    expect(sum(slot(collection, 1)) + sum(slot(collection, 2))).toBe(6 * BATCH);
    const map = collection.maps.get("contended")!;
    const entries = [...map.entries()].map(([key, value]) => ({ key: u64s(key)[0], value: u64s(value) }));
    expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length);
    expect(entries.length).toBeLessThanOrEqual(64);
    for (const { key, value } of entries) expect(value).toEqual([key, key, key, key]);
    // Nothing leaked: the map still takes as many elements as it may hold.
    for (const { key } of entries) map.delete(Uint8Array.of(key, 0, 0, 0, 0, 0, 0, 0));
    expect([...map.entries()]).toEqual([]);
    for (let key = 0; key < 64; key++)
      map.update(Uint8Array.of(key, 0, 0, 0, 0, 0, 0, 0), new Uint8Array(32));
    expect(() => map.update(Uint8Array.of(200, 0, 0, 0, 0, 0, 0, 0), new Uint8Array(32))).toThrow(/E2BIG/);
    kernel[Symbol.dispose]();
  });

  it("pass on events of perf event arrays, packets after their runs, and clones", async () => {
    const { kernel, collection, program } = await open("tc_touch", workers);
    const perf = collection.maps.get("perf")! as unknown as { drain(): { cpu: number }[]; lost: number };
    const perCpu = new Array<number>(workers).fill(0);
    const consume = () => {
      for (const { cpu } of perf.drain()) perCpu[cpu]++;
    };
    const alone = await openEmbeddedKernel({ engine: "jit", metered: false, uninitStack: "zero" });
    const single = (await alone.load(spec, { programs: ["tc_touch"] })).programs.get("tc_touch")!;
    const [batch] = batches(1);
    const expected = single.runBatch(batch, { keepPackets: true });
    for await (const { result } of program.runBatches([batch, batch], { consume, keepPackets: true })) {
      expect(result.retvals).toEqual(expected.retvals);
      expect(result.outcomes.size).toBe(expected.outcomes.size);
      for (let n = 0; n < result.count; n += 97)
        expect(Buffer.compare(result.packet(n) as Uint8Array, expected.packet(n) as Uint8Array)).toBe(0);
    }
    expect(sum(perCpu)).toBe(2 * BATCH);
    expect(perf.lost).toBe(0);
    expect(perCpu).toEqual(slot(collection, 1));
    kernel[Symbol.dispose]();
    alone[Symbol.dispose]();
  });
});

describe("workers", () => {
  it("name the packet that cannot be run, and go on with the next batches", async () => {
    const { kernel, collection, program } = await open("xdp_count", 2);
    const good = packPackets([new Uint8Array(64), new Uint8Array(64)]);
    const bad = packPackets([new Uint8Array(64), new Uint8Array(3)]);
    const all = async (input: readonly PacketBatch[]) => {
      for await (const _ of program.runBatches(input, { numberOf: (index) => index + 100 }));
    };
    await expect(all([good, bad, good])).rejects.toMatchObject({
      code: "runtime/bad-input",
      errno: "EINVAL",
      message: expect.stringMatching(/^packet 101: .*3 bytes/),
    });
    await all([good, good]);
    expect(sum(slot(collection, 0))).toBeGreaterThanOrEqual(7);
    kernel[Symbol.dispose]();
    await expect(all([good])).rejects.toMatchObject({ code: "runtime/closed" });
  });

  it("are refused where they cannot be: interpreter, network of the host, too few CPUs, no such script", async () => {
    const workers = nodeWorkers(2, script);
    const refused = (code: string) => expect.objectContaining({ code, hint: expect.any(String) });
    await expect(openEmbeddedKernel({ workers })).rejects.toEqual(refused("runtime/bad-options"));
    await expect(openEmbeddedKernel({ workers, engine: "jit", numCpus: 1 })).rejects.toEqual(
      refused("runtime/bad-options"),
    );
    await expect(openEmbeddedKernel({ workers, engine: "jit", host: { network: {} } })).rejects.toEqual(
      refused("runtime/bad-options"),
    );
    const missing = nodeWorkers(1, new URL("file:///nowhere/worker.mjs"));
    await expect(openEmbeddedKernel({ workers: missing, engine: "jit" })).rejects.toEqual(
      refused("runtime/worker"),
    );
  });

  it("are refused where memory cannot be shared", async () => {
    const scope = globalThis as { crossOriginIsolated?: boolean };
    scope.crossOriginIsolated = false;
    try {
      await expect(
        openEmbeddedKernel({ workers: nodeWorkers(1, script), engine: "jit" }),
      ).rejects.toMatchObject({
        code: "runtime/no-shared-memory",
        hint: expect.stringContaining("Cross-Origin"),
      });
    } finally {
      scope.crossOriginIsolated = undefined;
    }
  });
});

describe("skep run --workers", () => {
  const argv = [
    "run",
    "fixtures/batch/packets.bpf.o",
    "--pcap",
    "fixtures/demo/traffic.pcapng",
    "--engine",
    "jit",
  ];

  it.each(["xdp_count", "filter"])("reports what one thread does: %s", async (prog) => {
    const report = async (...more: string[]) => {
      const { code, out, err } = await skep(
        [...argv, "--prog", prog, "--each", "--json", ...more],
        {},
        script,
      );
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const { nsPerPacket, maps, ...rest } = JSON.parse(out);
      expect(nsPerPacket).toBeGreaterThan(0);
      const percpu = maps.percpu.map(({ key, value }: { key: number; value: number[] }) => [key, sum(value)]);
      return { ...rest, maps: { ...maps, percpu } };
    };
    const single = await report("--cpus", "2");
    expect(await report("--workers", "2")).toEqual(single);
  });

  it.each([
    ["the interpreter", ["--engine", "interpreter"]],
    ["repeats", ["--repeat", "3"]],
    ["another CPU", ["--cpus", "2", "--cpu", "1"]],
  ])("is refused with %s", async (_what, more) => {
    const { code, err } = await skep([...argv, "--prog", "xdp_count", "--workers", "2", ...more], {}, script);
    expect(code).toBe(2);
    expect(err).toContain("--workers");
  });
});
