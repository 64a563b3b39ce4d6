import { type AttachTypeName, contextOf } from "../abi/index.ts";
import { prototypeOf } from "../btf/index.ts";
import { skipModifiers } from "./access/btf-walk.ts";
import { checkUnmodified } from "./access/memory-region.ts";
import { attachTypeOf, programTypeOf } from "./access/program-type.ts";
import { BTF_KERNEL, type VerifierEnv } from "./env.ts";
import {
  A,
  B,
  F_FLAGS,
  F_RET_MAX,
  F_RET_MIN,
  F_SUBPROG,
  FrameFlag,
  OFF,
  REF_OBJ_ID,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TYPE,
} from "./layout.ts";
import { BOOL_LSM_HOOKS } from "./prechecks-hooks.ts";
import { markChainPrecision } from "./precision.ts";
import { BASE_TYPE_MASK, RegType, regTypeName } from "./register-types.ts";
import { checkRegRead, isPointerValue, signedBig, smax, smin } from "./regs.ts";

/** What a program may return; 32-bit: only the low half counts. */
interface ReturnRange {
  readonly min: number;
  readonly max: number;
  readonly is32?: boolean;
}

/** The register that the program returns holds a value its type may return. `check_return_code` @ v6.18 */
export function checkReturnCode(env: VerifierEnv, n: number, name: string): void {
  const { i32 } = env.mem;
  const frame = env.cur.frames[0];
  const flags = i32[frame + F_FLAGS];
  const inException = (flags & FrameFlag.IN_EXCEPTION_CALLBACK) !== 0;
  const isSubprog = i32[frame + F_SUBPROG] !== 0;
  if ((!isSubprog || inException) && returnsVoid(env)) return;
  if (!isSubprog && !inException && givesBackObject(env, n)) return;
  checkRegRead(env, n);
  const row = env.reg(n);
  if (isPointerValue(env, row)) {
    env.fail("verifier/return-leaks-pointer", `R${n} leaks addr as return value`, "EACCES");
  }
  if ((flags & FrameFlag.IN_ASYNC_CALLBACK) !== 0) {
    enforce(
      env,
      n,
      row,
      { min: i32[frame + F_RET_MIN], max: i32[frame + F_RET_MAX] },
      "At async callback return",
      name,
    );
    return;
  }
  if (isSubprog && !inException) {
    if (i32[row + TYPE] !== RegType.SCALAR_VALUE) {
      const text = `At subprogram exit the register R${n} is not a scalar value (${regTypeName(i32[row + TYPE])})`;
      env.fail("verifier/exit-value", text);
    }
    return;
  }
  if (inException && env.program.type === "BPF_PROG_TYPE_STRUCT_OPS") return;
  const range = returnRange(env);
  if (range === undefined) return;
  const note = isVoidCgroupHook(env) ? `Note, ${VOID_HOOK}` : undefined;
  enforce(env, n, row, range, "At program exit", name, note);
}

/** What an LSM program of a cgroup cannot do on a hook that returns nothing. */
export const VOID_HOOK = "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!";

function enforce(
  env: VerifierEnv,
  n: number,
  row: number,
  range: ReturnRange,
  when: string,
  name: string,
  note?: string,
): void {
  const type = env.mem.i32[row + TYPE];
  if (type !== RegType.SCALAR_VALUE) {
    env.fail("verifier/exit-value", `${when} the register R${n} is not a known value (${regTypeName(type)})`);
  }
  markChainPrecision(env, n);
  checkScalarRange(env, row, range.min, range.max, range.is32 ?? false, when, name, note);
}

/** Rejects a scalar outside of [min, max]; `note` is the last line then, if there is one. `retval_range_within`, `verbose_invalid_scalar` */
export function checkScalarRange(
  env: VerifierEnv,
  row: number,
  min: number,
  max: number,
  is32: boolean,
  when: string,
  name: string,
  note?: string,
): void {
  const { i32 } = env.mem;
  const inside = is32
    ? min <= i32[row + S32_MIN] && i32[row + S32_MAX] <= max
    : min <= smin(env, row) && smax(env, row) <= max;
  if (inside) return;
  const low = signedBig(env, row + SMIN);
  const high = signedBig(env, row + SMAX);
  const known = (low > -(1n << 63n) ? ` smin=${low}` : "") + (high < (1n << 63n) - 1n ? ` smax=${high}` : "");
  const has = known === "" ? " unknown scalar value" : known;
  const text = `${when} the register ${name} has${has} should have been in [${min}, ${max}]`;
  if (note === undefined) env.fail("verifier/exit-value", text);
  env.verbose(`${text}\n`);
  env.fail("verifier/exit-value", note);
}

