// One algorithm: who took what is still held at a rejected exit, and where the path left the way that gives it back.
import { type InsnTable, isConditionalJump, jumpTarget, Opcode } from "../isa/index.ts";
import type { VerifierCode } from "./errors.ts";
import type { VerifierError } from "./input.ts";
import type { Step } from "./trace.ts";

/** What a rejected path took and did not give back. */
export interface Held {
  /** Steps of the path: the call that took it, and the jump that left the way to giving it back. */
  readonly acquire: number;
  readonly branch: number | undefined;
  /** The call on the other way; undefined: the program has none behind the acquisition. */
  readonly release: { readonly insn: number; readonly name: string } | undefined;
}

interface Pair {
  /** The call that takes; undefined: the error's text names the instruction. */
  readonly acquire: string | undefined;
  readonly releases: RegExp;
}

const HELD: Partial<Record<VerifierCode, Pair>> = {
  "verifier/reference-leak": {
    acquire: undefined,
    releases: /^bpf_.*(_release|_drop|_drop_impl|_submit|_discard|_submit_dynptr|_discard_dynptr|_destroy)$/,
  },
  "verifier/lock-held": { acquire: "bpf_spin_lock", releases: /^bpf_spin_unlock$/ },
  "verifier/lock-nested": { acquire: "bpf_spin_lock", releases: /^bpf_spin_unlock$/ },
  "verifier/call-while-locked": { acquire: "bpf_spin_lock", releases: /^bpf_spin_unlock$/ },
  "verifier/global-call-in-region": { acquire: "bpf_spin_lock", releases: /^bpf_spin_unlock$/ },
  "verifier/rcu-locked": { acquire: "bpf_rcu_read_lock", releases: /^bpf_rcu_read_unlock$/ },
  "verifier/preempt-disabled": { acquire: "bpf_preempt_disable", releases: /^bpf_preempt_enable$/ },
  "verifier/irq-disabled": { acquire: "bpf_local_irq_save", releases: /^bpf_local_irq_restore$/ },
};

/** What an error is about; undefined for errors about values. `calls` names the function an instruction calls. */
export function heldAt(
  path: readonly Step[],
  insns: InsnTable,
  error: VerifierError,
  calls: (insn: number) => string | undefined,
): Held | undefined {
  const pair = HELD[error.code];
  if (pair === undefined) return undefined;
  const [, named] = /alloc_insn=(\d+)/.exec(error.lines.join("\n")) ?? [];
  const acquire = path.findLastIndex(({ insn }) =>
    pair.acquire === undefined ? insn === Number(named) : calls(insn) === pair.acquire,
  );
  if (acquire < 0) return undefined;
  const isRelease = (insn: number): boolean => pair.releases.test(calls(insn) ?? "");
  for (let i = path.length - 2; i > acquire; i--) {
    const { insn } = path[i];
    if (!isConditionalJump(insns.opcode[insn])) continue;
    const taken = path[i + 1].insn;
    const other = taken === insn + 1 ? jumpTarget(insns, insn) : insn + 1;
    const release = reach(insns, other, isRelease);
    if (release === undefined || release === reach(insns, taken, isRelease)) continue;
    return { acquire, branch: i, release: { insn: release, name: calls(release)! } };
  }
  return { acquire, branch: undefined, release: undefined };
}

/** Errors about which lock is held, or that none is. */
const LOCK_WANTED: ReadonlySet<VerifierCode> = new Set<VerifierCode>([
  "verifier/lock-not-held",
  "verifier/unlock-other",
  "verifier/unlock-without-lock",
]);

/** Where the path last took a lock or gave one back, before an error about the lock; undefined: nowhere, or another error. */
export function lastLock(
  path: readonly Step[],
  error: VerifierError,
  calls: (insn: number) => string | undefined,
): { readonly at: number; readonly taken: boolean } | undefined {
  if (!LOCK_WANTED.has(error.code)) return undefined;
  for (let at = path.length - 2; at >= 0; at--) {
    const call = /^bpf_(?:res_)?spin_(un)?lock/.exec(calls(path[at].insn) ?? "");
    if (call !== null) return { at, taken: call[1] === undefined };
  }
  return undefined;
}

/** The first instruction of a kind that code from `start` on can reach inside its function, nearest first. */
function reach(insns: InsnTable, start: number, wanted: (insn: number) => boolean): number | undefined {
  const seen = new Set<number>();
  const queue = [start];
  for (let insn = queue.shift(); insn !== undefined; insn = queue.shift()) {
    if (seen.has(insn) || insn < 0 || insn >= insns.length) continue;
    seen.add(insn);
    if (wanted(insn)) return insn;
    const opcode = insns.opcode[insn];
    if (opcode === Opcode.EXIT) continue;
    if (opcode === Opcode.JA || opcode === Opcode.JA32) queue.push(jumpTarget(insns, insn));
    else if (isConditionalJump(opcode)) queue.push(insn + 1, jumpTarget(insns, insn));
    else queue.push(insn + 1);
  }
  return undefined;
}
