import type { MapSpec } from "../../object/index.ts";
import { MAP_ID } from "../layout.ts";
import { ALL_CPUS, type BatchOps, flags64, MapBase, type MapParts } from "./base.ts";
import {
  BPF_F_INNER_MAP,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  E2BIG,
  EBADF,
  EINVAL,
  ENOENT,
  ENOTSUPP,
} from "./constants.ts";
import { HashMap } from "./hash.ts";
import type { CreateMapOptions, ObjectRegistry, SpecialField } from "./map.ts";
import { NativeMap } from "./native.ts";
import { indexOf, keyOf } from "./slots.ts";
import { specialFields } from "./special-fields.ts";

/** What an inner map must agree with: `bpf_map_meta_equal`. */
interface InnerTemplate {
  readonly spec: MapSpec;
  readonly fields: readonly SpecialField[];
}

/** Flags that say what the host may do are no part of a map's identity (`bpf_map_flags_retain_permanent`). */
const PERMANENT = ~(BPF_F_RDONLY | BPF_F_WRONLY);

function fits(template: InnerTemplate, map: MapBase): boolean {
  const { spec } = template;
  const same =
    spec.type === map.spec.type &&
    spec.keySize === map.spec.keySize &&
    spec.valueSize === map.spec.valueSize &&
    (spec.flags & PERMANENT) === (map.spec.flags & PERMANENT) &&
    template.fields.length === map.fields.length &&
    template.fields.every(
      (field, i) => field.kind === map.fields[i].kind && field.offset === map.fields[i].offset,
    );
  if (!same || spec.type !== "BPF_MAP_TYPE_ARRAY") return same;
  return (spec.flags & BPF_F_INNER_MAP) !== 0 || spec.maxEntries === map.spec.maxEntries;
}

/** The inner maps that an outer map holds, by the address of their headers. */
class InnerMaps {
  private readonly template: InnerTemplate | undefined;
  private readonly registry: ObjectRegistry | undefined;
  private readonly held = new Map<number, MapBase>();

  constructor(options: CreateMapOptions, spec: MapSpec) {
    const inner = options.inner ?? spec.inner;
    if (inner !== undefined) {
      this.template = { spec: inner, fields: specialFields(options.btf, inner.valueType, inner.valueSize) };
    }
    this.registry = options.registry;
  }

  /** The map with the id that `value` holds, when it may go in; or -EBADF, -EINVAL. */
  resolve(value: Uint8Array): MapBase | number {
    const map = this.registry?.mapById(indexOf(value));
    if (!(map instanceof MapBase)) return -EBADF;
    return this.template !== undefined && fits(this.template, map) ? map : -EINVAL;
  }

  /** A slot now holds `map` (undefined: nothing) in place of the map at address `old` (0: nothing). */
  replace(old: number, map: MapBase | undefined): void {
    map?.hold();
    if (map !== undefined) this.held.set(map.address, map);
    this.held.get(old)?.letGo();
  }
}

/** BPF_MAP_TYPE_ARRAY_OF_MAPS (4.12). The host writes and reads map ids, a program's lookup gives the map. */
export class ArrayOfMaps extends NativeMap {
  override readonly lookupGives = "map";
  protected override readonly batchOps: BatchOps = { lookup: true, update: true };
  private readonly inner: InnerMaps;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.inner = new InnerMaps(options, parts.spec);
  }

  override get count(): number {
    return this.keySnapshot().length;
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    const map = this.innerAt(key);
    return map === 0 ? -ENOENT : keyOf(this.module.memory.view.getUint32(map + MAP_ID, true));
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    if (flags !== 0) return -EINVAL;
    if (indexOf(key) >= this.spec.maxEntries) return -E2BIG;
    const map = this.inner.resolve(value);
    if (typeof map === "number") return map;
    this.set(key, map);
    return 0;
  }

  protected override sysDelete(key: Uint8Array): number {
    if (indexOf(key) >= this.spec.maxEntries) return -E2BIG;
    if (this.innerAt(key) === 0) return -ENOENT;
    this.set(key, undefined);
    return 0;
  }

  protected override keySnapshot(): Uint8Array[] {
    return [...this.occupied()];
  }

  protected override release(): void {
    for (const key of this.occupied()) this.set(key, undefined);
  }

  private *occupied(): Generator<Uint8Array> {
    for (let index = 0; index < this.spec.maxEntries; index++) {
      const key = keyOf(index);
      if (this.innerAt(key) !== 0) yield key;
    }
  }

  private innerAt(key: Uint8Array): number {
    const slot = this.find(key);
    return slot === 0 ? 0 : this.module.memory.view.getUint32(slot, true);
  }

  private set(key: Uint8Array, map: MapBase | undefined): void {
    const slot = this.find(key);
    const old = this.module.memory.view.getUint32(slot, true);
    this.module.memory.view.setUint32(slot, map?.address ?? 0, true);
    this.inner.replace(old, map);
  }
}

/** BPF_MAP_TYPE_HASH_OF_MAPS (4.12). */
export class HashOfMaps extends HashMap {
  override readonly lookupGives = "map";
  private readonly inner: InnerMaps;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.inner = new InnerMaps(options, parts.spec);
  }

  protected override copyOut(slot: number, _size: number): Uint8Array {
    const { view } = this.module.memory;
    return keyOf(view.getUint32(view.getUint32(slot, true) + MAP_ID, true));
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const map = this.inner.resolve(value);
    if (typeof map === "number") return map;
    const old = this.innerAt(key);
    const scratch = this.scratch();
    this.module.memory.write(scratch.key, key);
    this.module.memory.view.setUint32(scratch.value, map.address, true);
    const error = this.wasm.mapUpdate(this.address, scratch.key, scratch.value, flags64(flags), ALL_CPUS);
    if (error === 0) this.inner.replace(old, map);
    return error;
  }

  protected override sysDelete(key: Uint8Array): number {
    const old = this.innerAt(key);
    const error = super.sysDelete(key);
    if (error === 0) this.inner.replace(old, undefined);
    return error;
  }

  protected override sysLookupAndDelete(_key: Uint8Array): number {
    return -ENOTSUPP;
  }

  override forEach(): number {
    return -EINVAL;
  }

  protected override release(): void {
    for (const key of this.everyKey()) this.inner.replace(this.innerAt(key), undefined);
  }

  private innerAt(key: Uint8Array): number {
    const slot = this.find(key);
    return slot === 0 ? 0 : this.module.memory.view.getUint32(slot, true);
  }
}
