import type { HelperTable } from "../helper-call.ts";
import { ABSENT_HELPERS } from "./absent.ts";
import { RETVAL_HELPERS } from "./cgroup-retval.ts";
import { CPU_HELPERS } from "./cpu.ts";
import { DYNPTR_HELPERS } from "./dynptr.ts";
import { KPTR_HELPERS } from "./kptr.ts";
import { LOOP_HELPERS } from "./loop.ts";
import { MAP_HELPERS } from "./map.ts";
import { PACKET_HELPERS } from "./packet/index.ts";
import { PERF_HELPERS } from "./perf.ts";
import { PRINT_HELPERS } from "./printk.ts";
import { PROBE_HELPERS } from "./probe.ts";
import { RINGBUF_HELPERS } from "./ringbuf.ts";
import { SPINLOCK_HELPERS } from "./spinlock.ts";
import { STACK_HELPERS } from "./stack.ts";
import { STORAGE_HELPERS } from "./storage.ts";
import { STRING_HELPERS } from "./strings.ts";
import { SYSCALL_HELPERS } from "./syscall.ts";
import { TAIL_CALL_HELPERS } from "./tail-call.ts";
import { TASK_HELPERS } from "./task.ts";
import { TIME_HELPERS } from "./time.ts";
import { TIMER_HELPERS } from "./timers.ts";
import { TRACING_HELPERS } from "./tracing.ts";

/**
 * All helpers of the ABI table: what each does, or why the embedded kernel does not have it. A helper that is in no
 * family does not compile.
 */
export const HELPER_TABLE: HelperTable = {
  ...MAP_HELPERS,
  ...TIME_HELPERS,
  ...CPU_HELPERS,
  ...TASK_HELPERS,
  ...PRINT_HELPERS,
  ...STRING_HELPERS,
  ...PROBE_HELPERS,
  ...RINGBUF_HELPERS,
  ...PERF_HELPERS,
  ...STACK_HELPERS,
  ...DYNPTR_HELPERS,
  ...TIMER_HELPERS,
  ...SPINLOCK_HELPERS,
  ...LOOP_HELPERS,
  ...STORAGE_HELPERS,
  ...KPTR_HELPERS,
  ...TRACING_HELPERS,
  ...RETVAL_HELPERS,
  ...SYSCALL_HELPERS,
  ...TAIL_CALL_HELPERS,
  ...ABSENT_HELPERS,
  ...PACKET_HELPERS,
};

export * from "./arguments.ts";
export * from "./dynptr.ts";
export * from "./dynptr-table.ts";
export * from "./errno.ts";
export * from "./objects.ts";
export * from "./probe-memory.ts";
export * from "./run-scope.ts";
export { type RunScope, runScope } from "./run-scope.ts";
export * from "./state.ts";
export * from "./timer-queue.ts";
export { newWork, setCallback } from "./timers.ts";
