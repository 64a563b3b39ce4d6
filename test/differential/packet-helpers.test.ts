import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/index.ts";
import {
  PACKET_ROWS,
  type PacketRow,
  progFlags,
  SCRATCH_AT,
  toInsns,
  VALUE_BYTES,
} from "../../src/runtime/helpers/packet/kernel-rows.fixture.ts";
import { packetHex, type RowResult, readValue } from "../../src/runtime/helpers/packet/row-runner.fixture.ts";
import { LinuxOracle } from "./kernel.ts";

// The answers that src/runtime/helpers/packet/kernel-rows.test.ts compares with, asked again of the running kernel.
// UPDATE_GOLDEN=1 writes them down.
const RECORDED = join(import.meta.dirname, "../../src/runtime/helpers/packet/kernel-rows.linux-6.18.json");
const opened = await LinuxOracle.open();
const reason = typeof opened === "string" ? opened : "";

describe.skipIf(reason !== "")(`packet helpers in the kernel${reason && ` (skipped: ${reason})`}`, () => {
  const oracle = opened as LinuxOracle;
  afterAll(() => oracle.close());

  it("answers as recorded", { timeout: 120_000 }, async () => {
    const answers: Record<string, RowResult> = {};
    for (const row of PACKET_ROWS) answers[row.name] = await runOnLinux(oracle, row);
    if (process.env.UPDATE_GOLDEN) {
      const lines = Object.entries(answers).map(
        ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
      );
      writeFileSync(RECORDED, `{\n${lines.join(",\n")}\n}\n`);
    }
    const { default: recorded } = await import(RECORDED, { with: { type: "json" } });
    expect(answers).toEqual(recorded);
  });
});

async function runOnLinux(oracle: LinuxOracle, row: PacketRow): Promise<RowResult> {
  await oracle.reset();
  const map = await oracle.createMap({
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: VALUE_BYTES,
    maxEntries: 1,
  });
  if (typeof map === "string") throw new Error(`map: ${map}`);
  const value = new Uint8Array(VALUE_BYTES);
  value.set(fromHex(row.scratch ?? ""), SCRATCH_AT);
  await oracle.update(map, new Uint8Array(4), value);
  const program = await oracle.loadProgram({
    type: row.type,
    flags: progFlags(row),
    insns: toInsns(row, map),
  });
  if (typeof program !== "number") throw new Error(`${row.name}: ${program.errno}\n${program.log}`);
  const ctx = row.ctx === undefined ? {} : { ctx: fromHex(row.ctx) };
  const run = await oracle.run(program, { data: fromHex(row.data), ...ctx });
  if (run.errno !== undefined) return { errno: run.errno };
  const after = await oracle.lookup(map, new Uint8Array(4));
  if (typeof after === "string") throw new Error(`${row.name}: ${after}`);
  return {
    ...readValue(row, after),
    data: packetHex(run.data ?? new Uint8Array(0)),
    ...(row.ctx === undefined ? {} : { ctx: toHex(run.ctx ?? new Uint8Array(0)) }),
  };
}
