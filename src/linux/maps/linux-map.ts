import { ERRNO, type MapTypeName, mapTypeRow } from "../../abi/index.ts";
import { alignUp, BpfError } from "../../base/index.ts";
import type { Btf } from "../../btf/index.ts";
import type { BpfMap, LinuxMapPort, MapBatch, MapSpec, Program, UpdateFlag } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { objectInfo, pinObject } from "../object-info.ts";
import type { BpfCommand, Fd, Mapping } from "../sys/index.ts";
import { linuxError, MAP_FIXED, MAP_SHARED } from "../sys/index.ts";
import { slotValue } from "./slot-value.ts";

/** A map in the kernel. */
export class LinuxMap implements LinuxMapPort {
  readonly name: string;
  readonly id: number;
  readonly type: MapTypeName;
  /** As it was created: sizes filled in, and those of a reused map. */
  readonly spec: MapSpec;
  readonly btf: Btf | undefined;
  /** The descriptor; closed with the collection. */
  readonly handle: Fd;
  /** Bytes of a value as bpf(2) sees it: for per-CPU maps all CPUs' together. */
  readonly valueBytes: number;
  protected readonly context: LinuxContext;
  private mapping: Mapping | undefined;
  private isFrozen = false;

  constructor(context: LinuxContext, spec: MapSpec, btf: Btf | undefined, handle: Fd) {
    this.context = context;
    this.spec = spec;
    this.name = spec.name;
    this.type = spec.type;
    this.btf = btf;
    this.handle = handle;
    this.id = objectInfo(context.sys, handle, 8)?.getUint32(4, true) ?? 0;
    const { perCpu } = mapTypeRow(spec.type);
    // Another view of a map that is open already (`openMap`) does not take its place.
    if (!context.maps.has(this.id)) context.maps.set(this.id, this);
    this.valueBytes = perCpu ? alignUp(spec.valueSize, 8) * context.numCpus : spec.valueSize;
  }

  get fd(): number {
    return this.handle.number;
  }

  get numCpus(): number {
    return this.context.numCpus;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    return this.read("BPF_MAP_LOOKUP_ELEM", key);
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    return this.read("BPF_MAP_LOOKUP_AND_DELETE_ELEM", key);
  }

  /** Maps of maps and program arrays take the object itself or its id (4 bytes), as lookups give it. */
  update(key: Uint8Array, value: Uint8Array | BpfMap | Program, flag: UpdateFlag = "any"): void {
    this.checkKey(key);
    using held = this.valueIn(value);
    const flags = typeof flag === "number" ? flag : UPDATE_FLAGS[flag];
    const input = { mapFd: this.handle, key, value: held.bytes, flags };
    const { result } = this.context.sys.tryBpf("BPF_MAP_UPDATE_ELEM", input);
    if (result < 0) throw this.error(result, "BPF_MAP_UPDATE_ELEM", "updating");
  }

  delete(key: Uint8Array): boolean {
    this.checkKey(key);
    const { result } = this.context.sys.tryBpf("BPF_MAP_DELETE_ELEM", { mapFd: this.handle, key });
    if (result === -ERRNO.ENOENT) return false;
    if (result < 0) throw this.error(result, "BPF_MAP_DELETE_ELEM", "deleting from");
    return true;
  }

  nextKey(key?: Uint8Array): Uint8Array | undefined {
    if (key !== undefined) this.checkKey(key);
    const nextKey = new Uint8Array(this.spec.keySize);
    const { result } = this.context.sys.tryBpf("BPF_MAP_GET_NEXT_KEY", { mapFd: this.handle, key, nextKey });
    if (result === -ERRNO.ENOENT) return undefined;
    if (result < 0) throw this.error(result, "BPF_MAP_GET_NEXT_KEY", "walking");
    return nextKey;
  }

