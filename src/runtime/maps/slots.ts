import { alignUp } from "../../base/index.ts";
import { MapBase } from "./base.ts";
import { E2BIG, EINVAL, ENOENT, ENOMEM } from "./constants.ts";

/** One occupied slot: what the host keeps, and its value's bytes in linear memory (0: none). */
export interface Slot<T> {
  readonly item: T;
  readonly value: number;
}

/**
 * A map whose slots hold objects of the host (programs, devices, sockets …) under a u32 index: nothing is allocated for
 * empty slots, so max_entries may be large.
 */
export abstract class SlotMap<T> extends MapBase {
  protected readonly slots = new Map<number, Slot<T>>();

  override get count(): number {
    return this.slots.size;
  }

  /** What a value given by the host stands for, or -errno. */
  protected abstract itemFor(value: Uint8Array, index: number): T | number;

  /** Bytes the host reads back for a slot; -errno when bpf(2) does not give any. */
  protected abstract hostValue(slot: Slot<T>): Uint8Array | number;

  /** Bytes programs see under the slot; undefined: none. */
  protected programValue(_item: T, _index: number): Uint8Array | undefined {
    return undefined;
  }

  protected put(index: number, item: T): number {
    const bytes = this.programValue(item, index);
    let value = 0;
    if (bytes !== undefined) {
      value = this.wasm.alloc(Math.max(8, alignUp(bytes.length, 8))) >>> 0;
      if (value === 0) return -ENOMEM;
      this.module.memory.write(value, bytes);
    }
    this.drop(index);
    this.slots.set(index, { item, value });
    return 0;
  }

  /** Empties a slot; false when it was empty. */
  protected drop(index: number): boolean {
    const slot = this.slots.get(index);
    if (slot === undefined) return false;
    if (slot.value !== 0) this.wasm.free(slot.value);
    this.slots.delete(index);
    return true;
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    const slot = this.slots.get(indexOf(key));
    return slot === undefined ? -ENOENT : this.hostValue(slot);
  }

  /** `bpf_fd_array_map_update_elem`: flags must be 0. */
  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const index = indexOf(key);
    if (flags !== 0) return -EINVAL;
    if (index >= this.spec.maxEntries) return -E2BIG;
    const item = this.itemFor(value, index);
    return typeof item === "number" ? item : this.put(index, item);
  }

  /** `__fd_array_map_delete_elem`. */
  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -E2BIG;
    return this.drop(index) ? 0 : -ENOENT;
  }

  /** Every index, empty or not, as array kinds in Linux. */
  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const index = key === undefined ? 0xffffffff : indexOf(key);
    if (index >= this.spec.maxEntries) return keyOf(0);
    return index === this.spec.maxEntries - 1 ? -ENOENT : keyOf(index + 1);
  }

  protected override keySnapshot(): Uint8Array[] {
    return [...this.slots.keys()].sort((a, b) => a - b).map(keyOf);
  }

  protected override release(): void {
    for (const index of [...this.slots.keys()]) this.drop(index);
  }

  override lookupElem(key: number, _cpu: number): number {
    return this.slots.get(this.module.memory.view.getUint32(key, true))?.value ?? 0;
  }
}

/** The u32 that a key holds. */
export function indexOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(0, true);
}

export function keyOf(index: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, true);
  return key;
}
