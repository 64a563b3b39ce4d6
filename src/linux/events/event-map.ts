import { BpfError } from "../../base/index.ts";
import type {
  GlobalVariable,
  LinuxEventMap,
  LinuxEventRecord,
  RecordCallback,
  RecordSubscription,
} from "../../object/index.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import type { Ring } from "./ring.ts";

/** Records copied at a time for those who iterate. */
const COPIED = 256;
/** Records handed out before the event loop has its turn. */
const TURN = 8192;

/** A map whose records are read: what ring buffers and perf buffers have in common. */
export abstract class EventReadingMap extends LinuxMap implements LinuxEventMap {
  /** The map's buffers; opened when first asked for. */
  protected abstract get rings(): readonly Ring[];
  private readonly waited = new Set<Ring>();

  get lost(): number {
    return this.rings.reduce((sum, ring) => sum + ring.lost, 0);
  }

  consume(callback: RecordCallback, limit = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (const ring of this.rings) count += ring.consume(callback, limit - count);
    return count;
  }

  drain(): LinuxEventRecord[] {
    return this.take(Number.POSITIVE_INFINITY);
  }

  async *records(): AsyncGenerator<LinuxEventRecord, void, void> {
    while (!this.handle.closed) {
      const records = this.take(COPIED);
      yield* records;
      if (records.length === 0) await this.readable();
    }
  }

  onRecord(callback: RecordCallback): RecordSubscription {
    let stopped = false;
    const run = async (): Promise<void> => {
      while (!stopped && !this.handle.closed) {
        const count = this.consume(callback, TURN);
        await (count === 0 ? this.readable() : new Promise(setImmediate));
      }
    };
    const done = run();
    done.catch(() => {}); // who does not look at `done` is not told by the process dying
    const stop = (): void => {
      stopped = true;
      this.stopWaiting();
    };
    return { done, stop, [Symbol.dispose]: stop };
  }

  countLostBy(_variable: GlobalVariable): void {
    throw new BpfError(
      "linux/unsupported",
      `map '${this.name}': the kernel itself counts what perf buffers lose`,
      {
        subject: this.name,
        hint: "read `lost`",
      },
    );
  }

  /** Ring buffers are there from the start. */
  openBuffers(_pages?: number): void {}

  override close(): void {
    this.stopWaiting();
    this.closeRings();
    super.close();
  }

  /** Closes what `rings` opened, if it did. */
  protected abstract closeRings(): void;

  private take(limit: number): LinuxEventRecord[] {
    const records: LinuxEventRecord[] = [];
    this.consume((bytes, start, length, cpu, lostBefore) => {
      records.push({ cpu, data: bytes.slice(start, start + length), lostBefore });
    }, limit);
    return records;
  }

  /** Resolves when there are records, or somebody stopped waiting. */
  private readable(): Promise<void> {
    for (const ring of this.rings) this.waited.add(ring);
    return this.context.poller.wait(this.rings.map((ring) => ring.handle));
  }

  private stopWaiting(): void {
    for (const ring of this.waited) this.context.poller.cancel(ring.handle);
    this.waited.clear();
  }
}
