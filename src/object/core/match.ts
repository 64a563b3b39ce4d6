// One algorithm: does a type of the target stand for a type of the object? Same answers as libbpf 1.5.
import { BpfError } from "../../base/index.ts";
import { type Btf, type BtfType, essentialName, resolveType, trySizeOf, typeAt } from "../../btf/index.ts";
import {
  advance,
  CORE_KINDS,
  CORE_SPEC_MAX_LENGTH,
  type CoreAccessor,
  type CoreSpec,
  isFlexibleArray,
  newSpec,
} from "./spec.ts";

/** Comparisons one match may take. Real ones take a few thousand; hostile types could ask for 2^32. */
const MAX_STEPS = 5_000_000;
/** Nested prototypes and structs, and links of one chain (libbpf: 32 both). */
const MAX_LEVEL = 32;

/** Compares types of one local BTF with types of one target. */
export class CoreMatcher {
  private readonly local: Btf;
  private readonly target: Btf;
  private steps = 0;

  constructor(local: Btf, target: Btf) {
    this.local = local;
    this.target = target;
  }

  /**
   * Matches `local` against the target type `root`. `spec` is filled as far as the match got, also when it throws.
   * @throws BpfError `core/too-deep` (E2BIG), `core/bad-type` (EINVAL), `core/too-complex`.
   */
  matchSpec(local: CoreSpec, spec: CoreSpec): boolean {
    this.steps = 0;
    switch (CORE_KINDS[local.kind].about) {
      case "type":
        return local.kind === "type_matches"
          ? this.typesMatch(local.rootType, spec.rootType, false, MAX_LEVEL)
          : this.typesCompatible(local.rootType, spec.rootType, MAX_LEVEL);
      case "enumerator":
        return this.matchEnumerator(local.accessors[0], spec);
      case "field":
        return this.matchField(local, spec);
    }
  }

  /**
   * The target's type `target` could be the local type `local` of another kernel, as libbpf asks of kernel functions before
   * it lets a program call them. @throws as {@link matchSpec}.
   */
  compatible(local: number, target: number): boolean {
    this.steps = 0;
    return this.typesCompatible(local, target, MAX_LEVEL);
  }

  /** A new, empty spec for `root` of the target. */
  newSpec(local: CoreSpec, root: number): CoreSpec {
    return newSpec(this.target, root, local.kind);
  }

  private matchEnumerator(wanted: CoreAccessor, spec: CoreSpec): boolean {
    const id = resolveType(this.target, spec.rootType);
    const type = typeAt(this.target, id);
    if (type.kind !== "enum" && type.kind !== "enum64") return false;
    const name = essentialName(wanted.name ?? "");
    for (let i = 0; i < type.values.length; i++) {
      if (essentialName(type.values[i].name) !== name) continue;
      spec.accessors.push({ type: id, index: i, name: type.values[i].name });
      spec.raw.push(i);
      return true;
    }
    return false;
  }

  private matchField(local: CoreSpec, spec: CoreSpec): boolean {
    let id = spec.rootType;
    for (let i = 0; i < local.accessors.length; i++) {
      const step = local.accessors[i];
      id = resolveType(this.target, id);
      if (step.name !== undefined) {
        const found = this.matchMember(step, id, spec, new Set());
        if (found === undefined || found === MISMATCH) return false;
        id = found;
        continue;
      }
      // The first step's index counts whole objects: `p[0]`; later ones go into arrays.
      if (i > 0) {
        const array = typeAt(this.target, id);
        if (array.kind !== "array") return false;
        if (step.index >= array.length && !isFlexibleArray(this.target, spec.accessors.at(-1), array))
          return false;
        id = resolveType(this.target, array.type);
      }
      checkLength(spec);
      spec.accessors.push({ type: id, index: step.index });
      spec.raw.push(step.index);
      const size = trySizeOf(this.target, id);
      if (size === undefined) throw badType(`target type ${id} has no size`);
      advance(spec, step.index, size);
    }
    return true;
  }

