import { BpfError } from "../../base/index.ts";
import type { LinuxUserRingBuffer } from "../../object/index.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import { pageSize } from "../page-size.ts";
import type { Mapping } from "../sys/index.ts";
import { distance, Position } from "./ring.ts";

const BUSY = 1 << 31;
const HEADER = 8;

interface Opened {
  readonly mappings: readonly Mapping[];
  readonly consumed: Int32Array;
  readonly producer: Position;
  readonly data: Uint8Array;
  readonly words: Int32Array;
}

/** BPF_MAP_TYPE_USER_RINGBUF (Linux 6.1): this process writes, a program takes with `bpf_user_ringbuf_drain`. */
export class UserRingBufferMap extends LinuxMap implements LinuxUserRingBuffer {
  private opened: Opened | undefined;

  send(record: Uint8Array): void {
    const { consumed, producer, data, words } = this.open();
    const size = this.spec.maxEntries;
    const total = (record.length + HEADER + 7) & ~7;
    const used = -distance(consumed, producer.value) >>> 0;
    if (total > size - used) {
      const fits = total <= size;
      throw new BpfError(
        "linux/no-space",
        `user ring buffer '${this.name}': ${record.length} bytes do not fit (${size - used} of ${size} are free)`,
        {
          errno: fits ? "ENOSPC" : "E2BIG",
          subject: this.name,
          hint: fits ? "run the program that drains it first" : "raise its max_entries",
        },
      );
    }
    const at = producer.value & (size - 1);
    Atomics.store(words, at >> 2, record.length | BUSY);
    words[(at >> 2) + 1] = 0;
    data.set(record, at + HEADER);
    Atomics.store(words, at >> 2, record.length);
    producer.moveTo(producer.value + total);
  }

  override close(): void {
    for (const mapping of this.opened?.mappings ?? []) mapping.close();
    super.close();
  }

  private open(): Opened {
    if (this.opened !== undefined) return this.opened;
    const { sys } = this.context;
    const page = pageSize();
    const size = this.spec.maxEntries;
    const doing = `mapping user ring buffer '${this.name}'`;
    const consumer = sys.mmap({ fd: this.handle, length: page, doing });
    const rest = { fd: this.handle, length: page + 2 * size, offset: page, writable: true, doing };
    let producer: Mapping;
    try {
      producer = sys.mmap(rest);
    } catch (error) {
      consumer.close();
      throw error;
    }
    const data = producer.bytes.subarray(page);
    this.opened = {
      mappings: [producer, consumer],
      consumed: new Int32Array(consumer.bytes.buffer, consumer.bytes.byteOffset, 1),
      producer: new Position(producer.bytes, 0),
      data,
      words: new Int32Array(data.buffer, data.byteOffset, (2 * size) / 4),
    };
    return this.opened;
  }
}
