import type { Diagnostic } from "../base/index.ts";
import { checkStructure, type InsnTable } from "../isa/index.ts";
import { checkCfg } from "./cfg.ts";
import { dropFastcallStack, markFastcallPatterns } from "./cfg-fastcall.ts";
import { computeLoops, computePostorder } from "./cfg-order.ts";
import { prepareFuncArgs } from "./context-args.ts";
import type { VerifierEnv } from "./env.ts";
import { computeLiveRegisters } from "./liveness/registers.ts";
import { traceLiveRegisters } from "./liveness/registers-log.ts";
import { CollectedStackLiveness } from "./liveness/stack.ts";
import { resolveWideLoads } from "./map-resolution.ts";
import type { PrePort, StackLiveness } from "./ports.ts";
import { checkAttachTarget, checkLoad } from "./prechecks-attach.ts";
import { type CallSummaries, callSummaries } from "./prechecks-calls.ts";
import { failOf } from "./prechecks-fail.ts";
import { kfuncChecker, kfuncSummaries } from "./prechecks-kfuncs.ts";
import { checkStackDepth } from "./stack-depth.ts";
import type { Subprog } from "./state.ts";
import { checkSubprograms, findSubprograms } from "./subprograms.ts";
import { checkFuncInfo, checkLineInfo, checkSubprogramTypes } from "./subprograms-btf.ts";

/** The checks before and after the walk, for one verification. */
export class PreChecks implements PrePort {
  private liveness: StackLiveness | undefined;
  private calls: CallSummaries = () => undefined;

  /** There once {@link prepare} has passed. */
  get stackLiveness(): StackLiveness {
    if (this.liveness === undefined) throw new TypeError("prepare() comes first");
    return this.liveness;
  }

  /**
   * All that Linux looks at before it walks a program, in its order. Fills `env.subprogs` and `env.aux`.
   * @see kernel/bpf/verifier.c `bpf_check` @ v6.18
   */
  prepare(env: VerifierEnv): void {
    const { insns, aux, program } = env;
    const fail = failOf(env);
    aux.mapIndex.fill(-1);
    checkLoad(env);
    checkFuncInfo(program.funcs, program.btf, fail);
    env.subprogs = findSubprograms({
      insns,
      funcs: program.funcs,
      btf: program.btf,
      callsAllowed: env.bpfCapable,
      checkKfunc: kfuncChecker(env, fail),
      fail,
    });
    const { subprogs } = env;
    if (env.log.tracesAll) {
      for (let index = 0; index < subprogs.length; index++) {
        env.log.trace(`func#${index} @${subprogs[index].start}\n`);
      }
    }
    checkSubprograms(insns, subprogs, fail);
    checkSubprogramTypes(subprogs, program.funcs, program.btf, fail);
    checkLineInfo(program.lines, insns, subprogs, fail);
    resolveWideLoads(env);
    const calls = callSummaries(insns, program.type, kfuncSummaries(env));
    this.calls = calls;
    const exceptionCallback = Math.max(
      0,
      subprogs.findIndex((subprog) => subprog.isExceptionCallback),
    );
    const loopsAllowed = env.bpfCapable;
    checkCfg({ insns, subprogs, exceptionCallback, loopsAllowed, calls, fail }, aux);
    const order = computePostorder(insns, subprogs);
    this.liveness = new CollectedStackLiveness({ insns, subprogs, order, callsCallback: aux.callsCallback });
    checkAttachTarget(env);
    computeLoops(insns, aux.scc);
    computeLiveRegisters(insns, order, calls, aux.liveRegs);
    if (env.log.tracesAll) traceLiveRegisters(env);
    markFastcallPatterns(insns, subprogs, aux, calls);
    env.insn = -1;
  }

  prepareFuncArgs(env: VerifierEnv, subprog: Subprog): void {
    prepareFuncArgs(env, subprog, env.subprogs.indexOf(subprog));
  }

  /** What Linux looks at after the walk: the stacks, once it is known how deep they get. */
  finish(env: VerifierEnv): void {
    const { insns, subprogs, aux, program } = env;
    dropFastcallStack(subprogs, aux);
    const { type, attachType } = program;
    checkStackDepth({ insns, subprogs, type, attachType, calls: this.calls, fail: failOf(env) });
  }
}

/**
 * Fields that must be zero and are not, unknown atomic operations: by slot. Linux finds them when its walk gets there, before
 * it looks at the instruction's registers.
 */
export function fieldFindings(insns: InsnTable): ReadonlyMap<number, Diagnostic> {
  const found = new Map<number, Diagnostic>();
  for (const finding of checkStructure(insns)) {
    const { code, insn } = finding;
    if ((code === "isa/reserved" || code === "isa/bad-atomic") && insn !== undefined && !found.has(insn)) {
      found.set(insn, finding);
    }
  }
  return found;
}
