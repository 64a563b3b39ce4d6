import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { MapTypeName } from "../../abi/index.ts";
import type { Btf } from "../../btf/index.ts";
import type { MapSpec } from "../../object/index.ts";
import { openKernelModule } from "../wasm-module.ts";
import {
  type CreateMapOptions,
  createMap,
  type EmbeddedArena,
  type EmbeddedEventMap,
  type EmbeddedMap,
  type EmbeddedUserRing,
  MAP_KINDS,
  type MapModule,
} from "./index.ts";

let module: MapModule;
beforeAll(async () => {
  module = await openKernelModule();
});

function make(
  type: MapTypeName,
  key: number,
  value: number,
  max: number,
  extra: Partial<MapSpec> = {},
  options: Partial<CreateMapOptions> = {},
): EmbeddedMap {
  const spec: MapSpec = {
    name: "m",
    type,
    keySize: key,
    valueSize: value,
    maxEntries: max,
    flags: 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: 0,
    inner: undefined,
    values: [],
    data: undefined,
    section: ".maps",
    variables: [],
    frozen: false,
    ...extra,
  };
  return createMap(module, spec, { id: 7, numCpus: 2, ...options });
}

function u32(n: number): Uint8Array {
  return new Uint8Array(new Uint32Array([n]).buffer);
}
function num(bytes: Uint8Array | undefined): number | undefined {
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** Memory a program would hold: room for keys and values. */
function withScratch<T>(run: (at: number) => T): T {
  const at = module.exports.alloc(4096) >>> 0;
  try {
    return run(at);
  } finally {
    module.exports.free(at);
  }
}

describe("program side", () => {
  it("a pointer to a replaced hash value keeps the old bytes until the next replacement", () => {
    const map = make("BPF_MAP_TYPE_HASH", 4, 4, 1);
    map.update(u32(1), u32(10));
    withScratch((at) => {
      module.memory.write(at, u32(1));
      const old = map.program.lookupElem(at, 0);
      module.memory.write(at + 8, u32(11));
      expect(map.program.updateElem(at, at + 8, 0, 0)).toBe(0);
      expect(num(module.memory.read(old, 4))).toBe(10);
      expect(num(module.memory.read(map.program.lookupElem(at, 0), 4))).toBe(11);
    });
    map.close();
  });

  it("per-CPU values are apart, a new key is zero on other CPUs", () => {
    const map = make("BPF_MAP_TYPE_PERCPU_HASH", 4, 4, 4);
    withScratch((at) => {
      module.memory.write(at, u32(1));
      module.memory.write(at + 8, u32(5));
      expect(map.program.updateElem(at, at + 8, 0, 1)).toBe(0);
      expect(num(module.memory.read(map.program.lookupElem(at, 1), 4))).toBe(5);
      expect(num(module.memory.read(map.program.lookupElem(at, 0), 4))).toBe(0);
      expect(map.program.lookupPercpuElem(at, 1)).toBe(map.program.lookupElem(at, 1));
      expect(map.program.lookupPercpuElem(at, 2)).toBe(0);
    });
    expect(map.lookup(u32(1))).toEqual(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]));
    map.close();
  });

  it("forEach visits every element once, also when the callback deletes it or stops", () => {
    const map = make("BPF_MAP_TYPE_HASH", 4, 4, 100);
    for (let i = 0; i < 100; i++) map.update(u32(i), u32(i * 3));
    const seen = new Set<number>();
    const visit = (key: number, value: number): boolean => {
      const k = num(module.memory.read(key, 4))!;
      expect(num(module.memory.read(value, 4))).toBe(k * 3);
      seen.add(k);
      map.program.deleteElem(key);
      return false;
    };
    const visited = map.program.forEach(visit, 0);
    expect([visited, seen.size, map.count]).toEqual([100, 100, 0]);
    map.close();
    const array = make("BPF_MAP_TYPE_PERCPU_ARRAY", 4, 4, 5);
    const never = () => false;
    const atTwo = (key: number) => num(module.memory.read(key, 4)) === 2;
    expect(array.program.forEach(never, 1)).toBe(5);
    expect(array.program.forEach(atTwo, 1)).toBe(3);
    array.close();
  });

  it("an LRU map keeps what programs look up", () => {
    const map = make("BPF_MAP_TYPE_LRU_HASH", 4, 4, 100);
    for (let i = 0; i < 100; i++) map.update(u32(i), u32(i));
    withScratch((at) => {
      for (let round = 0; round < 10; round++) {
        for (let i = 0; i < 20; i++) {
          module.memory.write(at, u32(i));
          expect(map.program.lookupElem(at, 0)).not.toBe(0);
        }
        for (let i = 0; i < 50; i++) map.update(u32(1000 + round * 50 + i), u32(0));
        expect(map.count).toBe(100);
      }
    });
    expect([...map.entries()]).toHaveLength(100);
    map.close();
  });
});

