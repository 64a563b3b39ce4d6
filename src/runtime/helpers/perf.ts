import { concatBytes } from "../../base/index.ts";
import type { HelperCall, HelperTable } from "../helper-call.ts";
import { E2BIG, EFAULT, EINVAL, ENOENT, EOPNOTSUPP } from "./errno.ts";

/** Perf event arrays: records to the host, and counters, of which there are none here. */
export const PERF_HELPERS = {
  /**
   * The record is the program's bytes, followed for packet types by as many packet bytes as the flags say. Linux pads
   * records to 8 bytes (less 4); here they have the length that the program gave.
   */
  perf_event_output(call) {
    const flags = call.u64(3);
    const packetBytes = PACKET_BYTES[call.programType];
    if ((flags & ~(INDEX_MASK | (packetBytes === undefined ? 0n : CTXLEN_MASK))) !== 0n) return -EINVAL;
    const extra = Number((flags & CTXLEN_MASK) >> 32n);
    if (extra > 0 && extra > call.packet.length) return -EFAULT;
    const data = call.bytes(4, call.u32(5));
    const record = extra === 0 ? data.slice() : concatBytes([data, call.packet.bytes().subarray(0, extra)]);
    return call.map(2).program.eventOutput(slotOf(call, flags), call.cpu, record);
  },
  perf_event_read: (call) => noCounter(call, call.u64(2)),
  perf_event_read_value(call) {
    const size = call.u32(4);
    call.bytes(3, size).fill(0);
    return size === PERF_VALUE_BYTES ? noCounter(call, call.u64(2)) : -EINVAL;
  },
  perf_prog_read_value(call) {
    const size = call.u32(3);
    call.bytes(2, size).fill(0);
    return size === PERF_VALUE_BYTES ? -EOPNOTSUPP : -EINVAL;
  },
  /** The sample carries no branch records. */
  read_branch_records: (call) => ((call.u64(4) & ~GET_BRANCH_RECORDS_SIZE) !== 0n ? -EINVAL : -ENOENT),
  /** What Linux answers on a CPU that records no branches. */
  get_branch_snapshot: (call) => (call.u64(3) !== 0n ? -EINVAL : -ENOENT),
} as const satisfies Partial<HelperTable>;

/** Linux: BPF_F_INDEX_MASK, whose full value is BPF_F_CURRENT_CPU, and BPF_F_CTXLEN_MASK. */
const INDEX_MASK = 0xffff_ffffn;
const CTXLEN_MASK = 0xf_ffff_0000_0000n;
/** Linux: BPF_F_GET_BRANCH_RECORDS_SIZE. */
const GET_BRANCH_RECORDS_SIZE = 1n;
/** `sizeof(struct bpf_perf_event_value)`. */
const PERF_VALUE_BYTES = 24;

/** Program types whose records may end with bytes of the packet. */
const PACKET_BYTES: Readonly<Partial<Record<HelperCall["programType"], true>>> = {
  BPF_PROG_TYPE_XDP: true,
  BPF_PROG_TYPE_SCHED_CLS: true,
  BPF_PROG_TYPE_SCHED_ACT: true,
  BPF_PROG_TYPE_SOCKET_FILTER: true,
  BPF_PROG_TYPE_CGROUP_SKB: true,
  BPF_PROG_TYPE_LWT_IN: true,
  BPF_PROG_TYPE_LWT_OUT: true,
  BPF_PROG_TYPE_LWT_XMIT: true,
  BPF_PROG_TYPE_LWT_SEG6LOCAL: true,
  BPF_PROG_TYPE_SK_SKB: true,
};

function slotOf(call: HelperCall, flags: bigint): number {
  const index = flags & INDEX_MASK;
  return index === INDEX_MASK ? call.cpu : Number(index);
}

/** A slot holds no counter, whatever it is: ENOENT once flags and slot are valid. */
function noCounter(call: HelperCall, flags: bigint): number {
  if ((flags & ~INDEX_MASK) !== 0n) return -EINVAL;
  return slotOf(call, flags) >= call.map(1).spec.maxEntries ? -E2BIG : -ENOENT;
}
