/**
 * The kernel's one linear memory, seen from the host. Views are renewed when the memory grows, so take them from here
 * at each use (`memory.u8`) and never keep them over a call that may allocate.
 */
export class Memory {
  readonly wasm: WebAssembly.Memory;
  private buffer: ArrayBufferLike;
  private bytes: Uint8Array;
  private words: Uint32Array;
  private data: DataView;

  constructor(wasm: WebAssembly.Memory) {
    this.wasm = wasm;
    this.buffer = wasm.buffer;
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Uint32Array(this.buffer);
    this.data = new DataView(this.buffer);
  }

  private renew(): void {
    this.buffer = this.wasm.buffer;
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Uint32Array(this.buffer);
    this.data = new DataView(this.buffer);
  }

  get u8(): Uint8Array {
    if (this.buffer !== this.wasm.buffer) this.renew();
    return this.bytes;
  }

  /** Index is the address divided by 4. */
  get u32(): Uint32Array {
    if (this.buffer !== this.wasm.buffer) this.renew();
    return this.words;
  }

  get view(): DataView {
    if (this.buffer !== this.wasm.buffer) this.renew();
    return this.data;
  }

  /** A copy of `size` bytes at `address`. */
  read(address: number, size: number): Uint8Array {
    return this.u8.slice(address, address + size);
  }

  write(address: number, bytes: Uint8Array): void {
    this.u8.set(bytes, address);
  }
}
