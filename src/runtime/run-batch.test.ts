import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toHex } from "../base/index.ts";
import { readCapture } from "../capture/index.ts";
import { type BatchOptions, packetAt, packPackets, readObject } from "../object/index.ts";
import { type EmbeddedKernelOptions, openEmbeddedKernel } from "./index.ts";

const spec = readObject(readFileSync(new URL("../../fixtures/batch/packets.bpf.o", import.meta.url)));
const NOTHING = new Uint8Array(0);
const PROGRAMS = ["xdp_count", "xdp_shape", "tc_touch", "filter", "xdp_share"];

/** Frames of many kinds and lengths: IPv4, IPv6, ARP, 802.3; with oversized ones, which have fragments. */
function frames(count: number, longest: number): Uint8Array[] {
  const types = [0x0800, 0x86dd, 0x0806, 0x0800, 0x002e];
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8;
  };
  return Array.from({ length: count }, (_, n) => {
    const frame = new Uint8Array(60 + (random() % (longest - 60)));
    for (let i = 0; i < frame.length; i++) frame[i] = random();
    if (n % 7 === 0) frame.fill(0, 0, 6);
    const type = types[n % types.length];
    frame[12] = type >> 8;
    frame[13] = type & 255;
    frame[14] = type === 0x86dd ? 0x60 : 0x45;
    return frame;
  });
}

async function open(name: string, options: EmbeddedKernelOptions = {}) {
  const kernel = await openEmbeddedKernel({ engine: "jit", uninitStack: "zero", numCpus: 2, ...options });
  const collection = await kernel.load(spec, { programs: [name] });
  const events: string[] = [];
  const consume = () => {
    for (const map of collection.maps.values())
      if ("drain" in map)
        for (const { cpu, data } of (map as { drain(): { cpu: number; data: Uint8Array }[] }).drain())
          events.push(`${map.name} ${cpu} ${data.join()}`);
  };
  const state = () => ({
    events,
    maps: [...collection.maps].map(([map, live]) => [
      map,
      [...live.entries()].map(([key, value]) => `${key.join()}=${value.join()}`).sort(),
      "lost" in live ? live.lost : 0,
    ]),
  });
  return { kernel, program: collection.programs.get(name)!, consume, state };
}

type Keys = Pick<BatchOptions, "ctx" | "cpu">;

async function oneByOne(name: string, packets: readonly Uint8Array[], options: Keys, kernelOptions = {}) {
  const { kernel, program, consume, state } = await open(name, kernelOptions);
  const runs = packets.map((data) => {
    const ctx = options.ctx?.slice();
    if (ctx !== undefined && program.type === "BPF_PROG_TYPE_XDP")
      new DataView(ctx.buffer).setUint32(4, data.length, true);
    const result = program.run({ data, ...(ctx && { ctx }), cpu: options.cpu ?? 0 });
    consume();
    const { redirect, clones = [] } = result.outcome ?? {};
    return {
      retval: result.retval,
      data: toHex(result.data ?? NOTHING),
      redirect,
      clones: clones.length,
      insns: result.insns,
    };
  });
  const after = state();
  kernel[Symbol.dispose]();
  return { runs, after };
}

async function asBatch(name: string, packets: readonly Uint8Array[], options: Keys, kernelOptions = {}) {
  const { kernel, program, consume, state } = await open(name, kernelOptions);
  const result = program.runBatch(packPackets(packets), { ...options, consume, keepPackets: true });
  const runs = Array.from({ length: result.count }, (_, n) => {
    const { redirect, clones = [] } = result.outcomes.get(n) ?? {};
    const data = result.packet(n);
    expect(result.lengths[n]).toBe(data?.length);
    return { retval: result.retvals[n], data: toHex(data ?? NOTHING), redirect, clones: clones.length };
  });
  const after = state();
  kernel[Symbol.dispose]();
  return { runs, after, insns: result.insns };
}

function skbContext(): Uint8Array {
  const ctx = new Uint8Array(192);
  new DataView(ctx.buffer).setUint32(8, 77, true); // mark
  return ctx;
}

