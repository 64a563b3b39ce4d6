import { DIRECT_HELPERS, type DirectHelper, type DirectHelperName } from "../../jit/index.ts";
import type { HelperCall } from "../helper-call.ts";

/** Does helper `name` by the function of the wasm module that compiled programs call: its answer, or ASK_HOST. */
export function direct(call: HelperCall, name: DirectHelperName): number | bigint {
  const row: DirectHelper = DIRECT_HELPERS[name];
  const args = row.args.map((type, i) => (type === "i64" ? call.u64(i + 1) : call.u32(i + 1)));
  const value = call.wasm[DIRECT_HELPERS[name].name](...args, call.cpu);
  if (row.result === "none") return 0;
  return row.result === "u32" ? Number(value) >>> 0 : value;
}
