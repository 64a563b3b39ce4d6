import type { MapTypeName } from "../../abi/index.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import { PerfBufferMap } from "./perf-buffer-map.ts";
import { RingBufferMap } from "./ring-buffer-map.ts";
import { UserRingBufferMap } from "./user-ring-buffer-map.ts";

/** Map types that can do more than be looked up. */
const CLASSES: { readonly [Type in MapTypeName]?: typeof LinuxMap } = {
  BPF_MAP_TYPE_RINGBUF: RingBufferMap,
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: PerfBufferMap,
  BPF_MAP_TYPE_USER_RINGBUF: UserRingBufferMap,
};

/** A map object of the class that its type has. */
export function linuxMap(...[context, spec, btf, handle]: ConstructorParameters<typeof LinuxMap>): LinuxMap {
  const Class = CLASSES[spec.type] ?? LinuxMap;
  return new Class(context, spec, btf, handle);
}
