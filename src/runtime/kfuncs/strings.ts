import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { E2BIG, EFAULT, EINVAL, ENOENT, readable } from "../helpers/index.ts";

/**
 * String functions over addresses that are read without a fault. All give -ERANGE or -EFAULT for an address that cannot
 * be read (`kernelFault`), -E2BIG when 65536 bytes held no end, -ENOENT where nothing is found.
 * @see kernel/bpf/helpers.c, "bpf_strcmp" and following @ v6.17
 */
export const STRING_KFUNCS = {
  bpf_strcmp: { since: "6.17", impl: (call) => compare(call, (byte) => byte) },
  bpf_strcasecmp: { since: "6.18", impl: (call) => compare(call, lower) },
  bpf_strlen: { since: "6.17", impl: (call) => find(call, 1, LIMIT, (byte) => byte === 0) },
  bpf_strnlen: {
    since: "6.17",
    impl(call) {
      const limit = count(call, 2);
      const found = find(call, 1, Math.min(limit, LIMIT), (byte) => byte === 0);
      return found === -E2BIG && limit <= LIMIT ? limit : found;
    },
  },
  bpf_strchr: { since: "6.17", impl: (call) => findChar(call, 1, LIMIT, call.u32(2) & 0xff) },
  bpf_strnchr: {
    since: "6.17",
    impl(call) {
      const limit = count(call, 2);
      const found = findChar(call, 1, Math.min(limit, LIMIT), call.u32(3) & 0xff);
      return found === -E2BIG && limit <= LIMIT ? -ENOENT : found;
    },
  },
  bpf_strchrnul: {
    since: "6.17",
    impl: (call) => find(call, 1, LIMIT, (byte) => byte === 0 || byte === (call.u32(2) & 0xff)),
  },
  bpf_strrchr: { since: "6.17", impl: findLast },
  bpf_strspn: { since: "6.17", impl: (call) => span(call, (member) => member) },
  bpf_strcspn: { since: "6.17", impl: (call) => span(call, (member) => !member) },
  bpf_strstr: { since: "6.17", impl: (call) => search(call, LIMIT) },
  bpf_strnstr: { since: "6.17", impl: (call) => search(call, Math.min(count(call, 3), LIMIT), true) },
  bpf_copy_from_user_str: { since: "6.12", impl: copyString },
} as const satisfies Record<string, KfuncRow>;

/** Linux: XATTR_SIZE_MAX. */
const LIMIT = 65536;
/** Linux: BPF_F_PAD_ZEROS. */
const PAD_ZEROS = 1n;

/** The byte at `index` of the string in argument n; undefined: not readable. */
function byteAt(call: HelperCall, n: number, index: number): number | undefined {
  const address = call.u64(n) + BigInt(index);
  return readable(call.memory, address, 1) ? call.memory.u8[Number(address)] : undefined;
}

