import type { Memory } from "./memory.ts";

/**
 * What the wasm built from `assembly/` exports, by hand: the interpreter's part here, the maps' part in
 * `maps/exports.ts` (merged by intersection in {@link KernelModule}). Addresses are u32, statuses of `layout.ts`.
 */
export interface InterpreterExports {
  /** `size` zeroed bytes, 16-aligned; 0 when the memory limit is reached. */
  alloc(size: number): number;
  free(address: number): void;
  machineNew(): number;
  machineFree(machine: number): void;
  /** Clears registers, stack shadow, references; sets r10. */
  machineReset(machine: number): void;
  /** Runs from `slot` of the machine's code block until the frame it starts in exits; STATUS_EXIT or ERR_*. */
  execute(machine: number, slot: number): number;
}

/** The wasm instance and its memory. Map exports: cast `exports` to what `assembly/maps/exports.ts` declares. */
export interface KernelModule {
  readonly memory: Memory;
  readonly exports: InterpreterExports & Readonly<Record<string, (...args: number[]) => number>>;
}

/** What the wasm calls back: filled in by the interpreter, one set for each kernel. */
export interface KernelImports {
  /** Helper `id` called at `slot`: arguments in the machine's registers; sets r0. Throws to stop the run. */
  callHelper(machine: number, id: number, slot: number): void;
  /** Kfunc number `index` of the running program. */
  callKfunc(machine: number, index: number, slot: number): void;
  /** `bpf_tail_call`: address of the code block to go on with, or 0 to fall through. */
  tailCall(machine: number, map: number, index: number): number;
  /** LD_ABS/LD_IND: `size` bytes of the packet at `offset` into r0; 0 when outside (the program exits with 0). */
  loadPacket(machine: number, offset: number, size: number): number;
}
