import { helperArgs, helperById } from "../abi/index.ts";
import { decode } from "../isa/index.ts";
import type { JitHash, JitInput, JitMap } from "../jit/index.ts";
import type { LoadedCode } from "./code.ts";
import { exceptionCallback } from "./interpreter.ts";
import {
  CODE_ENTRY,
  HASH_BUCKETS,
  HASH_BY_WORDS,
  HASH_HOW,
  HASH_KEY_AT,
  HASH_M0,
  HASH_M1,
  HASH_M2,
  HASH_M3,
  HASH_M4,
  HASH_M5,
  HASH_M6,
  HASH_M7,
  HASH_MASK,
  HASH_USED_AT,
  HASH_VALUE_AT,
  MAP_ELEM_BYTES,
  MAP_FIELDS,
  MAP_FLAGS,
  MAP_ID,
  MAP_KEY_SIZE,
  MAP_MAX_ENTRIES,
  MAP_NATIVE,
  MAP_TYPE,
  MAP_VALUE_STRIDE,
  MAP_VALUES,
  NULL_PAGE,
} from "./layout.ts";
import { mapField } from "./map-fields.ts";
import type { EmbeddedMap } from "./maps/map.ts";
import type { Memory } from "./memory.ts";

/** How a loaded program is to be compiled, and over what. */
export interface JitSurroundings {
  readonly memory: Memory;
  readonly mapById: (id: number) => EmbeddedMap | undefined;
  readonly metered: boolean;
  readonly zeroStack: boolean;
  /** The engine keeps the copies that helpers about the moment read. */
  readonly moment?: true;
}

/** BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS: a lookup gives a map, which the host resolves. */
const MAPS_OF_MAPS = new Set([12, 13]);
/** BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG. */
const PROG_ACCESS = 0x180;
const ALL_ARGS = 5;
/** Takes more arguments than its prototype names. */
const TRACE_PRINTK = 6;

/** A loaded program as the compiler takes it. */
export function jitInput(code: LoadedCode, around: JitSurroundings): JitInput {
  const exceptionSlot = exceptionCallback(code);
  return {
    name: code.name,
    insns: decode(code.insns),
    names: new Map(code.funcs.map(({ insn, name }) => [insn, name])),
    entries: exceptionSlot === undefined ? [] : [exceptionSlot],
    stops: new Set(code.poison?.keys()),
    reached: (slot) => code.facts === undefined || code.facts.reached[slot] !== 0,
    metered: around.metered,
    zeroStack: around.zeroStack,
    shared: around.memory.shared,
    map: (address) => mapFacts(address, around),
    directHelpers: code.raw !== true,
    momentHelpers: around.moment === true,
    contextName: code.context.name,
    helperArgs: (id) => {
      const name = code.raw === true || id === TRACE_PRINTK ? undefined : helperById(id);
      return name === undefined ? ALL_ARGS : helperArgs(name, code.type).length;
    },
    mapField: (offset) => mapField(code.kernelBtf, offset),
    contextKeeps: (offset) =>
      code.context.fields.find((field) => offset >= field.offset && offset < field.offset + field.size)
        ?.keeps,
    layout: {
      mapType: MAP_TYPE,
      mapMaxEntries: MAP_MAX_ENTRIES,
      mapValues: MAP_VALUES,
      codeEntry: CODE_ENTRY,
    },
  };
}

function mapFacts(address: number, { memory, mapById }: JitSurroundings): JitMap | undefined {
  if (address < NULL_PAGE || address + 64 > memory.u8.length) return undefined;
  const { view } = memory;
  const field = (offset: number) => view.getUint32(address + offset, true);
  const map = mapById(field(MAP_ID));
  if (map?.address !== address) return undefined;
  const native = field(MAP_NATIVE) !== 0 && field(MAP_KEY_SIZE) !== 0 && !MAPS_OF_MAPS.has(field(MAP_TYPE));
  return {
    address,
    type: field(MAP_TYPE),
    maxEntries: field(MAP_MAX_ENTRIES),
    values: field(MAP_VALUES),
    elemBytes: field(MAP_ELEM_BYTES),
    valueStride: field(MAP_VALUE_STRIDE),
    // Values with fields of the kernel's other than locks are remembered when they are handed out: those are not native.
    directLookup: native,
    directUpdate: native && (field(MAP_FLAGS) & PROG_ACCESS) === 0,
    // Where other threads change maps, a lookup is more than walking a chain.
    hash: memory.shared ? undefined : hashFacts(field),
  };
}

/** BPF_MAP_TYPE_*: what is special about each hash kind. */
const HASH_KINDS: ReadonlyMap<number, { readonly perCpu: boolean; readonly lru: boolean }> = new Map([
  [1, { perCpu: false, lru: false }],
  [5, { perCpu: true, lru: false }],
  [9, { perCpu: false, lru: true }],
  [10, { perCpu: true, lru: true }],
]);
const MULTIPLIERS = [HASH_M0, HASH_M1, HASH_M2, HASH_M3, HASH_M4, HASH_M5, HASH_M6, HASH_M7].map(BigInt);

function hashFacts(field: (offset: number) => number): JitHash | undefined {
  const kind = HASH_KINDS.get(field(MAP_TYPE));
  if (kind === undefined || field(HASH_HOW) !== HASH_BY_WORDS) return undefined;
  return {
    keySize: field(MAP_KEY_SIZE),
    buckets: field(HASH_BUCKETS),
    mask: field(HASH_MASK),
    multipliers: MULTIPLIERS,
    keyAt: field(HASH_KEY_AT),
    valueAt: field(HASH_VALUE_AT),
    usedAt: kind.lru ? HASH_USED_AT : undefined,
    perCpu: kind.perCpu,
    plain: !kind.lru && !kind.perCpu && field(MAP_FIELDS) === 0,
  };
}