/** A size argument as a number; what does not fit is as good as unlimited. */
function count(call: HelperCall, n: number): number {
  return Number(call.u64(n));
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

function compare(call: HelperCall, fold: (byte: number) => number): number {
  for (let i = 0; i < LIMIT; i++) {
    const [a, b] = [byteAt(call, 1, i), byteAt(call, 2, i)];
    if (a === undefined) return call.wasm.kernelFault(call.u64(1));
    if (b === undefined) return call.wasm.kernelFault(call.u64(2));
    if (fold(a) !== fold(b)) return fold(a) < fold(b) ? -1 : 1;
    if (a === 0) return 0;
  }
  return -E2BIG;
}

/** Index of the first byte that `stop` wants, which must see the NUL; -E2BIG when there is none below `limit`. */
function find(call: HelperCall, n: number, limit: number, stop: (byte: number) => boolean): number {
  for (let i = 0; i < limit; i++) {
    const byte = byteAt(call, n, i);
    if (byte === undefined) return call.wasm.kernelFault(call.u64(n));
    if (stop(byte)) return i;
  }
  return -E2BIG;
}

/** Index of `wanted`, which may be the NUL itself. */
function findChar(call: HelperCall, n: number, limit: number, wanted: number): number {
  const at = find(call, n, limit, (byte) => byte === wanted || byte === 0);
  return at >= 0 && byteAt(call, n, at) !== wanted ? -ENOENT : at;
}

function findLast(call: HelperCall): number {
  const wanted = call.u32(2) & 0xff;
  let last = -ENOENT;
  for (let i = 0; i < LIMIT; i++) {
    const byte = byteAt(call, 1, i);
    if (byte === undefined) return call.wasm.kernelFault(call.u64(1));
    if (byte === wanted) last = i;
    if (byte === 0) return last;
  }
  return -E2BIG;
}

/** Length of the start of string 1 whose bytes all are (or are not) in string 2. */
function span(call: HelperCall, goesOn: (member: boolean) => boolean): number {
  const length = find(call, 2, LIMIT, (byte) => byte === 0);
  if (length < 0) return length;
  const members = new Set(bytesOf(call, 2, length));
  return find(call, 1, LIMIT, (byte) => byte === 0 || !goesOn(members.has(byte)));
}

/** Index of string 2 in the first `limit` bytes of string 1. */
function search(call: HelperCall, limit: number, bounded = false): number {
  const needle = find(call, 2, LIMIT, (byte) => byte === 0);
  if (needle < 0) return needle;
  const end = find(call, 1, limit, (byte) => byte === 0);
  const readableEnd = end >= 0 ? end : readableBytes(call, 1, limit);
  const at = indexOf(bytesOf(call, 1, readableEnd), bytesOf(call, 2, needle));
  if (at >= 0) return at;
  return end >= 0 || (end === -E2BIG && bounded) ? -ENOENT : end;
}

/** The first `length` bytes of the string in argument n, which can be read. */
function bytesOf(call: HelperCall, n: number, length: number): Uint8Array {
  return length === 0 ? new Uint8Array(0) : call.memory.u8.subarray(call.u32(n), call.u32(n) + length);
}

function readableBytes(call: HelperCall, n: number, limit: number): number {
  if (!readable(call.memory, call.u64(n), 0)) return 0;
  return Math.min(limit, call.memory.u8.length - call.u32(n));
}

/** Knuth, Morris, Pratt: time that grows with the sum of the lengths, whatever the program makes up. */
function indexOf(text: Uint8Array, pattern: Uint8Array): number {
  const fallback = new Uint32Array(pattern.length + 1);
  for (let i = 1, matched = 0; i < pattern.length; i++) {
    while (matched > 0 && pattern[i] !== pattern[matched]) matched = fallback[matched];
    if (pattern[i] === pattern[matched]) matched++;
    fallback[i + 1] = matched;
  }
  let matched = 0;
  for (let i = 0; i < text.length && matched < pattern.length; i++) {
    while (matched > 0 && text[i] !== pattern[matched]) matched = fallback[matched];
    if (text[i] === pattern[matched]) matched++;
    if (matched === pattern.length) return i + 1 - matched;
  }
  return matched === pattern.length ? 0 : -1;
}

/** (destination, size, source, flags): length with the NUL. */
function copyString(call: HelperCall): number {
  const [to, size, flags] = [call.u32(1), call.u32(2), call.u64(4)];
  call.checkMemory(1, size, "write");
  if ((flags & ~PAD_ZEROS) !== 0n) return -EINVAL;
  if (size === 0) return 0;
  const { u8 } = call.memory;
  let length = 0;
  for (; length < size - 1; length++) {
    const byte = byteAt(call, 3, length);
    if (byte === undefined) {
      if (flags === PAD_ZEROS) u8.fill(0, to, to + size);
      return -EFAULT;
    }
    if (byte === 0) break;
    u8[to + length] = byte;
  }
  u8.fill(0, to + length, flags === PAD_ZEROS ? to + size : to + length + 1);
  return length + 1;
}
