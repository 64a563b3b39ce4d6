import type { HelperTable } from "../helper-call.ts";
import { argument } from "./arguments.ts";
import { E2BIG, EINVAL } from "./errno.ts";

/** Linux: BPF_MAX_LOOPS. */
const MAX_LOOPS = 8 * 1024 * 1024;

/** Loops whose body is a function of the program. */
export const LOOP_HELPERS = {
  /** Calls the function with 0, 1, 2 … until it returns 1; the number of calls made. */
  loop(call) {
    const count = call.u32(1);
    if (call.u64(4) !== 0n) return -EINVAL;
    if (count > MAX_LOOPS) return -E2BIG;
    const context = argument(call, 3);
    for (let i = 0; i < count; i++) if (call.callback(2, [i, context]) !== 0n) return i + 1;
    return count;
  },
} as const satisfies Partial<HelperTable>;
