// One table: what programs do to maps, by kind: each row a map and operations in order, small enough to be read.
import type { MapTypeName } from "../../src/abi/index.ts";
import type { RandomCase, RandomMap } from "../differential/random-program.ts";

/** An operation: its helper, key, value and flags. */
export type ProgramStep =
  | { readonly do: "lookup" | "delete"; readonly key: bigint }
  | { readonly do: "update"; readonly key: bigint; readonly value: number; readonly flags: number }
  | { readonly do: "push"; readonly value: number; readonly flags: number }
  | { readonly do: "output"; readonly value: number; readonly flags: number }
  | { readonly do: "pop" }
  /** Bloom filters look for `value`. */
  | { readonly do: "peek"; readonly value?: number };

/** A map, and what a program does to it. */
export interface ProgramCase {
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly steps: readonly ProgramStep[];
}

const lookup = (key: bigint): ProgramStep => ({ do: "lookup", key });
const remove = (key: bigint): ProgramStep => ({ do: "delete", key });
const update = (key: bigint, value: number, flags = 0): ProgramStep => ({ do: "update", key, value, flags });
const push = (value: number, flags = 0): ProgramStep => ({ do: "push", value, flags });
const pop: ProgramStep = { do: "pop" };
const peek: ProgramStep = { do: "peek" };
const has = (value: number): ProgramStep => ({ do: "peek", value });
const output = (value: number, flags: number): ProgramStep => ({ do: "output", value, flags });
/** Key of a trie: prefix length, then an address whose first byte is given. */
const route = (bits: bigint, first: bigint) => bits | (first << 32n);

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST, both, BPF_F_LOCK without a lock, and one that does not exist. */
const FLAGS = [0, 1, 2, 3, 4, 8];
const NO_PREALLOC = 1;

/** On keys there and not there, before and after the map is full. */
const KEYED: readonly ProgramStep[] = [
  lookup(0n),
  remove(0n),
  ...FLAGS.flatMap((flags, i) => [update(0n, 10 + i, flags), lookup(0n)]),
  ...FLAGS.flatMap((flags, i) => [update(1n, 20 + i, flags), lookup(1n)]),
  update(2n, 30),
  update(3n, 31),
  update(4n, 32),
  update(4n, 33, 2),
  lookup(2n),
  lookup(3n),
  lookup(4n),
  remove(1n),
  remove(1n),
  update(4n, 34, 1),
  lookup(1n),
  lookup(4n),
];

const ENDED: readonly ProgramStep[] = [
  pop,
  peek,
  ...FLAGS.flatMap((flags, i) => [push(40 + i, flags), peek]),
  push(50),
  push(51),
  push(52),
  push(53, 2),
  peek,
  pop,
  pop,
  peek,
  pop,
  pop,
  pop,
  pop,
];

const ROUTES: readonly ProgramStep[] = [
  lookup(route(32n, 10n)),
  update(route(0n, 0n), 1),
  update(route(8n, 10n), 2),
  update(route(6n, 8n), 3, 1),
  update(route(6n, 8n), 4, 1),
  update(route(6n, 8n), 5, 2),
  update(route(7n, 8n), 5, 2),
  update(route(33n, 8n), 6),
  update(route(8n, 11n), 7, 3),
  update(route(8n, 12n), 8),
  update(route(8n, 13n), 9),
  lookup(route(32n, 10n)),
  lookup(route(7n, 10n)),
  lookup(route(32n, 200n)),
  lookup(route(33n, 10n)),
  remove(route(8n, 10n)),
  remove(route(8n, 10n)),
  remove(route(33n, 10n)),
  lookup(route(32n, 10n)),
];

const keyed = (type: MapTypeName, flags = 0, steps = KEYED): ProgramCase => ({
  type,
  keySize: 4,
  maxEntries: 4,
  flags,
  steps,
});
const ended = (type: MapTypeName): ProgramCase => ({
  type,
  keySize: 0,
  maxEntries: 4,
  flags: 0,
  steps: ENDED,
});

