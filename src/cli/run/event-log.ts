import { BpfError, toHex } from "../../base/index.ts";
import {
  type Collection,
  type CollectionSpec,
  type EventMap,
  isEventMap,
  recordDecoder,
} from "../../object/index.ts";
import { UsageError } from "../command.ts";

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

/** Records of a named type are decoded, others (and those too short for it) shown as hex. */
function decoderOf(spec: CollectionSpec, typeName: string | undefined): (data: Uint8Array) => unknown {
  if (typeName === undefined) return toHex;
  try {
    const decode = recordDecoder(spec.btf, typeName);
    return (data) => {
      try {
        return decode(data);
      } catch (error) {
        if (error instanceof BpfError && error.code === "btf/bad-length") return toHex(data);
        throw error;
      }
    };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new UsageError(error.message, error.hint);
  }
}
