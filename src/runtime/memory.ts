/**
 * The kernel's one linear memory, seen from the host. Views are renewed when the memory grows, so take them from here
 * at each use (`memory.u8`) and never keep them over a call that may allocate.
 */
export class Memory {
  readonly wasm: WebAssembly.Memory;
  // Growing detaches the buffer of an unshared memory: its views then have length 0. Asking the memory for its buffer
  // each time would be a call into the engine.
  private bytes: Uint8Array;
  private words: Uint32Array;
  private data: DataView;

  /** Several threads work on it. It is then as large as it can get from the start. */
  readonly shared: boolean;

  constructor(wasm: WebAssembly.Memory) {
    this.wasm = wasm;
    this.shared = !(wasm.buffer instanceof ArrayBuffer);
    this.bytes = new Uint8Array(wasm.buffer);
    this.words = new Uint32Array(wasm.buffer);
    this.data = new DataView(wasm.buffer);
  }

  private renew(): void {
    const { buffer } = this.wasm;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.data = new DataView(buffer);
  }

  get u8(): Uint8Array {
    if (this.bytes.length === 0) this.renew();
    return this.bytes;
  }

  /** Index is the address divided by 4. */
  get u32(): Uint32Array {
    if (this.bytes.length === 0) this.renew();
    return this.words;
  }

  get view(): DataView {
    if (this.bytes.length === 0) this.renew();
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
