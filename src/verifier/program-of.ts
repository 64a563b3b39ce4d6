import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { type Btf, BtfIndex, essentialName } from "../btf/index.ts";
import {
  type AppliedCoreRelocation,
  type AttachTarget,
  applyCoreRelocations,
  attachTargetOf,
  type CollectionSpec,
  CoreMatcher,
  kernelMapName,
  type MapSpec,
  mapTakesBtf,
  POISON_KFUNC,
  POISON_MAP,
  type ProgramSpec,
  type Reference,
  type Resolution,
  resolveProgram,
} from "../object/index.ts";
import type { CoreAccess, VerifierMap, VerifierProgram, VerifierProgramFlags } from "./input.ts";

/** What a loader would know or decide. */
export interface ProgramOfOptions {
  /**
   * The kernel's types; an index is shared between programs. Without: CO-RE fits the object's own types, and what needs
   * kernel types is answered "unsupported".
   */
  readonly kernelBtf?: Btf | BtfIndex | undefined;
  /** Target of CO-RE relocations; default: {@link kernelBtf}. */
  readonly targetBtf?: Btf | BtfIndex | undefined;
  /** For a program whose section name says nothing. */
  readonly type?: ProgramTypeName | undefined;
  readonly attachType?: AttachTypeName | undefined;
  /** Added to what the section name says. */
  readonly flags?: VerifierProgramFlags;
  /** Maps that the kernel does not have: using one is what `libbpf` makes of a map that is not created. */
  readonly withoutMaps?: ReadonlySet<string>;
  /** Prefix of the kernel's names of globals maps; default `""`. */
  readonly objectName?: string;
  /** Address of a typeless kernel symbol (`/proc/kallsyms`); default: an address like any other. */
  readonly addressOf?: (symbol: string) => bigint | undefined;
  /** The program that an extension (freplace), fentry or fexit program is attached to. */
  readonly target?: VerifierProgram | undefined;
  /** Functions on the kernel's error injection list; see {@link VerifierProgram.errorInjection}. */
  readonly errorInjection?: ReadonlySet<string> | undefined;
  /** The `.kconfig` map holds real values (`setKconfig`); default: its contents count as unknown. */
  readonly kconfigKnown?: boolean;
}

/**
 * A program of a collection as bpf(2) would get it: CO-RE relocations applied, maps numbered, kernel functions and
 * variables by BTF id, the hook found. As libbpf 1.5 does it, poisoning what does not resolve.
 * @throws BpfError `verifier/no-program-type`, `verifier/byte-order`, and what CO-RE relocation and resolving throw.
 */
export function verifierProgram(
  spec: CollectionSpec,
  program: ProgramSpec,
  options: ProgramOfOptions = {},
): VerifierProgram {
  const type = program.type ?? options.type;
  if (type === undefined) {
    throw new BpfError(
      "verifier/no-program-type",
      `section '${program.section}' does not say what type of program '${program.name}' is`,
      { subject: program.name, hint: "name the type" },
    );
  }
  if (spec.byteOrder === "big") {
    throw new BpfError("verifier/byte-order", `program '${program.name}' is big-endian`, {
      subject: program.name,
      hint: "compile with -target bpfel",
    });
  }
  const kernel = indexOf(options.kernelBtf);
  const maps: VerifierMap[] = [];
  const fitted = relocated(spec, program, options.targetBtf ?? kernel);
  const insns = resolveProgram(
    { ...program, insns: fitted.insns },
    new References(spec, options, kernel, maps).resolve,
  );
  const btf = acceptedBtf(spec.btf);
  const { target } = options;
  const hook =
    target !== undefined && ATTACHABLE.has(type)
      ? { ...hookIn(target, program.attachTo), target }
      : attachTargetOf(spec, { ...program, type }, kernel);
  const attachType = program.attachType ?? options.attachType;
  return {
    name: program.name,
    type,
    attachType,
    insns,
    maps,
    btf,
    funcs: btf !== undefined && program.funcs.every((func) => func.btfId !== 0) ? program.funcs : [],
    lines: program.lines,
    accesses: fitted.accesses,
    license: spec.license,
    flags: { ...program.flags, ...options.flags },
    kernelBtf: kernel?.btf,
    ...(options.errorInjection !== undefined && { errorInjection: options.errorInjection }),
    ...hook,
  };
}

