// One algorithm: special fields (locks, timers, kptrs, lists, trees …) of map values and of structures a program allocates.
import { type Btf, BtfIndex, type BtfType } from "../../btf/index.ts";
import { isStruct, skipModifiers } from "./btf-walk.ts";

/** Kinds of special fields. */
export type FieldKind = keyof typeof FIELD_KINDS;

/** What the kernel knows about a kind of field. */
interface FieldKindRow {
  /** Bytes. */
  readonly size: number;
  readonly align: number;
  /** In messages. `btf_field_type_name` */
  readonly name: string;
  /** BTF structure it is recognised by; kptrs are recognised by type tags. */
  readonly struct?: string;
  /** At most one of them in a record. */
  readonly unique?: true;
  /** Elements of arrays count too. */
  readonly repeats?: true;
}

/** Kinds of special fields: sizes and names of `enum btf_field_type` @ v6.18. */
export const FIELD_KINDS = {
  spinLock: { size: 4, align: 4, name: "bpf_spin_lock", struct: "bpf_spin_lock", unique: true },
  resSpinLock: { size: 4, align: 4, name: "bpf_res_spin_lock", struct: "bpf_res_spin_lock", unique: true },
  timer: { size: 16, align: 8, name: "bpf_timer", struct: "bpf_timer", unique: true },
  workqueue: { size: 16, align: 8, name: "bpf_wq", struct: "bpf_wq", unique: true },
  taskWork: { size: 8, align: 8, name: "bpf_task_work", struct: "bpf_task_work", unique: true },
  listHead: { size: 16, align: 8, name: "bpf_list_head", struct: "bpf_list_head", repeats: true },
  listNode: { size: 24, align: 8, name: "bpf_list_node", struct: "bpf_list_node" },
  rbRoot: { size: 16, align: 8, name: "bpf_rb_root", struct: "bpf_rb_root", repeats: true },
  rbNode: { size: 32, align: 8, name: "bpf_rb_node", struct: "bpf_rb_node" },
  refcount: { size: 4, align: 4, name: "bpf_refcount", struct: "bpf_refcount", unique: true },
  kptrUnref: { size: 8, align: 8, name: "kptr", repeats: true },
  kptrRef: { size: 8, align: 8, name: "kptr", repeats: true },
  kptrPercpu: { size: 8, align: 8, name: "percpu_kptr", repeats: true },
  uptr: { size: 8, align: 8, name: "uptr", repeats: true },
} as const satisfies Record<string, FieldKindRow>;

/** A special field of a record. */
export interface SpecialField {
  readonly kind: FieldKind;
  /** Bytes from the start of the value. */
  readonly offset: number;
  readonly size: number;
  /** Kptrs: what it points to; `btf` is a number as in `env.btfs`. */
  readonly kptr?: { readonly btf: number; readonly type: number };
  /** List heads and tree roots: structure of the elements (program BTF) and where their node lies. */
  readonly root?: { readonly valueType: number; readonly nodeOffset: number };
}

/** Special fields of a type, by offset: `struct btf_record`. */
export interface BtfRecord {
  readonly fields: readonly SpecialField[];
  /** Offset of the only field of the kind; -1: none. */
  readonly spinLock: number;
  readonly resSpinLock: number;
  readonly timer: number;
  readonly workqueue: number;
  readonly taskWork: number;
  readonly refcount: number;
}

/** Kinds that a map's value may hold. @see kernel/bpf/syscall.c `map_check_btf` @ v6.18 */
const MAP_KINDS: readonly FieldKind[] = [
  "spinLock", "resSpinLock", "timer", "workqueue", "taskWork", "listHead", "rbRoot", "refcount",
  "kptrUnref", "kptrRef", "kptrPercpu", "uptr",
]; // biome-ignore format: one list
/** Kinds that an allocated object may hold. @see kernel/bpf/btf.c `btf_parse_struct_metas` @ v6.18 */
const OBJECT_KINDS: readonly FieldKind[] = [
  "spinLock",
  "resSpinLock",
  "listHead",
  "listNode",
  "rbRoot",
  "rbNode",
  "refcount",
  "kptrUnref",
  "kptrRef",
  "kptrPercpu",
];

/** `BTF_FIELDS_MAX` */
const MAX_FIELDS = 11;
/** `MAX_RESOLVE_DEPTH` */
const MAX_DEPTH = 32;
/** Number of the program's own BTF in `env.btfs`. */
const PROGRAM = 1;

/** Where kptr targets are looked up: the kernel's BTF, then the modules'. Numbers as in `env.btfs`. */
export type KernelIndexes = readonly (BtfIndex | undefined)[];

