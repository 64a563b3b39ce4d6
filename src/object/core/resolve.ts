import { BpfError } from "../../base/index.ts";
import {
  type Btf,
  type BtfIndex,
  type BtfType,
  type CoreRelocation,
  essentialName,
  resolveType,
  trySizeOf,
  typeAt,
} from "../../btf/index.ts";
import { CoreMatcher, sameKind } from "./match.ts";
import { asIndex, CORE_KINDS, type CoreSpec, formatSpec, parseSpec } from "./spec.ts";

export interface CoreOptions {
  /** Of the object and the target; bit-field shifts depend on it. Default: little. */
  readonly byteOrder?: "little" | "big";
}

/** What a relocation comes to: the answer for an instruction, before it is patched. */
export interface CoreResult {
  /** No target and no sensible value: the instruction must never be reached. */
  readonly poison: boolean;
  /** The instruction must hold `from` now; false where compilers may differ (bit-fields, type ids). */
  readonly validate: boolean;
  /** Value in the object's own types, u64. */
  readonly from: bigint;
  /** Value in the target, u64. */
  readonly to: bigint;
  /** Bytes of the field here and there, for loads and stores; 0: does not matter. */
  readonly fromSize: number;
  readonly toSize: number;
  /** The sizes differ in a way that a load or store cannot bridge (signed numbers, structs). */
  readonly sizeClash: boolean;
  readonly local: CoreSpec;
  /** First match; undefined when nothing matches. */
  readonly target: CoreSpec | undefined;
}

/**
 * Resolves one relocation of an object against a target's types, with libbpf 1.5's meaning. To resolve several,
 * use one {@link CoreResolver}: candidates that failed once are not asked again.
 * Without `target`, the object's own types are the target, each its own only candidate.
 * @throws BpfError `core/…` where libbpf refuses to load the object.
 */
export function resolveCoreRelocation(
  localBtf: Btf,
  relo: CoreRelocation,
  target?: Btf | BtfIndex,
  options: CoreOptions = {},
): CoreResult {
  return new CoreResolver(localBtf, target, options).resolve(relo, 0);
}

/** Resolves the relocations of one object, in order, against one target. */
export class CoreResolver {
  private readonly localBtf: Btf;
  private readonly target: BtfIndex | undefined;
  private readonly bigEndian: boolean;
  private readonly matcher: CoreMatcher;
  /** By local type id. A relocation that some candidates match drops the others for those that follow. */
  private readonly candidates = new Map<number, readonly number[]>();

  constructor(localBtf: Btf, target?: Btf | BtfIndex, options: CoreOptions = {}) {
    this.localBtf = localBtf;
    this.target = target === undefined ? undefined : asIndex(target);
    this.bigEndian = options.byteOrder === "big";
    this.matcher = new CoreMatcher(localBtf, this.target?.btf ?? localBtf);
  }

  /**
   * `index` is the number of the relocation in messages.
   * @throws BpfError `core/bad-access`, `core/anonymous`, `core/ambiguous`, `core/bad-type`, `core/too-deep`,
   * `core/too-complex`, `core/bit-field`.
   */
  resolve(relo: CoreRelocation, index: number): CoreResult {
    const local = parseSpec(this.localBtf, relo);
    if (relo.kind === "type_id_local") {
      const value = BigInt(relo.type);
      return { ...EMPTY, validate: false, from: value, to: value, local, target: undefined };
    }
    let result: CoreResult | undefined;
    const candidates = this.candidatesOf(relo, index);
    const matching: number[] = [];
    for (let i = 0; i < candidates.length; i++) {
      const spec = this.matcher.newSpec(local, candidates[i]);
      if (!this.matches(local, spec, index, i)) continue;
      const found = this.calculate(relo, local, spec);
      if (result === undefined) result = found;
      else checkAgree(index, relo, result, found);
      matching.push(candidates[i]);
    }
    if (matching.length > 0) this.candidates.set(relo.type, matching);
    return result ?? this.calculate(relo, local, undefined);
  }

  private candidatesOf(relo: CoreRelocation, index: number): readonly number[] {
    const known = this.candidates.get(relo.type);
    if (known !== undefined) return known;
    const type = typeAt(this.localBtf, relo.type);
    if (type.name === "") {
      const label = CORE_KINDS[relo.kind].label;
      throw new BpfError(
        "core/anonymous",
        `relo #${index}: <${label}> relocation doesn't support anonymous types`,
        {
          insn: relo.insn,
          errno: "EOPNOTSUPP",
          hint: "give the struct, union or enum a name",
        },
      );
    }
    const found = this.target === undefined ? [relo.type] : candidatesFor(type, this.target);
    this.candidates.set(relo.type, found);
    return found;
  }