/** The table. */
export const PROGRAM_CASES: readonly ProgramCase[] = [
  keyed("BPF_MAP_TYPE_ARRAY"),
  keyed("BPF_MAP_TYPE_PERCPU_ARRAY"),
  keyed("BPF_MAP_TYPE_HASH"),
  keyed("BPF_MAP_TYPE_HASH", NO_PREALLOC),
  keyed("BPF_MAP_TYPE_PERCPU_HASH"),
  // Which element a full LRU map gives up is Linux's own business: no more keys than fit.
  keyed("BPF_MAP_TYPE_LRU_HASH", 0, KEYED.slice(0, 26)),
  keyed("BPF_MAP_TYPE_LRU_PERCPU_HASH", 0, KEYED.slice(0, 26)),
  { type: "BPF_MAP_TYPE_LPM_TRIE", keySize: 8, maxEntries: 4, flags: NO_PREALLOC, steps: ROUTES },
  ended("BPF_MAP_TYPE_QUEUE"),
  ended("BPF_MAP_TYPE_STACK"),
  {
    type: "BPF_MAP_TYPE_BLOOM_FILTER",
    keySize: 0,
    maxEntries: 64,
    flags: 0,
    steps: [has(1), push(1), has(1), push(2, 1), push(2, 2), push(3, 4), push(3), has(3)],
  },
  {
    type: "BPF_MAP_TYPE_RINGBUF",
    keySize: 0,
    maxEntries: 4096,
    flags: 0,
    steps: [0, 1, 2, 3, 4, 0].map((flags, i) => output(60 + i, flags)),
  },
];

const CALLS = { lookup: 1, update: 2, delete: 3, push: 87, pop: 88, peek: 89, output: 130 } as const;
const VALUE_BYTES = 8;
const RESULTS = 128;
const FP = 10;

/** The row as programs and maps: what each step gave lies in the map `results`, the values that pop and peek gave after it. */
export function programCase({ type, keySize, maxEntries, flags, steps }: ProgramCase): RandomCase {
  const out: number[] = [];
  const emit = (opcode: number, dst: number, src: number, off: number, imm: number) => {
    const insn = new Uint8Array(8);
    const view = new DataView(insn.buffer);
    insn[0] = opcode;
    insn[1] = dst | (src << 4);
    view.setInt16(2, off, true);
    view.setInt32(4, imm, true);
    out.push(...insn);
  };
  const wide = (dst: number, src: number, low: number, high: number) => {
    emit(0x18, dst, src, 0, low);
    emit(0, 0, 0, 0, high);
  };
  const pointer = (dst: number, off: number) => {
    emit(0xbf, dst, FP, 0, 0);
    emit(0x07, dst, 0, 0, off);
  };
  let results = 0;
  const keep = (from: number) => {
    emit(0x62, FP, 0, -36, results++);
    wide(1, 1, 1, 0);
    pointer(2, -36);
    pointer(3, from);
    emit(0xb7, 4, 0, 0, 0);
    emit(0x85, 0, 0, 0, CALLS.update);
  };
  for (const step of steps) {
    const key = "key" in step ? step.key : 0n;
    wide(0, 0, Number(key & 0xffff_ffffn) | 0, Number(key >> 32n) | 0);
    emit(0x7b, FP, 0, -8, 0);
    emit(0x7a, FP, 0, -16, "value" in step ? (step.value ?? 0) : 0);
    wide(1, 1, 0, 0);
    const stepFlags = "flags" in step ? step.flags : 0;
    pointer(2, keySize === 0 ? -16 : -8);
    if (step.do === "update") {
      pointer(3, -16);
      emit(0xb7, 4, 0, 0, stepFlags);
    } else if (step.do === "output") {
      emit(0xb7, 3, 0, 0, VALUE_BYTES);
      emit(0xb7, 4, 0, 0, stepFlags);
    } else if (step.do === "push") emit(0xb7, 3, 0, 0, stepFlags);
    emit(0x85, 0, 0, 0, CALLS[step.do]);
    if (step.do === "lookup") {
      emit(0x55, 0, 0, 2, 0); // not there: -1
      emit(0xb7, 0, 0, 0, -1);
      emit(0x05, 0, 0, 1, 0);
      emit(0x79, 0, 0, 0, 0);
    }
    emit(0x7b, FP, 0, -24, 0);
    keep(-24);
    if (step.do === "pop" || step.do === "peek") keep(-16);
  }
  emit(0xb7, 0, 0, 0, 0);
  emit(0x95, 0, 0, 0, 0);
  const map = (name: string, of: Omit<RandomMap, "name" | "valueSize" | "entries">): RandomMap => ({
    name,
    valueSize: of.type === "BPF_MAP_TYPE_RINGBUF" ? 0 : VALUE_BYTES,
    entries: [],
    ...of,
  });
  return {
    seed: 0,
    type: "BPF_PROG_TYPE_SCHED_CLS",
    frags: false,
    maps: [
      map("tested", { type, keySize, maxEntries, flags }),
      map("results", { type: "BPF_MAP_TYPE_ARRAY", keySize: 4, maxEntries: RESULTS, flags: 0 }),
    ],
    programs: [{ insns: Uint8Array.from(out), functions: [] }],
    slots: [],
    packets: [new Uint8Array(64)],
    contexts: [undefined],
  };
}