  /**
   * Looks for the member in the target's struct and in its anonymous members, depth first, in order. The result is
   * the member's type; MISMATCH when the name is there with a type that will not do; undefined when it is not there.
   */
  private matchMember(
    wanted: CoreAccessor,
    target: number,
    spec: CoreSpec,
    seen: Set<number>,
  ): number | undefined {
    const id = resolveType(this.target, target);
    const type = typeAt(this.target, id);
    if (type.kind !== "struct" && type.kind !== "union") return undefined;
    // A type looked through in vain has nothing new to say when it comes up again.
    if (seen.has(id)) return undefined;
    seen.add(id);
    for (let i = 0; i < type.members.length; i++) {
      this.step();
      const member = type.members[i];
      checkLength(spec);
      const before = spec.bitOffset;
      spec.bitOffset = (before + member.bitOffset) >>> 0;
      spec.raw.push(i);
      if (member.name === "") {
        const found = this.matchMember(wanted, member.type, spec, seen);
        if (found !== undefined) return found;
      } else if (member.name === wanted.name) {
        const owner = typeAt(this.local, wanted.type);
        const localType =
          owner.kind === "struct" || owner.kind === "union" ? owner.members[wanted.index].type : 0;
        if (!this.fieldsCompatible(localType, member.type)) return MISMATCH;
        spec.accessors.push({ type: id, index: i, name: member.name });
        return member.type;
      }
      spec.bitOffset = before;
      spec.raw.pop();
    }
    return undefined;
  }

  /** May a field of the one type be read as the other? Sizes, signs and array lengths may differ. */
  private fieldsCompatible(localStart: number, targetStart: number): boolean {
    let localId = localStart;
    let targetId = targetStart;
    for (;;) {
      this.step();
      const local = typeAt(this.local, resolveType(this.local, localId));
      const target = typeAt(this.target, resolveType(this.target, targetId));
      if (isComposite(local) && isComposite(target)) return true;
      if (!sameKind(local, target)) return false;
      switch (local.kind) {
        case "ptr":
        case "float":
          return true;
        case "fwd":
        case "enum":
        case "enum64": {
          const a = essentialName(local.name);
          const b = essentialName(target.name);
          return a === "" || b === "" || a === b;
        }
        case "int":
          return local.bitOffset === 0 && target.kind === "int" && target.bitOffset === 0;
        case "array":
          localId = local.type;
          targetId = (target as typeof local).type;
          break;
        default:
          return false;
      }
    }
  }

  /** Could the target type be the local one of another kernel? Only kinds count, through pointers and prototypes. */
  private typesCompatible(localStart: number, targetStart: number, level: number): boolean {
    let localId = localStart;
    let targetId = targetStart;
    if (!sameKind(typeAt(this.local, localId), typeAt(this.target, targetId))) return false;
    for (let depth = 0; depth < MAX_LEVEL; depth++) {
      this.step();
      const local = typeAt(this.local, resolveType(this.local, localId));
      const target = typeAt(this.target, resolveType(this.target, targetId));
      if (!sameKind(local, target)) return false;
      switch (local.kind) {
        case "void":
        case "struct":
        case "union":
        case "enum":
        case "enum64":
        case "fwd":
          return true;
        case "int":
          return local.bitOffset === 0 && target.kind === "int" && target.bitOffset === 0;
        case "ptr":
        case "array":
          localId = local.type;
          targetId = (target as typeof local).type;
          break;
        case "func_proto": {
          const other = target as typeof local;
          if (local.params.length !== other.params.length) return false;
          for (let i = 0; i < local.params.length; i++) {
            if (level <= 0) throw badType("prototypes nest too deep");
            const localParam = resolveType(this.local, local.params[i].type);
            const targetParam = resolveType(this.target, other.params[i].type);
            if (!this.typesCompatible(localParam, targetParam, level - 1)) return false;
          }
          localId = resolveType(this.local, local.type);
          targetId = resolveType(this.target, other.type);
          break;
        }
        default:
          return false;
      }
    }
    throw badType("a chain of types is too long");
  }

