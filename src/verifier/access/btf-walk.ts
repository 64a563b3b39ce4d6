// One algorithm: what an access of `size` bytes at `off` into a BTF structure meets.
import type { Btf, BtfIndex, BtfMember, BtfType } from "../../btf/index.ts";
import { TypeFlag } from "../register-types.ts";

/** What lies at an offset of a structure. */
export type WalkResult =
  | { readonly kind: "scalar" }
  /** A pointer to a structure; flags from type tags (`MEM_USER`, `MEM_PERCPU`, `MEM_RCU`) and walked unions (`PTR_UNTRUSTED`). */
  | { readonly kind: "pointer"; readonly type: number; readonly flags: number; readonly field: string }
  /** A pointer to something else: what it leads to can only be read, through probing loads. */
  | { readonly kind: "untrusted" }
  /** A nested structure that starts here; {@link accessStruct} walks on, {@link structContains} compares. */
  | { readonly kind: "struct"; readonly type: number; readonly flags: number }
  | { readonly kind: "error"; readonly message: string; readonly errno: "EACCES" | "EINVAL" | "EFAULT" };

const SCALAR = { kind: "scalar" } as const satisfies WalkResult;
/** Nested structures and arrays a type may have before it counts as broken. */
const MAX_DEPTH = 64;

/** Id behind `const`, `volatile`, `restrict`, type tags and typedefs; 0 (void) for broken BTF. */
export function skipModifiers(btf: Btf, id: number): number {
  let at = id;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const type = btf.types[at];
    if (type === undefined) return 0;
    if (!isModifier(type)) return at;
    at = type.type;
  }
  return 0;
}

function isModifier(
  type: BtfType,
): type is Extract<BtfType, { kind: "typedef" | "const" | "type_tag" | "volatile" | "restrict" }> {
  return (
    type.kind === "const" ||
    type.kind === "volatile" ||
    type.kind === "restrict" ||
    type.kind === "typedef" ||
    type.kind === "type_tag"
  );
}

/** A name as messages show it. `__btf_name_by_offset` */
function shownName(named: { readonly name: string } | undefined): string {
  return named?.name || "(anon)";
}

/** Name of a type; `""` for anonymous and missing ones. */
export function typeName(btf: Btf, id: number): string {
  return btf.types[id]?.name ?? "";
}

/** True for struct and union. */
export function isStruct(type: BtfType | undefined): type is Extract<BtfType, { kind: "struct" | "union" }> {
  return type !== undefined && (type.kind === "struct" || type.kind === "union");
}

/** A member's type with its size, arrays flattened to their innermost element. */
interface Sized {
  readonly size: number;
  /** Behind typedefs and modifiers: an array's element, else the type itself. */
  readonly elem: number;
  /** Elements of all dimensions together; 1 when it is no array. */
  readonly count: number;
  readonly isArray: boolean;
}

/** Size of a type and the element it is made of; undefined: it has no size. */
export function resolveSize(btf: Btf, id: number): Sized | undefined {
  let at = id;
  let count = 1;
  let isArray = false;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const type = btf.types[at];
    if (type === undefined) return undefined;
    switch (type.kind) {
      case "ptr":
        return { size: 8 * count, elem: at, count, isArray };
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "float":
        return { size: type.size * count, elem: at, count, isArray };
      case "array":
        count *= type.length;
        if (count > 0xffff_ffff) return undefined;
        isArray = true;
        at = type.type;
        break;
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
        at = type.type;
        break;
      default:
        return undefined;
    }
  }
  return undefined;
}

function error(message: string, errno: "EACCES" | "EINVAL" | "EFAULT" = "EACCES"): WalkResult {
  return { kind: "error", message, errno };
}

/**
 * One step: what `size` bytes at `off` of structure `id` are. `flexible`: a last array without length may be read
 * beyond the structure's size. @see kernel/bpf/btf.c `btf_struct_walk` @ v6.18
 */
