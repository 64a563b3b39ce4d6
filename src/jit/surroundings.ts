import type { FuncType } from "../wasm/index.ts";

// What compiled code and the engine around it agree on.

/** Bytes from one frame pointer (r10) to the next: 512 below it for the stack, the rest above it for arguments. */
export const FRAME_STRIDE = 704;
/** Stack bytes below the frame pointer. */
export const STACK_SIZE = 512;
/** r0–r5 of a call out stand at frame pointer + 32 × number: what the helper reads, and its answer in r0. */
export const ARG_STRIDE = 32;
/** High word of a function's address (`lddw &func`); the low word is its slot. */
export const FUNC_TAG = 0x464e4350n << 32n;

/** Why compiled code stops a run (first argument of `fail`). */
export const StopCode = { BUDGET: 0, BAD_INSN: 1, CALL_DEPTH: 2 } as const;
/** One of the reasons to stop. */
export type StopCode = (typeof StopCode)[keyof typeof StopCode];

/** All compiled functions: frame pointer, r1–r5 → r0. */
export const BPF_FUNC: FuncType = { params: ["i32", "i64", "i64", "i64", "i64", "i64"], results: ["i64"] };

const i32s = (count: number) => Array.from({ length: count }, () => "i32" as const);

/** Host functions a compiled module imports from `host`. */
export const HOST_IMPORTS = {
  /** Calls helper `id`: (id, slot, frame pointer). */
  helper: { params: i32s(3), results: [] },
  /** Calls kfunc number `index`: (index, slot, frame pointer). */
  kfunc: { params: i32s(3), results: [] },
  /** LD_ABS, LD_IND: (offset, size, slot, frame pointer) → 1 and the value at the frame pointer, or 0: outside the packet. */
  loadPacket: { params: i32s(4), results: ["i32"] },
  /** Ends the run: (StopCode, slot). Does not return. */
  fail: { params: i32s(2), results: [] },
} as const satisfies Record<string, FuncType>;
/** Name of a host function. */
export type HostImport = keyof typeof HOST_IMPORTS;

/** (map, key, value, flags, CPU) → errno. */
const UPDATE: FuncType = { params: ["i32", "i32", "i32", "i64", "i32"], results: ["i32"] };

/** Functions of the map module that a compiled module imports from `maps`. */
export const MAP_IMPORTS = {
  mapLookup: { params: i32s(3), results: ["i32"] },
  mapUpdate: UPDATE,
  mapDelete: { params: i32s(2), results: ["i32"] },
  hashLookup: { params: i32s(2), results: ["i32"] },
  lruLookup: { params: i32s(2), results: ["i32"] },
  lpmLookup: { params: i32s(2), results: ["i32"] },
  hashUpdate: UPDATE,
  hashUpdate4: UPDATE,
  hashUpdate8: UPDATE,
  hashUpdate12: UPDATE,
  hashUpdate16: UPDATE,
  arrayUpdate: { params: ["i32", "i32", "i32", "i64"], results: ["i32"] },
  hashDelete: { params: i32s(2), results: ["i32"] },
  batchNext: { params: ["i32", "i64"], results: ["i32"] },
} as const satisfies Record<string, FuncType>;
/** Name of a map function. */
export type MapImport = keyof typeof MAP_IMPORTS;

/** Globals a compiled module imports from `run`; all mutable, shared by the programs of an engine. */
export const RUN_GLOBALS = {
  /** Instructions left (metered builds). */
  fuel: "i64",
  /** Tail calls made in this run. */
  tailCalls: "i32",
  /** CPU the run believes to be on. */
  cpu: "i32",
  /** Greatest frame pointer a function may be given. */
  frameLimit: "i32",
} as const;
/** Name of a run's global. */
export type RunGlobal = keyof typeof RUN_GLOBALS;

/** What a direct helper answers when the call is one for the host: no errno, no address. */
export const ASK_HOST = 0x7fffffff;

/** Linux: MAX_TAIL_CALL_CNT. */
export const TAIL_CALL_LIMIT = 33;
/** Linux: MAX_CALL_FRAMES. */
export const CALL_FRAMES = 8;
/** Linux: BPF_MAX_LOOPS, what a may_goto may fall through. */
export const MAY_GOTO_LIMIT = 8388608;

/** What a compiled module exports. */
export interface JitExports {
  /** The entry function of the program: for the table of tail calls. */
  readonly main: () => unknown;
  /**
   * Runs the program `times` times with r1–r5 from the argument places of frame `fp`; r0 of the last run is left there.
   * `budget` (a whole number) is for all of them; gives what is left of it.
   */
  run(times: number, fp: number, cpu: number, budget: number): number;
  /**
   * Runs the packets of a batch (`assembly/batch.ts`), each with `budget`, until `batchNext` has no further one: the
   * instructions they took (metered builds).
   */
  packets(batch: number, fp: number, cpu: number, budget: number): number;
  /** Runs the function of that index (`JitOutput.entries`) within the run that is going on. */
  call(entry: number, fp: number): void;
}
