import { openKernel } from "../../src/kernel/index.ts";
import { packPackets, readObject } from "../../src/object/index.ts";
import { webWorkers } from "../../src/runtime/index.ts";

/** Packets of a batch. */
const BATCH = 5_000;

/** Spreads packets over web workers: what each CPU counted, or the code of the error where there can be none. */
export async function spread(object: Uint8Array, workers: number, batches: number) {
  try {
    const kernel = await openKernel("embedded", {
      engine: "jit",
      workers: webWorkers(workers, () => new Worker("/kernel-worker.js", { type: "module" })),
    });
    const { programs, maps } = await kernel.load(readObject(object), { programs: ["xdp_count"] });
    const batch = packPackets(Array.from({ length: BATCH }, (_, n) => new Uint8Array(60 + (n % 40))));
    let ran = 0;
    for await (const { result } of programs.get("xdp_count")!.runBatches(new Array(batches).fill(batch)))
      ran += result.count;
    const perCpu = maps.get("percpu")!.lookup(new Uint8Array(4))!;
    kernel[Symbol.dispose]();
    return { ran, perCpu: [...new BigUint64Array(perCpu.slice().buffer)].map(Number) };
  } catch (error) {
    return { code: (error as { code?: string }).code, message: String(error) };
  }
}
