import type { VerifierEnv } from "./env.ts";
import { A, B, ID, OFF, REF_OBJ_ID, SlotType, TYPE, VAR_VALUE } from "./layout.ts";
import { BASE_TYPE_MASK, isPacketPointer, RefType, RegType, TypeFlag } from "./register-types.ts";
import { forEachRow, isConst, markInvalid } from "./regs.ts";
import type { Reference, State } from "./state.ts";
import { forEachRowOf, frameReg } from "./state-rows.ts";

/** A new reference acquired at `insn`; returns its id for REF_OBJ_ID. `acquire_reference` */
export function acquireReference(env: VerifierEnv, insn: number): number {
  const id = env.newId();
  env.cur.refs = [...env.cur.refs, { type: RefType.PTR, id, insn, owner: 0 }];
  return id;
}

/** The reference with this id, if the program still holds it. `find_reference_state` */
export function findReference(env: VerifierEnv, id: number): Reference | undefined {
  return env.cur.refs.find((ref) => ref.type === RefType.PTR && ref.id === id);
}

/** Drops the reference without touching registers; false: not held. `release_reference_nomark` */
export function dropReference(env: VerifierEnv, id: number): boolean {
  if (findReference(env, id) === undefined) return false;
  env.cur.refs = env.cur.refs.filter((ref) => !(ref.type === RefType.PTR && ref.id === id));
  return true;
}

/** Releases the reference and invalidates every copy of the pointer; false: not held. `release_reference` */
export function releaseReference(env: VerifierEnv, id: number): boolean {
  if (!dropReference(env, id)) return false;
  const { mem } = env;
  forEachRow(env, (row) => {
    if (mem.i32[row + REF_OBJ_ID] === id) markInvalid(env, row);
  });
  return true;
}

/** A lock was taken. `type` is RefType.LOCK or RES_LOCK…; `owner` says which memory holds it. `acquire_lock_state` */
export function acquireLock(env: VerifierEnv, insn: number, type: number, id: number, owner: number): void {
  const { cur } = env;
  cur.refs = [...cur.refs, { type, id, insn, owner }];
  cur.activeLocks++;
  cur.activeLockId = id;
  cur.activeLockOwner = owner;
}

/** Gives a lock back; false: this one is not held. `release_lock_state` */
export function releaseLock(env: VerifierEnv, type: number, id: number, owner: number): boolean {
  const { cur } = env;
  const at = cur.refs.findIndex((ref) => ref.type === type && ref.id === id && ref.owner === owner);
  if (at < 0) return false;
  // The lock taken before becomes the active one.
  const before = cur.refs.slice(0, at).findLast((ref) => isLock(ref.type));
  cur.refs = cur.refs.filter((_, index) => index !== at);
  cur.activeLocks--;
  cur.activeLockId = before?.id ?? 0;
  cur.activeLockOwner = before?.owner ?? 0;
  return true;
}

/** The held lock with this id and owner, of any of the types in `types`. `find_lock_state` */
export function findLock(env: VerifierEnv, types: number, id: number, owner: number): Reference | undefined {
  return env.cur.refs.find((ref) => (ref.type & types) !== 0 && ref.id === id && ref.owner === owner);
}

function isLock(type: number): boolean {
  return (type & (RefType.LOCK | RefType.RES_LOCK | RefType.RES_LOCK_IRQ)) !== 0;
}

/** Interrupts were saved: a new irq state; returns its id. `acquire_irq_state` */
export function acquireIrq(env: VerifierEnv, insn: number): number {
  const id = env.newId();
  env.cur.refs = [...env.cur.refs, { type: RefType.IRQ, id, insn, owner: 0 }];
  env.cur.activeIrqId = id;
  return id;
}

/**
 * Restores interrupts; "order": another one was saved later (`-EACCES`), "none": not held.
 * `release_irq_state`
 */
export function releaseIrq(env: VerifierEnv, id: number): "ok" | "order" | "none" {
  const { cur } = env;
  if (id !== cur.activeIrqId) return "order";
  const at = cur.refs.findIndex((ref) => ref.type === RefType.IRQ && ref.id === id);
  if (at < 0) return "none";
  const before = cur.refs.slice(0, at).findLast((ref) => ref.type === RefType.IRQ);
  cur.refs = cur.refs.filter((_, index) => index !== at);
  cur.activeIrqId = before?.id ?? 0;
  return "ok";
}

/** Pointers to list and tree nodes that belong to no one become invalid at unlock. `invalidate_non_owning_refs` */
export function invalidateNonOwning(env: VerifierEnv): void {
  const { mem } = env;
  forEachRow(env, (row) => {
    if ((mem.i32[row + TYPE] & TypeFlag.NON_OWN_REF) !== 0) markInvalid(env, row);
  });
}

/** A helper may have moved the packet: every pointer into it is stale. `clear_all_pkt_pointers` */
export function clearPacketPointers(env: VerifierEnv): void {
  const { mem } = env;
  forEachRow(env, (row) => {
    const type = mem.i32[row + TYPE];
    const slice =
      (type & BASE_TYPE_MASK) === RegType.PTR_TO_MEM &&
      (type & (TypeFlag.DYNPTR_TYPE_SKB | TypeFlag.DYNPTR_TYPE_XDP | TypeFlag.DYNPTR_TYPE_SKB_META)) !== 0;
    if (isPacketPointer(type) || type === RegType.PTR_TO_PACKET_END || slice) markInvalid(env, row);
  });
}

