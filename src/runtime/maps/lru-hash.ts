import { alignUp } from "../../base/index.ts";
import { MAP_MAX_ENTRIES } from "../layout.ts";
import { flags64 } from "./base.ts";
import { HashMap } from "./hash.ts";

/**
 * BPF_MAP_TYPE_LRU_HASH (4.10): a full map makes room by evicting an element that no program has looked up lately.
 * Second chance ("clock") here; Linux keeps lists per CPU and evicts up to 128 at a time, so which element goes may
 * differ, the limit and the protection of elements in use do not. Lookups by the host do not count as uses.
 */
export class LruHashMap extends HashMap {
  protected override updateWithResources(key: number, value: number, flags: number, cpu: number): number {
    const old = this.wasm.mapFind(this.address, key) >>> 0;
    const limit = this.module.memory.view.getUint32(this.address + MAP_MAX_ENTRIES, true);
    if (old === 0 && this.count >= limit) {
      const victim = this.wasm.hashVictim(this.address) >>> 0;
      this.dropFields(this.wasm.hashNodeValue(this.address, victim) >>> 0);
    }
    const error = this.wasm.mapUpdate(this.address, key, value, flags64(flags), cpu);
    if (error === 0 && old !== 0) this.dropFields(old);
    return error;
  }
}

/** BPF_MAP_TYPE_LRU_PERCPU_HASH (4.10). */
export class LruPercpuHashMap extends LruHashMap {
  protected override get hostValueSize(): number {
    return alignUp(this.spec.valueSize, 8) * this.numCpus;
  }
}
