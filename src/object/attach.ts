// One table of types: what a program can be attached to, and the link that holds it there.
import type { AttachTypeName } from "../abi/index.ts";
import type { BpfMap, Program } from "./kernel.ts";

/** An attachment. Closing it detaches, unless it was pinned; it is released with its kernel too. */
export interface Link extends Disposable, AsyncDisposable {
  readonly kind: AttachKind;
  /** Name of the program, or of the struct_ops map. */
  readonly program: string;
  /** `"eth0"`, `"tracepoint sched/sched_switch"`: for people. */
  readonly target: string;
  /** The kernel's link id; undefined for what has no link (legacy attachments). */
  readonly id: number | undefined;
  readonly closed: boolean;
  /** Puts another program in the place of this one, with no moment without. @throws BpfError `linux/unsupported` where the kernel cannot. */
  update(program: Program): void;
  /** Makes the attachment outlive this process. `path` lies in a bpf filesystem. @throws BpfError `linux/…`. */
  pin(path: string): void;
  /** Detaches now. Once is enough; again does nothing. */
  close(): void;
}

/** An iterator: nothing runs until it is read. */
export interface IterLink extends Link {
  /** Runs the program over all objects once; what it writes, as it comes. @throws BpfError `linux/…`. */
  read(): AsyncGenerator<Uint8Array, void, void>;
  /** All that one run writes, as UTF-8 text. @throws BpfError `linux/…`. */
  text(): Promise<string>;
}

/** Position among the programs of one hook (tcx, netkit, cgroup): Linux 6.6, for cgroup 6.17. */
export interface HookPosition {
  /** A link, a program, a program's id, or `"all"`: the first place. */
  readonly before?: Link | Program | number | "all";
  /** As `before`; `"all"`: the last place, which is the default. */
  readonly after?: Link | Program | number | "all";
  /** Refuse (ESTALE) when the list of programs changed since this revision. */
  readonly expectedRevision?: bigint;
}

/** A network interface: name or index; index is in the network namespace of the calling process. */
export type InterfaceRef = string | number;
/** An open file of the caller's: its descriptor. */
export type FileDescriptor = number;
/** Value that the program reads with `bpf_get_attach_cookie`. */
export type Cookie = bigint | number;

