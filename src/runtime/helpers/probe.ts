import type { HelperTable } from "../helper-call.ts";
import { direct } from "./direct.ts";
import { EINVAL } from "./errno.ts";

/**
 * Reads from an address that the program worked out itself. Any address of the kernel's linear memory above the null
 * page is readable; for anything else the destination is zeroed and the answer is Linux's. User and kernel addresses
 * are the same thing here: there is one address space.
 */
export const PROBE_HELPERS = {
  probe_read: (call) => direct(call, "probe_read"),
  probe_read_user: (call) => direct(call, "probe_read_user"),
  probe_read_kernel: (call) => direct(call, "probe_read_kernel"),
  probe_read_str: (call) => direct(call, "probe_read_str"),
  probe_read_user_str: (call) => direct(call, "probe_read_user_str"),
  probe_read_kernel_str: (call) => direct(call, "probe_read_kernel_str"),
  copy_from_user: (call) => direct(call, "copy_from_user"),
  /** Only the current task has memory; flags must be zero. */
  copy_from_user_task: (call) => (call.u64(5) !== 0n ? -EINVAL : direct(call, "copy_from_user")),
} as const satisfies Partial<HelperTable>;
