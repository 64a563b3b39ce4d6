import { type ContextField as AbiField, contextOf } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { ProgramSpec } from "../../object/index.ts";
import { BPF_SOCK_BYTES } from "../helpers/packet/index.ts";
import type { ContextField, ContextPointer, ContextTable } from "./hook.ts";

/** `sizeof(struct bpf_flow_keys)`. */
export const FLOW_KEYS_BYTES = 56;
const SIZES = [1, 2, 4, 8] as const;

/** What a load of a field of this kind yields; undefined: a number. */
const POINTERS: Record<AbiField["kind"], ContextPointer | undefined> = {
  scalar: undefined,
  packet: { to: "packet" },
  packet_end: { to: "packet_end" },
  packet_meta: { to: "packet_meta" },
  sock: { to: "socket", size: BPF_SOCK_BYTES, readOnly: true },
  sock_common: { to: "socket", size: BPF_SOCK_BYTES, readOnly: true },
  flow_keys: { to: "mem", size: FLOW_KEYS_BYTES },
  object: { to: "btf_id", size: 0 },
  buffer: { to: "mem", size: 0 },
};

/**
 * The context of a program as `abi/` states it, in the engine's form. `pointers` replaces what a load of a field
 * yields, by field name; a field that `abi/` does not name can be added with `extra`.
 */
export function contextTable(program: ProgramSpec, extra: readonly AbiField[] = []): ContextTable {
  if (program.type === undefined)
    throw new BpfError("runtime/no-program-type", `'${program.name}' has no program type`);
  const context = contextOf(program.type, program.attachType);
  const named = [...context.fields, ...extra];
  const abiFields: readonly AbiField[] =
    named.length > 0 ? named : [{ name: "record", offset: 0, size: context.size, kind: "scalar" }];
  const pointers = abiFields.filter((field) => POINTERS[field.kind] !== undefined);
  const fields: ContextField[] = [];
  for (const field of abiFields) {
    const pointer = POINTERS[field.kind];
    // Members of a union: the pointer is what programs read.
    if (pointer === undefined && pointers.some((other) => overlaps(other, field))) continue;
    const size = field.size * (field.count ?? 1);
    const sizes = (allowed: (offset: number, size: number) => boolean): number =>
      SIZES.reduce(
        (mask, width) => (someOffset(field.offset, size, width, allowed) ? mask | width : mask),
        0,
      );
    const read = sizes(context.mayRead);
    const write = sizes(context.mayWrite);
    if (read === 0 && write === 0) continue;
    fields.push({
      name: field.name,
      offset: field.offset,
      size,
      read,
      write,
      ...(pointer ? { pointer } : {}),
      ...(field.keeps ? { keeps: field.keeps } : {}),
    });
  }
  return { name: context.struct ?? "arguments", size: context.size, fields };
}

function overlaps(a: AbiField, b: AbiField): boolean {
  return a.offset < b.offset + b.size * (b.count ?? 1) && b.offset < a.offset + a.size * (a.count ?? 1);
}

/** Looks at the field's first 64 bytes: what is allowed there is allowed in the rest of an open-ended record. */
function someOffset(
  offset: number,
  size: number,
  width: number,
  allowed: (offset: number, size: number) => boolean,
): boolean {
  for (let at = 0; at + width <= size && at < 64; at++) if (allowed(offset + at, width)) return true;
  return false;
}
