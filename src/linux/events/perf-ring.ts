import type { RecordCallback } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { pageSize } from "../page-size.ts";
import { type Fd, IOCTL, linuxError, type Mapping } from "../sys/index.ts";
import { distance, Position, type Ring } from "./ring.ts";

/** include/uapi/linux/perf_event.h */
const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10n;
const PERF_SAMPLE_RAW = 1n << 10n;
const PERF_FORMAT_LOST = 1n << 4n;
const PERF_FLAG_FD_CLOEXEC = 8;
const ATTR_SIZE = 128;
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const HEADER = 8;
const SAMPLE_DATA = 12;

/** The buffer of one CPU that `bpf_perf_event_output` writes to. */
export class PerfRing implements Ring {
  readonly handle: Fd;
  readonly cpu: number;
  private readonly context: LinuxContext;
  private readonly mapping: Mapping;
  private readonly tail: Position;
  private readonly head: Int32Array;
  private readonly data: Uint8Array;
  private readonly view: DataView;
  private readonly mask: number;
  /** For records that the end of the buffer cuts in two. */
  private readonly joined = new Uint8Array(65536);
  private seenLost = 0;
  private newlyLost = 0;
  private readonly countsLost: boolean;

  /** `pages` of data, a power of two. @throws BpfError `linux/…`. */
  constructor(context: LinuxContext, cpu: number, pages: number, name: string) {
    const { sys } = context;
    this.context = context;
    this.cpu = cpu;
    const doing = `opening the perf buffer of '${name}' on CPU ${cpu}`;
    // Counting what is lost came with Linux 6.0.
    const first = sys.call(
      "perf_event_open",
      attributes(PERF_FORMAT_LOST),
      -1,
      cpu,
      -1,
      PERF_FLAG_FD_CLOEXEC,
    );
    this.countsLost = first >= 0;
    const number =
      first >= 0 ? first : sys.call("perf_event_open", attributes(0n), -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (number < 0) throw linuxError(number, { doing, needs: ["CAP_PERFMON"], subject: name });
    this.handle = sys.own(number, `perf buffer of '${name}' on CPU ${cpu}`);
    const page = pageSize();
    try {
      this.mapping = sys.mmap({ fd: this.handle, length: page * (pages + 1), writable: true, doing });
      sys.check({ doing }, "ioctl", this.handle, IOCTL.PERF_EVENT_IOC_ENABLE, 0);
    } catch (error) {
      this.handle.close();
      throw error;
    }
    const { bytes } = this.mapping;
    this.tail = new Position(bytes, DATA_TAIL);
    this.head = new Int32Array(bytes.buffer, bytes.byteOffset + DATA_HEAD, 1);
    this.data = bytes.subarray(page);
    this.view = new DataView(this.data.buffer, this.data.byteOffset, this.data.length);
    this.mask = pages * page - 1;
  }

  /** As the kernel counts it (Linux 6.0); before, what it wrote down between records. */
  get lost(): number {
    if (!this.countsLost || this.handle.closed) return this.seenLost;
    const counts = new Uint8Array(16); // value, lost
    const length = this.context.sys.call("read", this.handle, counts, counts.length);
    return length < counts.length ? this.seenLost : Number(new DataView(counts.buffer).getBigUint64(8, true));
  }

  consume(callback: RecordCallback, limit: number): number {
    const { tail, head, view, mask } = this;
    let count = 0;
    while (count < limit && distance(head, tail.value) > 0) {
      const at = tail.value & mask;
      const type = view.getUint32(at, true); // headers are 8 bytes at a multiple of 8: never cut
      const size = view.getUint16(at + 6, true);
      const record = this.whole(at, size);
      const next = tail.value + size;
      if (type === PERF_RECORD_SAMPLE) {
        count++;
        const lostBefore = this.newlyLost;
        this.newlyLost = 0;
        const length = new DataView(record.bytes.buffer, record.bytes.byteOffset).getUint32(
          record.at + HEADER,
          true,
        );
        try {
          callback(record.bytes, record.at + SAMPLE_DATA, length, this.cpu, lostBefore);
        } finally {
          tail.moveTo(next);
        }
        continue;
      }
      if (type === PERF_RECORD_LOST) {
        const lost = new DataView(record.bytes.buffer, record.bytes.byteOffset).getBigUint64(
          record.at + 16,
          true,
        );
        this.seenLost += Number(lost);
        this.newlyLost += Number(lost);
      }
      tail.moveTo(next);
    }
    return count;
  }

  close(): void {
    this.mapping.close();
    this.handle.close();
  }

  /** The record in one piece: where it lies, or copied together. */
  private whole(at: number, size: number): { readonly bytes: Uint8Array; readonly at: number } {
    const room = this.mask + 1 - at;
    if (size <= room) return { bytes: this.data, at };
    this.joined.set(this.data.subarray(at, at + room));
    this.joined.set(this.data.subarray(0, size - room), room);
    return { bytes: this.joined, at: 0 };
  }
}

/** `struct perf_event_attr`. */
function attributes(readFormat: bigint): Uint8Array {
  const attr = new Uint8Array(ATTR_SIZE);
  const view = new DataView(attr.buffer);
  view.setUint32(0, PERF_TYPE_SOFTWARE, true);
  view.setUint32(4, ATTR_SIZE, true);
  view.setBigUint64(8, PERF_COUNT_SW_BPF_OUTPUT, true);
  view.setBigUint64(16, 1n, true); // sample_period
  view.setBigUint64(24, PERF_SAMPLE_RAW, true);
  view.setBigUint64(32, readFormat, true);
  view.setUint32(48, 1, true); // wakeup_events
  return attr;
}