  /** Hash tables and arrays are read in batches (Linux 5.6): values are those of when their batch was read. */
  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const first = BATCHED.has(this.type) ? this.nextBatch(undefined) : undefined;
    if (first !== undefined) {
      for (let batch: MapBatch | undefined = first; batch !== undefined; ) {
        for (const [i, key] of batch.keys.entries()) yield [key, batch.values[i]];
        batch = batch.next && this.nextBatch(batch.next);
      }
      return;
    }
    // The next key is fetched before the loop body can delete this one, which would start the walk again.
    for (let key = this.nextKey(); key !== undefined; ) {
      const value = this.lookup(key);
      const next = this.nextKey(key);
      if (value !== undefined) yield [key, value];
      key = next;
    }
  }

  freeze(): void {
    const { result } = this.context.sys.tryBpf("BPF_MAP_FREEZE", { mapFd: this.handle });
    if (result < 0) throw this.error(result, "BPF_MAP_FREEZE", "freezing");
    this.isFrozen = true;
  }

  lookupBatch(count: number, cursor?: Uint8Array): MapBatch {
    return this.readBatch("BPF_MAP_LOOKUP_BATCH", count, cursor);
  }

  lookupAndDeleteBatch(count: number, cursor?: Uint8Array): MapBatch {
    return this.readBatch("BPF_MAP_LOOKUP_AND_DELETE_BATCH", count, cursor);
  }

  updateBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[], flag = 0): number {
    for (const key of keys) this.checkKey(key);
    const held = values.map((value) => this.valueIn(value));
    try {
      const bytes = held.map((value) => value.bytes);
      return this.writeBatch("BPF_MAP_UPDATE_BATCH", keys, concat(bytes), flag);
    } finally {
      for (const value of held) value[Symbol.dispose]();
    }
  }

  deleteBatch(keys: readonly Uint8Array[]): number {
    for (const key of keys) this.checkKey(key);
    return this.writeBatch("BPF_MAP_DELETE_BATCH", keys, undefined, 0);
  }

  memory(): Uint8Array {
    return this.map().bytes.subarray(0, this.memoryBytes);
  }

  /** Maps the map's memory, once. @throws BpfError `linux/…` where it cannot be. */
  map(): Mapping {
    const { type, mapExtra } = this.spec;
    const fixed = type === "BPF_MAP_TYPE_ARENA" && mapExtra !== 0n;
    this.mapping ??= this.context.sys.mmap({
      fd: this.handle,
      // Arenas reach 4 GiB, past what alignUp takes.
      length: Math.ceil(this.memoryBytes / PAGE) * PAGE,
      writable: !this.isFrozen && (this.spec.flags & BPF_F_RDONLY_PROG) === 0,
      doing: `mapping '${this.name}' into memory`,
      ...(fixed && { address: mapExtra, flags: MAP_SHARED | MAP_FIXED }),
    });
    return this.mapping;
  }

  private get memoryBytes(): number {
    const { type, valueSize, maxEntries } = this.spec;
    return type === "BPF_MAP_TYPE_ARENA" ? maxEntries * PAGE : alignUp(valueSize, 8) * maxEntries;
  }

  pin(path: string): void {
    pinObject(this.context.sys, this.handle, path, `map '${this.name}'`);
  }

  /** Unmaps and closes. The map itself lives on while programs, pins or others hold it. */
  close(): void {
    const { maps } = this.context;
    if (maps.get(this.id) === this) maps.delete(this.id);
    this.mapping?.close();
    this.handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private read(command: "BPF_MAP_LOOKUP_ELEM" | "BPF_MAP_LOOKUP_AND_DELETE_ELEM", key: Uint8Array) {
    // A bloom filter has no keys: what is looked for is a value.
    const bloom = this.type === "BPF_MAP_TYPE_BLOOM_FILTER";
    if (!bloom) this.checkKey(key);
    const value = bloom ? this.valueIn(key).bytes.slice() : new Uint8Array(this.valueBytes);
    const input = { mapFd: this.handle, key: bloom ? undefined : key, value };
    const { result } = this.context.sys.tryBpf(command, input);
    if (result === -ERRNO.ENOENT) return undefined;
    if (result < 0) throw this.error(result, command, "looking up in");
    return value;
  }

  /** A batch of a walk; undefined at its start where the kernel has no batches for this map. */
  private nextBatch(cursor: Uint8Array | undefined): MapBatch | undefined {
    const room = Math.max(1, Math.floor(BATCH_BYTES / Math.max(1, this.valueBytes)));
    let count = Math.min(BATCH_COUNT, room, Math.max(1, this.spec.maxEntries));
    for (;;) {
      try {
        return this.lookupBatch(count, cursor);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        // One bucket of the hash table has more than was asked for.
        if (error.errno === "ENOSPC" && count < this.spec.maxEntries) count *= 2;
        else if (cursor === undefined && NO_BATCH.has(error.errno ?? "")) return undefined;
        else throw error;
      }
    }
  }

  private readBatch(
    command: "BPF_MAP_LOOKUP_BATCH" | "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    count: number,
    cursor: Uint8Array | undefined,
  ): MapBatch {
    const { keySize } = this.spec;
    const keys = new Uint8Array(keySize * count);
    const values = new Uint8Array(this.valueBytes * count);
    // The cursor is a bucket number (4 bytes) for hash maps and a key for the others.
    const outBatch = new Uint8Array(Math.max(keySize, 4));
    const input = { inBatch: cursor, outBatch, keys, values, count, mapFd: this.handle };
    const answer = this.context.sys.tryBpf(command, input);
    if (answer.result < 0 && answer.result !== -ERRNO.ENOENT) {
      throw this.error(answer.result, command, "reading a batch of");
    }
    const done = answer.field("count");
    return {
      keys: split(keys, keySize, done),
      values: split(values, this.valueBytes, done),
      next: answer.result < 0 ? undefined : outBatch,
    };
  }

  private writeBatch(
    command: "BPF_MAP_UPDATE_BATCH" | "BPF_MAP_DELETE_BATCH",
    keys: readonly Uint8Array[],
    values: Uint8Array | undefined,
    elemFlags: number,
  ): number {
    const input = { keys: concat(keys), values, count: keys.length, mapFd: this.handle, elemFlags };
    const answer = this.context.sys.tryBpf(command, input);
    if (answer.result === -ERRNO.ENOENT && command === "BPF_MAP_DELETE_BATCH") return answer.field("count");
    if (answer.result < 0) {
      throw this.error(
        answer.result,
        command,
        `after ${answer.field("count")} of ${keys.length}, writing a batch to`,
      );
    }
    return answer.field("count");
  }

  /** Descriptors in the place of objects and ids; checks the size. */
  private valueIn(value: Uint8Array | BpfMap | Program): Disposable & { readonly bytes: Uint8Array } {
    const { holds } = mapTypeRow(this.type);
    if (!(value instanceof Uint8Array) || holds === "map" || holds === "program") {
      return slotValue(this.context, this.name, value, holds);
    }
    if (value.length !== this.valueBytes) {
      throw new BpfError(
        "linux/invalid",
        `map '${this.name}': a value has ${this.valueBytes} bytes, not ${value.length}`,
        { errno: "EINVAL", subject: this.name },
      );
    }
    return { bytes: value, [Symbol.dispose]: () => {} };
  }

  private checkKey(key: Uint8Array): void {
    if (key.length === this.spec.keySize) return;
    throw new BpfError(
      "linux/invalid",
      `map '${this.name}': a key has ${this.spec.keySize} bytes, not ${key.length}`,
      { errno: "EINVAL", subject: this.name },
    );
  }

  private error(result: number, command: BpfCommand, doing: string): BpfError {
    return linuxError(result, { doing: `${doing} map '${this.name}'`, command, subject: this.name });
  }
}

/** Where deleting a key does not lead a walk in batches astray: the cursor is a bucket, or an index. */
const BATCHED: ReadonlySet<MapTypeName> = new Set([
  "BPF_MAP_TYPE_HASH",
  "BPF_MAP_TYPE_PERCPU_HASH",
  "BPF_MAP_TYPE_LRU_HASH",
  "BPF_MAP_TYPE_LRU_PERCPU_HASH",
  "BPF_MAP_TYPE_ARRAY",
  "BPF_MAP_TYPE_PERCPU_ARRAY",
]);
const BATCH_COUNT = 1024;
const BATCH_BYTES = 1 << 20;
/** Answers of kernels that have no batches for a type of map: 5.10 has none for per-CPU arrays. */
const NO_BATCH: ReadonlySet<string> = new Set(["ENOTSUPP", "EOPNOTSUPP", "EINVAL"]);

const UPDATE_FLAGS = { any: 0, noexist: 1, exist: 2 } as const;
const BPF_F_RDONLY_PROG = 1 << 7;
const PAGE = 4096;

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function split(bytes: Uint8Array, size: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => bytes.slice(i * size, (i + 1) * size));
}
