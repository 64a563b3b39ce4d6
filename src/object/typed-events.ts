import { BpfError } from "../base/index.ts";
import { type Btf, BtfIndex, type BtfValue, codecFor } from "../btf/index.ts";
import type { EventMap } from "./kernel.ts";
import type { LinuxEventMap } from "./linux-kernel.ts";

/** A record with its bytes decoded. */
export interface TypedEvent<Data> {
  /** -1 where the buffer does not say (ring buffers on Linux). */
  readonly cpu: number;
  readonly data: Data;
  /** Records lost between the one before and this one; 0 where it is not known. */
  readonly lostBefore: number;
}

/** A ring buffer or perf event array of either kernel, its records decoded. */
export interface TypedEvents<Data> {
  readonly name: string;
  /** The map in bytes. */
  readonly map: EventMap;
  /** Records lost since it was opened. */
  readonly lost: number;
  /** Takes what is there now, oldest first. */
  drain(): TypedEvent<Data>[];
  /**
   * Records as they come. Linux: until the map is closed. Nothing comes by itself in the embedded kernel: what is there
   * now.
   */
  records(): AsyncGenerator<TypedEvent<Data>, void, void>;
}

/**
 * Decodes records of the type `name` (`"drop_event"`, `"struct drop_event"`). They may be longer than their type: perf
 * buffers pad.
 * @throws BpfError `object/no-such-type`; the decoder throws `btf/bad-length` for records that are too short.
 */
export function recordDecoder(btf: Btf | undefined, name: string): (record: Uint8Array) => BtfValue {
  const id = btf && new BtfIndex(btf).find(name.replace(/^(struct|union|enum)\s+/, ""));
  if (btf === undefined || id === undefined) {
    throw new BpfError("object/no-such-type", `the object has no type '${name}'`, {
      subject: name,
      hint: "skep btf dump OBJECT --format c lists its types; clang keeps those that a global variable or a map mentions",
    });
  }
  const codec = codecFor(btf, id);
  return (record) => codec.decode(record.length > codec.size ? record.subarray(0, codec.size) : record);
}

/** A typed view of a map of events; `type` names a type of the object, without it records are bytes. */
export function typedEvents<Data = BtfValue>(map: EventMap, type?: string): TypedEvents<Data> {
  const decode = type === undefined ? (record: Uint8Array) => record : recordDecoder(map.btf, type);
  const typed = (record: { cpu: number; data: Uint8Array; lostBefore?: number }): TypedEvent<Data> => ({
    cpu: record.cpu,
    data: decode(record.data) as Data, // the caller's promise
    lostBefore: record.lostBefore ?? 0,
  });
  return {
    name: map.name,
    map,
    get lost() {
      return map.lost;
    },
    drain: () => map.drain().map(typed),
    async *records() {
      const live = "records" in map ? (map as LinuxEventMap).records() : map.drain();
      for await (const record of live) yield typed(record);
    },
  };
}
