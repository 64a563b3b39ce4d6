import type { EventRecord } from "../../object/index.ts";
import { damagedMemory } from "../damage.ts";
import type { Memory } from "../memory.ts";
import { flags64, MapBase } from "./base.ts";
import { BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ, ENOTSUPP } from "./constants.ts";
import type { EmbeddedEventMap, EmbeddedUserRing, UserSample } from "./map.ts";

const LENGTH_BITS = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

/** BPF_MAP_TYPE_RINGBUF (5.8): records from programs to the host, in order, shared by all CPUs. */
export class RingBufferMap extends MapBase implements EmbeddedEventMap {
  override readonly lookupGives = "none";
  /** Records that other threads took out. */
  private delivered: EventRecord[] = [];

  get lost(): number {
    return this.wasm.ringbufLost(this.address) >>> 0;
  }

  get wakeups(): number {
    return this.wasm.ringbufWakeups(this.address) >>> 0;
  }

  /**
   * Committed records, oldest first; stops at one that a program still fills, and after as much as the ring holds: what
   * other threads add meanwhile is for the next time. The CPU is not recorded: 0.
   */
  drain(): EventRecord[] {
    const records = this.delivered;
    this.delivered = [];
    const { wasm, address, module, spec } = this;
    let left = spec.maxEntries;
    wasm.consumerEnter?.(address);
    try {
      while (left > 0) {
        const header = wasm.ringbufPeek(address) >>> 0;
        if (header === 0) break;
        const size = recordSize(module.memory, header, spec.maxEntries);
        left -= BPF_RINGBUF_HDR_SZ + size;
        records.push({ cpu: 0, data: module.memory.read(header + BPF_RINGBUF_HDR_SZ, size) });
        wasm.ringbufConsume(address);
      }
      return records;
    } finally {
      wasm.consumerLeave?.(address);
    }
  }

  deliver(records: readonly EventRecord[]): void {
    for (const record of records) this.delivered.push(record);
  }

  /** Records are events, not elements: {@link drain} takes them. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {}

  override ringbufReserve(size: number, flags: number): number {
    return this.wasm.ringbufReserve(this.address, BigInt(Math.trunc(size)), flags64(flags)) >>> 0;
  }
  override ringbufSubmit(record: number, flags: number): void {
    this.wasm.ringbufSubmit(record, flags64(flags));
  }
  override ringbufDiscard(record: number, flags: number): void {
    this.wasm.ringbufDiscard(record, flags64(flags));
  }
  override ringbufOutput(data: number, size: number, flags: number): number {
    return this.wasm.ringbufOutput(this.address, data, BigInt(Math.trunc(size)), flags64(flags));
  }
  override ringbufQuery(what: number): number {
    return Number(this.wasm.ringbufQuery(this.address, flags64(what)));
  }
}

/** BPF_MAP_TYPE_USER_RINGBUF (6.1): samples from the host to programs. */
export class UserRingBufferMap extends MapBase implements EmbeddedUserRing {
  override readonly lookupGives = "none";

  /** Adds a sample; false when there is no room. */
  produce(data: Uint8Array): boolean {
    const record = this.wasm.userRingbufReserve(this.address, data.length) >>> 0;
    if (record === 0) return false;
    this.module.memory.write(record, data);
    this.wasm.ringbufSubmit(record, 0n);
    return true;
  }

  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {}

  override userRingbufPeek(): UserSample | number {
    const header = this.wasm.userRingbufPeek(this.address);
    if (header < 0 && header >= -ENOTSUPP) return header;
    const at = header >>> 0;
    const size = recordSize(this.module.memory, at, this.spec.maxEntries);
    return { address: at + BPF_RINGBUF_HDR_SZ, size };
  }

  override userRingbufRelease(): void {
    this.wasm.ringbufConsume(this.address);
  }
}

/** Bytes of the record whose header is there. */
function recordSize(memory: Memory, header: number, most: number): number {
  const end = memory.u8.length;
  const size = header + BPF_RINGBUF_HDR_SZ <= end ? memory.view.getUint32(header, true) & LENGTH_BITS : end;
  if (size > most || header + BPF_RINGBUF_HDR_SZ + size > end)
    throw damagedMemory("a record is longer than its ring");
  return size;
}