describe("ring buffer", () => {
  const PAGE = 4096;

  it("holds at most its size less 8 bytes, in order, and counts what it loses", () => {
    const ring = make("BPF_MAP_TYPE_RINGBUF", 0, 0, PAGE) as EmbeddedEventMap;
    let stored = 0;
    while (ring.program.ringbufReserve(56, 0) !== 0) stored++;
    expect(stored).toBe(PAGE / 64 - 1);
    expect(ring.lost).toBe(1);
    expect(ring.program.ringbufQuery(0)).toBe(stored * 64);
    expect(ring.program.ringbufQuery(1)).toBe(PAGE);
    expect(ring.drain()).toEqual([]); // all are still being written
    ring.close();
  });

  it("gives records that pass the end in one piece", () => {
    const ring = make("BPF_MAP_TYPE_RINGBUF", 0, 0, PAGE) as EmbeddedEventMap;
    withScratch((at) => {
      for (let i = 0; i < 1000; i++) {
        const size = 1 + ((i * 37) % 700);
        module.memory.u8.fill(i & 255, at, at + size);
        expect(ring.program.ringbufOutput(at, size, 0)).toBe(0);
        const [record, ...rest] = ring.drain();
        expect(rest).toEqual([]);
        expect(record.data).toEqual(new Uint8Array(size).fill(i & 255));
      }
    });
    expect(ring.program.ringbufQuery(2)).toBe(ring.program.ringbufQuery(3));
    ring.close();
  });

  it("waits for the oldest record, skips discarded ones, wakes as the flags say", () => {
    const ring = make("BPF_MAP_TYPE_RINGBUF", 0, 0, PAGE) as EmbeddedEventMap;
    const records = [1, 2, 3].map((n) => {
      const record = ring.program.ringbufReserve(4, 0);
      module.memory.write(record, u32(n));
      return record;
    });
    ring.program.ringbufSubmit(records[2], 0);
    expect([ring.wakeups, ring.drain()]).toEqual([0, []]);
    ring.program.ringbufDiscard(records[1], 0);
    ring.program.ringbufSubmit(records[0], 0);
    expect(ring.wakeups).toBe(1);
    expect(ring.drain().map(({ data }) => num(data))).toEqual([1, 3]);
    withScratch((at) => {
      expect(ring.program.ringbufOutput(at, 4, 1)).toBe(0); // BPF_RB_NO_WAKEUP
      expect(ring.wakeups).toBe(1);
      expect(ring.program.ringbufOutput(at, 4, 2)).toBe(0); // BPF_RB_FORCE_WAKEUP
      expect(ring.wakeups).toBe(2);
      expect(ring.program.ringbufOutput(at, 4, 4)).toBe(-22);
    });
    expect(ring.program.ringbufReserve(8, 1)).toBe(0);
    expect(ring.program.ringbufReserve(0x40000000, 0)).toBe(0);
    ring.close();
  });

  it("user ring buffer: the host fills, the program empties", () => {
    const ring = make("BPF_MAP_TYPE_USER_RINGBUF", 0, 0, PAGE) as EmbeddedUserRing;
    expect(ring.program.userRingbufPeek()).toBe(-61);
    for (let i = 0; i < 300; i++) {
      expect(ring.produce(new Uint8Array(100 + i).fill(i & 255))).toBe(true);
      const sample = ring.program.userRingbufPeek();
      if (typeof sample === "number") throw new Error(`errno ${sample}`);
      expect(module.memory.read(sample.address, sample.size)).toEqual(new Uint8Array(100 + i).fill(i & 255));
      ring.program.userRingbufRelease();
    }
    let room = 0;
    while (ring.produce(new Uint8Array(248))) room++;
    expect(room).toBe(PAGE / 256);
    ring.close();
  });
});

