import { BpfError } from "../../base/index.ts";

/** PROT_* and MAP_* of mmap(2). */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;

/**
 * Memory shared with the kernel. `bytes` is the memory itself, no copy; it must not be used after `close`, which
 * therefore detaches it: its length becomes 0.
 */
export class Mapping implements Disposable {
  readonly address: bigint;
  readonly length: number;
  private memory: Uint8Array | undefined;
  private readonly unmap: () => void;

  /** Made by `Sys.mmap`. */
  constructor(address: bigint, buffer: ArrayBuffer, unmap: () => void) {
    this.address = address;
    this.length = buffer.byteLength;
    this.memory = new Uint8Array(buffer);
    this.unmap = unmap;
  }

  /** The shared memory. @throws BpfError `linux/closed`. */
  get bytes(): Uint8Array {
    if (this.memory === undefined) {
      throw new BpfError("linux/closed", "the mapping is closed", { errno: "EBADF" });
    }
    return this.memory;
  }

  get closed(): boolean {
    return this.memory === undefined;
  }

  close(): void {
    const { memory } = this;
    if (memory === undefined) return;
    this.memory = undefined;
    // Views that somebody kept must not reach memory that is gone: transferring the buffer empties them.
    structuredClone(memory.buffer, { transfer: [memory.buffer as ArrayBuffer] });
    this.unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
