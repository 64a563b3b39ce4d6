import {
  type Capability,
  compareKernelVersions,
  HELPERS,
  type HelperName,
  helperRow,
  KERNEL_FEATURES,
  type KernelFeature,
  MAP_TYPES,
  type MapTypeName,
  PROGRAM_TYPES,
} from "../abi/index.ts";
import {
  atomicRow,
  Class,
  CODE_MASK,
  classOf,
  decode,
  type InsnTable,
  isAlu,
  isAtomic,
  isGoto,
  isHelperCall,
  isJump,
  isJumpClass,
  isLocalCall,
  isWide,
  jumpTarget,
  MODE_MASK,
  Mode,
  Opcode,
} from "../isa/index.ts";
import type { CollectionSpec, ProgramSpec } from "./spec.ts";

/** One thing that an object needs of a kernel. */
export interface Requirement {
  /** First kernel that has it, such as `"5.8"`. */
  readonly since: string;
  /** `"map type BPF_MAP_TYPE_RINGBUF"`, `"helper ringbuf_output"`, `"32-bit jumps, instruction set v3"`. */
  readonly what: string;
  /** Programs and maps that need it, in the order of the object. */
  readonly by: readonly string[];
}

/** What a kernel must be to load an object. */
export interface Requirements {
  /** Oldest mainline kernel that has all of it. */
  readonly kernel: string;
  /** The newest needs first. */
  readonly reasons: readonly Requirement[];
  /** Since Linux 5.8; before, CAP_SYS_ADMIN. */
  readonly capabilities: readonly Capability[];
  /** Lowest `-mcpu` that has every instruction used. */
  readonly isa: 1 | 2 | 3 | 4;
  /** Helpers called, in the order of their numbers. */
  readonly helpers: readonly HelperName[];
  /** Numbers of calls that name no helper known here. */
  readonly unknownHelpers: readonly number[];
  /** Kernel functions and variables that must exist (those not weak). */
  readonly symbols: readonly string[];
  /** Helpers and program types that want a GPL-compatible license. */
  readonly gplOnly: readonly string[];
  /** The kernel must describe its own types (CONFIG_DEBUG_INFO_BTF). */
  readonly needsKernelBtf: boolean;
}

/** Maps whose creation wants CAP_NET_ADMIN: `map_create` of kernel/bpf/syscall.c @ v6.12. */
const NET_ADMIN_MAPS: readonly MapTypeName[] = [
  "BPF_MAP_TYPE_SOCKMAP",
  "BPF_MAP_TYPE_SOCKHASH",
  "BPF_MAP_TYPE_DEVMAP",
  "BPF_MAP_TYPE_DEVMAP_HASH",
  "BPF_MAP_TYPE_XSKMAP",
];

/** Slots that every kernel takes. */
const SMALL_PROGRAM = 4096;

/**
 * What kernel and rights a spec needs, from program types, map types, helpers and instructions. Left out is what
 * loaders drop for older kernels without loss: BTF details, `BPF_F_MMAPABLE`, global linkage.
 * With `programs`, only those and all maps count; default: the programs with `autoload`.
 */
export function requirementsOf(
  spec: CollectionSpec,
  options: { readonly programs?: readonly string[] } = {},
): Requirements {
  const needs = new Needs();
  const chosen = spec.programs.filter(
    (program) => options.programs?.includes(program.name) ?? program.autoload,
  );
  for (const map of spec.maps) {
    needs.capability("CAP_BPF");
    needs.add(MAP_TYPES[map.type].since, `map type ${map.type}`, map.name);
    if (map.data !== undefined) needs.feature("global-data", map.name);
    if (NET_ADMIN_MAPS.includes(map.type)) needs.capability("CAP_NET_ADMIN");
  }
  if (spec.structOps.length > 0) needs.add("5.6", "struct_ops", spec.structOps[0].name);
  for (const variable of spec.structOps) if (variable.link) needs.feature("struct-ops-link", variable.name);
  for (const program of chosen) addProgram(needs, spec, program);
  const symbols = new Set<string>();
  for (const { references } of chosen) {
    for (const reference of references) {
      if ((reference.kind === "kfunc" || reference.kind === "ksym") && !reference.weak)
        symbols.add(reference.name);
    }
  }
  return { ...needs.result(), symbols: [...symbols], needsKernelBtf: needsKernelBtf(spec, chosen) };
}