  /** Is every part of the local type in the target, with the same names, sizes and signs? (`type_matches`) */
  private typesMatch(
    localStart: number,
    targetStart: number,
    startBehindPointer: boolean,
    level: number,
  ): boolean {
    if (level <= 0) throw badType("types nest too deep");
    let localId = localStart;
    let targetId = targetStart;
    let behindPointer = startBehindPointer;
    for (let depth = 0; depth < MAX_LEVEL; depth++) {
      this.step();
      const local = typeAt(this.local, resolveType(this.local, localId));
      const target = typeAt(this.target, resolveType(this.target, targetId));
      if (!namesMatch(local.name, target.name)) return false;
      switch (local.kind) {
        case "void":
          return target.kind === "void";
        case "fwd":
          if (target.kind === "fwd") return local.union === target.union;
          return behindPointer && target.kind === (local.union ? "union" : "struct");
        case "enum":
        case "enum64":
          return (target.kind === "enum" || target.kind === "enum64") && this.enumsMatch(local, target);
        case "struct":
        case "union":
          if (behindPointer) {
            return (
              target.kind === local.kind ||
              (target.kind === "fwd" && (local.kind === "union") === target.union)
            );
          }
          return (
            target.kind === local.kind &&
            this.membersMatch(local, target as typeof local, behindPointer, level)
          );
        case "int":
          return (
            target.kind === "int" &&
            local.size === target.size &&
            local.encoding.signed === target.encoding.signed
          );
        case "ptr":
          if (target.kind !== "ptr") return false;
          behindPointer = true;
          localId = local.type;
          targetId = target.type;
          break;
        case "array":
          if (target.kind !== "array" || local.length !== target.length) return false;
          localId = local.type;
          targetId = target.type;
          break;
        case "func_proto":
          if (target.kind !== "func_proto" || local.params.length !== target.params.length) return false;
          for (let i = 0; i < local.params.length; i++) {
            if (!this.typesMatch(local.params[i].type, target.params[i].type, behindPointer, level - 1))
              return false;
          }
          localId = local.type;
          targetId = target.type;
          break;
        default:
          return false;
      }
    }
    throw badType("a chain of types is too long");
  }

  private enumsMatch(local: EnumType, target: EnumType): boolean {
    if (local.size !== target.size || local.values.length > target.values.length) return false;
    this.step(target.values.length);
    const names = new Set<string>();
    for (const value of target.values) names.add(essentialName(value.name));
    return local.values.every((value) => names.has(essentialName(value.name)));
  }

  private membersMatch(
    local: StructType,
    target: StructType,
    behindPointer: boolean,
    level: number,
  ): boolean {
    if (local.members.length > target.members.length) return false;
    this.step(target.members.length);
    const byName = new Map<string, number[]>();
    for (const member of target.members) {
      const name = essentialName(member.name);
      const types = byName.get(name);
      if (types === undefined) byName.set(name, [member.type]);
      else types.push(member.type);
    }
    return local.members.every((member) =>
      (byName.get(essentialName(member.name)) ?? []).some((type) =>
        this.typesMatch(member.type, type, behindPointer, level - 1),
      ),
    );
  }

  private step(count = 1): void {
    this.steps += count;
    if (this.steps <= MAX_STEPS) return;
    throw new BpfError("core/too-complex", `matching took more than ${MAX_STEPS} comparisons`, {
      errno: "E2BIG",
      hint: "the types look made to be slow; real kernels need a few thousand",
    });
  }
}

/** No type id: the name was found, its type will not do. */
const MISMATCH = -1;

type EnumType = Extract<BtfType, { kind: "enum" | "enum64" }>;
type StructType = Extract<BtfType, { kind: "struct" | "union" }>;

/** True when both are of the same kind, enum and enum64 counting as one. */
export function sameKind(a: BtfType, b: BtfType): boolean {
  return a.kind === b.kind || (isEnum(a) && isEnum(b));
}

function isEnum(type: BtfType): boolean {
  return type.kind === "enum" || type.kind === "enum64";
}

function isComposite(type: BtfType): boolean {
  return type.kind === "struct" || type.kind === "union";
}

function namesMatch(local: string, target: string): boolean {
  if (target === "") return local === "";
  return essentialName(local) === essentialName(target);
}

function checkLength(spec: CoreSpec): void {
  if (spec.raw.length < CORE_SPEC_MAX_LENGTH) return;
  throw new BpfError("core/too-deep", `members nest more than ${CORE_SPEC_MAX_LENGTH} deep`, {
    errno: "E2BIG",
  });
}

function badType(message: string): BpfError {
  return new BpfError("core/bad-type", message, { errno: "EINVAL" });
}
