import type { HelperTable } from "../helper-call.ts";
import { direct } from "./direct.ts";

/** Clocks, all from the two of the host: monotonic and real time. */
export const TIME_HELPERS = {
  ktime_get_ns: (call) => direct(call, "ktime_get_ns"),
  ktime_get_boot_ns: (call) => direct(call, "ktime_get_boot_ns"),
  ktime_get_coarse_ns: (call) => direct(call, "ktime_get_coarse_ns"),
  ktime_get_tai_ns: (call) => direct(call, "ktime_get_tai_ns"),
  jiffies64: (call) => direct(call, "jiffies64"),
} as const satisfies Partial<HelperTable>;
