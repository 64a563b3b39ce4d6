import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { E2BIG, EFAULT, EINVAL, ENOENT, kernelFault, readable } from "../helpers/index.ts";

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
    if (a === undefined) return kernelFault(call.u64(1));
    if (b === undefined) return kernelFault(call.u64(2));
    if (fold(a) !== fold(b)) return fold(a) < fold(b) ? -1 : 1;
    if (a === 0) return 0;
  }
  return -E2BIG;
}

/** Index of the first byte that `stop` wants, which must see the NUL; -E2BIG when there is none below `limit`. */
function find(call: HelperCall, n: number, limit: number, stop: (byte: number) => boolean): number {
  for (let i = 0; i < limit; i++) {
    const byte = byteAt(call, n, i);
    if (byte === undefined) return kernelFault(call.u64(n));
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
    if (byte === undefined) return kernelFault(call.u64(1));
    if (byte === wanted) last = i;
    if (byte === 0) return last;
  }
  return -E2BIG;
}

/** Length of the start of string 1 whose bytes all are (or are not) in string 2. */
function span(call: HelperCall, goesOn: (member: boolean) => boolean): number {
  for (let i = 0; i < LIMIT; i++) {
    const byte = byteAt(call, 1, i);
    if (byte === undefined) return kernelFault(call.u64(1));
    if (byte === 0) return i;
    const found = findChar(call, 2, LIMIT, byte);
    if (found < 0 && found !== -ENOENT) return found;
    if (!goesOn(found >= 0)) return i;
  }
  return -E2BIG;
}

/** Index of string 2 in the first `limit` bytes of string 1. */
function search(call: HelperCall, limit: number, bounded = false): number {
  const needle = find(call, 2, LIMIT, (byte) => byte === 0);
  if (needle < 0) return needle;
  for (let start = 0; start < LIMIT; start++) {
    let i = 0;
    for (; i < needle && start + i < limit; i++) {
      const byte = byteAt(call, 1, start + i);
      if (byte === undefined) return kernelFault(call.u64(1));
      if (byte !== byteAt(call, 2, i)) {
        if (byte === 0) return -ENOENT;
        break;
      }
    }
    if (i === needle) return start;
    if (start + i >= limit) return bounded ? -ENOENT : -E2BIG;
  }
  return -E2BIG;
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
