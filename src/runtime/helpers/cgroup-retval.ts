import type { HelperTable } from "../helper-call.ts";
import { runScope } from "./run-scope.ts";

/** What a cgroup hook makes the system call return, beside the program's own verdict. */
export const RETVAL_HELPERS = {
  get_retval: (call) => runScope(call.run).hookRetval,
  /** Recorded in the run's outcome: no system call is waiting for it. */
  set_retval(call) {
    const retval = call.s32(1);
    runScope(call.run).hookRetval = retval;
    call.run.outcome.hookRetval = retval;
    return 0;
  },
} as const satisfies Partial<HelperTable>;
