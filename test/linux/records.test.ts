// Ring buffers, perf buffers and user ring buffers of the running kernel: every record once, in order, or counted as lost.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LinuxContext, RunningKernel } from "../../src/linux/index.ts";
import { versionCode } from "../../src/linux/version.ts";
import {
  type LinuxEventMap,
  type LinuxEventRecord,
  type LinuxUserRingBuffer,
  readObject,
} from "../../src/object/index.ts";
import { codeOf, openRunningKernel, whyNoLinux } from "./open.ts";

const reason = whyNoLinux();
const object = () => readObject(readFileSync(new URL("../../fixtures/linux/records.bpf.o", import.meta.url)));
const numberOf = ({ data }: LinuxEventRecord) => Number(new DataView(data.buffer).getBigUint64(0, true));
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe.skipIf(reason !== undefined)(`records of Linux ${reason ?? ""}`, () => {
  let kernel: RunningKernel & { readonly context: LinuxContext };
  const open: (() => void)[] = [];

  beforeEach(async () => {
    kernel = await openRunningKernel();
  });

  afterEach(async () => {
    for (const end of open.splice(0)) end();
    await until(() => kernel.held.fds === 0);
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
    kernel[Symbol.dispose]();
  });

  /** Loads a program for a process that copies `count` bytes, two system calls each, and a few more around it. */
  async function start(program: string, count: number, maxEntries: Record<string, number> = {}) {
    const child = spawn(
      "/bin/sh",
      ["-c", `read line; exec dd if=/dev/zero of=/dev/null bs=1 count=${count} status=none`],
      {
        stdio: ["pipe", "inherit", "inherit"],
      },
    );
    await once(child, "spawn");
    const collection = await kernel.load(object(), {
      programs: [program],
      globals: { target_pid: child.pid ?? 0 },
      maxEntries,
    });
    const link = collection.programs.get(program)?.attach();
    const ended = once(child, "exit");
    const events = (name: string) => collection.maps.get(name) as LinuxEventMap;
    const global = (name: string) => Number(collection.globals.get(name)?.get());
    const end = () => {
      link?.close();
      collection[Symbol.dispose]();
    };
    open.push(end);
    return {
      collection,
      events,
      global,
      ended,
      go: () => child.stdin?.write("go\n"),
      end,
    };
  }

  it("a ring buffer gives every record, in order, while it is written", async () => {
    const { events, global, ended, go, end } = await start("to_ring", 100_000, { ring: 1 << 24 }); // room for all
    const map = events("ring");
    let [next, gaps, bytesSeen] = [0, 0, 0];
    const subscription = map.onRecord((bytes, start, length) => {
      const number = new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(0, true);
      if (number !== next) gaps++;
      next = number + 1;
      bytesSeen += length;
    });
    go();
    await ended;
    await until(() => next >= global("sent"));
    expect([gaps, next, bytesSeen]).toEqual([0, global("sent"), global("sent") * 64]);
    expect(next).toBeGreaterThan(200_000);
    expect(global("dropped")).toBe(0);
    subscription.stop();
    await subscription.done;
    end();
  });

  it("what a full ring buffer refuses is counted, and told where it is missing", async () => {
    const { collection, events, global, ended, go, end } = await start("to_ring", 20_000, { ring: 4096 });
    const map = events("ring");
    expect(map.lost).toBeNaN();
    const dropped = collection.globals.get("dropped");
    if (dropped === undefined) throw new Error("no counter");
    map.countLostBy(dropped);
    go();
    await ended;
    const records = map.drain();
    expect(records.map(numberOf)).toEqual(Array.from({ length: 56 }, (_, i) => i)); // 4096 / 72
    expect(global("sent")).toBe(56);
    expect(map.lost).toBe(global("dropped"));
    expect(map.lost).toBeGreaterThan(40_000 - 56);
    expect(records.reduce((sum, { lostBefore }) => sum + lostBefore, 0)).toBe(map.lost);
    end();
  });

  it("records that were thrown away are skipped", async () => {
    const { events, global, ended, go, end } = await start("discard_some", 1000);
    go();
    await ended;
    const numbers = events("ring").drain().map(numberOf);
    const all = Array.from({ length: global("sent") }, (_, i) => i);
    expect(numbers).toEqual(all.filter((number) => number % 3 !== 0));
    end();
  });

  it("records are iterated as they come, until the map closes", async () => {
    const { events, global, ended, go, end } = await start("to_ring", 500);
    const numbers: number[] = [];
    const reading = (async () => {
      for await (const record of events("ring").records()) numbers.push(numberOf(record));
    })();
    go();
    await ended;
    await until(() => numbers.length >= global("sent"));
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
    end();
    await reading;
  });

  it("two readers of one map share its records, and stop apart", async () => {
    const { events, global, ended, go, end } = await start("to_ring", 5000);
    const counts = [0, 0];
    const [one, two] = counts.map((_, i) => events("ring").onRecord(() => void counts[i]++));
    await new Promise((resolve) => setTimeout(resolve, 20));
    one.stop();
    await one.done;
    go();
    await ended;
    await until(() => counts[0] + counts[1] >= global("sent"));
    expect(counts[0]).toBe(0);
    two.stop();
    await two.done;
    end();
  });

  it("what a callback throws ends its reading, and loses nothing", async () => {
    const { events, global, ended, go, end } = await start("to_ring", 100);
    const subscription = events("ring").onRecord(() => {
      throw new Error("mine");
    });
    go();
    await ended;
    await expect(subscription.done).rejects.toThrow("mine");
    expect(events("ring").drain().map(numberOf)).toEqual(
      Array.from({ length: global("sent") - 1 }, (_, i) => i + 1),
    );
    end();
  });

  it("perf buffers give every record of each CPU in order", async () => {
    const { events, global, ended, go, end } = await start("to_perf", 30_000);
    const map = events("perf");
    map.openBuffers(1024);
    const next = new Map<number, number>();
    let count = 0;
    let disorder = 0;
    const subscription = map.onRecord((bytes, start, length, cpu) => {
      const number = new DataView(bytes.buffer, bytes.byteOffset + start).getUint32(0, true);
      if (number < (next.get(cpu) ?? 0) || length < 64) disorder++;
      next.set(cpu, number + 1);
      count++;
    });
    go();
    await ended;
    await until(() => count + global("dropped") >= global("sent"));
    expect([disorder, count + global("dropped")]).toEqual([0, global("sent")]);
    // While perf moves its events on a CPU about, the helper fails without a record being lost.
    expect(map.lost).toBeLessThanOrEqual(global("dropped"));
    subscription.stop();
    await subscription.done;
    end();
  });

  it("perf buffers count what does not fit, in order", async () => {
    const { events, global, ended, go, end } = await start("to_perf", 5000);
    const map = events("perf");
    map.openBuffers(1);
    go();
    await ended;
    const records = map.drain();
    expect(records.length + global("dropped")).toBe(global("sent"));
    expect(global("dropped")).toBeGreaterThan(0);
    if (kernel.context.facts.versionCode >= versionCode("6.0")) {
      expect(map.lost).toBeGreaterThan(global("dropped") * 0.99);
      expect(map.lost).toBeLessThanOrEqual(global("dropped"));
    }
    expect(codeOf(() => map.countLostBy(undefined as never))?.code).toBe("linux/unsupported");
    end();
  });

  it("a user ring buffer reaches the program, and says when it is full", async (context) => {
    if (kernel.context.facts.versionCode < versionCode("6.1"))
      context.skip("user ring buffers need Linux 6.1");
    const { collection, global, ended, go, end } = await start("drain_requests", 10);
    const requests = collection.maps.get("requests") as LinuxUserRingBuffer;
    const record = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
    let sent = 0;
    let sum = 0;
    const full = codeOf(() => {
      for (; ; sent++) {
        requests.send(record(sent + 1));
        sum += sent + 1;
      }
    });
    expect(full).toEqual({ code: "linux/no-space", errno: "ENOSPC" });
    expect(sent).toBe(256); // 4096 / 16
    expect(codeOf(() => requests.send(new Uint8Array(5000)))).toEqual({
      code: "linux/no-space",
      errno: "E2BIG",
    });
    go();
    await ended;
    expect(global("received")).toBe(sum);
    requests.send(record(1)); // there is room again
    end();
  });
});
