import type { BtfRecord } from "../access/record.ts";
import type { VerifierEnv } from "../env.ts";
import { A, B, ID, TYPE } from "../layout.ts";
import { acquireLock, findLock, invalidateNonOwning, releaseLock } from "../refs.ts";
import { baseType, RefType, RegType, TypeFlag } from "../register-types.ts";
import { isConst } from "../regs.ts";
import { offsetOf } from "./stack-object.ts";

/** Any spin lock. `REF_TYPE_LOCK_MASK` */
const ANY_LOCK = RefType.LOCK | RefType.RES_LOCK | RefType.RES_LOCK_IRQ;

/** What a lock function does. */
export interface LockUse {
  readonly lock: boolean;
  /** `bpf_res_spin_lock`. */
  readonly resilient: boolean;
  /** Saves or restores interrupts. */
  readonly irq: boolean;
}

/** Special fields of what the register points to. `reg_btf_record` */
export function recordOf(env: VerifierEnv, row: number): BtfRecord | undefined {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if (baseType(type) === RegType.PTR_TO_MAP_VALUE) return env.access.mapRecord(env, i32[row + A]);
  if (baseType(type) !== RegType.PTR_TO_BTF_ID || (type & TypeFlag.MEM_ALLOC) === 0) return undefined;
  return env.access.objectRecord(env, i32[row + B], i32[row + A]);
}

/** Number of what holds a lock: a map, or the BTF of an allocated object (`reg->map_ptr`, `reg->btf`). */
export function ownerOf(env: VerifierEnv, row: number): number {
  const { i32 } = env.mem;
  return baseType(i32[row + TYPE]) === RegType.PTR_TO_MAP_VALUE ? 2 * i32[row + A] + 1 : 2 * i32[row + B] + 2;
}

/** A spin lock is taken or given back; register `n` points to it. `process_spin_lock` @ v6.18 */
export function changeLock(env: VerifierEnv, n: number, insn: number, use: LockUse): void {
  const { i32 } = env.mem;
  const row = env.reg(n);
  const prefix = use.resilient ? "bpf_res_spin" : "bpf_spin";
  if (!isConst(env, row)) {
    const text = `R${n} doesn't have constant offset. ${prefix}_lock has to be at the constant offset`;
    env.fail("verifier/lock-offset", text);
  }
  const map = i32[row + TYPE] === RegType.PTR_TO_MAP_VALUE ? env.maps[i32[row + A]] : undefined;
  if (map !== undefined && map.btf === undefined) {
    env.fail("verifier/lock-missing", `map '${map.name}' has to have BTF in order to use ${prefix}_lock`);
  }
  const record = recordOf(env, row);
  const at = use.resilient ? (record?.resSpinLock ?? -1) : (record?.spinLock ?? -1);
  if (at < 0) {
    const what = map === undefined ? "local 'kptr'" : `map '${map.name}'`;
    env.fail("verifier/lock-missing", `${what} has no valid ${prefix}_lock`);
  }
  const off = offsetOf(env, row);
  if (off !== at) {
    env.fail(
      "verifier/field-pointer",
      `off ${off} doesn't point to 'struct ${prefix}_lock' that is at ${at}`,
    );
  }
  const type = use.resilient ? (use.irq ? RefType.RES_LOCK_IRQ : RefType.RES_LOCK) : RefType.LOCK;
  if (use.lock) lock(env, row, insn, type);
  else unlock(env, row, prefix, type);
}

function lock(env: VerifierEnv, row: number, insn: number, type: number): void {
  const { cur } = env;
  const id = env.mem.i32[row + ID];
  const owner = ownerOf(env, row);
  if (cur.activeLocks !== 0 && type === RefType.LOCK && cur.refs.some((ref) => ref.type === RefType.LOCK)) {
    env.fail("verifier/lock-nested", "Locking two bpf_spin_locks are not allowed");
  }
  if (
    type !== RefType.LOCK &&
    findLock(env, RefType.RES_LOCK | RefType.RES_LOCK_IRQ, id, owner) !== undefined
  ) {
    env.fail("verifier/lock-nested", "Acquiring the same lock again, AA deadlock detected");
  }
  acquireLock(env, insn, type, id, owner);
}

function unlock(env: VerifierEnv, row: number, prefix: string, type: number): void {
  const { cur } = env;
  const id = env.mem.i32[row + ID];
  const owner = ownerOf(env, row);
  if (cur.activeLocks === 0)
    env.fail("verifier/unlock-without-lock", `${prefix}_unlock without taking a lock`);
  if (findLock(env, type, id, owner) === undefined) {
    env.fail("verifier/unlock-other", `${prefix}_unlock of different lock`);
  }
  if (id !== cur.activeLockId || owner !== cur.activeLockOwner) {
    env.fail("verifier/unlock-other", `${prefix}_unlock cannot be out of order`);
  }
  if (!releaseLock(env, type, id, owner)) {
    env.fail("verifier/unlock-other", `${prefix}_unlock of different lock`);
  }
  invalidateNonOwning(env);
}

/** The lock that protects the object in `row` is held; says so when another one is. `check_reg_allocation_locked` */
export function isAllocationLocked(env: VerifierEnv, row: number): boolean {
  if (env.cur.activeLocks === 0) return false;
  if (findLock(env, ANY_LOCK, env.mem.i32[row + ID], ownerOf(env, row)) !== undefined) return true;
  env.verbose("held lock and object are not in the same allocation\n");
  return false;
}
