import type { VerifierEnv } from "../env.ts";
import { SlotType, TYPE } from "../layout.ts";
import { TypeFlag } from "../register-types.ts";
import { forEachRow } from "../regs.ts";

/** What forbids sleeping here, in the kernel's words; undefined: nothing but the program's own kind. */
export function sleeplessRegion(env: VerifierEnv): string | undefined {
  const { cur } = env;
  if (cur.activeRcuLocks !== 0) return "rcu_read_lock region";
  if (cur.activePreemptLocks !== 0) return "non-preemptible region";
  return cur.activeIrqId !== 0 ? "IRQ-disabled region" : undefined;
}

/** `bpf_rcu_read_lock` and `bpf_rcu_read_unlock`. `inTreeCallback`: inside of a comparison for a tree. */
export function changeRcu(env: VerifierEnv, name: string, inTreeCallback: boolean): void {
  const { cur } = env;
  const lock = name === "bpf_rcu_read_lock";
  if (cur.activeRcuLocks === 0) {
    if (!lock) env.fail("verifier/rcu-nesting", `unmatched rcu read unlock (kernel function ${name})`);
    cur.activeRcuLocks = 1;
    return;
  }
  if (inTreeCallback) {
    env.fail(
      "verifier/rcu-nesting",
      "Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback",
      "EACCES",
    );
  }
  if (lock) env.fail("verifier/rcu-nesting", `nested rcu read lock (kernel function ${name})`);
  cur.activeRcuLocks = 0;
  distrustRcuPointers(env);
}

/** What RCU protected is not to be trusted after the section. */
function distrustRcuPointers(env: VerifierEnv): void {
  const { i32 } = env.mem;
  const slots = (1 << SlotType.SPILL) | (1 << SlotType.ITER);
  forEachRow(
    env,
    (row) => {
      const type = i32[row + TYPE];
      if ((type & TypeFlag.MEM_RCU) === 0) return;
      i32[row + TYPE] = (type & ~(TypeFlag.MEM_RCU | TypeFlag.PTR_MAYBE_NULL)) | TypeFlag.PTR_UNTRUSTED;
    },
    slots,
  );
}

/** `bpf_preempt_disable` and `bpf_preempt_enable`: sections may nest. */
export function changePreemption(env: VerifierEnv, name: string): void {
  const { cur } = env;
  if (name === "bpf_preempt_disable") {
    cur.activePreemptLocks++;
    return;
  }
  if (cur.activePreemptLocks === 0) {
    env.fail(
      "verifier/preempt-unmatched",
      `unmatched attempt to enable preemption (kernel function ${name})`,
    );
  }
  cur.activePreemptLocks--;
}
