import { BpfError } from "../base/index.ts";

/** Bytes of a module being read. @throws BpfError `wasm/malformed` past the end and for numbers that do not fit. */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Where the next byte is read. */
  at: number;
  private readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  u8(): number {
    if (this.done) throw this.malformed("it ends too early");
    return this.bytes[this.at++];
  }

  /** Unsigned LEB128 of 32 bits. */
  leb32u(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.malformed("a number is too long");
  }

  /** Signed LEB128 of up to 64 bits. */
  leb64s(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return byte & 0x40 ? value - (1n << (shift + 7n)) : value;
    }
    throw this.malformed("a number is too long");
  }

  take(count: number): Uint8Array {
    if (count > this.end - this.at) throw this.malformed("it ends too early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.leb32u()));
  }

  /** A vector: its length, then as many items. */
  vector<T>(item: (index: number) => T): T[] {
    const count = this.leb32u();
    if (count > this.end - this.at) throw this.malformed("a vector is longer than the module");
    return Array.from({ length: count }, (_, index) => item(index));
  }

  /** A reader of the next `count` bytes, which this one skips. */
  part(count: number): ByteReader {
    const from = this.at;
    this.take(count);
    return new ByteReader(this.bytes, from, this.at);
  }

  malformed(what: string): BpfError {
    return new BpfError("wasm/malformed", `not a WebAssembly module that can be linked: ${what}`, {
      offset: this.at,
    });
  }
}
