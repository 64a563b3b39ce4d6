import { BpfError } from "../../base/index.ts";
import type { AttachKind, Link, Program } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { objectInfo, pinObject } from "../object-info.ts";
import { LinuxProgram } from "../program.ts";
import type { Fd } from "../sys/index.ts";

/** What all links say of themselves. */
export interface LinkFacts {
  readonly kind: AttachKind;
  /** Name of the program. */
  readonly program: string;
  /** For people: `"interface 3"`. */
  readonly target: string;
}

abstract class BaseLink implements Link {
  readonly kind: AttachKind;
  readonly program: string;
  readonly target: string;
  protected readonly context: LinuxContext;

  constructor(context: LinuxContext, facts: LinkFacts) {
    this.context = context;
    this.kind = facts.kind;
    this.program = facts.program;
    this.target = facts.target;
  }

  abstract get id(): number | undefined;
  abstract get closed(): boolean;
  abstract close(): void;

  update(_program: Program): void {
    throw this.cannot("be updated in place", "close it and attach the other program");
  }

  pin(_path: string): void {
    throw this.cannot("be pinned", "only attachments with a bpf link can: leave out `legacy`");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  private cannot(what: string, hint: string): BpfError {
    return new BpfError(
      "linux/unsupported",
      `${this.kind} attachment of '${this.program}' to ${this.target} cannot ${what}`,
      { errno: "EOPNOTSUPP", subject: this.program, hint },
    );
  }
}

/** An attachment that lives as long as a bpf link's descriptor. */
export class BpfLink extends BaseLink {
  /** The link's descriptor. */
  readonly handle: Fd;
  /** Undefined for descriptors that are no bpf link (raw tracepoints before Linux 5.8). */
  readonly id: number | undefined;

  constructor(context: LinuxContext, facts: LinkFacts, handle: Fd) {
    super(context, facts);
    this.handle = handle;
    this.id = objectInfo(context.sys, handle, 8)?.getUint32(4, true);
  }

  get closed(): boolean {
    return this.handle.closed;
  }

  override update(program: Program): void {
    if (!(program instanceof LinuxProgram)) {
      throw new BpfError("linux/invalid", `program '${program.name}' belongs to another kernel`);
    }
    const input = { linkFd: this.handle, newFd: program.handle };
    const doing = `putting '${program.name}' in the place of '${this.program}' on ${this.target}`;
    this.context.sys.bpf("BPF_LINK_UPDATE", input, { doing, subject: program.name });
  }

  override pin(path: string): void {
    pinObject(this.context.sys, this.handle, path, `the link of '${this.program}'`);
  }

  close(): void {
    this.handle.close();
  }
}

/**
 * An attachment that somebody has to take off: legacy tc, netlink XDP, cgroups without a link (`outlives` the process),
 * or several descriptors that only together are one attachment.
 */
export class UndoLink extends BaseLink {
  readonly id = undefined;
  private isClosed = false;
  private readonly undo: () => void;

  constructor(
    context: LinuxContext,
    facts: LinkFacts,
    undo: () => void,
    options: { readonly outlives?: boolean } = {},
  ) {
    super(context, facts);
    this.undo = context.sys.cleanup.add(() => {
      this.isClosed = true;
      undo();
    }, options);
  }

  get closed(): boolean {
    return this.isClosed;
  }

  close(): void {
    this.undo();
  }
}
