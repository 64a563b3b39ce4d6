import { BpfError, cString } from "../base/index.ts";
import type { Btf } from "../btf/index.ts";
import { Assembler } from "./assemble-programs.ts";
import { type DeclaredMap, readBtfMaps } from "./btf-maps.ts";
import { collectExterns, type ObjectExtern } from "./externs.ts";
import { fixDatasecs } from "./fix-datasecs.ts";
import {
  collectFunctions,
  entryFunctions,
  type FunctionTable,
  functionAt,
  type ObjectFunction,
} from "./functions.ts";
import { checkBssSize, GlobalVariables, globalsMap, isGlobals, kconfigMap } from "./global-maps.ts";
import { isLegacyMapSection, type LegacyMap, readLegacyMaps } from "./legacy-maps.ts";
import { isMapInMap } from "./map-types.ts";
import { type RawObject, type RawSection, takeApart } from "./raw-object.ts";
import type { Targets } from "./relocations.ts";
import { type SectionMeaning, sectionMeaning } from "./section-names.ts";
import type { CollectionSpec, MapSpec, ProgramSpec, StructOpsSpec } from "./spec.ts";
import { isStructOps, readStructOps } from "./struct-ops.ts";

export interface ReadObjectOptions {
  /** Unknown members of map definitions are ignored (libbpf's `relaxed_maps`). */
  readonly relaxedMaps?: boolean;
  /** Refuse what libbpf 1.5 refuses: `SEC("maps")`, static functions outside `.text`, externs without BTF. */
  readonly strict?: boolean;
}

/**
 * Reads a BPF object file made by clang (or linked by bpftool) with libbpf 1.5's meaning: programs with their
 * subprograms behind them, maps, externs, types. Nothing is looked up in a kernel; what names something stays in
 * `references` and `coreRelocations`. More lenient than libbpf where a meaning is plain: legacy `SEC("maps")` maps,
 * static subprograms in any section.
 * @throws BpfError `elf/…`, `btf/…`, `object/…`: what is wrong, where, and what to do.
 */
export function readObject(bytes: Uint8Array, options: ReadObjectOptions = {}): CollectionSpec {
  return collect(takeApart(bytes), options);
}

/** The second half of {@link readObject}, for objects taken apart or linked. */
export function collect(object: RawObject, options: ReadObjectOptions): CollectionSpec {
  const parts = partsOf(object, options);
  const legacy = parts.targets.legacyMaps.size > 0;
  const structOps = object.sections
    .filter(isStructOps)
    .flatMap((section) => readStructOps(object, parts.btf, section, parts.targets.functions));
  const programs = readPrograms(parts, legacy, structOps);
  return {
    programs,
    maps: parts.maps,
    externs: parts.externs.map(({ spec }) => spec),
    structOps,
    btf: parts.btf,
    license: licenseOf(object),
    kernelVersion: versionOf(object),
    byteOrder: object.byteOrder,
  };
}

/** An object after the passes that do not look at code. */
export interface ObjectParts {
  readonly btf: Btf | undefined;
  readonly externs: readonly ObjectExtern[];
  readonly maps: readonly MapSpec[];
  readonly targets: Targets;
}

/** Functions, externs, types, maps: all that relocations may name. */
export function partsOf(object: RawObject, options: ReadObjectOptions): ObjectParts {
  const functions = collectFunctions(object, options);
  const externs = collectExterns(object, options);
  const btf = fixDatasecs(object, externs);
  const mapsSection = object.sections.find((section) => section.name === ".maps" && section.size > 0);
  if (mapsSection !== undefined && btf === undefined) {
    throw new BpfError("object/no-btf", "the object has BTF-defined maps but no BTF", {
      subject: ".maps",
      hint: "compile with -g",
    });
  }
  const declaredMaps = mapsSection === undefined ? [] : readBtfMaps(btf!, mapsSection, options);
  const legacyMaps = readLegacy(object, options);
  const arena = findArena(object, declaredMaps);
  const variables = new GlobalVariables(object, btf);
  const globals = new Map<number, string>();
  const globalMaps: MapSpec[] = [];
  checkBssSize(object);
  const names = new Set(declaredMaps.map((map) => map.spec.name));
  for (const section of object.sections) {
    if (!isGlobals(section)) continue;
    const name = freshName(section.name, names);
    globals.set(section.index, name);
    globalMaps.push(globalsMap(variables, section, name));
  }
  const kconfig = kconfigMap(variables, externs);
  const declared = initialised(object, btf, mapsSection, declaredMaps, functions).map((spec) =>
    arena !== undefined && spec.name === arena.map
      ? withArenaData(variables, object.sections[arena.section], spec)
      : spec,
  );
  return {
    btf,
    externs,
    maps: [
      ...declared,
      ...legacyMaps.map((map) => map.spec),
      ...globalMaps,
      ...(kconfig === undefined ? [] : [kconfig]),
    ],
    targets: {
      object,
      functions,
      mapsAt: firstOf(declaredMaps.map((map) => [map.offset, map.spec.name])),
      mapsSection: mapsSection?.index ?? 0,
      legacyMaps: legacyPlaces(legacyMaps),
      globals,
      arena,
      externs: new Map(externs.map((found) => [found.symbol, found])),
      strict: options.strict ?? false,
    },
  };
}

