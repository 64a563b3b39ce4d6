import type { HelperCall, KfuncRow } from "../helper-call.ts";
import {
  type Dynptr,
  dynptrAt,
  E2BIG,
  EINVAL,
  ERANGE,
  inside,
  NULL_DYNPTR,
  readDynptr,
  runScope,
  writeDynptr,
} from "../helpers/index.ts";
import { PROV_RDONLY, PTR_TO_PACKET } from "../layout.ts";

/** Dynptrs over packets, and everything about dynptrs that came after their helpers. */
export const DYNPTR_KFUNCS = {
  bpf_dynptr_from_skb: { since: "6.4", impl: (call) => fromPacket(call, "skb") },
  bpf_dynptr_from_xdp: { since: "6.4", impl: (call) => fromPacket(call, "xdp") },
  bpf_dynptr_slice: { since: "6.4", impl: (call) => slice(call, PROV_RDONLY) },
  bpf_dynptr_slice_rdwr: {
    since: "6.4",
    impl: (call) => (dynptrAt(call, 1).readOnly ? 0 : slice(call, 0)),
  },
  bpf_dynptr_adjust: { since: "6.5", impl: adjust },
  bpf_dynptr_is_null: { since: "6.5", impl: (call) => (dynptrAt(call, 1).kind === "null" ? 1 : 0) },
  bpf_dynptr_is_rdonly: { since: "6.5", impl: (call) => (dynptrAt(call, 1).readOnly ? 1 : 0) },
  /** An unsigned 32-bit result: of a null dynptr it is 2^32 - 22. */
  bpf_dynptr_size: {
    since: "6.5",
    impl(call) {
      const dynptr = dynptrAt(call, 1);
      return dynptr.kind === "null" ? 2 ** 32 - EINVAL : dynptr.size;
    },
  },
  bpf_dynptr_clone: { since: "6.5", impl: clone },
  bpf_dynptr_copy: { since: "6.16", impl: copy },
  bpf_dynptr_memset: { since: "6.17", impl: memset },
} as const satisfies Record<string, KfuncRow>;

const DYNPTR_BYTES = 16;

/** Program types that may write to the packet through a dynptr. */
const WRITABLE: ReadonlySet<HelperCall["programType"]> = new Set([
  "BPF_PROG_TYPE_SCHED_CLS",
  "BPF_PROG_TYPE_SCHED_ACT",
  "BPF_PROG_TYPE_XDP",
  "BPF_PROG_TYPE_LWT_XMIT",
  "BPF_PROG_TYPE_SK_SKB",
  "BPF_PROG_TYPE_SK_MSG",
]);

function fromPacket(call: HelperCall, kind: "skb" | "xdp"): number {
  call.checkMemory(3, DYNPTR_BYTES, "write");
  const { dynptrs } = runScope(call.run);
  const at = call.u32(3);
  if (call.u64(2) !== 0n) {
    dynptrs.set(call.memory, at, NULL_DYNPTR);
    return -EINVAL;
  }
  dynptrs.set(call.memory, at, {
    ...NULL_DYNPTR,
    kind,
    size: call.packet.length,
    readOnly: !WRITABLE.has(call.programType),
  });
  return 0;
}

/**
 * (dynptr, offset, buffer or null, size): a pointer to the bytes themselves where they lie in one piece, else to the
 * buffer with a copy of them; null when neither is possible.
 */
function slice(call: HelperCall, flags: number): number {
  const dynptr = dynptrAt(call, 1);
  const [offset, buffer, size] = [call.u32(2), call.u32(3), call.u32(4)];
  if (buffer !== 0) call.checkMemory(3, size, "write");
  if (dynptr.kind === "null" || !inside(dynptr, offset, size)) return 0;
  const from = dynptr.offset + offset;
  if (dynptr.kind === "local" || dynptr.kind === "ringbuf") {
    return call.returnPointer(dynptr.provenance | flags, dynptr.base + from, size, dynptr.aux);
  }
  const { packet } = call;
  if (from + size <= packet.linear) {
    return call.returnPointer(PTR_TO_PACKET | flags, packet.data + from, size, packet.generation);
  }
  if (buffer === 0 || readDynptr(call, dynptr, offset, buffer, size) < 0) return 0;
  const { kind, aux } = call.provenance(3);
  return call.returnPointer(kind | flags, buffer, size, aux);
}

function adjust(call: HelperCall): number {
  const dynptr = dynptrAt(call, 1);
  const [start, end] = [call.u32(2), call.u32(3)];
  if (dynptr.kind === "null" || start > end) return -EINVAL;
  if (start > dynptr.size || end > dynptr.size) return -ERANGE;
  put(call, 1, { ...dynptr, offset: dynptr.offset + start, size: end - start });
  return 0;
}

function clone(call: HelperCall): number {
  call.checkMemory(2, DYNPTR_BYTES, "write");
  const dynptr = dynptrAt(call, 1);
  put(call, 2, dynptr);
  return dynptr.kind === "null" ? -EINVAL : 0;
}

/** (destination, offset, source, offset, size). */
function copy(call: HelperCall): number {
  const [to, from] = [dynptrAt(call, 1), dynptrAt(call, 3)];
  const [toOffset, fromOffset, size] = [call.u32(2), call.u32(4), call.u32(5)];
  if (to.kind === "null" || from.kind === "null" || to.readOnly) return -EINVAL;
  if (!inside(to, toOffset, size) || !inside(from, fromOffset, size)) return -E2BIG;
  return through(call, size, (scratch) => {
    const error = readDynptr(call, from, fromOffset, scratch, size);
    return error < 0 ? error : writeDynptr(call, to, toOffset, scratch, size, 0n);
  });
}

/** (dynptr, offset, size, byte). */
function memset(call: HelperCall): number {
  const dynptr = dynptrAt(call, 1);
  const [offset, size, byte] = [call.u32(2), call.u32(3), call.u32(4)];
  if (dynptr.kind === "null" || dynptr.readOnly) return -EINVAL;
  if (!inside(dynptr, offset, size)) return -E2BIG;
  return through(call, size, (scratch) => {
    call.memory.u8.fill(byte, scratch, scratch + size);
    return writeDynptr(call, dynptr, offset, scratch, size, 0n);
  });
}

/** Runs `work` with `size` bytes of the kernel's memory. */
function through(call: HelperCall, size: number, work: (scratch: number) => number): number {
  if (size === 0) return 0;
  const scratch = call.heap.alloc(size);
  if (scratch === 0) return -E2BIG;
  try {
    return work(scratch);
  } finally {
    call.heap.free(scratch);
  }
}

function put(call: HelperCall, n: number, dynptr: Dynptr): void {
  runScope(call.run).dynptrs.set(call.memory, call.u32(n), dynptr);
}
