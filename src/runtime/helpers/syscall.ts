import type { HelperTable } from "../helper-call.ts";
import { EBADF, EINVAL, ENOENT } from "./errno.ts";

/** Helpers of programs that run as a system call. */
export const SYSCALL_HELPERS = {
  /** There are no file descriptors. */
  sys_close: () => -EBADF,
  /** There are no kernel symbols: every name is unknown. */
  kallsyms_lookup_name(call) {
    const size = call.u32(2);
    call.memory.view.setBigUint64(call.u32(4), 0n, true);
    if (call.u64(3) !== 0n) return -EINVAL;
    if (size <= 1 || call.bytes(1, size)[size - 1] !== 0) return -EINVAL;
    return -ENOENT;
  },
} as const satisfies Partial<HelperTable>;