describe("other kinds", () => {
  it("perf event array: per-CPU buffers, bounded, losses counted", () => {
    const perf = make("BPF_MAP_TYPE_PERF_EVENT_ARRAY", 4, 4, 4) as EmbeddedEventMap;
    const data = new Uint8Array(65536);
    expect(perf.program.eventOutput(0, 0, u32(1))).toBe(0);
    expect(perf.program.eventOutput(1, 0, u32(1))).toBe(-95);
    expect(perf.program.eventOutput(3, 3, u32(1))).toBe(-2);
    expect(perf.program.eventOutput(4, 4, u32(1))).toBe(-7);
    let stored = 0;
    while (perf.program.eventOutput(1, 1, data) === 0) stored++;
    expect(stored).toBe(15);
    expect(perf.lost).toBe(1);
    expect(perf.drain().map(({ cpu }) => cpu)).toEqual([0, ...new Array(15).fill(1)]);
    expect(perf.program.eventOutput(1, 1, data)).toBe(0);
    perf.close();
  });

  it("arena: pages come zeroed, in one range, and go back", () => {
    const arena = make("BPF_MAP_TYPE_ARENA", 0, 0, 10, { flags: 0x400 }) as EmbeddedArena;
    const { program } = arena;
    expect(program.arenaAlloc(0, 4)).toBe(arena.base);
    expect(program.arenaAlloc(0, 7)).toBe(0);
    expect(program.arenaAlloc(arena.base, 1)).toBe(0);
    expect(program.arenaAlloc(arena.base + 5 * 4096, 2)).toBe(arena.base + 5 * 4096);
    module.memory.u8[arena.base] = 9;
    program.arenaFree(arena.base, 4);
    expect(program.arenaAlloc(0, 5)).toBe(arena.base);
    expect(module.memory.u8[arena.base]).toBe(0);
    expect(arena.count).toBe(7);
    arena.close();
  });

  it("local storage: made at first use, from the initialiser or zero", () => {
    const map = make("BPF_MAP_TYPE_TASK_STORAGE", 4, 8, 0, { flags: 1, keyType: 1, valueType: 1 });
    expect(map.program.storageGet(5, false, 0, 0)).toBe(0);
    withScratch((at) => {
      module.memory.write(at, new Uint8Array(8).fill(7));
      const value = map.program.storageGet(5, true, at, 0);
      expect(module.memory.read(value, 8)).toEqual(new Uint8Array(8).fill(7));
      expect(map.program.storageGet(5, true, 0, 0)).toBe(value);
    });
    expect(map.lookup(u32(5))).toEqual(new Uint8Array(8).fill(7));
    expect(map.program.storageDelete(5)).toBe(0);
    expect(map.program.storageDelete(5)).toBe(-2);
    map.close();
  });

  it("an inner map lives until the outer one lets go of it", () => {
    const used = module.exports.allocatedBytes();
    const inner = make("BPF_MAP_TYPE_ARRAY", 4, 4, 2, {}, { id: 9 });
    const outer = make(
      "BPF_MAP_TYPE_ARRAY_OF_MAPS",
      4,
      4,
      2,
      { inner: inner.spec },
      { registry: { mapById: (id) => (id === 9 ? inner : undefined), programById: () => undefined } },
    );
    outer.update(u32(1), u32(9));
    withScratch((at) => {
      module.memory.write(at, u32(1));
      expect(outer.program.lookupElem(at, 0)).toBe(inner.address);
      inner.close();
      expect(outer.program.lookupElem(at, 0)).toBe(inner.address);
    });
    expect(num(outer.lookup(u32(1)))).toBe(9);
    outer.close();
    expect(module.exports.allocatedBytes()).toBe(used);
  });

  it("prog array: programs alike, their code where engines look", () => {
    const programs = [
      { id: 3, address: 0x1000, name: "a", type: "BPF_PROG_TYPE_XDP" as const },
      { id: 4, address: 0x2000, name: "b", type: "BPF_PROG_TYPE_SCHED_CLS" as const },
    ];
    const registry = {
      mapById: () => undefined,
      programById: (id: number) => programs.find((p) => p.id === id),
    };
    const map = make("BPF_MAP_TYPE_PROG_ARRAY", 4, 4, 2, {}, { registry });
    map.update(u32(1), u32(3));
    expect(map.program.programAt(1)).toBe(programs[0]);
    expect(map.program.programAt(0)).toBeUndefined();
    expect(num(map.lookup(u32(1)))).toBe(3);
    expect(() => map.update(u32(0), u32(4))).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    expect(map.delete(u32(1))).toBe(true);
    expect(map.program.programAt(1)).toBeUndefined();
    map.close();
  });

  it("stack traces: the same stack has the same id", () => {
    const map = make("BPF_MAP_TYPE_STACK_TRACE", 4, 24, 64);
    const id = map.program.stackId([1n, 2n], 0);
    expect(map.program.stackId([1n, 2n], 0)).toBe(id);
    expect(map.lookup(u32(id))).toEqual(new Uint8Array(new BigUint64Array([1n, 2n, 0n]).buffer));
    expect([...map.entries()]).toHaveLength(1);
    map.close();
  });

  it("struct_ops is a typed error", () => {
    expect(() => make("BPF_MAP_TYPE_STRUCT_OPS", 4, 8, 1)).toThrow(
      expect.objectContaining({ code: "runtime/map-unsupported" }),
    );
    expect(Object.values(MAP_KINDS).filter((kind) => typeof kind === "string")).toHaveLength(1);
  });
});

