/** Bytes being written: a growing buffer, little endian, with the variable-length numbers of WebAssembly (LEB128). */
export class ByteWriter {
  private buffer: Uint8Array<ArrayBuffer>;
  private view: DataView<ArrayBuffer>;
  private used = 0;

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.used;
  }

  u8(value: number): this {
    if (this.used === this.buffer.length) this.grow(1);
    this.buffer[this.used++] = value;
    return this;
  }

  bytes(bytes: Uint8Array): this {
    if (this.used + bytes.length > this.buffer.length) this.grow(bytes.length);
    this.buffer.set(bytes, this.used);
    this.used += bytes.length;
    return this;
  }

  /** Everything another writer holds. */
  append(other: ByteWriter): this {
    return this.bytes(other.buffer.subarray(0, other.used));
  }

  /** Unsigned LEB128 of the low 32 bits. */
  leb32u(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.u8(rest);
  }

  /** Signed LEB128 of the low 32 bits. */
  leb32s(value: number): this {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    return this.u8(rest & 0x7f);
  }

  /** Signed LEB128 of the low 64 bits. */
  leb64s(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    while (rest < -64n || rest > 63n) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.u8(Number(rest & 0x7fn));
  }

  f32(value: number): this {
    if (this.used + 4 > this.buffer.length) this.grow(4);
    this.view.setFloat32(this.used, value, true);
    this.used += 4;
    return this;
  }

  f64(value: number): this {
    if (this.used + 8 > this.buffer.length) this.grow(8);
    this.view.setFloat64(this.used, value, true);
    this.used += 8;
    return this;
  }

  /** A name: its length in bytes, then UTF-8. */
  name(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.leb32u(bytes.length).bytes(bytes);
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.used);
  }

  private grow(room: number): void {
    const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + room));
    bigger.set(this.buffer.subarray(0, this.used));
    this.buffer = bigger;
    this.view = new DataView(bigger.buffer);
  }
}
