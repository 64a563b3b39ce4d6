import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../abi/index.ts";
import type { Btf } from "../btf/index.ts";
import type { AttachOptions, Link } from "./attach.ts";
import type { CollectionSpec, MapSpec, ProgramSpec } from "./spec.ts";

/**
 * The port at which everything meets: a kernel turns specs into live objects. Implemented by the embedded kernel
 * (`runtime/`) and by Linux (`linux/`); a feature one of them lacks is a typed error, never a silent no-op.
 */
export interface Kernel extends Disposable {
  readonly kind: "embedded" | "linux";
  readonly numCpus: number;
  /** Creates the maps, resolves references and CO-RE relocations, loads the programs. All or nothing. */
  load(spec: CollectionSpec, options?: LoadOptions): Promise<Collection>;
}

export interface LoadOptions {
  /** Values for global variables by name (`const volatile` or not), before the programs are loaded. */
  readonly globals?: Readonly<Record<string, GlobalValue>>;
  /** Load only these programs; default: all with `autoload`. */
  readonly programs?: readonly string[];
  /** Target of CO-RE relocations; default: the kernel's own, or the object's own types where there is none. */
  readonly targetBtf?: Btf;
  /** Per map: replaces `max_entries`. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Per map: replaces `value_size`, where an object leaves it to its loader (stack traces). */
  readonly valueSizes?: Readonly<Record<string, number>>;
  /** Values for `.kconfig` externs, such as `{ CONFIG_HZ: 1000 }`. */
  readonly kconfig?: Readonly<Record<string, GlobalValue>>;
  /** Per program: a loaded program and the function of it that `freplace` replaces or `fentry`, `fexit` trace. Linux only. */
  readonly targets?: Readonly<Record<string, { readonly program: Program; readonly function: string }>>;
  /** Struct_ops variables to create, by name; default: all with `autoload`. Linux only. */
  readonly structOps?: readonly string[];
}

/** Numbers, text (for char arrays), booleans and raw bytes; arrays and records for aggregates. */
export type GlobalValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | readonly GlobalValue[]
  | { readonly [member: string]: GlobalValue };

export interface Collection extends Disposable {
  readonly programs: ReadonlyMap<string, Program>;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly spec: CollectionSpec;
  /**
   * Attaches every program whose section name says where, and struct_ops variables, in the order of the object. Programs
   * whose section does not say it are left alone. All or nothing. @throws BpfError `linux/…`.
   */
  attachAll(): readonly Link[];
}

export interface Program {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  readonly spec: ProgramSpec;
  /** BPF_PROG_TEST_RUN's contract: same inputs, same outputs, same errno as bpf(2). */
  run(input?: RunInput): RunResult;
  /**
   * Attaches the program; without `options` to what its section name says. @throws BpfError `linux/…`; the embedded
   * kernel has nothing to attach to and says so (`runtime/no-attach`).
   */
  attach(options?: AttachOptions): Link;
}

export interface RunInput {
  /** Packet (from the Ethernet header) for networking types. */
  readonly data?: Uint8Array;
  /** Context in UAPI layout: `xdp_md`, `__sk_buff`, `bpf_sk_lookup`, tracepoint record, raw tracepoint args … */
  readonly ctx?: Uint8Array;
  /** Runs one after the other on the same packet; default 1. */
  readonly repeat?: number;
  /** CPU the program believes to run on; default 0. */
  readonly cpu?: number;
  /** Instructions all repeats together may execute; default 1e9 per run. */
  readonly maxInsns?: number;
  /** BPF_F_TEST_* bits; default: those that `cpu` asks for. Linux only. */
  readonly flags?: number;
  /** XDP with BPF_F_TEST_XDP_LIVE_FRAMES (bit 1 of `flags`, Linux 5.18): packets a batch. Linux only. */
  readonly batchSize?: number;
}