/** struct { u32 count; struct bpf_spin_lock lock; u64 rest; struct bpf_timer timer; } */
const BTF: Btf = {
  baseCount: 0,
  types: [
    { kind: "void", name: "" },
    {
      kind: "int",
      name: "u32",
      size: 4,
      bits: 32,
      bitOffset: 0,
      encoding: { signed: false, char: false, bool: false },
    },
    {
      kind: "struct",
      name: "bpf_spin_lock",
      size: 4,
      kindFlag: false,
      members: [{ name: "val", type: 1, bitOffset: 0, bitSize: 0 }],
    },
    { kind: "struct", name: "bpf_timer", size: 16, kindFlag: false, members: [] },
    {
      kind: "struct",
      name: "value",
      size: 32,
      kindFlag: false,
      members: [
        { name: "count", type: 1, bitOffset: 0, bitSize: 0 },
        { name: "lock", type: 2, bitOffset: 32, bitSize: 0 },
        { name: "rest", type: 1, bitOffset: 64, bitSize: 0 },
        { name: "timer", type: 3, bitOffset: 128, bitSize: 0 },
      ],
    },
    {
      kind: "struct",
      name: "timed",
      size: 16,
      kindFlag: false,
      members: [{ name: "timer", type: 3, bitOffset: 0, bitSize: 0 }],
    },
  ],
};

describe("special fields", () => {
  const ones = new Uint8Array(32).fill(1);
  const shown = ones.map((byte, i) => ((i >= 4 && i < 8) || i >= 16 ? 0 : byte));

  it.each(["BPF_MAP_TYPE_ARRAY", "BPF_MAP_TYPE_HASH"] as const)(
    "%s: kept by updates, hidden from the host, let go with the element",
    (type) => {
      const freed: number[] = [];
      const onFree = (_map: EmbeddedMap, value: number) => void freed.push(value);
      const map = make(type, 4, 32, 1, { keyType: 1, valueType: 4 }, { btf: BTF, onFree });
      expect(map.fields.map(({ kind, offset }) => [kind, offset])).toEqual([
        ["spin-lock", 4],
        ["timer", 16],
      ]);
      map.update(u32(0), ones);
      freed.length = 0;
      expect(map.lookup(u32(0))).toEqual(shown);
      withScratch((at) => {
        module.memory.write(at, u32(0));
        const value = map.program.lookupElem(at, 0);
        module.memory.u8.fill(9, value + 4, value + 8);
        map.update(u32(0), ones, 4); // BPF_F_LOCK: in place
        expect(module.memory.u8[value + 4]).toBe(9);
        expect(freed).toEqual([value]);
      });
      expect(map.lookup(u32(0))).toEqual(shown);
      map.close();
    },
  );

  it("an evicted element is let go; a spin lock in an LRU map is EOPNOTSUPP", () => {
    const freed: number[] = [];
    const onFree = (_map: EmbeddedMap, value: number) => void freed.push(value);
    const timer = { keyType: 1, valueType: 5 };
    const map = make("BPF_MAP_TYPE_LRU_HASH", 4, 16, 2, timer, { btf: BTF, onFree });
    const zero = new Uint8Array(16);
    for (let i = 0; i < 3; i++) map.update(u32(i), zero);
    expect([freed.length, map.count]).toEqual([1, 2]);
    map.delete(u32(2));
    expect(freed).toHaveLength(2);
    map.close();
    expect(freed).toHaveLength(3);
    expect(() => make("BPF_MAP_TYPE_LRU_HASH", 4, 32, 2, { keyType: 1, valueType: 4 }, { btf: BTF })).toThrow(
      expect.objectContaining({ errno: "EOPNOTSUPP" }),
    );
  });

  it("BPF_F_LOCK without a lock is EINVAL", () => {
    const map = make("BPF_MAP_TYPE_HASH", 4, 32, 1);
    expect(() => map.update(u32(0), ones, 4)).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    map.close();
  });
});