function readLegacy(object: RawObject, options: ReadObjectOptions): LegacyMap[] {
  if (!options.strict) return readLegacyMaps(object);
  if (object.sections.some((section) => section.name === "maps")) {
    throw new BpfError(
      "object/legacy-maps",
      "legacy map definitions in 'maps' section are not supported by libbpf v1.0+",
      {
        subject: "maps",
        hint: 'declare maps in SEC(".maps"), or read the object without `strict`',
      },
    );
  }
  return [];
}

/** A map of pairs in which the first of equal keys stays. */
function firstOf<K, V>(pairs: readonly (readonly [K, V])[]): Map<K, V> {
  const out = new Map<K, V>();
  for (const [key, value] of pairs) if (!out.has(key)) out.set(key, value);
  return out;
}

function legacyPlaces(maps: readonly LegacyMap[]): Map<number, Map<number, string>> {
  const out = new Map<number, Map<number, string>>();
  for (const { section, offset, spec } of maps) {
    const places = out.get(section) ?? new Map<number, string>();
    out.set(section, places);
    if (!places.has(offset)) places.set(offset, spec.name);
  }
  return out;
}

function freshName(section: string, names: Set<string>): string {
  let name = section;
  for (let i = 2; names.has(name); i++) name = `${section}.${i}`;
  names.add(name);
  return name;
}

function findArena(
  object: RawObject,
  maps: readonly DeclaredMap[],
): { map: string; section: number } | undefined {
  const arenas = maps.filter((map) => map.spec.type === "BPF_MAP_TYPE_ARENA");
  const section = object.sections.find(
    (candidate) => candidate.name === ".addr_space.1" && candidate.size > 0,
  );
  if (arenas.length > 1) {
    throw new BpfError("object/bad-map", `map '${arenas[1].spec.name}': only single ARENA map is supported`, {
      subject: arenas[1].spec.name,
    });
  }
  if (section === undefined) return undefined;
  const arena = arenas[0]?.spec;
  if (arena === undefined) {
    throw new BpfError("object/bad-map", '__arena variables need an ARENA map in SEC(".maps")', {
      subject: section.name,
      hint: "declare one map of type BPF_MAP_TYPE_ARENA",
    });
  }
  const page = 4096;
  if (Math.ceil(section.size / page) > arena.maxEntries) {
    throw new BpfError(
      "object/bad-map",
      `ARENA map of ${arena.maxEntries} pages is too small for ${section.size} bytes`,
      {
        subject: arena.name,
      },
    );
  }
  return { map: arena.name, section: section.index };
}

function withArenaData(variables: GlobalVariables, section: RawSection, spec: MapSpec): MapSpec {
  return { ...spec, data: section.data.slice(), variables: variables.of(section) };
}

/** The map whose definition covers 8 bytes at `offset`; maps are sorted by offset. */
function mapAround(maps: readonly DeclaredMap[], offset: number): DeclaredMap | undefined {
  let low = 0;
  let high = maps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (maps[middle].offset <= offset) low = middle + 1;
    else high = middle;
  }
  const found = maps[low - 1];
  return found !== undefined && offset + 8 <= found.offset + found.size ? found : undefined;
}

