import type { EventRecord } from "../../object/index.ts";
import type { MapParts } from "./base.ts";
import { E2BIG, ENOENT, ENOSPC, ENOTSUPP, EOPNOTSUPP } from "./constants.ts";
import type { EmbeddedEventMap } from "./map.ts";
import { type Slot, SlotMap } from "./slots.ts";

/** Bytes of records that a CPU's buffer holds before records are lost: what 256 pages of a perf ring hold. */
const BUFFER_BYTES = 256 * 4096;
/** `struct perf_event_header` and the u32 size of a PERF_RECORD_SAMPLE with raw data. */
const RECORD_HEADER = 12;

/** One CPU's event: its buffer. */
interface PerfBuffer {
  readonly cpu: number;
  used: number;
}

/**
 * BPF_MAP_TYPE_PERF_EVENT_ARRAY (4.3): records to the host, one bounded buffer for each CPU. As after libbpf's
 * `perf_buffer__new` every CPU's slot is open from the start; deleting a slot closes it.
 */
export class PerfEventArrayMap extends SlotMap<PerfBuffer> implements EmbeddedEventMap {
  override readonly lookupGives = "none";
  private records: EventRecord[] = [];
  private lostRecords = 0;
  private wakeupCount = 0;

  constructor(parts: MapParts) {
    super(parts);
    const open = Math.min(parts.numCpus, parts.spec.maxEntries);
    for (let cpu = 0; cpu < open; cpu++) this.put(cpu, { cpu, used: 0 });
  }

  get lost(): number {
    return this.lostRecords;
  }

  get wakeups(): number {
    return this.wakeupCount;
  }

  /** All records in the order they were written. */
  drain(): EventRecord[] {
    const records = this.records;
    this.records = [];
    for (const { item } of this.slots.values()) item.used = 0;
    return records;
  }

  /** Records that have been taken out take no room. */
  deliver(records: readonly EventRecord[], lost: number): void {
    for (const record of records) this.records.push(record);
    this.lostRecords += lost;
    this.wakeupCount += records.length;
  }

  override eventOutput(index: number, cpu: number, data: Uint8Array): number {
    if (index >= this.spec.maxEntries) return -E2BIG;
    const buffer = this.slots.get(index)?.item;
    if (buffer === undefined) return -ENOENT;
    if (buffer.cpu !== cpu) return -EOPNOTSUPP;
    const bytes = Math.ceil((RECORD_HEADER + data.length) / 8) * 8;
    if (buffer.used + bytes > BUFFER_BYTES) {
      this.lostRecords++;
      return -ENOSPC;
    }
    buffer.used += bytes;
    this.records.push({ cpu, data: data.slice() });
    this.wakeupCount++;
    return 0;
  }

  /** Any value opens the slot again: there is no event to choose from. */
  protected override itemFor(_value: Uint8Array, index: number): PerfBuffer {
    return { cpu: index, used: 0 };
  }

  protected override hostValue(_slot: Slot<PerfBuffer>): number {
    return -ENOTSUPP;
  }

  protected override sysLookup(_key: Uint8Array): number {
    return -ENOTSUPP;
  }

  /** Slots have no value to list: {@link drain} takes the records. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {}
}
