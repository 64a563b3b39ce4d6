// One algorithm: BTF types to TypeScript types that hold what the codecs of `btf/` read, kind by kind.
import {
  type Btf,
  type BtfMember,
  type BtfTypeOf,
  CODEC_MAX_SIZE,
  resolveType,
  trySizeOf,
  typeAt,
} from "../btf/index.ts";
import { commentText, propertyKey, TypeNames } from "./names.ts";

/** Deepest nesting of types without a name that is written out. */
const MAX_DEPTH = 32;

/** Writes declarations for the types that are asked for, and says what each is called. */
export class TypeWriter {
  /** Names that the declarations use from elsewhere: `CharArray`. */
  readonly imports = new Set<string>();
  private readonly btf: Btf | undefined;
  private readonly names = new TypeNames();
  private readonly given = new Map<number, string>();
  private readonly texts: string[] = [];

  constructor(btf: Btf | undefined) {
    this.btf = btf;
  }

  /** Declarations so far, each after those it needs. */
  get declarations(): readonly string[] {
    return this.texts;
  }

  /** The type of a value of `size` bytes; `Uint8Array` where the object has no type of that size. */
  of(id: number, size: number): string {
    const { btf } = this;
    if (btf === undefined || id === 0 || size > CODEC_MAX_SIZE || trySizeOf(btf, id) !== size) {
      return "Uint8Array";
    }
    return this.type(btf, id, 0, nameBefore(btf, id));
  }

  /** A free name for a declaration that is no BTF type. */
  name(cName: string): string {
    return this.names.give(cName);
  }

  private type(btf: Btf, start: number, depth: number, typedef?: string): string {
    const id = resolveType(btf, start);
    const type = typeAt(btf, id);
    switch (type.kind) {
      case "int":
        return intType(type);
      case "ptr":
        return "bigint";
      case "float":
        return type.size === 4 || type.size === 8 ? "number" : "Uint8Array";
      case "enum":
      case "enum64":
        return this.enumType(id, type, typedef);
      case "array":
        return this.arrayType(btf, type, depth);
      case "struct":
      case "union":
        return this.recordType(btf, id, type, depth, typedef);
      case "var":
        return this.type(btf, type.type, depth);
      default:
        return "unknown";
    }
  }

  private arrayType(btf: Btf, type: BtfTypeOf<"array">, depth: number): string {
    const element = typeAt(btf, resolveType(btf, type.type));
    if (element.kind === "int" && element.size === 1 && !element.encoding.bool) {
      if (element.name === "char" || element.encoding.char) {
        this.imports.add("CharArray");
        return "CharArray";
      }
    }
    const text = this.type(btf, type.type, depth + 1, nameBefore(btf, type.type));
    return text.includes("|") || text.startsWith("readonly ") ? `readonly (${text})[]` : `readonly ${text}[]`;
  }

  private enumType(id: number, type: BtfTypeOf<"enum" | "enum64">, typedef: string | undefined): string {
    const known = this.given.get(id);
    if (known !== undefined) return known;
    const names = [...new Set(type.values.map(({ name }) => JSON.stringify(name)))];
    const other = type.size > 4 ? "bigint" : "number";
    const text = [...names, other].join(" | ");
    const cName = type.name || typedef;
    if (cName === undefined) return names.length === 0 ? other : text;
    const name = this.names.give(cName);
    this.given.set(id, name);
    const suffix = type.size > 4 ? "n" : "";
    const rows = type.values.map(({ name, value }) => `  ${propertyKey(name)}: ${value}${suffix},`);
    this.texts.push(
      `/** \`enum ${commentText(cName)}\`: the name of a value, or the number of one that has none. */\nexport type ${name} = ${text};`,
      `export const ${name} = {\n${rows.join("\n")}\n} as const;`,
    );
    return name;
  }

  private recordType(
    btf: Btf,
    id: number,
    type: BtfTypeOf<"struct" | "union">,
    depth: number,
    typedef: string | undefined,
  ): string {
    const known = this.given.get(id);
    if (known !== undefined) return known;
    const cName = type.name || typedef;
    if (cName === undefined) {
      if (depth > MAX_DEPTH) return "unknown";
      const rows = this.members(btf, type, depth + 1);
      return rows.length === 0 ? "Record<string, never>" : `{ ${rows.map((row) => row.text).join(" ")} }`;
    }
    const name = this.names.give(cName);
    this.given.set(id, name); // before its members: hostile BTF may lead back here
    const rows = this.members(btf, type, 0);
    const what = type.name === "" ? cName : `${type.kind} ${cName}`;
    const size = `${type.size} ${type.size === 1 ? "byte" : "bytes"}`;
    const all = type.kind === "union" ? "; every member is a view of the same bytes" : "";
    const lines = rows.map(({ text, note }) => (note === "" ? `  ${text}` : `  /** ${note} */\n  ${text}`));
    const note = `/** \`${commentText(what)}\`, ${size}${all}. */`;
    this.texts.push(
      lines.length === 0
        ? `${note}\nexport type ${name} = Record<string, never>;`
        : `${note}\nexport interface ${name} {\n${lines.join("\n")}\n}`,
    );
    return name;
  }

  /** Members; those of anonymous structs and unions are the outer one's. */
  private members(btf: Btf, type: BtfTypeOf<"struct" | "union">, depth: number): MemberRow[] {
    const rows: MemberRow[] = [];
    for (const member of type.members) {
      const inner = typeAt(btf, resolveType(btf, member.type));
      if (member.name === "") {
        const isRecord = inner.kind === "struct" || inner.kind === "union";
        if (isRecord && depth <= MAX_DEPTH) rows.push(...this.members(btf, inner, depth + 1));
        continue;
      }
      const text = this.type(btf, member.type, depth + 1, nameBefore(btf, member.type));
      rows.push({ text: `readonly ${propertyKey(member.name)}: ${text};`, note: memberNote(member) });
    }
    const seen = new Set<string>();
    return rows.filter(({ text }) => {
      const key = text.slice(0, text.indexOf(":"));
      return !seen.has(key) && seen.add(key);
    });
  }
}

interface MemberRow {
  readonly text: string;
  readonly note: string;
}

function memberNote({ bitSize }: BtfMember): string {
  if (bitSize === 0) return "";
  return bitSize === 1 ? "1 bit." : `${bitSize} bits.`;
}

function intType({ size, bits, encoding }: BtfTypeOf<"int">): string {
  if (size > 4) return "bigint";
  return encoding.bool && bits === size * 8 ? "boolean" : "number";
}

/** The typedef through which a type without a name of its own is known. */
function nameBefore(btf: Btf, start: number): string | undefined {
  let name: string | undefined;
  let id = start;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const type = typeAt(btf, id);
    if (type.kind === "typedef") name = type.name;
    else if (!["const", "volatile", "restrict", "type_tag", "var"].includes(type.kind)) return name;
    id = (type as BtfTypeOf<"typedef">).type; // all of these have one
  }
  return name;
}