describe("a batch does what its packets one by one do", () => {
  const small = frames(800, 400);
  const large = frames(120, 9000).map((frame, n) => (n % 20 === 3 ? frame : frame.subarray(0, 1514)));
  const { packets } = readCapture(
    readFileSync(new URL("../../fixtures/demo/traffic.pcapng", import.meta.url)),
  );
  const demo = packets.map(({ data }) => data);

  for (const name of PROGRAMS) {
    it.each([
      ["many short packets", small],
      ["long packets and fragments", large],
      ["the demo's capture", demo],
    ])(`${name}: %s`, async (_what, input) => {
      const single = await oneByOne(name, input, {});
      const batch = await asBatch(name, input, {});
      expect(batch.runs).toEqual(single.runs.map(({ insns: _, ...run }) => run));
      expect(batch.after).toEqual(single.after);
      expect(batch.insns).toBe(single.runs.reduce((sum, { insns = 0 }) => sum + insns, 0));
    });
  }

  it("with a context of the caller's", async () => {
    const xdp = new Uint8Array(24);
    new DataView(xdp.buffer).setUint32(12, 1, true);
    for (const [name, ctx] of [
      ["xdp_count", xdp],
      ["tc_touch", skbContext()],
    ] as const) {
      const single = await oneByOne(name, small, { ctx, cpu: 1 });
      const batch = await asBatch(name, small, { ctx, cpu: 1 });
      expect(batch.runs).toEqual(single.runs.map(({ insns: _, ...run }) => run));
      expect(batch.after).toEqual(single.after);
    }
  });

  it("in the interpreter, and unmetered", async () => {
    const single = await oneByOne("xdp_shape", demo, {});
    for (const kernelOptions of [{ engine: "interpreter" }, { metered: false }] as const) {
      const batch = await asBatch("xdp_shape", demo, {}, kernelOptions);
      expect(batch.runs).toEqual(single.runs.map(({ insns: _, ...run }) => run));
      expect(batch.after).toEqual(single.after);
    }
  });
});

describe("a batch", () => {
  it("takes interface and queue of each packet", async () => {
    const { program, state, kernel } = await open("xdp_count", {
      host: { network: { mtu: (index) => (index < 5 ? 1500 : undefined) } },
    });
    const packets = frames(6, 100);
    const batch = packPackets(packets);
    program.runBatch({
      ...batch,
      interfaces: Uint32Array.of(1, 2, 2, 3, 4, 4),
      queues: new Uint32Array(6).fill(0),
    });
    program.runBatch({
      ...batch,
      interfaces: new Uint32Array(6).fill(3),
      queues: Uint32Array.of(1, 1, 2, 0, 0, 7),
    });
    const seen = state().maps.find(([name]) => name === "seen")?.[1] as string[];
    const counts = seen.map((entry) => entry.split("=").map((part) => part.split(",").map(Number)));
    const count = (key: number) => counts.find(([[a, b, c]]) => a + b * 256 + c * 65536 === key)?.[1][0] ?? 0;
    expect([1, 2, 3, 4].map((ifindex) => count(100000 + ifindex))).toEqual([1, 2, 7, 2]);
    expect([0, 1, 2, 7].map((queue) => count(200000 + queue))).toEqual([8, 2, 1, 1]);
    expect(() => program.runBatch({ ...batch, interfaces: Uint32Array.of(1, 9, 1, 1, 1, 1) })).toThrow(
      expect.objectContaining({ errno: "ENODEV", message: expect.stringContaining("packet 2: ") }),
    );
    kernel[Symbol.dispose]();
  });

  it("names the packet that cannot be run, and keeps what came before", async () => {
    const { program, state, kernel } = await open("xdp_count");
    const packets = [...frames(5, 90), new Uint8Array(7), ...frames(2, 90)];
    expect(() => program.runBatch(packPackets(packets))).toThrow(
      expect.objectContaining({ errno: "EINVAL", message: expect.stringMatching(/^packet 6: .*7 bytes/) }),
    );
    const percpu = state().maps.find(([name]) => name === "percpu")?.[1] as string[];
    expect(percpu[0]).toMatch(/=5,/);
    kernel[Symbol.dispose]();
  });

  it("stops a packet that takes too many instructions", async () => {
    const { program, kernel } = await open("xdp_count");
    expect(() => program.runBatch(packPackets(frames(3, 90)), { maxInsns: 5 })).toThrow(
      expect.objectContaining({ code: "runtime/budget", message: expect.stringMatching(/^packet 1: /) }),
    );
    kernel[Symbol.dispose]();
  });

  it("refuses spans outside of its bytes, CPUs that are not there, and closed programs", async () => {
    const { program, kernel } = await open("xdp_count");
    const bytes = new Uint8Array(100);
    expect(() => program.runBatch({ bytes, spans: Uint32Array.of(60, 60) })).toThrow(
      /packet 1: it is not inside/,
    );
    expect(() => program.runBatch({ bytes, spans: Uint32Array.of(0, 60) }, { cpu: 2 })).toThrow(/no CPU 2/);
    expect(program.runBatch({ bytes, spans: new Uint32Array(0) }).count).toBe(0);
    kernel[Symbol.dispose]();
    expect(() => program.runBatch({ bytes, spans: Uint32Array.of(0, 60) })).toThrow(/was closed/);
  });

  it("gives views of the packets it was made from", () => {
    const packets = frames(9, 80);
    const batch = packPackets(packets);
    expect(packets.map((_, n) => packetAt(batch, n))).toEqual(packets);
  });
});
