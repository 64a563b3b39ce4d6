import { BpfError } from "../base/index.ts";
import type { KernelFacts } from "./load/kernel-facts.ts";
import { versionCode } from "./version.ts";

/**
 * What to say instead of `error` where the running kernel is older than what was asked of it; else `error` itself.
 * `since`: versions that the parts of the request need, undefined for what every kernel has.
 */
export function orTooOld(
  facts: KernelFacts,
  error: BpfError,
  doing: string,
  since: readonly (string | undefined)[],
): BpfError {
  const needed = since
    .filter((version) => version !== undefined)
    .sort((a, b) => versionCode(b) - versionCode(a))
    .at(0);
  if (error.errno !== "EINVAL" || needed === undefined || facts.versionCode >= versionCode(needed))
    return error;
  return new BpfError("linux/unsupported", `${doing}: needs Linux ${needed}, this is ${facts.version}`, {
    errno: "EINVAL",
    ...(error.subject !== undefined && { subject: error.subject }),
    cause: error,
  });
}
