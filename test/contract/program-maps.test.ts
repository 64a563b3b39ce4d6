// A program's view of maps: the same results, flags and errnos from both engines and from the running kernel.
import { release } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { versionCode } from "../../src/linux/version.ts";
import { type EmbeddedKernel, openEmbeddedKernel } from "../../src/runtime/index.ts";
import { fixedHost } from "../differential/host.ts";
import { LinuxOracle } from "../differential/kernel.ts";
import { runOnEmbedded, runOnLinux } from "../differential/run-case.ts";
import { PROGRAM_CASES, programCase } from "./program-map-cases.ts";

const opened = await LinuxOracle.open();
const oracle = typeof opened === "string" ? undefined : opened;
afterAll(() => oracle?.close());

const NAMES = ["interpreter", "jit"] as const;
const numCpus = oracle?.numCpus ?? 2;
let kernels: EmbeddedKernel[] = [];
beforeAll(async () => {
  kernels = await Promise.all(
    NAMES.map((engine) => openEmbeddedKernel({ host: fixedHost(numCpus), engine })),
  );
});
afterAll(() => {
  for (const kernel of kernels) kernel[Symbol.dispose]();
});

/** Map operations of Linux return an int before 6.4: the upper half of r0 says nothing. */
const RETURNS_INT = versionCode(release()) < versionCode("6.4");
/** Results with what counts of them; values that were popped are whole numbers below 2^32. */
const asReturned = (results: readonly string[]) =>
  RETURNS_INT ? results.map((entry) => entry.slice(0, -8)) : results;

describe.each(PROGRAM_CASES)("$type, flags $flags", (row) => {
  const test = programCase(row);

  it("is the same in both engines", async () => {
    const [interpreted, compiled] = await Promise.all(kernels.map((kernel) => runOnEmbedded(kernel, test)));
    expect(interpreted.runs[0].errno).toBeUndefined();
    expect(compiled).toEqual(interpreted);
    expect(new Set(compiled.maps.results.map((entry) => entry.split("=")[1])).size).toBeGreaterThan(1);
  });

  it.skipIf(oracle === undefined)(
    `is what the running kernel gives${oracle === undefined ? ` (skipped: ${opened})` : ""}`,
    async () => {
      const want = await runOnLinux(oracle as LinuxOracle, test);
      expect(want).not.toHaveProperty("rejected");
      const got = await runOnEmbedded(kernels[1], test);
      expect(asReturned(got.maps.results)).toEqual(asReturned((want as typeof got).maps.results));
      expect({ ...got.maps, results: [] }).toEqual({ ...(want as typeof got).maps, results: [] });
    },
  );
});
