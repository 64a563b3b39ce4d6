import { afterAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/index.ts";
import {
  assembleProgram,
  HOOK_PROGRAMS,
  type HookProgram,
} from "../../src/runtime/hooks/programs.fixture.ts";
import { LinuxOracle } from "./kernel.ts";

// The expectations of src/runtime/hooks/programs.test.ts, asked again of the running kernel.
const opened = await LinuxOracle.open();
const reason = typeof opened === "string" ? opened : "";

describe.skipIf(reason !== "")(
  `programs of all types in the kernel${reason && ` (skipped: ${reason})`}`,
  () => {
    const oracle = opened as LinuxOracle;
    afterAll(() => oracle.close());

    const asked = HOOK_PROGRAMS.filter((program) => program.notOnLinux === undefined);
    it.each(asked.map((program) => [program.name, program] as const))("%s", async (_name, program) => {
      expect(await runOnLinux(oracle, program)).toEqual(program.want);
    });
  },
);

async function runOnLinux(oracle: LinuxOracle, program: HookProgram): Promise<HookProgram["want"]> {
  await oracle.reset();
  let map = 0;
  if (program.map) {
    const { type, valueSize, entries } = program.map;
    const id = await oracle.createMap({ type, keySize: 4, valueSize, maxEntries: 4 });
    if (typeof id === "string") throw new Error(`map: ${id}`);
    for (const [key, value] of entries) {
      const refused = await oracle.update(id, fromHex(key), fromHex(value));
      if (refused) throw new Error(`map element: ${refused}`);
    }
    map = id;
  }
  const { type, attachType } = program;
  const { insns } = assembleProgram(program, map);
  const id = await oracle.loadProgram({ type, insns, ...(attachType && { attachType }) });
  if (typeof id !== "number") throw new Error(`${id.errno}\n${id.log}`);
  const input = {
    ...(program.data !== undefined && { data: fromHex(program.data) }),
    ...(program.ctx !== undefined && { ctx: fromHex(program.ctx) }),
  };
  const run = await oracle.run(id, input);
  if (run.errno !== undefined) return { errno: run.errno };
  return {
    retval: run.retval,
    ...(program.want.data !== undefined && { data: toHex(run.data ?? new Uint8Array(0)) }),
    ...(program.want.ctx !== undefined && { ctx: toHex(run.ctx ?? new Uint8Array(0)) }),
  };
}
