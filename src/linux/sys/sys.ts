import type { BpfErrorDetails } from "../../base/index.ts";
import { BPF_COMMANDS, type BpfCommand, type CommandRow, type FieldForm } from "./bpf-commands.ts";
import { Cleanup } from "./cleanup.ts";
import { type AnyCapability, type FailureFacts, linuxError } from "./errors.ts";
import { Fd } from "./fd.ts";
import { type Libc, openLibc, type Word } from "./libc.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  Mapping,
  PROT_READ,
  PROT_WRITE,
} from "./mapping.ts";
import { type SyscallName, syscallNumber } from "./numbers.ts";

/** An argument of a system call: an integer, a descriptor, or memory (its address is passed; 0 for undefined). */
export type SysArg = Word | Fd | Uint8Array | undefined;

type FieldValue<Form extends FieldForm> = Form extends "u32" | "s32"
  ? number
  : Form extends "u64"
    ? bigint | number
    : Form extends "fd"
      ? Fd | number
      : Form extends "name"
        ? string
        : Uint8Array;

type Fields<Command extends BpfCommand> = (typeof BPF_COMMANDS)[Command]["fields"];
/** What a command takes; a field left out (or undefined) is zero. */
export type BpfInput<Command extends BpfCommand> = {
  readonly [Name in keyof Fields<Command>]?: Fields<Command>[Name] extends readonly [number, infer Form]
    ? Form extends FieldForm
      ? FieldValue<Form> | undefined
      : never
    : never;
};
/** Names of the fields of a command that hold a number after the call. */
export type BpfOutputName<Command extends BpfCommand> = keyof Fields<Command> & string;

/** What bpf(2) answered. */
export interface BpfAnswer<Command extends BpfCommand> {
  /** ≥ 0, or the negative errno. */
  readonly result: number;
  /** A field that the kernel wrote (`retval`, `count`, `nextId` …). Valid until the next call. */
  field(name: BpfOutputName<Command>): number;
}

/** Facts for the error of a failed call. */
export interface CallFacts extends Omit<BpfErrorDetails, "errno"> {
  /** `"creating map 'counts'"`. */
  readonly doing: string;
  readonly needs?: readonly AnyCapability[];
}

/** `sizeof(union bpf_attr)` and room for what newer kernels add. */
const ATTR_SIZE = 192;

/**
 * System calls: everything under `src/linux` talks to the kernel through one of these. Owns the descriptors and
 * mappings made through it; disposing it releases what is left.
 */
export class Sys implements Disposable {
  readonly libc: Libc;
  /** What else has to be undone when this closes or the process ends. */
  readonly cleanup = new Cleanup();
  /** BPF token that the commands which take one are given; see `load/token.ts`. */
  token: Fd | undefined;
  private readonly fds = new Set<Fd>();
  private readonly mappings = new Set<Mapping>();
  /** Memory whose views are not garbage yet. */
  private readonly covered = new FinalizationRegistry<() => void>((unmap) => unmap());
  private readonly attr = new Uint8Array(ATTR_SIZE);
  private readonly attrView = new DataView(this.attr.buffer);
  private readonly attrAddress: bigint;

  private constructor(libc: Libc) {
    this.libc = libc;
    this.attrAddress = libc.addressOf(this.attr);
  }

  /** @throws BpfError `linux/not-linux`, `linux/no-ffi`. */
  static async open(): Promise<Sys> {
    return new Sys(await openLibc());
  }

  /** Any system call: the result, or the negative errno. */
  call(name: SyscallName, ...args: readonly SysArg[]): number {
    const word = (i: number): Word => this.wordOf(args[i]);
    const number = syscallNumber(name, this.libc.arch);
    return this.libc.syscall(number, word(0), word(1), word(2), word(3), word(4), word(5));
  }

  /** As `call`, off the main thread: for calls that wait (`epoll_pwait`). Memory passed must stay reachable. */
  callAsync(name: SyscallName, ...args: readonly SysArg[]): Promise<number> {
    const word = (i: number): Word => this.wordOf(args[i]);
    const number = syscallNumber(name, this.libc.arch);
    const done = this.libc.syscallAsync(number, word(0), word(1), word(2), word(3), word(4), word(5));
    return done.finally(() => args.length); // keeps the arguments' memory alive
  }

  /** As `call`. @throws BpfError `linux/…` where it fails. */
  check(facts: FailureFacts, name: SyscallName, ...args: readonly SysArg[]): number {
    const result = this.call(name, ...args);
    if (result < 0) throw linuxError(result, facts);
    return result;
  }

  /** bpf(2). Never throws for what the kernel answers. */
  tryBpf<Command extends BpfCommand>(command: Command, input: BpfInput<Command>): BpfAnswer<Command> {
    const { id, fields, token }: CommandRow = BPF_COMMANDS[command];
    const size = this.encode(fields, token === undefined ? input : this.withToken(token, input));
    const number = syscallNumber("bpf", this.libc.arch);
    const result = this.libc.syscall(number, id, this.attrAddress, size, 0, 0, 0);
    return { result, field: (name) => this.readField(fields, name) };
  }

  /** bpf(2) where failure is an error. @throws BpfError `linux/…`. */
  bpf<Command extends BpfCommand>(
    command: Command,
    input: BpfInput<Command>,
    facts: CallFacts,
  ): BpfAnswer<Command> {
    const answer = this.tryBpf(command, input);
    if (answer.result < 0) throw linuxError(answer.result, { ...facts, command });
    return answer;
  }

