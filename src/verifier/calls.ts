import { functionTarget } from "../isa/index.ts";
import { inSleepable } from "./access/trust.ts";
import { BTF_KERNEL, type VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { checkScalarRange } from "./exit.ts";
import {
  A,
  B,
  C,
  F_ASYNC_ENTRY,
  F_CALLBACK_DEPTH,
  F_CALLSITE,
  F_FLAGS,
  F_FRAMENO,
  F_RET_MAX,
  F_RET_MIN,
  F_SLOTS,
  F_SUBPROG,
  FRAME_STACK_AT,
  FrameFlag,
  MAX_FRAMES,
  TYPE,
} from "./layout.ts";
import { markDynptrRegister } from "./objects/dynptr.ts";
import { markTreeCallbackArgs } from "./objects/graph.ts";
import { markChainPrecision } from "./precision.ts";
import { clearPacketPointers } from "./refs.ts";
import { DynptrType, RegType } from "./register-types.ts";
import { isNull, markNotInit, markPointer, markUnknown } from "./regs.ts";
import { JumpHistory, type Subprog } from "./state.ts";
import { frameReg } from "./state-rows.ts";
import { pushPath } from "./states.ts";
import { findPrevEntry, widenImprecise } from "./widen.ts";

/** Who calls the callback, and with what. */
export type CallbackKind =
  | "map_elem"
  | "loop"
  | "find_vma"
  | "user_ringbuf"
  | "rbtree_add"
  | "timer"
  | "task_work";

/** Registers a call does not keep. */
const CALLER_SAVED = 6;

/** A frame where nothing is set but r10. `init_func_state` */
export function initFrame(
  env: VerifierEnv,
  frame: number,
  callsite: number,
  frameNo: number,
  subprog: number,
): void {
  const { i32 } = env.mem;
  env.domain.zeroWords(frame, FRAME_STACK_AT);
  i32[frame + F_CALLSITE] = callsite;
  i32[frame + F_FRAMENO] = frameNo;
  i32[frame + F_SUBPROG] = subprog;
  i32[frame + F_SLOTS] = 0;
  const fp = frameReg(frame, 10);
  markPointer(env, fp, RegType.PTR_TO_STACK);
  i32[fp + C] = frameNo;
  env.scratchedRegs = -1;
  env.scratchedSlotsLo = -1;
  env.scratchedSlotsHi = -1;
}

/** r0–r5 hold nothing any more. `clear_caller_saved_regs` */
export function clearCallerSaved(env: VerifierEnv): void {
  for (let n = 0; n < CALLER_SAVED; n++) markNotInit(env, env.reg(n));
  env.scratchedRegs |= (1 << CALLER_SAVED) - 1;
}

/** A call inside the program; returns the slot where the walk goes on. `check_func_call` */
export function checkLocalCall(env: VerifierEnv, insn: number): number {
  const target = functionTarget(env.insns, insn);
  const number = env.subprogAt(target);
  const subprog = env.subprogs[number];
  if (subprog.isGlobal) {
    callGlobal(env, subprog, number);
    return insn + 1;
  }
  const caller = env.frame;
  const callee = enterFrame(env, number, insn);
  for (let n = 1; n <= 5; n++) env.domain.copyRow(frameReg(callee, n), frameReg(caller, n));
  clearCallerSaved(env);
  env.cur.curFrame++;
  if (env.log.traces) {
    env.traceState("caller:\n", env.cur, env.cur.curFrame - 1);
    env.traceState("callee:\n", env.cur, env.cur.curFrame);
  }
  return target;
}

/** A fresh frame above the innermost one; the caller of this raises `curFrame`. */
function enterFrame(env: VerifierEnv, subprog: number, callsite: number): number {
  const { cur } = env;
  if (cur.curFrame + 1 >= MAX_FRAMES) {
    env.fail("verifier/call-depth", `the call stack of ${cur.curFrame + 2} frames is too deep`, "E2BIG");
  }
  const callee = cur.frames[cur.curFrame + 1];
  initFrame(env, callee, callsite, cur.curFrame + 1, subprog);
  return callee;
}

/** Global functions are verified alone: here only the arguments are compared with what the function's BTF promises. */
function callGlobal(env: VerifierEnv, subprog: Subprog, number: number): void {
  const { cur } = env;
  const failed = argsMismatch(env, subprog, number);
  if (cur.activeLocks !== 0) {
    env.verbose("global function calls are not allowed while holding a lock,\n");
    env.fail("verifier/global-call-in-region", "use static function instead");
  }
  const region = cur.activeRcuLocks !== 0 || cur.activePreemptLocks !== 0 || cur.activeIrqId !== 0;
  if (subprog.mightSleep && (region || !inSleepable(env))) {
    env.verbose("global functions that may sleep are not allowed in non-sleepable context,\n");
    env.verbose("i.e., in a RCU/IRQ/preempt-disabled section, or in\n");
    env.fail("verifier/global-call-in-region", "a non-sleepable BPF program context");
  }
  if (failed !== undefined) {
    env.fail(
      "verifier/caller-args",
      `Caller passes invalid args into func#${number} ('${subprog.name}')`,
      failed.errno,
    );
  }
  if (env.log.traces) env.log.trace(`Func#${number} ('${subprog.name}') is global and assumed valid.\n`);
  if (subprog.changesPacketData) clearPacketPointers(env);
  subprog.called = true;
  clearCallerSaved(env);
  markUnknown(env, env.reg(0));
}

/** `btf_check_subprog_call` */
function argsMismatch(env: VerifierEnv, subprog: Subprog, number: number): Rejection | undefined {
  try {
    if (env.program.funcs.length === 0 || subprog.unreliable)
      return new Rejection("verifier/caller-args", "", "EINVAL");
    env.pre.prepareFuncArgs(env, subprog);
    checkArgs(env, subprog);
    return undefined;
  } catch (error) {
    if (!(error instanceof Rejection) || error.errno === "EFAULT") throw error;
    env.subprogs[number].unreliable = true;
    return error;
  }
}

function checkArgs(env: VerifierEnv, subprog: Subprog): void {
  const { i32 } = env.mem;
  for (const [index, arg] of (subprog.args ?? []).entries()) {
    const n = index + 1;
    const row = env.reg(n);
    const type = i32[row + TYPE];
    switch (arg.kind) {
      case "anything":
        if (type !== RegType.SCALAR_VALUE) env.fail("verifier/caller-args", `R${n} is not a scalar`);
        break;
      case "ctx":
        env.access.checkCtxReg(env, n);
        if (type !== RegType.PTR_TO_CTX)
          env.fail("verifier/caller-args", `arg#${index} expects pointer to ctx`);
        break;
      case "mem":
        if ((arg.flags & UNTRUSTED) !== 0) break; // reads through it may fail: anything goes
        env.access.checkMemReg(env, n, arg.size);
        if (!arg.nullable && (type & MAYBE_NULL) !== 0) {
          env.fail("verifier/caller-args", `arg#${index} is expected to be non-NULL`);
        }
        break;
      case "dynptr":
        env.kfuncs.checkDynptrArg(env, n, -1);
        break;
      case "btf":
        if (arg.nullable && isNull(env, row)) break;
        env.kfuncs.checkBtfArg(env, n, arg.btfId, arg.flags | (arg.nullable ? MAYBE_NULL : 0));
        break;
      case "arena":
        if (type !== RegType.PTR_TO_ARENA && type !== RegType.SCALAR_VALUE) {
          env.fail("verifier/caller-args", `R${n} is not a pointer to arena or scalar.`);
        }
        break;
    }
  }
}

const MAYBE_NULL = 1 << 8;
const UNTRUSTED = 1 << 14;

/**
 * A callback that the call at `insn` runs or arranges for is to be walked: synchronous ones as if called from here, possibly
 * again and again; asynchronous ones as a program of their own. `push_callback_call`
 */
export function pushCallback(env: VerifierEnv, insn: number, subprog: number, kind: CallbackKind): void {
  const { cur, mem } = env;
  const caller = env.frame;
  const info = env.subprogs[subprog];
  info.isCallback = true;
  if (kind === "timer" || kind === "task_work") {
    info.isAsyncCallback = true;
    pushAsync(env, insn, subprog, kind);
    return;
  }
  const callee = enterFrame(env, subprog, insn);
  setArguments(env, caller, callee, kind);
  const { i32 } = mem;
  i32[callee + F_FLAGS] = FrameFlag.IN_CALLBACK;
  i32[callee + F_RET_MIN] = 0;
  i32[callee + F_RET_MAX] = 1;
  const depth = i32[caller + F_CALLBACK_DEPTH];
  // The path through the callback is a copy; the path at hand goes on behind the call.
  i32[caller + F_CALLBACK_DEPTH] = depth + 1;
  cur.curFrame++;
  cur.callbackUnrollDepth++;
  pushPath(env, info.start, insn, false);
  cur.callbackUnrollDepth--;
  cur.curFrame--;
  mem.i32[caller + F_CALLBACK_DEPTH] = 0;
}

/** `push_async_cb`: only the arguments come from the path at hand. */
function pushAsync(env: VerifierEnv, insn: number, subprog: number, kind: CallbackKind): void {
  const { pool } = env;
  const state = pool.newState();
  const frame = pool.newFrame(env, 0);
  state.frames[0] = frame;
  state.curFrame = 0;
  state.refs = [];
  state.activeLocks = 0;
  state.activePreemptLocks = 0;
  state.activeIrqId = 0;
  state.activeLockId = 0;
  state.activeLockOwner = 0;
  state.activeRcuLocks = 0;
  state.speculative = false;
  // Work queues and task work may sleep, timers may not.
  state.inSleepable = env.insns.src[insn] !== 0;
  state.cleaned = false;
  state.parent = undefined;
  state.branches = 1;
  state.insn = env.subprogs[subprog].start;
  state.firstInsn = state.insn;
  state.lastInsn = insn;
  state.callbackUnrollDepth = 0;
  state.mayGotoDepth = 0;
  state.dfsDepth = 0;
  state.equalState = undefined;
  state.history = new JumpHistory();
  initFrame(env, frame, -1, 0, subprog);
  const { i32 } = env.mem;
  setArguments(env, env.frame, frame, kind);
  i32[frame + F_FLAGS] = FrameFlag.IN_ASYNC_CALLBACK;
  // Nobody looks at what task work returns.
  i32[frame + F_RET_MIN] = kind === "task_work" ? -0x8000_0000 : 0;
  i32[frame + F_RET_MAX] = kind === "task_work" ? 0x7fff_ffff : 0;
  i32[frame + F_ASYNC_ENTRY] = i32[env.frame + F_ASYNC_ENTRY] + 1;
  env.pending.push({ state, insn: state.insn, prevInsn: insn, logPosition: env.log.position });
}

function setArguments(env: VerifierEnv, caller: number, callee: number, kind: CallbackKind): void {
  const { domain } = env;
  const from = (n: number): number => frameReg(caller, n);
  const to = (n: number): number => frameReg(callee, n);
  switch (kind) {
    case "map_elem":
      // callback(map, key, value, ctx)
      domain.copyRow(to(1), from(1));
      mapPointer(env, to(2), RegType.PTR_TO_MAP_KEY, from(1));
      mapPointer(env, to(3), RegType.PTR_TO_MAP_VALUE, from(1));
      domain.copyRow(to(4), from(3));
      break;
    case "loop":
      // callback(index, ctx)
      markUnknown(env, to(1));
      domain.copyRow(to(2), from(3));
      break;
    case "find_vma":
      // callback(task, vma, ctx)
      domain.copyRow(to(1), from(1));
      markPointer(env, to(2), RegType.PTR_TO_BTF_ID);
      env.mem.i32[to(2) + A] = env.btfIndexes[BTF_KERNEL]?.find("vm_area_struct", "struct") ?? 0;
      env.mem.i32[to(2) + B] = BTF_KERNEL;
      domain.copyRow(to(3), from(4));
      break;
    case "user_ringbuf":
      // callback(dynptr, ctx)
      markDynptrRegister(env, to(1), DynptrType.LOCAL);
      domain.copyRow(to(2), from(3));
      break;
    case "rbtree_add":
      markTreeCallbackArgs(env, from(1), to(1), to(2));
      break;
    case "timer":
      // callback(map, key, value)
      mapPointer(env, to(1), RegType.CONST_PTR_TO_MAP, from(1));
      mapPointer(env, to(2), RegType.PTR_TO_MAP_KEY, from(1));
      mapPointer(env, to(3), RegType.PTR_TO_MAP_VALUE, from(1));
      break;
    case "task_work": {
      // callback(map, key, value): the map is the third argument
      mapPointer(env, to(1), RegType.CONST_PTR_TO_MAP, from(3));
      mapPointer(env, to(2), RegType.PTR_TO_MAP_KEY, from(3));
      mapPointer(env, to(3), RegType.PTR_TO_MAP_VALUE, from(3));
      break;
    }
  }
}

function mapPointer(env: VerifierEnv, row: number, type: number, like: number): void {
  const { i32 } = env.mem;
  const map = i32[like + A];
  const uid = i32[like + B];
  markPointer(env, row, type);
  i32[row + A] = map;
  i32[row + B] = uid;
}

/** `exit` of a function that was called: back to the caller. Returns the slot to go on at. `prepare_func_exit` */
export function leaveFunction(env: VerifierEnv): number {
  const { cur, mem, domain } = env;
  const { i32 } = mem;
  const callee = env.frame;
  const r0 = frameReg(callee, 0);
  if (i32[r0 + TYPE] === RegType.PTR_TO_STACK) {
    env.fail("verifier/return-stack-pointer", "cannot return stack pointer to the caller");
  }
  const inCallback = (i32[callee + F_FLAGS] & FrameFlag.IN_CALLBACK) !== 0;
  const callsite = i32[callee + F_CALLSITE];
  if (inCallback) {
    if (i32[r0 + TYPE] !== RegType.SCALAR_VALUE)
      env.fail("verifier/exit-value", "R0 not a scalar value", "EACCES");
    markChainPrecision(env, 0);
    checkScalarRange(
      env,
      r0,
      i32[callee + F_RET_MIN],
      i32[callee + F_RET_MAX],
      false,
      "At callback return",
      "R0",
    );
  } else {
    domain.copyRow(frameReg(cur.frames[cur.curFrame - 1], 0), r0);
  }
  const next = inCallback ? callsite : callsite + 1;
  if (env.log.traces) {
    env.traceState("returning from callee:\n", cur, cur.curFrame);
    env.traceState(`to caller at ${next}:\n`, cur, cur.curFrame - 1);
  }
  cur.curFrame--;
  if (!inCallback) return next;
  // Back to the call, which may run the callback again: make the loop converge.
  const prev = findPrevEntry(env, cur, callsite);
  if (prev !== undefined) widenImprecise(env, prev, cur);
  return callsite;
}
