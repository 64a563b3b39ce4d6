import { BpfError } from "../base/index.ts";
import type { DirectFunction } from "../jit/index.ts";
import { guarded } from "./damage.ts";
import { KERNEL_WASM_BASE64 } from "./generated/kernel-wasm.ts";
import type { MapExports } from "./maps/map-exports.ts";
import { Memory } from "./memory.ts";

/** What the interpreter's part of `assembly/` exports. Addresses are u32, statuses those of `layout.ts`. */
export interface InterpreterExports {
  /** `size` zeroed bytes, 16-aligned; 0 when the memory limit is reached. */
  alloc(size: number): number;
  free(address: number): void;
  setMemoryLimit(pages: number): void;
  allocatedBytes(): number;
  machineNew(): number;
  machineFree(machine: number): void;
  /** Clears registers, stack and counters; sets r10, and r1 to the context. Code and context must be set before. */
  machineReset(machine: number): void;
  /** Runs from `slot` of the machine's code block until frame `exitDepth` exits; STATUS_EXIT or ERR_*. */
  execute(machine: number, slot: number, exitDepth: number): number;
  /** Opens a frame for a callback: its depth, or 0 when there are too many. */
  pushFrame(machine: number): number;
  popFrame(machine: number): void;
  /** 0, or why register `reg` may not be used for `size` bytes: mode 0 read, 1 write, 2 fill (+ 4: fields of the kernel's included). */
  checkMemory(machine: number, reg: number, size: number, mode: number): number;
}

/** What assembly/helpers exports beside the direct helpers. */
export interface HelperExports
  extends Record<DirectFunction, (...args: (number | bigint)[]) => number | bigint> {
  /** Address of the block that helpers about the moment read: CURRENT_… of `layout.ts`. Not ahead of time. */
  currentBlock?(): number;
  /** What reading kernel memory at an address gives that cannot be read: -ERANGE, -EFAULT. */
  kernelFault(address: bigint): number;
}

/** All exports of the module. */
export type KernelExports = InterpreterExports & HelperExports & Omit<MapExports, DirectFunction>;

/** The wasm instance and its memory. */
export interface KernelModule {
  readonly memory: Memory;
  /** For the host: a trap is `runtime/damaged-memory`. */
  readonly exports: InterpreterExports & HelperExports & MapExports;
  /** The functions themselves: what compiled code imports, so that its calls stay in wasm. */
  readonly functions: WebAssembly.Exports;
  /** f64: chain links and pieces of 64 bytes that calls may still go through before they trap (`assembly/work.ts`). */
  readonly work: WebAssembly.Global;
}

/** What the wasm calls back; a BpfError thrown by any of them ends the run. */
export interface KernelImports {
  /** Helper `id` is called at `slot`: arguments are in the machine's registers; r0 is to be set. */
  callHelper(machine: number, id: number, slot: number): void;
  /** Kfunc number `index` of the running program. */
  callKfunc(machine: number, index: number, slot: number): void;
  /** LD_ABS/LD_IND: puts `size` bytes of the packet at `offset` into r0; 0 when outside (the program exits with 0). */
  loadPacket(machine: number, offset: number, size: number): number;
  /** A kptr field at `address` was loaded into the register at byte `register` of the machine. */
  loadKptr(machine: number, register: number, address: number): void;
  /** Fills a part of the block at `currentBlock` anew: REFILL_… of `layout.ts`. */
  refill(what: number): void;
  /** `size` bytes at `offset` of the kernel's `struct bpf_map` into the register; 0 when no field is there. */
  loadMapField(machine: number, register: number, map: number, offset: number, size: number): number;
}

const INITIAL_PAGES = 64;
const MAXIMUM_PAGES = 65536;
const SHARED_LIMIT = 512 * 1024 * 1024;

/** Imports for a module that only serves maps: a program cannot run in it. */
export const NO_PROGRAMS: KernelImports = {
  callHelper: () => refuse(),
  callKfunc: () => refuse(),
  loadPacket: () => refuse(),
  loadKptr: () => refuse(),
  loadMapField: () => refuse(),
  refill: () => refuse(),
};

function refuse(): never {
  throw new BpfError("runtime/no-engine", "this wasm module was opened without an interpreter");
}

/**
 * Instantiates the embedded wasm over a new memory; works in Node, browsers and workers.
 * @param memoryLimit bytes the linear memory may grow to; default 2 GiB, 512 MiB of a shared memory.
 * @param shared a memory that several threads work on: `"new"`, or that of another thread's module.
 */
export async function openKernelModule(
  imports: KernelImports = NO_PROGRAMS,
  memoryLimit?: number,
  shared?: "new" | WebAssembly.Memory,
): Promise<KernelModule> {
  const memory =
    shared === undefined
      ? new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: MAXIMUM_PAGES })
      : shared === "new"
        ? newSharedMemory(memoryLimit ?? SHARED_LIMIT)
        : shared;
  const module = await WebAssembly.compile(fromBase64(await wasmFor(shared !== undefined)));
  const instance = await WebAssembly.instantiate(module, {
    env: { memory },
    kernel: {
      callHelper: (machine: number, id: number, slot: number) =>
        imports.callHelper(machine >>> 0, id >>> 0, slot >>> 0),
      callKfunc: (machine: number, index: number, slot: number) =>
        imports.callKfunc(machine >>> 0, index >>> 0, slot >>> 0),
      loadPacket: (machine: number, offset: number, size: number) =>
        imports.loadPacket(machine >>> 0, offset | 0, size),
      loadKptr: (machine: number, register: number, address: number) =>
        imports.loadKptr(machine >>> 0, register >>> 0, address >>> 0),
      loadMapField: (machine: number, register: number, map: number, offset: number, size: number) =>
        imports.loadMapField(machine >>> 0, register >>> 0, map >>> 0, offset | 0, size),
      refill: (what: number) => imports.refill(what),
    },
  });
  const functions = instance.exports;
  const exports = guarded(functions as unknown as KernelModule["exports"]); // what assembly/index.ts exports
  if (memoryLimit !== undefined && shared === undefined)
    exports.setMemoryLimit(Math.max(INITIAL_PAGES, Math.floor(memoryLimit / 65536)));
  return { memory: new Memory(memory), exports, functions, work: functions.work as WebAssembly.Global };
}

/** The build for shared memories is only fetched where there is one. */
async function wasmFor(shared: boolean): Promise<string> {
  if (!shared) return KERNEL_WASM_BASE64;
  return (await import("./generated/shared-kernel-wasm.ts")).SHARED_KERNEL_WASM_BASE64;
}

/** All of it is there from the start, so that no thread's views get too short; untouched pages cost nothing. */
function newSharedMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.min(MAXIMUM_PAGES, Math.max(INITIAL_PAGES, Math.floor(bytes / 65536)));
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated; // browsers only
  try {
    if (isolated === false || typeof SharedArrayBuffer === "undefined")
      throw new TypeError("SharedArrayBuffer is not available");
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new BpfError(
      "runtime/no-shared-memory",
      "worker threads need memory that can be shared; there is none here",
      {
        cause,
        hint: "in a browser serve the page with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp; or do without workers",
      },
    );
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