/** Program types that attach to functions of other programs. */
const ATTACHABLE: ReadonlySet<ProgramTypeName> = new Set(["BPF_PROG_TYPE_EXT", "BPF_PROG_TYPE_TRACING"]);

/** The function of the target with this name; without a name: its main function. */
function hookIn(target: VerifierProgram, name: string | undefined): AttachTarget {
  const func = name === undefined ? target.funcs[0] : target.funcs.find((each) => each.name === name);
  return {
    ...(name !== undefined && { attachTo: name }),
    ...(func !== undefined && { attachBtfId: func.btfId }),
  };
}

/** A map of a collection as BPF_MAP_CREATE would get it. Sizes left to the loader count as the least that works. */
export function verifierMap(spec: CollectionSpec, map: MapSpec, options: ProgramOfOptions = {}): VerifierMap {
  const btf = acceptedBtf(spec.btf);
  const typed = btf !== undefined && mapTakesBtf(map.type) && map.valueType !== 0;
  const innerName = map.values.find((value) => value.map !== undefined)?.map;
  const inner = map.inner ?? spec.maps.find((candidate) => candidate.name === innerName);
  const known = map.data !== undefined && (map.section !== ".kconfig" || options.kconfigKnown === true);
  return {
    name: kernelMapName(options.objectName ?? "", map),
    type: map.type,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries === 0 ? leastEntries(map.type) : map.maxEntries,
    flags: map.flags,
    mapExtra: map.mapExtra,
    frozen: map.frozen && known,
    ...(typed && { btf, keyType: map.keyType, valueType: map.valueType }),
    ...(inner !== undefined && { inner: verifierMap(spec, inner, options) }),
    ...(known && { data: map.data }),
  };
}

/**
 * The object's BTF; undefined where BPF_BTF_LOAD refuses it and libbpf goes on without. Linux wants a name for each
 * parameter of a function (`btf_func_check`), which clang does not give to `int prog(void *)`; those of externs libbpf names.
 */
function acceptedBtf(btf: Btf | undefined): Btf | undefined {
  const refused = btf?.types.some((type) => {
    const proto = type.kind === "func" && type.linkage !== "extern" ? btf.types[type.type] : undefined;
    return proto?.kind === "func_proto" && proto.params.some(({ name, type }) => name === "" && type !== 0);
  });
  return refused === true ? undefined : btf;
}

function leastEntries(type: MapTypeName): number {
  if (type === "BPF_MAP_TYPE_RINGBUF" || type === "BPF_MAP_TYPE_USER_RINGBUF") return 4096;
  return /STORAGE|STRUCT_OPS|BLOOM/.test(type) ? 0 : 1;
}

function indexOf(btf: Btf | BtfIndex | undefined): BtfIndex | undefined {
  return btf === undefined || btf instanceof BtfIndex ? btf : new BtfIndex(btf);
}

function relocated(
  spec: CollectionSpec,
  program: ProgramSpec,
  target: Btf | BtfIndex | undefined,
): { readonly insns: Uint8Array; readonly accesses: readonly CoreAccess[] } {
  if (spec.btf === undefined || program.coreRelocations.length === 0) {
    return { insns: program.insns, accesses: [] };
  }
  const applied = applyCoreRelocations(program, spec.btf, target);
  if (applied.error !== undefined) throw applied.error;
  const accesses = applied.relos.map(coreAccess).sort((a, b) => a.insn - b.insn);
  return { insns: applied.insns, accesses };
}

