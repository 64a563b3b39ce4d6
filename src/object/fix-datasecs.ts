import { BpfError } from "../base/index.ts";
import type { Btf, BtfType } from "../btf/index.ts";
import { type ElfSymbol, STB, STT, STV } from "../elf/index.ts";
import type { ObjectExtern } from "./externs.ts";
import type { RawObject } from "./raw-object.ts";

type Datasec = BtfType & { kind: "datasec" };

/**
 * The object's BTF with what clang leaves open filled in: sizes of DATASECs, offsets of variables (from symbols),
 * places of kconfig externs; `__hidden` variables become static. Variables are sorted by offset.
 * @throws BpfError `object/bad-datasec` for a DATASEC without section or a global variable without symbol.
 */
export function fixDatasecs(object: RawObject, externs: readonly ObjectExtern[]): Btf | undefined {
  const { btf } = object;
  if (btf === undefined) return undefined;
  const types = btf.types.slice();
  const symbols = new VariableSymbols(object);
  btf.types.forEach((type, id) => {
    if (type.kind !== "datasec") return;
    if (type.name === ".kconfig") types[id] = kconfigDatasec(type, types, externs);
    else if (type.name !== ".ksyms") types[id] = dataDatasec(object, type, types, symbols);
  });
  return { types, baseCount: btf.baseCount };
}

function kconfigDatasec(type: Datasec, types: BtfType[], externs: readonly ObjectExtern[]): Datasec {
  const places = new Map(externs.map(({ spec }) => [spec.name, spec]));
  let size = 0;
  const vars = type.vars.map((entry) => {
    const variable = types[entry.type];
    const place = places.get(variable.name);
    if (variable.kind !== "var" || place?.offset === undefined || place.size === undefined) {
      throw new BpfError("object/bad-datasec", `.kconfig names '${variable.name}', which no code uses`, {
        subject: variable.name,
      });
    }
    types[entry.type] = { ...variable, linkage: "global" };
    size = Math.max(size, place.offset + place.size);
    return { ...entry, offset: place.offset };
  });
  return { ...type, size, vars: sorted(vars) };
}

function dataDatasec(object: RawObject, type: Datasec, types: BtfType[], symbols: VariableSymbols): Datasec {
  let size = type.size;
  const open = size === 0;
  const section = object.sections.find((candidate) => candidate.name === type.name);
  if (open) {
    size = section?.size ?? 0;
    if (size === 0) {
      throw new BpfError(
        "object/bad-datasec",
        `BTF describes section '${type.name}', which is absent or empty`,
        {
          subject: type.name,
          hint: "keep BTF and sections together: do not strip or objcopy single sections",
        },
      );
    }
  }
  const vars = type.vars.map((entry) => {
    const variable = types[entry.type];
    if (variable.kind !== "var") {
      // clang puts extern functions into the section their symbol would have
      if (variable.kind === "func") return entry;
      throw new BpfError("object/bad-datasec", `section '${type.name}' holds a ${variable.kind} in the BTF`, {
        subject: type.name,
      });
    }
    if (variable.linkage === "extern") return entry;
    if (variable.linkage === "static") {
      const symbol = section === undefined ? undefined : symbols.local(section.index, variable.name);
      return open && symbol !== undefined ? { ...entry, offset: symbol.value } : entry;
    }
    const symbol = symbols.global(variable.name);
    if (symbol === undefined) {
      throw new BpfError(
        "object/bad-datasec",
        `variable '${variable.name}' of '${type.name}' has no symbol`,
        {
          subject: variable.name,
          hint: "keep the symbol table: strip only debug data (llvm-strip -g)",
        },
      );
    }
    if (symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL) {
      types[entry.type] = { ...variable, linkage: "static" };
    }
    return open ? { ...entry, offset: symbol.value } : entry;
  });
  return { ...type, size, vars: sorted(vars) };
}

function sorted(vars: Datasec["vars"][number][]): Datasec["vars"] {
  return vars.sort((a, b) => a.offset - b.offset);
}

/** Symbols of variables: global ones by name, local ones by section and name. */
class VariableSymbols {
  private readonly globals = new Map<string, ElfSymbol>();
  private readonly locals = new Map<string, ElfSymbol>();

  constructor(object: RawObject) {
    for (const symbol of object.symbols) {
      if (symbol.type !== STT.OBJECT) continue;
      const [map, key] =
        symbol.binding === STB.LOCAL
          ? [this.locals, `${symbol.section} ${symbol.name}`]
          : [this.globals, symbol.name];
      if (!map.has(key)) map.set(key, symbol);
    }
  }

  global(name: string): ElfSymbol | undefined {
    return this.globals.get(name);
  }

  local(section: number, name: string): ElfSymbol | undefined {
    return this.locals.get(`${section} ${name}`);
  }
}
