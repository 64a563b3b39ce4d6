import type { LoadOptions } from "./kernel.ts";
import type { CollectionSpec } from "./spec.ts";

/** The spec with the map sizes that `maxEntries` and `valueSizes` of the options give. */
export function withMapSizes(
  spec: CollectionSpec,
  { maxEntries = {}, valueSizes = {} }: Pick<LoadOptions, "maxEntries" | "valueSizes">,
): CollectionSpec {
  const maps = spec.maps.map((map) =>
    map.name in maxEntries || map.name in valueSizes
      ? {
          ...map,
          maxEntries: maxEntries[map.name] ?? map.maxEntries,
          valueSize: valueSizes[map.name] ?? map.valueSize,
        }
      : map,
  );
  return { ...spec, maps };
}
