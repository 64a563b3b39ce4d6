import { ACCESS_ERRORS } from "./errors/access.ts";
import { CORE_ERRORS } from "./errors/core.ts";
import { KFUNC_ERRORS } from "./errors/kfunc.ts";
import { PRE_ERRORS } from "./errors/pre.ts";

/**
 * Every reason to reject a program: stable code → the kernel's message with `{…}` where it varies. One code per cause and
 * cure, so several kernel messages may share one. The engineers' tables lie in `errors/`.
 */
export const VERIFIER_ERRORS = { ...PRE_ERRORS, ...CORE_ERRORS, ...ACCESS_ERRORS, ...KFUNC_ERRORS } as const;

/** Stable code of a rejection. */
export type VerifierCode = keyof typeof VERIFIER_ERRORS;

/** The kernel's errno of a rejection. */
export type RejectErrno =
  | "EACCES"
  | "EINVAL"
  | "EPERM"
  | "E2BIG"
  | "EFAULT"
  | "ENOTSUPP"
  | "EOPNOTSUPP"
  | "ENOENT"
  | "EBUSY"
  | "EEXIST"
  | "ENOMEM"
  | "EBADF"
  | "ERANGE"
  | "ESRCH"
  | "EDEADLK"
  | "EPROTO";

/**
 * Thrown by `env.fail`, caught in verify.ts only (or by a check that tries alternatives, as the kernel's do). Not an
 * Error: it never leaves the verifier and wants no stack trace.
 */
export class Rejection {
  readonly code: VerifierCode;
  /** The last line the kernel prints. */
  readonly message: string;
  readonly errno: RejectErrno;
  constructor(code: VerifierCode, message: string, errno: RejectErrno) {
    this.code = code;
    this.message = message;
    this.errno = errno;
  }
}

/** Thrown by `env.unsupported`: the verdict is "unsupported", naming the feature. */
export class Unsupported {
  readonly feature: string;
  constructor(feature: string) {
    this.feature = feature;
  }
}
