import type { RedirectTarget } from "../../object/index.ts";
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EBADF, EEXIST, EINVAL, ENOENT, EOPNOTSUPP } from "./constants.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/**
 * BPF_MAP_TYPE_XSKMAP (4.18): AF_XDP sockets to redirect to. The host writes any id above 0 for a socket; a program's
 * lookup gives `struct bpf_xdp_sock` (queue id = index). net/xdp/xskmap.c @ v6.12.
 */
export class XskMap extends SlotMap<{ readonly socket: number }> {
  override readonly lookupGives = "xdp-socket";

  override redirectTarget(index: number): RedirectTarget | undefined {
    return this.slots.has(index) ? { kind: "xskmap", index, map: this.name } : undefined;
  }

  override socketAt(key: number): number {
    return this.slots.get(this.module.memory.view.getUint32(key, true))?.item.socket ?? 0;
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -E2BIG;
    const item = this.itemFor(value);
    if (typeof item === "number") return item;
    const known = this.slots.has(index);
    if (known && flags === BPF_NOEXIST) return -EEXIST;
    if (!known && flags === BPF_EXIST) return -ENOENT;
    return this.put(index, item);
  }

  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -EINVAL;
    this.drop(index);
    return 0;
  }

  protected override itemFor(value: Uint8Array): { socket: number } | number {
    const socket = indexOf(value);
    return socket === 0 ? -EBADF : { socket };
  }

  protected override programValue(_item: unknown, index: number): Uint8Array {
    return keyOf(index);
  }

  protected override hostValue(_slot: Slot<unknown>): number {
    return -EOPNOTSUPP;
  }

  protected override sysLookup(_key: Uint8Array): number {
    return -EOPNOTSUPP;
  }

  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const key of this.keySnapshot()) yield [key, keyOf(this.slots.get(indexOf(key))!.item.socket)];
  }
}
