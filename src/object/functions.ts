import { BpfError } from "../base/index.ts";
import { type ElfSymbol, SHN, STB, STT, STV } from "../elf/index.ts";
import { isCode, type RawObject, type RawSection } from "./raw-object.ts";

/** A function of the object: an entry program or a subprogram. Slots are relative to its section. */
export interface ObjectFunction {
  readonly name: string;
  readonly section: RawSection;
  /** First slot. */
  readonly start: number;
  /** Slots. */
  readonly count: number;
  /** The symbol is global or weak. */
  readonly global: boolean;
  /** Global, but `__hidden`: verified like a static function. */
  readonly hidden: boolean;
  /** A program of its own: a global function outside `.text`. */
  readonly entry: boolean;
}

/** Functions by section number, each list sorted by first slot. */
export type FunctionTable = ReadonlyMap<number, readonly ObjectFunction[]>;

/**
 * The functions of an object. Static functions outside `.text`, which libbpf refuses, are subprograms here as in
 * cilium/ebpf; with `strict` they are refused. Sections of hand-written or pre-2018 code without function symbols
 * take their untyped symbols as functions, but for the compiler's labels.
 * @throws BpfError `object/bad-function` for a function outside its section or of broken size,
 * `object/static-program` with `strict`.
 */
export function collectFunctions(object: RawObject, options: { readonly strict?: boolean }): FunctionTable {
  const bySection = new Map<number, ElfSymbol[]>();
  for (const symbol of object.symbols) {
    if (symbol.section === SHN.UNDEF || symbol.section >= object.sections.length) continue;
    if (symbol.type !== STT.FUNC && symbol.type !== STT.NOTYPE) continue;
    const list = bySection.get(symbol.section);
    if (list === undefined) bySection.set(symbol.section, [symbol]);
    else list.push(symbol);
  }
  const out = new Map<number, ObjectFunction[]>();
  for (const section of object.sections) {
    if (!isCode(section)) continue;
    const symbols = bySection.get(section.index) ?? [];
    const typed = symbols.filter((symbol) => symbol.type === STT.FUNC);
    const found =
      typed.length > 0 || options.strict
        ? typed.map((symbol) => functionOf(section, symbol, symbol.size, options))
        : untyped(section, symbols, options);
    found.sort((a, b) => a.start - b.start);
    refuseManyCopies(section, found);
    out.set(section.index, found);
  }
  return out;
}

/** The function that holds `slot` of a section: of several, the last that starts at or before it. */
export function functionAt(table: FunctionTable, section: number, slot: number): ObjectFunction | undefined {
  const list = table.get(section);
  if (list === undefined) return undefined;
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].start <= slot) low = middle + 1;
    else high = middle;
  }
  const found = list[low - 1];
  return found !== undefined && slot < found.start + found.count ? found : undefined;
}

/** Entry programs in the order of sections and slots. */
export function entryFunctions(table: FunctionTable): ObjectFunction[] {
  return [...table.keys()]
    .sort((a, b) => a - b)
    .flatMap((section) => table.get(section)!.filter((f) => f.entry));
}

function untyped(
  section: RawSection,
  symbols: readonly ElfSymbol[],
  options: { readonly strict?: boolean },
): ObjectFunction[] {
  const named = symbols
    .filter(
      (symbol) => symbol.name !== "" && (symbol.binding !== STB.LOCAL || !/^(\.L|LBB)/.test(symbol.name)),
    )
    .sort((a, b) => a.value - b.value);
  return named.map((symbol, i) =>
    functionOf(section, symbol, (named[i + 1]?.value ?? section.size) - symbol.value, options),
  );
}

function functionOf(
  section: RawSection,
  symbol: ElfSymbol,
  size: number,
  options: { readonly strict?: boolean },
): ObjectFunction {
  if (symbol.value + size > section.size || size <= 0 || size % 8 !== 0 || symbol.value % 8 !== 0) {
    throw new BpfError(
      "object/bad-function",
      `function '${symbol.name}' covers bytes ${symbol.value}–${symbol.value + size} of section '${section.name}' (${section.size} bytes)`,
      { subject: symbol.name, hint: "the file is damaged: compile it again" },
    );
  }
  const global = symbol.binding !== STB.LOCAL;
  const text = section.name === ".text";
  if (!text && !global && options.strict) {
    throw new BpfError(
      "object/static-program",
      `sec '${section.name}': program '${symbol.name}' is static and not supported`,
      { subject: symbol.name, hint: "drop `static` from a program, or SEC() from a subprogram" },
    );
  }
  return {
    name: symbol.name,
    section,
    start: symbol.value / 8,
    count: size / 8,
    global,
    hidden: global && (symbol.visibility === STV.HIDDEN || symbol.visibility === STV.INTERNAL),
    entry: global && !text,
  };
}

/** Aliases exist, but functions that cover a section many times over would only serve to exhaust memory. */
function refuseManyCopies(section: RawSection, functions: readonly ObjectFunction[]): void {
  const slots = functions.reduce((sum, f) => sum + f.count, 0);
  if (slots * 8 > section.size * 4) {
    throw new BpfError("object/bad-function", `the functions of section '${section.name}' overlap`, {
      subject: section.name,
      hint: "the file is damaged: compile it again",
    });
  }
}