/** All copies of the pointer in register `n` of `state` turn out null or not null. `mark_ptr_or_null_regs` */
export function markPtrOrNullRegs(env: VerifierEnv, state: State, n: number, isNull: boolean): void {
  const { mem } = env;
  const row = frameReg(state.frames[state.curFrame], n);
  const id = mem.i32[row + ID];
  const refId = mem.i32[row + REF_OBJ_ID];
  // The reference of an acquiring call is gone with its null result.
  if (refId !== 0 && refId === id && isNull) {
    state.refs = state.refs.filter((ref) => !(ref.type === RefType.PTR && ref.id === id));
  }
  forEachRowOf(env, state, (each) => markPtrOrNull(env, each, id, isNull));
}

/** As the kernel's `mark_ptr_or_null_reg`. */
export function markPtrOrNull(env: VerifierEnv, row: number, id: number, isNull: boolean): void {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if ((type & TypeFlag.PTR_MAYBE_NULL) === 0 || i32[row + ID] !== id) return;
  if (isNull) {
    // A maybe-null pointer cannot have been moved, or null would not be 0: only the offset of a member may be set.
    const owned = TypeFlag.MEM_ALLOC | TypeFlag.PTR_TRUSTED | TypeFlag.MEM_RCU | TypeFlag.NON_OWN_REF;
    if (!isConst(env, row) || i32[row + VAR_VALUE] !== 0 || i32[row + VAR_VALUE + 1] !== 0) return;
    if ((type & owned) === 0 && i32[row + OFF] !== 0) return;
    env.domain.markKnown(row, 0, 0);
    i32[row + TYPE] = RegType.SCALAR_VALUE;
    i32[row + ID] = 0;
    i32[row + REF_OBJ_ID] = 0;
    return;
  }
  markNotNull(env, row);
  // Locks and references still need the id: of a map value with a lock, of an owned object.
  if (!mayHoldLock(env, row)) i32[row + ID] = 0;
}

function mayHoldLock(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const base = type & BASE_TYPE_MASK;
  if (base === RegType.PTR_TO_MAP_VALUE) return env.kfuncs.mapHasField(env, i32[row + A], "spin-lock");
  return (
    base === RegType.PTR_TO_BTF_ID &&
    (type & TypeFlag.MEM_ALLOC) !== 0 &&
    env.kfuncs.typeHasField(env, i32[row + B], i32[row + A], "spin-lock")
  );
}

/** A pointer known not to be null loses the flag; inner maps and sockets become what they are. `mark_ptr_not_null_reg` */
export function markNotNull(env: VerifierEnv, row: number): void {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if ((type & BASE_TYPE_MASK) === RegType.PTR_TO_MAP_VALUE) {
    const map = env.maps[i32[row + A]];
    if (map.inner !== undefined) {
      i32[row + TYPE] = RegType.CONST_PTR_TO_MAP;
      i32[row + A] = env.innerMapIndex(i32[row + A]);
      // Timers and work queues must be used with the map they lie in: tell lookups apart.
      if (env.kfuncs.mapHasField(env, i32[row + A], "timer")) i32[row + B] = i32[row + ID];
    } else if (map.type === "BPF_MAP_TYPE_XSKMAP") {
      i32[row + TYPE] = RegType.PTR_TO_XDP_SOCK;
    } else if (map.type === "BPF_MAP_TYPE_SOCKMAP" || map.type === "BPF_MAP_TYPE_SOCKHASH") {
      i32[row + TYPE] = RegType.PTR_TO_SOCKET;
      // Linux leaves the map in the register: such a socket differs from one that a lookup by address gave.
      i32[row + A] += 1;
    } else {
      i32[row + TYPE] = RegType.PTR_TO_MAP_VALUE;
    }
    return;
  }
  i32[row + TYPE] = type & ~TypeFlag.PTR_MAYBE_NULL;
}

/**
 * Rejects when the path would end with something still held. `leaves` names what ends it: "tail_call", "bpf_throw",
 * "BPF_EXIT instruction in main prog". `check_resource_leak`
 */
export function checkResourceLeak(
  env: VerifierEnv,
  exceptionExit: boolean,
  checkLock: boolean,
  leaves: string,
): void {
  const { cur, mem } = env;
  if (checkLock && cur.activeLocks !== 0) {
    env.fail("verifier/lock-held", `${leaves} cannot be used inside bpf_spin_lock-ed region`);
  }
  if (exceptionExit || cur.curFrame === 0) {
    const returned =
      env.program.type === "BPF_PROG_TYPE_STRUCT_OPS" && !exceptionExit
        ? mem.i32[env.reg(0) + REF_OBJ_ID]
        : 0;
    let leaked = false;
    for (const ref of cur.refs) {
      if (ref.type !== RefType.PTR || ref.id === returned) continue;
      env.verbose(`Unreleased reference id=${ref.id} alloc_insn=${ref.insn}\n`);
      leaked = true;
    }
    if (leaked) env.fail("verifier/reference-leak", `${leaves} would lead to reference leak`);
  }
  if (!checkLock) return;
  if (cur.activeIrqId !== 0) {
    env.fail("verifier/irq-disabled", `${leaves} cannot be used inside bpf_local_irq_save-ed region`);
  }
  if (cur.activeRcuLocks !== 0) {
    env.fail("verifier/rcu-locked", `${leaves} cannot be used inside bpf_rcu_read_lock-ed region`);
  }
  if (cur.activePreemptLocks !== 0) {
    env.fail("verifier/preempt-disabled", `${leaves} cannot be used inside bpf_preempt_disable-ed region`);
  }
}

/** Mask of slot types whose rows hold ids (for walks over every id of a state). */
export const ID_SLOTS: number = (1 << SlotType.SPILL) | (1 << SlotType.DYNPTR) | (1 << SlotType.ITER);
