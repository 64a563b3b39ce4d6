import type { ProgramTypeName } from "../../abi/index.ts";
import { BTF_PROGRAM, type VerifierEnv } from "../env.ts";
import { HelperCalls } from "../helpers/call.ts";
import { OFF, TYPE } from "../layout.ts";
import type { AccessPort, MemAccess } from "../ports.ts";
import { RegType, regTypeName } from "../register-types.ts";
import { ContextRules } from "./context-rules.ts";
import { checkMemReg } from "./helper-memory.ts";
import { checkMemAccess } from "./mem-access.ts";
import { checkUnmodified } from "./memory-region.ts";
import { attachTypeOf, programTypeOf } from "./program-type.ts";
import { type BtfRecord, recordOfObject, recordOfValue } from "./record.ts";

/** Program types whose packets LD_ABS and LD_IND can load from. `may_access_skb` @ v6.18 */
const LD_ABS_TYPES: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_SOCKET_FILTER",
  "BPF_PROG_TYPE_SCHED_CLS",
  "BPF_PROG_TYPE_SCHED_ACT",
]);

/** The checks of memory accesses and helper calls of one verification: tables of its program, made on first use. */
export class Access implements AccessPort {
  private rules: ContextRules | undefined;
  private readonly helpers = new HelperCalls();
  private readonly mapRecords: (BtfRecord | null | undefined)[] = [];
  private readonly objectRecords = new Map<number, BtfRecord | undefined>();

  checkMemAccess(
    env: VerifierEnv,
    insn: number,
    reg: number,
    off: number,
    bytes: number,
    access: MemAccess,
    valueReg: number,
    strictOnce: boolean,
    isLdsx: boolean,
  ): void {
    this.rules ??= rulesOf(env);
    checkMemAccess(env, this.rules, insn, reg, off, bytes, access, valueReg, strictOnce, isLdsx);
  }

  checkHelperCall(env: VerifierEnv, insn: number): void {
    this.helpers.check(env, insn);
  }

  checkLdAbsAllowed(env: VerifierEnv): void {
    if (LD_ABS_TYPES.has(programTypeOf(env))) return;
    env.fail("verifier/ld-abs-type", "BPF_LD_[ABS|IND] instructions not allowed for this program type");
  }

  checkMemReg(env: VerifierEnv, reg: number, bytes: number): void {
    checkMemReg(env, reg, bytes);
  }

  checkCtxReg(env: VerifierEnv, reg: number): void {
    const row = env.reg(reg);
    const type = env.mem.i32[row + TYPE];
    if (type !== RegType.PTR_TO_CTX) {
      env.fail("verifier/argument-type", `R${reg} type=${regTypeName(type)} expected=ctx`, "EACCES");
    }
    checkUnmodified(env, row, reg, env.mem.i32[row + OFF], false);
  }

  mapRecord(env: VerifierEnv, map: number): BtfRecord | undefined {
    let record = this.mapRecords[map];
    if (record === undefined) {
      const { btf, valueType, valueSize } = env.maps[map];
      const found =
        btf === undefined || !valueType
          ? undefined
          : recordOfValue(btf, valueType, valueSize, env.btfIndexes);
      record = found ?? null;
      this.mapRecords[map] = record;
    }
    return record ?? undefined;
  }

  objectRecord(env: VerifierEnv, btf: number, type: number): BtfRecord | undefined {
    const own = env.btfs[BTF_PROGRAM];
    if (btf !== BTF_PROGRAM || own === undefined) return undefined;
    const known = this.objectRecords.get(type);
    if (known !== undefined || this.objectRecords.has(type)) return known;
    const record = recordOfObject(own, type, env.btfIndexes);
    this.objectRecords.set(type, record);
    return record;
  }
}

function rulesOf(env: VerifierEnv): ContextRules {
  return new ContextRules(programTypeOf(env), attachTypeOf(env), env.bpfCapable);
}
