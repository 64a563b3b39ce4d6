import { ATTACH_TYPE_SINCE, MAP_TYPES } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import {
  type Btf,
  type BtfMember,
  type BtfTypeOf,
  essentialName,
  resolveType,
  trySizeOf,
} from "../../btf/index.ts";
import type { MapSpec, StructOpsSpec } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import type { LinuxProgram } from "../program.ts";
import type { Fd } from "../sys/index.ts";
import { orTooOld } from "../too-old.ts";
import type { KernelBtf } from "./kernel-facts.ts";

const BPF_F_LINK = 1 << 13;
const BPF_F_VTYPE_BTF_OBJ_FD = 1 << 15;

/** A `.struct_ops` variable in the kernel: a map with one value, which becomes active when it is attached. */
export class StructOpsMap extends LinuxMap {
  /** Attached through a link (Linux 6.4), or by writing the value. */
  readonly link: boolean;
  /** The kernel's form of the variable, with descriptors of its programs once they are loaded. */
  readonly value: Uint8Array;
  private readonly slots: readonly { readonly program: string; readonly offset: number }[];

  constructor(
    context: LinuxContext,
    variable: StructOpsSpec,
    layout: KernelLayout,
    handle: Fd,
    spec: MapSpec,
  ) {
    super(context, spec, undefined, handle);
    this.link = variable.link;
    this.value = layout.value;
    this.slots = layout.slots;
  }

  /** Puts the programs' descriptors into the value. */
  fill(programs: ReadonlyMap<string, LinuxProgram>): void {
    const view = new DataView(this.value.buffer);
    for (const { program, offset } of this.slots) {
      view.setBigUint64(offset, BigInt(programs.get(program)?.fd ?? 0), true);
    }
  }
}

interface KernelLayout {
  /** `struct bpf_struct_ops_NAME`: its id, where it lies, its bytes. */
  readonly btf: KernelBtf;
  readonly valueType: number;
  readonly value: Uint8Array;
  readonly slots: readonly { readonly program: string; readonly offset: number }[];
}

/**
 * Creates the map of a struct_ops variable: its members laid out as the running kernel has them.
 * @throws BpfError `linux/no-struct-ops` for a struct or member that the kernel does not have, `linux/…`.
 */
export function createStructOps(
  context: LinuxContext,
  variable: StructOpsSpec,
  btf: Btf,
  btfFd: Fd | undefined,
): StructOpsMap {
  const layout = kernelLayout(context, variable, btf);
  const module = layout.btf.fd;
  const spec: MapSpec = {
    name: variable.name,
    type: "BPF_MAP_TYPE_STRUCT_OPS",
    keySize: 4,
    valueSize: layout.value.length,
    maxEntries: 1,
    flags: (variable.link ? BPF_F_LINK : 0) | (module === undefined ? 0 : BPF_F_VTYPE_BTF_OBJ_FD),
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: 0,
    inner: undefined,
    values: [],
    data: undefined,
    section: variable.link ? ".struct_ops.link" : ".struct_ops",
    variables: [],
    frozen: false,
  };
  return new StructOpsMap(
    context,
    variable,
    layout,
    createFd(context, spec, layout, { btfFd, module }),
    spec,
  );
}

function createFd(
  context: LinuxContext,
  spec: MapSpec,
  layout: KernelLayout,
  fds: { readonly btfFd: Fd | undefined; readonly module: Fd | undefined },
): Fd {
  const doing = `creating struct_ops '${spec.name}'`;
  try {
    return context.sys.bpfFd(
      "BPF_MAP_CREATE",
      {
        mapType: MAP_TYPES[spec.type].id,
        keySize: 4,
        valueSize: spec.valueSize,
        maxEntries: 1,
        mapFlags: spec.flags,
        mapName: spec.name,
        btfFd: fds.btfFd,
        btfVmlinuxValueTypeId: layout.valueType,
        valueTypeBtfObjFd: fds.module,
      },
      { doing, what: `struct_ops '${spec.name}'`, needs: ["CAP_BPF", "CAP_PERFMON"], subject: spec.name },
    );
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw orTooOld(context.facts, error, doing, [
      spec.flags & BPF_F_LINK ? ATTACH_TYPE_SINCE.BPF_STRUCT_OPS : undefined,
    ]);
  }
}

function kernelLayout(context: LinuxContext, variable: StructOpsSpec, btf: Btf): KernelLayout {
  const name = essentialName(variable.structName);
  const struct = context.facts.findType(name, "struct");
  const wrapper = struct && context.facts.findType(`bpf_struct_ops_${name}`, "struct", struct.btf.name);
  const types = wrapper?.btf.index.btf;
  const value = wrapper && types?.types[wrapper.id];
  const place = value?.kind === "struct" ? value.members.find(({ type }) => type === struct?.id) : undefined;
  const kernelStruct = struct && types?.types[struct.id];
  if (
    !wrapper ||
    types === undefined ||
    value?.kind !== "struct" ||
    !place ||
    kernelStruct?.kind !== "struct"
  ) {
    throw missing(variable, `this kernel (${context.facts.version}) has no struct_ops '${name}'`);
  }
  const bytes = new Uint8Array(value.size);
  const slots: { program: string; offset: number }[] = [];
  const own = btf.types[variable.type] as BtfTypeOf<"struct" | "union">; // readStructOps checked it
  for (const member of own.members) {
    const start = member.bitOffset / 8;
    const size = trySizeOf(btf, member.type) ?? 0;
    const data = variable.data.subarray(start, start + size);
    const func = variable.funcs.find(({ offset }) => offset === start);
    const there = kernelStruct.members.find(({ name }) => name === essentialName(member.name));
    if (there === undefined) {
      if (func === undefined && data.every((byte) => byte === 0)) continue;
      throw missing(variable, `struct ${name} of this kernel has no member '${member.name}'`);
    }
    const at = (place.bitOffset + there.bitOffset) / 8;
    if (func !== undefined) {
      slots.push({ program: func.program, offset: at });
      continue;
    }
    if (!sameForm(btf, member, types, there)) {
      throw missing(variable, `member '${member.name}' of struct ${name} has another type in this kernel`);
    }
    bytes.set(data, at);
  }
  return { btf: wrapper.btf, valueType: wrapper.id, value: bytes, slots };
}

/** Copying the bytes keeps their meaning. */
function sameForm(btf: Btf, member: BtfMember, kernel: Btf, there: BtfMember): boolean {
  const own = btf.types[resolveType(btf, member.type)];
  const other = kernel.types[resolveType(kernel, there.type)];
  return (
    own.kind === other.kind &&
    member.bitSize === there.bitSize &&
    trySizeOf(btf, member.type) === trySizeOf(kernel, there.type)
  );
}

function missing(variable: StructOpsSpec, why: string): BpfError {
  return new BpfError("linux/no-struct-ops", `struct_ops '${variable.name}': ${why}`, {
    subject: variable.name,
    errno: "ENOTSUPP",
    hint: "the kernel may need a newer version, another configuration or a module",
  });
}
