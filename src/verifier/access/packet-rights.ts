import type { ProgramTypeName } from "../../abi/index.ts";

/** Program types that may read packets directly. `may_access_direct_pkt_data` @ v6.18 */
const READ_ONLY: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_LWT_IN",
  "BPF_PROG_TYPE_LWT_OUT",
  "BPF_PROG_TYPE_LWT_SEG6LOCAL",
  "BPF_PROG_TYPE_SK_REUSEPORT",
  "BPF_PROG_TYPE_FLOW_DISSECTOR",
  "BPF_PROG_TYPE_CGROUP_SKB",
]);
/** … and write them. */
const READ_WRITE: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_SCHED_CLS",
  "BPF_PROG_TYPE_SCHED_ACT",
  "BPF_PROG_TYPE_XDP",
  "BPF_PROG_TYPE_LWT_XMIT",
  "BPF_PROG_TYPE_SK_SKB",
  "BPF_PROG_TYPE_SK_MSG",
]);

/** A program of this type may write through its packet pointers. */
export function mayWritePacket(type: ProgramTypeName): boolean {
  return READ_WRITE.has(type) || type === "BPF_PROG_TYPE_CGROUP_SOCKOPT";
}

/** Helpers with `pktAccess` may be given packet pointers; sockopt's option value may go to any helper. */
export function mayPassPacket(type: ProgramTypeName, pktAccess: boolean): boolean {
  if (type === "BPF_PROG_TYPE_CGROUP_SOCKOPT") return true;
  return (READ_ONLY.has(type) || READ_WRITE.has(type)) && pktAccess;
}
