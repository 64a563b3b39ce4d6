import { alignUp } from "../../base/index.ts";
import { MapBase } from "./base.ts";
import {
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_NOEXIST,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  EOPNOTSUPP,
} from "./constants.ts";
import { indexOf, keyOf } from "./slots.ts";

/**
 * Values that belong to objects of the host, each in its own block of linear memory (all CPUs of a per-CPU kind in one
 * block). The base of the storage kinds; the owner is a number that the host and the helpers agree on.
 */
abstract class OwnedValues extends MapBase {
  /** Owner → address, oldest first. */
  protected readonly values = new Map<number, number>();

  override get count(): number {
    return this.values.size;
  }

  override storageGet(owner: number, create: boolean, init: number, cpu: number): number {
    let value = this.values.get(owner);
    if (value === undefined) {
      if (!create) return 0;
      value = this.make(owner);
      if (value === 0) return 0;
      if (init !== 0) this.copyIn(value, this.module.memory.read(init, this.spec.valueSize));
    }
    return value + this.cpuOffset(cpu);
  }

  override storageDelete(owner: number): number {
    const value = this.values.get(owner);
    if (value === undefined) return -ENOENT;
    this.dropFields(value);
    this.wasm.free(value);
    this.values.delete(owner);
    return 0;
  }

  protected cpuOffset(_cpu: number): number {
    return 0;
  }

  /** A zeroed value for `owner`; 0: no memory. */
  protected make(owner: number): number {
    const value = this.wasm.alloc(Math.max(8, alignUp(this.hostValueSize, 8))) >>> 0;
    if (value !== 0) this.values.set(owner, value);
    return value;
  }

  /** Writes a value as the host or an initialiser gives it; special fields stay. */
  protected copyIn(address: number, bytes: Uint8Array): void {
    let at = 0;
    for (const field of this.fields) {
      this.module.memory.write(address + at, bytes.subarray(at, field.offset));
      at = field.offset + field.size;
    }
    this.module.memory.write(address + at, bytes.subarray(at));
  }

  protected override release(): void {
    for (const owner of [...this.values.keys()]) this.storageDelete(owner);
  }
}

/**
 * BPF_MAP_TYPE_TASK_STORAGE (5.11), _SK_STORAGE (5.2), _INODE_STORAGE (5.10), _CGRP_STORAGE (6.2). The host's key is the
 * object's number, where bpf(2) takes a descriptor. kernel/bpf/bpf_local_storage.c @ v6.12.
 */
export class LocalStorageMap extends OwnedValues {
  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    const value = this.values.get(indexOf(key));
    return value === undefined ? -ENOENT : this.copyOut(value, this.spec.valueSize);
  }

  protected override sysUpdate(key: Uint8Array, bytes: Uint8Array, flags: number): number {
    if ((flags & ~BPF_F_LOCK) > BPF_EXIST) return -EINVAL;
    const owner = indexOf(key);
    const known = this.values.get(owner);
    if (known !== undefined && (flags & BPF_NOEXIST) !== 0) return -EEXIST;
    if (known === undefined && (flags & BPF_EXIST) !== 0) return -ENOENT;
    const value = known ?? this.make(owner);
    if (value === 0) return -ENOMEM;
    this.copyIn(value, bytes);
    return 0;
  }

  protected override sysDelete(key: Uint8Array): number {
    return this.storageDelete(indexOf(key));
  }

  /** Linux cannot list them through bpf(2). */
  protected override sysNextKey(_key: Uint8Array | undefined): number {
    return -EOPNOTSUPP;
  }

  protected override keySnapshot(): Uint8Array[] {
    return [...this.values.keys()].map(keyOf);
  }
}

/**
 * BPF_MAP_TYPE_CGROUP_STORAGE (4.19) and _PERCPU_CGROUP_STORAGE (4.20), both superseded by cgrp storage: a value for
 * each cgroup a program is attached to; here it comes to be at the program's first use. Keys: u64 cgroup id, or
 * `struct bpf_cgroup_storage_key`. kernel/bpf/local_storage.c @ v6.12.
 */
export class CgroupStorageMap extends OwnedValues {
  protected override get hostValueSize(): number {
    return this.perCpu ? alignUp(this.spec.valueSize, 8) * this.numCpus : this.spec.valueSize;
  }

  protected override cpuOffset(cpu: number): number {
    return this.perCpu ? cpu * alignUp(this.spec.valueSize, 8) : 0;
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    const value = this.values.get(indexOf(key));
    return value === undefined ? -ENOENT : this.copyOut(value, this.hostValueSize);
  }

  protected override sysUpdate(key: Uint8Array, bytes: Uint8Array, flags: number): number {
    if (this.perCpu ? flags > BPF_EXIST : (flags & ~(BPF_F_LOCK | BPF_EXIST)) !== 0) return -EINVAL;
    const value = this.values.get(indexOf(key));
    if (value === undefined) return -ENOENT;
    this.copyIn(value, bytes);
    return 0;
  }

  protected override sysDelete(_key: Uint8Array): number {
    return -EINVAL;
  }

  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const owners = [...this.values.keys()];
    const next = owners[(key === undefined ? -1 : owners.indexOf(indexOf(key))) + 1];
    if (next === undefined) return -ENOENT;
    const out = new Uint8Array(this.spec.keySize);
    out.set(keyOf(next));
    return out;
  }

  private get perCpu(): boolean {
    return this.type === "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE";
  }
}
