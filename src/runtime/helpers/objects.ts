/**
 * Objects of the kernel's that a program may hold and compare but not look into: tasks, cgroups. Their addresses lie
 * in a range that memory never reaches, so that reading through one fails (`-EFAULT` from `probe_read_kernel`, a
 * typed error from a direct load) and never yields some other object's bytes.
 */
export const OPAQUE_BASE = 0xf000_0000;
const CGROUP_BASE = 0xf800_0000;
/** Linux: PID_MAX_LIMIT. */
const PID_LIMIT = 1 << 22;
const STEP = 8;

/** The address that stands for the task with this pid. */
export function taskAddress(pid: number): number {
  return OPAQUE_BASE + (pid & (PID_LIMIT - 1)) * STEP;
}

/** The pid whose task lies at `address`; undefined when none does. */
export function pidOfTask(address: number): number | undefined {
  const index = (address - OPAQUE_BASE) / STEP;
  return Number.isInteger(index) && index >= 0 && index < PID_LIMIT ? index : undefined;
}

/** The address that stands for the cgroup with this id (low 23 bits tell them apart). */
export function cgroupAddress(id: bigint): number {
  return CGROUP_BASE + Number(BigInt.asUintN(23, id)) * STEP;
}

/** Id of the cgroup that every other one lies below. */
export const ROOT_CGROUP_ID = 1n;
