// One algorithm: several objects taken apart become one, as `bpftool gen object` links them.
import { BpfError, bytesEqual } from "../base/index.ts";
import type { Btf, BtfExt, BtfType } from "../btf/index.ts";
import { type ElfRelocation, type ElfSymbol, SHF, SHN, SHT, STB, STV } from "../elf/index.ts";
import { isExtern } from "./externs.ts";
import { fixDatasecs } from "./fix-datasecs.ts";
import { concatTypes, mergeEqualTypes } from "./link-btf.ts";
import { type RawObject, type RawSection, takeApart } from "./raw-object.ts";
import { collect, type ReadObjectOptions } from "./read-object.ts";
import type { CollectionSpec } from "./spec.ts";

/**
 * Links object files into one and reads it: externs find their definitions in other objects, a strong definition
 * replaces weak ones, of weak ones the first stays, static functions and variables stay apart, sections of one name
 * follow each other in the order of the objects.
 * @throws BpfError `object/duplicate-symbol`, `object/link-mismatch` for objects that do not belong together, and
 * whatever {@link readObject} throws.
 */
export function linkObjects(objects: readonly Uint8Array[], options: ReadObjectOptions = {}): CollectionSpec {
  return collect(linkRaw(objects.map((bytes) => takeApart(bytes))), options);
}

/** A section while it grows. */
interface Output {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  flags: number;
  align: number;
  size: number;
  readonly chunks: { readonly offset: number; readonly data: Uint8Array }[];
  readonly relocations: ElfRelocation[];
}

/** Where a section of an object went. */
interface Placed {
  readonly output: Output;
  readonly offset: number;
}

type Places = ReadonlyMap<number, Placed>;

/** Several objects as one. */
export function linkRaw(objects: readonly RawObject[]): RawObject {
  const [first] = objects;
  if (first === undefined) throw new BpfError("object/link-mismatch", "there is nothing to link");
  if (objects.some((object) => object.byteOrder !== first.byteOrder)) {
    throw new BpfError("object/link-mismatch", "the objects have different byte orders", {
      hint: "compile all of them with the same --target",
    });
  }
  const fixed = objects.map((object) => ({ ...object, btf: fixDataOnly(object) }));
  const { outputs, places } = placeSections(fixed);
  const symbols = linkSymbols(fixed, places);
  fixed.forEach((object, i) => {
    copyRelocations(object, places[i], symbols.ids[i]);
  });
  const types = linkTypes(fixed, places, outputs, symbols);
  return {
    byteOrder: first.byteOrder,
    sections: [nullSection(), ...outputs.map(finished)],
    symbols: symbols.rows,
    btf: types.btf,
    ext: linkExt(fixed, places, types),
  };
}

/** DATASECs of data with sizes and offsets; those of externs wait until all objects are known. */
function fixDataOnly(object: RawObject): Btf | undefined {
  if (object.btf === undefined) return undefined;
  const waiting = (type: BtfType): boolean =>
    type.kind === "datasec" &&
    !object.sections.some((section) => section.name === type.name && section.size > 0);
  const held = object.btf.types.map((type) => (waiting(type) ? ({ kind: "void", name: "" } as const) : type));
  const fixed = fixDatasecs({ ...object, btf: { ...object.btf, types: held } }, [])!;
  return {
    ...fixed,
    types: fixed.types.map((type, id) => (waiting(object.btf!.types[id]) ? object.btf!.types[id] : type)),
  };
}

function isLinked(section: RawSection): boolean {
  if (section.type !== SHT.PROGBITS && section.type !== SHT.NOBITS) return false;
  return !/^\.(BTF|debug_|rel|eh_frame)/.test(section.name) && section.index !== 0;
}

