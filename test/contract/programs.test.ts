// The contract of programs over both kernels: the same object, inputs and steps give the same results and the same errors.
// Maps have rows of their own next door; typed maps and globals of a generated module are in test/gen.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { BpfError, toHex } from "../../src/base/index.ts";
import { readCapture } from "../../src/capture/index.ts";
import { openKernel } from "../../src/kernel/index.ts";
import {
  type Collection,
  type CollectionSpec,
  type Kernel,
  loadTyped,
  type Program,
  type RunInput,
  readObject,
  typedMap,
} from "../../src/object/index.ts";
import { specOf } from "../../src/runtime/spec.fixture.ts";
import { whyNoLinux } from "../linux/open.ts";

const fixtures = join(import.meta.dirname, "../../fixtures");
const object = (path: string): CollectionSpec => readObject(readFileSync(join(fixtures, path)));
const packets = readCapture(readFileSync(join(fixtures, "demo/traffic.pcapng"))).packets.map(
  ({ data }) => data,
);
const noLinux = whyNoLinux();

/** What a kernel answers: results, or the errno of the error. */
type Answers = readonly unknown[];
type Ask = (kernel: Kernel) => Promise<Answers>;

function answer(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    if (error instanceof BpfError && error.errno !== undefined) return error.errno;
    throw error;
  }
}

function run(program: Program, input: RunInput): unknown {
  return answer(() => {
    const { retval, data, ctx } = program.run(input);
    return { retval, ...(data && { data: toHex(data) }), ...(ctx && input.ctx && { ctx: toHex(ctx) }) };
  });
}

function only(collection: Collection): Program {
  const [program] = collection.programs.values();
  return program;
}

async function loadText(
  kernel: Kernel,
  text: string,
  type: NonNullable<Program["type"]>,
): Promise<Collection> {
  return kernel.load(specOf({ text, type }));
}

const index = (n: number): Uint8Array => new Uint8Array(new Uint32Array([n]).buffer);
const bytes = (length: number, value = 0): Uint8Array => new Uint8Array(length).fill(value);

