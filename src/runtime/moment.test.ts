import { describe, expect, it } from "vitest";
import { openEmbeddedKernel } from "./embedded-kernel.ts";
import type { EngineName } from "./engine.ts";
import { defaultHost } from "./host.ts";
import { specOf } from "./spec.fixture.ts";

/** Each reading of the clock and each random number is one more than the one before. */
function countingHost() {
  let clock = 0n;
  let random = 0;
  return { ...defaultHost(), nowNs: () => ++clock, random32: () => ++random };
}

async function run(engine: EngineName, text: string): Promise<number> {
  const kernel = await openEmbeddedKernel({ engine, host: countingHost() });
  const { programs } = await kernel.load(specOf({ text, type: "BPF_PROG_TYPE_XDP" }));
  const [program] = programs.values();
  return program.run({ data: new Uint8Array(14) }).retval;
}

/** What a second reading adds to the first one, `between` readings later. */
const clock = (between: number) => `
  call 5
  r6 = r0
${"  call 5\n".repeat(between)}  call 5
  r0 -= r6
  exit`;

describe("helpers about the moment", () => {
  it.each<[EngineName, number, number]>([
    ["interpreter", 0, 1],
    ["interpreter", 15, 16],
    ["jit", 0, 0],
    ["jit", 14, 0],
    ["jit", 15, 1],
    ["jit", 31, 2],
  ])(
    "%s: the clock has moved by as many readings as it should after %i more",
    async (engine, between, moved) => {
      expect(await run(engine, clock(between))).toBe(moved);
    },
  );

  it.each<EngineName>(["interpreter", "jit"])(
    "%s: random numbers come in the host's order",
    async (engine) => {
      const steps = "r6 = r0\ncall 7\nr1 = r0\nr1 -= r6\nr7 <<= 1\nr7 |= r1\n";
      // 20 numbers, each one above the one before: more than are fetched at once.
      expect(await run(engine, `r7 = 0\ncall 7\n${steps.repeat(20)}r0 = r7\nexit`)).toBe(2 ** 20 - 1);
    },
  );
});
