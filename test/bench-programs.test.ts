import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../src/base/index.ts";
import { type Kernel, readObject } from "../src/object/index.ts";
import { ENGINES, openEmbeddedKernel } from "../src/runtime/index.ts";
import { openRunningKernel, whyNoLinux } from "./linux/open.ts";

/** One entry of fixtures/bench/inputs.json: what to put in, what must come out. Bytes in hex. */
interface Bench {
  readonly object: string;
  readonly maps?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
  readonly runs: readonly {
    readonly packet: string;
    readonly retval: number;
    readonly packet_out?: string;
  }[];
  readonly maps_after?: Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;
}

const folder = join(import.meta.dirname, "../fixtures/bench");
const benches = JSON.parse(readFileSync(join(folder, "inputs.json"), "utf8")) as Record<string, Bench>;
const NUM_CPUS = 4;

/** The 64-bit words of a per-CPU value, summed over the CPUs. */
function summed(value: Uint8Array, numCpus: number): string {
  const words = new BigUint64Array(value.slice().buffer);
  const each = words.length / numCpus;
  const sums = new BigUint64Array(each);
  for (const [i, word] of words.entries()) sums[i % each] += word;
  return toHex(new Uint8Array(sums.buffer));
}

/** Every kernel that the suite runs on. */
const KERNELS: Readonly<Record<string, { readonly skip?: string | undefined; open(): Promise<Kernel> }>> = {
  ...Object.fromEntries(
    ENGINES.map((engine) => [engine, { open: () => openEmbeddedKernel({ numCpus: NUM_CPUS, engine }) }]),
  ),
  "unmetered jit": {
    open: () => openEmbeddedKernel({ numCpus: NUM_CPUS, engine: "jit", metered: false }),
  },
  linux: { skip: whyNoLinux(), open: () => openRunningKernel() },
};

const cases = Object.entries(benches).flatMap(([name, bench]) =>
  Object.entries(KERNELS).map(([where, { skip, open }]) => ({ name, where, skip, open, bench })),
);

describe.each(cases)("$name, $where", ({ name, skip, open, bench }) => {
  it.skipIf(skip !== undefined)(
    `gives the return values, packets and maps of inputs.json ${skip ?? ""}`,
    async () => {
      using kernel = await open();
      using collection = await kernel.load(readObject(readFileSync(join(folder, bench.object))));
      for (const [map, pairs] of Object.entries(bench.maps ?? {})) {
        for (const [key, value] of pairs) collection.maps.get(map)!.update(fromHex(key), fromHex(value));
      }
      const program = collection.programs.get(name)!;
      bench.runs.forEach(({ packet, retval, packet_out }, i) => {
        const result = program.run({ data: fromHex(packet), cpu: i % kernel.numCpus });
        expect(result.retval).toBe(retval);
        expect(toHex(result.data!)).toBe(packet_out ?? packet);
      });
      for (const [map, pairs] of Object.entries(bench.maps_after ?? {})) {
        const live = collection.maps.get(map)!;
        const perCpu = live.type.includes("PERCPU");
        const contents = [...live.entries()].map(([key, value]) => [
          toHex(key),
          perCpu ? summed(value, kernel.numCpus) : toHex(value),
        ]);
        expect(contents.sort()).toEqual(pairs.map((pair) => [...pair]).sort());
      }
    },
  );
});

it("the whole set is there", () => expect(Object.keys(benches)).toHaveLength(11));
