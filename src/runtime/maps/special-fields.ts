import type { Btf, BtfType } from "../../btf/index.ts";
import { FIELD_KPTR, FIELD_OTHER, FIELD_SPIN_LOCK, FIELD_TIMER } from "./constants.ts";
import type { SpecialField } from "./map.ts";

type FieldKind = SpecialField["kind"];

/** Structs of include/uapi/linux/bpf.h (and kfunc headers) that the kernel manages inside a map value; bytes. */
const FIELD_STRUCTS: Readonly<Record<string, { readonly kind: FieldKind; readonly size: number }>> = {
  bpf_spin_lock: { kind: "spin-lock", size: 4 },
  bpf_res_spin_lock: { kind: "spin-lock", size: 8 },
  bpf_timer: { kind: "timer", size: 16 },
  bpf_wq: { kind: "workqueue", size: 16 },
  bpf_task_work: { kind: "task-work", size: 8 },
  bpf_list_head: { kind: "list-head", size: 16 },
  bpf_list_node: { kind: "list-node", size: 24 },
  bpf_rb_root: { kind: "rb-root", size: 16 },
  bpf_rb_node: { kind: "rb-node", size: 32 },
  bpf_refcount: { kind: "refcount", size: 4 },
};
/** Type tags that make a pointer member a kptr. */
const KPTR_TAGS = new Set(["kptr_untrusted", "kptr", "percpu_kptr", "uptr"]);

/** Numbers of `constants.ts` for the table that wasm reads. */
export const FIELD_CODES: Readonly<Record<FieldKind, number>> = {
  "spin-lock": FIELD_SPIN_LOCK,
  timer: FIELD_TIMER,
  kptr: FIELD_KPTR,
  workqueue: FIELD_OTHER,
  "task-work": FIELD_OTHER,
  "list-head": FIELD_OTHER,
  "list-node": FIELD_OTHER,
  "rb-root": FIELD_OTHER,
  "rb-node": FIELD_OTHER,
  refcount: FIELD_OTHER,
};

/** Linux: BTF_FIELDS_MAX, with room: more than this many fields and the rest is ignored. */
const MAX_FIELDS = 64;
const MAX_DEPTH = 16;

/**
 * Spin locks, timers, kptrs … in a value of type `typeId`, by ascending offset. Fields that do not lie inside
 * `valueSize` bytes are left out, so that what BTF says cannot reach past a value.
 */
export function specialFields(btf: Btf | undefined, typeId: number, valueSize: number): SpecialField[] {
  if (btf === undefined || typeId === 0) return [];
  const fields: SpecialField[] = [];
  collect(btf, typeId, 0, 0, fields);
  fields.sort((a, b) => a.offset - b.offset);
  let end = 0;
  return fields.filter((field) => {
    if (field.offset < end || field.offset + field.size > valueSize) return false;
    end = field.offset + field.size;
    return true;
  });
}

function collect(btf: Btf, typeId: number, offset: number, depth: number, out: SpecialField[]): void {
  if (depth > MAX_DEPTH || out.length >= MAX_FIELDS) return;
  const type = resolve(btf, typeId);
  if (type === undefined) return;
  if (type.kind === "datasec") {
    for (const entry of type.vars) {
      const variable = btf.types[entry.type];
      if (variable?.kind === "var") collect(btf, variable.type, offset + entry.offset, depth + 1, out);
    }
  } else if (type.kind === "struct" || type.kind === "union") {
    const special = Object.hasOwn(FIELD_STRUCTS, type.name) ? FIELD_STRUCTS[type.name] : undefined;
    if (special !== undefined) {
      out.push({ kind: special.kind, offset, size: special.size });
      return;
    }
    for (const member of type.members) {
      if (member.bitSize === 0) collect(btf, member.type, offset + (member.bitOffset >> 3), depth + 1, out);
    }
  } else if (type.kind === "array") {
    const size = sizeOf(btf, type.type, 0);
    if (size === 0) return;
    const before = out.length;
    collect(btf, type.type, offset, depth + 1, out);
    if (out.length === before) return;
    for (let index = 1; index < type.length && out.length < MAX_FIELDS; index++) {
      collect(btf, type.type, offset + index * size, depth + 1, out);
    }
  } else if (type.kind === "ptr" && isKptr(btf, type.type)) {
    out.push({ kind: "kptr", offset, size: 8 });
  }
}

/** The type behind typedefs and qualifiers. */
function resolve(btf: Btf, typeId: number): BtfType | undefined {
  let type = btf.types[typeId];
  for (let hops = 0; hops < 32; hops++) {
    switch (type?.kind) {
      case "typedef":
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
        type = btf.types[type.type];
        break;
      default:
        return type;
    }
  }
  return undefined;
}

function isKptr(btf: Btf, typeId: number): boolean {
  let type = btf.types[typeId];
  for (let hops = 0; hops < 32 && type !== undefined; hops++) {
    if (type.kind === "type_tag") {
      if (KPTR_TAGS.has(type.name)) return true;
    } else if (type.kind !== "const" && type.kind !== "volatile" && type.kind !== "typedef") return false;
    type = btf.types[type.type];
  }
  return false;
}

function sizeOf(btf: Btf, typeId: number, depth: number): number {
  const type = resolve(btf, typeId);
  if (type === undefined || depth > MAX_DEPTH) return 0;
  if (type.kind === "ptr") return 8;
  if (type.kind === "array") return type.length * sizeOf(btf, type.type, depth + 1);
  return "size" in type ? type.size : 0;
}
