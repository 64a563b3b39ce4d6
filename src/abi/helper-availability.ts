import { COMMON_HELPERS, HELPERS_OF_TYPE } from "./generated/helper-availability.ts";
import type { HelperName } from "./helpers.ts";
import type { ProgramTypeName } from "./program-types.ts";

/**
 * Helpers that Linux 6.18 lets a program of this type call (GPL licence, CAP_BPF + CAP_PERFMON, default attach type), or
 * undefined for the few types whose set was not probed (tracing, LSM, struct_ops, ext, LIRC).
 */
export function helpersOf(type: ProgramTypeName): ReadonlySet<HelperName> | undefined {
  const extra = HELPERS_OF_TYPE[type];
  return extra && new Set([...COMMON_HELPERS, ...extra]);
}
