import type { VerifierEnv } from "../env.ts";
import { A, B, REF_OBJ_ID, TYPE } from "../layout.ts";
import { BASE_TYPE_MASK, baseType, RegType, TypeFlag, typeFlags } from "../register-types.ts";

const TRUSTED = TypeFlag.MEM_ALLOC | TypeFlag.PTR_TRUSTED | TypeFlag.NON_OWN_REF;

/** Register types that stand for a kernel structure, by its name. `reg2btf_ids` @ v6.18 */
export const STRUCT_OF_TYPE: Readonly<Record<number, string>> = {
  [RegType.PTR_TO_SOCKET]: "sock",
  [RegType.PTR_TO_SOCK_COMMON]: "sock_common",
  [RegType.PTR_TO_TCP_SOCK]: "tcp_sock",
  [RegType.CONST_PTR_TO_MAP]: "bpf_map",
};

/** Flags that make a pointer one of the kernel's trusted or the program's own. `BPF_REG_TRUSTED_MODIFIERS` */
export const TRUSTED_FLAGS: number = TRUSTED;

/** The pointer is valid as it is: held, trusted, or a socket or map. `is_trusted_reg` @ v6.18 */
export function isTrusted(env: VerifierEnv, row: number): boolean {
  const { i32 } = env.mem;
  if (i32[row + REF_OBJ_ID] !== 0) return true;
  const type = i32[row + TYPE];
  const unsafe = (typeFlags(type) & ~TRUSTED) !== 0;
  if (STRUCT_OF_TYPE[type & BASE_TYPE_MASK] !== undefined && !unsafe) return true;
  return (type & TRUSTED) !== 0 && !unsafe;
}

/** The pointer is protected by RCU. `is_rcu_reg` */
export function isRcu(env: VerifierEnv, row: number): boolean {
  return (env.mem.i32[row + TYPE] & TypeFlag.MEM_RCU) !== 0;
}

/** The program may sleep here. `in_sleepable` @ v6.18 */
export function inSleepable(env: VerifierEnv): boolean {
  return env.program.flags.sleepable === true || env.cur.inSleepable;
}

/** RCU protects what is read here. `in_rcu_cs` @ v6.18 */
export function inRcuSection(env: VerifierEnv): boolean {
  return env.cur.activeRcuLocks !== 0 || env.cur.activeLocks !== 0 || !inSleepable(env);
}

/** A pointer to an object of the program's own (`bpf_obj_new`, local kptr). `type_is_alloc` */
export function isAllocated(type: number): boolean {
  return (type & TypeFlag.MEM_ALLOC) !== 0;
}

/** `type_is_ptr_alloc_obj` */
export function isAllocatedObject(type: number): boolean {
  return baseType(type) === RegType.PTR_TO_BTF_ID && isAllocated(type);
}

/** Name of the structure that a PTR_TO_BTF_ID row points to. */
export function structNameOf(env: VerifierEnv, row: number): string {
  const { i32 } = env.mem;
  return env.btfs[i32[row + B]]?.types[i32[row + A]]?.name ?? "";
}