/** LSM and struct_ops functions without result return nothing. */
function returnsVoid(env: VerifierEnv): boolean {
  const { type, attachType } = env.program;
  if (type === "BPF_PROG_TYPE_LSM") return attachType !== "BPF_LSM_CGROUP" && hookReturns(env) === 0;
  return type === "BPF_PROG_TYPE_STRUCT_OPS" && hookReturns(env) === 0;
}

/** BTF id of what the hook returns, 0: void, undefined: unknown. */
function hookReturns(env: VerifierEnv): number | undefined {
  const btf = env.btfs[BTF_KERNEL];
  const { attachBtfId = 0, structOpsMember } = env.program;
  if (btf === undefined || attachBtfId === 0) return undefined;
  const type = btf.types[attachBtfId];
  if (type?.kind !== "struct") return prototypeOf(btf, attachBtfId)?.type;
  const member = type.members[structOpsMember ?? -1];
  return member === undefined ? undefined : prototypeOf(btf, member.type)?.type;
}

/** BTF id of what a struct_ops function returns a pointer to (0: anything); undefined: it returns no pointer. */
function returnedObject(env: VerifierEnv): number | undefined {
  const btf = env.btfs[BTF_KERNEL];
  const returns = hookReturns(env);
  if (btf === undefined || returns === undefined) return undefined;
  const pointer = btf.types[skipModifiers(btf, returns)];
  return pointer?.kind === "ptr" ? skipModifiers(btf, pointer.type) : undefined;
}

/** A struct_ops function hands the object it holds to its caller; the pointer must be as it was. First: Linux 6.15. */
function givesBackObject(env: VerifierEnv, n: number): boolean {
  if (env.program.type !== "BPF_PROG_TYPE_STRUCT_OPS") return false;
  const { i32 } = env.mem;
  const row = env.reg(n);
  if ((i32[row + TYPE] & BASE_TYPE_MASK) !== RegType.PTR_TO_BTF_ID || i32[row + REF_OBJ_ID] === 0)
    return false;
  if (i32[row + B] !== BTF_KERNEL || i32[row + A] !== returnedObject(env)) return false;
  checkUnmodified(env, row, n, i32[row + OFF], false);
  return true;
}

function returnRange(env: VerifierEnv): ReturnRange | undefined {
  const type = programTypeOf(env);
  const attachType = attachTypeOf(env);
  switch (type) {
    case "BPF_PROG_TYPE_TRACING":
      if (attachType === "BPF_TRACE_ITER") return { min: 0, max: 1 };
      if (attachType === "BPF_TRACE_RAW_TP" || attachType === "BPF_MODIFY_RETURN") return undefined;
      return { min: 0, max: 0 };
    case "BPF_PROG_TYPE_LSM":
      return lsmRange(env, attachType);
    case "BPF_PROG_TYPE_KPROBE":
      return (attachType as string) === "BPF_TRACE_KPROBE_SESSION" ? { min: 0, max: 1 } : undefined;
    case "BPF_PROG_TYPE_NETFILTER":
    case "BPF_PROG_TYPE_SK_LOOKUP":
      return { min: 0, max: 1 };
    case "BPF_PROG_TYPE_STRUCT_OPS": // in place of an object: nothing
      return returnedObject(env) === undefined ? undefined : { min: 0, max: 0 };
    default: {
      const range = contextOf(type, attachType).returns;
      return range === undefined ? undefined : { min: range[0], max: range[1] };
    }
  }
}

const MAX_ERRNO = 4095;

/** An LSM program of a cgroup whose hook returns nothing: its result cannot be replaced either. */
export function isVoidCgroupHook(env: VerifierEnv): boolean {
  const { type, attachType } = env.program;
  return type === "BPF_PROG_TYPE_LSM" && attachType === "BPF_LSM_CGROUP" && hookReturns(env) === 0;
}

function lsmRange(env: VerifierEnv, attachType: AttachTypeName | undefined): ReturnRange | undefined {
  if (isVoidCgroupHook(env)) return { min: 1, max: 1 };
  if (attachType === "BPF_LSM_CGROUP") return { min: 0, max: 1 };
  const hook = env.btfs[BTF_KERNEL]?.types[env.program.attachBtfId ?? 0]?.name ?? "";
  if (BOOL_LSM_HOOKS.has(hook)) return { min: 0, max: 1, is32: true };
  return { min: -MAX_ERRNO, max: 0, is32: true };
}
