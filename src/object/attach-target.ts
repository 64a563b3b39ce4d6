import type { MapTypeName, ProgramTypeName } from "../abi/index.ts";
import { type BtfIndex, essentialName } from "../btf/index.ts";
import type { CollectionSpec, ProgramSpec } from "./spec.ts";

/** What a program is loaded for, in terms of a kernel's types. */
export interface AttachTarget {
  /** BTF id of the function, typedef or struct. */
  readonly attachBtfId?: number;
  /** Its name for people: `"do_unlinkat"`, `"tcp_congestion_ops/init"`. */
  readonly attachTo?: string;
  /** struct_ops: index of the member. */
  readonly structOpsMember?: number;
}

/** Name and kind of the type that a section's target stands for; undefined for programs that have none. */
export function targetType(
  program: Pick<ProgramSpec, "type" | "attachType">,
  target: string,
): { readonly name: string; readonly kind: "func" | "typedef" } | undefined {
  if (program.type === "BPF_PROG_TYPE_LSM") return { name: `bpf_lsm_${target}`, kind: "func" };
  if (program.type !== "BPF_PROG_TYPE_TRACING") return undefined;
  if (program.attachType === "BPF_TRACE_RAW_TP") return { name: `btf_trace_${target}`, kind: "typedef" };
  if (program.attachType === "BPF_TRACE_ITER") return { name: `bpf_iter_${target}`, kind: "func" };
  return { name: target, kind: "func" };
}

/** What the program is attached to, by BTF id: `libbpf_prepare_prog_load` and `bpf_object__init_struct_ops_maps`. */
export function attachTargetOf(
  spec: CollectionSpec,
  program: ProgramSpec & { readonly type: ProgramTypeName },
  kernel: BtfIndex | undefined,
): AttachTarget {
  const { attachTo } = program;
  if (program.type === "BPF_PROG_TYPE_STRUCT_OPS") return structOpsTarget(spec, program, kernel);
  const plain: AttachTarget = attachTo === undefined ? {} : { attachTo };
  if (attachTo === undefined || kernel === undefined) return plain;
  const wanted = targetType(program, attachTo);
  const id = wanted && kernel.find(wanted.name, wanted.kind);
  return id === undefined ? plain : { ...plain, attachBtfId: id };
}

function structOpsTarget(
  spec: CollectionSpec,
  program: ProgramSpec,
  kernel: BtfIndex | undefined,
): AttachTarget {
  for (const { structName, funcs } of spec.structOps) {
    const func = funcs.find((candidate) => candidate.program === program.name);
    if (func === undefined) continue;
    const name = essentialName(structName);
    const attachTo = `${name}/${func.member}`;
    const id = kernel?.find(name, "struct");
    const struct = id === undefined ? undefined : kernel?.btf.types[id];
    if (id === undefined || struct?.kind !== "struct") return { attachTo };
    const member = struct.members.findIndex((candidate) => candidate.name === essentialName(func.member));
    return member < 0 ? { attachTo } : { attachTo, attachBtfId: id, structOpsMember: member };
  }
  return program.attachTo === undefined ? {} : { attachTo: program.attachTo };
}

/** False for map types that are created without BTF types of key and value (`bpf_object__create_map` of libbpf). */
export function mapTakesBtf(type: MapTypeName): boolean {
  return !WITHOUT_BTF.has(type);
}

const WITHOUT_BTF: ReadonlySet<MapTypeName> = new Set([
  "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
  "BPF_MAP_TYPE_CGROUP_ARRAY",
  "BPF_MAP_TYPE_STACK_TRACE",
  "BPF_MAP_TYPE_ARRAY_OF_MAPS",
  "BPF_MAP_TYPE_HASH_OF_MAPS",
  "BPF_MAP_TYPE_DEVMAP",
  "BPF_MAP_TYPE_DEVMAP_HASH",
  "BPF_MAP_TYPE_CPUMAP",
  "BPF_MAP_TYPE_XSKMAP",
  "BPF_MAP_TYPE_SOCKMAP",
  "BPF_MAP_TYPE_SOCKHASH",
  "BPF_MAP_TYPE_QUEUE",
  "BPF_MAP_TYPE_STACK",
  "BPF_MAP_TYPE_ARENA",
]);

/** As libbpf marks uses of maps and calls of kernel functions that are not there; the index of map or extern is added. */
export const POISON_MAP = 2001000000;
export const POISON_KFUNC = 2002000000;