  private matches(local: CoreSpec, spec: CoreSpec, index: number, candidate: number): boolean {
    try {
      return this.matcher.matchSpec(local, spec);
    } catch (cause) {
      if (!(cause instanceof BpfError)) throw cause;
      const number = cause.errno === "E2BIG" ? -7 : -22;
      const message = `relo #${index}: error matching candidate #${candidate} ${formatSpec(spec)}: ${number}`;
      throw new BpfError(cause.code, message, {
        errno: cause.errno ?? "EINVAL",
        cause,
        ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      });
    }
  }

  /** Value of the relocation here (`local`) and there (`target`). */
  private calculate(relo: CoreRelocation, local: CoreSpec, target: CoreSpec | undefined): CoreResult {
    const base = { ...EMPTY, local, target };
    switch (CORE_KINDS[relo.kind].about) {
      case "type":
        return {
          ...base,
          validate: relo.kind !== "type_id_target",
          from: typeValue(relo, local),
          to: target === undefined ? 0n : typeValue(relo, target),
        };
      case "enumerator":
        if (relo.kind === "enumval_exists") return { ...base, from: 1n, to: target === undefined ? 0n : 1n };
        if (target === undefined) return { ...base, poison: true, from: enumValue(local) };
        return { ...base, from: enumValue(local), to: enumValue(target) };
      case "field": {
        if (relo.kind === "field_exists") return { ...base, from: 1n, to: target === undefined ? 0n : 1n };
        const here = fieldValue(relo, local, this.bigEndian);
        const from = { from: here.value, fromSize: here.size, validate: here.validate };
        if (target === undefined) return { ...base, ...from, poison: true };
        const there = fieldValue(relo, target, this.bigEndian);
        return {
          ...base,
          ...from,
          to: there.value,
          toSize: there.size,
          sizeClash: here.size !== there.size && !canResize(here.type, there.type),
        };
      }
    }
  }
}

const EMPTY = {
  poison: false,
  validate: true,
  from: 0n,
  to: 0n,
  fromSize: 0,
  toSize: 0,
  sizeClash: false,
} as const;

/** Named types of the same kind that differ in the `___flavour` at most. */
function candidatesFor(local: BtfType, target: BtfIndex): number[] {
  return target.flavours(essentialName(local.name)).filter((id) => sameKind(target.btf.types[id], local));
}

function checkAgree(index: number, relo: CoreRelocation, first: CoreResult, other: CoreResult): void {
  const here = other.target?.bitOffset ?? 0;
  const there = first.target?.bitOffset ?? 0;
  const word = (result: CoreResult): string => `${result.poison ? "failure" : "success"} ${result.to}`;
  const what =
    here !== there
      ? `field offset ambiguity: ${here} != ${there}`
      : other.poison !== first.poison || other.to !== first.to
        ? `relocation decision ambiguity: ${word(other)} != ${word(first)}`
        : undefined;
  if (what === undefined) return;
  throw new BpfError("core/ambiguous", `relo #${index}: ${what}`, {
    insn: relo.insn,
    errno: "EINVAL",
    subject: formatSpec(first.local),
    hint: "the target has several types of this name that disagree; name the one you mean with a ___flavour of its shape",
  });
}

function typeValue(relo: CoreRelocation, spec: CoreSpec): bigint {
  switch (relo.kind) {
    case "type_id_target":
      return BigInt(spec.rootType);
    case "type_size": {
      const size = trySizeOf(spec.btf, spec.rootType);
      if (size !== undefined) return BigInt(size);
      throw new BpfError("core/bad-type", `${formatSpec(spec)} has no size`, {
        insn: relo.insn,
        errno: "EINVAL",
      });
    }
    default:
      return 1n;
  }
}

/** An enum's value as libbpf sees it: 32-bit ones are sign-extended whatever the enum says. */
function enumValue(spec: CoreSpec): bigint {
  const step = spec.accessors[0];
  const type = typeAt(spec.btf, step.type);
  if (type.kind === "enum") return BigInt.asUintN(64, BigInt(type.values[step.index].value | 0));
  return type.kind === "enum64" ? BigInt.asUintN(64, type.values[step.index].value) : 0n;
}

interface FieldValue {
  readonly value: bigint;
  /** Bytes of the field where a load or store may be resized; else 0. */
  readonly size: number;
  readonly type: BtfType | undefined;
  readonly validate: boolean;
}

