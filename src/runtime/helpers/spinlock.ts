import type { HelperTable } from "../helper-call.ts";
import { runScope } from "./run-scope.ts";

/**
 * Spin locks. One program runs at a time, so a lock is never contended; what is left is the discipline that the Linux
 * verifier demands: one lock at a time, unlocked by the program that took it, before it exits.
 */
export const SPINLOCK_HELPERS = {
  spin_lock(call) {
    const scope = runScope(call.run);
    if (scope.lock !== 0) {
      call.fail(
        "runtime/lock",
        "Locking two bpf_spin_locks are not allowed",
        "release the first lock before taking another",
      );
    }
    scope.lock = call.u32(1);
    call.memory.view.setUint32(scope.lock, 1, true);
    call.run.held.set("spin-lock", "BPF_EXIT instruction cannot be used inside bpf_spin_lock-ed region");
    return 0;
  },
  spin_unlock(call) {
    const scope = runScope(call.run);
    if (scope.lock === 0) {
      call.fail("runtime/lock", "bpf_spin_unlock without taking a lock", "call bpf_spin_lock first");
    }
    if (scope.lock !== call.u32(1)) {
      call.fail("runtime/lock", "bpf_spin_unlock of different lock", "unlock the lock that was taken");
    }
    call.memory.view.setUint32(scope.lock, 0, true);
    scope.lock = 0;
    call.run.held.delete("spin-lock");
    return 0;
  },
} as const satisfies Partial<HelperTable>;
