import type { Btf } from "../btf/index.ts";
import { BTF_KERNEL, type VerifierEnv } from "./env.ts";
import { Unsupported } from "./errors.ts";
import { KF, type Kfunc, KfuncTable } from "./kfuncs/kfunc.ts";
import { isPoisonedKfuncCall, type KfuncSummaries } from "./prechecks-calls.ts";
import type { Fail } from "./prechecks-fail.ts";

/** `MAX_KFUNC_DESCS` @ v6.18 */
const MAX_KFUNCS = 256;

/**
 * The check of each kernel function call before the walk: the licence, and that the BTF id names a function.
 * @see kernel/bpf/verifier.c `add_kfunc_call` @ v6.18
 */
export function kfuncChecker(env: VerifierEnv, fail: Fail): (slot: number) => void {
  const { insns } = env;
  const known = new Set<number>();
  return (slot) => {
    if (!env.gplCompatible && known.size === 0) {
      const message = "cannot call kernel function from non-GPL compatible program";
      fail("verifier/gpl-only-kfunc", message, "EINVAL", slot);
    }
    if (isPoisonedKfuncCall(insns, slot)) return; // rejected when the walk gets there
    if (env.btfs[BTF_KERNEL] === undefined) env.unsupported("kernel function call (needs the kernel's BTF)");
    const id = insns.imm[slot];
    const btf = btfOfCall(env, slot);
    if (btf === undefined)
      fail("verifier/bad-kfunc", "failed to find BTF for kernel function", "EINVAL", slot);
    const key = id + insns.off[slot] * 2 ** 32;
    if (known.has(key)) return;
    if (known.size === MAX_KFUNCS) {
      fail("verifier/bad-kfunc", "too many different kernel function calls", "E2BIG", slot);
    }
    const func = btf?.types[id];
    if (func?.kind !== "func") {
      fail("verifier/bad-kfunc", `kernel btf_id ${id} is not a function`, "EINVAL", slot);
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
function btfOfCall(env: VerifierEnv, slot: number): Btf | undefined {
  const module = env.insns.off[slot];
  return env.btfs[module === 0 ? BTF_KERNEL : module + 1];
}

/**
 * Summaries of the kernel functions that the program may call; of others none is needed, since the walk rejects the call or
 * gives up there.
 */
export function kfuncSummaries(env: VerifierEnv): KfuncSummaries {
  const table = new KfuncTable();
  return (slot) => {
    const kfunc = known(env, table, slot);
    if (kfunc?.allowed !== true) return undefined;
    const { name, flags, proto } = kfunc;
    return {
      name,
      params: Math.min(proto.params.length, 5),
      isVoid: proto.type === 0,
      syncCallback: name === "bpf_rbtree_add_impl",
      asyncCallback: ASYNC_CALLBACKS.has(name),
      mightSleep: (flags & KF.SLEEPABLE) !== 0,
      changesPacket: name === "bpf_xdp_pull_data",
      iterNext: (flags & KF.ITER_NEXT) !== 0,
      fastcall: (flags & KF.FASTCALL) !== 0,
    };
  };
}

function known(env: VerifierEnv, table: KfuncTable, slot: number): Kfunc | undefined {
  try {
    return table.at(env, slot);
  } catch (reason) {
    if (reason instanceof Unsupported) return undefined;
    throw reason;
  }
}

/** Take a callback to run later, in 6.18 and in the kernels that renamed them. */
const ASYNC_CALLBACKS: ReadonlySet<string> = new Set([
  "bpf_wq_set_callback_impl",
  "bpf_task_work_schedule_signal",
  "bpf_task_work_schedule_signal_impl",
  "bpf_task_work_schedule_resume",
  "bpf_task_work_schedule_resume_impl",
]);
