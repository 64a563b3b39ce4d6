// A thousand times load, attach, detach, close: nothing is kept, by this process or by the kernel. Needs root.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readObject } from "../../src/object/index.ts";
import { openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const TIMES = 1000;
/** Resident memory may grow by so much after the warm-up: the garbage collector's own coming and going. */
const RSS_BOUND = 32 * 1024 * 1024;

const fds = (): number => readdirSync("/proc/self/fd").length;
const mappings = (): number => readFileSync("/proc/self/maps", "latin1").split("\n").length;

describe.skipIf(reason !== undefined)(`a thousand times ${reason ?? ""}`, () => {
  it("load, attach, run, detach, close: no descriptor, program, map, link, mapping or memory is kept", async () => {
    const spec = readObject(readFileSync(new URL("../../fixtures/gen/shapes.bpf.o", import.meta.url)));
    using kernel = await openRunningKernel();
    const { sys } = kernel.context;
    const pair = new Uint8Array(8);
    const [AF_UNIX, SOCK_DGRAM] = [1, 2];
    expect(sys.call("socketpair", AF_UNIX, SOCK_DGRAM, 0, pair)).toBe(0);
    const [sender, receiver] = new Int32Array(pair.buffer);
    const packet = new Uint8Array(64);
    const once = async (): Promise<readonly [programs: number[], maps: number[]]> => {
      using collection = await kernel.load(spec);
      const program = collection.programs.get("count")!;
      const link = program.attach({ kind: "socket-filter", socket: receiver });
      program.run({ data: packet });
      expect(collection.globals.get("runs")?.get()).toBe(1n);
      link.close();
      return [
        [...collection.programs.values()].map(({ id }) => id),
        [...collection.maps.values()].map(({ id }) => id),
      ];
    };
    const programs = new Set<number>();
    const maps = new Set<number>();
    const before = { fds: 0, mappings: 0, rss: 0 };
    for (let i = 0; i < TIMES + 100; i++) {
      if (i === 100) {
        Object.assign(before, { fds: fds(), mappings: mappings(), rss: process.memoryUsage().rss });
      }
      const [newPrograms, newMaps] = await once();
      for (const id of newPrograms) programs.add(id);
      for (const id of newMaps) maps.add(id);
    }
    expect(fds()).toBe(before.fds);
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
    // V8 maps and unmaps spaces of its own.
    expect(mappings() - before.mappings).toBeLessThan(100);
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(RSS_BOUND);
    expect(programs.size).toBe(2 * (TIMES + 100));
    // The kernel frees programs and maps a moment (an RCU grace period) after the last descriptor.
    await expect
      .poll(() => [...kernel.inspect.programs()].filter(({ id }) => programs.has(id)).length, {
        timeout: 10_000,
      })
      .toBe(0);
    await expect
      .poll(() => [...kernel.inspect.maps()].filter(({ id }) => maps.has(id)).length, { timeout: 10_000 })
      .toBe(0);
    for (const fd of [sender, receiver]) sys.call("close", fd);
  }, 120_000);

  it("links of the kernel come and go", async () => {
    const spec = readObject(readFileSync(new URL("../../fixtures/linux/events.bpf.o", import.meta.url)));
    using kernel = await openRunningKernel();
    const raw = spec.programs.find(({ type }) => type === "BPF_PROG_TYPE_RAW_TRACEPOINT");
    expect(raw).toBeDefined();
    using collection = await kernel.load(spec, { programs: [raw!.name] });
    const program = collection.programs.get(raw!.name)!;
    const before = fds();
    const ids = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const link = program.attach({ kind: "raw-tracepoint", name: "sched_process_exec" });
      ids.add(link.id!);
      link.close();
    }
    expect(ids.size).toBe(200);
    expect(fds()).toBe(before);
    await expect
      .poll(() => [...kernel.inspect.links()].filter(({ id }) => ids.has(id)).length, { timeout: 10_000 })
      .toBe(0);
  }, 120_000);
});
