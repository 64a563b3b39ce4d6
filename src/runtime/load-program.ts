import {
  HELPERS,
  type HelperName,
  helperById,
  helperRow,
  helpersOf,
  PROGRAM_TYPES,
  type ProgramTypeName,
} from "../abi/index.ts";
import { BpfError, type BpfErrorDetails } from "../base/index.ts";
import type { Btf, BtfIndex } from "../btf/index.ts";
import { checkStructure, decode } from "../isa/index.ts";
import {
  applyCoreRelocations,
  type CollectionSpec,
  type ProgramSpec,
  type Reference,
  type Resolution,
  resolveProgram,
} from "../object/index.ts";
import { type LoadedCode, type LoadedKfunc, type ProgramFacts, placeCode } from "./code.ts";
import { HELPER_TABLE } from "./helpers/index.ts";
import { HOOKS, type Hook } from "./hooks/index.ts";
import { KFUNC_TABLE } from "./kfuncs/index.ts";
import { MAP_VALUES } from "./layout.ts";
import type { EmbeddedArena, EmbeddedMap } from "./maps/index.ts";
import { sourceOf } from "./run-error.ts";
import type { KernelModule } from "./wasm-module.ts";

/** What loading a program needs of the collection it belongs to. */
export interface ProgramSurroundings {
  readonly spec: CollectionSpec;
  readonly module: KernelModule;
  readonly maps: ReadonlyMap<string, EmbeddedMap>;
  /** Target of CO-RE relocations; undefined: the object's own types. */
  readonly target: Btf | BtfIndex | undefined;
  readonly id: number;
  readonly facts?: ProgramFacts | undefined;
}

/** A program in linear memory and the hook that runs it. */
export interface LoadedProgram {
  readonly code: LoadedCode;
  readonly hook: Hook;
}

type Poison = Map<number, { message: string; hint: string }>;

/** Linux: kernel/module/… `license_is_gpl_compatible`. */
const GPL_COMPATIBLE = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);
/** As libbpf marks a call of a weak kfunc that is not there. */
const POISON_KFUNC = 2002000000;
const PSEUDO_MAP_VALUE = 2;

/**
 * Settles a program's CO-RE relocations and references, checks its form and the functions it calls, and places it in
 * linear memory.
 * @throws BpfError `runtime/…`, `isa/…`, `core/…` naming the program, the instruction and the source line.
 */
export function loadProgram(program: ProgramSpec, around: ProgramSurroundings): LoadedProgram {
  const { spec, module, maps } = around;
  const { type } = program;
  if (type === undefined) {
    throw loadError(
      program,
      "runtime/no-program-type",
      `section '${program.section}' does not say what type of program '${program.name}' is`,
      {
        hint: 'use a section name that libbpf knows, such as SEC("xdp"), or name the type',
      },
    );
  }
  const hook = HOOKS[type];
  if (!("begin" in hook)) {
    throw loadError(program, "runtime/program-type", `${type} programs cannot be run here: ${hook.reason}`);
  }
  if (spec.byteOrder === "big") {
    throw loadError(
      program,
      "runtime/byte-order",
      "the program is big-endian, the embedded kernel is little-endian",
      {
        hint: "compile with -target bpfel",
      },
    );
  }
  const poison: Poison = new Map();
  const relocated = relocate(program, around, poison);
  const kfuncs: LoadedKfunc[] = [];
  const insns = resolve({ ...program, insns: relocated }, around, kfuncs, poison);
  checkForm(program, insns, poison);
  checkCalls(program, type, spec.license, insns, poison);
  const code = placeCode(module, {
    id: around.id,
    name: program.name,
    type,
    insns,
    funcs: program.funcs,
    lines: program.lines,
    context: hook.context(program),
    kfuncs,
    poison,
    facts: around.facts,
    btf: spec.btf,
    kernelBtf: around.target !== undefined && "types" in around.target ? around.target : spec.btf,
    ...arenaOf(program, maps),
  });
  if (code === undefined) {
    throw loadError(program, "runtime/out-of-memory", `no memory left for program '${program.name}'`, {
      errno: "ENOMEM",
    });
  }
  return { code, hook };
}

function relocate(program: ProgramSpec, around: ProgramSurroundings, poison: Poison): Uint8Array {
  const { btf } = around.spec;
  if (program.coreRelocations.length === 0) return program.insns;
  if (btf === undefined)
    throw loadError(program, "runtime/no-btf", "the program has CO-RE relocations and the object no BTF");
  const applied = applyCoreRelocations(program, btf, around.target);
  if (applied.error !== undefined) throw applied.error;
  for (const { insn = 0, message, hint } of applied.diagnostics) {
    const entry = {
      message: `invalid CO-RE relocation reached: ${message}`,
      hint: hint ?? "guard it with bpf_core_field_exists()",
    };
    poison.set(insn, entry);
    if (program.insns[insn * 8] === 0x18) poison.set(insn + 1, entry);
  }
  return applied.insns;
}

