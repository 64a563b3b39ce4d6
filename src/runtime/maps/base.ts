import type { MapTypeName } from "../../abi/index.ts";
import { errnoName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { Btf } from "../../btf/index.ts";
import type { MapSpec, RedirectTarget, UpdateFlag } from "../../object/index.ts";
import { damagedMemory } from "../damage.ts";
import { MAP_FROZEN } from "../layout.ts";
import {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_LOCK,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  BPF_NOEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOTSUPP,
  EPERM,
} from "./constants.ts";
import type {
  BatchCursor,
  BatchResult,
  EmbeddedMap,
  LookupResult,
  ProgramHandle,
  ProgramSide,
  SpecialField,
  UserSample,
} from "./map.ts";
import type { MapExports, MapModule } from "./map-exports.ts";

/** What every map is made from; `createMap` fills it in. */
export interface MapParts {
  readonly spec: MapSpec;
  readonly id: number;
  readonly address: number;
  readonly module: MapModule;
  readonly numCpus: number;
  readonly btf: Btf | undefined;
  readonly fields: readonly SpecialField[];
  readonly onFree: ((map: EmbeddedMap, value: number) => void) | undefined;
}

/** Batch operations a kind has in Linux (`map_*_batch` of its `bpf_map_ops`). */
export interface BatchOps {
  readonly lookup?: true;
  readonly lookupAndDelete?: true;
  readonly update?: true;
  readonly delete?: true;
}

/** ALL_CPUS of assembly/maps/header.ts as an i32. */
export const ALL_CPUS = -1;

const FLAG_VALUES = { any: BPF_ANY, noexist: BPF_NOEXIST, exist: BPF_EXIST } as const;
const SMALL_FLAGS = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n] as const;

/** A u64 flags argument for wasm, without allocating for the usual ones. */
export function flags64(flags: number): bigint {
  return SMALL_FLAGS[flags] ?? BigInt.asUintN(64, BigInt(Math.trunc(flags)));
}

/** What to do about an errno, for people. */
const HINTS: Partial<Record<string, string>> = {
  EPERM: "the map was frozen, or created read-only or write-only for this side (BPF_F_RDONLY, BPF_F_WRONLY)",
  EEXIST: 'the key is there already; use the flag "any" or "exist"',
  E2BIG: "the map is full or the index is past max_entries; raise max_entries",
  ENOENT: 'there is no such key; use the flag "any"',
  ENOSPC: "the map or the batch is full; raise max_entries or the batch size",
  ENOTSUPP: "this kind of map has no such operation",
  EOPNOTSUPP: "this kind of map has no such operation",
};

/**
 * What all kinds share: permissions, size checks, bpf(2)'s calling conventions, and a program side that refuses
 * everything with the kernel's errno. A kind overrides what it can do. `sys…` methods are bpf(2) after those checks;
 * they answer with a result or a negative errno.
 */
export abstract class MapBase implements EmbeddedMap, ProgramSide {
  readonly name: string;
  readonly id: number;
  readonly type: MapTypeName;
  readonly spec: MapSpec;
  readonly btf: Btf | undefined;
  readonly address: number;
  readonly numCpus: number;
  readonly fields: readonly SpecialField[];
  readonly lookupGives: LookupResult = "value";
  protected readonly module: MapModule;
  protected readonly wasm: MapExports;
  protected readonly batchOps: BatchOps = {};
  private readonly onFree: ((map: EmbeddedMap, value: number) => void) | undefined;
  private scratchAt = 0;
  private isFrozen = false;
  private isClosed = false;
  /** Maps that hold this one as an inner map: its memory stays until they let go. */
  private holders = 0;

  constructor(parts: MapParts) {
    this.name = parts.spec.name;
    this.id = parts.id;
    this.type = parts.spec.type;
    this.spec = parts.spec;
    this.btf = parts.btf;
    this.address = parts.address;
    this.numCpus = parts.numCpus;
    this.fields = parts.fields;
    this.module = parts.module;
    this.wasm = parts.module.exports;
    this.onFree = parts.onFree;
  }

  get program(): ProgramSide {
    return this;
  }

