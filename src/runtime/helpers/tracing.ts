import type { HelperCall, HelperTable } from "../helper-call.ts";
import { PTR_TO_BTF_ID } from "../layout.ts";
import { EFAULT, EINVAL } from "./errno.ts";
import { pidOfTask, taskAddress } from "./objects.ts";

/** What a tracing program may ask about the place it is attached to. Registers are those of x86-64 `struct pt_regs`. */
export const TRACING_HELPERS = {
  /** The instruction pointer in a kprobe's context; 0 for types that are not attached to a function. */
  get_func_ip: (call) =>
    call.programType === "BPF_PROG_TYPE_KPROBE" && hasRegister(call, REG_IP)
      ? call.memory.view.getBigUint64(call.u32(1) + REG_IP, true)
      : 0,
  /** No link has set a cookie: what Linux gives then. */
  get_attach_cookie: () => 0,
  /** The return value is put into the context; there is no function whose run could be skipped. */
  override_return(call) {
    if (!hasRegister(call, REG_AX)) return -EINVAL;
    call.memory.view.setBigUint64(call.u32(1) + REG_AX, call.u64(2), true);
    return 0;
  },
  /** Stands for the registers of the current task; nothing can be read there. */
  task_pt_regs: (call) =>
    call.returnPointer(PTR_TO_BTF_ID, taskAddress(pidOfTask(call.u32(1)) ?? call.host.task.pid) + 4, 0),
  /** Every address of the embedded kernel belongs to it: there is no user memory to write to. */
  probe_write_user: () => -EFAULT,
} as const satisfies Partial<HelperTable>;

/** Offsets in `struct pt_regs` of x86-64. */
const REG_AX = 80;
const REG_IP = 128;

function hasRegister(call: HelperCall, offset: number): boolean {
  const { base, end } = call.provenance(1);
  return call.u32(1) === base && end - base >= offset + 8;
}