function resolve(
  program: ProgramSpec,
  around: ProgramSurroundings,
  kfuncs: LoadedKfunc[],
  poison: Poison,
): Uint8Array {
  const { memory } = around.module;
  const mapOf = (reference: Reference & { map: string }): EmbeddedMap => {
    const map = around.maps.get(reference.map);
    if (map !== undefined) return map;
    throw loadError(program, "runtime/no-such-map", `there is no map '${reference.map}'`, {
      insn: reference.insn,
    });
  };
  const insns = resolveProgram(program, (reference): Resolution => {
    switch (reference.kind) {
      case "map":
        return { kind: "fd", fd: mapOf(reference).address };
      case "map-value":
      case "func":
        return { kind: "keep" };
      case "ksym": {
        const kfunc = KFUNC_TABLE[reference.name];
        if (kfunc !== undefined && "impl" in kfunc) return { kind: "value", value: 1n }; // bpf_ksym_exists()
        if (reference.weak) return { kind: "value", value: 0n };
        throw loadError(
          program,
          "runtime/no-ksym",
          `extern (ksym) '${reference.name}': there is no such kernel symbol here`,
          {
            insn: reference.insn,
            hint: "declare it __weak and test it with bpf_ksym_exists(), or run the program in the Linux kernel",
          },
        );
      }
      case "kfunc":
        return kfunc(program, reference, kfuncs, poison);
    }
  });
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  for (const reference of program.references) {
    if (reference.kind !== "map-value") continue;
    const map = mapOf(reference);
    const first =
      "base" in map ? (map as EmbeddedArena).base : memory.view.getUint32(map.address + MAP_VALUES, true);
    const at = reference.insn * 8;
    insns[at + 1] = (insns[at + 1] & 15) | (PSEUDO_MAP_VALUE << 4);
    view.setUint32(at + 4, first + reference.offset, true);
    view.setUint32(at + 12, map.address, true);
  }
  return insns;
}

function kfunc(
  program: ProgramSpec,
  reference: Extract<Reference, { kind: "kfunc" }>,
  kfuncs: LoadedKfunc[],
  poison: Poison,
): Resolution {
  const { name, insn, weak } = reference;
  const row = KFUNC_TABLE[name];
  if (row === undefined || !("impl" in row)) {
    const why = row === undefined ? "the embedded kernel does not know it" : row.reason;
    if (!weak)
      throw loadError(program, "runtime/no-kfunc", `kfunc ${name} is not available here: ${why}`, { insn });
    poison.set(insn, {
      message: `calling kernel function ${name} is not allowed: ${why}`,
      hint: `test it with bpf_ksym_exists(${name})`,
    });
    return { kind: "poison", imm: POISON_KFUNC };
  }
  let index = kfuncs.findIndex((loaded) => loaded.name === name);
  if (index < 0) index = kfuncs.push({ name, impl: row.impl }) - 1;
  return { kind: "btf", id: index };
}

/**
 * Known opcodes, registers in range, jumps that land: what the interpreter takes for granted. Linux looks at the fields
 * of reachable instructions only: a write to r10 becomes an instruction that fails when it is reached.
 */
function checkForm(program: ProgramSpec, insns: Uint8Array, poison: Poison): void {
  for (const finding of checkStructure(decode(insns))) {
    const { code, message, insn, hint } = finding;
    if (code !== "isa/frame-pointer" || insn === undefined) throw loadError(program, code, message, finding);
    poison.set(insn, { message, hint: hint ?? "copy r10 to another register first" });
    insns[insn * 8] = 0;
  }
}

/** Helpers that the type or licence forbids, or that are not there, are refused before anything runs. */
function checkCalls(
  program: ProgramSpec,
  type: ProgramTypeName,
  license: string,
  insns: Uint8Array,
  poison: Poison,
): void {
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  const allowed = helpersOf(type);
  for (let insn = 0; insn < insns.length >> 3; insn++) {
    const at = insn * 8;
    if (insns[at] === 0x18) {
      insn++;
      continue;
    }
    if (insns[at] !== 0x85 || insns[at + 1] >> 4 !== 0 || poison.has(insn)) continue;
    const id = view.getInt32(at + 4, true);
    const name = helperById(id);
    if (name === undefined)
      throw loadError(program, "runtime/unknown-helper", `invalid func unknown#${id}`, { insn });
    checkHelper(program, type, allowed, license, name, insn);
  }
}

function checkHelper(
  program: ProgramSpec,
  type: ProgramTypeName,
  allowed: ReadonlySet<HelperName> | undefined,
  license: string,
  name: HelperName,
  insn: number,
): void {
  const impl = HELPER_TABLE[name];
  if (typeof impl !== "function") {
    throw loadError(
      program,
      "runtime/no-helper",
      `helper bpf_${name} is not available here: ${impl.reason}`,
      {
        insn,
        hint: "run the program in the Linux kernel, or do without this helper",
      },
    );
  }
  if (allowed !== undefined && !allowed.has(name)) {
    throw loadError(
      program,
      "runtime/helper-not-allowed",
      `program of this type cannot use helper bpf_${name}#${HELPERS[name].id}`,
      {
        insn,
        hint: `Linux does not offer it to ${type} (type ${PROGRAM_TYPES[type].id})`,
      },
    );
  }
  if (helperRow(name).gplOnly && !GPL_COMPATIBLE.has(license)) {
    throw loadError(
      program,
      "runtime/gpl-only",
      `cannot call GPL-restricted function from non-GPL compatible program: bpf_${name}`,
      {
        insn,
        hint: 'declare: char LICENSE[] SEC("license") = "GPL";',
      },
    );
  }
}

function arenaOf(program: ProgramSpec, maps: ReadonlyMap<string, EmbeddedMap>) {
  for (const reference of program.references) {
    if (reference.kind !== "map" && reference.kind !== "map-value") continue;
    const map = maps.get(reference.map);
    if (map?.type !== "BPF_MAP_TYPE_ARENA") continue;
    const { base, size, address } = map as EmbeddedArena; // what createMap gives for this type
    return { arena: { base, size, map: address } };
  }
  return {};
}

function loadError(
  program: ProgramSpec,
  code: `${string}/${string}`,
  message: string,
  details: BpfErrorDetails = {},
): BpfError {
  const source = details.source ?? (details.insn === undefined ? undefined : sourceOf(program, details.insn));
  return new BpfError(code, `prog '${program.name}': ${message}`, {
    ...details,
    subject: program.name,
    ...(source && { source }),
  });
}
