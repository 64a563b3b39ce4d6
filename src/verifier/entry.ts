import { initFrame } from "./calls.ts";
import { BTF_KERNEL, type VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { A, B, F_FLAGS, FrameFlag, ID } from "./layout.ts";
import { markDynptrRegister } from "./objects/dynptr.ts";
import { acquireReference } from "./refs.ts";
import { DynptrType, RegType, TypeFlag } from "./register-types.ts";
import { markPointer, markUnknown } from "./regs.ts";
import type { Subprog } from "./state.ts";
import { frameReg } from "./state-rows.ts";
import { walk } from "./walk.ts";

/** Verifies the main program, then each global function that was called, on its own. `do_check_main`, `do_check_subprogs` */
export function walkProgram(env: VerifierEnv): void {
  walkFunction(env, 0);
  // The exception callback is called by whoever throws.
  for (const subprog of env.subprogs) if (subprog.isExceptionCallback) subprog.called = true;
  for (let again = true; again; ) {
    again = false;
    for (let number = 1; number < env.subprogs.length; number++) {
      const subprog = env.subprogs[number];
      if (!subprog.isGlobal || !subprog.called || subprog.verified) continue;
      walkFunction(env, number);
      subprog.verified = true;
      again = true; // it may have called others
    }
  }
}

/** `do_check_common` */
function walkFunction(env: VerifierEnv, number: number): void {
  const { cur, explored, log } = env;
  const subprog = env.subprogs[number];
  explored.clear();
  env.pool.reset();
  env.subprogAtWork = number;
  cur.curFrame = 0;
  cur.refs = [];
  cur.activeLocks = 0;
  cur.activePreemptLocks = 0;
  cur.activeIrqId = 0;
  cur.activeLockId = 0;
  cur.activeLockOwner = 0;
  cur.activeRcuLocks = 0;
  cur.speculative = false;
  cur.inSleepable = env.program.flags.sleepable ?? false;
  cur.parent = undefined;
  cur.branches = 1;
  cur.firstInsn = subprog.start;
  cur.lastInsn = -1;
  cur.insn = subprog.start;
  cur.callbackUnrollDepth = 0;
  cur.mayGotoDepth = 0;
  cur.dfsDepth = 0;
  cur.history.length = 0;
  cur.trace = 0;
  initFrame(env, cur.frames[0], -1, 0, number);
  if (number > 0 && log.traces) log.trace(`Validating ${subprog.name}() func#${number}...\n`);
  env.insn = subprog.start;
  if (number > 0 || env.program.type === "BPF_PROG_TYPE_EXT") {
    setArguments(env, subprog);
  } else {
    checkMainType(env, subprog);
    for (const arg of env.kfuncs.referencedArguments(env))
      env.argumentRefs.set(arg, acquireReference(env, 0));
    markPointer(env, frameReg(cur.frames[0], 1), RegType.PTR_TO_CTX);
  }
  walk(env, subprog.start);
  if (!log.tracesAll) log.truncate(0);
  if (number > 0 && log.traces) {
    log.trace(`Func#${number} ('${subprog.name}') is safe for any args that match its prototype\n`);
  }
}

/** BTF of the main program that does not fit its context is not relied on. */
function checkMainType(env: VerifierEnv, subprog: Subprog): void {
  if (env.program.funcs.length === 0) return;
  try {
    env.pre.prepareFuncArgs(env, subprog);
    if (subprog.args?.length !== 1 || subprog.args[0].kind !== "ctx") subprog.unreliable = true;
  } catch (error) {
    if (!(error instanceof Rejection) || error.errno === "EFAULT") throw error;
    subprog.unreliable = true;
  }
}

/** Registers of a function that anyone may call, by its BTF. */
function setArguments(env: VerifierEnv, subprog: Subprog): void {
  env.pre.prepareFuncArgs(env, subprog);
  const frame = env.cur.frames[0];
  const { i32 } = env.mem;
  if (subprog.isExceptionCallback) {
    i32[frame + F_FLAGS] |= FrameFlag.IN_EXCEPTION_CALLBACK;
    if (subprog.args?.length !== 1 || subprog.args[0].kind !== "anything") {
      env.fail("verifier/bad-callback", "exception cb only supports single integer argument");
    }
  }
  for (const [index, arg] of (subprog.args ?? []).entries()) {
    const row = frameReg(frame, index + 1);
    switch (arg.kind) {
      case "ctx":
        markPointer(env, row, RegType.PTR_TO_CTX);
        break;
      case "anything":
      case "arena":
        markUnknown(env, row);
        break;
      case "dynptr":
        markDynptrRegister(env, row, DynptrType.LOCAL);
        break;
      case "mem":
        markPointer(env, row, RegType.PTR_TO_MEM | arg.flags | nullFlag(arg.nullable));
        i32[row + A] = arg.size;
        if (arg.nullable) i32[row + ID] = env.newId();
        break;
      case "btf":
        markPointer(env, row, RegType.PTR_TO_BTF_ID | arg.flags | nullFlag(arg.nullable));
        i32[row + A] = arg.btfId;
        i32[row + B] = BTF_KERNEL;
        i32[row + ID] = env.newId();
        break;
    }
  }
}

function nullFlag(nullable: boolean): number {
  return nullable ? TypeFlag.PTR_MAYBE_NULL : 0;
}
