import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { BpfError } from "../base/index.ts";
import { linkObjects, objectRelocations, readObject, requirementsOf } from "./index.ts";

/**
 * Damaged objects: bytes, numbers and whole headers of our committed objects changed at random. Every one must be read
 * or refused with a BpfError, in less than a second. `SKEP_FUZZ_RUNS` says how many; `SKEP_FUZZ_SEED` which.
 */
const runs = Number(process.env.SKEP_FUZZ_RUNS ?? 3000);
const seed = Number(process.env.SKEP_FUZZ_SEED ?? 1);

const objects = [
  fileURLToPath(new URL("../../fixtures/object/", import.meta.url)),
  ...oracleFolders(),
].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".o"))
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(folder, name))) }))
    .filter(({ bytes }) => bytes.length < 200_000),
);

/** With `SKEP_ORACLE`, the kernel's selftests and libbpf-tools are damaged too. */
function oracleFolders(): string[] {
  const oracle = process.env.SKEP_ORACLE;
  if (oracle === undefined) return [];
  return ["obj/st-v3", "obj/linked", "obj/carved/libbpf-tools"]
    .map((folder) => join(oracle, folder))
    .filter(existsSync);
}

/** xorshift32: small, and the same everywhere. */
function generator(start: number): (below: number) => number {
  let state = start | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const NUMBERS = [0, 1, 2, 7, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];

function damage(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  const headers = Number(view.getBigUint64(40, out[5] === 1));
  for (let i = 1 + random(6); i > 0; i--) {
    // half of the hits into headers, symbols and types, where the structure is
    const at = random(2) === 0 ? random(out.length - 8) : headers + random(out.length - headers - 8);
    switch (random(5)) {
      case 0:
        out[at] ^= 1 << random(8);
        break;
      case 1:
        out[at] = random(256);
        break;
      case 2:
        view.setUint32(at & ~3, NUMBERS[random(NUMBERS.length)], out[5] === 1);
        break;
      case 3:
        view.setUint32(at & ~3, random(out.length), out[5] === 1);
        break;
      default:
        out.copyWithin(at, random(out.length - 8), random(out.length));
    }
  }
  return random(20) === 0 ? out.subarray(0, random(out.length)) : out;
}

it(`reads or refuses ${runs} damaged objects`, () => {
  const random = generator(seed * 2654435761);
  let refused = 0;
  let slowest = 0;
  for (let run = 0; run < runs; run++) {
    const { name, bytes } = objects[random(objects.length)];
    const damaged = damage(bytes, random);
    const start = performance.now();
    try {
      requirementsOf(readObject(damaged));
      objectRelocations(damaged);
      linkObjects([damaged]);
    } catch (error) {
      if (!(error instanceof BpfError)) {
        throw new Error(`run ${run} (seed ${seed}) on ${name}: ${String(error)}`, { cause: error });
      }
      refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  // a second each, whatever else the machine does meanwhile
  expect(slowest).toBeLessThan(1000);
  // damage is neither always fatal nor always harmless, or this test would prove nothing
  expect(refused).toBeGreaterThan(runs / 10);
  expect(refused).toBeLessThan(runs);
}, 3_600_000);
