import { fieldAt, type SpecialField } from "../access/record.ts";
import { constLow } from "../access/row.ts";
import { isAllocatedObject } from "../access/trust.ts";
import type { VerifierEnv } from "../env.ts";
import { A, B, OFF, TYPE } from "../layout.ts";
import { isConst } from "../regs.ts";

/** A map a call works on: index into `env.maps` and id of the lookup that gave it (inner maps). */
export interface MapUse {
  readonly map: number;
  readonly uid: number;
}

/** A pointer to the `bpf_timer` of a map's value. `process_timer_func` @ v6.18 */
export function checkTimer(env: VerifierEnv, reg: number): MapUse {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const index = i32[row + A];
  const map = env.maps[index];
  if (!isConst(env, row)) {
    env.fail(
      "verifier/variable-offset",
      `R${reg} doesn't have constant offset. bpf_timer has to be at the constant offset`,
    );
  }
  if (map.btf === undefined || map.valueType === undefined || map.valueType === 0) {
    env.fail("verifier/field-pointer", `map '${map.name}' has to have BTF in order to use bpf_timer`);
  }
  const at = env.access.mapRecord(env, index)?.timer ?? -1;
  if (at < 0) env.fail("verifier/field-pointer", `map '${map.name}' has no valid bpf_timer`);
  const off = i32[row + OFF] + constLow(env, row);
  if (off !== at) {
    env.fail("verifier/field-pointer", `off ${off} doesn't point to 'struct bpf_timer' that is at ${at}`);
  }
  return { map: index, uid: i32[row + B] };
}

/** A pointer to a referenced kptr in a map's value or an own object. `process_kptr_func` @ v6.18 */
export function checkKptrPlace(env: VerifierEnv, reg: number): SpecialField {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const inObject = isAllocatedObject(i32[row + TYPE]);
  const map = inObject ? undefined : env.maps[i32[row + A]];
  if (map !== undefined && (map.btf === undefined || map.valueType === undefined || map.valueType === 0)) {
    env.fail("verifier/kptr-argument", `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
  }
  const record = inObject
    ? env.access.objectRecord(env, i32[row + B], i32[row + A])
    : env.access.mapRecord(env, i32[row + A]);
  if (!isConst(env, row)) {
    env.fail(
      "verifier/variable-offset",
      `R${reg} doesn't have constant offset. kptr has to be at the constant offset`,
    );
  }
  const isHeld = (field: SpecialField): boolean => field.kind === "kptrRef" || field.kind === "kptrPercpu";
  if (record === undefined || !record.fields.some((field) => isHeld(field) || field.kind === "kptrUnref")) {
    return env.fail("verifier/kptr-argument", `R${reg} has no valid kptr`);
  }
  const off = i32[row + OFF] + constLow(env, row);
  const field = fieldAt(record, off);
  if (field === undefined || (!isHeld(field) && field.kind !== "kptrUnref")) {
    return env.fail("verifier/kptr-argument", `off=${off} doesn't point to kptr`, "EACCES");
  }
  if (!isHeld(field)) env.fail("verifier/kptr-argument", `off=${off} kptr isn't referenced kptr`, "EACCES");
  return field;
}
