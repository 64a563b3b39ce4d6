import { type MapOperation, mapTypeRow } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import type { BtfCodec, BtfValue } from "../btf/index.ts";
import type { BpfMap, Program, UpdateFlag } from "./kernel.ts";
import { joinPerCpu, type MapCodecs, mapCodecs, splitPerCpu } from "./map-codecs.ts";

/** Text of a `char` array; its numbers where it holds something else. */
export type CharArray = string | readonly number[];

/**
 * What may be given for a value: numbers and bigints for one another; of objects any members, the others are zero, as in a
 * C initialiser (of a union give one).
 */
export type Given<Value> = Value extends number | bigint
  ? number | bigint
  : Value extends boolean
    ? boolean | number
    : Value extends string | Uint8Array
      ? Value
      : Value extends readonly (infer Element)[]
        ? readonly Given<Element>[]
        : Value extends object
          ? { readonly [Member in keyof Value]?: Given<Value[Member]> }
          : Value;

/** A map or program, or its id: what goes into a slot of a map of maps or a program array. */
export type SlotObject = number | Program | { readonly name: string; readonly id: number };

/**
 * A map of either kernel with keys and values as JavaScript values (see `BtfValue`). A per-CPU value is an array with
 * one value for each CPU. Maps of maps and program arrays are read as ids and take the objects themselves. Queues, stacks
 * and bloom filters have no key: theirs is `undefined`.
 */
export interface TypedMap<Key, Value, ValueIn = Given<Value>> {
  readonly name: string;
  readonly id: number;
  /** CPUs that there can be: how many values a per-CPU map has under a key. */
  readonly numCpus: number;
  /** The map in bytes. */
  readonly map: BpfMap;
  /** Undefined when there is no such key. @throws BpfError `btf/bad-value`, and as {@link BpfMap.lookup}. */
  lookup(key: Given<Key>): Value | undefined;
  /** @throws BpfError `btf/bad-value` with the path to the culprit, and as {@link BpfMap.update}. */
  update(key: Given<Key>, value: ValueIn, flag?: UpdateFlag): void;
  /** False when there was no such key. */
  delete(key: Given<Key>): boolean;
  lookupAndDelete(key: Given<Key>): Value | undefined;
  /** Every key and value once, also while the loop deletes the current key. */
  entries(): IterableIterator<[key: Key, value: Value]>;
  keys(): IterableIterator<Key>;
  values(): IterableIterator<Value>;
  /** Writes all; one call where the map type has batches. How many. @throws as {@link TypedMap.update}. */
  updateAll(entries: Iterable<readonly [key: Given<Key>, value: ValueIn]>): number;
  /** Deletes those that are there; how many. */
  deleteAll(keys: Iterable<Given<Key>>): number;
  /** No further changes from outside of programs. */
  freeze(): void;
  [Symbol.iterator](): IterableIterator<[key: Key, value: Value]>;
}

/** A typed view of a map. The types are the caller's promise; `skep gen` writes them. */
export function typedMap<Key = BtfValue, Value = BtfValue, ValueIn = Given<Value>>(
  map: BpfMap,
): TypedMap<Key, Value, ValueIn> {
  return new TypedView<Key, Value, ValueIn>(map);
}

class TypedView<Key, Value, ValueIn> implements TypedMap<Key, Value, ValueIn> {
  readonly map: BpfMap;
  private readonly codecs: MapCodecs;

  constructor(map: BpfMap) {
    this.map = map;
    this.codecs = mapCodecs(map);
  }

  get name(): string {
    return this.map.name;
  }

  get id(): number {
    return this.map.id;
  }

  get numCpus(): number {
    return this.map.numCpus;
  }

  lookup(key: Given<Key>): Value | undefined {
    return this.optional(this.map.lookup(this.keyBytes(key)));
  }

  update(key: Given<Key>, value: ValueIn, flag?: UpdateFlag): void {
    this.map.update(this.keyBytes(key), this.valueBytes(value), flag);
  }

