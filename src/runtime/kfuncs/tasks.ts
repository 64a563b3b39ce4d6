import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { cgroupAddress, pidOfTask, ROOT_CGROUP_ID, taskAddress } from "../helpers/index.ts";
import { PTR_TO_BTF_ID } from "../layout.ts";

/** Tasks and cgroups by reference. There is one task, the host's, in one cgroup below the root. */
export const TASK_KFUNCS = {
  bpf_task_acquire: { since: "6.2", impl: (call) => hold(call, taskOf(call), "task") },
  bpf_task_release: { since: "6.2", impl: release },
  bpf_task_from_pid: { since: "6.2", impl: fromPid },
  bpf_task_from_vpid: { since: "6.14", impl: fromPid },
  bpf_task_under_cgroup: {
    since: "6.5",
    impl(call) {
      taskOf(call);
      const ancestor = cgroupOf(call, 2);
      return ancestor === ROOT_CGROUP_ID || ancestor === call.host.task.cgroupId ? 1 : 0;
    },
  },
  bpf_cgroup_acquire: {
    since: "6.2",
    impl: (call) => hold(call, cgroupAddress(cgroupOf(call, 1)), "cgroup"),
  },
  bpf_cgroup_release: { since: "6.2", impl: release },
  bpf_cgroup_ancestor: {
    since: "6.2",
    impl(call) {
      const id = cgroupOf(call, 1);
      const level = call.s32(2);
      if (level === 0) return hold(call, cgroupAddress(ROOT_CGROUP_ID), "cgroup");
      return level === 1 && id !== ROOT_CGROUP_ID ? hold(call, cgroupAddress(id), "cgroup") : 0;
    },
  },
  bpf_cgroup_from_id: {
    since: "6.2",
    impl(call) {
      const id = call.u64(1);
      const known = id === ROOT_CGROUP_ID || id === call.host.task.cgroupId;
      return known ? hold(call, cgroupAddress(id), "cgroup") : 0;
    },
  },
  /** There is no hierarchy of version 1. */
  bpf_task_get_cgroup1: { since: "6.8", impl: () => 0 },
} as const satisfies Record<string, KfuncRow>;

function hold(call: HelperCall, address: number, what: string): number {
  return call.returnPointer(PTR_TO_BTF_ID, address, 0, call.acquire(what));
}

function release(call: HelperCall): number {
  call.release(1);
  return 0;
}

function fromPid(call: HelperCall): number {
  const { pid } = call.host.task;
  return call.s32(1) === pid ? hold(call, taskAddress(pid), "task") : 0;
}

/** The task that argument 1 points to. */
function taskOf(call: HelperCall): number {
  if (pidOfTask(call.u32(1)) !== undefined) return call.u32(1);
  return call.fail(
    "runtime/bad-object",
    "arg#0 expected pointer to struct task_struct",
    "pass a trusted task pointer",
  );
}

/** Id of the cgroup that argument n points to. */
function cgroupOf(call: HelperCall, n: number): bigint {
  const address = call.u32(n);
  for (const id of [call.host.task.cgroupId, ROOT_CGROUP_ID]) if (cgroupAddress(id) === address) return id;
  return call.fail(
    "runtime/bad-object",
    `arg#${n - 1} expected pointer to struct cgroup`,
    "pass a pointer from bpf_cgroup_from_id",
  );
}
