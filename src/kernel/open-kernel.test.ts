import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readObject } from "../object/index.ts";
import { openKernel } from "./index.ts";

it.each([
  ["what the verifier accepted is not counted", {}, undefined],
  ["unless asked for", { metered: true }, 2],
  ["unverified programs are counted", { unverified: true }, 2],
] as const)("compiled: %s", async (_, options, insns) => {
  using kernel = await openKernel("embedded", { engine: "jit", ...options });
  using collection = await kernel.load(readObject(readFileSync("fixtures/bench/noop.bpf.o")));
  expect(collection.programs.get("noop")!.run({ data: new Uint8Array(64) }).insns).toBe(insns);
});
