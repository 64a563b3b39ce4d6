import { structContains, typeName } from "../access/btf-walk.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { checkArgOffset } from "../helpers/arg-types.ts";
import { A, B, OFF, TYPE } from "../layout.ts";
import { mayBeNull, RegType, regTypeName, TypeFlag } from "../register-types.ts";
import { isNull } from "../regs.ts";

/** Types that an argument tagged as a kernel object takes. `btf_ptr_types` */
const COMPATIBLE: readonly number[] = [
  RegType.PTR_TO_BTF_ID,
  RegType.PTR_TO_BTF_ID | TypeFlag.PTR_TRUSTED,
  RegType.PTR_TO_BTF_ID | TypeFlag.MEM_RCU,
];

/**
 * Register `n` is passed to a global function as a pointer to the kernel's structure `btfId`; `flags` of the argument
 * (PTR_MAYBE_NULL). `btf_check_func_arg_match` @ v6.18
 */
export function checkBtfArgument(env: VerifierEnv, n: number, btfId: number, flags: number): void {
  const { i32 } = env.mem;
  const row = env.reg(n);
  const nullable = (flags & TypeFlag.PTR_MAYBE_NULL) !== 0;
  if (nullable && isNull(env, row)) return;
  const type = i32[row + TYPE];
  const folded = nullable ? type & ~TypeFlag.PTR_MAYBE_NULL : type;
  if (!COMPATIBLE.includes(folded)) {
    const expected = COMPATIBLE.map(regTypeName).join(", ");
    env.fail("verifier/argument-type", `R${n} type=${regTypeName(type)} expected=${expected}`, "EACCES");
  }
  if (mayBeNull(type) && !nullable) {
    env.fail("verifier/argument-maybe-null", `Possibly NULL pointer passed to helper arg${n}`, "EACCES");
  }
  const kernel = env.btfs[BTF_KERNEL];
  const own = env.btfs[i32[row + B]];
  if (kernel === undefined || own === undefined) env.unsupported("kernel objects without the kernel's BTF");
  const id = i32[row + A];
  const flexible = (type & TypeFlag.MEM_ALLOC) === 0;
  if (!structContains(own, id, i32[row + OFF], kernel, btfId, false, flexible)) {
    const text = `R${n} is of type ${typeName(own, id)} but ${typeName(kernel, btfId)} is expected`;
    env.fail("verifier/argument-struct", text, "EACCES");
  }
  checkArgOffset(env, n, false, false);
}
