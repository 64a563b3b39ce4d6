import type { HelperCall, HelperTable } from "../helper-call.ts";
import { PTR_TO_MAP_VALUE } from "../layout.ts";
import { KIND_MASK } from "./arguments.ts";
import { DYNPTR_MAX_SIZE, type Dynptr, NULL_DYNPTR } from "./dynptr-table.ts";
import { E2BIG, EFAULT, EINVAL } from "./errno.ts";
import { runScope } from "./run-scope.ts";

/** Dynptrs: bounded memory whose size is known only at run time. The kfuncs for them are in `kfuncs/dynptr.ts`. */
export const DYNPTR_HELPERS = {
  dynptr_from_mem(call) {
    const size = call.u32(2);
    const { dynptrs } = runScope(call.run);
    const { kind, aux } = call.provenance(1);
    if ((kind & KIND_MASK) !== PTR_TO_MAP_VALUE) {
      call.fail(
        "runtime/bad-dynptr",
        "Unsupported reg type for bpf_dynptr_from_mem data",
        "make the dynptr over a map value: stack memory is not allowed",
      );
    }
    const error = size > DYNPTR_MAX_SIZE ? -E2BIG : call.u64(3) !== 0n ? -EINVAL : 0;
    const dynptr: Dynptr = {
      kind: "local",
      base: call.u32(1),
      offset: 0,
      size,
      readOnly: false,
      provenance: kind,
      aux,
      reference: 0,
    };
    dynptrs.set(call.memory, call.u32(4), error < 0 ? NULL_DYNPTR : dynptr);
    return error;
  },
  dynptr_read(call) {
    const dynptr = dynptrAt(call, 3);
    if (dynptr.kind === "null" || call.u64(5) !== 0n) return -EINVAL;
    return readDynptr(call, dynptr, call.u32(4), call.u32(1), call.u32(2));
  },
  dynptr_write(call) {
    const dynptr = dynptrAt(call, 1);
    if (dynptr.kind === "null" || dynptr.readOnly) return -EINVAL;
    return writeDynptr(call, dynptr, call.u32(2), call.u32(3), call.u32(4), call.u64(5));
  },
  dynptr_data(call) {
    const dynptr = dynptrAt(call, 1);
    const offset = call.u32(2);
    const size = call.u32(3);
    if (dynptr.readOnly || !inside(dynptr, offset, size)) return 0;
    // Packets are looked at through bpf_dynptr_slice, which can copy.
    if (dynptr.kind !== "local" && dynptr.kind !== "ringbuf") return 0;
    return call.returnPointer(dynptr.provenance, dynptr.base + dynptr.offset + offset, size, dynptr.aux);
  },
} as const satisfies Partial<HelperTable>;

/**
 * The dynptr whose struct argument n points to.
 * @throws BpfError `runtime/bad-dynptr` when there is none, or the program wrote over its bytes.
 */
export function dynptrAt(call: HelperCall, n: number): Dynptr {
  const dynptr = runScope(call.run).dynptrs.get(call.memory, call.u32(n));
  if (dynptr !== undefined) return dynptr;
  return call.fail(
    "runtime/bad-dynptr",
    `Expected an initialized dynptr as arg #${n}`,
    "set it up first (bpf_dynptr_from_mem, bpf_ringbuf_reserve_dynptr …) and do not write to its bytes",
  );
}

/** True when [offset, offset + size) lies in the view. */
export function inside(dynptr: Dynptr, offset: number, size: number): boolean {
  return size <= dynptr.size && offset <= dynptr.size - size;
}

/** Copies from the dynptr to `to`: 0, -E2BIG outside of it, -EFAULT where the packet has shrunk. */
export function readDynptr(
  call: HelperCall,
  dynptr: Dynptr,
  offset: number,
  to: number,
  size: number,
): number {
  if (!inside(dynptr, offset, size)) return -E2BIG;
  if (dynptr.kind === "skb" || dynptr.kind === "xdp") {
    if (call.packet.copyOut(dynptr.offset + offset, to, size)) return 0;
    if (dynptr.kind === "skb") call.memory.u8.fill(0, to, to + size);
    return dynptr.kind === "skb" ? -EFAULT : -EINVAL;
  }
  const from = dynptr.base + dynptr.offset + offset;
  call.memory.u8.copyWithin(to, from, from + size);
  return 0;
}

/** Linux: BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH, the flags of `bpf_skb_store_bytes`. */
const STORE_FLAGS = 3n;

/** Copies `size` bytes at `from` into the dynptr; errors as for {@link readDynptr}, -EINVAL for unknown flags. */
export function writeDynptr(
  call: HelperCall,
  dynptr: Dynptr,
  offset: number,
  from: number,
  size: number,
  flags: bigint,
): number {
  if (!inside(dynptr, offset, size)) return -E2BIG;
  if ((flags & ~(dynptr.kind === "skb" ? STORE_FLAGS : 0n)) !== 0n) return -EINVAL;
  if (dynptr.kind === "skb" || dynptr.kind === "xdp") {
    if (!call.packet.copyIn(dynptr.offset + offset, from, size))
      return dynptr.kind === "skb" ? -EFAULT : -EINVAL;
    // Linux may have to unshare the packet, so slices taken before end here.
    if (dynptr.kind === "skb") call.packet.moved();
    return 0;
  }
  call.memory.u8.copyWithin(dynptr.base + dynptr.offset + offset, from, from + size);
  return 0;
}