function fieldValue(relo: CoreRelocation, spec: CoreSpec, bigEndian: boolean): FieldValue {
  const step = spec.accessors[spec.accessors.length - 1];
  if (step.name === undefined) return elementValue(relo, spec, step.type);

  const owner = typeAt(spec.btf, step.type);
  const member = owner.kind === "struct" || owner.kind === "union" ? owner.members[step.index] : undefined;
  if (member === undefined) throw cannot(relo, "it is no member");
  const typeId = resolveType(spec.btf, member.type);
  const type = typeAt(spec.btf, typeId);
  const bitOffset = spec.bitOffset;
  const isBitField = member.bitSize > 0;
  const { byteOffset, byteSize } = isBitField
    ? bitFieldWord(relo, bitOffset, member.bitSize, trySizeOf(spec.btf, typeId) ?? 0)
    : { byteOffset: Math.floor(bitOffset / 8), byteSize: trySizeOf(spec.btf, typeId) };
  if (byteSize === undefined) throw cannot(relo, "its type has no size");
  const bits = isBitField ? member.bitSize : byteSize * 8;

  const result = (value: number, validate = !isBitField): FieldValue => ({
    value: BigInt(value >>> 0),
    size: 0,
    type: undefined,
    validate,
  });
  switch (relo.kind) {
    case "field_byte_offset":
      return isBitField ? result(byteOffset) : { ...result(byteOffset), size: byteSize, type };
    case "field_byte_size":
      return result(byteSize);
    case "field_signed":
      return result(isSigned(type) ? 1 : 0, true);
    case "field_lshift_u64":
      return result(
        bigEndian
          ? (8 - byteSize) * 8 + (bitOffset - byteOffset * 8)
          : 64 - (bitOffset + bits - byteOffset * 8),
      );
    case "field_rshift_u64":
      return result(64 - bits, true);
    default:
      throw cannot(relo, "the kind is unknown");
  }
}

function elementValue(relo: CoreRelocation, spec: CoreSpec, type: number): FieldValue {
  const size = trySizeOf(spec.btf, type);
  if (size === undefined) throw cannot(relo, "its type has no size");
  if (relo.kind === "field_byte_offset") {
    return {
      value: BigInt(Math.floor(spec.bitOffset / 8)),
      size,
      type: typeAt(spec.btf, type),
      validate: true,
    };
  }
  if (relo.kind === "field_byte_size")
    return { value: BigInt(size), size: 0, type: undefined, validate: true };
  throw cannot(relo, "can't be applied to array access");
}

/** The smallest aligned word, of the declared type's size or more, that holds all bits of the field. */
function bitFieldWord(
  relo: CoreRelocation,
  bitOffset: number,
  bitSize: number,
  declaredSize: number,
): { byteOffset: number; byteSize: number } {
  if (declaredSize === 0) throw cannot(relo, "its type has no size");
  let byteSize = declaredSize;
  for (;;) {
    const byteOffset = Math.floor(Math.floor(bitOffset / 8) / byteSize) * byteSize;
    if (bitOffset + bitSize - byteOffset * 8 <= byteSize * 8) return { byteOffset, byteSize };
    if (byteSize >= 8) throw cannot(relo, "can't be satisfied for bitfield");
    byteSize *= 2;
  }
}

function cannot(relo: CoreRelocation, why: string): BpfError {
  const tooBig = why.endsWith("bitfield");
  const kind = Object.keys(CORE_KINDS).indexOf(relo.kind);
  return new BpfError(
    tooBig ? "core/bit-field" : "core/bad-type",
    `relo ${kind} at insn #${relo.insn} ${why}`,
    {
      insn: relo.insn,
      errno: tooBig ? "E2BIG" : "EINVAL",
      ...(tooBig
        ? { hint: "the field crosses an 8-byte border in the target; read its bytes one by one" }
        : {}),
    },
  );
}

function isSigned(type: BtfType): boolean {
  if (type.kind === "enum" || type.kind === "enum64") return type.signed;
  return type.kind === "int" && type.encoding.signed;
}

/** Loads zero-extend, so pointers and unsigned numbers keep their value when only the size changes. */
function canResize(here: BtfType | undefined, there: BtfType | undefined): boolean {
  if (here?.kind === "ptr" && there?.kind === "ptr") return true;
  return here?.kind === "int" && there?.kind === "int" && zeroExtends(here) && zeroExtends(there);
}

function zeroExtends(type: Extract<BtfType, { kind: "int" }>): boolean {
  const { signed, char, bool } = type.encoding;
  return !signed || char || bool;
}
