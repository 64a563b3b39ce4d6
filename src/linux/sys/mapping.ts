import { BpfError } from "../../base/index.ts";

/** PROT_* and MAP_* of mmap(2). */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;

/** How a mapping's memory is reached and given back. */
export interface MappingActions {
  view(): ArrayBuffer;
  /** Takes the memory out of the address space. */
  unmap(): void;
  /** Puts empty private memory in its place until the buffer is garbage: somebody may have kept a view of it. */
  cover(buffer: ArrayBuffer): void;
}

/**
 * Memory shared with the kernel. `bytes` is the memory itself, no copy. After `close` nothing is shared any more; views
 * that somebody kept read zeros (JavaScript has no way to take them back on Node 20, and must never reach memory that is
 * gone).
 */
export class Mapping implements Disposable {
  readonly address: bigint;
  readonly length: number;
  private readonly actions: MappingActions;
  private memory: Uint8Array<ArrayBuffer> | undefined;
  private isClosed = false;

  /** Made by `Sys.mmap`. */
  constructor(address: bigint, length: number, actions: MappingActions) {
    this.address = address;
    this.length = length;
    this.actions = actions;
  }

  /** The shared memory. @throws BpfError `linux/closed`. */
  get bytes(): Uint8Array {
    if (this.isClosed) throw new BpfError("linux/closed", "the mapping is closed", { errno: "EBADF" });
    this.memory ??= new Uint8Array(this.actions.view());
    return this.memory;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.memory === undefined) this.actions.unmap();
    else this.actions.cover(this.memory.buffer);
    this.memory = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
