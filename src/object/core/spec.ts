import { BpfError } from "../../base/index.ts";
import {
  type Btf,
  BtfIndex,
  type BtfTypeOf,
  type CoreRelocation,
  type CoreRelocationKind,
  resolveType,
  trySizeOf,
  typeAt,
} from "../../btf/index.ts";

/** Steps an access path may have (`BPF_CORE_SPEC_MAX_LEN`). */
export const CORE_SPEC_MAX_LENGTH = 64;

/** One step of a path that has a meaning to a reader: a named member, or an array index. */
export interface CoreAccessor {
  /** Type the step is taken in (member) or arrives at (index). */
  readonly type: number;
  /** Index of the member, or of the element. */
  readonly index: number;
  /** Member or enumerator; undefined for an element. */
  readonly name?: string;
}

/** What a relocation points at in one BTF: filled step by step while it is matched. */
export interface CoreSpec {
  readonly btf: Btf;
  readonly rootType: number;
  readonly kind: CoreRelocationKind;
  readonly accessors: CoreAccessor[];
  /** Every step, through anonymous members too. */
  readonly raw: number[];
  /** u32. */
  bitOffset: number;
}

/** What a kind of relocation is about: its meaning and libbpf's short name for it. */
export const CORE_KINDS = {
  field_byte_offset: { about: "field", label: "byte_off" },
  field_byte_size: { about: "field", label: "byte_sz" },
  field_exists: { about: "field", label: "field_exists" },
  field_signed: { about: "field", label: "signed" },
  field_lshift_u64: { about: "field", label: "lshift_u64" },
  field_rshift_u64: { about: "field", label: "rshift_u64" },
  type_id_local: { about: "type", label: "local_type_id" },
  type_id_target: { about: "type", label: "target_type_id" },
  type_exists: { about: "type", label: "type_exists" },
  type_size: { about: "type", label: "type_size" },
  enumval_exists: { about: "enumerator", label: "enumval_exists" },
  enumval_value: { about: "enumerator", label: "enumval_value" },
  type_matches: { about: "type", label: "type_matches" },
} as const satisfies Record<CoreRelocationKind, { about: "field" | "type" | "enumerator"; label: string }>;

/** An empty spec for `root`. */
export function newSpec(btf: Btf, rootType: number, kind: CoreRelocationKind): CoreSpec {
  return { btf, rootType, kind, accessors: [], raw: [], bitOffset: 0 };
}

/**
 * Reads a relocation's access string (`"0:1:2"`) against the object's own types.
 * @throws BpfError `core/bad-access`, errno EINVAL or E2BIG.
 */
export function parseSpec(btf: Btf, relo: CoreRelocation): CoreSpec {
  const spec = newSpec(btf, relo.type, relo.kind);
  const about = CORE_KINDS[relo.kind].about;
  if (about === "type") {
    if (relo.access !== "0") throw badAccess(relo, "types are named by '0'");
    return spec;
  }
  if (!/^\d+(:\d+)*$/.test(relo.access)) throw badAccess(relo, "numbers with ':' between are expected");
  const steps = relo.access.split(":").map(Number);
  if (steps.length > CORE_SPEC_MAX_LENGTH) throw badAccess(relo, "too many steps", "E2BIG");
  if (steps.some((step) => step > 0x7fff_ffff)) throw badAccess(relo, "an index is too big");
  spec.raw.push(...steps);

  let id = resolveType(btf, relo.type);
  const root = typeAt(btf, id);
  if (about === "enumerator") {
    const isEnum = root.kind === "enum" || root.kind === "enum64";
    if (!isEnum || steps.length > 1 || steps[0] >= root.values.length)
      throw badAccess(relo, "no such enumerator");
    spec.accessors.push({ type: id, index: steps[0], name: root.values[steps[0]].name });
    return spec;
  }

  spec.accessors.push({ type: id, index: steps[0] });
  advance(spec, steps[0], sizeFor(btf, id, relo));
  for (let i = 1; i < steps.length; i++) {
    const step = steps[i];
    id = resolveType(btf, id);
    const type = typeAt(btf, id);
    if (type.kind === "struct" || type.kind === "union") {
      const member = type.members[step];
      if (member === undefined) throw badAccess(relo, `${type.kind} ${type.name} has no member ${step}`);
      spec.bitOffset = (spec.bitOffset + member.bitOffset) >>> 0;
      if (member.name !== "") spec.accessors.push({ type: id, index: step, name: member.name });
      id = member.type;
    } else if (type.kind === "array") {
      id = resolveType(btf, type.type);
      if (step >= type.length && !isFlexibleArray(btf, spec.accessors.at(-1), type)) {
        throw badAccess(relo, `index ${step} is outside the array of ${type.length}`);
      }
      spec.accessors.push({ type: id, index: step });
      advance(spec, step, sizeFor(btf, id, relo));
    } else {
      throw badAccess(relo, `step ${i} goes into a ${type.kind}`);
    }
  }
  return spec;
}

