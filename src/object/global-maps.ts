import { BpfError } from "../base/index.ts";
import type { Btf, BtfType } from "../btf/index.ts";
import { type ElfSymbol, SHT, STB, STT } from "../elf/index.ts";
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
 * Refuses `.bss` sections above 64 MiB together.
 * @throws BpfError `object/section-too-large`.
 */
export function checkBssSize(object: RawObject): void {
  let total = 0;
  for (const section of object.sections) {
    if (section.type === SHT.NOBITS && isGlobals(section)) total += section.size;
    if (total <= MAX_BSS) continue;
    throw new BpfError(
      "object/section-too-large",
      `section '${section.name}' wants ${section.size} bytes of memory`,
      {
        subject: section.name,
        hint: "put large tables into a map of their own",
      },
    );
  }
}

/** The map of a section of global variables: an array with one value, mmapable when a variable is visible outside. */
export function globalsMap(variables: GlobalVariables, section: RawSection, name: string): MapSpec {
  const data = section.type === SHT.NOBITS ? new Uint8Array(section.size) : section.data.slice();
  return valueMap(
    variables,
    section.name,
    name,
    data,
    section.name.startsWith(".rodata"),
    variables.of(section),
  );
}

/** The map that holds the values of `extern … __kconfig`; undefined when there is none. */
export function kconfigMap(
  variables: GlobalVariables,
  externs: readonly ObjectExtern[],
): MapSpec | undefined {
  let size = 0;
  const rows: VariableSpec[] = [];
  for (const { spec } of externs) {
    if (spec.kind !== "kconfig" || spec.offset === undefined || spec.size === undefined) continue;
    size = Math.max(size, spec.offset + spec.size);
    rows.push({ name: spec.name, offset: spec.offset, size: spec.size, type: spec.btfId });
  }
  if (size === 0) return undefined;
  return valueMap(variables, ".kconfig", ".kconfig", new Uint8Array(size), true, rows);
}

type Datasec = BtfType & { kind: "datasec" };

/** Variables of an object by section: from the BTF, and from symbols where the BTF has none. */
export class GlobalVariables {
  private readonly btf: Btf | undefined;
  private readonly datasecs = new Map<string, { id: number; type: Datasec }>();
  private readonly symbols = new Map<number, ElfSymbol[]>();

  constructor(object: RawObject, btf: Btf | undefined) {
    this.btf = btf;
    btf?.types.forEach((type, id) => {
      if (type.kind === "datasec" && !this.datasecs.has(type.name))
        this.datasecs.set(type.name, { id, type });
    });
    for (const symbol of object.symbols) {
      if (symbol.type !== STT.OBJECT || symbol.name === "" || symbol.section >= object.sections.length)
        continue;
      if (symbol.binding === STB.LOCAL && symbol.name.startsWith(".L")) continue;
      const list = this.symbols.get(symbol.section) ?? [];
      this.symbols.set(symbol.section, list);
      list.push(symbol);
    }
  }

  /** By offset. */
  of(section: RawSection): VariableSpec[] {
    const out: VariableSpec[] = [];
    const named = new Set<string>();
    for (const entry of this.datasecs.get(section.name)?.type.vars ?? []) {
      const variable = this.btf!.types[entry.type];
      if (variable.kind !== "var" || variable.linkage === "extern") continue;
      if (entry.offset + entry.size > section.size) continue;
      out.push({ name: variable.name, offset: entry.offset, size: entry.size, type: variable.type });
      named.add(variable.name);
    }
    for (const symbol of this.symbols.get(section.index) ?? []) {
      if (named.has(symbol.name) || symbol.value + symbol.size > section.size) continue;
      out.push({ name: symbol.name, offset: symbol.value, size: symbol.size, type: 0 });
    }
    return out.sort((a, b) => a.offset - b.offset);
  }

  /** BTF id of the section's DATASEC; 0: none. */
  datasecId(section: string): number {
    return this.datasecs.get(section)?.id ?? 0;
  }

  /** Some variable of the section can be seen outside of the object. */
  visible(section: string): boolean {
    const vars = this.datasecs.get(section)?.type.vars ?? [];
    return vars.some((entry) => {
      const variable = this.btf!.types[entry.type];
      return variable.kind === "var" && variable.linkage !== "static";
    });
  }
}

function valueMap(
  globals: GlobalVariables,
  section: string,
  name: string,
  data: Uint8Array,
  readOnly: boolean,
  variables: VariableSpec[],
): MapSpec {
  return {
    name,
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: data.length,
    maxEntries: 1,
    flags: (readOnly ? BPF_F_RDONLY_PROG : 0) | (globals.visible(section) ? BPF_F_MMAPABLE : 0),
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: globals.datasecId(section),
    inner: undefined,
    values: [],
    data,
    section,
    variables,
    frozen: readOnly,
  };
}
