import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errnoName, MAP_TYPES, type MapTypeName } from "../../src/abi/index.ts";
import { BpfError, fromHex, toHex } from "../../src/base/index.ts";
import { createMap as createLinuxMap, type LinuxMap, type RunningKernel } from "../../src/linux/index.ts";
import { versionCode } from "../../src/linux/version.ts";
import type { BpfMap, MapSpec } from "../../src/object/index.ts";
import { createMap, type MapModule } from "../../src/runtime/maps/index.ts";
import { openKernelModule } from "../../src/runtime/wasm-module.ts";
import { openRunningKernel, whyNoLinux } from "../linux/open.ts";
import { MAP_CASES, type MapCase, type MapShape, type MapStep, PLAIN_TYPES } from "./map-cases.ts";

const NUM_CPUS = 2;

let module: MapModule;
beforeAll(async () => {
  module = await openKernelModule();
});

function specOf(shape: MapShape, name: string, inner?: MapSpec): MapSpec {
  return {
    name,
    type: shape.type,
    keySize: shape.key,
    valueSize: shape.value,
    maxEntries: shape.max,
    flags: shape.flags ?? 0,
    mapExtra: BigInt(shape.extra ?? 0),
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: 0,
    inner,
    values: [],
    data: undefined,
    section: ".maps",
    variables: [],
    frozen: false,
  };
}

/** A map that the suite runs on. */
type MapUnderTest = BpfMap & BatchMap;
type BatchMap = Pick<
  LinuxMap,
  "lookupBatch" | "lookupAndDeleteBatch" | "updateBatch" | "deleteBatch" | "close"
>;

/** A case's maps in one of the kernels. */
class LiveCase {
  readonly map: MapUnderTest;
  private readonly inners: readonly MapUnderTest[];
  private readonly numCpus: number;

  constructor(map: MapUnderTest, inners: readonly MapUnderTest[], numCpus: number) {
    this.map = map;
    this.inners = inners;
    this.numCpus = numCpus;
  }

  static embedded(row: MapCase): LiveCase {
    const inners = (row.inners ?? []).map((shape, i) =>
      createMap(module, specOf(shape, `inner${i}`), { id: 100 + i, numCpus: NUM_CPUS }),
    );
    const map = createMap(module, specOf(row, "map", innerOf(row)), {
      id: 1,
      numCpus: NUM_CPUS,
      registry: {
        mapById: (id) => inners.find((map) => map.id === id),
        programById: () => undefined,
      },
    });
    return new LiveCase(map, inners, NUM_CPUS);
  }

  static linux({ context }: RunningKernel, row: MapCase): LiveCase {
    const create = (spec: MapSpec) =>
      createLinuxMap(context, spec, { btf: undefined, btfFd: undefined, made: new Map() });
    const inners = (row.inners ?? []).map((shape, i) => create(specOf(shape, `inner${i}`)));
    return new LiveCase(create(specOf(row, "map", innerOf(row))), inners, context.numCpus);
  }

  close(): void {
    this.map.close();
    for (const inner of this.inners) inner.close();
  }

  outcome(step: MapStep): string {
    try {
      return this.run(step);
    } catch (error) {
      if (error instanceof BpfError && error.errno !== undefined) return error.errno;
      throw error;
    }
  }

  private run(step: MapStep): string {
    const { map } = this;
    switch (step[0]) {
      case "update":
        map.update(fromHex(step[1]), this.value(step[2]), step[3]);
        return "ok";
      case "lookup":
        return this.text(map.lookup(fromHex(step[1])));
      case "pop":
        return this.text(map.lookupAndDelete(fromHex(step[1])));
      case "delete":
        return map.delete(fromHex(step[1])) ? "ok" : "ENOENT";
      case "next": {
        const key = map.nextKey(step[1] === null ? undefined : fromHex(step[1]));
        return key === undefined ? "ENOENT" : toHex(key);
      }
      case "walk": {
        const keys: string[] = [];
        for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) keys.push(toHex(key));
        return keys.join();
      }
      case "freeze":
        map.freeze();
        return "ok";
      case "lookupBatch":
      case "popBatch": {
        const batches: string[] = [];
        let cursor: Uint8Array | undefined;
        do {
          const got =
            step[0] === "popBatch"
              ? map.lookupAndDeleteBatch(step[1], cursor)
              : map.lookupBatch(step[1], cursor);
          batches.push(got.keys.map((key, i) => `${toHex(key)}=${this.text(got.values[i])}`).join(" "));
          cursor = got.next;
        } while (cursor !== undefined);
        return batches.join("; ");
      }
      case "updateBatch": {
        const values = step[2].map((value) => this.value(value));
        return String(map.updateBatch(step[1].map(fromHex), values, 0));
      }
      case "deleteBatch":
        return String(map.deleteBatch(step[1].map(fromHex)));
    }
  }

  private value(text: string): Uint8Array {
    if (text.startsWith("@")) {
      return new Uint8Array(new Uint32Array([this.inners[Number(text.slice(1))].id]).buffer);
    }
    return text.startsWith("*") ? fromHex(text.slice(1).repeat(this.numCpus)) : fromHex(text);
  }

  private text(value: Uint8Array | undefined): string {
    if (value === undefined) return "ENOENT";
    if (this.inners.length > 0) {
      const id = new DataView(value.buffer).getUint32(0, true);
      return `@${this.inners.findIndex((inner) => inner.id === id)}`;
    }
    const text = toHex(value);
    if (!MAP_TYPES[this.map.type].perCpu) return text;
    const one = text.slice(0, text.length / this.numCpus);
    return one.repeat(this.numCpus) === text ? `*${one}` : text;
  }
}

