import { BpfError, fromHex, toHex } from "../../base/index.ts";
import type { BtfCodec, BtfValue } from "../../btf/index.ts";
import { type BpfMap, integerBytes, joinPerCpu, mapCodecs, splitPerCpu } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/** A key or value as people see it: decoded through BTF, or hex where there is none. */
export type Readable = BtfValue | string | readonly (BtfValue | string)[];

/** One entry of a map. */
export interface ReadableEntry {
  readonly key: Readable;
  readonly value: Readable;
}

/** Bytes without a type: hex, or a number. */
export function hexCodec(size: number): BtfCodec {
  return {
    size,
    decode: (bytes) => `0x${toHex(bytes)}`,
    encode(value) {
      if (typeof value === "number" || typeof value === "bigint") {
        return integerBytes(BigInt(value), size, "little");
      }
      const bytes = fromHex(String(value));
      if (bytes.length !== size) throw new UsageError(`${bytes.length} bytes where the map holds ${size}`);
      return bytes;
    },
  };
}

/** Takes hex (`"0x0a000001"`, bytes in memory order) for any type. */
function orHex(codec: BtfCodec): BtfCodec {
  const { size } = codec;
  const raw = hexCodec(size);
  return {
    size,
    decode: (bytes) => codec.decode(bytes),
    encode: (value) =>
      typeof value === "string" && /^0x[0-9a-f]*$/i.test(value) && value.length === 2 + 2 * size
        ? raw.encode(value)
        : codec.encode(value),
  };
}

/** How keys and values of a map are read and written on the command line. */
export function readableCodecs(map: BpfMap): {
  readonly key: BtfCodec;
  readonly value: BtfCodec;
  readonly perCpu: boolean;
} {
  const { key, value, perCpu } = mapCodecs(map, hexCodec);
  return { key: orHex(key), value: orHex(value), perCpu };
}

/** All entries of a map, decoded; a per-CPU value becomes an array with one value for each CPU. */
export function* readEntries(map: BpfMap): Generator<ReadableEntry> {
  const codecs = readableCodecs(map);
  for (const [key, value] of map.entries()) {
    yield { key: codecs.key.decode(key), value: readValue(codecs, value) };
  }
}

/** A value as bpf(2) has it, decoded. */
export function readValue({ value, perCpu }: ReturnType<typeof readableCodecs>, bytes: Uint8Array): Readable {
  return perCpu ? splitPerCpu(bytes, value.size).map((part) => value.decode(part)) : value.decode(bytes);
}

/** A value as bpf(2) takes it; for a per-CPU map one for each CPU, or one for all. */
export function writeValue(
  map: BpfMap,
  codecs: ReturnType<typeof readableCodecs>,
  given: unknown,
): Uint8Array {
  const encode = (item: unknown) => codecs.value.encode(item as BtfValue); // checked by the codec
  if (!codecs.perCpu) return encode(given);
  const { numCpus } = map;
  const each = Array.isArray(given) && given.length === numCpus ? given : Array(numCpus).fill(given);
  return joinPerCpu(each.map(encode), codecs.value.size);
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
export function fillMap(map: BpfMap, text: string, file: string): number {
  const entries = parseEntries(text, file);
  const codecs = readableCodecs(map);
  for (const [index, entry] of entries.entries()) {
    try {
      map.update(codecs.key.encode(entry.key as BtfValue), writeValue(map, codecs, entry.value));
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
