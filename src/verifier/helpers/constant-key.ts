import type { MapTypeName } from "../../abi/index.ts";
import { constLow } from "../access/row.ts";
import type { VerifierEnv } from "../env.ts";
import { C, OFF, SlotType, TYPE, VAR_VALUE } from "../layout.ts";
import { backtrackFrom } from "../precision.ts";
import { RegType } from "../register-types.ts";
import { isConst, unsigned64 } from "../regs.ts";
import { frameOf, isSpilledScalar, slotOf } from "../stack.ts";

/** A lookup with a key known to be inside the map never fails. `can_elide_value_nullness` @ v6.18 */
export function neverMisses(type: MapTypeName): boolean {
  return type === "BPF_MAP_TYPE_ARRAY" || type === "BPF_MAP_TYPE_PERCPU_ARRAY";
}

/**
 * The value of a map key on the stack when it is the same on every path that gets here; -1: it is not. The key becomes
 * precise. `get_constant_map_key` @ v6.18
 */
export function constantKey(env: VerifierEnv, reg: number, keySize: number): number {
  const row = env.reg(reg);
  const { mem } = env;
  if (!env.bpfCapable || mem.i32[row + TYPE] !== RegType.PTR_TO_STACK || !isConst(env, row)) return -1;
  const frame = frameOf(env, row);
  const off = mem.i32[row + OFF] + constLow(env, row);
  const slot = slotOf(off);
  const types = env.slotTypes(frame, slot);
  const first = (-off - 1) & 7;
  if (run(env, types, first, SlotType.ZERO) >= keySize) return 0;
  if (!isSpilledScalar(env, frame, slot) || run(env, types, first, SlotType.SPILL) !== keySize) return -1;
  const spill = env.slotRow(frame, slot);
  if (!isConst(env, spill)) return -1;
  env.backtrack.setSlot(mem.i32[row + C], slot);
  backtrackFrom(env, env.cur);
  return unsigned64(env, env.slotRow(frame, slot) + VAR_VALUE);
}

/** Bytes of one type in a slot, from byte `first` upwards in memory. */
function run(env: VerifierEnv, types: number, first: number, type: number): number {
  let count = 0;
  for (let i = first; i >= 0 && env.mem.u8[types + i] === type; i--) count++;
  return count;
}
