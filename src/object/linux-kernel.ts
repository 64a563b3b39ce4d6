import type { BpfError } from "../base/index.ts";
import type { Btf } from "../btf/index.ts";
import type { AttachOptions, AttachTargets, IterLink, Link } from "./attach.ts";
import type {
  BpfMap,
  Collection,
  EventMap,
  EventRecord,
  GlobalValue,
  Kernel,
  LoadOptions,
  Program,
  UpdateFlag,
} from "./kernel.ts";
import type { LinuxInspection } from "./linux-inspect.ts";
import type { CollectionSpec, ProgramSpec } from "./spec.ts";

/** How to open the Linux kernel. */
export interface LinuxKernelOptions {
  /** Where maps with LIBBPF_PIN_BY_NAME are pinned; default `/sys/fs/bpf`. */
  readonly pinPath?: string;
  /** Lines of the verifier's log in errors: 1 (default) what led to the error, 2 every state, 0 none. */
  readonly logLevel?: 0 | 1 | 2;
  /**
   * For processes in a user namespace of their own (Linux 6.9): where a bpf filesystem is mounted, or a descriptor of its
   * root, that root of the initial namespace mounted with `delegate_*` options. Its BPF token stands for the capabilities
   * that loading needs. Default: the environment's LIBBPF_BPF_TOKEN_PATH, else `/sys/fs/bpf` if that gives one; `""`: none.
   */
  readonly token?: string | number;
  /** Says why a program was rejected, in the words of our own verifier, where that agrees with the kernel's log. */
  readonly explain?: RejectionExplainer;
}

/**
 * Asked when Linux rejected a program: an error that says more than the log (place, cause, cure), or undefined when the
 * two do not agree. `program` is as it was loaded, CO-RE relocations included.
 */
export type RejectionExplainer = (
  spec: CollectionSpec,
  program: ProgramSpec,
  rejection: { readonly errno: string; readonly log: string; readonly kernelBtf: Btf | undefined },
) => BpfError | undefined;

/** The Linux kernel that this process runs on. Closing it releases everything made through it that is not pinned. */
export interface LinuxKernel extends Kernel {
  readonly kind: "linux";
  /** Version of mainline that it is built from: `"6.18"`, `"6.1.170"`. */
  readonly version: string;
  load(spec: CollectionSpec, options?: LoadOptions): Promise<LinuxCollection>;
  /** What is loaded, by whomever: `kernel.inspect.programs()`, `.openMap({ name: "counts" })`. */
  readonly inspect: LinuxInspection;
  /** What is open at this moment: descriptors, mappings and attachments to undo. All zero after close. */
  readonly held: { readonly fds: number; readonly mappings: number; readonly cleanups: number };
}

/** What Linux loaded. */
export interface LinuxCollection extends Collection {
  readonly programs: ReadonlyMap<string, LinuxProgramPort>;
  /** Struct_ops variables too, by name. */
  readonly maps: ReadonlyMap<string, LinuxMapPort>;
  /** Global variables by name: live, in the memory that the programs use. */
  readonly globals: ReadonlyMap<string, GlobalVariable>;
}

/** A global variable of a loaded collection. */
export interface GlobalVariable {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** False for `const` ones. */
  readonly writable: boolean;
  /** The variable itself, not a copy. @throws BpfError `linux/closed`. */
  readonly bytes: Uint8Array;
  /** The value by its type; bytes where the object has no type for it. */
  get(): GlobalValue;
  /** @throws BpfError `linux/frozen` for constants, `btf/bad-value`. */
  set(value: GlobalValue): void;
}

/** A loaded program. */
export interface LinuxProgramPort extends Program {
  attach(options: { readonly kind: "iter" } & AttachTargets["iter"]): IterLink;
  attach(options?: AttachOptions): Link;
  /** The kernel's id, as bpftool shows it. */
  readonly id: number;
  /** For those who make system calls of their own; belongs to the program. */
  readonly fd: number;
  /** Instructions that the verifier looked at (Linux 5.16). */
  readonly verifiedInsns: number;
  /** What the verifier printed; empty unless it was asked to. */
  readonly log: string;
  /** @throws BpfError `linux/…`. */
  pin(path: string): void;
}

