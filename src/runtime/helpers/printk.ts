import type { HelperCall, HelperTable } from "../helper-call.ts";
import { bprintf, MAX_BPRINTF_BUF, MAX_BPRINTF_VARARGS, wordsAt } from "./bprintf.ts";
import { EINVAL } from "./errno.ts";

/** Helpers that format text. */
export const PRINT_HELPERS = {
  trace_printk: (call) => trace(call, [call.u64(3), call.u64(4), call.u64(5)]),
  trace_vprintk(call) {
    const args = vararg(call, 3, 4);
    return args === undefined ? -EINVAL : trace(call, args);
  },
  snprintf(call) {
    const args = vararg(call, 4, 5);
    if (args === undefined) return -EINVAL;
    const size = call.u32(2);
    const text = bprintf(call.memory, cString(call, 3), args, Math.max(0, size - 1));
    if (typeof text === "number") return text;
    if (size > 0) {
      call.memory.write(call.u32(1), text.bytes);
      call.memory.u8[call.u32(1) + text.bytes.length] = 0;
    }
    return text.length + 1;
  },
} as const satisfies Partial<HelperTable>;

/** `fmt` and `fmt_size` are arguments 1 and 2. The line is cut to 1023 bytes; the full length is returned. */
function trace(call: HelperCall, args: readonly bigint[]): number {
  const text = bprintf(call.memory, call.bytes(1, call.u32(2)), args, MAX_BPRINTF_BUF - 1);
  if (typeof text === "number") return text;
  const line = new TextDecoder().decode(text.bytes);
  call.host.traceLine(line.endsWith("\n") ? line.slice(0, -1) : line);
  return text.length;
}

/** The argument array in (pointer, length) arguments; undefined where Linux answers EINVAL. */
function vararg(call: HelperCall, pointer: number, length: number): bigint[] | undefined {
  const bytes = call.u32(length);
  if (bytes % 8 !== 0 || bytes > MAX_BPRINTF_VARARGS * 8) return undefined;
  if (bytes > 0 && call.u32(pointer) === 0) return undefined;
  return wordsAt(call.memory, call.u32(pointer), bytes);
}

/** A PTR_TO_CONST_STR argument with its NUL: the engine has checked that there is one in the map value. */
function cString(call: HelperCall, n: number): Uint8Array {
  const start = call.u32(n);
  const end = call.memory.u8.indexOf(0, start);
  return call.memory.u8.subarray(start, end + 1);
}
