import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { EDEADLK, runScope } from "../helpers/index.ts";

/** Sections of a program in which something of the kernel's stands still. All must be closed before the exit. */
export const SECTION_KFUNCS = {
  bpf_rcu_read_lock: { since: "6.2", impl: enter("rcu") },
  bpf_rcu_read_unlock: { since: "6.2", impl: leave("rcu") },
  bpf_preempt_disable: { since: "6.10", impl: enter("preempt") },
  bpf_preempt_enable: { since: "6.10", impl: leave("preempt") },
  bpf_local_irq_save: { since: "6.14", impl: irqSave },
  bpf_local_irq_restore: { since: "6.14", impl: irqRestore },
  bpf_res_spin_lock: { since: "6.15", impl: resilientLock },
  bpf_res_spin_unlock: { since: "6.15", impl: resilientUnlock },
} as const satisfies Record<string, KfuncRow>;

/** What stands at exit, and what was called without its opening: the verifier's words. */
const WORDS = {
  rcu: {
    open: "bpf_rcu_read_lock",
    unmatched: "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)",
  },
  preempt: {
    open: "bpf_preempt_disable",
    unmatched: "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)",
  },
} as const;

function enter(section: keyof typeof WORDS) {
  return (call: HelperCall): number => {
    const scope = runScope(call.run);
    scope.depth[section]++;
    hold(call, section, WORDS[section].open);
    return 0;
  };
}

function leave(section: keyof typeof WORDS) {
  return (call: HelperCall): number => {
    const scope = runScope(call.run);
    if (scope.depth[section] === 0) {
      call.fail("runtime/lock", WORDS[section].unmatched, `call ${WORDS[section].open} first`);
    }
    if (--scope.depth[section] === 0) call.run.held.delete(section);
    return 0;
  };
}

function hold(call: HelperCall, key: string, opened: string): void {
  call.run.held.set(key, `BPF_EXIT instruction cannot be used inside ${opened}-ed region`);
}

/** The flags word marks the place; restoring must go innermost first. */
const IRQ_MARK = 1n;

function irqSave(call: HelperCall): number {
  call.checkMemory(1, 8, "write");
  const { irqFlags } = runScope(call.run);
  irqFlags.push(call.u32(1));
  call.memory.view.setBigUint64(call.u32(1), IRQ_MARK, true);
  hold(call, "irq", "bpf_local_irq_save");
  return 0;
}

function irqRestore(call: HelperCall): number {
  const { irqFlags } = runScope(call.run);
  const at = call.u32(1);
  if (!irqFlags.includes(at)) {
    call.fail(
      "runtime/lock",
      "arg#0 doesn't point to an irq flag on stack",
      "pass what bpf_local_irq_save filled",
    );
  }
  if (irqFlags.at(-1) !== at) {
    call.fail(
      "runtime/lock",
      "cannot restore irq state out of order",
      "restore the innermost saved state first",
    );
  }
  irqFlags.pop();
  if (irqFlags.length === 0) call.run.held.delete("irq");
  return 0;
}

/** -EDEADLK to the CPU that already has the lock. */
function resilientLock(call: HelperCall): number {
  call.checkMemory(1, 4, "write");
  const { resilientLocks } = runScope(call.run);
  if (resilientLocks.includes(call.u32(1))) return -EDEADLK;
  resilientLocks.push(call.u32(1));
  hold(call, "res-spin-lock", "bpf_res_spin_lock");
  return 0;
}

function resilientUnlock(call: HelperCall): number {
  const { resilientLocks } = runScope(call.run);
  if (resilientLocks.at(-1) !== call.u32(1)) {
    call.fail("runtime/lock", "bpf_res_spin_unlock of different lock", "unlock the lock taken last first");
  }
  resilientLocks.pop();
  if (resilientLocks.length === 0) call.run.held.delete("res-spin-lock");
  return 0;
}
