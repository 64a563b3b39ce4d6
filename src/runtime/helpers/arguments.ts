import type { CallbackArg, HelperCall } from "../helper-call.ts";
import { NOT_INIT, SCALAR } from "../layout.ts";

/** Low byte of a provenance's kind: the rest are flags. */
export const KIND_MASK = 0xff;

/** Argument n just as the program gave it, to be handed on to a callback. */
export function argument(call: HelperCall, n: number): CallbackArg {
  const { kind, base, end, aux } = call.provenance(n);
  const plain = kind & KIND_MASK;
  if (plain === SCALAR || plain === NOT_INIT) return call.u64(n);
  return { address: call.u32(n), kind, base, size: end - base, aux };
}
