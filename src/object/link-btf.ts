import type { Btf, BtfType } from "../btf/index.ts";

/** The same type with every id it holds replaced. */
export function mapTypeIds(type: BtfType, id: (old: number) => number): BtfType {
  switch (type.kind) {
    case "ptr":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "func":
    case "var":
    case "decl_tag":
    case "type_tag":
      return { ...type, type: id(type.type) };
    case "array":
      return { ...type, type: id(type.type), indexType: id(type.indexType) };
    case "struct":
    case "union":
      return { ...type, members: type.members.map((member) => ({ ...member, type: id(member.type) })) };
    case "func_proto":
      return {
        ...type,
        type: id(type.type),
        params: type.params.map((param) => ({ ...param, type: id(param.type) })),
      };
    case "datasec":
      return { ...type, vars: type.vars.map((entry) => ({ ...entry, type: id(entry.type) })) };
    default:
      return type;
  }
}

/**
 * Merges types that mean the same: same kind, name and numbers, and the same of everything they refer to. Variables and
 * DATASECs stay apart, as two objects' static variables are two. `ids[old]` is where a type went.
 *
 * Types are put into classes by what they say themselves, and classes split by the classes they refer to until nothing
 * changes (partition refinement), so cycles through pointers need no special care.
 */
export function mergeEqualTypes(types: readonly BtfType[]): { types: BtfType[]; ids: number[] } {
  const shapes = types.map((type, id) => {
    if (type.kind === "var" || type.kind === "datasec") return `${type.kind} ${id}`;
    return JSON.stringify(
      mapTypeIds(type, () => 0),
      (_, value) => (typeof value === "bigint" ? value.toString() : value),
    );
  });
  const references = types.map((type) => {
    const out: number[] = [];
    mapTypeIds(type, (id) => {
      out.push(id);
      return id;
    });
    return out;
  });
  let classes = classify(shapes);
  for (let before = 0; classes.count !== before; ) {
    before = classes.count;
    const { of } = classes;
    classes = classify(references.map((list, id) => `${of[id]}:${list.map((to) => of[to]).join(",")}`));
  }
  const firsts = new Map<number, number>();
  const ids = classes.of.map((number) => {
    const known = firsts.get(number);
    if (known !== undefined) return known;
    firsts.set(number, firsts.size);
    return firsts.size - 1;
  });
  const out: BtfType[] = [];
  types.forEach((type, id) => {
    if (ids[id] === out.length) out.push(mapTypeIds(type, (old) => ids[old]));
  });
  return { types: out, ids };
}

function classify(keys: readonly string[]): { of: number[]; count: number } {
  const numbers = new Map<string, number>();
  const of = keys.map((key) => {
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, numbers.size);
    return numbers.size - 1;
  });
  return { of, count: numbers.size };
}

/** Types of several objects in one list, `void` shared; `shift[i]` added to the ids of object i (but for 0). */
export function concatTypes(parts: readonly (Btf | undefined)[]): { types: BtfType[]; shift: number[] } {
  const types: BtfType[] = [{ kind: "void", name: "" }];
  const shift: number[] = [];
  for (const part of parts) {
    const by = types.length - 1;
    shift.push(by);
    for (const type of part?.types.slice(1) ?? [])
      types.push(mapTypeIds(type, (id) => (id === 0 ? 0 : id + by)));
  }
  return { types, shift };
}