/** Helpers that a program's instructions call, by number; numbers without a helper apart. */
export function helpersCalled(insns: InsnTable): {
  readonly helpers: HelperName[];
  readonly unknown: number[];
} {
  const ids = new Set<number>();
  for (let slot = 0; slot < insns.length; slot++) {
    if (isHelperCall(insns, slot)) ids.add(insns.imm[slot]);
    if (isWide(insns.opcode[slot])) slot++;
  }
  const names = (Object.keys(HELPERS) as HelperName[]).filter((name) => ids.delete(HELPERS[name].id));
  return { helpers: names, unknown: [...ids] };
}

/** The lowest `-mcpu` that has all of a program's instructions. */
export function isaVersion(insns: InsnTable): 1 | 2 | 3 | 4 {
  let version: 1 | 2 | 3 | 4 = 1;
  for (let slot = 0; slot < insns.length; slot++) {
    const needed = versionAt(insns, slot);
    if (needed > version) version = needed;
    if (isWide(insns.opcode[slot])) slot++;
  }
  return version;
}

function addProgram(needs: Needs, spec: CollectionSpec, program: ProgramSpec): void {
  const { name } = program;
  const insns = decode(program.insns, spec.byteOrder);
  needs.capability("CAP_BPF");
  if (program.type !== undefined) {
    const row = PROGRAM_TYPES[program.type];
    needs.add(row.since, `program type ${program.type}`, name);
    for (const capability of row.capabilities) needs.capability(capability);
    if (row.gplOnly) needs.gpl(`program type ${program.type}`);
  }
  if (program.flags.sleepable && program.type !== "BPF_PROG_TYPE_SYSCALL") needs.feature("sleepable", name);
  if (program.flags.xdpFrags) needs.feature("xdp-frags", name);
  if (insns.length > SMALL_PROGRAM) needs.feature("large-program", name);
  for (const reference of program.references) {
    if (reference.kind === "kfunc" && !reference.weak) needs.feature("kfunc-call", name);
    if (reference.kind === "ksym" && reference.typed && !reference.weak) needs.feature("ksym-typed", name);
    if (reference.kind === "func") needs.feature("function-pointer", name);
  }
  const { helpers, unknown } = helpersCalled(insns);
  for (const helper of helpers) {
    needs.helper(helper);
    needs.add(helperRow(helper).since, `helper ${helper}`, name);
    if (helperRow(helper).gplOnly) needs.gpl(`helper ${helper}`);
  }
  for (const id of unknown) needs.unknown(id);
  for (let slot = 0; slot < insns.length; slot++) {
    addInsn(needs, insns, slot, name);
    if (isWide(insns.opcode[slot])) slot++;
  }
  needs.isa(isaVersion(insns));
}

function addInsn(needs: Needs, insns: InsnTable, slot: number, program: string): void {
  const opcode = insns.opcode[slot];
  if (isLocalCall(insns, slot)) needs.feature("bpf-to-bpf-call", program);
  if (isAddrSpaceCast(insns, slot)) needs.feature("arena", program);
  if (opcode === Opcode.JCOND) needs.feature("may-goto", program);
  else if (isJump(opcode) && jumpTarget(insns, slot) <= slot) needs.feature("bounded-loop", program);
  if (isAtomic(opcode)) {
    const row = atomicRow(insns.imm[slot]);
    if (row?.since === KERNEL_FEATURES["load-acquire"].since) needs.feature("load-acquire", program);
    else if (insns.imm[slot] !== 0) needs.feature("atomic-fetch", program);
  }
  const version = versionAt(insns, slot);
  if (version === 4) needs.feature("isa-v4", program);
  else if (version === 3 && !isAtomic(opcode)) needs.feature("jmp32", program);
  else if (version === 2) needs.feature("jump-less", program);
}

