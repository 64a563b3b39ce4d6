import type { HelperCall, HelperTable } from "../helper-call.ts";
import { direct } from "./direct.ts";
import { EINVAL, ERANGE } from "./errno.ts";

/** Numbers in text, and comparison. */
export const STRING_HELPERS = {
  strtol(call) {
    const parsed = parse(call);
    call.memory.view.setBigInt64(call.u32(4), 0n, true);
    if (typeof parsed === "number") return parsed;
    const value = parsed.negative ? -parsed.value : parsed.value;
    if (value !== BigInt.asIntN(64, value)) return -ERANGE;
    call.memory.view.setBigInt64(call.u32(4), value, true);
    return parsed.consumed;
  },
  strtoul(call) {
    const parsed = parse(call);
    call.memory.view.setBigUint64(call.u32(4), 0n, true);
    if (typeof parsed === "number") return parsed;
    if (parsed.negative) return -EINVAL;
    call.memory.view.setBigUint64(call.u32(4), parsed.value, true);
    return parsed.consumed;
  },
  strncmp: (call) => direct(call, "strncmp"),
} as const satisfies Partial<HelperTable>;

/** Linux: BPF_STRTOX_BASE_MASK. */
const BASE_MASK = 0x1fn;
/** Linux copies at most this many characters after the sign. */
const MAX_DIGITS_TEXT = 63;

/**
 * Blank space, sign, prefix of the base and digits of the text in arguments 1 and 2; flags in 3.
 * @see kernel/bpf/helpers.c `__bpf_strtoull`, lib/kstrtox.c @ v6.12
 */
function parse(call: HelperCall): { value: bigint; negative: boolean; consumed: number } | number {
  const text = call.bytes(1, call.u32(2));
  const flags = call.u64(3);
  let base = Number(flags & BASE_MASK);
  if (![0, 8, 10, 16].includes(base) || (flags & ~BASE_MASK) !== 0n || text.length === 0) return -EINVAL;

  let at = 0;
  while (at < text.length && isSpace(text[at])) at++;
  const negative = text[at] === 0x2d;
  if (negative) at++;
  if (at >= text.length) return -EINVAL;

  const end = Math.min(text.length, at + MAX_DIGITS_TEXT);
  const byte = (i: number): number => (i < end ? text[i] : 0);
  const hexPrefix = byte(at) === 0x30 && (byte(at + 1) | 0x20) === 0x78;
  if (base === 0) {
    if (byte(at) !== 0x30) base = 10;
    else base = hexPrefix && digitOf(byte(at + 2)) < 16 ? 16 : 8;
  }
  if (base === 16 && hexPrefix) at += 2;

  let value = 0n;
  let digits = 0;
  for (; digitOf(byte(at)) < base; at++, digits++) value = value * BigInt(base) + BigInt(digitOf(byte(at)));
  if (value !== BigInt.asUintN(64, value)) return -ERANGE;
  if (digits === 0) return -EINVAL;
  return { value, negative, consumed: at };
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : 99;
}

/** Linux's `isspace` also takes the no-break space of Latin-1. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 9 && byte <= 13) || byte === 0xa0;
}
