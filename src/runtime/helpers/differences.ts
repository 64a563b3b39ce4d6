// One table: where an implemented helper answers differently from Linux, for the support table in docs.
import type { HelperName } from "../../abi/index.ts";

const oneAddressSpace =
  "any address of the embedded kernel's memory is readable; user and kernel addresses are one";
const noStack = "-EFAULT unless the host gives a stack (`HostTask.stack`)";
const noCounter = "-ENOENT: no slot holds a counter";
const recorded = "recorded in the run's outcome; nobody receives it";
const oneCgroup = "two levels: the root (id 1) and the host task's cgroup";

/** Behaviour that is not Linux's to the letter, each in one phrase. */
export const HELPER_DIFFERENCES: Readonly<Partial<Record<HelperName, string>>> = {
  probe_read: oneAddressSpace,
  probe_read_user: oneAddressSpace,
  probe_read_kernel: oneAddressSpace,
  probe_read_str: oneAddressSpace,
  probe_read_user_str: oneAddressSpace,
  probe_read_kernel_str: oneAddressSpace,
  copy_from_user: oneAddressSpace,
  copy_from_user_task: oneAddressSpace,
  probe_write_user: "-EFAULT: there is no user memory",
  ktime_get_boot_ns: "the monotonic clock: the host never sleeps",
  ktime_get_tai_ns: "real time: the offset to TAI is 0",
  jiffies64: "250 ticks a second",
  get_numa_node_id: "0",
  get_current_task: "a number that stands for the task; reading there fails",
  get_current_task_btf: "an opaque pointer: the task's fields cannot be read",
  task_pt_regs: "an opaque pointer: the registers cannot be read",
  get_current_ancestor_cgroup_id: oneCgroup,
  current_task_under_cgroup: "-EAGAIN: the slots of a cgroup array are empty",
  get_cgroup_classid: "0",
  get_ns_current_pid_tgid: "-EINVAL: no namespace matches",
  send_signal: recorded,
  send_signal_thread: recorded,
  get_retval: "0 until bpf_set_retval",
  set_retval: "recorded in the run's outcome; no system call returns it",
  perf_event_output: "records keep their length; Linux pads them",
  perf_event_read: noCounter,
  perf_event_read_value: noCounter,
  perf_prog_read_value: "-EOPNOTSUPP: there is no counter",
  read_branch_records: "-ENOENT: samples carry no branches",
  get_branch_snapshot: "-ENOENT: what a CPU without branch records gives",
  get_stackid: noStack,
  get_stack: noStack,
  get_task_stack: noStack,
  get_func_ip: "the context's instruction pointer in kprobes, else 0",
  get_attach_cookie: "0",
  override_return: "sets the context's return register",
  get_local_storage: "the storage of the host task's cgroup",
  sys_close: "-EBADF: there are no file descriptors",
  kallsyms_lookup_name: "-ENOENT: there are no kernel symbols",
  timer_start: "fires when the host runs the kernel's timers",
};
