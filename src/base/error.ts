/** Where in the user's own program a finding lies, read from `.BTF.ext` line info. */
export interface SourceLocation {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based; 0 when unknown. */
  readonly column?: number;
  /** The source line's text as clang stored it; empty when it stored none. */
  readonly text: string;
}

/** One finding about a program or a file: what, where, why, what to do. */
export interface Diagnostic {
  /** Stable, `layer/kebab-case`: tests and tools match on it, never on the message. */
  readonly code: `${string}/${string}`;
  /** The kernel's words where the kernel has words for it. */
  readonly message: string;
  /** Instruction slot (8-byte units, a wide `lddw` takes two), not a byte offset. */
  readonly insn?: number;
  readonly source?: SourceLocation;
  /** The usual cure, in the imperative. */
  readonly hint?: string;
}

/** Extra facts of a {@link BpfError}; all optional. */
export interface BpfErrorDetails {
  readonly insn?: number;
  readonly source?: SourceLocation;
  readonly hint?: string;
  /** The kernel's errno name, such as `"ENOENT"`, where the kernel would answer with one. */
  readonly errno?: string;
  /** Byte offset in the file or buffer that was being read. */
  readonly offset?: number;
  /** Object, section, map or program the error is about. */
  readonly subject?: string;
  readonly cause?: unknown;
  /** What the kernel's verifier printed, whole. */
  readonly log?: string;
}

/**
 * Malformed input, a wrong argument, a failed operation. Rejecting a program is a result, not a `BpfError`;
 * a program that breaks a rule while it runs is one (code `runtime/…`).
 */
export class BpfError extends Error implements Diagnostic {
  override readonly name = "BpfError";
  readonly code: `${string}/${string}`;
  readonly insn?: number;
  readonly source?: SourceLocation;
  readonly hint?: string;
  readonly errno?: string;
  readonly offset?: number;
  readonly subject?: string;
  readonly log?: string;

  constructor(code: `${string}/${string}`, message: string, details: BpfErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.insn !== undefined) this.insn = details.insn;
    if (details.source !== undefined) this.source = details.source;
    if (details.hint !== undefined) this.hint = details.hint;
    if (details.errno !== undefined) this.errno = details.errno;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.subject !== undefined) this.subject = details.subject;
    if (details.log !== undefined) this.log = details.log;
  }

  /** The same facts as plain data, for `--json`. */
  toJSON(): Diagnostic & { errno?: string; offset?: number; subject?: string } {
    const { code, message, insn, source, hint, errno, offset, subject } = this;
    return { code, message, insn, source, hint, errno, offset, subject };
  }
}
