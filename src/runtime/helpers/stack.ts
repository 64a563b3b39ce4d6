import type { HelperCall, HelperTable } from "../helper-call.ts";
import { EFAULT, EINVAL, EOPNOTSUPP } from "./errno.ts";
import { pidOfTask } from "./objects.ts";

/** Stack traces of the current task, as far as the host knows one (`HostTask.stack`); `-EFAULT` where it does not. */
export const STACK_HELPERS = {
  get_stackid(call) {
    const flags = call.u64(3);
    if ((flags & ~(SKIP_MASK | USER_STACK | FAST_STACK_CMP | REUSE_STACKID)) !== 0n) return -EINVAL;
    const addresses = addressesOf(call, flags);
    return addresses === undefined ? -EFAULT : call.map(2).program.stackId(addresses, Number(flags));
  },
  get_stack: (call) => copyStack(call, call.u32(2), call.u32(3), call.u64(4)),
  /** Of the current task only. */
  get_task_stack(call) {
    const size = call.u32(3);
    if (pidOfTask(call.u32(1)) === call.host.task.pid) return copyStack(call, call.u32(2), size, call.u64(4));
    call.bytes(2, size).fill(0);
    return -EOPNOTSUPP;
  },
} as const satisfies Partial<HelperTable>;

/** Linux: BPF_F_SKIP_FIELD_MASK, BPF_F_USER_STACK, BPF_F_FAST_STACK_CMP, BPF_F_REUSE_STACKID, BPF_F_USER_BUILD_ID. */
const SKIP_MASK = 0xffn;
const USER_STACK = 0x100n;
const FAST_STACK_CMP = 0x200n;
const REUSE_STACKID = 0x400n;
const USER_BUILD_ID = 0x800n;
/** `struct bpf_stack_build_id`: status, build id, offset or address. */
const BUILD_ID_BYTES = 32;
/** Linux: BPF_STACK_BUILD_ID_IP: no build id known, the last word is the address. */
const BUILD_ID_IP = 2;

/** Linux: sysctl kernel.perf_event_max_stack. */
const MAX_DEPTH = 127;

/** Without the frames to skip; undefined when there is no stack, or none is left of it. */
function addressesOf(call: HelperCall, flags: bigint): readonly bigint[] | undefined {
  const stack = call.host.task.stack?.((flags & USER_STACK) !== 0n ? "user" : "kernel");
  const skip = Number(flags & SKIP_MASK);
  if (stack === undefined || stack.length <= skip) return undefined;
  return stack.slice(skip, skip + MAX_DEPTH);
}

/** Fills the buffer with addresses (or build-id records), zeroes the rest; bytes filled or -errno. */
function copyStack(call: HelperCall, to: number, size: number, flags: bigint): number {
  const out = call.memory.u8.subarray(to, to + size);
  out.fill(0);
  if ((flags & ~(SKIP_MASK | USER_STACK | USER_BUILD_ID)) !== 0n) return -EINVAL;
  const buildId = (flags & USER_BUILD_ID) !== 0n;
  if (buildId && (flags & USER_STACK) === 0n) return -EINVAL;
  const step = buildId ? BUILD_ID_BYTES : 8;
  if (size % step !== 0) return -EINVAL;
  const addresses = addressesOf(call, flags);
  if (addresses === undefined) return -EFAULT;
  const { view } = call.memory;
  const count = Math.min(addresses.length, size / step);
  for (let i = 0; i < count; i++) {
    const at = to + i * step;
    if (buildId) view.setInt32(at, BUILD_ID_IP, true);
    view.setBigUint64(at + step - 8, BigInt.asUintN(64, addresses[i]), true);
  }
  return count * step;
}
