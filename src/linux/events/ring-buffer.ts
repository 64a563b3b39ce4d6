import type { RecordCallback } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { pageSize } from "../page-size.ts";
import type { Fd, Mapping } from "../sys/index.ts";
import { distance, Position, type Ring } from "./ring.ts";

/** BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ. */
const BUSY = 1 << 31;
const DISCARD = 1 << 30;
const HEADER = 8;

/**
 * A BPF ring buffer (Linux 5.8). Its data is mapped twice in a row, so that no record is ever in two pieces. Layout: a
 * page with the consumer's position, a page with the producer's, the data. @see kernel/bpf/ringbuf.c @ v6.12
 */
export class RingBuffer implements Ring {
  readonly handle: Fd;
  /** What the program says it could not write: the kernel does not count it. */
  lostCounter: (() => number) | undefined;
  private readonly consumerPage: Mapping;
  private readonly producerPages: Mapping;
  private readonly consumer: Position;
  private readonly produced: Int32Array;
  private readonly data: Uint8Array;
  private readonly words: Int32Array;
  private readonly mask: number;
  private told = 0;

  /** `size` is the map's max_entries. @throws BpfError `linux/…`. */
  constructor(context: LinuxContext, handle: Fd, size: number, name: string) {
    const page = pageSize();
    const doing = `mapping ring buffer '${name}'`;
    this.handle = handle;
    this.mask = size - 1;
    this.consumerPage = context.sys.mmap({ fd: handle, length: page, writable: true, doing });
    try {
      this.producerPages = context.sys.mmap({ fd: handle, length: page + 2 * size, offset: page, doing });
    } catch (error) {
      this.consumerPage.close();
      throw error;
    }
    this.consumer = new Position(this.consumerPage.bytes, 0);
    const { bytes } = this.producerPages;
    this.produced = new Int32Array(bytes.buffer, bytes.byteOffset, 1);
    this.data = bytes.subarray(page);
    this.words = new Int32Array(this.data.buffer, this.data.byteOffset, (2 * size) / 4);
  }

  get lost(): number {
    return this.lostCounter?.() ?? Number.NaN;
  }

  consume(callback: RecordCallback, limit: number): number {
    const { consumer, produced, data, words, mask } = this;
    let count = 0;
    let ahead = distance(produced, consumer.value);
    while (ahead > 0 && count < limit) {
      const at = consumer.value & mask;
      const header = Atomics.load(words, at >> 2);
      if (header & BUSY) break; // reserved before, submitted after: nothing behind it may be read yet
      const length = header & ~DISCARD;
      const next = consumer.value + ((length + HEADER + 7) & ~7);
      if (header & DISCARD) consumer.moveTo(next);
      else {
        count++;
        try {
          callback(data, at + HEADER, length, -1, this.lostSince());
        } finally {
          consumer.moveTo(next);
        }
      }
      ahead = distance(produced, consumer.value);
    }
    return count;
  }

  close(): void {
    this.producerPages.close();
    this.consumerPage.close();
  }

  /** Records that went missing since the last one was handed out. */
  private lostSince(): number {
    if (this.lostCounter === undefined) return 0;
    const before = this.told;
    this.told = this.lostCounter();
    return this.told - before;
  }
}
