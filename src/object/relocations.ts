import { BpfError } from "../base/index.ts";
import { type ElfRelocation, type ElfSymbol, SHN, STT } from "../elf/index.ts";
import { isExtern, type ObjectExtern } from "./externs.ts";
import { type FunctionTable, functionAt, type ObjectFunction } from "./functions.ts";
import { isLegacyMapSection } from "./legacy-maps.ts";
import { isCode, type RawObject, type RawSection } from "./raw-object.ts";

/** What a relocated instruction refers to. */
export type Target =
  | { readonly kind: "map"; readonly map: string }
  /** `symbolOffset`: where the symbol lies in the map's value; the instruction's own imm comes on top. */
  | { readonly kind: "map-value"; readonly map: string; readonly symbolOffset: number }
  | { readonly kind: "extern"; readonly extern: ObjectExtern }
  | { readonly kind: "call"; readonly callee: ObjectFunction }
  | { readonly kind: "func"; readonly callee: ObjectFunction };

/** Everything relocations may point at. */
export interface Targets {
  readonly object: RawObject;
  readonly functions: FunctionTable;
  /** Names of declared maps by their offset in `.maps`. */
  readonly mapsAt: ReadonlyMap<number, string>;
  /** Section number of `.maps`; 0: none. */
  readonly mapsSection: number;
  /** By section number, then offset. */
  readonly legacyMaps: ReadonlyMap<number, ReadonlyMap<number, string>>;
  /** Map names by section number of globals. */
  readonly globals: ReadonlyMap<number, string>;
  readonly arena: { readonly map: string; readonly section: number } | undefined;
  /** By symbol number. */
  readonly externs: ReadonlyMap<number, ObjectExtern>;
  readonly strict: boolean;
}

const CALL = 0x85;
const LDDW = 0x18;
const PSEUDO_CALL = 1;

/**
 * Targets of a code section's relocations by slot. Relocations outside every function belong to a weak function
 * that the linker replaced by another definition; they are left out but with `replaced`.
 * @throws BpfError `object/bad-relocation`.
 */
export function codeTargets(
  targets: Targets,
  section: RawSection,
  options: { readonly replaced?: boolean } = {},
): Map<number, Target> {
  const out = new Map<number, Target>();
  for (const relocation of section.relocations) {
    const slot = slotOf(section, relocation);
    if (!options.replaced && functionAt(targets.functions, section.index, slot) === undefined) continue;
    out.set(slot, targetOf(targets, section, relocation, slot));
  }
  return out;
}

function slotOf(section: RawSection, relocation: ElfRelocation): number {
  if (relocation.offset % 8 === 0 && relocation.offset < section.data.length) return relocation.offset / 8;
  throw new BpfError(
    "object/bad-relocation",
    `section '${section.name}': invalid offset ${relocation.offset} of a relocation`,
    { subject: section.name, hint: "the file is damaged: compile it again" },
  );
}

function targetOf(targets: Targets, section: RawSection, relocation: ElfRelocation, slot: number): Target {
  const { object } = targets;
  const symbol = object.symbols[relocation.symbol];
  const opcode = section.data[slot * 8];
  const name = symbol.name || (object.sections[symbol.section]?.name ?? "");
  const fail = (why: string, hint?: string): BpfError => {
    const owner = functionAt(targets.functions, section.index, slot);
    return new BpfError("object/bad-relocation", `prog '${owner?.name}': ${why}`, {
      insn: slot - (owner?.start ?? 0),
      subject: name,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (opcode !== CALL && opcode !== LDDW) {
    throw fail(`invalid relo against '${name}' for opcode 0x${opcode.toString(16)}`);
  }
  if (opcode === LDDW && (slot + 2) * 8 > section.data.length) throw fail("lddw at the end of the section");
  if (isExtern(symbol)) {
    const found = targets.externs.get(symbol.index);
    if (found === undefined) throw fail(`extern relo failed to find extern for '${name}'`);
    const calls = found.spec.kind === "kfunc";
    if (opcode === CALL && !calls) throw fail(`call of '${name}', which is no function`);
    return { kind: "extern", extern: found };
  }
  if (symbol.section === SHN.UNDEF || symbol.section >= object.sections.length) {
    throw fail(
      `invalid relo against '${name}' in special section 0x${symbol.section.toString(16)}`,
      "initialise the global variable, or define what is declared",
    );
  }
  const home = object.sections[symbol.section];
  const imm = immAt(object, section, slot);
  if (opcode === CALL) {
    if (
      section.data[slot * 8 + 1] >> 4 !== PSEUDO_CALL &&
      (section.data[slot * 8 + 1] & 15) !== PSEUDO_CALL
    ) {
      throw fail("incorrect bpf_call opcode");
    }
    const callee = functionAt(targets.functions, home.index, symbol.value / 8 + imm + 1);
    if (callee === undefined || symbol.value % 8 !== 0 || !callable(targets, callee)) {
      throw fail(
        `bad call relo against '${name}' in section '${home.name}'`,
        "call static functions or functions without SEC()",
      );
    }
    return { kind: "call", callee };
  }
  if (isCode(home) && (symbol.type === STT.SECTION || symbol.type === STT.FUNC)) {
    const callee = functionAt(targets.functions, home.index, (symbol.value + imm) / 8);
    if (callee === undefined || (symbol.value + imm) % 8 !== 0 || !callable(targets, callee)) {
      throw fail(`bad subprog addr relo against '${name}' at offset ${symbol.value}+${imm}`);
    }
    return { kind: "func", callee };
  }
  return dataTarget(targets, symbol, home, imm, fail);
}

function dataTarget(
  targets: Targets,
  symbol: ElfSymbol,
  home: RawSection,
  imm: number,
  fail: (why: string) => BpfError,
): Target {
  if (targets.arena !== undefined && home.index === targets.arena.section) {
    return { kind: "map-value", map: targets.arena.map, symbolOffset: symbol.value };
  }
  if (home.index === targets.mapsSection) {
    const map = targets.mapsAt.get(symbol.value);
    if (map === undefined)
      throw fail(`map relo failed to find map for section '${home.name}', off ${symbol.value}`);
    return { kind: "map", map };
  }
  if (isLegacyMapSection(home.name)) {
    const at = symbol.value + (symbol.type === STT.SECTION ? imm : 0);
    const map = targets.legacyMaps.get(home.index)?.get(at);
    if (map === undefined) throw fail(`map relo failed to find map for section '${home.name}', off ${at}`);
    return { kind: "map", map };
  }
  const globals = targets.globals.get(home.index);
  if (globals === undefined) throw fail(`bad map relo against '${symbol.name}' in section '${home.name}'`);
  return { kind: "map-value", map: globals, symbolOffset: symbol.value };
}

/** libbpf takes subprograms from `.text` only; cilium/ebpf, whose objects we read too, from any section. */
function callable(targets: Targets, callee: ObjectFunction): boolean {
  return callee.section.name === ".text" || !targets.strict;
}

/** `imm` of the instruction at `slot` of a section. */
export function immAt(object: RawObject, section: RawSection, slot: number): number {
  const { data } = section;
  return new DataView(data.buffer, data.byteOffset, data.byteLength).getInt32(
    slot * 8 + 4,
    object.byteOrder === "little",
  );
}