/** A record of a ring or perf buffer. `cpu` is -1 for ring buffers, which all CPUs write to. */
export interface LinuxEventRecord extends EventRecord {
  /** Records that were lost between the one before (of the same CPU) and this one. */
  readonly lostBefore: number;
}

/**
 * Given a record where it lies: `length` bytes of `bytes` from `start`. They are the kernel's again when it returns: copy
 * what is to stay.
 */
export type RecordCallback = (
  bytes: Uint8Array,
  start: number,
  length: number,
  cpu: number,
  lostBefore: number,
) => void;

/** Records being handed to a callback. */
export interface RecordSubscription extends Disposable {
  /** Settles when it was stopped or the map closed; rejects with what the callback threw, which ends it. */
  readonly done: Promise<void>;
  stop(): void;
}

/** A ring buffer or perf event array. Each record is handed out once, whoever takes it. */
export interface LinuxEventMap extends LinuxMapPort, Omit<EventMap, keyof BpfMap> {
  drain(): LinuxEventRecord[];
  /**
   * Records as they come, oldest first (of each CPU), until the map is closed. Nothing is read ahead of who iterates: what
   * does not fit into the buffer meanwhile is lost, and counted. Waiting keeps the process alive, on a thread of its own.
   */
  records(): AsyncGenerator<LinuxEventRecord, void, void>;
  /** Hands out what is there now, without a copy, at most `limit`; how many. */
  consume(callback: RecordCallback, limit?: number): number;
  /** Hands out records as they come, without a copy. */
  onRecord(callback: RecordCallback): RecordSubscription;
  /**
   * Since it was opened. For perf buffers exactly what found them full (Linux 6.0; before, what readers were told); a helper
   * that fails for another reason has lost nothing. The kernel does not count what ring buffers refuse: NaN
   * until {@link countLostBy} says where the program does.
   */
  readonly lost: number;
  /** Ring buffers: the program's own count of records that it could not reserve. @throws BpfError `linux/unsupported` for perf buffers. */
  countLostBy(variable: GlobalVariable): void;
  /**
   * Perf buffers: opens them now, with so many pages for each CPU (a power of two, default 64), instead of when first read;
   * what programs write before is lost. @throws BpfError `linux/…`.
   */
  openBuffers(pages?: number): void;
}

/** A user ring buffer (Linux 6.1). */
export interface LinuxUserRingBuffer extends LinuxMapPort {
  /** Puts a record into the buffer. @throws BpfError `linux/no-space` when it is full. */
  send(record: Uint8Array): void;
}

/** Keys and values of one step of a walk in batches. */
export interface MapBatch {
  readonly keys: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
  /** Pass it to the next call; undefined at the end. */
  readonly next: Uint8Array | undefined;
}

/**
 * A map in the kernel. Values of maps of maps and of program arrays are ids, as lookups give them; `update` takes the
 * map or program itself too.
 */
export interface LinuxMapPort extends BpfMap {
  readonly fd: number;
  update(key: Uint8Array, value: Uint8Array | BpfMap | Program, flag?: UpdateFlag): void;
  /** Linux 5.6, by map type; `cursor` is the `next` of the step before. @throws BpfError `linux/…`, ENOSPC when one bucket alone has more than `count`. */
  lookupBatch(count: number, cursor?: Uint8Array): MapBatch;
  lookupAndDeleteBatch(count: number, cursor?: Uint8Array): MapBatch;
  /** How many were written. */
  updateBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[], flag?: number): number;
  /** How many were deleted; a key that is not there ends it. */
  deleteBatch(keys: readonly Uint8Array[]): number;
  /** The memory of an mmapable map (`.data`, `.bss`, `.rodata`, BPF_F_MMAPABLE arrays), no copy. @throws BpfError `linux/…`. */
  memory(): Uint8Array;
  /** @throws BpfError `linux/…`. */
  pin(path: string): void;
}
