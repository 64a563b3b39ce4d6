import { toHex } from "../../base/index.ts";
import { BtfIndex, codecFor } from "../../btf/index.ts";
import type { BpfMap, Collection, CollectionSpec, EventMap } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/** True for maps that carry events: ring buffer, perf event array. */
export function isEventMap(map: BpfMap): map is EventMap {
  return "drain" in map;
}

/** The consumer of a run's event maps: takes records out while the program runs and decodes them. */
export class EventLog {
  readonly records: Record<string, unknown[]> = {};
  /** Records taken, by map: more than are kept when there is a limit. */
  readonly totals: Record<string, number> = {};
  private readonly sources: { name: string; map: EventMap; decode: (data: Uint8Array) => unknown }[] = [];
  private readonly limit: number;

  /**
   * @param types the type that each map's records have; maps that are not named give hex
   * @param limit records kept of each map; undefined: all
   * @throws UsageError for maps without events and types the object does not have.
   */
  constructor(
    collection: Collection,
    types: readonly (readonly [map: string, type: string])[],
    limit: number | undefined,
  ) {
    this.limit = limit ?? Number.POSITIVE_INFINITY;
    const typeOf = new Map(types);
    for (const [name, map] of collection.maps) {
      if (!isEventMap(map)) continue;
      this.sources.push({ name, map, decode: decoderOf(collection.spec, typeOf.get(name)) });
      this.records[name] = [];
      this.totals[name] = 0;
    }
    for (const name of typeOf.keys()) {
      if (name in this.records) continue;
      const known = Object.keys(this.records).join(", ");
      throw new UsageError(
        `'${name}' is no ring buffer or perf event array of this object`,
        known && `it has: ${known}`,
      );
    }
  }

  /** Takes what is in the buffers now. */
  consume(): void {
    for (const { name, map, decode } of this.sources) {
      for (const { data } of map.drain()) {
        this.totals[name]++;
        if (this.records[name].length < this.limit) this.records[name].push(decode(data));
      }
    }
  }

  /** Records that found no room. */
  get lost(): number {
    return this.sources.reduce((sum, { map }) => sum + map.lost, 0);
  }
}

/** Records of a named type are decoded, others shown as hex. A record may be longer than its type (padding). */
function decoderOf(spec: CollectionSpec, typeName: string | undefined): (data: Uint8Array) => unknown {
  if (typeName === undefined) return toHex;
  const { btf } = spec;
  const bare = typeName.replace(/^(struct|union|enum)\s+/, "");
  const id = btf === undefined ? undefined : new BtfIndex(btf).find(bare);
  if (btf === undefined || id === undefined) {
    throw new UsageError(
      `the object has no type '${typeName}'`,
      "skep btf dump OBJECT --format c lists its types; clang keeps those that a global variable or a map mentions",
    );
  }
  const codec = codecFor(btf, id);
  return (data) => (data.length < codec.size ? toHex(data) : codec.decode(data.subarray(0, codec.size)));
}
