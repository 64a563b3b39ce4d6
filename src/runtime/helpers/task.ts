import type { SentSignal } from "../../object/index.ts";
import type { HelperCall, HelperTable } from "../helper-call.ts";
import { PTR_TO_BTF_ID } from "../layout.ts";
import { direct } from "./direct.ts";
import { E2BIG, EAGAIN, EINVAL, EPERM } from "./errno.ts";
import { ROOT_CGROUP_ID, taskAddress } from "./objects.ts";

/** `struct bpf_pidns_info`: pid, tgid. */
const PIDNS_INFO_BYTES = 8;
/** Linux: _NSIG. */
const MAX_SIGNAL = 64;

/** What a program may ask about the current task, answered from `Host.task`. */
export const TASK_HELPERS = {
  get_current_pid_tgid: (call) => direct(call, "get_current_pid_tgid"),
  get_current_uid_gid: (call) => direct(call, "get_current_uid_gid"),
  get_current_comm: (call) => direct(call, "get_current_comm"),
  get_current_cgroup_id: (call) => call.host.task.cgroupId,
  /** The hierarchy above the task's cgroup is its root (level 0, id 1) and the cgroup itself. */
  get_current_ancestor_cgroup_id(call) {
    const { cgroupId } = call.host.task;
    const level = call.s32(1);
    if (level === 0) return ROOT_CGROUP_ID;
    return level === 1 && cgroupId !== ROOT_CGROUP_ID ? cgroupId : 0;
  },
  /** A cgroup array has no members here: its slots are cgroup file descriptors of Linux. */
  current_task_under_cgroup: (call) => (call.u32(2) >= call.map(1).spec.maxEntries ? -E2BIG : -EAGAIN),
  /** No net_cls hierarchy: every task is in class 0, as on a Linux without one. */
  get_cgroup_classid: () => 0,
  /** Scalar address of the task. It stands for the task in comparisons and keys; reading there is a fault. */
  get_current_task: (call) => taskAddress(call.host.task.pid),
  get_current_task_btf: (call) => call.returnPointer(PTR_TO_BTF_ID, taskAddress(call.host.task.pid), 0),
  /** There is one pid namespace, whose device and inode are not known to programs: none matches. */
  get_ns_current_pid_tgid(call) {
    const size = call.u32(4);
    call.bytes(3, size).fill(0);
    if (size !== PIDNS_INFO_BYTES) return -EINVAL;
    return -EINVAL;
  },
  send_signal: (call) => send(call, "process"),
  send_signal_thread: (call) => send(call, "thread"),
} as const satisfies Partial<HelperTable>;

/** Signals reach nobody: they are recorded in the run. */
function send(call: HelperCall, to: SentSignal["to"]): number {
  const signal = call.u32(1);
  const { pid, tgid } = call.host.task;
  if (tgid === 1) return -EPERM;
  if (signal > MAX_SIGNAL) return -EINVAL;
  if (signal === 0) return 0;
  const { outcome } = call.run;
  outcome.signals = [...(outcome.signals ?? []), { signal, to, pid: to === "process" ? tgid : pid }];
  return 0;
}