/** Special fields of a map value of type `type` in the program's BTF; undefined: none, or the kernel would refuse them. */
export function recordOfValue(
  btf: Btf,
  type: number,
  valueSize: number,
  kernel: KernelIndexes,
): BtfRecord | undefined {
  const resolved = btf.types[type]?.kind === "datasec" ? type : skipModifiers(btf, type);
  return parse(new Finder(btf, MAP_KINDS, kernel), resolved, valueSize);
}

/**
 * Special fields of structure `type` of the program's BTF, which `bpf_obj_new` could make; undefined: none of its members
 * is one.
 */
export function recordOfObject(btf: Btf, type: number, kernel: KernelIndexes): BtfRecord | undefined {
  const struct = btf.types[type];
  if (struct?.kind !== "struct" || !struct.members.some((member) => isSpecialType(btf, member.type)))
    return undefined;
  return parse(new Finder(btf, OBJECT_KINDS, kernel), type, struct.size);
}

function isSpecialType(btf: Btf, id: number): boolean {
  const type = btf.types[id];
  if (type === undefined) return false;
  if (type.kind === "struct")
    return OBJECT_KINDS.some((kind) => (FIELD_KINDS[kind] as FieldKindRow).struct === type.name);
  return kptrKind(btf, type) !== undefined;
}

function parse(finder: Finder, type: number, valueSize: number): BtfRecord | undefined {
  if (!finder.findIn(type, 0)) return undefined;
  const fields = finder.fields.sort((a, b) => a.offset - b.offset);
  if (fields.length === 0) return undefined;
  let next = 0;
  for (const field of fields) {
    if (field.offset < next || field.offset + field.size > valueSize) return undefined;
    next = field.offset + field.size;
  }
  const offsetOf = (kind: FieldKind): number => fields.find((field) => field.kind === kind)?.offset ?? -1;
  return {
    fields,
    spinLock: offsetOf("spinLock"),
    resSpinLock: offsetOf("resSpinLock"),
    timer: offsetOf("timer"),
    workqueue: offsetOf("workqueue"),
    taskWork: offsetOf("taskWork"),
    refcount: offsetOf("refcount"),
  };
}

/** The field at exactly this offset. `btf_record_find` */
export function fieldAt(record: BtfRecord | undefined, offset: number): SpecialField | undefined {
  return record?.fields.find((field) => field.offset === offset);
}

/** The field is a pointer to a kernel or program object. */
export function isKptr(field: SpecialField): boolean {
  return field.kind === "kptrRef" || field.kind === "kptrUnref" || field.kind === "kptrPercpu";
}

class Finder {
  readonly fields: SpecialField[] = [];
  private readonly btf: Btf;
  private readonly kinds: readonly FieldKind[];
  private readonly kernel: KernelIndexes;
  private readonly seen = new Set<FieldKind>();
  private ownIndex: BtfIndex | undefined;

  constructor(btf: Btf, kinds: readonly FieldKind[], kernel: KernelIndexes) {
    this.btf = btf;
    this.kinds = kinds;
    this.kernel = kernel;
  }

  /** False: the kernel refuses the type. */
  findIn(id: number, depth: number): boolean {
    const type = this.btf.types[id];
    if (depth >= MAX_DEPTH || type === undefined) return false;
    if (type.kind === "struct" || type.kind === "union") {
      return type.members.every((member, i) =>
        this.findOne(id, member.type, i, member.bitOffset / 8, 0, depth),
      );
    }
    if (type.kind !== "datasec") return true;
    return type.vars.every((variable) => {
      const target = this.btf.types[variable.type];
      return (
        target?.kind !== "var" ||
        this.findOne(variable.type, target.type, -1, variable.offset, variable.size, depth)
      );
    });
  }

  private findOne(
    parent: number,
    start: number,
    component: number,
    offset: number,
    size: number,
    depth: number,
  ): boolean {
    let id = start;
    let count = 1;
    for (let i = 0; i < MAX_DEPTH; i++) {
      const type = this.btf.types[id];
      if (type?.kind !== "array") break;
      count *= type.length;
      id = type.type;
    }
    if (count === 0) return true;
    const type = this.btf.types[id];
    if (type === undefined) return false;
    const kind = this.kindOf(type);
    if (kind === undefined) {
      if (!isStruct(type) || (size > 0 && size !== type.size * count)) return true;
      return this.nested(id, type.size, offset, count, depth);
    }
    if (kind === "bad") return false;
    const row: FieldKindRow = FIELD_KINDS[kind];
    if (row.unique) {
      if (this.seen.has(kind)) return false;
      this.seen.add(kind);
    }
    if ((size > 0 && size !== row.size * count) || offset % row.align !== 0) return true;
    if (row.struct !== undefined && isStruct(type) && type.size !== row.size) return true;
    const field = this.complete(kind, type, offset, row.size, parent, component);
    if (field === undefined || (count > 1 && !row.repeats)) return false;
    if (this.fields.length + count > MAX_FIELDS) return false;
    for (let i = 0; i < count; i++) this.fields.push({ ...field, offset: offset + i * row.size });
    return true;
  }