function placeSections(objects: readonly RawObject[]): { outputs: Output[]; places: Places[] } {
  const outputs: Output[] = [];
  const byName = new Map<string, Output>();
  const places = objects.map((object) => {
    const placed = new Map<number, Placed>();
    for (const section of object.sections) {
      if (!isLinked(section)) continue;
      let output = byName.get(section.name);
      if (output === undefined) {
        const { name, type, flags } = section;
        output = {
          index: outputs.length + 1,
          name,
          type,
          flags,
          align: 1,
          size: 0,
          chunks: [],
          relocations: [],
        };
        outputs.push(output);
        byName.set(name, output);
      }
      if (output.type !== section.type || ((output.flags ^ section.flags) & SHF.EXECINSTR) !== 0) {
        throw mismatch(section.name, "holds code in one object and data in another");
      }
      if ((section.name === "license" || section.name === "version") && output.chunks.length > 0) {
        if (!bytesEqual(output.chunks[0].data, section.data))
          throw mismatch(section.name, "differs between the objects");
        placed.set(section.index, { output, offset: 0 });
        continue;
      }
      const align = Math.max(1, section.align, (section.flags & SHF.EXECINSTR) !== 0 ? 8 : 1);
      output.align = Math.max(output.align, align);
      const offset = Math.ceil(output.size / output.align) * output.align;
      output.flags |= section.flags;
      output.size = offset + section.size;
      output.chunks.push({ offset, data: section.data });
      placed.set(section.index, { output, offset });
    }
    return placed;
  });
  return { outputs, places };
}

interface LinkedSymbols {
  readonly rows: ElfSymbol[];
  /** By object, by its own symbol number. */
  readonly ids: readonly (readonly number[])[];
  /** Names that some object defines: `object name` pairs of definitions that were replaced. */
  readonly replaced: ReadonlySet<string>;
  readonly defined: ReadonlySet<string>;
}

function linkSymbols(objects: readonly RawObject[], places: readonly Places[]): LinkedSymbols {
  const rows: ElfSymbol[] = [];
  const globals = new Map<string, { row: number; object: number }>();
  const replaced = new Set<string>();
  const defined = new Set<string>();
  const ids = objects.map((object, objectIndex) =>
    object.symbols.map((symbol) => {
      const place = places[objectIndex].get(symbol.section);
      const moved: ElfSymbol =
        place === undefined
          ? {
              ...symbol,
              index: rows.length,
              section: symbol.section >= SHN.LORESERVE ? symbol.section : SHN.UNDEF,
            }
          : {
              ...symbol,
              index: rows.length,
              section: place.output.index,
              value: symbol.value + place.offset,
            };
      if (symbol.binding === STB.LOCAL) {
        rows.push(moved);
        return moved.index;
      }
      const shared = place !== undefined && /^(license|version)$/.test(place.output.name);
      if (place !== undefined && !isExtern(symbol)) defined.add(symbol.name);
      const known = globals.get(symbol.name);
      if (known === undefined) {
        globals.set(symbol.name, { row: moved.index, object: objectIndex });
        rows.push(moved);
        return moved.index;
      }
      const before = rows[known.row];
      const choice = shared ? before : stronger(before, moved);
      if (!isExtern(before) && !isExtern(moved)) {
        replaced.add(`${choice === before ? objectIndex : known.object} ${symbol.name}`);
      }
      if (choice === moved) known.object = objectIndex;
      rows[known.row] = { ...choice, index: known.row, visibility: hidden(before, moved) };
      return known.row;
    }),
  );
  return { rows, ids, replaced, defined };
}

function stronger(before: ElfSymbol, next: ElfSymbol): ElfSymbol {
  if (isExtern(next)) {
    // one strong use makes an extern strong
    return isExtern(before) && next.binding === STB.GLOBAL ? { ...before, binding: STB.GLOBAL } : before;
  }
  if (isExtern(before) || (before.binding === STB.WEAK && next.binding !== STB.WEAK)) return next;
  if (next.binding === STB.WEAK) return before;
  throw new BpfError("object/duplicate-symbol", `'${next.name}' is defined in two objects`, {
    subject: next.name,
    hint: "make one of them static or __weak, or declare it extern",
  });
}