/** Reads `<byte_off> [7] struct s.a.b (0:1:0 @ offset 4)` and `<enumval_value> [9] enum e::NAME = 1`. */
function coreAccess({ insn, kind, spec, to }: AppliedCoreRelocation): CoreAccess {
  const path = spec.replace(/^<\S+> \[\d+\] /, "").replace(/ (?:\(\d|= ).*$/, "");
  const [, type, field] = /^((?:struct |union |enum )?[^.:[]*)(?:\.|::)?(.*)$/.exec(path) ?? ["", path, ""];
  return { insn, kind, type, field, missing: to === undefined };
}

/** Stands for the address of a symbol that nobody knows. */
const SOME_ADDRESS = 0xffffffff81000000n;

class References {
  private readonly numbers = new Map<string, number>();
  private readonly spec: CollectionSpec;
  private readonly options: ProgramOfOptions;
  private readonly kernel: BtfIndex | undefined;
  private readonly maps: VerifierMap[];

  constructor(
    spec: CollectionSpec,
    options: ProgramOfOptions,
    kernel: BtfIndex | undefined,
    maps: VerifierMap[],
  ) {
    this.spec = spec;
    this.options = options;
    this.kernel = kernel;
    this.maps = maps;
  }

  readonly resolve = (reference: Reference): Resolution => {
    switch (reference.kind) {
      case "map":
      case "map-value":
        return this.map(reference.map);
      case "kfunc": {
        const id = this.kfunc(reference.name);
        return id === undefined ? this.poison(POISON_KFUNC, reference.name) : { kind: "btf", id };
      }
      case "ksym":
        return this.ksym(reference);
      case "func":
        return { kind: "keep" };
    }
  };

  private map(name: string): Resolution {
    const known = this.numbers.get(name);
    if (known !== undefined) return { kind: "fd", fd: known };
    const map = this.spec.maps.find((candidate) => candidate.name === name);
    if (map === undefined || this.options.withoutMaps?.has(name)) {
      const index = this.spec.maps.findIndex((candidate) => candidate.name === name);
      return { kind: "poison", imm: POISON_MAP + Math.max(index, 0) };
    }
    const number = this.maps.push(verifierMap(this.spec, map, this.options)) - 1;
    this.numbers.set(name, number);
    return { kind: "fd", fd: number };
  }

  private ksym(reference: Extract<Reference, { kind: "ksym" }>): Resolution {
    if (reference.typed) {
      const name = essentialName(reference.name);
      const id = this.kernel?.find(name, "var") ?? this.kfunc(reference.name);
      if (id !== undefined) return { kind: "btf", id };
      if (reference.weak) return { kind: "value", value: 0n };
      throw new BpfError("verifier/no-ksym", `extern (ksym) '${reference.name}': not found in kernel BTF`, {
        insn: reference.insn,
        subject: reference.name,
        hint: "give the BTF of a kernel that has it, or declare it __weak",
      });
    }
    const address = this.options.addressOf?.(reference.name);
    if (address !== undefined) return { kind: "value", value: address };
    return { kind: "value", value: reference.weak ? 0n : SOME_ADDRESS };
  }

  /** The kernel function that an extern names, when it takes and gives what the program says. */
  private kfunc(name: string): number | undefined {
    const id = this.kernel?.find(essentialName(name), "func");
    const func = id === undefined ? undefined : this.kernel?.btf.types[id];
    if (func?.kind !== "func" || this.kernel === undefined) return id;
    const proto =
      this.spec.externs.find((extern) => extern.name === name && extern.kind === "kfunc")?.btfId ?? 0;
    if (proto === 0 || this.spec.btf === undefined) return id;
    return new CoreMatcher(this.spec.btf, this.kernel.btf).compatible(proto, func.type) ? id : undefined;
  }

  private poison(base: number, name: string): Resolution {
    const index = this.spec.externs.findIndex((extern) => extern.name === name);
    return { kind: "poison", imm: base + Math.max(index, 0) };
  }
}
