import type { HelperTable } from "../helper-call.ts";

/** `bpf_tail_call` replaces the running code, which is the engine's own business: it never calls this row. */
export const TAIL_CALL_HELPERS = {
  tail_call: (call) => call.fail("runtime/internal", "bpf_tail_call is carried out by the engine itself"),
} as const satisfies Partial<HelperTable>;
