import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BpfError } from "../src/base/index.ts";
import { elfSections } from "../src/btf/elf-sections.fixture.ts";
import {
  alignOf,
  type Btf,
  type BtfExt,
  codecFor,
  formatBtfC,
  formatBtfRaw,
  parseBtf,
  parseBtfExt,
  writeBtf,
} from "../src/btf/index.ts";
import { applyCoreRelocations } from "../src/object/core/index.ts";

/**
 * Damaged BTF: whatever the bytes, the result is a value or a BpfError, and it comes soon.
 * `SKEP_FUZZ_RUNS` sets the number of inputs (default 3000).
 */
const runs = Number(process.env.SKEP_FUZZ_RUNS ?? 3000);
/** Milliseconds one input may take on a busy machine. Usual is below 5. */
const SLOW = 5000;

const files = ["reader", "kernel-moved", "kernel-twice"].map((name) =>
  elfSections(new Uint8Array(readFileSync(new URL(`../fixtures/core/${name}.bpf.o`, import.meta.url)))),
);
const btfs = files.map((sections) => sections.get(".BTF") ?? new Uint8Array(0));
const readerExt = files[0].get(".BTF.ext") ?? new Uint8Array(0);
const reader = parseBtf(btfs[0]);
const readerRelocations = parseBtfExt(readerExt, reader);
const kernels = btfs.slice(1).map((bytes) => parseBtf(bytes));

/** Undefined on a BpfError; other errors pass through and fail the test. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof BpfError && /^(btf|core)\//.test(error.code)) return undefined;
    throw error;
  }
}

/** One change: [where, as a part of the length; what; how]. */
const change = fc.tuple(
  // Evenly spread: fast-check prefers small numbers, which would always hit the header.
  fc.noBias(fc.nat(99_999)).map((place) => place / 100_000),
  fc.oneof(fc.nat(255), fc.nat(30), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
  fc.constantFrom("byte", "word", "word", "word", "bit", "bit", "copy", "cut"),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function mutate(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  let out = bytes.slice();
  for (const [place, value, how] of changes) {
    const at = Math.floor(place * out.length);
    const word = at & ~3;
    switch (how) {
      case "byte":
        out[at] = value;
        break;
      case "bit":
        out[at] ^= 1 << (value & 7);
        break;
      case "word":
        // A small number where an id, a size or a count may be.
        out.fill(0, word, word + 4);
        out[word] = value;
        break;
      case "copy":
        out.copyWithin(word, (value * 4) % out.length, ((value * 4) % out.length) + 12);
        break;
      case "cut":
        if (value > 240) out = out.slice(0, at);
        break;
    }
  }
  return out;
}

function exercise(btf: Btf): void {
  const raw = formatBtfRaw(btf);
  attempt(() => formatBtfC(btf));
  attempt(() => formatBtfC(btf, { order: "id" }));
  const again = attempt(() => parseBtf(writeBtf(btf)));
  if (again !== undefined) expect(formatBtfRaw(again) === raw).toBe(true);
  for (let id = 0; id < btf.types.length; id++) {
    attempt(() => alignOf(btf, id));
    const codec = attempt(() => codecFor(btf, id));
    if (codec === undefined || codec.size > 4096) continue;
    const value = codec.decode(new Uint8Array(codec.size).fill(0x41));
    attempt(() => codec.encode(value));
  }
}

function relocate(local: Btf, ext: BtfExt, target: Btf | undefined): void {
  const insns = new Uint8Array(8 * 64).fill(0xb7);
  for (const relo of ext.coreRelocations) {
    attempt(() =>
      applyCoreRelocations({ insns, coreRelocations: [{ ...relo, insn: relo.insn % 80 }] }, local, target),
    );
  }
}

describe(`damaged BTF (${runs} inputs)`, () => {
  const changes = fc.array(change, { minLength: 1, maxLength: 4 });
  const tally = { read: 0, refused: 0, slowestMs: 0 };

  it("gives a value or a BpfError, soon", () => {
    fc.assert(
      fc.property(
        fc.nat(btfs.length - 1),
        changes,
        fc.boolean(),
        changes,
        (which, btfChanges, hurtExt, extChanges) => {
          const start = performance.now();
          const btf = attempt(() => parseBtf(mutate(btfs[which], btfChanges)));
          tally[btf === undefined ? "refused" : "read"]++;
          if (btf !== undefined) {
            exercise(btf);
            relocate(reader, readerRelocations, btf);
          }
          const local = which === 0 ? (btf ?? reader) : reader;
          const ext = attempt(() => parseBtfExt(hurtExt ? mutate(readerExt, extChanges) : readerExt, local));
          if (ext !== undefined) {
            relocate(local, ext, kernels[0]);
            relocate(local, ext, undefined);
          }
          const took = performance.now() - start;
          tally.slowestMs = Math.max(tally.slowestMs, took);
          expect(took).toBeLessThan(SLOW);
        },
      ),
      // Shrinking a slow input takes for ever; the seed is reported.
      { numRuns: runs, endOnFailure: true },
    );
    // Both outcomes must be common, or the mutations test nothing.
    expect(tally.read).toBeGreaterThan(runs / 10);
    expect(tally.refused).toBeGreaterThan(runs / 10);
    if (process.env.SKEP_FUZZ_RUNS !== undefined) process.stderr.write(`${JSON.stringify(tally)}\n`);
  }, 3_600_000);
});
