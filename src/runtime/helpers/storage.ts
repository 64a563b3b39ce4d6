import type { HelperCall, HelperTable } from "../helper-call.ts";
import { EINVAL } from "./errno.ts";
import { returnValue } from "./map.ts";
import { cgroupAddress } from "./objects.ts";

/** Values that belong to a socket, task, inode or cgroup. */
export const STORAGE_HELPERS = {
  sk_storage_get: get,
  sk_storage_delete: remove,
  task_storage_get: get,
  task_storage_delete: remove,
  inode_storage_get: get,
  inode_storage_delete: remove,
  cgrp_storage_get: get,
  cgrp_storage_delete: remove,
  /** The storage of the cgroup that the run belongs to: the current task's. Never null. */
  get_local_storage(call) {
    const map = call.map(1);
    const owner = cgroupAddress(call.host.task.cgroupId);
    return returnValue(call, map, map.program.storageGet(owner, true, 0, call.cpu));
  },
} as const satisfies Partial<HelperTable>;

/** Linux: BPF_LOCAL_STORAGE_GET_F_CREATE, the same for all four. */
const CREATE = 1n;

/** (map, object, initial value or null, flags): the object's value, null when there is none. */
function get(call: HelperCall): number {
  const flags = call.u64(4);
  const owner = call.u32(2);
  if (owner === 0 || flags > CREATE) return 0;
  const map = call.map(1);
  return returnValue(call, map, map.program.storageGet(owner, flags === CREATE, call.u32(3), call.cpu));
}

/** (map, object). */
function remove(call: HelperCall): number {
  const owner = call.u32(2);
  return owner === 0 ? -EINVAL : call.map(1).program.storageDelete(owner);
}