  delete(key: Given<Key>): boolean {
    return this.map.delete(this.keyBytes(key));
  }

  lookupAndDelete(key: Given<Key>): Value | undefined {
    return this.optional(this.map.lookupAndDelete(this.keyBytes(key)));
  }

  *entries(): IterableIterator<[key: Key, value: Value]> {
    for (const [key, value] of this.map.entries()) yield [this.key(key), this.value(value)];
  }

  *keys(): IterableIterator<Key> {
    for (const [key] of this.map.entries()) yield this.key(key);
  }

  *values(): IterableIterator<Value> {
    for (const [, value] of this.map.entries()) yield this.value(value);
  }

  updateAll(entries: Iterable<readonly [key: Given<Key>, value: ValueIn]>): number {
    const keys: Uint8Array[] = [];
    const values: Uint8Array[] = [];
    for (const [key, value] of entries) {
      keys.push(this.keyBytes(key));
      values.push(this.valueBytes(value));
    }
    if (keys.length > 0 && this.can("batch")) return this.map.updateBatch(keys, values);
    for (const [i, key] of keys.entries()) this.map.update(key, values[i]);
    return keys.length;
  }

  deleteAll(keys: Iterable<Given<Key>>): number {
    let count = 0;
    let rest = [...keys].map((key) => this.keyBytes(key));
    if (!this.can("batch")) return rest.filter((key) => this.map.delete(key)).length;
    // A key that is not there ends a batch: go on behind it.
    while (rest.length > 0) {
      const deleted = this.map.deleteBatch(rest);
      count += deleted;
      rest = rest.slice(deleted + 1);
    }
    return count;
  }

  freeze(): void {
    this.map.freeze();
  }

  [Symbol.iterator](): IterableIterator<[key: Key, value: Value]> {
    return this.entries();
  }

  private can(operation: MapOperation): boolean {
    return mapTypeRow(this.map.type).ops.includes(operation);
  }

  private optional(bytes: Uint8Array | undefined): Value | undefined {
    return bytes === undefined ? undefined : this.value(bytes);
  }

  /** The codecs were made from the types that `Key` and `Value` were written from. */
  private key(bytes: Uint8Array): Key {
    const { key } = this.codecs;
    return (key.size === 0 ? undefined : key.decode(bytes)) as Key;
  }

  private value(bytes: Uint8Array): Value {
    const { value, perCpu } = this.codecs;
    if (!perCpu) return value.decode(bytes) as Value;
    return splitPerCpu(bytes, value.size).map((part) => value.decode(part)) as Value;
  }

  private keyBytes(key: Given<Key>): Uint8Array {
    return named(this.map, "key", this.codecs.key, key);
  }

  private valueBytes(given: ValueIn): Uint8Array {
    const { map } = this;
    const { value, perCpu } = this.codecs;
    const { holds } = mapTypeRow(map.type);
    if (holds === "map" || holds === "program") return named(map, "value", value, idOf(given));
    if (!perCpu) return named(map, "value", value, given);
    if (Array.isArray(given) && given.length === map.numCpus) {
      const parts = given.map((part: unknown) => named(map, "value", value, part));
      return joinPerCpu(parts, value.size);
    }
    throw new BpfError("object/per-cpu", `map '${map.name}': give ${map.numCpus} values, one for each CPU`, {
      subject: map.name,
      hint: "Array(map.numCpus).fill(value) is the same for all",
    });
  }
}

/** Slots take objects; bpf(2) of both kernels takes their ids. */
function idOf(value: unknown): unknown {
  return typeof value === "object" && value !== null && "id" in value ? value.id : value;
}

function named(map: BpfMap, what: "key" | "value", codec: BtfCodec, value: unknown): Uint8Array {
  try {
    return codec.encode(value as BtfValue); // checked by the codec
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { message, hint } = error;
    throw new BpfError("btf/bad-value", `map '${map.name}', ${what}: ${message}`, {
      subject: map.name,
      ...(hint !== undefined && { hint }),
    });
  }
}
