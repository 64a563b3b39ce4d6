import { BpfError } from "../base/index.ts";
import type { Btf, BtfType } from "../btf/index.ts";

/** The id behind typedefs, `const`, `volatile`, `restrict` and type tags. */
export function skipModifiers(btf: Btf, id: number): number {
  let at = id;
  // The BTF reader has refused cycles; the bound only guards BTF made by hand.
  for (let steps = 0; steps <= btf.types.length; steps++) {
    const type = btf.types[at];
    switch (type.kind) {
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
        at = type.type;
        break;
      default:
        return at;
    }
  }
  throw new BpfError("object/bad-btf", `type ${id} is a typedef of itself`);
}

/** The type behind {@link skipModifiers}. */
export function resolvedType(btf: Btf, id: number): BtfType {
  return btf.types[skipModifiers(btf, id)];
}

/** Size in bytes; undefined for types without one (void, functions, forward declarations). */
export function sizeOfType(btf: Btf, id: number): number | undefined {
  let count = 1;
  let at = id;
  for (let steps = 0; steps <= btf.types.length; steps++) {
    at = skipModifiers(btf, at);
    const type = btf.types[at];
    switch (type.kind) {
      case "array":
        count *= type.length;
        at = type.type;
        break;
      case "var":
        at = type.type;
        break;
      case "ptr":
        return 8 * count;
      case "int":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "float":
      case "datasec":
        return type.size * count;
      default:
        return undefined;
    }
  }
  return undefined;
}

/** Natural alignment in bytes, at most 8; undefined where {@link sizeOfType} is. */
export function alignOfType(btf: Btf, id: number, depth = 0): number | undefined {
  if (depth > 256) return undefined;
  const type = resolvedType(btf, id);
  switch (type.kind) {
    case "int":
    case "enum":
    case "enum64":
    case "float":
      return Math.min(8, type.size);
    case "ptr":
      return 8;
    case "array":
      return alignOfType(btf, type.type, depth + 1);
    case "struct":
    case "union": {
      let align = 1;
      for (const member of type.members)
        align = Math.max(align, alignOfType(btf, member.type, depth + 1) ?? 1);
      return align;
    }
    default:
      return undefined;
  }
}