  private nested(id: number, elemSize: number, offset: number, count: number, depth: number): boolean {
    const first = this.fields.length;
    if (!this.findIn(id, depth + 1)) return false;
    const found = this.fields.splice(first);
    if (found.length === 0) return true;
    if (count > 1 && found.some((field) => !(FIELD_KINDS[field.kind] as FieldKindRow).repeats)) return false;
    if (first + found.length * count > MAX_FIELDS) return false;
    for (let i = 0; i < count; i++) {
      for (const field of found) this.fields.push({ ...field, offset: field.offset + offset + i * elemSize });
    }
    return true;
  }

  private kindOf(type: BtfType): FieldKind | "bad" | undefined {
    if (isStruct(type))
      return this.kinds.find((kind) => (FIELD_KINDS[kind] as FieldKindRow).struct === type.name);
    const kind = kptrKind(this.btf, type);
    return kind === "bad" || kind === undefined || this.kinds.includes(kind) ? kind : "bad";
  }

  private complete(
    kind: FieldKind,
    type: BtfType,
    offset: number,
    size: number,
    parent: number,
    component: number,
  ): SpecialField | undefined {
    if (kind === "listHead" || kind === "rbRoot") {
      const root = this.rootOf(parent, component, kind === "listHead" ? "bpf_list_node" : "bpf_rb_node");
      return root && { kind, offset, size, root };
    }
    if (kind === "kptrRef" || kind === "kptrUnref" || kind === "kptrPercpu" || kind === "uptr") {
      const kptr = this.targetOf(type, kind);
      return kptr && { kind, offset, size, kptr };
    }
    return { kind, offset, size };
  }

  /** `__contains(type, member)`: a declaration tag `contains:type:member`. */
  private rootOf(parent: number, component: number, nodeName: string): SpecialField["root"] {
    const { types } = this.btf;
    let tag: string | undefined;
    for (const type of types) {
      if (type.kind !== "decl_tag" || type.type !== parent || type.componentIndex !== component) continue;
      if (type.name.startsWith("contains:")) tag = type.name.slice("contains:".length);
    }
    if (tag === undefined) return undefined;
    const colon = tag.indexOf(":");
    if (colon < 0) return undefined;
    this.ownIndex ??= new BtfIndex(this.btf);
    const valueType = this.ownIndex.find(tag.slice(0, colon), "struct");
    const struct = valueType === undefined ? undefined : types[valueType];
    if (valueType === undefined || struct?.kind !== "struct") return undefined;
    const member = struct.members.find((candidate) => candidate.name === tag.slice(colon + 1));
    const node = member && types[member.type];
    if (member === undefined || node?.kind !== "struct" || node.name !== nodeName) return undefined;
    return { valueType, nodeOffset: member.bitOffset / 8 };
  }

  private targetOf(type: BtfType, kind: FieldKind): SpecialField["kptr"] {
    const pointer = type.kind === "volatile" ? this.btf.types[type.type] : type;
    if (pointer?.kind !== "ptr") return undefined;
    const id = skipModifiers(this.btf, pointer.type);
    const target = this.btf.types[id];
    if (!isStruct(target)) return undefined;
    if (kind === "uptr") return { btf: PROGRAM, type: id };
    for (let number = 0; number < this.kernel.length; number++) {
      if (number === PROGRAM) continue;
      const found = this.kernel[number]?.find(target.name, target.kind);
      if (found !== undefined) return { btf: number, type: found };
    }
    return { btf: PROGRAM, type: id };
  }
}

/** The kptr a pointer type is tagged as; "bad": tagged with something else, which the kernel refuses in a value. */
function kptrKind(
  btf: Btf,
  type: BtfType,
): "kptrUnref" | "kptrRef" | "kptrPercpu" | "uptr" | "bad" | undefined {
  const pointer = type.kind === "volatile" ? btf.types[type.type] : type;
  if (pointer?.kind !== "ptr") return undefined;
  const tag = btf.types[pointer.type];
  if (tag?.kind !== "type_tag") return undefined;
  if (btf.types[tag.type]?.kind === "type_tag") return "bad";
  switch (tag.name) {
    case "kptr_untrusted":
      return "kptrUnref";
    case "kptr":
      return "kptrRef";
    case "percpu_kptr":
      return "kptrPercpu";
    case "uptr":
      return "uptr";
    default:
      return "bad";
  }
}