export function walkStruct(
  btf: Btf,
  id: number,
  start: number,
  size: number,
  startFlags: number,
  flexible: boolean,
): WalkResult {
  let flags = startFlags;
  let off = start;
  let at = skipModifiers(btf, id);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const type = btf.types[at];
    const name = shownName(type);
    if (!isStruct(type)) return error(`Type '${name}' is not a struct`, "EINVAL");
    if (type.kind === "union" && type.members.length !== 1) flags |= TypeFlag.PTR_UNTRUSTED;
    if (off + size > type.size) {
      const beyond = flexible ? flexibleElement(btf, type, off) : undefined;
      if (beyond === "scalar") return SCALAR;
      if (beyond === undefined) return error(`access beyond struct ${name} at off ${off} size ${size}`);
      at = beyond.type;
      off = beyond.off;
      continue;
    }
    const found = findMemberAt(btf, type, off, size);
    if (found === undefined) return error(`struct ${name} doesn't have field at offset ${off}`, "EINVAL");
    if ("kind" in found) return found;
    const { member, sized, start: memberOff, end } = found;
    const elemType = btf.types[sized.elem];
    if (isStruct(elemType)) {
      if (off === memberOff) return { kind: "struct", type: sized.elem, flags };
      at = sized.elem;
      off -= memberOff;
      continue;
    }
    if (elemType.kind === "ptr") {
      if (size !== found.elemSize || off !== memberOff) {
        return error(
          `cannot access ptr member ${shownName(member)} with moff ${memberOff} in struct ${name} with off ${off} size ${size}`,
        );
      }
      const target = skipModifiers(btf, elemType.type);
      if (isStruct(btf.types[target])) {
        return {
          kind: "pointer",
          type: target,
          flags: flags | tagFlags(btf, elemType.type),
          field: member.name,
        };
      }
      return { kind: "untrusted" };
    }
    if (off + size > end && (flags & TypeFlag.PTR_UNTRUSTED) === 0) {
      return error(
        `access beyond the end of member ${shownName(member)} (mend:${end}) in struct ${name} with off ${off} size ${size}`,
      );
    }
    return SCALAR;
  }
  return error("struct is nested too deeply", "EFAULT");
}

interface Found {
  readonly member: BtfMember;
  readonly sized: Sized;
  /** Offset of the member, or of the array's element that is hit. */
  readonly start: number;
  readonly elemSize: number;
  /** Behind the member (all of the array). */
  readonly end: number;
}

function findMemberAt(
  btf: Btf,
  type: Extract<BtfType, { kind: "struct" | "union" }>,
  off: number,
  size: number,
): Found | WalkResult | undefined {
  for (const member of type.members) {
    const start = Math.floor(member.bitOffset / 8);
    if (off + size <= start) return undefined;
    if (member.bitSize > 0) {
      // A whole bit-field, maybe with unnamed bits around it; parts of one are looked for in the next member.
      if (off <= start && Math.ceil((member.bitOffset + member.bitSize) / 8) <= off + size) return SCALAR;
      continue;
    }
    if (off < start) return undefined;
    const sized = resolveSize(btf, member.type);
    if (sized === undefined) return error(`field ${shownName(member)} doesn't have size`, "EFAULT");
    const end = start + sized.size;
    if (off >= end || start === end) continue;
    if (!sized.isArray) return { member, sized, start, elemSize: sized.size, end };
    const elemSize = sized.size / sized.count;
    return { member, sized, start: start + Math.floor((off - start) / elemSize) * elemSize, elemSize, end };
  }
  return undefined;
}

