import { toHex } from "../../src/base/index.ts";
import type { LinuxOracle, MapId } from "./kernel.ts";
import type { RandomCase } from "./random-program.ts";

/** What a case did: comparable between kernels, all bytes in hex. */
export interface CaseResult {
  readonly runs: readonly { readonly retval: number; readonly data: string; readonly errno?: string }[];
  /** By map name, sorted by key. Ring buffers: their records in order. Queues: from the front. */
  readonly maps: Readonly<Record<string, readonly string[]>>;
}

/** Loads and runs a case in the running kernel; the verifier's words when it refuses. */
export async function runOnLinux(
  oracle: LinuxOracle,
  test: RandomCase,
): Promise<CaseResult | { rejected: string }> {
  await oracle.reset();
  const ids: MapId[] = [];
  for (const map of test.maps) {
    const id = await oracle.createMap(map);
    if (typeof id === "string") throw new Error(`map ${map.name}: ${id}`);
    ids.push(id);
    for (const { key, value } of map.entries) await oracle.update(id, key, value);
  }
  const programs: number[] = [];
  for (const { insns } of test.programs) {
    const program = await oracle.loadProgram({ type: test.type, insns });
    if (typeof program !== "number") return { rejected: `${program.errno}: ${program.log}` };
    programs.push(program);
  }
  const tails = test.maps.findIndex((map) => map.name === "tails");
  for (const [slot, program] of test.slots.entries()) {
    const refused = await oracle.update(ids[tails], key32(slot), { program: programs[program] });
    if (refused) return { rejected: `tail call slot ${slot}: ${refused}` };
  }
  const runs = [];
  for (const packet of test.packets) {
    const run = await oracle.run(programs[0], { data: packet });
    runs.push({
      retval: run.retval,
      data: run.data ? toHex(run.data) : "",
      ...(run.errno && { errno: run.errno }),
    });
  }
  const maps: Record<string, string[]> = {};
  for (const [i, map] of test.maps.entries()) {
    if (map.name === "tails") continue;
    if (map.type === "BPF_MAP_TYPE_RINGBUF") maps[map.name] = (await oracle.drain(ids[i])).map(toHex);
    else if (map.keySize === 0) {
      const values = [];
      for (;;) {
        const value = await oracle.lookupAndDelete(ids[i], new Uint8Array());
        if (typeof value === "string") break;
        values.push(toHex(value));
      }
      maps[map.name] = values;
    } else {
      const entries = await oracle.dump(ids[i]);
      maps[map.name] = entries.map(({ key, value }) => `${toHex(key)}=${toHex(value)}`).sort();
    }
  }
  return { runs, maps };
}

/** A u32 key in memory order. */
export function key32(n: number): Uint8Array {
  return Uint8Array.of(n, n >> 8, n >> 16, n >> 24);
}
