import { bytesEqual } from "../../base/index.ts";
import { MapBase } from "./base.ts";
import { BPF_F_STACK_BUILD_ID, E2BIG, EEXIST, EINVAL, ENOENT } from "./constants.ts";
import { indexOf, keyOf } from "./slots.ts";

const FAST_STACK_CMP = 1 << 9;
const REUSE_STACKID = 1 << 10;
/** `struct bpf_stack_build_id`; status BPF_STACK_BUILD_ID_IP: no build id known, the last word is the address. */
const BUILD_ID_BYTES = 32;
const BUILD_ID_IP = 2;

/** BPF_MAP_TYPE_STACK_TRACE (4.6): call stacks by id (hash bucket). kernel/bpf/stackmap.c @ v6.12. */
export class StackTraceMap extends MapBase {
  override readonly lookupGives = "none";
  private readonly stacks = new Map<number, { readonly hash: number; readonly value: Uint8Array }>();

  override get count(): number {
    return this.stacks.size;
  }

  override stackId(addresses: readonly bigint[], flags: number): number {
    const value = this.encode(addresses);
    const hash = hashOf(value);
    const id = hash % this.buckets;
    const old = this.stacks.get(id);
    if (old !== undefined && old.hash === hash) {
      if ((flags & FAST_STACK_CMP) !== 0 || bytesEqual(old.value, value)) return id;
    }
    if (old !== undefined && (flags & REUSE_STACKID) === 0) return -EEXIST;
    this.stacks.set(id, { hash, value });
    return id;
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    return this.stacks.get(indexOf(key))?.value.slice() ?? -ENOENT;
  }

  protected override sysUpdate(_key: Uint8Array, _value: Uint8Array, _flags: number): number {
    return -EINVAL;
  }

  protected override sysDelete(key: Uint8Array): number {
    const id = indexOf(key);
    if (id >= this.buckets) return -E2BIG;
    return this.stacks.delete(id) ? 0 : -ENOENT;
  }

  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const ids = [...this.stacks.keys()].sort((a, b) => a - b);
    const at = key === undefined ? -1 : ids.indexOf(indexOf(key));
    return at + 1 < ids.length ? keyOf(ids[at + 1]) : -ENOENT;
  }

  private get buckets(): number {
    return 2 ** Math.ceil(Math.log2(this.spec.maxEntries));
  }

  private encode(addresses: readonly bigint[]): Uint8Array {
    const value = new Uint8Array(this.spec.valueSize);
    const view = new DataView(value.buffer);
    const buildId = (this.spec.flags & BPF_F_STACK_BUILD_ID) !== 0;
    const step = buildId ? BUILD_ID_BYTES : 8;
    const count = Math.min(addresses.length, value.length / step);
    for (let i = 0; i < count; i++) {
      if (buildId) view.setInt32(i * step, BUILD_ID_IP, true);
      view.setBigUint64(i * step + step - 8, BigInt.asUintN(64, addresses[i]), true);
    }
    return value;
  }
}

/** FNV-1a; Linux takes jhash2, but ids mean nothing outside their map. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 1;
}
