// Types of what the kernel says of objects that are loaded, by whomever.
import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../abi/index.ts";
import type { Link } from "./attach.ts";
import type { LinuxCollection, LinuxMapPort, LinuxProgramPort } from "./linux-kernel.ts";

/** A process that holds a descriptor of an object. */
export interface ObjectOwner {
  readonly pid: number;
  readonly command: string;
}

/** A loaded program: `struct bpf_prog_info`. */
export interface ProgramInfo {
  readonly id: number;
  /** Undefined for types that are newer than this library; see {@link typeId}. */
  readonly type: ProgramTypeName | undefined;
  readonly typeId: number;
  /** The function's whole name where the program has BTF, else its first 15 characters. */
  readonly name: string;
  /** SHA digest of the instructions, 16 hex digits. */
  readonly tag: string;
  readonly gplCompatible: boolean;
  readonly loadedAt: Date;
  readonly uid: number;
  readonly mapIds: readonly number[];
  /** 0: none. */
  readonly btfId: number;
  readonly xlatedBytes: number;
  /** 0: not compiled to machine code. */
  readonly jitedBytes: number;
  /** Bytes of kernel memory. */
  readonly memoryBytes: number;
  /** Instructions that the verifier looked at (Linux 5.16). */
  readonly verifiedInsns: number;
  /** Counted while statistics are on ({@link LinuxInspection.enableStats}), 0 otherwise. */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  readonly recursionMisses: bigint;
}

/** A map: `struct bpf_map_info`. */
export interface MapInfo {
  readonly id: number;
  readonly type: MapTypeName | undefined;
  readonly typeId: number;
  /** At most 15 characters. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly mapExtra: bigint;
  readonly btfId: number;
  /** BTF ids of the key's and value's types, 0: none. */
  readonly keyType: number;
  readonly valueType: number;
  readonly memoryBytes: number;
  readonly frozen: boolean;
}

/** A link: `struct bpf_link_info`. */
export interface LinkInfo {
  readonly id: number;
  /** `"xdp"`, `"tracing"`, `"perf_event"` … as bpftool names them; `"type 99"` for newer ones. */
  readonly type: string;
  /** 0: none (struct_ops). */
  readonly programId: number;
  readonly attachType: AttachTypeName | undefined;
  /** For people: `"eth0"`, `"tracepoint sched_switch"`. */
  readonly target: string;
  /** What the kernel says, by its own names: `{ ifindex: 2 }`. */
  readonly details: Readonly<Record<string, string | number | bigint>>;
}

/** How an object is named: its id, its name (if one object only has it), or where it is pinned. */
export type ObjectReference = { readonly id: number } | { readonly name: string } | { readonly pin: string };

/** Whether the kernel, with these privileges, takes something. */
export interface FeatureReport {
  readonly kernel: string;
  readonly arch: string;
  readonly cpus: number;
  readonly capabilities: { readonly held: readonly string[]; readonly missing: readonly string[] };
  /** Settings that decide who may do what; undefined where they cannot be read. */
  readonly sysctls: Readonly<Record<string, number | undefined>>;
  readonly btf: { readonly vmlinux: boolean; readonly modules: number };
  readonly programTypes: readonly TypeFeature<ProgramTypeName>[];
  readonly mapTypes: readonly TypeFeature<MapTypeName>[];
  /** What else is probed: `"bpf-cookie"`, `"uprobe-multi"` … */
  readonly features: Readonly<Record<string, boolean>>;
  /** Means of attaching that need more than a program type. */
  readonly attach: readonly { readonly kind: string; readonly available: boolean; readonly cure?: string }[];
  /** Places that pinning and tracing need. */
  readonly filesystems: readonly {
    readonly path: string;
    readonly mounted: boolean;
    readonly cure?: string;
  }[];
}

export interface TypeFeature<Name extends string> {
  readonly type: Name;
  readonly available: boolean;
  /** First mainline kernel that has it. */
  readonly since: string;
  /** What the kernel answered, where it refused. */
  readonly errno?: string;
}

/** Looking at, and opening, what is loaded. Needs CAP_SYS_ADMIN, as ids do. */
export interface LinuxInspection {
  /** All loaded programs by id. @throws BpfError `linux/no-permission`. */
  programs(): IterableIterator<ProgramInfo>;
  maps(): IterableIterator<MapInfo>;
  links(): IterableIterator<LinkInfo>;
  /** Who holds programs, maps and links, from /proc; only what this user may see there. Pins have no owner. */
  owners(): {
    readonly programs: ReadonlyMap<number, readonly ObjectOwner[]>;
    readonly maps: ReadonlyMap<number, readonly ObjectOwner[]>;
    readonly links: ReadonlyMap<number, readonly ObjectOwner[]>;
  };
  /** A map of anybody's, with the BTF it was made with. @throws BpfError `linux/not-found` with near names, `linux/ambiguous`. */
  openMap(reference: ObjectReference): LinuxMapPort & Disposable;
  openProgram(reference: ObjectReference): LinuxProgramPort & Disposable;
  /** Closing it detaches only when nobody else and no pin holds it; {@link LinuxInspection.detach} does in any case. */
  openLink(reference: { readonly id: number } | { readonly pin: string }): Link;
  /** Detaches a link that others hold (Linux 5.9). @throws BpfError `linux/unsupported` for kinds that only end with their descriptors. */
  detach(reference: { readonly id: number } | { readonly pin: string }): void;
  /**
   * Pins programs below a directory of a bpf filesystem, maps with data in its `maps`; makes the directories. All or
   * nothing; the paths. @throws BpfError `linux/…`.
   */
  pinAll(collection: LinuxCollection, directory: string): readonly string[];
  /** Removes a pin; its object ends when nobody else holds it. @throws BpfError `linux/not-found`, `linux/invalid` for what is no pin. */
  unpin(path: string): void;
  /** Counts run time and runs of all programs until closed (Linux 5.8). */
  enableStats(): Disposable;
  /** Asks the kernel what it takes. */
  features(): FeatureReport;
  /** Names of helpers that a program of the type may call here. */
  helpersOf(type: ProgramTypeName): readonly string[];
}