function hidden(a: ElfSymbol, b: ElfSymbol): number {
  const veiled = (symbol: ElfSymbol): boolean =>
    symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL;
  return veiled(a) || veiled(b) ? STV.HIDDEN : a.visibility;
}

function copyRelocations(object: RawObject, places: Places, ids: readonly number[]): void {
  for (const section of object.sections) {
    const place = places.get(section.index);
    if (place === undefined) continue;
    for (const row of section.relocations) {
      place.output.relocations.push({ ...row, offset: row.offset + place.offset, symbol: ids[row.symbol] });
    }
  }
}

function finished(output: Output): RawSection {
  const { index, name, type, flags, align, size, relocations } = output;
  const data = new Uint8Array(type === SHT.NOBITS ? 0 : size);
  if (type !== SHT.NOBITS) for (const chunk of output.chunks) data.set(chunk.data, chunk.offset);
  return { index, name, type, flags, align, size, data, relocations };
}

function nullSection(): RawSection {
  return {
    index: 0,
    name: "",
    type: SHT.NULL,
    flags: 0,
    size: 0,
    align: 0,
    data: new Uint8Array(0),
    relocations: [],
  };
}

interface LinkedTypes {
  readonly btf: Btf | undefined;
  /** By object: where its types went. */
  id(object: number, old: number): number;
}

type Datasec = BtfType & { kind: "datasec" };

/** All types in one list: externs stand for their definitions, DATASECs of one name are one. */
function linkTypes(
  objects: readonly RawObject[],
  places: readonly Places[],
  outputs: readonly Output[],
  symbols: LinkedSymbols,
): LinkedTypes {
  if (objects.every((object) => object.btf === undefined)) return { btf: undefined, id: () => 0 };
  const joined = concatTypes(objects.map((object) => object.btf));
  const owner = (id: number): number => joined.shift.findLastIndex((by) => id > by);
  const stand = standIns(joined.types, owner, symbols);
  const datasecs = new Map<string, { id: number; type: Datasec }>();
  const types = joined.types.slice();
  joined.types.forEach((type, id) => {
    if (type.kind !== "datasec") return;
    const object = owner(id);
    const section = objects[object].sections.find(
      (candidate) => candidate.name === type.name && candidate.size > 0,
    );
    const offset = section === undefined ? 0 : (places[object].get(section.index)?.offset ?? 0);
    const output = outputs.find((candidate) => candidate.name === type.name);
    const vars = type.vars
      .filter((entry) => keepsVariable(joined.types[entry.type], object, symbols))
      .map((entry) => ({
        ...entry,
        type: stand.get(entry.type) ?? entry.type,
        offset: entry.offset + offset,
      }));
    const known = datasecs.get(type.name);
    const merged = [...(known?.type.vars ?? [])];
    for (const entry of vars) {
      if (!merged.some((other) => other.type === entry.type)) merged.push(entry);
    }
    const whole: Datasec = { ...type, size: output?.size ?? 0, vars: merged };
    const at = known?.id ?? id;
    datasecs.set(type.name, { id: at, type: whole });
    types[at] = whole;
    if (at !== id) {
      types[id] = { kind: "void", name: "" };
      stand.set(id, at);
    }
  });
  // an emptied DATASEC (all its externs were found) is none
  for (const { id, type } of datasecs.values())
    if (type.vars.length === 0) types[id] = { kind: "void", name: "" };
  const through = types.map((type) => replaceIds(type, stand));
  for (const id of stand.keys()) through[id] = { kind: "void", name: "" };
  const merged = mergeEqualTypes(through);
  checkMaps(objects, symbols);
  return {
    btf: { types: merged.types, baseCount: 0 },
    id: (object, old) => {
      if (old === 0) return 0;
      const id = old + joined.shift[object];
      return merged.ids[stand.get(id) ?? id];
    },
  };
}