  /** bpf(2) for commands that give a descriptor. `what` names the object in messages. @throws BpfError `linux/…`. */
  bpfFd<Command extends BpfCommand>(
    command: Command,
    input: BpfInput<Command>,
    facts: CallFacts & { readonly what: string },
  ): Fd {
    return this.own(this.bpf(command, input, facts).result, facts.what);
  }

  /** Takes charge of a descriptor: closed by its holder, or with this. */
  own(number: number, what: string): Fd {
    const fd = new Fd(number, what, (open) => {
      this.fds.delete(fd);
      this.call("close", open);
    });
    this.fds.add(fd);
    return fd;
  }

  /** Another descriptor of the same file, for who must hold it longer. @throws BpfError `linux/…`. */
  duplicate(fd: Fd): Fd {
    return this.own(
      this.check({ doing: `duplicating ${fd.what}` }, "fcntl", fd, F_DUPFD_CLOEXEC, 0),
      fd.what,
    );
  }

  /**
   * mmap(2). `offset` and `length` in bytes, whole pages.
   * @throws BpfError `linux/…`.
   */
  mmap(options: {
    readonly fd?: Fd;
    readonly length: number;
    readonly writable?: boolean;
    readonly offset?: number;
    /** MAP_* instead of MAP_SHARED. */
    readonly flags?: number;
    /** With MAP_FIXED: where. */
    readonly address?: bigint;
    readonly doing: string;
  }): Mapping {
    const { length, offset = 0, flags = MAP_SHARED, address = 0n, doing } = options;
    const prot = PROT_READ | (options.writable ? PROT_WRITE : 0);
    const at = this.call("mmap", address, length, prot, flags, options.fd ?? -1, offset);
    if (at < 0) throw linuxError(at, { doing });
    const start = BigInt(at);
    const { libc } = this;
    const munmap = syscallNumber("munmap", libc.arch);
    const mapping = new Mapping(start, length, {
      view: () => libc.view(start, length),
      unmap: () => {
        this.mappings.delete(mapping);
        this.call("munmap", start, length);
      },
      cover: (buffer) => {
        this.mappings.delete(mapping);
        this.call("mmap", start, length, PROT_READ | PROT_WRITE, COVER, -1, 0);
        this.covered.register(buffer, () => libc.syscall(munmap, start, length, 0, 0, 0, 0));
      },
    });
    this.mappings.add(mapping);
    return mapping;
  }

  /** Descriptors and mappings not closed yet, and clean-ups not run. */
  get held(): { readonly fds: number; readonly mappings: number; readonly cleanups: number } {
    return { fds: this.fds.size, mappings: this.mappings.size, cleanups: this.cleanup.size };
  }

  /** Undoes, unmaps and closes all that is left. */
  [Symbol.dispose](): void {
    try {
      this.cleanup[Symbol.dispose]();
    } finally {
      for (const mapping of [...this.mappings]) mapping.close();
      for (const fd of [...this.fds].reverse()) fd.close();
    }
  }

  private wordOf(arg: SysArg): Word {
    if (arg === undefined) return 0;
    if (arg instanceof Fd) return arg.number;
    return arg instanceof Uint8Array ? this.libc.addressOf(arg) : arg;
  }

  /**
   * Writes the union. Its size ends with the last field that is not zero, so that a kernel which knows fewer fields
   * takes it.
   */
  private encode(
    fields: Readonly<Record<string, readonly [number, FieldForm]>>,
    input: Readonly<Record<string, unknown>>,
  ): number {
    const { attr, attrView } = this;
    attr.fill(0);
    let size = 0;
    for (const name in input) {
      const value = input[name] as FieldValue<FieldForm> | undefined; // BpfInput types it by its form
      if (value === undefined) continue;
      const [at, form] = fields[name];
      if (form === "name") {
        attr.set(TEXT.encode(value as string).subarray(0, 15), at);
        size = Math.max(size, at + 16);
        continue;
      }
      if (value === 0 || value === 0n) continue;
      if (value instanceof Uint8Array) {
        if (value.length > 0) attrView.setBigUint64(at, this.libc.addressOf(value), true);
      } else if (value instanceof Fd) attrView.setInt32(at, value.number, true);
      else if (form === "u64") attrView.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
      else attrView.setInt32(at, Number(value), true);
      size = Math.max(size, at + (form === "u64" || form === "bytes" ? 8 : 4));
    }
    return size;
  }

  private withToken(
    { flags, fd }: NonNullable<CommandRow["token"]>,
    input: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    if (this.token === undefined) return input;
    return { ...input, [flags]: Number(input[flags] ?? 0) | BPF_F_TOKEN_FD, [fd]: this.token };
  }

  private readField(fields: Readonly<Record<string, readonly [number, FieldForm]>>, name: string): number {
    const [at, form] = fields[name];
    return form === "u64" || form === "bytes"
      ? Number(this.attrView.getBigUint64(at, true))
      : this.attrView.getUint32(at, true);
  }
}

const COVER = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
const TEXT = new TextEncoder();
const F_DUPFD_CLOEXEC = 1030;
const BPF_F_TOKEN_FD = 1 << 16;

/** The text's UTF-8 bytes and a zero byte. */
export function cString(text: string): Uint8Array {
  return TEXT.encode(`${text}\0`);
}
