import type { ProgramTypeName } from "../../abi/index.ts";

const XDP_ABORTED = 0;
const XDP_DROP = 1;
const TC_ACT_SHOT = 2;
const TC_ACT_STOLEN = 4;
const TC_ACT_QUEUED = 5;

/** Which return values end a packet's journey, by program type. Types not listed drop nothing. */
const DROPS: Partial<Record<ProgramTypeName, (retval: number) => boolean>> = {
  BPF_PROG_TYPE_XDP: (retval) => retval === XDP_ABORTED || retval === XDP_DROP || retval > 4,
  BPF_PROG_TYPE_SCHED_CLS: isTcDrop,
  BPF_PROG_TYPE_SCHED_ACT: isTcDrop,
  BPF_PROG_TYPE_SOCKET_FILTER: (retval) => retval === 0,
  BPF_PROG_TYPE_CGROUP_SKB: (retval) => (retval & 1) === 0,
  BPF_PROG_TYPE_LWT_IN: (retval) => retval === 2,
  BPF_PROG_TYPE_LWT_OUT: (retval) => retval === 2,
  BPF_PROG_TYPE_LWT_XMIT: (retval) => retval === 2,
  BPF_PROG_TYPE_SK_SKB: (retval) => retval === 0,
};

function isTcDrop(retval: number): boolean {
  return retval === TC_ACT_SHOT || retval === TC_ACT_STOLEN || retval === TC_ACT_QUEUED;
}

/** True when a packet with this return value goes no further. */
export function isDropped(type: ProgramTypeName, retval: number): boolean {
  return DROPS[type]?.(retval) ?? false;
}
