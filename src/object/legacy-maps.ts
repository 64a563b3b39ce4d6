import { BpfError } from "../base/index.ts";
import { type ElfSymbol, STT } from "../elf/index.ts";
import { isMapInMap, mapTypeName } from "./map-types.ts";
import type { RawObject, RawSection } from "./raw-object.ts";
import type { MapSpec } from "./spec.ts";

/** A `struct bpf_map_def` with its place. */
export interface LegacyMap {
  readonly spec: MapSpec;
  readonly section: number;
  readonly offset: number;
}

/** True for the sections of `struct bpf_map_def`: `maps`, `maps/x`, and `x/maps` of ir-keytable's decoders. */
export function isLegacyMapSection(name: string): boolean {
  return name === "maps" || name.startsWith("maps/") || name.endsWith("/maps");
}

/** type, key_size, value_size, max_entries, map_flags. */
const DEFINITION_SIZE = 20;

/**
 * Maps declared before BTF: structs of numbers, one for each symbol. Behind the five of `bpf_map_def` stand either
 * iproute2's id, pinning, inner_id, inner_idx (36 bytes) or the kernel samples' inner_map_idx and numa_node.
 * @throws BpfError `object/bad-map`.
 */
export function readLegacyMaps(object: RawObject): LegacyMap[] {
  const rows: { symbol: ElfSymbol; section: RawSection; words: number[] }[] = [];
  const bySection = new Map<number, ElfSymbol[]>();
  for (const symbol of object.symbols) {
    const section = object.sections[symbol.section];
    if (section === undefined || !isLegacyMapSection(section.name) || symbol.name === "") continue;
    if (symbol.type !== STT.NOTYPE && symbol.type !== STT.OBJECT) continue;
    const list = bySection.get(symbol.section) ?? [];
    list.push(symbol);
    bySection.set(symbol.section, list);
  }
  for (const [index, symbols] of bySection) {
    const section = object.sections[index];
    symbols.sort((a, b) => a.value - b.value);
    symbols.forEach((symbol, i) => {
      const end = Math.min(section.data.length, symbols[i + 1]?.value ?? section.data.length);
      if (end - symbol.value < DEFINITION_SIZE) {
        throw new BpfError("object/bad-map", `map '${symbol.name}': its definition has fewer than 20 bytes`, {
          subject: symbol.name,
          hint: "fill type, key_size, value_size, max_entries and map_flags",
        });
      }
      rows.push({ symbol, section, words: wordsAt(object, section, symbol.value, end) });
    });
  }
  const specs = rows.map(({ symbol, section, words }) => specOf(symbol.name, section.name, words));
  return rows.map(({ symbol, section, words }, i) => ({
    spec: isMapInMap(specs[i].type) ? { ...specs[i], inner: innerOf(words, rows, specs) } : specs[i],
    section: section.index,
    offset: symbol.value,
  }));
}

function wordsAt(object: RawObject, section: RawSection, start: number, end: number): number[] {
  const view = new DataView(section.data.buffer, section.data.byteOffset, section.data.byteLength);
  const words: number[] = [];
  for (let at = start; at + 4 <= end && words.length < 9; at += 4) {
    words.push(view.getUint32(at, object.byteOrder === "little"));
  }
  return words;
}

function specOf(name: string, section: string, words: readonly number[]): MapSpec {
  const type = mapTypeName(words[0], name);
  const iproute2 = words.length >= 9;
  return {
    name,
    type,
    keySize: words[1],
    valueSize: isMapInMap(type) && words[2] === 0 ? 4 : words[2],
    maxEntries: words[3],
    flags: words[4],
    mapExtra: 0n,
    numaNode: iproute2 ? 0 : (words[6] ?? 0),
    pinning: iproute2 && words[6] !== 0 ? "by-name" : "none",
    keyType: 0,
    valueType: 0,
    inner: undefined,
    values: [],
    data: undefined,
    section,
    variables: [],
    frozen: false,
  };
}

function innerOf(
  words: readonly number[],
  rows: readonly { readonly words: readonly number[] }[],
  specs: readonly MapSpec[],
): MapSpec | undefined {
  const at =
    words.length >= 9
      ? rows.findIndex(
          (row, i) => row.words.length >= 9 && row.words[5] === words[7] && !isMapInMap(specs[i].type),
        )
      : (words[5] ?? -1);
  const inner = specs[at];
  return inner === undefined || isMapInMap(inner.type) ? undefined : { ...inner, pinning: "none" };
}
