import { BpfError } from "../base/index.ts";
import { alignOf, type Btf, type BtfType, resolveType, trySizeOf } from "../btf/index.ts";
import { type ElfSymbol, SHN, STB, STT } from "../elf/index.ts";
import { isCode, type RawObject } from "./raw-object.ts";
import type { ExternSpec } from "./spec.ts";

/** An extern with what relocations need to find it. */
export interface ObjectExtern {
  readonly spec: ExternSpec;
  /** Index of its symbol. */
  readonly symbol: number;
  /** A ksym whose type is known (not `void`). */
  readonly typed: boolean;
}

/** Undefined, global or weak, untyped: what clang makes of an `extern`. */
export function isExtern(symbol: ElfSymbol): boolean {
  return (
    symbol.section === SHN.UNDEF &&
    (symbol.binding === STB.GLOBAL || symbol.binding === STB.WEAK) &&
    symbol.type === STT.NOTYPE
  );
}

/**
 * The externs of an object, kconfig first with their places in the `.kconfig` map as libbpf lays them out.
 * @throws BpfError `object/unresolved-extern` for one that another object would have to define,
 * `object/bad-extern` for a kconfig type nobody can fill.
 */
export function collectExterns(object: RawObject, options: { readonly strict?: boolean }): ObjectExtern[] {
  const declared = new DeclaredExterns(object.btf);
  const called = calledSymbols(object);
  const found: ObjectExtern[] = [];
  const kconfig: { extern: ObjectExtern; size: number; align: number }[] = [];
  for (const symbol of object.symbols) {
    if (!isExtern(symbol) || symbol.name === "") continue;
    const weak = symbol.binding === STB.WEAK;
    const declaration = declared.find(symbol.name);
    if (declaration === undefined) {
      if (options.strict) throw unresolved(symbol.name, "has no type in the BTF");
      const kind = called.has(symbol.index) ? "kfunc" : "ksym";
      found.push({
        spec: { name: symbol.name, kind, weak, btfId: 0 },
        symbol: symbol.index,
        typed: false,
      });
      continue;
    }
    const { id, type, section } = declaration;
    if (section === ".kconfig") {
      if (type.kind !== "var") throw badKconfig(symbol.name, "is a function");
      const btf = object.btf!;
      const size = trySizeOf(btf, type.type);
      const align = alignOf(btf, type.type);
      if (!size || !align || size > MAX_KCONFIG || kconfigKind(btf, type.type) === undefined) {
        throw badKconfig(symbol.name, "has a type that no kernel option fits");
      }
      const spec: ExternSpec = { name: symbol.name, kind: "kconfig", weak, btfId: type.type, size };
      kconfig.push({ extern: { spec, symbol: symbol.index, typed: true }, size, align });
    } else if (section === ".ksyms") {
      const isFunction = type.kind === "func";
      const target = isFunction ? id : type.kind === "var" ? type.type : 0;
      const typed = isFunction || resolveType(object.btf!, target) !== 0;
      const spec: ExternSpec = {
        name: symbol.name,
        kind: isFunction ? "kfunc" : "ksym",
        weak,
        btfId: isFunction && type.kind === "func" ? type.type : target,
      };
      found.push({ spec, symbol: symbol.index, typed });
    } else {
      throw unresolved(
        symbol.name,
        section === undefined
          ? "is declared without __kconfig or __ksym"
          : `is declared in unrecognized extern section '${section}'`,
      );
    }
  }
  return [...layOut(kconfig), ...found];
}

/** What a kconfig variable may hold; undefined for types libbpf does not fill. */
export type KconfigKind = "bool" | "tristate" | "char" | "int" | "text";

/** Kind of a kconfig variable by its type: `find_kcfg_type` of libbpf. */
export function kconfigKind(btf: Btf, id: number): KconfigKind | undefined {
  const type = btf.types[resolveType(btf, id)];
  switch (type.kind) {
    case "int":
      if (type.encoding.bool) return type.size === 1 ? "bool" : undefined;
      if (type.size === 1) return "char";
      return [2, 4, 8].includes(type.size) ? "int" : undefined;
    case "enum":
      return type.size === 4 && type.name === "libbpf_tristate" ? "tristate" : undefined;
    case "enum64":
      return type.name === "libbpf_tristate" ? "tristate" : undefined;
    case "array":
      return type.length > 0 && elementIsChar(btf, type) ? "text" : undefined;
    default:
      return undefined;
  }
}

/** Far above any option; keeps a hostile type from asking for gigabytes. */
const MAX_KCONFIG = 1 << 20;

/** Symbols that code calls: without BTF only this tells whether an extern is a function. */
function calledSymbols(object: RawObject): Set<number> {
  const call = 0x85;
  const out = new Set<number>();
  for (const section of object.sections) {
    if (!isCode(section)) continue;
    for (const row of section.relocations) if (section.data[row.offset] === call) out.add(row.symbol);
  }
  return out;
}

function elementIsChar(btf: Btf, array: BtfType & { kind: "array" }): boolean {
  const element = btf.types[resolveType(btf, array.type)];
  return element.kind === "int" && !element.encoding.bool && element.size === 1;
}

/** Biggest alignment first, then smallest size, then by name. */
function layOut(rows: { extern: ObjectExtern; size: number; align: number }[]): ObjectExtern[] {
  const sorted = [...rows].sort(
    (a, b) => b.align - a.align || a.size - b.size || (a.extern.spec.name < b.extern.spec.name ? -1 : 1),
  );
  let end = 0;
  return sorted.map(({ extern, size, align }) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + size;
    if (end > MAX_KCONFIG) throw badKconfig(extern.spec.name, "takes more room than all options together");
    return { ...extern, spec: { ...extern.spec, offset } };
  });
}

function unresolved(name: string, why: string): BpfError {
  return new BpfError("object/unresolved-extern", `extern '${name}' ${why}`, {
    subject: name,
    hint: "link the object that defines it (linkObjects, `bpftool gen object`), or declare it __ksym or __kconfig",
  });
}

function badKconfig(name: string, why: string): BpfError {
  return new BpfError("object/bad-extern", `extern (kcfg) '${name}' ${why}`, {
    subject: name,
    hint: "declare it as bool, char, an integer, enum libbpf_tristate or a char array",
  });
}

/** Extern variables and functions of the BTF by name, with the DATASEC they are in. */
class DeclaredExterns {
  private readonly byName = new Map<string, { id: number; type: BtfType }>();
  private readonly sectionOf = new Map<number, string>();

  constructor(btf: Btf | undefined) {
    btf?.types.forEach((type, id) => {
      if ((type.kind === "var" || type.kind === "func") && !this.byName.has(type.name)) {
        this.byName.set(type.name, { id, type });
      }
      if (type.kind !== "datasec") return;
      for (const entry of type.vars) {
        if (!this.sectionOf.has(entry.type)) this.sectionOf.set(entry.type, type.name);
      }
    });
  }

  find(name: string): { id: number; type: BtfType; section: string | undefined } | undefined {
    const found = this.byName.get(name);
    if (found === undefined) return undefined;
    const { type } = found;
    if ((type.kind === "var" || type.kind === "func") && type.linkage !== "extern") {
      throw new BpfError("object/bad-extern", `extern '${name}' is not extern in the BTF`, { subject: name });
    }
    return { ...found, section: this.sectionOf.get(found.id) };
  }
}
