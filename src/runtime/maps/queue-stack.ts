import { flags64, MapBase } from "./base.ts";
import { EINVAL } from "./constants.ts";

/**
 * BPF_MAP_TYPE_QUEUE and _STACK (4.20): no keys; update pushes (flag "exist": drops the oldest when full), lookup peeks,
 * lookupAndDelete pops. Which end is taken is the business of wasm.
 */
export class QueueStackMap extends MapBase {
  override readonly lookupGives = "none";

  override get count(): number {
    return this.wasm.mapCount(this.address) >>> 0;
  }

  protected override sysLookup(_key: Uint8Array): Uint8Array | number {
    return this.take(this.wasm.mapPeek(this.address, this.scratch().value));
  }

  protected override sysLookupAndDelete(_key: Uint8Array): Uint8Array | number {
    return this.take(this.wasm.mapPop(this.address, this.scratch().value));
  }

  protected override sysUpdate(_key: Uint8Array, value: Uint8Array, flags: number): number {
    const scratch = this.scratch();
    this.module.memory.write(scratch.value, value);
    return this.pushElem(scratch.value, flags);
  }

  protected override sysDelete(_key: Uint8Array): number {
    return -EINVAL;
  }

  protected override sysNextKey(_key: Uint8Array | undefined): number {
    return -EINVAL;
  }

  /** The values, next to be taken first; nothing is removed. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const value = this.lookup(new Uint8Array(0));
    if (value !== undefined) yield [new Uint8Array(0), value];
  }

  override updateElem(_key: number, _value: number, _flags: number, _cpu: number): number {
    return -EINVAL;
  }
  override deleteElem(_key: number): number {
    return -EINVAL;
  }
  override pushElem(value: number, flags: number): number {
    return this.wasm.mapPush(this.address, value, flags64(flags));
  }
  override popElem(value: number): number {
    return this.wasm.mapPop(this.address, value);
  }
  override peekElem(value: number): number {
    return this.wasm.mapPeek(this.address, value);
  }

  private take(error: number): Uint8Array | number {
    return error < 0 ? error : this.copyOut(this.scratch().value, this.spec.valueSize);
  }
}
