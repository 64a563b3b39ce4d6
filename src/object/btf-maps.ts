import { BpfError } from "../base/index.ts";
import { type Btf, type BtfMember, type BtfType, resolveType, trySizeOf } from "../btf/index.ts";
import { isMapInMap, mapTypeName } from "./map-types.ts";
import type { RawSection } from "./raw-object.ts";
import type { MapSpec } from "./spec.ts";

type Struct = BtfType & { kind: "struct" | "union" };

/** A map of the `.maps` section with its place, which relocations name. */
export interface DeclaredMap {
  readonly spec: MapSpec;
  readonly offset: number;
  readonly size: number;
  /** Byte offset of the `values` array in the definition; undefined without one. */
  readonly valuesOffset: number | undefined;
}

/**
 * Maps of the `.maps` section: structs whose members say type, key, value and the rest (`parse_btf_map_def` of
 * libbpf). `btf` has its DATASECs fixed.
 * @throws BpfError `object/bad-map` with the map's name.
 */
export function readBtfMaps(
  btf: Btf,
  section: RawSection,
  options: { readonly relaxedMaps?: boolean },
): DeclaredMap[] {
  const datasec = btf.types.find((type) => type.kind === "datasec" && type.name === ".maps");
  if (datasec?.kind !== "datasec") {
    throw new BpfError("object/bad-map", "DATASEC '.maps' not found in the BTF", {
      subject: ".maps",
      hint: "compile with -g: BTF-defined maps need BTF",
    });
  }
  const maps: DeclaredMap[] = [];
  for (const entry of datasec.vars) {
    const variable = btf.types[entry.type];
    if (variable.kind !== "var" || variable.name === "") {
      throw new BpfError("object/bad-map", `map #${maps.length}: unexpected ${variable.kind} in .maps`);
    }
    const { name } = variable;
    if (entry.offset + entry.size > section.size) throw bad(name, "lies outside the section");
    if (variable.linkage !== "global") throw bad(name, `unsupported map linkage ${variable.linkage}`);
    const definition = btf.types[resolveType(btf, variable.type)];
    if (definition.kind !== "struct") throw bad(name, `unexpected def kind ${definition.kind}`);
    if (definition.size > entry.size) throw bad(name, "invalid def size");
    const strict = !options.relaxedMaps;
    const parts = readDefinition(btf, name, definition, strict, true);
    const last = definition.members.at(-1);
    maps.push({
      spec: specOf(name, parts),
      offset: entry.offset,
      size: entry.size,
      valuesOffset: last?.name === "values" ? last.bitOffset / 8 : undefined,
    });
  }
  return maps;
}

interface Parts {
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  numaNode: number;
  mapExtra: bigint;
  keyType: number;
  valueType: number;
  pinned: boolean;
  inner: Parts | undefined;
}

function readDefinition(btf: Btf, map: string, struct: Struct, strict: boolean, outer: boolean): Parts {
  const parts: Parts = {
    type: 0,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    numaNode: 0,
    mapExtra: 0n,
    keyType: 0,
    valueType: 0,
    pinned: false,
    inner: undefined,
  };
  const size = (what: "key" | "value", known: number, next: number): number => {
    if (known !== 0 && known !== next) throw bad(map, `conflicting ${what} size ${known} != ${next}`);
    return next;
  };
  struct.members.forEach((member, index) => {
    switch (member.name) {
      case "type":
        parts.type = intOf(btf, map, member);
        break;
      case "max_entries":
        parts.maxEntries = intOf(btf, map, member);
        break;
      case "map_flags":
        parts.flags = intOf(btf, map, member);
        break;
      case "numa_node":
        parts.numaNode = intOf(btf, map, member);
        break;
      case "key_size":
        parts.keySize = size("key", parts.keySize, intOf(btf, map, member));
        break;
      case "value_size":
        parts.valueSize = size("value", parts.valueSize, intOf(btf, map, member));
        break;
      case "key": {
        const target = pointeeOf(btf, map, member);
        parts.keySize = size("key", parts.keySize, target.size);
        parts.keyType = target.id;
        break;
      }
      case "value": {
        const target = pointeeOf(btf, map, member);
        parts.valueSize = size("value", parts.valueSize, target.size);
        parts.valueType = target.id;
        break;
      }
      case "values":
        if (!outer) throw bad(map, "multi-level inner maps not supported");
        if (index !== struct.members.length - 1) throw bad(map, "'values' member should be last");
        parts.valueSize = size("value", parts.valueSize, 4);
        parts.inner = readValues(btf, map, member, parts.type, strict);
        break;
      case "pinning": {
        if (!outer) throw bad(map, "inner def can't be pinned");
        const value = intOf(btf, map, member);
        if (value > 1) throw bad(map, `invalid pinning value ${value}`);
        parts.pinned = value === 1;
        break;
      }
      case "map_extra":
        parts.mapExtra = longOf(btf, map, member);
        break;
      default:
        if (strict) throw bad(map, `unknown field '${member.name}'`);
    }
  });
  if (parts.type === 0) throw bad(map, "map type isn't specified");
  return parts;
}

