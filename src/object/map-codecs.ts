import { mapTypeRow } from "../abi/index.ts";
import { alignUp, BpfError } from "../base/index.ts";
import { type Btf, type BtfCodec, codecFor, trySizeOf } from "../btf/index.ts";
import { integerBytes } from "./globals.ts";
import type { BpfMap } from "./kernel.ts";

/** How the keys and values of a map become JavaScript values; see {@link mapCodecs}. */
export interface MapCodecs {
  readonly key: BtfCodec;
  /** Of one CPU. */
  readonly value: BtfCodec;
  readonly perCpu: boolean;
}

/** Makes the codec for bytes without a type. */
export type PlainCodec = (size: number) => BtfCodec;

/** Bytes as they are: `Uint8Array`. */
export function bytesCodec(size: number): BtfCodec {
  return {
    size,
    decode: (bytes) => bytes.slice(),
    encode(value) {
      if (value instanceof Uint8Array && value.length === size) return value;
      throw new BpfError("btf/bad-value", `the object has no type for it: give ${size} bytes`, {
        hint: "compile with -g, and declare the map with __type(key, …) and __type(value, …)",
      });
    },
  };
}

/**
 * Codecs for a map's keys and values: through BTF where it has a type of the map's size (it may not: `key_size`
 * overrides), else by `plain`. Indices of arrays, and slots that hold maps or programs (by id), are numbers without BTF
 * too. Keys of queues, stacks and bloom filters, which have none, are `undefined`.
 */
export function mapCodecs({ type, spec, btf }: BpfMap, plain: PlainCodec = bytesCodec): MapCodecs {
  const { keySize, holds, perCpu } = mapTypeRow(type);
  const object = (holds === "map" || holds === "program") && spec.valueSize === 4;
  const index = keySize === 4 && spec.keyType === 0 && spec.keySize === 4;
  const noKey = spec.keySize === 0;
  return {
    key: noKey ? NO_BYTES : index ? NUMBER : typedCodec(btf, spec.keyType, spec.keySize, plain),
    value: object ? NUMBER : typedCodec(btf, spec.valueType, spec.valueSize, plain),
    perCpu,
  };
}

/** The codec of type `id` if that has `size` bytes, else `plain`'s. */
export function typedCodec(btf: Btf | undefined, id: number, size: number, plain: PlainCodec): BtfCodec {
  if (btf === undefined || id === 0 || trySizeOf(btf, id) !== size) return plain(size);
  return codecFor(btf, id);
}

/** A per-CPU value as bpf(2) has it, taken apart: one value for each CPU. */
export function splitPerCpu(bytes: Uint8Array, size: number): Uint8Array[] {
  const stride = alignUp(size, 8);
  const count = stride === 0 ? 0 : Math.floor(bytes.length / stride);
  return Array.from({ length: count }, (_, cpu) => bytes.subarray(cpu * stride, cpu * stride + size));
}

/** One value for each CPU, put together as bpf(2) takes them. */
export function joinPerCpu(values: readonly Uint8Array[], size: number): Uint8Array {
  const stride = alignUp(size, 8);
  const out = new Uint8Array(stride * values.length);
  for (const [cpu, value] of values.entries()) out.set(value, cpu * stride);
  return out;
}

const NUMBER: BtfCodec = {
  size: 4,
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true),
  encode(value) {
    const number = Number(value);
    if (Number.isInteger(number) && number >= 0 && number < 2 ** 32) {
      return integerBytes(BigInt(number), 4, "little");
    }
    throw new BpfError("btf/bad-value", `'${String(value)}' is not a whole number of 32 bits`);
  },
};

/** What has no bytes reads as `[]`, a value that a typed map turns into `undefined`. */
const NO_BYTES: BtfCodec = { size: 0, decode: () => [], encode: () => new Uint8Array(0) };