describe("memory", () => {
  it("10,000 maps made and closed leave it as it was", () => {
    const shapes = [
      ["BPF_MAP_TYPE_ARRAY", 4, 100, 50, 0],
      ["BPF_MAP_TYPE_HASH", 4, 8, 5000, 0],
      ["BPF_MAP_TYPE_HASH", 4, 8, 5000, 1],
      ["BPF_MAP_TYPE_LRU_HASH", 16, 8, 300, 0],
      ["BPF_MAP_TYPE_LPM_TRIE", 8, 8, 300, 1],
      ["BPF_MAP_TYPE_QUEUE", 0, 8, 300, 0],
      ["BPF_MAP_TYPE_BLOOM_FILTER", 0, 8, 300, 0],
      ["BPF_MAP_TYPE_RINGBUF", 0, 0, 65536, 0],
      ["BPF_MAP_TYPE_DEVMAP", 4, 8, 64, 0],
      ["BPF_MAP_TYPE_ARENA", 0, 0, 20, 0x400],
    ] as const;
    const cycle = () => {
      for (const [type, key, value, max, flags] of shapes) {
        const map = make(type, key, value, max, { flags });
        if (key === 4 && value === 8) map.update(u32(1), new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
        map.close();
      }
    };
    cycle();
    const used = module.exports.allocatedBytes();
    const size = module.memory.wasm.buffer.byteLength;
    for (let i = 0; i < 1000; i++) cycle();
    expect(module.exports.allocatedBytes()).toBe(used);
    expect(module.memory.wasm.buffer.byteLength).toBe(size);
  });

  it("what does not fit is ENOMEM or E2BIG, and costs nothing", () => {
    const used = module.exports.allocatedBytes();
    for (const [type, key, value, max, flags] of [
      ["BPF_MAP_TYPE_ARRAY", 4, 0x7fffffff, 0xffffffff, 0],
      ["BPF_MAP_TYPE_ARRAY", 4, 0x7fffffff, 1, 0],
      ["BPF_MAP_TYPE_HASH", 4, 0x3ffff0, 0x7fffffff, 0],
      ["BPF_MAP_TYPE_HASH", 4, 1000, 1 << 27, 0],
      ["BPF_MAP_TYPE_LRU_PERCPU_HASH", 4, 32768, 1 << 20, 0],
      ["BPF_MAP_TYPE_QUEUE", 0, 1 << 20, 0xffffffff, 0],
      ["BPF_MAP_TYPE_BLOOM_FILTER", 0, 4, 0xffffffff, 0],
      ["BPF_MAP_TYPE_RINGBUF", 0, 0, 0x80000000, 0],
      ["BPF_MAP_TYPE_PROG_ARRAY", 4, 4, 0xffffffff, 0],
      ["BPF_MAP_TYPE_ARENA", 0, 0, 1 << 20, 0x400],
    ] as const) {
      let errno = "none";
      try {
        make(type, key, value, max, { flags }).close();
        errno = "made";
      } catch (error) {
        errno = (error as { errno?: string }).errno ?? String(error);
      }
      expect([type, ["ENOMEM", "E2BIG", "made"].includes(errno), errno]).toEqual([type, true, errno]);
      expect(module.exports.allocatedBytes()).toBe(used);
    }
  });

  it("globals start with the section's bytes", () => {
    const data = new Uint8Array([1, 2, 3, 4, 5]);
    const map = make("BPF_MAP_TYPE_ARRAY", 4, 5, 1, { data, flags: 0x400 });
    expect(map.lookup(u32(0))).toEqual(data);
    map.close();
    expect(() => make("BPF_MAP_TYPE_HASH", 4, 5, 1, { data })).toThrow(
      expect.objectContaining({ code: "runtime/map-create" }),
    );
  });
});

// ---- against naive models ----

type Command = {
  readonly op: "set" | "new" | "old" | "delete" | "get";
  readonly key: number;
  readonly value: number;
};
const command = fc.record({
  op: fc.constantFrom<Command["op"]>("set", "set", "new", "old", "delete", "get"),
  key: fc.nat(40),
  value: fc.nat(0xffff),
});
const FLAGS = { set: 0, new: 1, old: 2 } as const;

function errnoOf(run: () => unknown): string {
  try {
    run();
    return "ok";
  } catch (error) {
    return (error as { errno?: string }).errno ?? String(error);
  }
}

describe("models", () => {
  it.each([
    ["BPF_MAP_TYPE_HASH", 4, 0],
    ["BPF_MAP_TYPE_HASH", 4, 1],
    ["BPF_MAP_TYPE_HASH", 8, 0],
    ["BPF_MAP_TYPE_HASH", 7, 0x40],
    ["BPF_MAP_TYPE_HASH", 19, 1],
    ["BPF_MAP_TYPE_LRU_HASH", 12, 0],
  ] as const)("%s, %d-byte keys, flags %d = Map", (type, keySize, flags) => {
    const keyOf = (n: number) => new Uint8Array(keySize).fill(n, keySize - 3);
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const max = type === "BPF_MAP_TYPE_HASH" ? 16 : 64;
        const map = make(type, keySize, 4, max, { flags });
        const model = new Map<number, number>();
        for (const { op, key, value } of commands) {
          if (op === "get") expect(num(map.lookup(keyOf(key)))).toBe(model.get(key));
          else if (op === "delete") expect(map.delete(keyOf(key))).toBe(model.delete(key));
          else {
            const known = model.has(key);
            let want = "ok";
            if (op === "new" && known) want = "EEXIST";
            else if (op === "old" && !known) want = "ENOENT";
            else if (!known && model.size >= max) want = "E2BIG";
            if (want === "ok") model.set(key, value);
            expect(errnoOf(() => map.update(keyOf(key), u32(value), FLAGS[op]))).toBe(want);
          }
          expect(map.count).toBe(model.size);
        }
        const got = [...map.entries()].map(([key, value]) => [key[keySize - 1], num(value)]);
        expect(got.sort((a, b) => a[0]! - b[0]!)).toEqual([...model].sort((a, b) => a[0] - b[0]));
        map.close();
      }),
      { numRuns: 60 },
    );
  });

  it.each([4, 8, 3, 16])("LPM trie with %d-byte addresses = longest of all matching prefixes", (size) => {
    const address = fc
      .uint8Array({ minLength: size, maxLength: size })
      .map((bytes) => bytes.map((b) => b & 0x83));
    const entry = fc.record({ address, length: fc.nat(size * 8), remove: fc.boolean() });
    const keyOf = (length: number, bytes: Uint8Array) => new Uint8Array([...u32(length), ...bytes]);
    const bits = (bytes: Uint8Array, length: number) =>
      [...bytes]
        .map((b) => b.toString(2).padStart(8, "0"))
        .join("")
        .slice(0, length);
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 60 }),
        fc.array(address, { maxLength: 30 }),
        (entries, asked) => {
          const map = make("BPF_MAP_TYPE_LPM_TRIE", 4 + size, 4, 40, { flags: 1 });
          const model = new Map<string, number>();
          for (const [i, { address: at, length, remove }] of entries.entries()) {
            const text = bits(at, length);
            if (remove) expect(map.delete(keyOf(length, at))).toBe(model.delete(text));
            else {
              const full = !model.has(text) && model.size >= 40;
              if (!full) model.set(text, i);
              expect(errnoOf(() => map.update(keyOf(length, at), u32(i)))).toBe(full ? "ENOSPC" : "ok");
            }
          }
          for (const at of [...asked, ...entries.map((e) => e.address)]) {
            const text = bits(at, size * 8);
            let want: number | undefined;
            for (let n = 0; n <= size * 8; n++) want = model.get(text.slice(0, n)) ?? want;
            expect(num(map.lookup(keyOf(size * 8, at)))).toBe(want);
          }
          const listed = [...map.entries()].map(([key, value]) => [
            bits(key.subarray(4), num(key)!),
            num(value),
          ]);
          expect(new Map(listed as [string, number][])).toEqual(model);
          expect([listed.length, map.count]).toEqual([model.size, model.size]);
          // More specific ones first.
          for (const [i, [text]] of listed.entries()) {
            const covered = listed
              .slice(i + 1)
              .some(([later]) => later !== text && String(later).startsWith(String(text)));
            expect(covered).toBe(false);
          }
          map.close();
        },
      ),
      { numRuns: 80 },
    );
  });

  it("LPM trie: a trie that is looked up a lot (shortcuts) answers as a list of prefixes", () => {
    const map = make("BPF_MAP_TYPE_LPM_TRIE", 8, 4, 500, { flags: 1 });
    let state = 7;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state;
    };
    const keyOf = (length: number, address: number) =>
      new Uint8Array([
        ...u32(length),
        address >>> 24,
        (address >>> 16) & 255,
        (address >>> 8) & 255,
        address & 255,
      ]);
    const mask = (length: number) => (length === 0 ? 0 : (-1 << (32 - length)) >>> 0);
    const routes: { length: number; address: number; value: number }[] = [];
    const best = (address: number, limit: number) => {
      let found: (typeof routes)[0] | undefined;
      for (const route of routes) {
        const hit = route.length <= limit && (address & mask(route.length)) >>> 0 === route.address;
        if (hit && (found === undefined || route.length > found.length)) found = route;
      }
      return found?.value;
    };
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 100; i++) {
        const length = [0, 1, 5, 8, 11, 12, 13, 16, 24, 32][next() % 10];
        const address = (next() & 0xf0f3ffff & mask(length)) >>> 0;
        if (routes.some((route) => route.length === length && route.address === address)) continue;
        routes.push({ length, address, value: i });
        map.update(keyOf(length, address), u32(i));
      }
      for (let i = 0; i < 6000; i++) {
        const near = routes[next() % routes.length].address;
        const address = i % 3 === 0 ? next() : (near ^ (next() & 0xffff)) >>> 0;
        const limit = i % 50 === 0 ? next() % 33 : 32;
        const want = best(address, limit);
        const got = num(map.lookup(keyOf(limit, address)));
        if (got !== want) expect([round, i, address, limit, got]).toEqual([round, i, address, limit, want]);
      }
      const gone = routes.splice(next() % routes.length, 1)[0];
      expect(map.delete(keyOf(gone.length, gone.address))).toBe(true);
      expect(num(map.lookup(keyOf(32, gone.address)))).toBe(best(gone.address, 32));
    }
    map.close();
  });

  it.each(["BPF_MAP_TYPE_QUEUE", "BPF_MAP_TYPE_STACK"] as const)("%s = array", (type) => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("push", "force", "pop", "peek"), { maxLength: 100 }), (ops) => {
        const map = make(type, 0, 4, 5);
        const none = new Uint8Array(0);
        const model: number[] = [];
        for (const [i, op] of ops.entries()) {
          const end = type === "BPF_MAP_TYPE_QUEUE" ? 0 : model.length - 1;
          if (op === "peek") expect(num(map.lookup(none))).toBe(model[end]);
          else if (op === "pop") expect(num(map.lookupAndDelete(none))).toBe(model.splice(end, 1)[0]);
          else {
            const full = model.length === 5;
            if (op === "push" || !full) {
              if (!full) model.push(i);
            } else {
              model.shift();
              model.push(i);
            }
            const want = full && op === "push" ? "E2BIG" : "ok";
            expect(errnoOf(() => map.update(none, u32(i), op === "push" ? 0 : 2))).toBe(want);
          }
          expect(map.count).toBe(model.length);
        }
        map.close();
      }),
    );
  });

  it("an LRU map never exceeds max_entries, and an update always succeeds", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), fc.boolean()), { maxLength: 400 }), (steps) => {
        const map = make("BPF_MAP_TYPE_LRU_HASH", 4, 4, 10);
        for (const [key, remove] of steps) {
          if (remove) map.delete(u32(key));
          else {
            map.update(u32(key), u32(key + 1));
            expect(num(map.lookup(u32(key)))).toBe(key + 1);
          }
          expect(map.count).toBeLessThanOrEqual(10);
        }
        expect([...map.entries()]).toHaveLength(map.count);
        for (const [key, value] of map.entries()) expect(num(value)).toBe(num(key)! + 1);
        map.close();
      }),
    );
  });
});
