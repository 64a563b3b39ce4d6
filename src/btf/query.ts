import { BpfError } from "../base/index.ts";
import { BTF_MAX_DEPTH } from "./loops.ts";
import type { Btf, BtfKind, BtfMember, BtfType } from "./types.ts";

/** Bytes of a pointer: BPF programs and the kernels we read are 64-bit. */
export const BTF_POINTER_SIZE = 8;

/** The type of one kind out of the {@link BtfType} union. */
export type BtfTypeOf<K extends BtfKind> = Extract<BtfType, { kind: K }>;

/**
 * The type with this id.
 * @throws BpfError `btf/bad-type-id`.
 */
export function typeAt(btf: Btf, id: number): BtfType {
  const type = btf.types[id];
  if (type !== undefined) return type;
  throw new BpfError("btf/bad-type-id", `there is no type ${id}, the last is ${btf.types.length - 1}`, {
    subject: `type ${id}`,
    hint: "ids belong to one BTF: was this one taken from another object?",
  });
}

/** Id behind `const`, `volatile`, `restrict` and type tags. @throws BpfError `btf/bad-type-id`, `btf/cycle`. */
export function skipModifiers(btf: Btf, id: number): number {
  return follow(btf, id, isModifier);
}

/** Id behind modifiers and typedefs: the type that says what the bytes mean. @throws as {@link skipModifiers}. */
export function resolveType(btf: Btf, id: number): number {
  return follow(btf, id, (type) => isModifier(type) || type.kind === "typedef");
}

function isModifier(type: BtfType): boolean {
  return (
    type.kind === "const" || type.kind === "volatile" || type.kind === "restrict" || type.kind === "type_tag"
  );
}

function follow(btf: Btf, start: number, through: (type: BtfType) => boolean): number {
  let id = start;
  for (let depth = 0; depth <= BTF_MAX_DEPTH; depth++) {
    const type = typeAt(btf, id);
    if (!through(type)) return id;
    id = (type as BtfTypeOf<"typedef">).type;
  }
  throw endless(start);
}

function endless(id: number): BpfError {
  return new BpfError("btf/cycle", `type ${id} never ends: it leads back to itself`, {
    subject: `type ${id}`,
  });
}

/**
 * Bytes a value of the type takes.
 * @throws BpfError `btf/no-size` for void, functions and forward declarations, `btf/too-big` for 4 GiB and more.
 */
export function sizeOf(btf: Btf, id: number): number {
  const size = trySizeOf(btf, id);
  if (size !== undefined) return size;
  const type = typeAt(btf, id);
  throw new BpfError("btf/no-size", `${type.kind} ${type.name || "(anonymous)"} has no size`, {
    subject: `type ${id}`,
    hint: "only complete object types have one; use the full definition, not a forward declaration",
  });
}

/** As {@link sizeOf}, but undefined for a type without size. */
export function trySizeOf(btf: Btf, start: number): number | undefined {
  let count = 1;
  let id = start;
  for (let depth = 0; depth <= BTF_MAX_DEPTH; depth++) {
    const type = typeAt(btf, id);
    switch (type.kind) {
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "datasec":
      case "float":
        return checkSize(start, count * type.size);
      case "ptr":
        return checkSize(start, count * BTF_POINTER_SIZE);
      case "array":
        count = checkSize(start, count * type.length);
        id = type.type;
        break;
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
      case "decl_tag":
      case "var":
        id = type.type;
        break;
      default:
        return undefined;
    }
  }
  throw endless(start);
}

function checkSize(id: number, size: number): number {
  if (size <= 0xffff_ffff) return size;
  throw new BpfError("btf/too-big", `type ${id} takes 4 GiB or more`, { subject: `type ${id}` });
}

/**
 * Bytes that addresses of the type are a multiple of, as the compiler laid it out: 1 for a packed struct; 0 where
 * there is none (void, functions). `known` remembers results between calls on the same BTF.
 */
export function alignOf(btf: Btf, id: number, known: Map<number, number> = new Map()): number {
  return alignAt(btf, id, known, 0);
}

function alignAt(btf: Btf, id: number, known: Map<number, number>, depth: number): number {
  if (depth > BTF_MAX_DEPTH) throw endless(id);
  const type = typeAt(btf, id);
  switch (type.kind) {
    case "int":
    case "enum":
    case "enum64":
    case "float":
      return Math.min(BTF_POINTER_SIZE, type.size);
    case "ptr":
      return BTF_POINTER_SIZE;
    case "array":
    case "typedef":
    case "const":
    case "volatile":
    case "restrict":
    case "type_tag":
    case "var":
      return alignAt(btf, type.type, known, depth + 1);
    case "struct":
    case "union": {
      const before = known.get(id);
      if (before !== undefined) return before;
      const align = alignOfMembers(btf, type, known, depth);
      known.set(id, align);
      return align;
    }
    default:
      return 0;
  }
}

function alignOfMembers(
  btf: Btf,
  type: BtfTypeOf<"struct" | "union">,
  known: Map<number, number>,
  depth: number,
): number {
  let max = 1;
  for (const member of type.members) {
    const align = alignAt(btf, member.type, known, depth + 1);
    if (align === 0) return 0;
    max = Math.max(max, align);
    // A member off its natural place, or a size that is no multiple of the alignment: the type is packed.
    if (member.bitSize === 0 && member.bitOffset % (8 * align) !== 0) return 1;
  }
  return type.size % max === 0 ? max : 1;
}

