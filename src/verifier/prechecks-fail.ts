import type { VerifierEnv } from "./env.ts";
import type { RejectErrno, VerifierCode } from "./errors.ts";

/**
 * Ends the verification with a rejection: code, the kernel's last line, errno, and the slot at fault where there is one.
 * A port, so that the passes can be run without an environment.
 */
export type Fail = (code: VerifierCode, message: string, errno?: RejectErrno, insn?: number) => never;

/** {@link Fail} of an environment; `env.insn` tells the slot to whoever reports the error. */
export function failOf(env: VerifierEnv): Fail {
  return (code, message, errno = "EINVAL", insn) => {
    if (insn !== undefined) env.insn = insn;
    return env.fail(code, message, errno);
  };
}