export interface RunResult {
  /** Unsigned 32 bits, as bpf(2) gives it. */
  readonly retval: number;
  /** Packet after the (last) run. */
  readonly data?: Uint8Array;
  /** Context after the run. */
  readonly ctx?: Uint8Array;
  /** Mean wall time of one run, nanoseconds. */
  readonly durationNs: number;
  /** Instructions executed by all runs together; undefined where the engine does not count. */
  readonly insns?: number;
  /** What else the program asked for: redirect target, clones. Embedded kernel only. */
  readonly outcome?: RunOutcome;
}

/** Effects on packets that leave the program; recorded, since no device is attached. */
export interface RunOutcome {
  /** From `bpf_redirect*`, `bpf_redirect_map`: where the packet goes if the verdict is "redirect". */
  readonly redirect?: RedirectTarget;
  /** Copies sent by `bpf_clone_redirect`. */
  readonly clones: readonly { readonly data: Uint8Array; readonly target: RedirectTarget }[];
  /** Signals sent with `bpf_send_signal*`, oldest first. */
  readonly signals?: readonly SentSignal[];
  /** What `bpf_set_retval` would have the system call return. */
  readonly hookRetval?: number;
}

/** A signal that a program asked for; nobody receives it. */
export interface SentSignal {
  readonly signal: number;
  readonly to: "process" | "thread";
  /** Thread id; the process id when `to` is `"process"`. */
  readonly pid: number;
}

export interface RedirectTarget {
  readonly kind: "ifindex" | "devmap" | "cpumap" | "xskmap" | "socket";
  /** Interface index, CPU number, queue or socket cookie. */
  readonly index: number;
  readonly map?: string;
  /** `"ingress" | "egress" | "peer" | "neigh" | "broadcast"` where it matters. */
  readonly mode?: string;
}

/** `"any"` = BPF_ANY, `"noexist"` = BPF_NOEXIST, `"exist"` = BPF_EXIST; a number for other flag bits (BPF_F_LOCK …). */
export type UpdateFlag = "any" | "noexist" | "exist" | number;

/**
 * A live map with bpf(2)'s meaning: keys and values are bytes in memory order; a per-CPU value is `numCpus` values,
 * each rounded up to 8 bytes, one after the other.
 */
export interface BpfMap {
  readonly name: string;
  readonly id: number;
  readonly type: MapTypeName;
  readonly spec: MapSpec;
  /** CPUs that there can be: parts of a per-CPU value. */
  readonly numCpus: number;
  /** BTF that `spec.keyType` and `spec.valueType` refer to. */
  readonly btf: Btf | undefined;
  /** Undefined when there is no such key (ENOENT). @throws BpfError with `errno` for anything else. */
  lookup(key: Uint8Array): Uint8Array | undefined;
  /** @throws BpfError with `errno` EEXIST, ENOENT, E2BIG, EINVAL, EPERM. */
  update(key: Uint8Array, value: Uint8Array, flag?: UpdateFlag): void;
  /** False when there is no such key. @throws BpfError with `errno` EINVAL where the type forbids deleting. */
  delete(key: Uint8Array): boolean;
  lookupAndDelete(key: Uint8Array): Uint8Array | undefined;
  /** The key after `key` in the map's order; the first without one; undefined at the end. */
  nextKey(key?: Uint8Array): Uint8Array | undefined;
  /** Every key and value once, also while the loop body deletes the current key. */
  entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]>;
  /** No further changes through the host side (BPF_MAP_FREEZE). */
  freeze(): void;
  /** Writes many elements: one call where the map type has batches (Linux 5.6). How many. @throws BpfError at the first that fails. */
  updateBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[], flag?: number): number;
  /** Deletes many elements; a key that is not there ends it. How many. */
  deleteBatch(keys: readonly Uint8Array[]): number;
}

/** A record out of a ring buffer or perf event array. */
export interface EventRecord {
  readonly cpu: number;
  readonly data: Uint8Array;
}

/** Maps that carry events: ring buffer, perf event array. */
export interface EventMap extends BpfMap {
  /** Takes what is there now, oldest first. */
  drain(): EventRecord[];
  /** Records dropped because the buffer was full, since creation. */
  readonly lost: number;
}
