import type { InsnTable } from "../isa/index.ts";

/** A program to compile. All references are settled: wide loads hold addresses in the linear memory. */
export interface JitInput {
  readonly name: string;
  /** Without findings of `checkStructure`, but for the slots in `stops`. */
  readonly insns: InsnTable;
  /** Names of functions by their first slot, for profilers. */
  readonly names: ReadonlyMap<number, string>;
  /** Slots of functions that are entered from outside and that no instruction names. */
  readonly entries: readonly number[];
  /** Instructions that end the run when they are reached. */
  readonly stops: ReadonlySet<number>;
  /** Can control come to this instruction? What no path of a verifier reaches is left out. Default: it can. */
  readonly reached?: ((slot: number) => boolean) | undefined;
  /** Count instructions, and stop when the budget is used up. */
  readonly metered: boolean;
  /** Several threads work on the memory: atomics must be real. The memory is then a shared one. Default false. */
  readonly shared?: boolean;
  /** Stack bytes that were never written read as zero; else as whatever is there. */
  readonly zeroStack: boolean;
  /** The map whose header is at an address. */
  map(address: number): JitMap | undefined;
  /** Helpers are Linux's, and may be called directly (`direct-helpers.ts`); default: through the host, whatever they are. */
  readonly directHelpers?: boolean;
  /** So may those that ask about the moment: there is a host that keeps the copies. Default false. */
  readonly momentHelpers?: boolean;
  /** Name of the context's structure: some helpers are direct with one only. */
  readonly contextName?: string;
  /** How many arguments helper `id` takes. */
  helperArgs(id: number): number;
  /** Where in a map's header lies what a program reads at this offset of a map pointer; undefined: nothing does. */
  mapField(offset: number): number | "zero" | undefined;
  /** What is kept of a store at this offset of the context, where it is less than its bytes. */
  contextKeeps(offset: number): "u16" | "u16-below-max" | undefined;
  /** Where in the linear memory things stand. */
  readonly layout: JitLayout;
}

/** What is fixed about a map for as long as it lives. */
export interface JitMap {
  readonly address: number;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly maxEntries: number;
  /** Address of the first value of array kinds. */
  readonly values: number;
  /** Bytes from one element of an array kind to the next. */
  readonly elemBytes: number;
  /** Bytes from one CPU's value to the next. */
  readonly valueStride: number;
  /** Lookups may go straight to the map module. */
  readonly directLookup: boolean;
  /** And updates and deletes. */
  readonly directUpdate: boolean;
  /** Hash kinds whose keys are hashed by words: what a lookup needs, so that it can be written out. */
  readonly hash: JitHash | undefined;
}

/** A hash map's table: chains of nodes, the next node's address in the first word of each. */
export interface JitHash {
  /** Bytes of a key, a multiple of 4. */
  readonly keySize: number;
  /** Address of the buckets' first nodes, a u32 each. */
  readonly buckets: number;
  /** Number of buckets - 1. */
  readonly mask: number;
  /** The hash is the upper half of the sum of each word times its multiplier. */
  readonly multipliers: readonly bigint[];
  /** Offsets in a node: key, value, the byte that a lookup sets to 1. */
  readonly keyAt: number;
  readonly valueAt: number;
  readonly usedAt: number | undefined;
  /** A node holds a value for each CPU, `valueStride` apart. */
  readonly perCpu: boolean;
  /** Updates need nothing but the common way: no per-CPU values, no marks, no fields of the kernel's. */
  readonly plain: boolean;
}

/** Offsets that compiled code reads at. */
export interface JitLayout {
  /** In a map header. */
  readonly mapType: number;
  readonly mapMaxEntries: number;
  readonly mapValues: number;
  /** In a code block: index of the program's entry function in the table; 0: none. */
  readonly codeEntry: number;
}

/** A compiled program. */
export interface JitOutput {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Slots of the functions that `call` can enter, by its first argument; 0 is the program's first instruction. */
  readonly entries: readonly number[];
  /** Helpers called through the host, by id. */
  readonly hostHelpers: ReadonlySet<number>;
  /** Does it call kfuncs, tail-call, or read packets through the host? */
  readonly callsOut: boolean;
}
