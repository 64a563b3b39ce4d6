import type { HelperTable } from "../helper-call.ts";
import { direct } from "./direct.ts";

/** Random numbers, CPU and node numbers. */
export const CPU_HELPERS = {
  get_prandom_u32: (call) => direct(call, "get_prandom_u32"),
  get_smp_processor_id: (call) => call.cpu,
  get_numa_node_id: (call) => direct(call, "get_numa_node_id"),
} as const satisfies Partial<HelperTable>;