/** Moves `spec` on by `index` elements of `size` bytes. */
export function advance(spec: CoreSpec, index: number, size: number): void {
  spec.bitOffset = Number(BigInt.asUintN(32, BigInt(spec.bitOffset) + BigInt(index) * BigInt(size) * 8n));
}

/** True for `type member[0]` at the end of a struct: any index is good. `last` is the step that led to the array. */
export function isFlexibleArray(
  btf: Btf,
  last: CoreAccessor | undefined,
  array: BtfTypeOf<"array">,
): boolean {
  if (last?.name === undefined || array.length > 0) return false;
  const owner = typeAt(btf, last.type);
  return (owner.kind === "struct" || owner.kind === "union") && last.index === owner.members.length - 1;
}

function sizeFor(btf: Btf, id: number, relo: CoreRelocation): number {
  const size = trySizeOf(btf, id);
  if (size === undefined) throw badAccess(relo, `type ${id} has no size`);
  return size;
}

function badAccess(relo: CoreRelocation, why: string, errno = "EINVAL"): BpfError {
  return new BpfError(
    "core/bad-access",
    `access '${relo.access}' of type ${relo.type} cannot be read: ${why}`,
    {
      insn: relo.insn,
      errno,
      hint: "the object's .BTF and .BTF.ext do not belong together; build it again",
    },
  );
}

/** Human form, libbpf's words: `<byte_off> [7] struct s.a[3] (0:1:3 @ offset 24)`. */
export function formatSpec(spec: CoreSpec): string {
  const root = typeAt(spec.btf, spec.rootType);
  let text = `<${CORE_KINDS[spec.kind].label}> [${spec.rootType}] ${root.kind} ${root.name || "<anon>"}`;
  switch (CORE_KINDS[spec.kind].about) {
    case "type":
      return text;
    case "enumerator": {
      const type = typeAt(spec.btf, resolveType(spec.btf, spec.rootType));
      if (type.kind !== "enum" && type.kind !== "enum64") return text;
      const value = type.values[spec.raw[0] ?? 0];
      return value === undefined ? text : `${text}::${value.name} = ${value.value}`;
    }
    case "field":
      spec.accessors.forEach((step, i) => {
        if (step.name !== undefined) text += `.${step.name}`;
        else if (i > 0 || step.index > 0) text += `[${step.index}]`;
      });
      text += ` (${spec.raw.join(":")} @ offset ${Math.floor(spec.bitOffset / 8)}`;
      return `${text}${spec.bitOffset % 8 === 0 ? "" : `.${spec.bitOffset % 8}`})`;
  }
}

/** The BTF or the index of it, as an index. */
export function asIndex(btf: Btf | BtfIndex): BtfIndex {
  return btf instanceof BtfIndex ? btf : new BtfIndex(btf);
}
