import { BpfError, fromHex, toHex } from "../../base/index.ts";
import { type Btf, type BtfValue, codecFor } from "../../btf/index.ts";
import type { BpfMap } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/** A key or value as people see it: decoded through BTF, or hex where there is none. */
export type Readable = BtfValue | string | readonly (BtfValue | string)[];

/** One entry of a map. */
export interface ReadableEntry {
  readonly key: Readable;
  readonly value: Readable;
}

interface Codec {
  /** Bytes. */
  readonly size: number;
  decode(bytes: Uint8Array): BtfValue | string;
  encode(value: unknown): Uint8Array;
}

function rawCodec(size: number): Codec {
  return {
    size,
    decode: (bytes) => `0x${toHex(bytes)}`,
    encode(value) {
      if (typeof value === "number" || typeof value === "bigint") return integerBytes(BigInt(value), size);
      const bytes = fromHex(String(value));
      if (bytes.length !== size) throw new UsageError(`${bytes.length} bytes where the map holds ${size}`);
      return bytes;
    },
  };
}

function integerBytes(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0, rest = BigInt.asUintN(8 * size, value); i < size; i++, rest >>= 8n)
    bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/**
 * The codec of a map's key or value: through BTF if the type has the map's size (it may not: `key_size` overrides),
 * else plain bytes as hex, which are always accepted as input.
 */
export function codecOf(btf: Btf | undefined, type: number, size: number): Codec {
  const raw = rawCodec(size);
  if (btf === undefined || type === 0) return raw;
  const codec = codecFor(btf, type);
  if (codec.size !== size) return raw;
  return {
    size,
    decode: (bytes) => codec.decode(bytes),
    encode: (value) =>
      typeof value === "string" && /^0x[0-9a-f]*$/i.test(value) && value.length === 2 + 2 * size
        ? raw.encode(value)
        : codec.encode(value as BtfValue),
  };
}

/** Keys of array kinds are indices, whether BTF says so or not. */
function keyCodec({ type, spec, btf }: BpfMap): Codec {
  const codec = codecOf(btf, spec.keyType, spec.keySize);
  if (spec.keyType !== 0 || !type.includes("ARRAY")) return codec;
  return { ...codec, decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) };
}

/** All entries of a map, decoded; a per-CPU value becomes an array with one value for each CPU. */
export function* readEntries(map: BpfMap, numCpus: number): Generator<ReadableEntry> {
  const { spec, btf } = map;
  const key = keyCodec(map);
  const value = codecOf(btf, spec.valueType, spec.valueSize);
  const perCpu = map.type.includes("PERCPU");
  const stride = (spec.valueSize + 7) & ~7;
  for (const [keyBytes, valueBytes] of map.entries()) {
    const decoded = perCpu
      ? Array.from({ length: numCpus }, (_, cpu) =>
          value.decode(valueBytes.slice(cpu * stride, cpu * stride + spec.valueSize)),
        )
      : value.decode(valueBytes);
    yield { key: key.decode(keyBytes), value: decoded };
  }
}

/** True for values that say nothing: all zero. Arrays are full of them. */
export function isZero(value: unknown): boolean {
  if (typeof value === "string") return value === "" || /^0x0*$/.test(value);
  if (Array.isArray(value)) return value.every(isZero);
  if (typeof value === "object" && value !== null) return Object.values(value).every(isZero);
  return value === null || Number(value) === 0;
}

/**
 * Fills a map from the JSON text of a file: `[{"key": …, "value": …}, …]`, keys and values shaped like the map's BTF
 * types or hex strings (`"0x0a000001"`, bytes in memory order). For a per-CPU map, `value` may be an array of values.
 * @returns how many entries were written. @throws UsageError that names the entry.
 */
export function fillMap(map: BpfMap, text: string, file: string, numCpus: number): number {
  const entries = parseEntries(text, file);
  const { spec, btf } = map;
  const key = keyCodec(map);
  const value = codecOf(btf, spec.valueType, spec.valueSize);
  const perCpu = map.type.includes("PERCPU");
  for (const [index, entry] of entries.entries()) {
    try {
      const one = (item: unknown) => value.encode(item);
      const bytes = perCpu ? perCpuValue(entry.value, one, spec.valueSize, numCpus) : one(entry.value);
      map.update(spec.keySize === 0 ? new Uint8Array(0) : key.encode(entry.key), bytes);
    } catch (error) {
      if (!(error instanceof BpfError || error instanceof UsageError)) throw error;
      throw new UsageError(
        `${file}: entry ${index} does not go into map '${map.name}': ${error.message}`,
        error.hint,
      );
    }
  }
  return entries.length;
}

function perCpuValue(
  given: unknown,
  encode: (item: unknown) => Uint8Array,
  size: number,
  numCpus: number,
): Uint8Array {
  const stride = (size + 7) & ~7;
  const out = new Uint8Array(stride * numCpus);
  const each: readonly unknown[] =
    Array.isArray(given) && given.length === numCpus ? given : Array(numCpus).fill(given);
  for (const [cpu, item] of each.entries()) out.set(encode(item), cpu * stride);
  return out;
}

function parseEntries(text: string, file: string): readonly { key?: unknown; value?: unknown }[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (
    !Array.isArray(parsed) ||
    !parsed.every((item) => typeof item === "object" && item !== null && "value" in item)
  ) {
    throw new UsageError(`${file} is not a list of entries`, `write [{"key": …, "value": …}, …]`);
  }
  return parsed as { key?: unknown; value?: unknown }[]; // checked above
}
