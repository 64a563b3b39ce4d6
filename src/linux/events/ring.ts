import type { RecordCallback } from "../../object/index.ts";
import type { Fd } from "../sys/index.ts";

/** One buffer that the kernel writes records to and this process reads. */
export interface Ring {
  /** Readable (epoll) when there are records. */
  readonly handle: Fd;
  /** Hands out at most `limit` records, oldest first; how many. A record is given back to the kernel when the callback returns or throws. */
  consume(callback: RecordCallback, limit: number): number;
  /** Records known to be lost until now. */
  readonly lost: number;
  close(): void;
}

/** Moves a position of a ring's user side forward: 64 bits in memory, of which the kernel reads all. */
export class Position {
  /** Bytes since the ring was made. */
  value: number;
  private readonly low: Int32Array;
  private readonly whole: BigInt64Array;

  /** The eight bytes at `at`. */
  constructor(memory: Uint8Array, at: number) {
    this.low = new Int32Array(memory.buffer, memory.byteOffset + at, 1);
    this.whole = new BigInt64Array(memory.buffer, memory.byteOffset + at, 1);
    this.value = Number(Atomics.load(this.whole, 0));
  }

  /** Publishes a new value; only its low half where the high one stays, which spares a bigint a record. */
  moveTo(value: number): void {
    const carried = Math.floor(value / 2 ** 32) !== Math.floor(this.value / 2 ** 32);
    this.value = value;
    if (carried) Atomics.store(this.whole, 0, BigInt(value));
    else Atomics.store(this.low, 0, value | 0);
  }
}

/** How far the other side is ahead of `position`: its low half is enough, no ring is as large as 4 GiB. */
export function distance(otherSide: Int32Array, position: number): number {
  return (Atomics.load(otherSide, 0) - (position | 0)) >>> 0;
}
