import type { BtfRecord } from "../access/record.ts";
import { BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { checkArgOffset } from "../helpers/arg-types.ts";
import { checkDynptrUse, destroyDynptr } from "../objects/dynptr.ts";
import type { ContextLoad, KfuncPort, MemAccess, SpecialField } from "../ports.ts";
import { DynptrType } from "../register-types.ts";
import { checkBtfArgument } from "./btf-argument.ts";
import { checkCall } from "./call.ts";
import { contextAccess, referencedArguments } from "./context-access.ts";
import { isAllowedInLock, isGraphKfunc, KF, KfuncTable } from "./kfunc.ts";
import { refusedType } from "./refused-types.ts";

/** Kernel functions, dynptrs, locks and BTF contexts of one verification. */
export class Kfuncs implements KfuncPort {
  private readonly table = new KfuncTable();
  private typesChecked = false;

  mapHasField(env: VerifierEnv, map: number, field: SpecialField): boolean {
    return hasField(env.access.mapRecord(env, map), field);
  }

  typeHasField(env: VerifierEnv, btf: number, id: number, field: SpecialField): boolean {
    return hasField(env.access.objectRecord(env, btf, id), field);
  }

  checkKfuncCall(env: VerifierEnv, insn: number): void {
    this.checkTypes(env, insn);
    checkCall(env, this.table, insn);
  }

  /** Lists, trees and objects need the program's BTF, which the kernel may have refused. */
  private checkTypes(env: VerifierEnv, insn: number): void {
    const btf = env.btfs[BTF_PROGRAM];
    if (this.typesChecked || btf === undefined || env.insns.imm[insn] === 0) return;
    const name = this.table.at(env, insn)?.name ?? "";
    if (!isGraphKfunc(name) && !name.includes("_obj_")) return;
    this.typesChecked = true;
    const refused = refusedType(env, btf);
    if (refused !== undefined) env.unsupported(`BTF that the kernel refuses (struct ${refused})`);
  }

  isIterNext(env: VerifierEnv, insn: number): boolean {
    if (env.insns.imm[insn] === 0) return false;
    return ((this.table.at(env, insn)?.flags ?? 0) & KF.ITER_NEXT) !== 0;
  }

  isThrow(env: VerifierEnv, insn: number): boolean {
    return env.insns.imm[insn] !== 0 && this.table.at(env, insn)?.name === "bpf_throw";
  }

  /** The kernel function called at `insn` may be called with a spin lock held. */
  mayCallLocked(env: VerifierEnv, insn: number): boolean {
    const kfunc = env.insns.imm[insn] === 0 ? undefined : this.table.at(env, insn);
    return kfunc !== undefined && isAllowedInLock(kfunc);
  }

  destroyDynptrSlot(env: VerifierEnv, frame: number, slot: number): void {
    destroyDynptr(env, frame, slot);
  }

  checkDynptrArg(env: VerifierEnv, reg: number, insn: number): void {
    checkArgOffset(env, reg, false, true);
    checkDynptrUse(env, reg, insn, {
      uninit: false,
      constant: true,
      type: DynptrType.INVALID,
      cloneRefId: 0,
    });
  }

  checkBtfArg(env: VerifierEnv, reg: number, btfId: number, flags: number): void {
    checkBtfArgument(env, reg, btfId, flags);
  }

  contextAccess(env: VerifierEnv, off: number, bytes: number, access: MemAccess): ContextLoad | undefined {
    return contextAccess(env, off, bytes, access);
  }

  referencedArguments(env: VerifierEnv): readonly number[] {
    return referencedArguments(env);
  }
}

function hasField(record: BtfRecord | undefined, field: SpecialField): boolean {
  if (record === undefined) return false;
  if (field === "spin-lock") return record.spinLock >= 0 || record.resSpinLock >= 0;
  return record.timer >= 0 || record.workqueue >= 0 || record.taskWork >= 0;
}
