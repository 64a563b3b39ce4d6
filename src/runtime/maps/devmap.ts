import type { RedirectTarget } from "../../object/index.ts";
import type { MapParts } from "./base.ts";
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EEXIST, EINVAL, ENOENT } from "./constants.ts";
import type { CreateMapOptions, ObjectRegistry } from "./map.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/** `struct bpf_devmap_val`: interface, and the program that runs on what is sent there (0: none). */
interface Device {
  readonly ifindex: number;
  readonly program: number;
}

/**
 * BPF_MAP_TYPE_DEVMAP (4.14): interfaces to redirect to, under an index. No devices exist here: every ifindex above 0 is
 * accepted, and redirects are recorded. kernel/bpf/devmap.c @ v6.12.
 */
export class DevMap extends SlotMap<Device> {
  protected readonly registry: ObjectRegistry | undefined;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.registry = options.registry;
  }

  override redirectTarget(index: number): RedirectTarget | undefined {
    const device = this.slots.get(index)?.item;
    return device && { kind: "devmap", index: device.ifindex, map: this.name };
  }

  override redirectTargets(): readonly RedirectTarget[] {
    return [...this.slots.keys()].sort((a, b) => a - b).map((index) => this.redirectTarget(index)!);
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -E2BIG;
    if (flags === BPF_NOEXIST) return -EEXIST;
    const device = this.itemFor(value);
    if (typeof device === "number") return device;
    if (device.ifindex !== 0) return this.put(index, device);
    if (device.program !== 0) return -EINVAL;
    this.drop(index);
    return 0;
  }

  /** Deleting an empty slot succeeds, as in Linux. */
  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -EINVAL;
    this.drop(index);
    return 0;
  }

  protected override itemFor(value: Uint8Array): Device | number {
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const program = value.length >= 8 ? Math.max(0, view.getInt32(4, true)) : 0;
    if (program !== 0 && this.registry?.programById(program) === undefined) return -EINVAL;
    return { ifindex: view.getUint32(0, true), program };
  }

  protected override hostValue(slot: Slot<Device>): Uint8Array {
    return this.programValue(slot.item).slice(0, this.spec.valueSize);
  }

  protected override programValue(device: Device): Uint8Array {
    const bytes = new Uint8Array(8);
    bytes.set(keyOf(device.ifindex));
    bytes.set(keyOf(device.program), 4);
    return bytes;
  }
}

/** BPF_MAP_TYPE_DEVMAP_HASH (5.4): the same under any u32 key. */
export class DevMapHash extends DevMap {
  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const device = this.itemFor(value);
    if (flags > BPF_EXIST || (typeof device !== "number" && device.ifindex === 0)) return -EINVAL;
    const index = indexOf(key);
    const known = this.slots.has(index);
    if (known && (flags & BPF_NOEXIST) !== 0) return -EEXIST;
    if (typeof device === "number") return device;
    if (!known && this.slots.size >= this.spec.maxEntries) return -E2BIG;
    return this.put(index, device);
  }

  protected override sysDelete(key: Uint8Array): number {
    return this.drop(indexOf(key)) ? 0 : -ENOENT;
  }

  /** Present keys, ascending; Linux lists them by hash bucket. */
  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const keys = [...this.slots.keys()].sort((a, b) => a - b);
    const at = key === undefined ? -1 : keys.indexOf(indexOf(key));
    return at + 1 < keys.length ? keyOf(keys[at + 1]) : -ENOENT;
  }
}
