import type { VerifierEnv } from "./env.ts";
import { BASE_TYPE_MASK, RegType, TypeFlag } from "./register-types.ts";

/** The kernel rewrites the access for one kind of pointer: all paths must agree. `save_aux_ptr_type` */
export function savePointerType(
  env: VerifierEnv,
  insn: number,
  type: number,
  allowTrustMismatch: boolean,
): void {
  const { pointerType } = env.aux;
  const before = pointerType[insn];
  if (before === RegType.NOT_INIT) {
    pointerType[insn] = type;
    return;
  }
  if (type === before || (mayMix(type) && mayMix(before))) return;
  // Reads of kernel memory that may fail: the checked form does for all.
  if (allowTrustMismatch && isMemOrBtf(type) && isMemOrBtf(before)) {
    const merged =
      (type & BASE_TYPE_MASK) === (before & BASE_TYPE_MASK) ? type & BASE_TYPE_MASK : RegType.PTR_TO_BTF_ID;
    pointerType[insn] = merged | ((type | before) & (TypeFlag.PTR_UNTRUSTED | TypeFlag.MEM_RDONLY));
    return;
  }
  env.fail("verifier/different-pointers", "same insn cannot be used with different pointers");
}

/** `reg_type_mismatch_ok`: accesses that need no rewriting may be of any of these kinds. */
function mayMix(type: number): boolean {
  switch (type & BASE_TYPE_MASK) {
    case RegType.PTR_TO_CTX:
    case RegType.PTR_TO_SOCKET:
    case RegType.PTR_TO_SOCK_COMMON:
    case RegType.PTR_TO_TCP_SOCK:
    case RegType.PTR_TO_XDP_SOCK:
    case RegType.PTR_TO_BTF_ID:
    case RegType.PTR_TO_ARENA:
      return false;
    default:
      return true;
  }
}

function isMemOrBtf(type: number): boolean {
  const base = type & BASE_TYPE_MASK;
  return base === RegType.PTR_TO_MEM || base === RegType.PTR_TO_BTF_ID;
}
