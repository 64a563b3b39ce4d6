import { BpfError } from "../base/index.ts";
import { type Btf, resolveType } from "../btf/index.ts";
import { type FunctionTable, functionAt } from "./functions.ts";
import type { RawObject, RawSection } from "./raw-object.ts";
import type { StructOpsSpec } from "./spec.ts";

/** `struct_ops` sections: plain or `.link`, each also with `?`. */
export function isStructOps(section: RawSection): boolean {
  return section.size > 0 && section.type === 1 && /^\??\.struct_ops(\.link)?$/.test(section.name);
}

/**
 * The struct_ops variables of a section, with the programs their function pointers name.
 * @throws BpfError `object/bad-struct-ops`.
 */
export function readStructOps(
  object: RawObject,
  btf: Btf | undefined,
  section: RawSection,
  functions: FunctionTable,
): StructOpsSpec[] {
  const datasec = btf?.types.find((type) => type.kind === "datasec" && type.name === section.name);
  if (btf === undefined || datasec?.kind !== "datasec")
    throw bad(section.name, "is not described in the BTF");
  const relocations = [...section.relocations].sort((a, b) => a.offset - b.offset);
  let next = 0;
  let end = 0;
  return datasec.vars.map((entry) => {
    const variable = btf.types[entry.type];
    const type = variable.kind === "var" ? resolveType(btf, variable.type) : 0;
    const struct = btf.types[type];
    if (struct.kind !== "struct" || struct.name === "")
      throw bad(variable.name, "is no variable of a named struct");
    if (entry.offset + struct.size > section.data.length)
      throw bad(variable.name, "lies outside its section");
    const funcs: { member: string; offset: number; program: string }[] = [];
    if (entry.offset < end) throw bad(variable.name, "overlaps the variable before it");
    end = entry.offset + struct.size;
    for (; next < relocations.length && relocations[next].offset < end; next++) {
      const relocation = relocations[next];
      const offset = relocation.offset - entry.offset;
      if (offset < 0)
        throw bad(section.name, `has a relocation at ${relocation.offset} outside its variables`);
      const member = struct.members.find((candidate) => candidate.bitOffset === offset * 8);
      if (member === undefined) throw bad(variable.name, `has no member at offset ${offset}`);
      const pointer = btf.types[resolveType(btf, member.type)];
      if (pointer.kind !== "ptr" || btf.types[resolveType(btf, pointer.type)].kind !== "func_proto") {
        throw bad(variable.name, `cannot relocate non func ptr ${member.name}`);
      }
      const symbol = object.symbols[relocation.symbol];
      const program = functionAt(functions, symbol.section, symbol.value / 8);
      if (program === undefined || !/^\??struct_ops(\.s)?(\/|$)/.test(program.section.name)) {
        throw bad(variable.name, `member ${member.name}: '${symbol.name}' is no SEC("struct_ops") program`);
      }
      funcs.push({ member: member.name, offset, program: program.name });
    }
    return {
      name: variable.name,
      structName: struct.name,
      link: section.name.endsWith(".link"),
      autoload: !section.name.startsWith("?"),
      type,
      data: section.data.slice(entry.offset, entry.offset + struct.size),
      funcs: funcs.sort((a, b) => a.offset - b.offset),
    };
  });
}

function bad(name: string, why: string): BpfError {
  return new BpfError("object/bad-struct-ops", `struct_ops '${name}' ${why}`, {
    subject: name,
    hint: 'define a variable of a kernel struct in SEC(".struct_ops") and its functions in SEC("struct_ops/…")',
  });
}
