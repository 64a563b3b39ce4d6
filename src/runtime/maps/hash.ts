import { alignUp } from "../../base/index.ts";
import { damagedMemory } from "../damage.ts";
import { MAP_VALUE_STRIDE } from "../layout.ts";
import type { BatchOps } from "./base.ts";
import { ENOSPC } from "./constants.ts";
import type { BatchCursor, BatchResult } from "./map.ts";
import { NativeMap } from "./native.ts";

/** BPF_MAP_TYPE_HASH (3.19). Full: E2BIG. Order of keys: by bucket, newest first within one. */
export class HashMap extends NativeMap {
  protected override readonly batchOps: BatchOps = {
    lookup: true,
    lookupAndDelete: true,
    update: true,
    delete: true,
  };

  protected override sysLookupAndDelete(key: Uint8Array): Uint8Array | number {
    const value = this.sysLookup(key);
    if (typeof value === "number") return value;
    const error = this.sysDelete(key);
    return error < 0 ? error : value;
  }

  override forEach(visit: (key: number, value: number) => boolean, cpu: number): number {
    const stride = this.module.memory.view.getUint32(this.address + MAP_VALUE_STRIDE, true);
    const skip = this.hostValueSize === this.spec.valueSize ? 0 : cpu * stride;
    let visited = 0;
    for (const nodes of this.buckets(0)) {
      for (const node of nodes.nodes) {
        // A callback may delete elements: what is no longer in its bucket is passed over.
        if (visited > 0 && !this.inBucket(nodes.bucket, node)) continue;
        visited++;
        const value = (this.wasm.hashNodeValue(this.address, node) >>> 0) + skip;
        if (visit(this.wasm.hashNodeKey(this.address, node) >>> 0, value)) return visited;
      }
    }
    return visited;
  }

  /** `__htab_map_lookup_and_delete_batch`: whole buckets; the cursor is the number of the next bucket. */
  protected override collectBatch(
    count: number,
    cursor: BatchCursor | undefined,
    remove: boolean,
  ): BatchResult {
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    if (count === 0) return { keys, values, next: cursor };
    const start =
      cursor === undefined ? 0 : new DataView(cursor.buffer, cursor.byteOffset).getUint32(0, true);
    let next: number | undefined;
    for (const { bucket, nodes } of this.buckets(start)) {
      if (nodes.length > count - keys.length) {
        if (keys.length === 0) throw this.error("lookup batch", -ENOSPC);
        next = bucket;
        break;
      }
      for (const node of nodes) {
        keys.push(
          this.module.memory.read(this.wasm.hashNodeKey(this.address, node) >>> 0, this.spec.keySize),
        );
        values.push(this.copyOut(this.wasm.hashNodeValue(this.address, node) >>> 0, this.hostValueSize));
      }
    }
    if (remove) for (const key of keys) this.sysDelete(key);
    if (next === undefined) return { keys, values, next: undefined };
    const out = new Uint8Array(4);
    new DataView(out.buffer).setUint32(0, next, true);
    return { keys, values, next: out };
  }

  protected override release(): void {
    if (!this.hasResources) return;
    for (const { nodes } of this.buckets(0)) {
      for (const node of nodes) this.dropFields(this.wasm.hashNodeValue(this.address, node) >>> 0);
    }
  }

  /** The buckets that hold something, from `first` on; each one's nodes as they are when it is reached. */
  private *buckets(first: number): Generator<{ bucket: number; nodes: number[] }> {
    const total = this.wasm.hashBucketCount(this.address);
    let left = this.mostElements;
    for (let bucket = first; ; bucket++) {
      bucket = this.wasm.hashNextBucket(this.address, bucket);
      if (bucket >= total) return;
      const nodes: number[] = [];
      for (let node = this.wasm.hashBucketHead(this.address, bucket) >>> 0; node !== 0; ) {
        if (--left < 0) throw damagedMemory(`map '${this.name}' has no end`);
        nodes.push(node);
        node = this.wasm.hashNodeNext(node) >>> 0;
      }
      yield { bucket, nodes };
    }
  }

  private inBucket(bucket: number, wanted: number): boolean {
    let node = this.wasm.hashBucketHead(this.address, bucket) >>> 0;
    for (let left = this.mostElements; node !== 0 && node !== wanted; left--) {
      if (left < 0) throw damagedMemory(`map '${this.name}' has no end`);
      node = this.wasm.hashNodeNext(node) >>> 0;
    }
    return node !== 0;
  }
}

/** BPF_MAP_TYPE_PERCPU_HASH (4.6): a value for each CPU under every key. */
export class PercpuHashMap extends HashMap {
  protected override get hostValueSize(): number {
    return alignUp(this.spec.valueSize, 8) * this.numCpus;
  }
}
