import { BpfError } from "../base/index.ts";
import type { Btf, BtfType } from "./types.ts";

/**
 * Collects types and hands out their ids.
 *
 * @example
 * const types = new BtfBuilder();
 * const u32 = types.int("unsigned int", 4);
 * const node = types.reserve();
 * const next = types.add({ kind: "ptr", name: "", type: node });
 * types.define(node, { kind: "struct", name: "node", size: 16, kindFlag: false, members: [
 *   { name: "value", type: u32, bitOffset: 0, bitSize: 0 }, { name: "next", type: next, bitOffset: 64, bitSize: 0 }] });
 * const bytes = writeBtf(types.build());
 */
export class BtfBuilder {
  private readonly types: (BtfType | undefined)[];
  private readonly baseCount: number;
  /** By content, so that equal types get one id. */
  private readonly known = new Map<string, number>();

  /** `base`: build a split BTF on top of it. */
  constructor(base?: Btf) {
    this.types = base === undefined ? [{ kind: "void", name: "" }] : [...base.types];
    this.baseCount = base === undefined ? 0 : base.types.length;
  }

  /** Id of the type: an equal one's if there is one (types reserved and defined later are not searched). */
  add(type: BtfType): number {
    const key = JSON.stringify(type, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const id = this.types.push(type) - 1;
    this.known.set(key, id);
    return id;
  }

  /** An integer of `size` bytes; unsigned unless told. */
  int(
    name: string,
    size: number,
    encoding: { signed?: boolean; char?: boolean; bool?: boolean } = {},
  ): number {
    const { signed = false, char = false, bool = false } = encoding;
    return this.add({
      kind: "int",
      name,
      size,
      bits: size * 8,
      bitOffset: 0,
      encoding: { signed, char, bool },
    });
  }

  /** A pointer to `type`. */
  ptr(type: number): number {
    return this.add({ kind: "ptr", name: "", type });
  }

  /** An id to be filled by {@link define}: for types that point to themselves. */
  reserve(): number {
    return this.types.push(undefined) - 1;
  }

  /** Fills a reserved id. @throws BpfError `btf/not-reserved`. */
  define(id: number, type: BtfType): void {
    if (id >= this.types.length || this.types[id] !== undefined) {
      throw new BpfError("btf/not-reserved", `type ${id} is not a reserved id`, {
        hint: "call reserve() for it",
      });
    }
    this.types[id] = type;
  }

  /** The types so far. @throws BpfError `btf/undefined-type` when a reserved id was not filled. */
  build(): Btf {
    const types = this.types.map((type, id) => {
      if (type !== undefined) return type;
      throw new BpfError("btf/undefined-type", `type ${id} was reserved and never defined`, {
        subject: `type ${id}`,
      });
    });
    return { types, baseCount: this.baseCount };
  }
}
