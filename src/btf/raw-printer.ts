import type { Btf, BtfType } from "./types.ts";

/** One line a type and one a member, the text of `bpftool btf dump file … format raw`. Of a split BTF its own types. */
export function formatBtfRaw(btf: Btf): string {
  let text = "";
  for (let id = Math.max(btf.baseCount, 1); id < btf.types.length; id++) {
    const type = btf.types[id];
    text += `[${id}] ${type.kind.toUpperCase()} ${quote(type.name)}${facts(btf, type)}\n`;
  }
  return text;
}

function quote(name: string): string {
  return `'${name === "" ? "(anon)" : name}'`;
}

function facts(btf: Btf, type: BtfType): string {
  switch (type.kind) {
    case "void":
      return "";
    case "int":
      return ` size=${type.size} bits_offset=${type.bitOffset} nr_bits=${type.bits} encoding=${encoding(type.encoding)}`;
    case "ptr":
    case "const":
    case "volatile":
    case "restrict":
    case "typedef":
    case "type_tag":
      return ` type_id=${type.type}`;
    case "array":
      return ` type_id=${type.type} index_type_id=${type.indexType} nr_elems=${type.length}`;
    case "struct":
    case "union": {
      let text = ` size=${type.size} vlen=${type.members.length}`;
      for (const { name, type: id, bitOffset, bitSize } of type.members) {
        text += `\n\t${quote(name)} type_id=${id} bits_offset=${bitOffset}`;
        if (bitSize > 0) text += ` bitfield_size=${bitSize}`;
      }
      return text;
    }
    case "enum":
    case "enum64": {
      let text = ` encoding=${type.signed ? "SIGNED" : "UNSIGNED"} size=${type.size} vlen=${type.values.length}`;
      const suffix = type.kind === "enum" ? "" : type.signed ? "LL" : "ULL";
      for (const { name, value } of type.values) text += `\n\t${quote(name)} val=${value}${suffix}`;
      return text;
    }
    case "fwd":
      return ` fwd_kind=${type.union ? "union" : "struct"}`;
    case "func":
      return ` type_id=${type.type} linkage=${type.linkage}`;
    case "func_proto": {
      let text = ` ret_type_id=${type.type} vlen=${type.params.length}`;
      for (const { name, type: id } of type.params) text += `\n\t${quote(name)} type_id=${id}`;
      return text;
    }
    case "var":
      return ` type_id=${type.type}, linkage=${type.linkage}`;
    case "datasec": {
      let text = ` size=${type.size} vlen=${type.vars.length}`;
      for (const { type: id, offset, size } of type.vars) {
        const variable = btf.types[id];
        text += `\n\ttype_id=${id} offset=${offset} size=${size}`;
        if (variable !== undefined) text += ` (${variable.kind.toUpperCase()} ${quote(variable.name)})`;
      }
      return text;
    }
    case "float":
      return ` size=${type.size}`;
    case "decl_tag":
      return ` type_id=${type.type} component_idx=${type.componentIndex}`;
  }
}

function encoding({ signed, char, bool }: Extract<BtfType, { kind: "int" }>["encoding"]): string {
  const names = [signed && "SIGNED", char && "CHAR", bool && "BOOL"].filter((name) => name !== false);
  return names.length === 0 ? "(none)" : names.length === 1 ? names[0] : "UNKN";
}
