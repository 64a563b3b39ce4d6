import { type Btf, type BtfType, resolveType } from "../btf/index.ts";

/**
 * The types that values of some types are made of, with ids of their own. Pointers lead nowhere: what they point to is
 * not in the module.
 */
export class TypeSubset {
  readonly types: BtfType[] = [{ kind: "void", name: "" }];
  private readonly btf: Btf;
  private readonly ids = new Map<number, number>([[0, 0]]);

  constructor(btf: Btf) {
    this.btf = btf;
  }

  /** New id of the type `root`, which is taken in with everything in it. */
  add(root: number): number {
    const open: number[] = [];
    /** Qualifiers and typedefs say nothing about bytes. */
    const idOf = (old: number): number => {
      const id = resolveType(this.btf, old);
      const known = this.ids.get(id);
      if (known !== undefined) return known;
      const made = this.types.push({ kind: "void", name: "" }) - 1;
      this.ids.set(id, made);
      open.push(id);
      return made;
    };
    const first = idOf(root);
    for (let id = open.pop(); id !== undefined; id = open.pop())
      this.types[this.ids.get(id)!] = moved(this.btf.types[id], idOf); // ids in `open` were numbered
    return first;
  }
}

function moved(type: BtfType, idOf: (old: number) => number): BtfType {
  switch (type.kind) {
    case "ptr":
      return { ...type, type: 0 };
    case "array":
      return { ...type, type: idOf(type.type), indexType: 0 };
    case "struct":
    case "union":
      return { ...type, members: type.members.map((member) => ({ ...member, type: idOf(member.type) })) };
    case "var":
      return { ...type, type: idOf(type.type) };
    case "datasec":
      return { ...type, vars: type.vars.map((row) => ({ ...row, type: idOf(row.type) })) };
    default:
      return "type" in type ? { kind: "void", name: "" } : type;
  }
}
