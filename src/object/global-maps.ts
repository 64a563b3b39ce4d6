import { BpfError } from "../base/index.ts";
import type { Btf } from "../btf/index.ts";
import { SHN, SHT, STB, STT } from "../elf/index.ts";
import type { ObjectExtern } from "./externs.ts";
import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG } from "./map-types.ts";
import type { RawObject, RawSection } from "./raw-object.ts";
import type { MapSpec, VariableSpec } from "./spec.ts";

/** `.bss` has no bytes in the file: this bounds what its header may ask for. */
const MAX_BSS = 64 << 20;

/** True for `.data`, `.data.x`, `.rodata…` and `.bss…`: sections that become maps of one value. */
export function isGlobals(section: RawSection): boolean {
  if (section.size === 0) return false;
  const named = (base: string): boolean => section.name === base || section.name.startsWith(`${base}.`);
  if (section.type === SHT.NOBITS) return named(".bss");
  return section.type === SHT.PROGBITS && (section.flags & 4) === 0 && (named(".data") || named(".rodata"));
}

/**
 * The map of a section of global variables: an array with one value, mmapable when a variable is visible outside.
 * @throws BpfError `object/section-too-large` for a `.bss` above 64 MiB.
 */
export function globalsMap(
  object: RawObject,
  btf: Btf | undefined,
  section: RawSection,
  name: string,
): MapSpec {
  if (section.type === SHT.NOBITS && section.size > MAX_BSS) {
    throw new BpfError(
      "object/section-too-large",
      `section '${section.name}' wants ${section.size} bytes of memory`,
      {
        subject: section.name,
        hint: "put large tables into a map of their own",
      },
    );
  }
  const data = section.type === SHT.NOBITS ? new Uint8Array(section.size) : section.data.slice();
  const readOnly = section.name.startsWith(".rodata");
  return valueMap(btf, section.name, name, data, readOnly, variablesOf(object, btf, section));
}

/** The map that holds the values of `extern … __kconfig`; undefined when there is none. */
export function kconfigMap(btf: Btf | undefined, externs: readonly ObjectExtern[]): MapSpec | undefined {
  let size = 0;
  const variables: VariableSpec[] = [];
  for (const { spec } of externs) {
    if (spec.kind !== "kconfig" || spec.offset === undefined || spec.size === undefined) continue;
    size = Math.max(size, spec.offset + spec.size);
    variables.push({ name: spec.name, offset: spec.offset, size: spec.size, type: spec.btfId });
  }
  if (size === 0) return undefined;
  return valueMap(btf, ".kconfig", ".kconfig", new Uint8Array(size), true, variables);
}

/** Variables of a section by offset: from the BTF, and from symbols where the BTF has none. */
export function variablesOf(object: RawObject, btf: Btf | undefined, section: RawSection): VariableSpec[] {
  const datasec = datasecOf(btf, section.name);
  const out: VariableSpec[] = [];
  const named = new Set<string>();
  for (const entry of datasec?.type.vars ?? []) {
    const variable = btf!.types[entry.type];
    if (variable.kind !== "var" || variable.linkage === "extern") continue;
    if (entry.offset + entry.size > section.size) continue;
    out.push({ name: variable.name, offset: entry.offset, size: entry.size, type: variable.type });
    named.add(variable.name);
  }
  for (const symbol of object.symbols) {
    if (symbol.section !== section.index || symbol.section >= SHN.LORESERVE || symbol.type !== STT.OBJECT)
      continue;
    if (named.has(symbol.name) || symbol.name === "" || symbol.value + symbol.size > section.size) continue;
    if (symbol.binding === STB.LOCAL && symbol.name.startsWith(".L")) continue;
    out.push({ name: symbol.name, offset: symbol.value, size: symbol.size, type: 0 });
  }
  return out.sort((a, b) => a.offset - b.offset);
}

function valueMap(
  btf: Btf | undefined,
  section: string,
  name: string,
  data: Uint8Array,
  readOnly: boolean,
  variables: VariableSpec[],
): MapSpec {
  const datasec = datasecOf(btf, section);
  const visible =
    datasec?.type.vars.some((entry) => {
      const variable = btf!.types[entry.type];
      return variable.kind === "var" && variable.linkage !== "static";
    }) ?? false;
  return {
    name,
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: data.length,
    maxEntries: 1,
    flags: (readOnly ? BPF_F_RDONLY_PROG : 0) | (visible ? BPF_F_MMAPABLE : 0),
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: datasec?.id ?? 0,
    inner: undefined,
    values: [],
    data,
    section,
    variables,
    frozen: readOnly,
  };
}

function datasecOf(btf: Btf | undefined, name: string) {
  const id = btf?.types.findIndex((type) => type.kind === "datasec" && type.name === name) ?? -1;
  const type = btf?.types[id];
  return type?.kind === "datasec" ? { id, type } : undefined;
}
