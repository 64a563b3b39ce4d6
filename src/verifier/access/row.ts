import type { VerifierEnv } from "../env.ts";
import { VAR_MASK, VAR_VALUE } from "../layout.ts";
import { unsignedBig } from "../regs.ts";

/** `BPF_MAX_VAR_OFF`: variable offsets from here on count as unbounded. */
export const MAX_VAR_OFF: number = 1 << 29;
/** `BPF_MAX_VAR_SIZ`: the same for sizes. */
export const MAX_VAR_SIZE: number = 1 << 29;

/** Low word of `var_off.value`, signed. */
export function constLow(env: VerifierEnv, row: number): number {
  return env.mem.i32[row + VAR_VALUE];
}

/** The variable part of the offset is the constant 0. */
export function isConstZero(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  return (
    (i32[row + VAR_MASK] | i32[row + VAR_MASK + 1] | i32[row + VAR_VALUE] | i32[row + VAR_VALUE + 1]) === 0
  );
}

/** `tnum_strn` of `var_off`, for messages: small constants in decimal, else `(value; mask)` in hex. */
export function tnumText(env: VerifierEnv, row: number): string {
  const value = unsignedBig(env, row + VAR_VALUE);
  const mask = unsignedBig(env, row + VAR_MASK);
  if (mask !== 0n) return `(0x${value.toString(16)}; 0x${mask.toString(16)})`;
  return value <= 0xffffn ? value.toString() : `0x${value.toString(16)}`;
}
