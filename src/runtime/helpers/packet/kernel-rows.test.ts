import { beforeAll, describe, expect, it } from "vitest";
import { type KernelModule, openKernelModule } from "../../wasm-module.ts";
import { PACKET_ROWS } from "./kernel-rows.fixture.ts";
import recorded from "./kernel-rows.linux-6.18.json" with { type: "json" };
import { type RowResult, runRow } from "./row-runner.fixture.ts";

const ANSWERS: Record<string, RowResult> = recorded;

let module: KernelModule;
beforeAll(async () => {
  module = await openKernelModule();
});

describe("packet helpers and hooks do as Linux 6.18 did", () => {
  it("has one answer for each row", () => {
    expect(new Set(PACKET_ROWS.map((row) => row.name)).size).toBe(PACKET_ROWS.length);
    expect(Object.keys(ANSWERS)).toEqual(PACKET_ROWS.map((row) => row.name));
  });

  it.each(PACKET_ROWS.map((row) => [row.name, row] as const))("%s", (name, row) => {
    expect(runRow(row, module)).toEqual(ANSWERS[name]);
  });
});
