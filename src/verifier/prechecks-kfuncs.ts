import type { Btf } from "../btf/index.ts";
import type { InsnTable } from "../isa/index.ts";
import { type CallSummary, isPoisonedKfuncCall } from "./prechecks-calls.ts";
import type { Fail } from "./prechecks-fail.ts";

/** `MAX_KFUNC_DESCS` @ v6.18 */
const MAX_KFUNCS = 256;

/** What {@link kfuncChecker} needs to know. */
export interface KfuncInput {
  readonly insns: InsnTable;
  readonly kernelBtf: Btf | undefined;
  readonly moduleBtfs: readonly Btf[];
  readonly gplCompatible: boolean;
  readonly fail: Fail;
  /** Gives up for want of kernel types. */
  readonly unsupported: (feature: string) => never;
}

/**
 * The check of each kernel function call before the walk: the licence, and that the BTF id names a function.
 * @see kernel/bpf/verifier.c `add_kfunc_call` @ v6.18
 */
export function kfuncChecker(input: KfuncInput): (slot: number) => void {
  const { insns, fail } = input;
  const known = new Set<number>();
  return (slot) => {
    if (!input.gplCompatible && known.size === 0) {
      const message = "cannot call kernel function from non-GPL compatible program";
      fail("verifier/gpl-only-kfunc", message, "EINVAL", slot);
    }
    if (isPoisonedKfuncCall(insns, slot)) return; // rejected when the walk gets there
    if (input.kernelBtf === undefined) input.unsupported("kernel function call (needs the kernel's BTF)");
    const id = insns.imm[slot];
    const btf = btfOfCall(input, slot);
    if (btf === undefined)
      fail("verifier/bad-kfunc", "failed to find BTF for kernel function", "EINVAL", slot);
    const key = id + insns.off[slot] * 2 ** 32;
    if (known.has(key)) return;
    if (known.size === MAX_KFUNCS) {
      fail("verifier/bad-kfunc", "too many different kernel function calls", "E2BIG", slot);
    }
    const func = btf?.types[id];
    if (func?.kind !== "func") {
      return fail("verifier/bad-kfunc", `kernel btf_id ${id} is not a function`, "EINVAL", slot);
    }
    if (DEVICE_BOUND.has(func.name)) {
      const message = "metadata kfuncs require device-bound program";
      fail("verifier/device-bound", message, "EINVAL", slot);
    }
    known.add(key);
  };
}

/** Read what a network device knows of a packet: the program has to be loaded for one device. */
const DEVICE_BOUND: ReadonlySet<string> = new Set([
  "bpf_xdp_metadata_rx_timestamp",
  "bpf_xdp_metadata_rx_hash",
  "bpf_xdp_metadata_rx_vlan_tag",
]);

/** The BTF that the id in a kernel function call belongs to: `off` is 0 or 1 + the number of a module. */
function btfOfCall(
  input: Pick<KfuncInput, "insns" | "kernelBtf" | "moduleBtfs">,
  slot: number,
): Btf | undefined {
  const module = input.insns.off[slot];
  return module === 0 ? input.kernelBtf : input.moduleBtfs[module - 1];
}

/** Summaries of kernel functions by slot, from the kernel's BTF and `mightSleep` (by name). */
export function kfuncSummaries(
  input: Pick<KfuncInput, "insns" | "kernelBtf" | "moduleBtfs">,
  mightSleep: (name: string) => boolean,
): (slot: number) => CallSummary | undefined {
  return (slot) => {
    const btf = btfOfCall(input, slot);
    const func = btf?.types[input.insns.imm[slot]];
    if (func?.kind !== "func") return undefined;
    const proto = btf?.types[func.type];
    if (proto?.kind !== "func_proto") return undefined;
    const { name } = func;
    return {
      name,
      params: Math.min(proto.params.length, 5),
      isVoid: proto.type === 0,
      syncCallback: name === "bpf_rbtree_add_impl",
      asyncCallback: ASYNC_CALLBACKS.has(name),
      mightSleep: mightSleep(name),
      changesPacket: name === "bpf_xdp_pull_data",
      iterNext: /^bpf_iter_\w+_next$/.test(name),
      fastcall: name === "bpf_cast_to_kern_ctx" || name === "bpf_rdonly_cast",
    };
  };
}

/** Take a callback to run later, in 6.18 and in the kernels that renamed them. */
const ASYNC_CALLBACKS: ReadonlySet<string> = new Set([
  "bpf_wq_set_callback_impl",
  "bpf_task_work_schedule_signal",
  "bpf_task_work_schedule_signal_impl",
  "bpf_task_work_schedule_resume",
  "bpf_task_work_schedule_resume_impl",
]);
