import type { HelperTable } from "../helper-call.ts";

/** Random numbers, CPU and node numbers. */
export const CPU_HELPERS = {
  get_prandom_u32: (call) => call.host.random32() >>> 0,
  get_smp_processor_id: (call) => call.cpu,
  /** One memory, one node. */
  get_numa_node_id: () => 0,
} as const satisfies Partial<HelperTable>;
