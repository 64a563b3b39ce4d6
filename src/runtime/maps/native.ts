import { ALL_CPUS, flags64, MapBase } from "./base.ts";
import { ENOENT } from "./constants.ts";

/**
 * A map with keys whose elements live in wasm (assembly/maps): arrays, hashes, LPM trie. The host's view goes through
 * scratch memory; programs' operations are one call.
 */
export abstract class NativeMap extends MapBase {
  override get count(): number {
    return this.wasm.mapCount(this.address) >>> 0;
  }

  /** Address of the element (all CPUs) for a key given as bytes, 0: none. */
  protected find(key: Uint8Array): number {
    const { key: at } = this.scratch();
    this.module.memory.write(at, key);
    return this.wasm.mapFind(this.address, at) >>> 0;
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    const element = this.find(key);
    return element === 0 ? -ENOENT : this.copyOut(element, this.hostValueSize);
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const scratch = this.scratch();
    this.module.memory.write(scratch.key, key);
    this.module.memory.write(scratch.value, value);
    return this.updateElem(scratch.key, scratch.value, flags, ALL_CPUS);
  }

  protected override sysDelete(key: Uint8Array): number {
    const scratch = this.scratch();
    this.module.memory.write(scratch.key, key);
    return this.deleteElem(scratch.key);
  }

  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const scratch = this.scratch();
    if (key !== undefined) this.module.memory.write(scratch.key, key);
    const error = this.wasm.mapNextKey(this.address, key === undefined ? 0 : scratch.key, scratch.next);
    return error < 0 ? error : this.module.memory.read(scratch.next, this.spec.keySize);
  }

  override lookupElem(key: number, cpu: number): number {
    return this.wasm.mapLookup(this.address, key, cpu) >>> 0;
  }

  override lookupPercpuElem(key: number, cpu: number): number {
    return this.wasm.mapLookupPercpu(this.address, key, cpu) >>> 0;
  }

  override updateElem(key: number, value: number, flags: number, cpu: number): number {
    if (!this.hasResources) return this.wasm.mapUpdate(this.address, key, value, flags64(flags), cpu);
    return this.updateWithResources(key, value, flags, cpu);
  }

  override deleteElem(key: number): number {
    if (this.hasResources) this.dropFields(this.wasm.mapFind(this.address, key) >>> 0);
    return this.wasm.mapDelete(this.address, key);
  }

  /** An update of a map whose values hold timers or kptrs: the replaced value's are let go. */
  protected updateWithResources(key: number, value: number, flags: number, cpu: number): number {
    const old = this.wasm.mapFind(this.address, key) >>> 0;
    const error = this.wasm.mapUpdate(this.address, key, value, flags64(flags), cpu);
    if (error === 0 && old !== 0) this.dropFields(old);
    return error;
  }
}
