import type { HelperName, ProgramTypeName } from "../abi/index.ts";
import type { Btf } from "../btf/index.ts";
import type { HelperState } from "./helpers/state.ts";
import type { Host } from "./host.ts";
import type { EmbeddedMap } from "./maps/map.ts";
import type { Memory } from "./memory.ts";
import type { PacketBuffer } from "./packet-buffer.ts";
import type { RunState } from "./run-state.ts";
import type { KernelExports } from "./wasm-module.ts";

/**
 * A helper's (or kfunc's) view of the call being made: arguments, memory, the run. The engine has already checked the
 * arguments against the helper's prototype in `abi/helpers.ts` (map pointers are maps, memory arguments lie in the
 * memory the program holds, sizes are in range), so an implementation reads and writes without further checks.
 * One object per engine, reused for every call: never keep it.
 */
export interface HelperCall {
  /** Argument 1–5, low 32 bits, unsigned: addresses, sizes, indices. */
  u32(n: number): number;
  /** Argument 1–5, low 32 bits, signed. */
  s32(n: number): number;
  /** Argument 1–5, all 64 bits, unsigned. Allocates; for flags and values that need it. */
  u64(n: number): bigint;
  /** The map whose pointer is argument n. */
  map(n: number): EmbeddedMap;
  /** A view (not a copy) of `size` bytes at the address in argument n; valid until memory grows. */
  bytes(n: number, size: number): Uint8Array;
  readonly memory: Memory;
  /** What helpers do in wasm. */
  readonly wasm: KernelExports;
  readonly run: RunState;
  readonly host: Host;
  readonly programType: ProgramTypeName;
  /** The packet of this run. @throws BpfError `runtime/no-packet` for types without one. */
  readonly packet: PacketBuffer;
  /** CPU number this run believes to be on. */
  readonly cpu: number;
  /**
   * Makes r0 a pointer to memory the program may use: `kind` and `flags` of `layout.ts`, [base, base+size).
   * Returns `base`, to be returned in turn. `refId` from {@link HelperCall.acquire} when it must be released.
   */
  returnPointer(kind: number, base: number, size: number, aux?: number): number;
  /** A new reference that the program must release before it exits. */
  acquire(what: string): number;
  /** Ends the reference that argument n carries; every copy of the pointer becomes unusable. */
  release(n: number): void;
  /** Ends a reference by its id: for objects that hold one without a register (dynptrs, iterators). */
  releaseReference(id: number): void;
  /**
   * The program no longer has to release this reference (the object belongs to a list or tree now), but its pointers
   * stay usable.
   */
  disown(id: number): void;
  /** Ends the program at once, from whatever depth of calls, with this return value (`bpf_throw`). */
  exit(r0: bigint): never;
  /** BTF of the program's object; undefined when it has none. */
  readonly btf: Btf | undefined;
  /** Provenance of argument n (`layout.ts`): what kind of pointer, [base, end) it may reach, aux. */
  provenance(n: number): Provenance;
  /** Memory of the kernel's own, for objects that programs create. */
  readonly heap: Heap;
  /** What helpers keep from one call to the next: one object for each kernel. */
  readonly state: HelperState;
  /** Calls the BPF function whose pointer (PTR_TO_FUNC) is argument n; r1.. as given; returns r0. */
  callback(n: number, args: readonly CallbackArg[]): bigint;
  /** The BPF function of argument n, to be called once this run is over: timers, work queues. */
  deferred(n: number): DeferredCallback;
  /**
   * Checks that argument n points at `size` bytes the program may read (or write; then they count as initialised).
   * The engine has done so for helpers whose prototype says it; kfuncs and sizes worked out later ask here.
   * @throws BpfError `runtime/…` at the calling instruction.
   */
  checkMemory(n: number, size: number, access: "read" | "write"): void;
  /** Ends the run with a typed error at the calling instruction. */
  fail(code: `runtime/${string}`, message: string, hint?: string): never;
}

/** What the engine knows of a register beside its value. */
export interface Provenance {
  /** Low byte: kind; above: flags. */
  readonly kind: number;
  readonly base: number;
  /** Exclusive. */
  readonly end: number;
  readonly aux: number;
}

/** The allocator of the linear memory. Addresses are multiples of 16. */
export interface Heap {
  /** Zeroed bytes; 0 when there is no room. May grow the memory: views taken before are stale. */
  alloc(size: number): number;
  free(address: number): void;
}

/** A callback's argument: a number (scalar) or a pointer with its provenance. */
export type CallbackArg =
  | number
  | bigint
  | {
      readonly address: number;
      readonly kind: number;
      readonly base: number;
      readonly size: number;
      readonly aux?: number;
    };

/** Runs a BPF function as a run of its own on the CPU given; returns r0. */
export type DeferredCallback = (cpu: number, args: readonly CallbackArg[]) => bigint;

/**
 * What a helper does. The return value goes to r0: a number is sign-extended to 64 bits (so `-ENOENT` is `-2`),
 * addresses are given as unsigned numbers.
 */
export type HelperImpl = (call: HelperCall) => number | bigint;

/** Why a helper is not there: shown by the load error and by the support table in docs. */
export interface NotImplemented {
  readonly reason: string;
}

/** A kernel function that programs call by name: behaviour, and the first kernel that has it. */
export interface KfuncRow {
  readonly since: string;
  /** Checks its own arguments with `provenance` and `checkMemory`: the engine has no prototypes of kfuncs. */
  readonly impl: HelperImpl;
}

/** One row for each helper of the ABI table: behaviour, or the reason why there is none. */
export type HelperTable = Record<HelperName, HelperImpl | NotImplemented>;