/** What to attach a program to, by kind. */
export interface AttachTargets {
  /** Link-based XDP: Linux 5.9; `legacy` attaches through netlink as older ones need. */
  xdp: {
    readonly interface: InterfaceRef;
    /** Default: native where the driver has it, else generic. */
    readonly mode?: "native" | "generic" | "offload";
    readonly legacy?: boolean;
    /** Legacy: replace what is attached. */
    readonly replace?: boolean;
  };
  /** Linux 6.6. */
  tcx: HookPosition & { readonly interface: InterfaceRef; readonly direction?: "ingress" | "egress" };
  /** clsact filter through netlink; taken off when the link closes. */
  tc: {
    readonly interface: InterfaceRef;
    readonly direction?: "ingress" | "egress";
    readonly priority?: number;
    readonly handle?: number;
    readonly replace?: boolean;
  };
  /** Linux 6.7. */
  netkit: HookPosition & { readonly interface: InterfaceRef; readonly peer?: boolean };
  cgroup: HookPosition & {
    /** Path of a cgroup v2 directory, or an open descriptor of it. */
    readonly cgroup: string | FileDescriptor;
    /** Default: the program's own. */
    readonly attachType?: AttachTypeName;
    /** Without a link (BPF_PROG_ATTACH), as before Linux 5.7; `"multi"`: several; `"override"`: child cgroups may override. */
    readonly legacy?: "multi" | "override" | "exclusive";
  };
  "socket-filter": { readonly socket: FileDescriptor };
  reuseport: { readonly socket: FileDescriptor };
  /** `netns`: path such as `/run/netns/a`, a descriptor; default: this process's. Linux 5.9. */
  "sk-lookup": { readonly netns?: string | FileDescriptor };
  "flow-dissector": { readonly netns?: string | FileDescriptor };
  /** Parser and verdict programs of a sockmap or sockhash. */
  sockmap: { readonly map: BpfMap; readonly attachType?: AttachTypeName };
  tracepoint: { readonly category: string; readonly name: string; readonly cookie?: Cookie };
  "raw-tracepoint": { readonly name: string; readonly cookie?: Cookie };
  /** tp_btf, fentry, fexit, fmod_ret and LSM programs: where was said when they were loaded. */
  trace: { readonly cookie?: Cookie };
  kprobe: {
    /** Function, or address. */
    readonly function?: string;
    readonly address?: bigint;
    /** Bytes behind the function's start. */
    readonly offset?: number;
    readonly retprobe?: boolean;
    readonly cookie?: Cookie;
    /** The function is a system call by its plain name (`"openat"`). */
    readonly syscall?: boolean;
  };
  "kprobe-multi": {
    /** Functions; or one pattern with `*` and `?`. */
    readonly functions?: readonly string[];
    readonly pattern?: string;
    readonly addresses?: readonly bigint[];
    readonly cookies?: readonly Cookie[];
    readonly retprobe?: boolean;
    /** Linux 6.10. */
    readonly session?: boolean;
  };
  uprobe: {
    /**
     * Path of an ELF file; or the name of a library (`"libc.so.6"`) or program (`"bash"`), looked for as the loader and the
     * shell do. With `pid`, a library that the process has mapped comes first.
     */
    readonly binary: string;
    /** Name, `NAME@VERSION` or `NAME@@VERSION`. */
    readonly function?: string;
    /** File offset; behind `function` when both are given. */
    readonly offset?: number | bigint;
    /** Only this process, of which perf events see the first thread only (`uprobe-multi` sees all); default: all. */
    readonly pid?: number;
    readonly retprobe?: boolean;
    readonly cookie?: Cookie;
    /** File offset of a semaphore to count up while attached. */
    readonly refCounter?: number | bigint;
  };
  /** Linux 6.6. */
  "uprobe-multi": {
    readonly binary: string;
    readonly functions?: readonly string[];
    readonly pattern?: string;
    readonly offsets?: readonly (number | bigint)[];
    readonly refCounters?: readonly (number | bigint)[];
    readonly cookies?: readonly Cookie[];
    readonly pid?: number;
    readonly retprobe?: boolean;
    /** Linux 6.13. */
    readonly session?: boolean;
  };
  /** Needs the maps of bpf/usdt.bpf.h in the program; before Linux 5.15, libraries need a `pid`. */
  usdt: {
    readonly binary: string;
    readonly provider: string;
    readonly name: string;
    readonly pid?: number;
    readonly cookie?: Cookie;
  };
  "perf-event": {
    /** An open perf event of the caller's; or `event` opens one for each CPU. */
    readonly perfEvent?: FileDescriptor;
    readonly event?: PerfEventName | { readonly type: number; readonly config: bigint };
    /** Samples a second; or one every `period` events. */
    readonly frequency?: number;
    readonly period?: number;
    /** Only this process; default: all. */
    readonly pid?: number;
    /** Only these CPUs; default: all. */
    readonly cpus?: readonly number[];
    readonly cookie?: Cookie;
  };
  /** The link is an {@link IterLink}. */
  iter: {
    readonly map?: BpfMap;
    readonly pid?: number;
    readonly tid?: number;
    readonly cgroup?: string | FileDescriptor;
    readonly cgroupOrder?: "self-only" | "descendants-pre" | "descendants-post" | "ancestors-up";
  };
  /** Linux 6.4. */
  netfilter: {
    readonly family?: "ipv4" | "ipv6";
    readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
    /** -2147483647 to 2147483646. */
    readonly priority?: number;
    readonly defrag?: boolean;
  };
  /** The map of a `.struct_ops` or `.struct_ops.link` variable. */
  "struct-ops": { readonly map?: BpfMap };
  /** Replaces a function of a loaded program. */
  freplace: { readonly program: Program; readonly function: string; readonly cookie?: Cookie };
}
export type AttachKind = keyof AttachTargets;

/** Software and hardware events by the names `perf list` has. */
export type PerfEventName =
  | "cpu-clock"
  | "task-clock"
  | "page-faults"
  | "context-switches"
  | "cpu-migrations"
  | "cycles"
  | "instructions"
  | "cache-references"
  | "cache-misses"
  | "branches"
  | "branch-misses";

/** Where to attach: `{ kind: "xdp", interface: "eth0" }`. */
export type AttachOptions = {
  [Kind in AttachKind]: { readonly kind: Kind } & AttachTargets[Kind];
}[AttachKind];
