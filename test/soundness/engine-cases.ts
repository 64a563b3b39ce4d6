import { type RandomCase, type RandomMap, randomCase } from "../differential/random-program.ts";
import { seeded } from "../differential/scalar-program.ts";
import { randomInput, randomNumbers } from "./random-input.ts";
import { ELEMENTS, soundnessProgram, VALUE_BYTES } from "./random-program.ts";

/** Runs of one program that reckons. */
const INPUTS = 3;

/**
 * A program, maps and packets for all engines: by turns of `differential/random-program.ts` (every helper, loops, calls,
 * callbacks, tail calls, all kinds of map) and of `random-program.ts` (unknown numbers as offsets, spills, atomics).
 */
export function engineCase(seed: number): RandomCase {
  return seed % 2 === 0 ? randomCase(seed >> 1) : reckoningCase(seed >> 1);
}

function reckoningCase(seed: number): RandomCase {
  const { insns, constants } = soundnessProgram(seed, 4 + (seed % 12));
  const random = seeded(seed ^ 0x5eed);
  const inputs = Array.from({ length: INPUTS }, () => randomInput(random, constants));
  const values: RandomMap = {
    name: "values",
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: VALUE_BYTES,
    maxEntries: ELEMENTS,
    flags: 0,
    entries: Array.from({ length: ELEMENTS }, (_, key) => ({
      key: Uint8Array.of(key, 0, 0, 0),
      value: randomNumbers(random, VALUE_BYTES, constants),
    })),
  };
  return {
    seed,
    type: "BPF_PROG_TYPE_SCHED_CLS",
    frags: false,
    maps: [values],
    programs: [{ insns, functions: [] }],
    slots: [],
    packets: inputs.map(({ data }) => data),
    contexts: inputs.map(({ ctx }) => ctx),
  };
}
