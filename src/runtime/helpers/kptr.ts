import type { HelperCall, HelperTable } from "../helper-call.ts";
import { PTR_TO_MEM } from "../layout.ts";

/** Pointers kept in map values, and per-CPU objects. */
export const KPTR_HELPERS = {
  /** Puts a pointer (or null) into the field and hands out the one that was there, to be released by the program. */
  kptr_xchg(call) {
    const slot = call.u32(1);
    const fresh = call.u32(2);
    const { view } = call.memory;
    const before = call.state.pointers.get(slot);
    const held = before !== undefined && Number(view.getBigUint64(slot, true)) === before.address;
    call.state.pointers.delete(slot);
    if (fresh !== 0) {
      const { kind, base, end } = call.provenance(2);
      call.state.pointers.set(slot, { address: fresh, kind, base, end });
      call.release(2);
    }
    view.setBigUint64(slot, BigInt(fresh), true);
    if (!held) return 0;
    const { kind, base, end, address } = before;
    call.returnPointer(kind, base, end - base, call.acquire("kptr from bpf_kptr_xchg"));
    return address;
  },
  per_cpu_ptr: (call) => perCpu(call, call.u32(2)),
  this_cpu_ptr: (call) => perCpu(call, call.cpu),
} as const satisfies Partial<HelperTable>;

/** The copy of CPU `cpu`; null for a CPU that there is not. */
function perCpu(call: HelperCall, cpu: number): number {
  const address = call.u32(1);
  const object = call.state.objects.get(address);
  if (object === undefined || object.stride === 0) {
    return call.fail(
      "runtime/not-percpu",
      "the pointer is not a per-CPU object",
      "the embedded kernel has no per-CPU variables of its own: only objects from bpf_percpu_obj_new",
    );
  }
  if (cpu >= call.host.numCpus) return 0;
  return call.returnPointer(PTR_TO_MEM, address + cpu * object.stride, object.size);
}
