import { NULL_PAGE } from "../layout.ts";
import type { Memory } from "../memory.ts";

/**
 * True when [address, address + size) can be read without a fault: inside the kernel's linear memory and above the
 * null page. It is the only address space there is; user and kernel addresses are not told apart.
 */
export function readable(memory: Memory, address: bigint, size: number): boolean {
  return address >= BigInt(NULL_PAGE) && address + BigInt(size) <= BigInt(memory.u8.length);
}

/**
 * The bytes of the string at `address` without its NUL, at most `limit` of them; undefined when the memory ends
 * before the NUL or the limit. A view: copy it before memory may grow.
 */
export function readCString(memory: Memory, address: bigint, limit: number): Uint8Array | undefined {
  if (!readable(memory, address, 0)) return undefined;
  const start = Number(address);
  const bytes = memory.u8;
  const stop = Math.min(start + limit, bytes.length);
  const nul = bytes.subarray(start, stop).indexOf(0);
  if (nul >= 0) return bytes.subarray(start, start + nul);
  return start + limit <= bytes.length ? bytes.subarray(start, start + limit) : undefined;
}
