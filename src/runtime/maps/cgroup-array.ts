import { EBADF, ENOTSUPP } from "./constants.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/** BPF_MAP_TYPE_CGROUP_ARRAY (4.8): cgroups that programs test against; the host writes ids above 0. */
export class CgroupArrayMap extends SlotMap<{ readonly id: number }> {
  override readonly lookupGives = "none";

  override cgroupAt(index: number): number {
    return this.slots.get(index)?.item.id ?? 0;
  }

  protected override itemFor(value: Uint8Array): { id: number } | number {
    const id = indexOf(value);
    return id === 0 ? -EBADF : { id };
  }

  protected override hostValue(_slot: Slot<unknown>): number {
    return -ENOTSUPP;
  }

  protected override sysLookup(_key: Uint8Array): number {
    return -ENOTSUPP;
  }

  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const key of this.keySnapshot()) yield [key, keyOf(this.cgroupAt(indexOf(key)))];
  }
}
