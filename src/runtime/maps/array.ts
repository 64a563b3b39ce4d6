import { alignUp } from "../../base/index.ts";
import { MAP_ELEM_BYTES, MAP_VALUE_STRIDE, MAP_VALUES } from "../layout.ts";
import { type BatchOps, flags64 } from "./base.ts";
import { NativeMap } from "./native.ts";
import { keyOf } from "./slots.ts";

/** BPF_MAP_TYPE_ARRAY (3.19): max_entries values, always present; also what global variables live in. */
export class ArrayMap extends NativeMap {
  protected override readonly batchOps: BatchOps = { lookup: true, update: true };

  override get count(): number {
    return this.spec.maxEntries;
  }

  /** By index, one key at a time: an array may have very many elements. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (let index = 0; index < this.spec.maxEntries; index++) {
      const key = keyOf(index);
      const value = this.lookup(key);
      if (value !== undefined) yield [key, value];
    }
  }

  /** Puts `data` (a globals section) at the start of the first value. */
  initialise(data: Uint8Array): void {
    this.module.memory.write(this.valuesAddress, data);
  }

  protected get valuesAddress(): number {
    return this.module.memory.view.getUint32(this.address + MAP_VALUES, true);
  }

  override updateElem(key: number, value: number, flags: number, cpu: number): number {
    const error = this.wasm.mapUpdate(this.address, key, value, flags64(flags), cpu);
    // As in Linux the timers and kptrs of an array element end when the element is written.
    if (error === 0 && this.hasResources) this.dropFields(this.wasm.mapFind(this.address, key) >>> 0);
    return error;
  }

  protected override release(): void {
    if (!this.hasResources) return;
    const stride = this.module.memory.view.getUint32(this.address + MAP_ELEM_BYTES, true);
    for (let i = 0; i < this.spec.maxEntries; i++) this.dropFields(this.valuesAddress + i * stride);
  }

  override forEach(visit: (key: number, value: number) => boolean, cpu: number): number {
    const { next } = this.scratch();
    const { view } = this.module.memory;
    const elemBytes = view.getUint32(this.address + MAP_ELEM_BYTES, true);
    const stride = view.getUint32(this.address + MAP_VALUE_STRIDE, true);
    const first = this.valuesAddress + (elemBytes === stride ? 0 : cpu * stride);
    for (let index = 0; index < this.spec.maxEntries; index++) {
      this.module.memory.view.setUint32(next, index, true);
      if (visit(next, first + index * elemBytes)) return index + 1;
    }
    return this.spec.maxEntries;
  }
}

/** BPF_MAP_TYPE_PERCPU_ARRAY (4.6): one array for each CPU. */
export class PercpuArrayMap extends ArrayMap {
  protected override get hostValueSize(): number {
    return alignUp(this.spec.valueSize, 8) * this.numCpus;
  }
}