/** A member found by path, placed from the start of the outermost type. */
export interface BtfMemberPlace {
  readonly type: number;
  readonly bitOffset: number;
  /** 0: not a bit-field. */
  readonly bitSize: number;
}

/**
 * Finds `"a.b[2].c"` in a struct or union, through typedefs and anonymous members; undefined when a name is missing
 * or an index lies outside its array. Pointers are not followed.
 * @throws BpfError `btf/bad-path` when the path cannot be read.
 */
export function findMember(btf: Btf, id: number, path: string): BtfMemberPlace | undefined {
  if (!/^[^.[\]]+(\.[^.[\]]+|\[\d+\])*$/.test(path)) {
    throw new BpfError("btf/bad-path", `'${path}' is no member path`, { hint: "write it as 'a.b[2].c'" });
  }
  let place: BtfMemberPlace = { type: id, bitOffset: 0, bitSize: 0 };
  for (const step of path.match(/[^.[\]]+|\[\d+\]/g) ?? []) {
    const next = step.startsWith("[")
      ? elementPlace(btf, place.type, Number(step.slice(1, -1)))
      : memberPlace(btf, place.type, step, new Set());
    if (next === undefined) return undefined;
    place = { ...next, bitOffset: place.bitOffset + next.bitOffset };
  }
  return place;
}

function elementPlace(btf: Btf, id: number, index: number): BtfMemberPlace | undefined {
  const type = typeAt(btf, resolveType(btf, id));
  if (type.kind !== "array" || (index >= type.length && type.length > 0)) return undefined;
  return { type: type.type, bitOffset: index * sizeOf(btf, type.type) * 8, bitSize: 0 };
}

function memberPlace(btf: Btf, id: number, name: string, seen: Set<number>): BtfMemberPlace | undefined {
  const resolved = resolveType(btf, id);
  const type = typeAt(btf, resolved);
  // `seen`: an anonymous type that did not have the name once does not have it the second time either.
  if ((type.kind !== "struct" && type.kind !== "union") || seen.has(resolved)) return undefined;
  seen.add(resolved);
  for (const member of type.members) {
    if (member.name === name) return member;
    if (member.name !== "") continue;
    const inner = memberPlace(btf, member.type, name, seen);
    if (inner !== undefined) return { ...inner, bitOffset: inner.bitOffset + member.bitOffset };
  }
  return undefined;
}

/** Members of a struct or union behind typedefs and modifiers; undefined for other types. */
export function membersOf(btf: Btf, id: number): readonly BtfMember[] | undefined {
  const type = typeAt(btf, resolveType(btf, id));
  return type.kind === "struct" || type.kind === "union" ? type.members : undefined;
}

/** The prototype of a function, a function pointer or a prototype itself; undefined for other types. */
export function prototypeOf(btf: Btf, id: number): BtfTypeOf<"func_proto"> | undefined {
  let type = typeAt(btf, resolveType(btf, id));
  if (type.kind === "ptr" || type.kind === "func") type = typeAt(btf, resolveType(btf, type.type));
  return type.kind === "func_proto" ? type : undefined;
}

/** The name without its CO-RE flavour: `task_struct` of `task_struct___v2`. */
export function essentialName(name: string): string {
  // The last `X___Y` with X and Y no underscores, as libbpf's bpf_core_essential_name_len looks for it.
  for (let i = name.length - 5; i >= 0; i--) {
    if (name.startsWith("___", i + 1) && name[i] !== "_" && name[i + 4] !== "_") return name.slice(0, i + 1);
  }
  return name;
}

/**
 * Looks types up by name. Built once for a BTF (which is read-only); each index inside is made when first asked for.
 *
 * @example
 * const index = new BtfIndex(parseBtf(bytes));
 * const id = index.find("task_struct", "struct");
 */
export class BtfIndex {
  readonly btf: Btf;
  private names: Map<string, number[]> | undefined;
  private essentials: Map<string, number[]> | undefined;

  constructor(btf: Btf) {
    this.btf = btf;
  }

  /** Ids of all types with the name, lowest first. */
  all(name: string, kind?: BtfKind): readonly number[] {
    this.names ??= collect(this.btf, (type) => type.name);
    const ids = this.names.get(name) ?? [];
    return kind === undefined ? ids : ids.filter((id) => this.btf.types[id].kind === kind);
  }

  /** Lowest id of a type with the name; undefined when there is none. */
  find(name: string, kind?: BtfKind): number | undefined {
    return this.all(name, kind)[0];
  }

  /** Ids of all types that share the {@link essentialName}, lowest first: CO-RE's candidates. */
  flavours(essential: string): readonly number[] {
    this.essentials ??= collect(this.btf, (type) => essentialName(type.name));
    return this.essentials.get(essential) ?? [];
  }
}

function collect(btf: Btf, nameOf: (type: BtfType) => string): Map<string, number[]> {
  const ids = new Map<string, number[]>();
  for (let id = 1; id < btf.types.length; id++) {
    const name = nameOf(btf.types[id]);
    if (name === "") continue;
    const list = ids.get(name);
    if (list === undefined) ids.set(name, [id]);
    else list.push(id);
  }
  return ids;
}