/** The element of a last array without length (`struct x a[];`) that `off` lies in. */
function flexibleElement(
  btf: Btf,
  type: Extract<BtfType, { kind: "struct" | "union" }>,
  off: number,
): "scalar" | { readonly type: number; readonly off: number } | undefined {
  const last = type.members.at(-1);
  if (last === undefined) return undefined;
  const array = btf.types[skipModifiers(btf, last.type)];
  if (array?.kind !== "array" || array.length !== 0) return undefined;
  const start = Math.floor(last.bitOffset / 8);
  if (off < start) return undefined;
  const elem = skipModifiers(btf, array.type);
  const elemType = btf.types[elem];
  if (elemType?.kind === "int") return "scalar";
  if (!isStruct(elemType) || elemType.size === 0) return undefined;
  return { type: elem, off: (off - start) % elemType.size };
}

function tagFlags(btf: Btf, pointee: number): number {
  const tag = btf.types[pointee];
  if (tag?.kind !== "type_tag") return 0;
  if (tag.name === "user") return TypeFlag.MEM_USER;
  if (tag.name === "percpu") return TypeFlag.MEM_PERCPU;
  return tag.name === "rcu" ? TypeFlag.MEM_RCU : 0;
}

/**
 * What a load of `size` bytes at `off` of structure `id` gives, through nested structures. `own`: the object is the
 * program's; the pointers it stores there are numbers to the verifier. `btf_struct_access` @ v6.18
 */
export function accessStruct(
  btf: Btf,
  id: number,
  off: number,
  size: number,
  own: boolean,
): Exclude<WalkResult, { kind: "struct" }> {
  let at = id;
  let offset = off;
  let flags = 0;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const step = walkStruct(btf, at, offset, size, flags, !own);
    if (step.kind === "pointer" && own) return SCALAR;
    if (step.kind !== "struct") return step;
    at = step.type;
    flags = step.flags;
    offset = 0;
  }
  return { kind: "error", message: "struct is nested too deeply", errno: "EFAULT" };
}

/**
 * True when a pointer to `id` + `off` is also one to `wanted`: the type itself, or one that starts there.
 * `strict`: only the type itself. @see `btf_struct_ids_match` @ v6.18
 */
export function structContains(
  btf: Btf,
  id: number,
  off: number,
  wantedBtf: Btf,
  wanted: number,
  strict: boolean,
  flexible: boolean,
): boolean {
  if (off === 0 && sameType(btf, id, wantedBtf, wanted)) return true;
  if (strict) return false;
  let at = id;
  let offset = off;
  let flags = 0;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const step = walkStruct(btf, at, offset, 1, flags, flexible);
    if (step.kind !== "struct") return false;
    if (sameType(btf, step.type, wantedBtf, wanted)) return true;
    at = step.type;
    flags = step.flags;
    offset = 0;
  }
  return false;
}

/** Same type: of one BTF, or the base type that both share. */
export function sameType(a: Btf, aId: number, b: Btf, bId: number): boolean {
  return aId === bId && (a === b || a.types[aId] === b.types[bId]);
}

/** Suffix of the kernel's structures that list which pointer fields keep their parent's trust (`struct file__safe_trusted`). */
export type SafeSuffix = "__safe_rcu" | "__safe_rcu_or_null" | "__safe_trusted" | "__safe_trusted_or_null";

/**
 * True when the BTF holds a structure `<id's name><suffix>` with a pointer field of this name to `pointee`.
 * @see kernel/bpf/btf.c `btf_nested_type_is_trusted` @ v6.18
 */
export function isSafeField(
  index: BtfIndex,
  id: number,
  field: string,
  pointee: number,
  suffix: SafeSuffix,
): boolean {
  const { btf } = index;
  const type = btf.types[id];
  if (!isStruct(type)) return false;
  const safe = index.find(type.name + suffix, type.kind);
  const safeType = safe === undefined ? undefined : btf.types[safe];
  if (!isStruct(safeType)) return false;
  return safeType.members.some((member) => {
    const memberType = btf.types[member.type];
    return (
      memberType?.kind === "ptr" && member.name === field && skipModifiers(btf, memberType.type) === pointee
    );
  });
}