/** JLT, JLE, JSLT and JSLE came with v2. */
const LESS_JUMPS = [0xa0, 0xb0, 0xc0, 0xd0];
const DIV = 0x30;
const MOD = 0x90;
const MOV = 0xb0;
const END = 0xd0;

function versionAt(insns: InsnTable, slot: number): 1 | 2 | 3 | 4 {
  const opcode = insns.opcode[slot];
  const code = opcode & CODE_MASK;
  const kind = classOf(opcode);
  if (isAlu(opcode)) {
    if ((code === DIV || code === MOD) && insns.off[slot] !== 0) return 4;
    if (code === MOV && insns.off[slot] !== 0 && !isAddrSpaceCast(insns, slot)) return 4;
    return kind === Class.ALU64 && code === END ? 4 : 1;
  }
  if (kind === Class.LDX && (opcode & MODE_MASK) === Mode.MEMSX) return 4;
  if (isAtomic(opcode)) return insns.imm[slot] === 0 ? 1 : 3;
  if (!isJumpClass(opcode)) return 1;
  if (kind === Class.JMP32) return isGoto(opcode) ? 4 : 3;
  return LESS_JUMPS.includes(code) ? 2 : 1;
}

function isAddrSpaceCast(insns: InsnTable, slot: number): boolean {
  const opcode = insns.opcode[slot];
  return classOf(opcode) === Class.ALU64 && (opcode & CODE_MASK) === MOV && insns.off[slot] === 1;
}

function needsKernelBtf(spec: CollectionSpec, programs: readonly ProgramSpec[]): boolean {
  const types = [
    "BPF_PROG_TYPE_TRACING",
    "BPF_PROG_TYPE_LSM",
    "BPF_PROG_TYPE_STRUCT_OPS",
    "BPF_PROG_TYPE_EXT",
  ];
  return (
    spec.structOps.length > 0 ||
    programs.some(
      (program) =>
        program.coreRelocations.some(({ kind }) => kind !== "type_id_local") ||
        (program.type !== undefined && types.includes(program.type)) ||
        program.references.some(({ kind }) => kind === "kfunc" || kind === "ksym"),
    )
  );
}

/** Collects needs; each once, with all who have it. */
class Needs {
  private readonly rows = new Map<string, { since: string; by: Set<string> }>();
  private readonly capabilities = new Set<Capability>();
  private readonly helpers = new Set<HelperName>();
  private readonly unknownHelpers = new Set<number>();
  private readonly gplOnly = new Set<string>();
  private version: 1 | 2 | 3 | 4 = 1;

  add(since: string, what: string, by: string): void {
    const row = this.rows.get(what) ?? { since, by: new Set<string>() };
    this.rows.set(what, row);
    row.by.add(by);
  }

  feature(feature: KernelFeature, by: string): void {
    this.add(KERNEL_FEATURES[feature].since, KERNEL_FEATURES[feature].text, by);
  }

  capability(capability: Capability): void {
    this.capabilities.add(capability);
  }

  helper(helper: HelperName): void {
    this.helpers.add(helper);
  }

  unknown(id: number): void {
    this.unknownHelpers.add(id);
  }

  gpl(what: string): void {
    this.gplOnly.add(what);
  }

  isa(version: 1 | 2 | 3 | 4): void {
    if (version > this.version) this.version = version;
  }

  result(): Omit<Requirements, "symbols" | "needsKernelBtf"> {
    const reasons = [...this.rows]
      .map(([what, { since, by }]) => ({ since, what, by: [...by] }))
      .sort((a, b) => compareKernelVersions(b.since, a.since));
    return {
      kernel: reasons[0]?.since ?? "3.18",
      reasons,
      capabilities: [...this.capabilities],
      isa: this.version,
      helpers: [...this.helpers].sort((a, b) => HELPERS[a].id - HELPERS[b].id),
      unknownHelpers: [...this.unknownHelpers],
      gplOnly: [...this.gplOnly],
    };
  }
}