/** Each gives the same in both kernels; `want` says what, where it can be said in a line. */
const CASES: readonly {
  readonly name: string;
  readonly ask: Ask;
  readonly want?: (answers: Answers) => void;
}[] = [
  {
    name: "the demo over its capture: verdicts, counters, records, globals",
    async ask(kernel) {
      using coll = await loadTyped(kernel, object("demo/guard.bpf.o"), {}, { drops: "drop_event" });
      const guard = coll.collection.programs.get("guard")!;
      const maps = coll.maps as Record<string, ReturnType<typeof typedMap>>;
      maps.blocked.update({ prefixlen: 24, addr: [198, 51, 100, 0] }, 0);
      const verdicts = packets.map((data) => run(guard, { data }));
      const sorted = [...maps.by_protocol].sort(([a], [b]) => Number(a) - Number(b));
      const events = (coll.events as { drops: { drain(): { data: unknown }[] } }).drops.drain();
      const { not_ip, blocked_port } = coll.globals as Record<string, unknown>;
      return [verdicts, sorted, events.map(({ data }) => data), not_ip, blocked_port, [...maps.blocked]];
    },
    want([verdicts, counters, events]) {
      expect((verdicts as unknown[]).length).toBe(packets.length);
      expect((counters as unknown[]).length).toBeGreaterThan(2);
      expect((events as unknown[]).length).toBeGreaterThan(1);
    },
  },
  {
    name: "packets of every length around the limits of a test run",
    async ask(kernel) {
      const answers: unknown[] = [];
      for (const type of [
        "BPF_PROG_TYPE_XDP",
        "BPF_PROG_TYPE_SCHED_CLS",
        "BPF_PROG_TYPE_SOCKET_FILTER",
      ] as const) {
        using collection = await loadText(kernel, "r0 = 2\nexit", type);
        for (const length of [0, 1, 13, 14, 15, 33, 34, 60, 64, 1500, 3000]) {
          answers.push([type, length, run(only(collection), { data: bytes(length) })]);
        }
      }
      return answers;
    },
  },
  {
    name: "contexts: read back, too long, with fields that a test cannot set",
    async ask(kernel) {
      using collection = await loadText(
        kernel,
        "r2 = 77\n*(u32 *)(r1 + 8) = r2\nr0 = 0\nexit", // constants cannot be stored there before Linux 6.3
        "BPF_PROG_TYPE_SCHED_CLS",
      );
      const program = only(collection);
      const ctx = (length: number, at = -1) => {
        const view = new DataView(new ArrayBuffer(length));
        if (at >= 0) view.setUint32(at, 5, true);
        return new Uint8Array(view.buffer);
      };
      const data = bytes(64);
      return [
        run(program, { data, ctx: ctx(192) }),
        run(program, { data, ctx: ctx(192, 8) }),
        run(program, { data, ctx: ctx(192, 0) }),
        run(program, { data, ctx: ctx(192, 32) }),
        run(program, { data, ctx: ctx(8) }),
      ];
    },
    want: ([first]) => expect(first).toMatchObject({ retval: 0 }),
  },
  {
    name: "programs that get a context alone: raw tracepoint arguments; a system call's, which it changes",
    async ask(kernel) {
      const sum = "r2 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 + 8)\nr0 += r2\nexit";
      using raw = await loadText(kernel, sum, "BPF_PROG_TYPE_RAW_TRACEPOINT");
      const write = "r2 = *(u32 *)(r1 + 0)\nr2 += 1\n*(u32 *)(r1 + 4) = r2\nr0 = 9\nexit";
      const spec = specOf({ text: write, type: "BPF_PROG_TYPE_SYSCALL" });
      const flags = { sleepable: true, xdpFrags: false };
      using call = await kernel.load({
        ...spec,
        programs: spec.programs.map((program) => ({ ...program, flags })),
      });
      const ctx = new Uint8Array(new BigUint64Array([5n, 7n]).buffer);
      return [
        run(only(raw), { ctx }),
        run(only(raw), { ctx, data: bytes(64) }),
        run(only(call), { ctx }),
        toHex(ctx),
      ];
    },
    want([first, , third]) {
      expect(first).toMatchObject({ retval: 12 });
      expect(third).toMatchObject({ retval: 9, ctx: "05000000060000000700000000000000" });
    },
  },
  {
    name: "tail calls: an empty slot, a full one, itself until the limit, a program of another type",
    async ask(kernel) {
      using collection = await kernel.load(object("gen/shapes.bpf.o"));
      const [count, jumped] = ["count", "jumped"].map((name) => collection.programs.get(name)!);
      const jumps = typedMap<number, number, number | Program>(collection.maps.get("jumps")!);
      const data = bytes(64);
      const answers: unknown[] = [run(count, { data })];
      jumps.update(0, jumped);
      answers.push(run(count, { data }));
      jumps.update(0, count);
      answers.push(run(count, { data }));
      const globals = typedMap(collection.maps.get(".bss")!);
      answers.push(globals.lookup(0));
      using other = await loadText(kernel, "r0 = 2\nexit", "BPF_PROG_TYPE_XDP");
      answers.push(answer(() => jumps.update(0, only(other))));
      answers.push(
        answer(() => jumps.update(2, jumped)),
        answer(() => jumps.update(0, 0x7fffffff)),
      );
      answers.push(
        jumps.delete(0),
        answer(() => jumps.delete(0)),
        run(count, { data }),
      );
      return answers;
    },
    want(answers) {
      expect(answers[0]).toMatchObject({ retval: 1 });
      expect(answers[1]).toMatchObject({ retval: 200 });
      // Twice before; then once and 33 jumps.
      expect(answers[3]).toMatchObject({ runs: 36n });
      expect(answers.slice(4, 7)).toEqual(["EINVAL", "E2BIG", "EBADF"]);
    },
  },
  {
    name: "maps of maps: what programs see when the inner map is exchanged, taken out, or of another form",
    async ask(kernel) {
      using collection = await kernel.load(object("gen/shapes.bpf.o"));
      using second = await kernel.load(object("gen/shapes.bpf.o"));
      const count = collection.programs.get("count")!;
      const data = bytes(64);
      type Inner = { readonly name: string; readonly id: number };
      const outer = typedMap<number, number, number | Inner>(collection.maps.get("outer")!);
      const inner = [collection, second].map(({ maps }) => typedMap<number, bigint>(maps.get("inner")!));
      const sums = () => inner.map((map) => map.lookup(0));
      const answers: unknown[] = [outer.lookup(0)];
      for (const map of [...inner, inner[1]]) {
        outer.update(0, map);
        run(count, { data });
        answers.push(outer.lookup(0) === map.id, sums());
      }
      answers.push(outer.delete(0));
      run(count, { data });
      answers.push(sums(), outer.lookup(0));
      answers.push(answer(() => outer.update(0, collection.maps.get("per_cpu")!)));
      answers.push(
        answer(() => outer.update(2, inner[0])),
        answer(() => outer.update(0, 0x7fffffff)),
      );
      return answers;
    },
    want: (answers) =>
      expect(answers.slice(0, 8)).toEqual([undefined, true, [7n, 0n], true, [7n, 7n], true, [7n, 14n], true]),
  },
  {
    name: "globals: set before and between runs, read by the program, written by it",
    async ask(kernel) {
      const globals = { limit: 9, verbose: true, origin: { x: 3, y: 4 } };
      using collection = await kernel.load(object("gen/shapes.bpf.o"), { globals });
      const count = collection.programs.get("count")!;
      const bss = typedMap<number, { runs: bigint }>(collection.maps.get(".bss")!);
      const rodata = collection.maps.get(".rodata")!;
      const answers: unknown[] = [run(count, { data: bytes(64) }), bss.lookup(0)];
      bss.update(0, { runs: 100n });
      answers.push(run(count, { data: bytes(64) }), bss.lookup(0));
      answers.push(typedMap(collection.maps.get(".data")!).lookup(0), typedMap(rodata).lookup(0));
      answers.push(answer(() => rodata.update(index(0), bytes(rodata.spec.valueSize))));
      const wrong = kernel.load(object("gen/shapes.bpf.o"), { globals: { limits: 1 } });
      answers.push(await wrong.catch(({ code }: BpfError) => code));
      return answers;
    },
    want(answers) {
      expect(answers[0]).toMatchObject({ retval: 100 });
      expect(answers[2]).toMatchObject({ retval: 1 });
      expect(answers.slice(6)).toEqual(["EPERM", "object/no-such-global"]);
    },
  },
  {
    name: "ring buffer records in order; a full buffer keeps the oldest; room comes back",
    async ask(kernel) {
      using coll = await loadTyped(kernel, object("gen/shapes.bpf.o"), {}, { reports: "report" });
      const count = coll.collection.programs.get("count")!;
      const { reports } = coll.events as { reports: { drain(): { data: { count: bigint } }[] } };
      const counts = () => reports.drain().map(({ data }) => data.count);
      const burst = (times: number) => {
        for (let i = 0; i < times; i++) run(count, { data: bytes(64) });
      };
      burst(10);
      const answers: unknown[] = [counts(), counts()];
      burst(200);
      answers.push(counts());
      burst(5);
      answers.push(counts());
      return answers;
    },
    want(answers) {
      expect(answers[0]).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(i + 1)));
      expect(answers[1]).toEqual([]);
      expect((answers[2] as unknown[]).length).toBeLessThan(200);
    },
  },
  {
    name: "repeats, and what a queue holds afterwards",
    async ask(kernel) {
      using collection = await kernel.load(object("gen/shapes.bpf.o"));
      const count = collection.programs.get("count")!;
      const { retval } = count.run({ data: bytes(64), repeat: 50 });
      const queue = typedMap<undefined, string>(collection.maps.get("queue")!);
      const popped = Array.from({ length: 5 }, () => queue.lookupAndDelete(undefined));
      const perCpu = typedMap<number, bigint[]>(collection.maps.get("per_cpu")!).lookup(0);
      return [retval, popped, perCpu?.reduce((a, b) => a + b)];
    },
    want: (answers) => expect(answers).toEqual([1, [...Array(4).fill("COLOR_GREEN"), undefined], 150n]),
  },
  {
    name: "rejected programs: the errno of the verifier",
    async ask(kernel) {
      const texts = [
        "exit",
        "r0 = r2\nexit",
        "r0 = *(u64 *)(r1 + 400)\nexit",
        "r1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit",
        "r0 = 1\nr0 += r10\nexit",
      ];
      const answers: unknown[] = [];
      for (const text of texts) {
        const loading = loadText(kernel, text, "BPF_PROG_TYPE_XDP");
        answers.push(
          await loading.then(
            (collection) => {
              collection[Symbol.dispose]();
              return "loads";
            },
            ({ errno }: BpfError) => errno,
          ),
        );
      }
      return answers;
    },
    want: (answers) => expect(answers).toEqual([...Array(4).fill("EACCES"), "loads"]),
  },
];

describe.each([
  { name: "interpreter", open: () => openKernel("embedded", { numCpus: 2 }) },
  { name: "jit", open: () => openKernel("embedded", { numCpus: 2, engine: "jit" }) },
] as const)("embedded kernel, $name", ({ open }) => {
  it.each(CASES)("$name", async ({ ask, want }) => {
    using kernel = await open();
    const answers = await ask(kernel);
    expect(answers.length).toBeGreaterThan(0);
    want?.(answers);
  });
});

describe.skipIf(noLinux !== undefined)(`the running kernel as the embedded one ${noLinux ?? ""}`, () => {
  const embedded = new Map<string, Answers>();
  beforeAll(async () => {
    for (const { name, ask } of CASES) {
      using kernel = await openKernel("embedded", { numCpus: 2 });
      embedded.set(name, await ask(kernel));
    }
  });

  it.each(CASES)("$name", async ({ name, ask, want }) => {
    using kernel = await openKernel("linux");
    const answers = await ask(kernel);
    want?.(answers);
    expect(answers).toEqual(embedded.get(name));
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  });
});