  get frozen(): boolean {
    return this.isFrozen;
  }

  get count(): number {
    return 0;
  }

  /** Bytes of a value as bpf(2) passes it. */
  protected get hostValueSize(): number {
    return this.spec.valueSize;
  }

  /** Bytes that a lookup takes: the key's, but the value's for a bloom filter. */
  protected get lookupKeySize(): number {
    return this.spec.keySize;
  }

  // ---- bpf(2) ----

  lookup(key: Uint8Array): Uint8Array | undefined {
    this.need("read", "lookup");
    this.checkKey(key, this.lookupKeySize);
    return this.answer("lookup", this.sysLookup(key));
  }

  update(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = "any"): void {
    this.need("write", "update");
    this.checkKey(key);
    this.checkValue(value);
    const flags = typeof flag === "number" ? flag : FLAG_VALUES[flag];
    const error = this.checkLockFlag(flags) || this.sysUpdate(key, value, flags);
    if (error < 0) throw this.error("update", error);
  }

  delete(key: Uint8Array): boolean {
    this.need("write", "delete");
    this.checkKey(key);
    const error = this.sysDelete(key);
    if (error === -ENOENT) return false;
    if (error < 0) throw this.error("delete", error);
    return true;
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    this.need("read", "lookup and delete");
    this.need("write", "lookup and delete");
    this.checkKey(key);
    return this.answer("lookup and delete", this.sysLookupAndDelete(key));
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    this.need("read", "next key");
    if (key !== undefined) this.checkKey(key);
    return this.answer("next key", this.sysNextKey(key));
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    for (const key of this.keySnapshot()) {
      const value = this.lookup(key);
      if (value !== undefined) yield [key, value];
    }
  }

  freeze(): void {
    if (this.fields.length > 0) throw this.error("freeze", -ENOTSUPP);
    this.need("write", "freeze");
    this.isFrozen = true;
    this.module.memory.view.setUint32(this.address + MAP_FROZEN, 1, true);
  }

  lookupBatch(count: number, cursor?: BatchCursor): BatchResult {
    this.need("read", "lookup batch");
    if (!this.batchOps.lookup) throw this.error("lookup batch", -ENOTSUPP);
    return this.collectBatch(count, cursor, false);
  }

  lookupAndDeleteBatch(count: number, cursor?: BatchCursor): BatchResult {
    this.need("read", "lookup and delete batch");
    this.need("write", "lookup and delete batch");
    if (!this.batchOps.lookupAndDelete) throw this.error("lookup and delete batch", -ENOTSUPP);
    return this.collectBatch(count, cursor, true);
  }

  updateBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[], flag = 0): number {
    this.need("write", "update batch");
    if (!this.batchOps.update) throw this.error("update batch", -ENOTSUPP);
    if (keys.length !== values.length) throw this.error("update batch", -EINVAL);
    if ((flag & ~BPF_F_LOCK) !== 0 || this.checkLockFlag(flag) < 0) throw this.error("update batch", -EINVAL);
    for (let done = 0; done < keys.length; done++) {
      this.checkKey(keys[done]);
      this.checkValue(values[done]);
      const error = this.sysUpdate(keys[done], values[done], flag);
      if (error < 0) throw this.error(`update batch, ${done} of ${keys.length} done`, error);
    }
    return keys.length;
  }

  deleteBatch(keys: readonly Uint8Array[]): number {
    this.need("write", "delete batch");
    if (!this.batchOps.delete) throw this.error("delete batch", -ENOTSUPP);
    for (let done = 0; done < keys.length; done++) {
      this.checkKey(keys[done]);
      const error = this.sysDelete(keys[done]);
      if (error === -ENOENT) return done;
      if (error < 0) throw this.error(`delete batch, ${done} of ${keys.length} done`, error);
    }
    return keys.length;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.holders === 0) this.destroy();
  }

  /** Keeps the memory until {@link letGo}, also past {@link close}. */
  hold(): void {
    this.holders++;
  }

  letGo(): void {
    this.holders--;
    if (this.isClosed && this.holders === 0) this.destroy();
  }

  /** What a program has damaged is not given back: closing succeeds all the same. */
  private destroy(): void {
    try {
      this.release();
      if (this.scratchAt) this.wasm.free(this.scratchAt);
      this.wasm.mapDestroy(this.address);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof BpfError)) throw error;
    }
  }

  /** BPF_MAP_LOOKUP_ELEM: a copy of the value, or -errno. */
  protected sysLookup(_key: Uint8Array): Uint8Array | number {
    return -ENOTSUPP;
  }
  protected sysUpdate(_key: Uint8Array, _value: Uint8Array, _flags: number): number {
    return -ENOTSUPP;
  }
  protected sysDelete(_key: Uint8Array): number {
    return -ENOTSUPP;
  }
  protected sysLookupAndDelete(_key: Uint8Array): Uint8Array | number {
    return -ENOTSUPP;
  }
  protected sysNextKey(_key: Uint8Array | undefined): Uint8Array | number {
    return -ENOTSUPP;
  }
  /** Before the header goes: free what the kind holds outside it. */
  protected release(): void {}

  /** `generic_map_lookup_batch`: the cursor is the last key given out. */
  protected collectBatch(count: number, cursor: BatchCursor | undefined, remove: boolean): BatchResult {
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    let last = cursor;
    while (keys.length < count) {
      const key = this.sysNextKey(last);
      if (typeof key === "number") {
        if (key !== -ENOENT) throw this.error("lookup batch", key);
        return { keys, values, next: undefined };
      }
      last = key;
      const value = this.sysLookup(key);
      if (typeof value === "number") {
        if (value === -ENOENT) continue;
        throw this.error("lookup batch", value);
      }
      keys.push(key);
      values.push(value);
    }
    if (remove) for (const key of keys) this.sysDelete(key);
    return { keys, values, next: last };
  }

  /** More than a walk over the map can come by, changes on the way included. */
  protected get mostElements(): number {
    return 8 * (this.spec.maxEntries + this.numCpus);
  }

  /** All keys now, so that a walk survives deletions. */
  protected keySnapshot(): Uint8Array[] {
    this.need("read", "entries");
    return [...this.everyKey()];
  }

  /** The keys one after the other. */
  protected *everyKey(): Generator<Uint8Array> {
    let left = this.mostElements;
    let key = this.sysNextKey(undefined);
    for (; typeof key !== "number"; key = this.sysNextKey(key)) {
      if (--left < 0) throw damagedMemory(`map '${this.name}' has no end`);
      yield key;
    }
    if (key !== -ENOENT) throw this.error("entries", key);
  }

  // ---- programs ----

  lookupElem(_key: number, _cpu: number): number {
    return 0;
  }
  lookupPercpuElem(_key: number, _cpu: number): number {
    return 0;
  }
  updateElem(_key: number, _value: number, _flags: number, _cpu: number): number {
    return -ENOTSUPP;
  }
  deleteElem(_key: number): number {
    return -ENOTSUPP;
  }
  pushElem(_value: number, _flags: number): number {
    return -ENOTSUPP;
  }
  popElem(_value: number): number {
    return -ENOTSUPP;
  }
  peekElem(_value: number): number {
    return -ENOTSUPP;
  }
  forEach(_visit: (key: number, value: number) => boolean, _cpu: number, _flags = 0): number {
    return -EINVAL;
  }
  ringbufReserve(_size: number, _flags: number): number {
    return 0;
  }
  ringbufSubmit(_record: number, _flags: number): void {}
  ringbufDiscard(_record: number, _flags: number): void {}
  ringbufOutput(_data: number, _size: number, _flags: number): number {
    return -ENOTSUPP;
  }
  ringbufQuery(_what: number): number {
    return 0;
  }
  userRingbufPeek(): UserSample | number {
    return -ENOTSUPP;
  }
  userRingbufRelease(): void {}
  eventOutput(_index: number, _cpu: number, _data: Uint8Array): number {
    return -ENOTSUPP;
  }
  programAt(_index: number): ProgramHandle | undefined {
    return undefined;
  }
  redirectTarget(_index: number): RedirectTarget | undefined {
    return undefined;
  }
  redirectTargets(): readonly RedirectTarget[] {
    return [];
  }
  socketAt(_key: number): number {
    return 0;
  }
  socketUpdate(_key: number, _socket: number, _flags: number): number {
    return -ENOTSUPP;
  }
  storageGet(_owner: number, _create: boolean, _init: number, _cpu: number): number {
    return 0;
  }
  storageDelete(_owner: number): number {
    return -ENOENT;
  }
  cgroupAt(_index: number): number {
    return 0;
  }
  stackId(_addresses: readonly bigint[], _flags: number): number {
    return -EINVAL;
  }
  arenaAlloc(_address: number, _pages: number): number {
    return 0;
  }
  arenaFree(_address: number, _pages: number): void {}

  // ---- shared by kinds ----

  /** A copy of the value at `address` for the host: special fields read as zero. */
  protected copyOut(address: number, size: number): Uint8Array {
    const bytes = this.module.memory.read(address, size);
    for (const field of this.fields) bytes.fill(0, field.offset, field.offset + field.size);
    return bytes;
  }

  /** Tells the owner of timers and kptrs that the value at `address` goes away. */
  protected dropFields(address: number): void {
    if (address !== 0 && this.hasResources) this.onFree?.(this, address);
  }

  /** Values hold something that has to be let go: anything but spin locks. */
  protected get hasResources(): boolean {
    return this.fields.some((field) => field.kind !== "spin-lock");
  }

  /** Scratch of this map in linear memory: room for two keys, then one value as the host passes it. */
  protected scratch(): { readonly key: number; readonly next: number; readonly value: number } {
    const keyBytes = Math.max(8, Math.ceil(this.spec.keySize / 8) * 8);
    if (this.scratchAt === 0) {
      this.scratchAt = this.wasm.alloc(2 * keyBytes + Math.max(8, this.hostValueSize)) >>> 0;
      if (this.scratchAt === 0) throw this.error("scratch memory", -ENOMEM);
    }
    return { key: this.scratchAt, next: this.scratchAt + keyBytes, value: this.scratchAt + 2 * keyBytes };
  }

  /** A typed error for a negative errno. */
  error(operation: string, errno: number): BpfError {
    const name = errnoName(-errno) ?? String(errno);
    const hint = HINTS[name];
    return new BpfError("runtime/map-operation", `map '${this.name}' (${this.type}): ${operation}: ${name}`, {
      errno: name,
      subject: this.name,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** BPF_F_LOCK needs a spin lock in the value. */
  private checkLockFlag(flags: number): number {
    if ((flags & BPF_F_LOCK) === 0) return 0;
    return this.fields.some((field) => field.kind === "spin-lock") ? 0 : -EINVAL;
  }

  private answer<T>(operation: string, result: T | number): T | undefined {
    if (typeof result !== "number") return result;
    if (result === -ENOENT) return undefined;
    throw this.error(operation, result);
  }

  private need(access: "read" | "write", operation: string): void {
    if (this.isClosed) {
      throw new BpfError("runtime/map-closed", `map '${this.name}' is closed`, { subject: this.name });
    }
    const refused = access === "read" ? BPF_F_WRONLY : BPF_F_RDONLY;
    if ((this.spec.flags & refused) !== 0 || (access === "write" && this.isFrozen)) {
      throw this.error(operation, -EPERM);
    }
  }

  private checkKey(key: Uint8Array, size = this.spec.keySize): void {
    if (key.length === size) return;
    throw new BpfError(
      "runtime/map-key-size",
      `map '${this.name}': key has ${key.length} bytes, not ${size}`,
      { errno: "EINVAL", subject: this.name },
    );
  }

  private checkValue(value: Uint8Array): void {
    if (value.length === this.hostValueSize) return;
    throw new BpfError(
      "runtime/map-value-size",
      `map '${this.name}': value has ${value.length} bytes, not ${this.hostValueSize}`,
      {
        errno: "EINVAL",
        subject: this.name,
        ...(this.hostValueSize === this.spec.valueSize
          ? {}
          : {
              hint: `a per-CPU value is ${this.numCpus} values, each rounded up to 8 bytes, one after the other`,
            }),
      },
    );
  }
}
