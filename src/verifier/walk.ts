// One algorithm: the walk over every path (`do_check`).
import {
  accessBytes,
  Class,
  CODE_MASK,
  classOf,
  isLocalCall,
  isWide,
  MODE_MASK,
  Mode,
  Opcode,
  PseudoCall,
  PseudoLoad,
} from "../isa/index.ts";
import { checkAlu, checkBounds } from "./alu.ts";
import { checkAtomic } from "./atomic.ts";
import { checkLocalCall, clearCallerSaved, leaveFunction } from "./calls.ts";
import type { VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { checkReturnCode } from "./exit.ts";
import { pushHistory } from "./history.ts";
import { checkConditionalJump, checkMayGoto } from "./jmp.ts";
import { A, B, F_FLAGS, FrameFlag, OFF, TYPE } from "./layout.ts";
import { savePointerType } from "./pointer-type.ts";
import { MemAccess } from "./ports.ts";
import { finishPath, Visit, visitState } from "./prune.ts";
import { checkResourceLeak } from "./refs.ts";
import { BASE_TYPE_MASK, RegType } from "./register-types.ts";
import { checkRegRead, checkRegWrite, checkRegWriteUnknown, markPointer, markUnknown } from "./regs.ts";
import { loadState, pushPath } from "./states.ts";

/** `BPF_COMPLEXITY_LIMIT_INSNS` */
export const INSN_LIMIT = 1_000_000;
/** What {@link walkInsn} answers when the path ends. */
const PATH_ENDS = -1;

/** Walks all paths from `env.cur` on. Rejects by `env.fail`. */
export function walk(env: VerifierEnv, start: number): void {
  const { cur, aux, log } = env;
  const { stackLiveness } = env.pre;
  const limit = env.options.insnLimit ?? INSN_LIMIT;
  const { onState } = env.options;
  const count = env.insns.length;
  let insn = start;
  let prev = -1;
  let printAll = false;
  for (;;) {
    log.mark();
    env.historyEntry = -1;
    env.insn = insn;
    env.prevInsn = prev;
    if (insn >= count) env.fail("verifier/internal", `invalid insn idx ${insn} insn_cnt ${count}`, "EFAULT");
    if (++env.insnsProcessed > limit) {
      const text = `BPF program is too large. Processed ${env.insnsProcessed} insn`;
      env.fail("verifier/too-complex", text, "E2BIG");
    }
    cur.lastInsn = prev;
    cur.insn = insn;
    let next: number;
    if (aux.prunePoint[insn] !== 0 && visitState(env, insn) === Visit.COVERED) {
      if (log.traces) env.traceSafe(printAll);
      next = PATH_ENDS;
    } else {
      if (aux.jumpPoint[insn] !== 0) pushHistory(env, 0);
      if (log.traces) {
        env.traceInsn(printAll);
        if (log.tracesAll) printAll = false;
      }
      if (onState !== undefined) onState(insn, env);
      prev = insn;
      if (!cur.speculative) aux.seen[insn] = 1;
      if (cur.speculative && env.sanitation?.fenceBefore[insn] === 1) {
        next = PATH_ENDS;
      } else {
        const frame = cur.curFrame;
        stackLiveness.resetWriteMarks(env, insn);
        next = cur.speculative ? walkSpeculative(env, insn) : walkInsn(env, insn);
        if (cur.curFrame !== frame) stackLiveness.resetCallchain(env); // marks go to the function entered from now on
        stackLiveness.commitWriteMarks(env);
        if (cur.curFrame < frame && classOf(env.insns.opcode[insn]) !== Class.LD) printAll = true;
      }
    }
    if (next !== PATH_ENDS) {
      insn = next;
      continue;
    }
    stackLiveness.update(env);
    finishPath(env, cur.parent);
    const path = env.pending.pop();
    if (path === undefined) return;
    loadState(env, path.state);
    env.pool.release(env, path.state);
    env.scratchedRegs = -1;
    env.scratchedSlotsLo = -1;
    env.scratchedSlotsHi = -1;
    stackLiveness.resetCallchain(env);
    if (!log.tracesAll) log.truncate(path.logPosition);
    insn = path.insn;
    prev = path.prevInsn;
    printAll = true;
  }
}

/**
 * On a path that only a wrong guess takes, what would be rejected is fenced off instead: the path ends.
 * `error_recoverable_with_nospec` @ v6.18
 */
function walkSpeculative(env: VerifierEnv, insn: number): number {
  const { sanitation } = env;
  if (sanitation === undefined) return walkInsn(env, insn); // there are no such paths
  try {
    const next = walkInsn(env, insn);
    return sanitation.fenceAfter[insn] !== 0 ? PATH_ENDS : next;
  } catch (error) {
    if (!(error instanceof Rejection) || !RECOVERABLE.has(error.errno)) throw error;
    sanitation.fence(insn);
    return PATH_ENDS;
  }
}

const RECOVERABLE: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EINVAL"]);

/** One instruction; returns the slot to go on at, or {@link PATH_ENDS}. `do_check_insn` */
function walkInsn(env: VerifierEnv, insn: number): number {
  const { insns } = env;
  const opcode = insns.opcode[insn];
  switch (classOf(opcode)) {
    case Class.ALU:
    case Class.ALU64:
      checkForm(env, insn);
      checkAlu(env, insn);
      return insn + 1;
    case Class.LDX:
      checkLoad(env, insn, opcode);
      return insn + 1;
    case Class.STX:
      if ((opcode & MODE_MASK) === Mode.ATOMIC) {
        checkForm(env, insn);
        checkAtomic(env, insn);
      } else {
        checkForm(env, insn);
        checkStore(env, insn, opcode);
      }
      return insn + 1;
    case Class.ST:
      checkForm(env, insn);
      checkStoreImmediate(env, insn, opcode);
      return insn + 1;
    case Class.JMP:
    case Class.JMP32:
      return walkJump(env, insn, opcode);
    default:
      return walkLoadImmediate(env, insn, opcode);
  }
}

/** Reserved fields, when the instruction is reached for the first time. */
function checkForm(env: VerifierEnv, insn: number): void {
  if (env.findings.size === 0) return;
  const finding = env.findings.get(insn);
  if (finding === undefined) return;
  // Linux reads the first register of a comparison before it looks at the fields.
  if (finding.message.startsWith("BPF_JMP/JMP32 uses")) checkRegRead(env, env.insns.dst[insn]);
  env.fail("verifier/bad-instruction", finding.message);
}

// -- memory -----------------------------------------------------------------------------------------------------------

function checkLoad(env: VerifierEnv, insn: number, opcode: number): void {
  const { insns, mem } = env;
  const src = insns.src[insn];
  const dst = insns.dst[insn];
  checkRegRead(env, src);
  checkRegWrite(env, dst);
  const type = mem.i32[env.reg(src) + TYPE];
  const isLdsx = (opcode & MODE_MASK) === Mode.MEMSX;
  env.access.checkMemAccess(
    env,
    insn,
    src,
    insns.off[insn],
    accessBytes(opcode),
    MemAccess.READ,
    dst,
    false,
    isLdsx,
  );
  savePointerType(env, insn, type, true);
  checkBounds(env, env.reg(dst), isLdsx ? "ldsx" : "ldx");
}

function checkStore(env: VerifierEnv, insn: number, opcode: number): void {
  const { insns, mem } = env;
  const src = insns.src[insn];
  const dst = insns.dst[insn];
  checkRegRead(env, src);
  checkRegRead(env, dst);
  const type = mem.i32[env.reg(dst) + TYPE];
  env.access.checkMemAccess(
    env,
    insn,
    dst,
    insns.off[insn],
    accessBytes(opcode),
    MemAccess.WRITE,
    src,
    false,
    false,
  );
  savePointerType(env, insn, type, false);
}

function checkStoreImmediate(env: VerifierEnv, insn: number, opcode: number): void {
  const { insns, mem } = env;
  const dst = insns.dst[insn];
  checkRegRead(env, dst);
  const type = mem.i32[env.reg(dst) + TYPE];
  env.access.checkMemAccess(
    env,
    insn,
    dst,
    insns.off[insn],
    accessBytes(opcode),
    MemAccess.WRITE,
    -1,
    false,
    false,
  );
  savePointerType(env, insn, type, false);
}

// -- jumps and calls ------------------------------------------------------------------------------------------------------

function walkJump(env: VerifierEnv, insn: number, opcode: number): number {
  const { insns } = env;
  env.jumpsProcessed++;
  checkForm(env, insn);
  switch (opcode) {
    case Opcode.CALL:
      return walkCall(env, insn);
    case Opcode.JA:
      return insn + 1 + insns.off[insn];
    case Opcode.JA32:
      return insn + 1 + insns.imm[insn];
    case Opcode.EXIT:
      return walkExit(env, false);
    case Opcode.JCOND:
      return checkMayGoto(env, insn);
    default:
      if ((opcode & CODE_MASK) === 0)
        return env.fail("verifier/unknown-opcode", `unknown opcode ${opcode.toString(16)}`);
      return checkConditionalJump(env, insn);
  }
}

function walkCall(env: VerifierEnv, insn: number): number {
  const { insns, cur } = env;
  if (cur.activeLocks !== 0 && !mayCallLocked(env, insn)) {
    env.fail("verifier/call-while-locked", "function calls are not allowed while holding a lock");
  }
  if (isLocalCall(insns, insn)) return checkLocalCall(env, insn);
  env.next = insn + 1;
  if (insns.src[insn] === PseudoCall.KFUNC) {
    if (env.kfuncs.isIterNext(env, insn)) env.iterNext[insn] = 1;
    env.kfuncs.checkKfuncCall(env, insn);
    if (env.kfuncs.isThrow(env, insn)) return walkExit(env, true);
  } else {
    env.access.checkHelperCall(env, insn);
  }
  return env.next;
}

/** `bpf_spin_unlock`: the helper that gives a lock back. */
const SPIN_UNLOCK = 94;

function mayCallLocked(env: VerifierEnv, insn: number): boolean {
  const { insns } = env;
  if (isLocalCall(insns, insn)) return true;
  if (insns.src[insn] === PseudoCall.KFUNC) return env.kfuncs.mayCallLocked(env, insn);
  return insns.imm[insn] === SPIN_UNLOCK;
}

/** `process_bpf_exit_full` */
function walkExit(env: VerifierEnv, exception: boolean): number {
  const { cur } = env;
  const what = exception ? "bpf_throw" : "BPF_EXIT instruction in main prog";
  checkResourceLeak(env, exception, exception || cur.curFrame === 0, what);
  if (exception) return PATH_ENDS;
  if (cur.curFrame > 0) {
    env.pre.stackLiveness.update(env);
    return leaveFunction(env);
  }
  checkReturnCode(env, 0, "R0");
  return PATH_ENDS;
}

// -- LD -------------------------------------------------------------------------------------------------------------------

function walkLoadImmediate(env: VerifierEnv, insn: number, opcode: number): number {
  const mode = opcode & MODE_MASK;
  if (mode === Mode.ABS || mode === Mode.IND) return walkLoadPacket(env, insn, opcode);
  const { insns, mem, aux } = env;
  if (!isWide(opcode)) env.fail("verifier/bad-instruction", "invalid BPF_LD_IMM insn");
  if (insns.off[insn] !== 0) env.fail("verifier/bad-instruction", "BPF_LD_IMM64 uses reserved fields");
  const dst = insns.dst[insn];
  checkRegWriteUnknown(env, dst);
  const row = env.reg(dst);
  const { i32 } = mem;
  switch (insns.src[insn]) {
    case PseudoLoad.NONE:
      env.domain.markKnown(row, insns.imm[insn], insns.imm[insn + 1]);
      break;
    case PseudoLoad.BTF_ID: {
      const type = aux.loadType[insn];
      markPointer(env, row, type);
      i32[row + A] = aux.loadTypeArg[insn];
      if ((type & BASE_TYPE_MASK) === RegType.PTR_TO_BTF_ID) i32[row + B] = aux.loadTypeBtf[insn];
      break;
    }
    case PseudoLoad.FUNC: {
      const number = env.subprogAt(insn + insns.imm[insn] + 1);
      if (env.program.funcs.length === 0) env.fail("verifier/bad-callback", "missing btf func_info");
      if (env.subprogs[number].isGlobal) env.fail("verifier/bad-callback", "callback function not static");
      markPointer(env, row, RegType.PTR_TO_FUNC);
      i32[row + A] = number;
      break;
    }
    case PseudoLoad.MAP_VALUE:
    case PseudoLoad.MAP_IDX_VALUE: {
      const map = aux.mapIndex[insn];
      if (env.maps[map].type === "BPF_MAP_TYPE_ARENA") {
        markUnknown(env, row);
        break;
      }
      markPointer(env, row, RegType.PTR_TO_MAP_VALUE);
      i32[row + A] = map;
      i32[row + OFF] = aux.mapOffset[insn];
      break;
    }
    default:
      markPointer(env, row, RegType.CONST_PTR_TO_MAP);
      i32[row + A] = aux.mapIndex[insn];
  }
  if (!env.cur.speculative) aux.seen[insn + 1] = 1;
  return insn + 2;
}

/** BPF_LD_ABS and BPF_LD_IND: a call in disguise. `check_ld_abs` */
function walkLoadPacket(env: VerifierEnv, insn: number, opcode: number): number {
  const { insns, cur, mem } = env;
  env.access.checkLdAbsAllowed(env);
  checkForm(env, insn);
  checkRegRead(env, 6);
  checkResourceLeak(env, false, true, "BPF_LD_[ABS|IND]");
  const row = env.reg(6);
  if (mem.i32[row + TYPE] !== RegType.PTR_TO_CTX) {
    env.fail("verifier/ld-abs-context", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  }
  if ((opcode & MODE_MASK) === Mode.IND) checkRegRead(env, insns.src[insn]);
  env.access.checkCtxReg(env, 6);
  clearCallerSaved(env);
  markUnknown(env, env.reg(0));
  if (cur.curFrame === 0) return insn + 1;
  if ((mem.i32[cur.frames[cur.curFrame] + F_FLAGS] & FrameFlag.IN_CALLBACK) !== 0) {
    // Linux 6.18 looks for what made r0, the callback's result, and trips over the call of the callback.
    env.fail("verifier/ld-abs-in-callback", "verifier bug: callback unexpected regs 1", "EFAULT");
  }
  // Outside of the packet the program ends with 0; what the kernel generates ends the function only.
  pushPath(env, insn + 1, insn, false);
  markPointer(env, env.reg(0), RegType.SCALAR_VALUE);
  env.pre.stackLiveness.update(env);
  return leaveFunction(env);
}
