import { inRcuSection, inSleepable } from "../access/trust.ts";
import { pushCallback } from "../calls.ts";
import type { VerifierEnv } from "../env.ts";
import { checkReturnCode } from "../exit.ts";
import { PRECISE, REF_OBJ_ID } from "../layout.ts";
import { releaseDynptr } from "../objects/dynptr.ts";
import { disown, inTreeCallback } from "../objects/graph.ts";
import { changePreemption, changeRcu } from "../objects/regions.ts";
import { clearPacketPointers, releaseReference } from "../refs.ts";
import { markNotInit } from "../regs.ts";
import { frameReg } from "../state-rows.ts";
import { pushPath } from "../states.ts";
import { CallMeta } from "./call-meta.ts";
import { checkKfuncArgs } from "./check-args.ts";
import { forkIterator } from "./iter-next.ts";
import { KF, type Kfunc, type KfuncTable } from "./kfunc.ts";
import { setReturnValue } from "./returns.ts";

/** Registers a call does not keep: r0–r5. */
const CALLER_SAVED = 6;
/** Smallest value of an error code. */
const MAX_ERRNO = 4095;

/** Callbacks that kernel functions take. */
const CALLBACKS: Readonly<Record<string, "rbtree_add" | "timer" | "task_work">> = {
  bpf_rbtree_add_impl: "rbtree_add",
  bpf_wq_set_callback_impl: "timer",
  bpf_task_work_schedule_signal_impl: "task_work",
  bpf_task_work_schedule_resume_impl: "task_work",
};

/** Put an object of the program's into a list or tree. */
const INSERTIONS: ReadonlySet<string> = new Set([
  "bpf_list_push_front_impl",
  "bpf_list_push_back_impl",
  "bpf_rbtree_add_impl",
]);

/** A call of a kernel function, all its effects. `check_kfunc_call` @ v6.18 */
export function checkCall(env: VerifierEnv, table: KfuncTable, insn: number): void {
  if (env.insns.imm[insn] === 0) return; // a weak one the kernel does not have: refused when the walk is done
  const kfunc = table.at(env, insn);
  if (kfunc === undefined)
    env.fail("verifier/kfunc-missing", `kernel btf_id ${env.insns.imm[insn]} is not a function`);
  if (!kfunc.allowed) {
    env.fail("verifier/kfunc-not-allowed", `calling kernel function ${kfunc.name} is not allowed`, "EACCES");
  }
  const meta = new CallMeta(kfunc);
  if (kfunc.name === "bpf_res_spin_lock" || kfunc.name === "bpf_res_spin_lock_irqsave")
    forkFailedLock(env, insn);
  else if (kfunc.name === "__bpf_trap") {
    env.fail("verifier/kfunc-missing", "unexpected __bpf_trap() due to uninitialized variable?", "EFAULT");
  }
  if (meta.has(KF.DESTRUCTIVE) && !env.rights.has("CAP_SYS_BOOT")) {
    env.fail("verifier/kfunc-privilege", "destructive kfunc calls require CAP_SYS_BOOT capability", "EACCES");
  }
  const sleepable = meta.has(KF.SLEEPABLE);
  if (sleepable && !inSleepable(env)) {
    const text = `program must be sleepable to call sleepable kfunc ${kfunc.name}`;
    env.fail("verifier/kfunc-sleepable", text, "EACCES");
  }
  checkKfuncArgs(env, meta, insn);
  pushCallbackOf(env, meta, insn);
  changeRegions(env, meta);
  release(env, meta);
  if (kfunc.name === "bpf_throw") checkThrow(env);
  for (let n = 0; n < CALLER_SAVED; n++) markNotInit(env, env.reg(n));
  env.scratchedRegs |= (1 << CALLER_SAVED) - 1;
  setReturnValue(env, meta, insn);
  if (kfunc.name === "bpf_xdp_pull_data") clearPacketPointers(env);
  if (meta.has(KF.ITER_NEXT) && meta.iterator !== undefined) forkIterator(env, insn, meta.iterator);
}

/** Taking the lock may fail: a path on which it did, with an error code in r0. */
function forkFailedLock(env: VerifierEnv, insn: number): void {
  const branch = pushPath(env, insn + 1, insn, false);
  const frame = branch.frames[branch.curFrame];
  for (let n = 0; n < CALLER_SAVED; n++) markNotInit(env, frameReg(frame, n));
  const r0 = frameReg(frame, 0);
  env.domain.markUnknown(r0);
  env.mem.i32[r0 + PRECISE] = env.bpfCapable ? 0 : 1;
  env.domain.setSigned32(r0, -MAX_ERRNO, -1);
}

function pushCallbackOf(env: VerifierEnv, meta: CallMeta, insn: number): void {
  const { name } = meta.kfunc;
  const kind = Object.hasOwn(CALLBACKS, name) ? CALLBACKS[name] : undefined;
  if (kind !== undefined) pushCallback(env, insn, meta.subprog, kind);
}

function changeRegions(env: VerifierEnv, meta: CallMeta): void {
  const { name } = meta.kfunc;
  const { cur } = env;
  if (name === "bpf_rcu_read_lock" || name === "bpf_rcu_read_unlock")
    changeRcu(env, name, inTreeCallback(env));
  else if (cur.activeRcuLocks !== 0) refuseSleep(env, meta, "rcu_read_lock region");
  if (name === "bpf_preempt_disable" || name === "bpf_preempt_enable") changePreemption(env, name);
  else if (cur.activePreemptLocks !== 0) refuseSleep(env, meta, "non-preemptible region");
  if (cur.activeIrqId !== 0) refuseSleep(env, meta, "IRQ-disabled region");
  if (meta.has(KF.RCU_PROTECTED) && !inRcuSection(env)) {
    const text = `kernel func ${name} requires RCU critical section protection`;
    env.fail("verifier/kfunc-needs-rcu", text, "EACCES");
  }
}

function refuseSleep(env: VerifierEnv, meta: CallMeta, region: string): void {
  if (!meta.has(KF.SLEEPABLE)) return;
  const text = `kernel func ${meta.kfunc.name} is sleepable within ${region}`;
  env.fail("verifier/kfunc-sleeps-in-region", text, "EACCES");
}

function release(env: VerifierEnv, meta: CallMeta): void {
  const { i32 } = env.mem;
  const { name, id } = meta.kfunc;
  if (meta.releaseReg !== 0) {
    if (meta.dynptrRefId !== 0) releaseDynptr(env, meta.releaseReg);
    else if (!releaseReference(env, i32[env.reg(meta.releaseReg) + REF_OBJ_ID])) notAcquired(env, name, id);
  }
  if (INSERTIONS.has(name) && !disown(env, i32[env.reg(2) + REF_OBJ_ID])) notAcquired(env, name, id);
}

function notAcquired(env: VerifierEnv, name: string, id: number): never {
  env.fail("verifier/internal", `kfunc ${name}#${id} reference has not been acquired before`);
}

/** Without a callback of the program's own, the cookie is what the program returns. */
function checkThrow(env: VerifierEnv): void {
  if (!env.subprogs.some((subprog) => subprog.isExceptionCallback)) checkReturnCode(env, 1, "R1");
}

/** The function at the slot, for questions outside of the walk. */
export function kfuncAt(env: VerifierEnv, table: KfuncTable, insn: number): Kfunc | undefined {
  return env.insns.imm[insn] === 0 ? undefined : table.at(env, insn);
}