/** Extern variables and functions → the definition, or the first declaration, of the same name. */
function standIns(
  types: readonly BtfType[],
  owner: (id: number) => number,
  symbols: LinkedSymbols,
): Map<number, number> {
  const best = new Map<string, number>();
  types.forEach((type, id) => {
    if ((type.kind !== "var" && type.kind !== "func") || type.linkage === "static") return;
    if (symbols.replaced.has(`${owner(id)} ${type.name}`)) return;
    const known = best.get(type.name);
    const better = known === undefined || (isExternType(types[known]) && type.linkage === "global");
    if (better) best.set(type.name, id);
  });
  const out = new Map<number, number>();
  types.forEach((type, id) => {
    if (!isExternType(type)) return;
    const target = best.get(type.name);
    if (target !== undefined && target !== id) out.set(id, target);
  });
  return out;
}

function isExternType(type: BtfType): boolean {
  return (type.kind === "var" || type.kind === "func") && type.linkage === "extern";
}

/** Variables of a DATASEC that go on: not externs that were found elsewhere, not replaced weak definitions. */
function keepsVariable(type: BtfType, object: number, symbols: LinkedSymbols): boolean {
  if (type.kind !== "var" && type.kind !== "func") return true;
  if (type.linkage === "extern") return !symbols.defined.has(type.name);
  return type.linkage === "static" || !symbols.replaced.has(`${object} ${type.name}`);
}

function replaceIds(type: BtfType, stand: ReadonlyMap<number, number>): BtfType {
  if (type.kind === "decl_tag") return { ...type, type: stand.get(type.type) ?? type.type };
  if (type.kind !== "datasec") return type;
  return {
    ...type,
    vars: type.vars.map((entry) => ({ ...entry, type: stand.get(entry.type) ?? entry.type })),
  };
}

/** An `extern` map must be one that some object defines in its `.maps`. */
function checkMaps(objects: readonly RawObject[], symbols: LinkedSymbols): void {
  for (const object of objects) {
    for (const datasec of object.btf?.types ?? []) {
      if (datasec.kind !== "datasec" || datasec.name !== ".maps") continue;
      for (const entry of datasec.vars) {
        const variable = object.btf!.types[entry.type];
        if (isExternType(variable) && !symbols.defined.has(variable.name)) {
          throw new BpfError(
            "object/unresolved-extern",
            `extern map '${variable.name}' is defined in none of the objects`,
            {
              subject: variable.name,
              hint: "link the object that defines it",
            },
          );
        }
      }
    }
  }
}

function linkExt(
  objects: readonly RawObject[],
  places: readonly Places[],
  types: LinkedTypes,
): BtfExt | undefined {
  if (objects.every((object) => object.ext === undefined)) return undefined;
  const funcInfo: BtfExt["funcInfo"][number][] = [];
  const lineInfo: BtfExt["lineInfo"][number][] = [];
  const coreRelocations: BtfExt["coreRelocations"][number][] = [];
  objects.forEach((object, i) => {
    if (object.ext === undefined) return;
    const shifts = new Map<string, number>();
    for (const section of object.sections) {
      const place = places[i].get(section.index);
      if (place !== undefined) shifts.set(section.name, place.offset / 8);
    }
    const move = <T extends { readonly section: string; readonly insn: number }>(row: T): T => ({
      ...row,
      insn: row.insn + (shifts.get(row.section) ?? 0),
    });
    for (const row of object.ext.funcInfo) funcInfo.push({ ...move(row), type: types.id(i, row.type) });
    for (const row of object.ext.lineInfo) lineInfo.push(move(row));
    for (const row of object.ext.coreRelocations)
      coreRelocations.push({ ...move(row), type: types.id(i, row.type) });
  });
  return { funcInfo, lineInfo, coreRelocations };
}

function mismatch(section: string, why: string): BpfError {
  return new BpfError("object/link-mismatch", `section '${section}' ${why}`, { subject: section });
}