function innerOf(row: MapCase): MapSpec | undefined {
  return row.inners && specOf(row.inners[0], "inner");
}

const outcomes = (live: LiveCase, row: MapCase) =>
  row.steps.map((step) => [...step.slice(0, -1), live.outcome(step)]);

describe("embedded kernel", () => {
  it.each(MAP_CASES)("$name", (row) => {
    const used = module.exports.allocatedBytes();
    const live = LiveCase.embedded(row);
    expect(outcomes(live, row)).toEqual(row.steps);
    live.close();
    expect(module.exports.allocatedBytes()).toBe(used);
  });
});

const reason = whyNoLinux();

describe.skipIf(reason !== undefined)(`the running kernel ${reason ?? ""}`, () => {
  let kernel: RunningKernel;
  beforeAll(async () => {
    kernel = await openRunningKernel();
  });
  afterAll(() => kernel[Symbol.dispose]());

  it.for(MAP_CASES)("$name", (row, { skip }) => {
    const since = row.since ?? MAP_TYPES[row.type].since;
    if (isOlder(since)) skip(`needs Linux ${since}`);
    const live = LiveCase.linux(kernel, row);
    try {
      expect(outcomes(live, row)).toEqual(row.steps);
    } finally {
      live.close();
    }
    expect(kernel.held.fds).toBe(0);
  });

  const isOlder = (since: string): boolean => kernel.context.facts.versionCode < versionCode(since);

  it("creation: the same errno as embedded for sizes, counts and flags around every limit", () => {
    const { sys } = kernel.context;
    const known = new Set(
      Object.values(MAP_TYPES)
        .filter(({ since }) => !isOlder(since))
        .map(({ id }): number => id),
    );
    const differences = createGrid()
      .filter(([mapType]) => known.has(mapType))
      .map((row) => {
        const [mapType, keySize, valueSize, maxEntries, mapFlags, mapExtra] = row;
        const input = { mapType, keySize, valueSize, maxEntries, mapFlags, mapExtra };
        const { result } = sys.tryBpf("BPF_MAP_CREATE", input);
        if (result >= 0) sys.call("close", result);
        return {
          row,
          linux: result >= 0 ? "ok" : errnoName(result),
          embedded: embeddedCreate(row),
        };
      })
      .filter(({ linux, embedded }) => linux !== embedded);
    expect(differences).toEqual([]);
  });
});

// ---- the grid of creations ----

type CreateRow = readonly [id: number, key: number, value: number, max: number, flags: number, extra: number];

/** Sizes, counts and flags around every limit of the `map_alloc_check`s; nothing that takes much memory. */
function createGrid(): CreateRow[] {
  const rows: CreateRow[] = [];
  const add = (type: MapTypeName, key: number, value: number, max: number, flags = 0, extra = 0) => {
    rows.push([MAP_TYPES[type].id, key, value, max, flags, extra]);
  };
  const keys = [0, 1, 4, 5, 8, 16, 20, 260, 261, 512, 513, 0xffffffff];
  const values = [
    0, 1, 4, 8, 12, 16, 32, 1016, 1024, 32768, 32769, 65300, 70000, 0x3fff00, 0x400000, 0x80000000,
  ];
  for (const type of PLAIN_TYPES) {
    for (const noPrealloc of [0, 1]) {
      for (const key of keys) for (const value of [4, 8]) add(type, key, value, 1, noPrealloc);
      for (const value of values) for (const key of [0, 4, 8]) add(type, key, value, 1, noPrealloc);
      for (const max of [0, 1, 3, 4096, 4097, 8192, 8193, 12288]) {
        for (const [key, value] of [
          [0, 0],
          [0, 4],
          [4, 4],
          [8, 8],
        ] as const)
          add(type, key, value, max, noPrealloc);
      }
    }
    for (let bit = 0; bit < 20; bit++) {
      if (bit === 14 || bit === 15 || bit === 16) continue; // descriptors, not flags of the map
      for (const [key, value, max] of [
        [4, 4, 1],
        [8, 4, 1],
        [0, 0, 4096],
        [0, 4, 1],
        [4, 8, 0],
        [8, 8, 0],
      ] as const) {
        for (const other of [0, 1, 0x400]) add(type, key, value, max, (1 << bit) | other);
      }
    }
    add(type, 4, 4, 1, 0x180);
    for (const extra of [1, 15, 16]) add(type, 0, 4, 8, 0, extra);
    for (const extra of [4096, 4097]) add(type, 0, 0, 8, 0x400, extra);
  }
  add("BPF_MAP_TYPE_HASH", 4, 4, 0x80000001, 1);
  add("BPF_MAP_TYPE_HASH", 4, 4, 0x40000000, 1);
  // NR_CPUS is a matter of the kernel's configuration.
  const cpumap = MAP_TYPES.BPF_MAP_TYPE_CPUMAP.id;
  return rows.filter(([id, , , max]) => id !== cpumap || max < 4096);
}

function embeddedCreate([id, key, value, max, flags, extra]: CreateRow): string {
  const type = (Object.keys(MAP_TYPES) as MapTypeName[]).find((name) => MAP_TYPES[name].id === id)!;
  const spec = { ...specOf({ type, key, value, max, flags, extra }, "grid") };
  try {
    createMap(module, spec, { id: 1, numCpus: NUM_CPUS }).close();
    return "ok";
  } catch (error) {
    if (error instanceof BpfError && error.errno !== undefined) return error.errno;
    throw error;
  }
}
