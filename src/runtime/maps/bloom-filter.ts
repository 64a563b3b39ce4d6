import { flags64, MapBase } from "./base.ts";
import { EOPNOTSUPP } from "./constants.ts";

/**
 * BPF_MAP_TYPE_BLOOM_FILTER (5.16): no keys; update adds a value; `lookup` takes a value in place of the key (bpf(2)
 * passes it in the value's place) and gives it back when it was probably added.
 */
export class BloomFilterMap extends MapBase {
  override readonly lookupGives = "none";

  protected override get lookupKeySize(): number {
    return this.spec.valueSize;
  }

  protected override sysLookup(value: Uint8Array): Uint8Array | number {
    const scratch = this.scratch();
    this.module.memory.write(scratch.value, value);
    const error = this.wasm.mapPeek(this.address, scratch.value);
    return error < 0 ? error : value.slice();
  }

  protected override sysUpdate(_key: Uint8Array, value: Uint8Array, flags: number): number {
    const scratch = this.scratch();
    this.module.memory.write(scratch.value, value);
    return this.pushElem(scratch.value, flags);
  }

  protected override sysDelete(_key: Uint8Array): number {
    return -EOPNOTSUPP;
  }

  protected override sysNextKey(_key: Uint8Array | undefined): number {
    return -EOPNOTSUPP;
  }

  /** A bloom filter cannot be listed: nothing. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {}

  override updateElem(_key: number, _value: number, _flags: number, _cpu: number): number {
    return -EOPNOTSUPP;
  }
  override deleteElem(_key: number): number {
    return -EOPNOTSUPP;
  }
  override pushElem(value: number, flags: number): number {
    return this.wasm.mapPush(this.address, value, flags64(flags));
  }
  override popElem(_value: number): number {
    return -EOPNOTSUPP;
  }
  override peekElem(value: number): number {
    return this.wasm.mapPeek(this.address, value);
  }
}
