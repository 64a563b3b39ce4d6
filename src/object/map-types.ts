import { MAP_TYPES, type MapTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";

/** BPF_F_* flags that the reader itself sets on maps of globals. */
export const BPF_F_RDONLY_PROG = 1 << 7;
export const BPF_F_MMAPABLE = 1 << 10;
/** On struct_ops maps of `.struct_ops.link`. */
export const BPF_F_LINK = 1 << 13;

/**
 * The name of a map type number.
 * @throws BpfError `object/unknown-map-type`.
 */
export function mapTypeName(id: number, map: string): MapTypeName {
  for (const [name, row] of Object.entries(MAP_TYPES)) {
    if (row.id === id) return name as MapTypeName; // keys of the table
  }
  throw new BpfError(
    "object/unknown-map-type",
    id === 0 ? `map '${map}': map type isn't specified` : `map '${map}' has type ${id}, which is not known`,
    { subject: map, hint: "set `__uint(type, BPF_MAP_TYPE_…)` to a type of include/uapi/linux/bpf.h" },
  );
}

/** Map types whose values are other maps. */
export function isMapInMap(type: MapTypeName): boolean {
  return type === "BPF_MAP_TYPE_ARRAY_OF_MAPS" || type === "BPF_MAP_TYPE_HASH_OF_MAPS";
}

/**
 * Name of a map in the kernel, at most 15 characters. A declared map keeps its own; a map of globals gets the
 * object's name in front, as libbpf does (`internal_map_name`): `"my_objec.rodata"`, but `.data.custom` stays.
 */
export function kernelMapName(
  objectName: string,
  map: { readonly name: string; readonly section: string },
): string {
  const max = 15;
  if (map.section === ".maps" || !map.name.startsWith(".")) return map.name.slice(0, max);
  const suffix = Math.min(max, Math.max(7, map.name.length));
  const custom = map.name.indexOf(".", 1) >= 0;
  const prefix = custom ? "" : objectName.slice(0, max - suffix);
  return (prefix + map.name.slice(0, suffix)).replace(/[^A-Za-z0-9_.]/g, "_");
}
