// Loaders without all capabilities: generated programs before our verifier and the running kernel, which judges them under
// the same capabilities. Verdict, message, instruction and cost are the same. SKEP_PRIVILEGES=N: N programs of each kind and
// set (default 250). For whole corpora: privileges.ts.
import { readFileSync } from "node:fs";
import { afterAll, expect, it } from "vitest";
import { parseBtf } from "../../src/btf/index.ts";
import { Verifier, type VerifierProgram } from "../../src/verifier/index.ts";
import { accessProgram } from "./access-programs.ts";
import { pointerProgram } from "./pointer-programs.ts";
import { askedSets, compare } from "./privileges-compare.ts";
import { RunningKernel } from "./running-kernel.ts";

const COUNT = Number(process.env.SKEP_PRIVILEGES ?? 250);
const kernel = await RunningKernel.openSame();
const missing = typeof kernel === "string" ? kernel : undefined;
const kernelBtf = missing === undefined ? parseBtf(readFileSync("/sys/kernel/btf/vmlinux")) : undefined;
const MAKERS: Readonly<Record<string, (seed: number) => VerifierProgram>> = {
  pointers: pointerProgram,
  accesses: (seed) => accessProgram(seed, kernelBtf),
};
const CASES = Object.entries(missing === undefined ? askedSets() : { bpf: [] }).flatMap(
  ([set, capabilities]) => Object.keys(MAKERS).map((maker) => ({ set, capabilities, maker })),
);

afterAll(() => {
  if (typeof kernel !== "string") kernel.close();
});

it.skipIf(missing !== undefined).each(CASES)(
  `$maker as Linux judges them for $set${missing ? ` (skipped: ${missing})` : ""}`,
  async ({ capabilities, maker }) => {
    if (typeof kernel === "string") throw new Error(kernel);
    const verifier = new Verifier();
    const different: string[] = [];
    let accepted = 0;
    for (let seed = 1; seed <= COUNT; seed++) {
      const compared = await compare(verifier, kernel, MAKERS[maker](seed), capabilities);
      if (compared.accepted) accepted++;
      if (compared.parting === "agree" || compared.parting === "unasked") continue;
      different.push(`seed ${seed}, ${compared.parting}: ${compared.text}`);
    }
    expect(different).toEqual([]);
    expect(accepted).toBeGreaterThan(0);
  },
  300_000,
);
