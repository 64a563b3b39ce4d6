import type { Btf, BtfType } from "./types.ts";

/** Type ids in the order of bpftool's sorted C header: rank, name of what is declared, own name, content, id. */
export function sortForC(btf: Btf): number[] {
  const { types } = btf;
  const ranks = types.map((_, id) => rankOf(types, id));
  const names = types.map((_, id) => sortName(types, id));
  const hashes = new ContentHash(types);
  return types
    .map((_, id) => id)
    .sort(
      (a, b) =>
        ranks[a] - ranks[b] ||
        compare(names[a], names[b]) ||
        compare(types[a].name, types[b].name) ||
        hashes.compare(a, b) ||
        a - b,
    );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const LAST = 10;

function rankOf(types: readonly BtfType[], start: number): number {
  let named = false;
  for (let id = start; ; ) {
    const type = types[id];
    if (type.name !== "") named = true;
    switch (type.kind) {
      case "enum":
      case "enum64":
        return named ? 1 : 0;
      case "int":
      case "float":
        return 2;
      case "struct":
      case "union":
        return named ? 3 : LAST;
      case "func_proto":
        return named ? 4 : LAST;
      case "array":
      case "type_tag":
      case "const":
      case "ptr":
      case "volatile":
      case "restrict":
      case "typedef":
      case "decl_tag":
        if (!named) return LAST;
        id = type.type;
        break;
      default:
        return LAST;
    }
  }
}

function sortName(types: readonly BtfType[], start: number): string {
  for (let id = start; ; ) {
    const type = types[id];
    switch (type.kind) {
      case "enum":
      case "enum64":
        return type.name === "" && id === start ? (type.values[0]?.name ?? "") : type.name;
      case "array":
      case "type_tag":
      case "const":
      case "ptr":
      case "volatile":
      case "restrict":
      case "typedef":
      case "decl_tag":
        id = type.type;
        break;
      default:
        return type.name;
    }
  }
}

/** A 64-bit number as two 32-bit words. */
interface Hash {
  readonly high: number;
  readonly low: number;
}

/** Tells types of one name apart by the names of what is in them; computed where a tie needs it. */
class ContentHash {
  private readonly types: readonly BtfType[];
  private readonly ofNames = new Map<string, Hash>();
  private readonly withMembers = new Map<number, Hash>();
  private readonly without = new Map<number, Hash>();

  constructor(types: readonly BtfType[]) {
    this.types = types;
  }

  compare(a: number, b: number): number {
    const x = this.of(a, true);
    const y = this.of(b, true);
    return x.high - y.high || x.low - y.low;
  }

  private of(id: number, members: boolean): Hash {
    const known = members ? this.withMembers : this.without;
    const found = known.get(id);
    if (found !== undefined) return found;
    const hash = this.make(id, members);
    known.set(id, hash);
    return hash;
  }

  private make(id: number, members: boolean): Hash {
    const type = this.types[id];
    let hash = this.addName(ZERO, type.name);
    switch (type.kind) {
      case "enum":
      case "enum64":
        for (const value of type.values) hash = this.addName(hash, value.name);
        break;
      case "struct":
      case "union":
        if (!members) break;
        for (const member of type.members) {
          hash = this.addName(hash, member.name);
          hash = mix(hash, this.of(member.type, false));
        }
        break;
      case "array":
        hash = mix(hash, { high: 0, low: type.length });
        hash = mix(hash, this.of(type.type, members));
        break;
      case "type_tag":
      case "const":
      case "ptr":
      case "volatile":
      case "restrict":
      case "typedef":
      case "decl_tag":
        hash = mix(hash, this.of(type.type, members));
        break;
      default:
        break;
    }
    return hash;
  }

  private addName(hash: Hash, name: string): Hash {
    if (name === "") return hash;
    let text = this.ofNames.get(name);
    if (text === undefined) {
      text = ZERO;
      for (const byte of new TextEncoder().encode(name)) {
        // C's char is signed.
        const sign = byte >= 0x80 ? 0xffff_ffff : 0;
        text = mix(text, { high: sign, low: ((byte << 24) >> 24) >>> 0 });
      }
      this.ofNames.set(name, text);
    }
    return mix(hash, text);
  }
}

const ZERO: Hash = { high: 0, low: 0 };

/** hash * 31 + value, modulo 2^64. */
function mix(hash: Hash, value: Hash): Hash {
  const low = hash.low * 31 + value.low;
  const carry = Math.floor(low / 2 ** 32);
  return { high: (hash.high * 31 + value.high + carry) % 2 ** 32, low: low % 2 ** 32 };
}
