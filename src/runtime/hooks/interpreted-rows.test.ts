import { describe, expect, it } from "vitest";
import { BpfError, fromHex, toHex } from "../../base/index.ts";
import type { CollectionSpec, MapSpec, ProgramSpec } from "../../object/index.ts";
import { type EmbeddedKernel, openEmbeddedKernel } from "../embedded-kernel.ts";
import { ENGINES } from "../engine.ts";
import {
  PACKET_ROWS,
  type PacketRow,
  SCRATCH_AT,
  toInsns,
  VALUE_BYTES,
} from "../helpers/packet/kernel-rows.fixture.ts";
import recorded from "../helpers/packet/kernel-rows.linux-6.18.json" with { type: "json" };
import { packetHex, type RowResult, readValue } from "../helpers/packet/row-runner.fixture.ts";

// The rows of helpers/packet once more, as programs: contexts, bounds of packet pointers and arguments pass through the
// interpreter.
const ANSWERS: Record<string, RowResult> = recorded;
const MAP: MapSpec = {
  name: "value",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: VALUE_BYTES,
  maxEntries: 1,
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
};

const network = { mtu: (ifindex: number) => (ifindex === 1 ? 65536 : undefined) };

describe.each(ENGINES)("packet rows through the engine, %s", async (engine) => {
  const kernel = await openEmbeddedKernel({ engine, host: { network } });
  it.each(PACKET_ROWS.map((row) => [row.name, row] as const))("%s", async (name, row) => {
    expect(await runRow(kernel, row)).toEqual(ANSWERS[name]);
  });
});

async function runRow(kernel: EmbeddedKernel, row: PacketRow): Promise<RowResult> {
  const program: ProgramSpec = {
    name: "row",
    section: "",
    type: row.type,
    attachType: undefined,
    attachTo: undefined,
    flags: { sleepable: false, xdpFrags: row.frags === true },
    autoload: true,
    insns: toInsns(row, 0),
    references: [{ kind: "map-value", insn: 1, map: "value", offset: 0 }],
    coreRelocations: [],
    funcs: [{ name: "row", insn: 0, btfId: 0, linkage: "global" }],
    lines: [],
  };
  const spec: CollectionSpec = {
    programs: [program],
    maps: [MAP],
    externs: [],
    structOps: [],
    btf: undefined,
    license: "GPL",
    kernelVersion: 0,
    byteOrder: "little",
  };
  using collection = await kernel.load(spec);
  const map = collection.maps.get("value");
  const value = new Uint8Array(VALUE_BYTES);
  value.set(fromHex(row.scratch ?? ""), SCRATCH_AT);
  map?.update(new Uint8Array(4), value);
  try {
    const ctx = row.ctx === undefined ? {} : { ctx: fromHex(row.ctx) };
    const run = collection.programs.get("row")?.run({ data: fromHex(row.data), ...ctx });
    return {
      ...readValue(row, map?.lookup(new Uint8Array(4)) ?? new Uint8Array(0)),
      data: packetHex(run?.data ?? new Uint8Array(0)),
      ...(row.ctx === undefined ? {} : { ctx: toHex(run?.ctx ?? new Uint8Array(0)) }),
    };
  } catch (error) {
    if (error instanceof BpfError && error.code === "runtime/bad-input") return { errno: error.errno ?? "" };
    throw error;
  }
}
