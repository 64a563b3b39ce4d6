// `skep gen`: the text it writes, what the type checker makes of it, and what the module does on either kernel.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { generateModule } from "../../src/gen/index.ts";
import { openKernel } from "../../src/kernel/index.ts";
import { type Kernel, readObject } from "../../src/object/index.ts";
import { whyNoLinux } from "../linux/open.ts";
import * as shapes from "./generated/shapes.ts";

const root = join(import.meta.dirname, "../..");
const SHAPES = join(root, "fixtures/gen/shapes.bpf.o");
const GOLDEN = join(import.meta.dirname, "generated/shapes.ts");
const LIBRARY = "../../../src/index.ts";

function shapesModule(): string {
  const object = readFileSync(SHAPES);
  return generateModule(readObject(object), {
    name: "shapes",
    object,
    events: { reports: "struct report" },
    library: LIBRARY,
  });
}

describe("the module of an object", () => {
  it("is the golden file (UPDATE_GOLDEN=1 rewrites it)", () => {
    const text = shapesModule();
    if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, text);
    expect(text).toBe(readFileSync(GOLDEN, "utf8"));
  });

  it("refuses events of maps and types that are not there, naming those that are", () => {
    const spec = readObject(readFileSync(SHAPES));
    const gen = (events: Record<string, string>) => () =>
      generateModule(spec, { name: "x", object: undefined, events });
    expect(gen({ flows: "report" })).toThrow(
      expect.objectContaining({ code: "gen/no-such-map", hint: "it has: reports" }),
    );
    expect(gen({ reports: "raport" })).toThrow(expect.objectContaining({ code: "gen/no-such-type" }));
  });
});