/** `__array(values, …)`: pointers to inner maps, or to programs of a prog array. */
function readValues(
  btf: Btf,
  map: string,
  member: BtfMember,
  type: number,
  strict: boolean,
): Parts | undefined {
  const typeName = mapTypeName(type, map);
  const programs = typeName === "BPF_MAP_TYPE_PROG_ARRAY";
  if (!programs && !isMapInMap(typeName)) throw bad(map, "should be map-in-map or prog-array");
  const array = btf.types[member.type];
  if (array.kind !== "array" || array.length !== 0) throw bad(map, "'values' is not a zero-sized array");
  const pointer = btf.types[resolveType(btf, array.type)];
  if (pointer.kind !== "ptr") throw bad(map, `'values' def is of unexpected kind ${pointer.kind}`);
  const target = btf.types[resolveType(btf, pointer.type)];
  if (programs) {
    if (target.kind !== "func_proto")
      throw bad(map, `prog-array value def is of unexpected kind ${target.kind}`);
    return undefined;
  }
  if (target.kind !== "struct") throw bad(map, `map-in-map inner def is of unexpected kind ${target.kind}`);
  return readDefinition(btf, `${map}.inner`, target, strict, false);
}

function specOf(name: string, parts: Parts): MapSpec {
  const type = mapTypeName(parts.type, name);
  const ring = type === "BPF_MAP_TYPE_RINGBUF" || type === "BPF_MAP_TYPE_USER_RINGBUF";
  return {
    name,
    type,
    keySize: parts.keySize,
    valueSize: parts.valueSize,
    maxEntries: ring ? ringSize(parts.maxEntries) : parts.maxEntries,
    flags: parts.flags,
    mapExtra: parts.mapExtra,
    numaNode: parts.numaNode,
    pinning: parts.pinned ? "by-name" : "none",
    keyType: parts.keyType,
    valueType: parts.valueType,
    inner: parts.inner === undefined ? undefined : specOf(`${name}.inner`, parts.inner),
    values: [],
    data: undefined,
    section: ".maps",
    variables: [],
    frozen: false,
  };
}

/** A ring buffer holds a power of two of pages; libbpf rounds what the program asks for up to that. */
function ringSize(bytes: number): number {
  const page = 4096;
  if (bytes === 0) return 0;
  let size = page;
  while (size < bytes) size *= 2;
  return size < 2 ** 32 ? size : bytes;
}

/** `__uint(name, n)`: a pointer to an array of n elements. */
function intOf(btf: Btf, map: string, member: BtfMember): number {
  const pointer = btf.types[resolveType(btf, member.type)];
  if (pointer.kind !== "ptr") throw bad(map, `attr '${member.name}': expected PTR, got ${pointer.kind}`);
  const array = btf.types[pointer.type];
  if (array.kind !== "array") throw bad(map, `attr '${member.name}': expected ARRAY, got ${array.kind}`);
  return array.length;
}

/** `__ulong(name, n)`: an enum with one value n; or `__uint`. */
function longOf(btf: Btf, map: string, member: BtfMember): bigint {
  const type = btf.types[resolveType(btf, member.type)];
  if (type.kind === "ptr") return BigInt(intOf(btf, map, member));
  if (type.kind !== "enum" && type.kind !== "enum64") {
    throw bad(map, `attr '${member.name}': expected ENUM or ENUM64, got ${type.kind}`);
  }
  if (type.values.length !== 1) throw bad(map, `attr '${member.name}': invalid __ulong`);
  return BigInt.asUintN(64, BigInt(type.values[0].value));
}

/** `__type(name, T)`: a pointer to T. */
function pointeeOf(btf: Btf, map: string, member: BtfMember): { id: number; size: number } {
  const pointer = btf.types[member.type];
  if (pointer.kind !== "ptr") throw bad(map, `${member.name} spec is not PTR: ${pointer.kind}`);
  const size = trySizeOf(btf, pointer.type);
  if (size === undefined) throw bad(map, `can't determine ${member.name} size`);
  return { id: pointer.type, size };
}

function bad(map: string, why: string): BpfError {
  return new BpfError("object/bad-map", `map '${map}': ${why}`, {
    subject: map,
    hint: "declare it with __uint, __type and __array of <bpf/bpf_helpers.h>",
  });
}
