import type { HelperTable } from "../helper-call.ts";
import type { Memory } from "../memory.ts";
import { runScope } from "./run-scope.ts";

/** Where threads share the memory, the lock is real: 0 becomes 1. */
function take(memory: Memory, lock: number): void {
  if (!memory.shared) {
    memory.view.setUint32(lock, 1, true);
    return;
  }
  const words = new Int32Array(memory.wasm.buffer);
  while (Atomics.compareExchange(words, lock >> 2, 0, 1) !== 0); // held for a few instructions
}

function give(memory: Memory, lock: number): void {
  if (memory.shared) Atomics.store(new Int32Array(memory.wasm.buffer), lock >> 2, 0);
  else memory.view.setUint32(lock, 0, true);
}

/**
 * Spin locks. In a memory of one thread one program runs at a time, so a lock is never contended; what is left is the
 * discipline that the Linux verifier demands: one lock at a time, unlocked by the program that took it, before it exits.
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
    take(call.memory, scope.lock);
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
    give(call.memory, scope.lock);
    scope.lock = 0;
    call.run.held.delete("spin-lock");
    return 0;
  },
} as const satisfies Partial<HelperTable>;
