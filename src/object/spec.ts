import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../abi/index.ts";
import type { Btf, CoreRelocation } from "../btf/index.ts";

/** All that an object file (or a compiler) says, before any kernel has seen it. Plain, serialisable data. */
export interface CollectionSpec {
  /** In the order of the object file. */
  readonly programs: readonly ProgramSpec[];
  /** Declared maps and one map for each `.data* .rodata* .bss* .kconfig` section. */
  readonly maps: readonly MapSpec[];
  readonly externs: readonly ExternSpec[];
  readonly structOps: readonly StructOpsSpec[];
  readonly btf: Btf | undefined;
  /** The `license` section; `""` when the object has none. */
  readonly license: string;
  /** The `version` section (LINUX_VERSION_CODE), 0 when absent. */
  readonly kernelVersion: number;
  readonly byteOrder: "little" | "big";
}

export interface ProgramSpec {
  /** The function's symbol. */
  readonly name: string;
  /** The SEC() string without a leading `?`, such as `"xdp.frags/devmap"`; `""` for a program that came from no object. */
  readonly section: string;
  /** Undefined: the section name says nothing (libbpf's BPF_PROG_TYPE_UNSPEC); the user has to name the type. */
  readonly type: ProgramTypeName | undefined;
  readonly attachType: AttachTypeName | undefined;
  /** What follows the `/` of the section name: function, tracepoint, hook. */
  readonly attachTo: string | undefined;
  readonly flags: ProgramFlags;
  /** `?` in the section name: not loaded unless asked for. */
  readonly autoload: boolean;
  /** Instructions, 8 bytes a slot, host byte order of the object; subprograms appended behind the entry function. */
  readonly insns: Uint8Array;
  /** What in `insns` still names something: sorted by slot. A kernel resolves them at load. */
  readonly references: readonly Reference[];
  /** Slots are relative to `insns`. Applied with `applyCoreRelocations` before load. */
  readonly coreRelocations: readonly CoreRelocation[];
  /** Functions in `insns`: the entry first, then every appended subprogram. */
  readonly funcs: readonly FuncInfo[];
  readonly lines: readonly LineInfo[];
}

export interface ProgramFlags {
  /** `BPF_F_SLEEPABLE`: SEC("….s"). */
  readonly sleepable: boolean;
  /** `BPF_F_XDP_HAS_FRAGS`: SEC("xdp.frags…"). */
  readonly xdpFrags: boolean;
}

export interface FuncInfo {
  readonly name: string;
  /** First slot. */
  readonly insn: number;
  /** BTF id of the `func`; 0 without BTF. */
  readonly btfId: number;
  readonly linkage: "static" | "global";
}

export interface LineInfo {
  readonly insn: number;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

/** A symbolic operand. `insn` is the slot of the first half of a wide instruction, or of the call. */
export type Reference =
  /** `lddw dst, map`: BPF_PSEUDO_MAP_FD. */
  | { readonly kind: "map"; readonly insn: number; readonly map: string }
  /** `lddw dst, &map.value + offset`: BPF_PSEUDO_MAP_VALUE (globals, direct map values). */
  | { readonly kind: "map-value"; readonly insn: number; readonly map: string; readonly offset: number }
  /** `call kfunc`: BPF_PSEUDO_KFUNC_CALL, by extern name. */
  | { readonly kind: "kfunc"; readonly insn: number; readonly name: string; readonly weak: boolean }
  /** `lddw dst, &ksym`: typed (BPF_PSEUDO_BTF_ID) or typeless extern kernel symbol. */
  | {
      readonly kind: "ksym";
      readonly insn: number;
      readonly name: string;
      readonly weak: boolean;
      readonly typed: boolean;
    }
  /** `lddw dst, &func`: BPF_PSEUDO_FUNC; `target` is the slot of the function in `insns` (already in imm as an offset). */
  | { readonly kind: "func"; readonly insn: number; readonly target: number };

/** An `extern` variable or function: `.kconfig`, `.ksyms`. */
export interface ExternSpec {
  readonly name: string;
  readonly kind: "kconfig" | "ksym" | "kfunc";
  readonly weak: boolean;
  /** BTF id of the variable's type or the function's prototype; 0 without. */
  readonly btfId: number;
  /** kconfig: where in the `.kconfig` map the value lies. */
  readonly offset?: number;
  readonly size?: number;
}

export interface MapSpec {
  /** As a program names it: `"counts"`, `".rodata"`, `".data.config"`. */
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_* map creation flags. */
  readonly flags: number;
  readonly mapExtra: bigint;
  readonly numaNode: number;
  readonly pinning: "none" | "by-name";
  /** BTF ids of key and value types; 0: none. */
  readonly keyType: number;
  readonly valueType: number;
  /** Map-in-map: the template of the inner maps. */
  readonly inner: MapSpec | undefined;
  /** Declared initial slots: `key` is the array index, `value` the name of a map or program. */
  readonly values: readonly { readonly key: number; readonly map?: string; readonly program?: string }[];
  /** Globals: the section's bytes (for an arena: of `.addr_space.1`, its first bytes); undefined for other declared maps. */
  readonly data: Uint8Array | undefined;
  /** Section of a globals map (`".rodata.str1.1"`), or `".maps"` / `"maps"`. */
  readonly section: string;
  /** Globals: variables with offset and size, by name; empty without BTF and symbols. */
  readonly variables: readonly VariableSpec[];
  /** `.rodata*` and `.kconfig`: frozen after load. */
  readonly frozen: boolean;
}

export interface VariableSpec {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** BTF id of the type; 0 when unknown. */
  readonly type: number;
}

/** A `struct_ops` / `.struct_ops.link` variable: kernel struct name, data, and which members are programs. */
export interface StructOpsSpec {
  readonly name: string;
  readonly structName: string;
  readonly link: boolean;
  /** False for `?.struct_ops`: not created unless asked for. */
  readonly autoload: boolean;
  readonly type: number;
  readonly data: Uint8Array;
  readonly funcs: readonly { readonly member: string; readonly offset: number; readonly program: string }[];
}