/** Map specs with the slots that relocations in `.maps` fill (`.values = { [0] = &inner }`). */
function initialised(
  object: RawObject,
  btf: Btf | undefined,
  section: RawSection | undefined,
  maps: readonly DeclaredMap[],
  functions: FunctionTable,
): MapSpec[] {
  const slots = new Map<DeclaredMap, MapSpec["values"][number][]>();
  const byName = firstOf(maps.map((map) => [map.spec.name, map]));
  for (const relocation of section?.relocations ?? []) {
    const symbol = object.symbols[relocation.symbol];
    const map = mapAround(maps, relocation.offset);
    const fail = (why: string): BpfError =>
      new BpfError("object/bad-map", `.maps relo: '${symbol.name}' ${why}`, {
        subject: map?.spec.name ?? ".maps",
      });
    if (map === undefined || btf === undefined) throw fail(`at ${relocation.offset} belongs to no map`);
    if (map.valuesOffset === undefined) throw fail(`initialises '${map.spec.name}', which has no values`);
    const at = relocation.offset - map.offset - map.valuesOffset;
    if (at < 0 || at % 8 !== 0) throw fail("is not in a slot of values");
    const list = slots.get(map) ?? [];
    slots.set(map, list);
    if (isMapInMap(map.spec.type)) {
      const target = byName.get(symbol.name);
      if (target === undefined || symbol.section !== section!.index) throw fail("isn't a BTF-defined map");
      if (map.spec.keySize !== 4) throw fail(`needs a map '${map.spec.name}' with keys of 4 bytes`);
      list.push({ key: at / 8, map: target.spec.name });
    } else if (map.spec.type === "BPF_MAP_TYPE_PROG_ARRAY") {
      const target = functionAt(functions, symbol.section, symbol.value / 8);
      if (target === undefined || !target.entry || target.start * 8 !== symbol.value) {
        throw fail("isn't an entry-point program");
      }
      list.push({ key: at / 8, program: target.name });
    } else {
      throw fail(`initialises '${map.spec.name}', which holds neither maps nor programs`);
    }
  }
  return maps.map((map) => {
    const values = slots.get(map);
    return values === undefined ? map.spec : { ...map.spec, values: values.sort((a, b) => a.key - b.key) };
  });
}

function readPrograms(
  parts: ObjectParts,
  legacy: boolean,
  structOps: readonly StructOpsSpec[],
): ProgramSpec[] {
  const { functions } = parts.targets;
  const assembler = new Assembler(parts.targets);
  const callbacks = exceptionCallbacks(parts);
  const meanings = new Map<string, SectionMeaning>();
  // a program only `?.struct_ops` variables use is not wanted either
  const used = new Map<string, boolean>();
  for (const variable of structOps) {
    for (const { program } of variable.funcs)
      used.set(program, variable.autoload || (used.get(program) ?? false));
  }
  return entryFunctions(functions)
    .filter((entry) => !isLegacyMapSection(entry.section.name))
    .map((entry) => {
      let meaning = meanings.get(entry.section.name);
      if (meaning === undefined) {
        meaning = sectionMeaning(entry.section.name, { legacy });
        meanings.set(entry.section.name, meaning);
      }
      const { row } = meaning;
      return {
        name: entry.name,
        section: meaning.section,
        type: row?.type,
        attachType: row?.attach,
        attachTo: meaning.attachTo,
        flags: { sleepable: row?.flag === "sleepable", xdpFrags: row?.flag === "frags" },
        autoload: used.get(entry.name) ?? meaning.autoload,
        ...assembler.assemble(entry, callbacks.get(entry.name)),
      };
    });
}

/** `__exception_cb(f)` on a program: f must follow it even when nothing calls it. */
function exceptionCallbacks(parts: ObjectParts): Map<string, ObjectFunction> {
  const out = new Map<string, ObjectFunction>();
  const twice = new Set<string>();
  const subprograms = firstOf(
    [...parts.targets.functions.values()]
      .flat()
      .filter((f) => f.section.name === ".text")
      .map((f) => [f.name, f]),
  );
  const { btf } = parts;
  for (const tag of btf?.types ?? []) {
    if (tag.kind !== "decl_tag" || tag.componentIndex !== -1 || !tag.name.startsWith("exception_callback:"))
      continue;
    const program = btf!.types[tag.type];
    const wanted = tag.name.slice("exception_callback:".length);
    if (program.kind !== "func") continue;
    const found = subprograms.get(wanted);
    if (found === undefined || !found.global || found.hidden) continue;
    if (out.has(program.name)) twice.add(program.name);
    out.set(program.name, found);
  }
  for (const name of twice) out.delete(name);
  return out;
}

function licenseOf(object: RawObject): string {
  const section = object.sections.find((candidate) => candidate.name === "license");
  return section === undefined ? "" : cString(section.data.subarray(0, 63));
}

function versionOf(object: RawObject): number {
  const section = object.sections.find((candidate) => candidate.name === "version");
  if (section === undefined) return 0;
  if (section.data.length !== 4) {
    throw new BpfError(
      "object/bad-version",
      `the version section has ${section.data.length} bytes; expected 4`,
      {
        subject: "version",
      },
    );
  }
  const view = new DataView(section.data.buffer, section.data.byteOffset, 4);
  return view.getUint32(0, object.byteOrder === "little");
}
