import type { HelperCall, HelperTable } from "../helper-call.ts";
import { EFAULT, EINVAL } from "./errno.ts";
import { kernelFault, readable } from "./probe-memory.ts";

/**
 * Reads from an address that the program worked out itself. Any address of the kernel's linear memory above the null
 * page is readable; for anything else the destination is zeroed and the answer is Linux's. User and kernel addresses
 * are the same thing here: there is one address space.
 */
export const PROBE_HELPERS = {
  probe_read: (call) => read(call, userFault),
  probe_read_user: (call) => read(call, userFault),
  probe_read_kernel: (call) => read(call, kernelFault),
  probe_read_str: (call) => readString(call, userFault),
  probe_read_user_str: (call) => readString(call, userFault),
  probe_read_kernel_str: (call) => readString(call, kernelFault),
  copy_from_user: (call) => read(call, userFault),
  /** Only the current task has memory; flags must be zero. */
  copy_from_user_task: (call) => (call.u64(5) !== 0n ? -EINVAL : read(call, userFault)),
} as const satisfies Partial<HelperTable>;

/** What reading a bad address gives. */
type Fault = (address: bigint) => number;

const userFault: Fault = () => -EFAULT;

function read(call: HelperCall, fault: Fault): number {
  const size = call.u32(2);
  const from = call.u64(3);
  const { u8 } = call.memory;
  const to = call.u32(1);
  if (size === 0) return 0;
  if (!readable(call.memory, from, size)) {
    u8.fill(0, to, to + size);
    return fault(from);
  }
  u8.copyWithin(to, Number(from), Number(from) + size);
  return 0;
}

/** Copies up to a NUL or `size` bytes, always terminated; returns the length with the NUL. */
function readString(call: HelperCall, fault: Fault): number {
  const size = call.u32(2);
  const from = call.u64(3);
  const { u8 } = call.memory;
  const to = call.u32(1);
  if (size === 0) return 0;
  const start = readable(call.memory, from, 1) ? Number(from) : u8.length;
  for (let i = 0; i < size - 1; i++) {
    if (start + i >= u8.length) {
      u8.fill(0, to, to + size);
      return fault(from);
    }
    u8[to + i] = u8[start + i];
    if (u8[to + i] === 0) return i + 1;
  }
  if (start >= u8.length) {
    u8[to] = 0;
    return fault(from);
  }
  u8[to + size - 1] = 0;
  return size;
}
