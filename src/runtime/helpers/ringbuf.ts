import type { HelperCall, HelperTable } from "../helper-call.ts";
import { PTR_TO_MEM } from "../layout.ts";
import { argument } from "./arguments.ts";
import { dynptrAt } from "./dynptr.ts";
import { DYNPTR_MAX_SIZE } from "./dynptr-table.ts";
import { E2BIG, EAGAIN, EINVAL, ENODATA } from "./errno.ts";
import { runScope } from "./run-scope.ts";

/** Ring buffers from program to host, and the one from host to program. */
export const RINGBUF_HELPERS = {
  ringbuf_output(call) {
    const flags = call.u64(4);
    if ((flags & ~WAKEUP_FLAGS) !== 0n) return -EINVAL;
    return call.map(1).program.ringbufOutput(call.u32(2), call.u32(3), Number(flags));
  },
  ringbuf_reserve(call) {
    if (call.u64(3) !== 0n) return 0;
    const map = call.map(1);
    const size = call.u32(2);
    const record = map.program.ringbufReserve(size, 0);
    if (record === 0) return 0;
    call.state.records.set(record, map);
    return call.returnPointer(PTR_TO_MEM, record, size, call.acquire("ring buffer record"));
  },
  ringbuf_submit(call) {
    finish(call, call.u32(1), "submit", call.u64(2));
    call.release(1);
    return 0;
  },
  ringbuf_discard(call) {
    finish(call, call.u32(1), "discard", call.u64(2));
    call.release(1);
    return 0;
  },
  ringbuf_query: (call) => call.map(1).program.ringbufQuery(Number(call.u64(2))),
  /** Success or not, the program must submit or discard the dynptr afterwards. */
  ringbuf_reserve_dynptr(call) {
    const size = call.u32(2);
    const at = call.u32(4);
    const { dynptrs } = runScope(call.run);
    const reference = call.acquire("ring buffer dynptr");
    const none = {
      kind: "null",
      base: 0,
      offset: 0,
      size: 0,
      readOnly: false,
      provenance: 0,
      aux: 0,
      reference,
    } as const;
    dynptrs.set(call.memory, at, none);
    if (call.u64(3) !== 0n) return -EINVAL;
    if (size > DYNPTR_MAX_SIZE) return -E2BIG;
    const map = call.map(1);
    const record = map.program.ringbufReserve(size, 0);
    if (record === 0) return -EINVAL;
    call.state.records.set(record, map);
    dynptrs.set(call.memory, at, {
      kind: "ringbuf",
      base: record,
      offset: 0,
      size,
      readOnly: false,
      provenance: PTR_TO_MEM,
      aux: reference,
      reference,
    });
    return 0;
  },
  ringbuf_submit_dynptr: (call) => finishDynptr(call, "submit"),
  ringbuf_discard_dynptr: (call) => finishDynptr(call, "discard"),
  /** Calls the function with a dynptr over each sample until it returns 1; the number of samples consumed. */
  user_ringbuf_drain(call) {
    if ((call.u64(4) & ~WAKEUP_FLAGS) !== 0n) return -EINVAL;
    const { program } = call.map(1);
    const context = argument(call, 3);
    const { dynptrs } = runScope(call.run);
    const at = call.heap.alloc(16);
    const pointer = { address: at, kind: PTR_TO_MEM, base: at, size: 16 };
    let consumed = 0;
    try {
      for (let i = 0; i < MAX_USER_SAMPLES; i++) {
        const sample = program.userRingbufPeek();
        if (sample === -ENODATA) break;
        if (sample === -EAGAIN) continue;
        if (typeof sample === "number") return sample;
        dynptrs.set(call.memory, at, {
          kind: "local",
          base: sample.address,
          offset: 0,
          size: sample.size,
          readOnly: false,
          provenance: PTR_TO_MEM,
          aux: 0,
          reference: 0,
        });
        const stop = call.callback(2, [pointer, context]) !== 0n;
        program.userRingbufRelease();
        consumed++;
        if (stop) break;
      }
    } finally {
      dynptrs.delete(at);
      call.heap.free(at);
    }
    return consumed;
  },
} as const satisfies Partial<HelperTable>;

/** Linux: BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP. */
const WAKEUP_FLAGS = 3n;
/** Linux: BPF_MAX_USER_RINGBUF_SAMPLES. */
const MAX_USER_SAMPLES = 128 * 1024;

function finish(call: HelperCall, record: number, how: "submit" | "discard", flags: bigint): void {
  const map = call.state.records.get(record);
  if (map === undefined) {
    call.fail(
      "runtime/bad-record",
      `bpf_ringbuf_${how}: ${record} is not the start of a reserved record`,
      "pass the very pointer that bpf_ringbuf_reserve returned",
    );
  }
  call.state.records.delete(record);
  if (how === "submit") map.program.ringbufSubmit(record, Number(flags));
  else map.program.ringbufDiscard(record, Number(flags));
}

function finishDynptr(call: HelperCall, how: "submit" | "discard"): number {
  const dynptr = dynptrAt(call, 1);
  if (dynptr.reference === 0) {
    call.fail("runtime/bad-dynptr", `bpf_ringbuf_${how}_dynptr: the dynptr is not one of a ring buffer`);
  }
  if (dynptr.kind === "ringbuf") finish(call, dynptr.base, how, call.u64(2));
  runScope(call.run).dynptrs.releaseAll(dynptr.reference);
  call.releaseReference(dynptr.reference);
  return 0;
}
