import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { EBUSY, EINVAL, newWork, setCallback } from "../helpers/index.ts";

/** Work queues in map values: callbacks that run when the current run is over. */
export const WORK_KFUNCS = {
  bpf_wq_init: { since: "6.10", impl: init },
  bpf_wq_set_callback_impl: { since: "6.10", impl: callback },
  bpf_wq_start: { since: "6.10", impl: start },
} as const satisfies Record<string, KfuncRow>;

/** (work queue, map, flags). */
function init(call: HelperCall): number {
  call.checkMemory(1, 16, "read");
  if (call.u32(3) !== 0) return -EINVAL;
  return call.state.timers.init(newWork(call, "workqueue", call.map(2), "monotonic")) ? 0 : -EBUSY;
}

/** (work queue, function, flags, program). */
function callback(call: HelperCall): number {
  const work = call.state.timers.at(call.u32(1));
  return call.u32(3) !== 0 || work === undefined ? -EINVAL : setCallback(call, work);
}

/** (work queue, flags). */
function start(call: HelperCall): number {
  const work = call.state.timers.at(call.u32(1));
  if (call.u32(2) !== 0 || work?.callback === undefined) return -EINVAL;
  work.cpu = call.cpu;
  call.state.timers.arm(work, 0n);
  return 0;
}