describe("what the type checker says", () => {
  let dir: string;
  beforeAll(() => {
    const cache = join(root, "node_modules/.cache");
    mkdirSync(cache, { recursive: true });
    dir = mkdtempSync(join(cache, "skep-gen-"));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** Numbers of the lines of `lines` that do not type-check. */
  function wrongLines(lines: readonly string[]): number[] {
    const head = [
      'import type { LoadedShapes } from "./shapes.ts";',
      'import { load } from "./shapes.ts";',
      'import { openKernel } from "../../../src/index.ts";',
      "declare const coll: LoadedShapes;",
      "void openKernel; void load; void coll;",
    ];
    writeFileSync(join(dir, "shapes.ts"), shapesModule());
    writeFileSync(join(dir, "use.ts"), [...head, ...lines].join("\n"));
    writeFileSync(
      join(dir, "tsconfig.json"),
      JSON.stringify({ extends: "../../../tsconfig.node.json", include: ["*.ts"] }),
    );
    const { stdout } = spawnSync(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", dir],
      {
        encoding: "utf8",
      },
    );
    const found = [...stdout.matchAll(/^(.*?)\((\d+),\d+\): error/gm)];
    expect(found.filter(([, file]) => !file.endsWith("use.ts"))).toEqual([]);
    return found.map(([, , line]) => Number(line) - head.length);
  }

  it("takes what is right and refuses what is wrong", { timeout: 120_000 }, () => {
    const right = [
      "export const paint: string | number | undefined = coll.maps.flows.lookup({ v4: 1, proto: 6 })?.paint;",
      "export const deleted: bigint | undefined = coll.maps.flows.lookup({ ports: { sport: 1 } })?.delete;",
      'coll.maps.flows.update({ v4: 1 }, { class: 3, paint: "COLOR_RED", comm: "sh", whole: 4n });',
      "export const sum: bigint = coll.maps.per_cpu.lookup(0)!.reduce((a, b) => a + b, 0n);",
      'coll.maps.queue.update(undefined, "COLOR_GREEN");',
      "coll.maps.jumps.update(0, coll.programs.jumped); coll.maps.outer.update(0, coll.maps.inner);",
      "for (const { data } of coll.events.reports.drain()) console.assert(data.at.x === 1);",
      "coll.globals.origin = { x: 3, y: 4 }; coll.globals.runs = 0n;",
      'void load(await openKernel("linux"), { globals: { limit: 5, label: "x" } }).then((it) => it.programs.count.id + it.collection.globals.size);',
      'void load(await openKernel("embedded"), { programs: ["count"], maxEntries: { flows: 9 } });',
    ];
    const wrong = [
      "coll.maps.flows.lookup({ v5: 1 });",
      "coll.maps.flows.lookup(1);",
      'coll.maps.flows.update({ v4: 1 }, { paint: "COLOR_BLUE" });',
      'coll.maps.per_cpu.update(0, "x");',
      "coll.maps.flowz.lookup({});",
      "coll.programs.cuont.run();",
      "coll.globals.limit = 5;",
      "for (const { data } of coll.events.reports.drain()) console.assert(data.at.z === 1);",
      'void load(await openKernel("linux"), { globals: { limits: 5 } });',
      'void load(await openKernel("embedded")).then((it) => it.programs.count.verifiedInsns);',
    ];
    const lines = [...right, ...wrong];
    expect(wrongLines(lines).map((line) => lines[line - 1])).toEqual(wrong);
  });
});

const noLinux = whyNoLinux();
const KERNELS = [
  { name: "the embedded kernel", why: undefined, open: () => openKernel("embedded", { numCpus: 2 }) },
  { name: `the running kernel ${noLinux ?? ""}`, why: noLinux, open: () => openKernel("linux") },
] as const;

describe.each(KERNELS)("the module in $name", ({ why, open }) => {
  const packet = new Uint8Array(64);
  let kernel: Kernel;
  let coll: shapes.LoadedShapes;
  const skip = it.skipIf(why !== undefined);
  beforeAll(async () => {
    if (why !== undefined) return;
    kernel = await open();
    coll = await shapes.load(kernel, { globals: { limit: 5, label: "six" }, maxEntries: { flows: 4 } });
  });
  afterAll(() => {
    coll?.[Symbol.dispose]();
    kernel?.[Symbol.dispose]();
  });

  skip("reads and writes structs, unions, bit-fields, enums, text and 64-bit numbers", () => {
    const key = { v4: 0x0100007f, ports: { sport: 1, dport: 2 }, proto: 6 };
    const { flows } = coll.maps;
    expect(flows.lookup(key)).toBeUndefined();
    flows.update(key, {
      delete: 2n ** 63n,
      class: -3,
      on: true,
      low: 7,
      high: 21,
      paint: "COLOR_GREEN",
      size: "BIG_LAST",
      comm: "größe",
      raw: [1, 2, 3, 4],
      corners: [{ x: 1 }, { y: 9 }],
      grid: [
        [1, -2, 3],
        [4, 5, -6],
      ],
      unused: 1.5,
      where: 0xffffn,
      second: 2,
    });
    expect(flows.lookup(key)).toEqual({
      delete: 2n ** 63n,
      class: -3n,
      on: true,
      low: 7,
      high: 21,
      paint: "COLOR_GREEN",
      size: "BIG_LAST",
      comm: "größe",
      raw: [1, 2, 3, 4],
      corners: [
        { x: 1, y: 0 },
        { x: 0, y: 9 },
      ],
      grid: [
        [1, -2, 3],
        [4, 5, -6],
      ],
      unused: 1.5,
      where: 0xffffn,
      whole: 0x2_0000_0000n,
      first: 0,
      second: 2,
    });
    expect([...flows.keys()]).toEqual([
      { v4: 0x0100007f, v6: [127, 0, 0, 1, ...Array(12).fill(0)], ports: { sport: 1, dport: 2 }, proto: 6 },
    ]);
    expect(() => flows.update(key, { paint: "COLOR_BLUE" } as never)).toThrow(
      expect.objectContaining({ code: "btf/bad-value", message: expect.stringContaining("flows") }),
    );
    expect(flows.delete(key)).toBe(true);
    expect(flows.delete(key)).toBe(false);
  });

  skip("writes and deletes many at once, and gives each once while the loop deletes", () => {
    const { flows } = coll.maps;
    const key = (v4: number) => ({ v4, proto: 17 });
    expect(flows.updateAll([1, 2, 3, 4].map((n) => [key(n), { delete: n }] as const))).toBe(4);
    expect(() => flows.update(key(5), {})).toThrow(expect.objectContaining({ errno: "E2BIG" }));
    const seen: bigint[] = [];
    for (const [at, value] of flows) {
      seen.push(value.delete);
      if (value.delete < 3n) flows.delete(at);
    }
    expect(seen.sort()).toEqual([1n, 2n, 3n, 4n]);
    expect(flows.deleteAll([1, 3, 2, 4].map(key))).toBe(2);
    expect([...flows]).toEqual([]);
  });

  skip("runs programs: per-CPU values, tail calls, inner maps, queues, records, globals", () => {
    const { maps, programs, events, globals } = coll;
    const cpus = maps.per_cpu.numCpus;
    maps.per_cpu.update(0, Array(cpus).fill(10n));
    maps.outer.update(0, maps.inner);
    expect(maps.outer.lookup(0)).toBe(maps.inner.id);
    globals.origin = { x: 8, y: 9 };
    globals.verbose = true;
    expect(programs.count.run({ data: packet }).retval).toBe(100);
    maps.jumps.update(0, programs.jumped);
    expect(programs.count.run({ data: packet }).retval).toBe(200);
    expect(globals.runs).toBe(2n);
    expect(globals.limit).toBe(5);
    expect(globals.label).toBe("six");
    expect(globals.verbose).toBe(true);
    expect(() => {
      (globals as { limit: number }).limit = 6;
    }).toThrow(expect.objectContaining({ errno: "EPERM" }));
    expect(maps.per_cpu.lookup(0)?.reduce((a, b) => a + b)).toBe(10n * BigInt(cpus) + 10n);
    expect(maps.inner.lookup(0)).toBe(14n);
    expect(maps.queue.lookup(undefined)).toBe("COLOR_GREEN");
    expect(maps.queue.lookupAndDelete(undefined)).toBe("COLOR_GREEN");
    expect(events.reports.drain().map(({ data }) => data)).toEqual([
      { at: { x: 8, y: 9 }, color: "COLOR_GREEN", count: 1n },
      { at: { x: 8, y: 9 }, color: "COLOR_GREEN", count: 2n },
    ]);
    maps.jumps.delete(0);
    expect(() => maps.per_cpu.update(0, [1n])).toThrow(expect.objectContaining({ code: "object/per-cpu" }));
    const bytes = new Uint8Array([1, 2, 3, 4, 5, 6]);
    maps.untyped.update(bytes, new Uint8Array([7, 8, 9]));
    expect([...maps.untyped]).toEqual([[bytes, new Uint8Array([7, 8, 9])]]);
  });

  skip("hands out records as they come", async () => {
    const { programs, events, globals } = coll;
    globals.runs = 40n;
    for (let i = 0; i < 3; i++) programs.count.run({ data: packet });
    const counts: bigint[] = [];
    for await (const { data, lostBefore } of events.reports.records()) {
      expect(lostBefore).toBe(0);
      counts.push(data.count);
      if (counts.length === 3) break;
    }
    expect(counts).toEqual([41n, 42n, 43n]);
  });

  skip("says so when a program was not loaded", () => {
    expect(Object.keys(coll.programs).sort()).toEqual(["count", "jumped"]);
    expect(() => coll.programs.spare).toThrow(expect.objectContaining({ code: "object/not-loaded" }));
  });
});
