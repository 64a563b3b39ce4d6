// One table: which register types each kind of helper argument takes.

import { btfOf } from "../access/btf-pointer.ts";
import { structContains, typeName } from "../access/btf-walk.ts";
import { checkKptrMatch } from "../access/kptr-access.ts";
import { checkUnmodified } from "../access/memory-region.ts";
import type { SpecialField } from "../access/record.ts";
import { isAllocated } from "../access/trust.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { A, B, OFF, TYPE } from "../layout.ts";
import { baseType, mayBeNull, RegType, regTypeName, TypeFlag } from "../register-types.ts";
import type { ArgKind, ArgSpec, HelperProto } from "./prototypes.ts";

const {
  MEM_RINGBUF,
  PTR_TRUSTED,
  MEM_ALLOC,
  MEM_RCU,
  MEM_PERCPU,
  MEM_RDONLY,
  PTR_MAYBE_NULL,
  NON_OWN_REF,
  OBJ_RELEASE,
} = TypeFlag;
const OBJECT = RegType.PTR_TO_BTF_ID;
const DYNPTR_FLAGS: number =
  TypeFlag.DYNPTR_TYPE_LOCAL |
  TypeFlag.DYNPTR_TYPE_RINGBUF |
  TypeFlag.DYNPTR_TYPE_SKB |
  TypeFlag.DYNPTR_TYPE_XDP |
  TypeFlag.DYNPTR_TYPE_SKB_META |
  TypeFlag.DYNPTR_TYPE_FILE;

const MEMORY: readonly number[] = [
  RegType.PTR_TO_STACK,
  RegType.PTR_TO_PACKET,
  RegType.PTR_TO_PACKET_META,
  RegType.PTR_TO_MAP_KEY,
  RegType.PTR_TO_MAP_VALUE,
  RegType.PTR_TO_MEM,
  RegType.PTR_TO_MEM | MEM_RINGBUF,
  RegType.PTR_TO_BUF,
  OBJECT | PTR_TRUSTED,
];
const SCALAR: readonly number[] = [RegType.SCALAR_VALUE];
const SOCKETS: readonly number[] = [
  RegType.PTR_TO_SOCK_COMMON,
  RegType.PTR_TO_SOCKET,
  RegType.PTR_TO_TCP_SOCK,
  RegType.PTR_TO_XDP_SOCK,
];

/** Register types an argument takes, in the order of the kernel's messages. `compatible_reg_types` @ v6.18 */
const COMPATIBLE: Readonly<Record<ArgKind, readonly number[]>> = {
  anything: [],
  scalar: SCALAR,
  size: SCALAR,
  "alloc-size": SCALAR,
  map: [RegType.CONST_PTR_TO_MAP],
  key: MEMORY,
  value: MEMORY,
  memory: MEMORY,
  context: [RegType.PTR_TO_CTX],
  socket: [RegType.PTR_TO_SOCKET],
  "sock-common": SOCKETS,
  "btf-sock-common": [...SOCKETS, OBJECT, OBJECT | PTR_TRUSTED],
  object: [OBJECT, OBJECT | PTR_TRUSTED, OBJECT | MEM_RCU],
  "percpu-object": [OBJECT | MEM_PERCPU, OBJECT | MEM_PERCPU | MEM_RCU, OBJECT | MEM_PERCPU | PTR_TRUSTED],
  function: [RegType.PTR_TO_FUNC],
  stack: [RegType.PTR_TO_STACK],
  "ringbuf-record": [RegType.PTR_TO_MEM | MEM_RINGBUF],
  dynptr: [RegType.PTR_TO_STACK, RegType.CONST_PTR_TO_DYNPTR],
  "spin-lock": [RegType.PTR_TO_MAP_VALUE, OBJECT | MEM_ALLOC],
  timer: [RegType.PTR_TO_MAP_VALUE],
  "const-string": [RegType.PTR_TO_MAP_VALUE],
  kptr: [RegType.PTR_TO_MAP_VALUE, OBJECT | MEM_ALLOC],
};

/** Register `reg` has a type the argument takes. `check_reg_type` @ v6.18 */
export function checkArgType(
  env: VerifierEnv,
  proto: HelperProto,
  reg: number,
  arg: ArgSpec,
  kind: ArgKind,
  kptr: SpecialField | undefined,
): void {
  const type = env.mem.i32[env.reg(reg) + TYPE];
  const compatible = COMPATIBLE[kind];
  const isXchg = proto.name === "kptr_xchg";
  let folded = type;
  if ((arg.flags & MEM_RDONLY) !== 0) folded &= ~MEM_RDONLY;
  if ((arg.flags & PTR_MAYBE_NULL) !== 0) folded &= ~PTR_MAYBE_NULL;
  if (kind === "memory") folded &= ~DYNPTR_FLAGS;
  if (isXchg && reg === 2 && isAllocated(folded)) folded &= ~(MEM_ALLOC | MEM_PERCPU);
  if (!compatible.includes(folded)) {
    const expected = compatible.map(regTypeName).join(", ");
    env.fail("verifier/argument-type", `R${reg} type=${regTypeName(type)} expected=${expected}`, "EACCES");
  }
  if (baseType(type) !== OBJECT) return;
  if (compatible === MEMORY) {
    if ((arg.flags & MEM_RDONLY) === 0) {
      env.fail(
        "verifier/helper-writes-object",
        `bpf_${proto.name}() may write into memory pointed by R${reg} type=${regTypeName(type)}`,
        "EACCES",
      );
    }
    return;
  }
  if (STRUCTS.has(type)) checkArgStruct(env, proto, reg, arg, kptr);
  else if (OWN_OBJECTS.has(type)) {
    if (isXchg && reg === 2 && kptr !== undefined) checkKptrMatch(env, kptr, reg);
  } else if ((type & MEM_PERCPU) === 0 || (type & (MEM_ALLOC | PTR_MAYBE_NULL)) !== 0) {
    // Such as an object of the program's own that may be null: Linux has no case for it, and says so.
    env.fail("verifier/internal", "verifier bug: invalid PTR_TO_BTF_ID register for type match", "EFAULT");
  }
}

/** Kernel objects whose structure is compared with what the helper wants. The cases of `check_reg_type` @ v6.18 */
const STRUCTS: ReadonlySet<number> = new Set([
  OBJECT,
  OBJECT | PTR_TRUSTED,
  OBJECT | PTR_TRUSTED | PTR_MAYBE_NULL,
  OBJECT | MEM_RCU,
  OBJECT | PTR_MAYBE_NULL,
  OBJECT | PTR_MAYBE_NULL | MEM_RCU,
]);
/** … and objects that the program made. */
const OWN_OBJECTS: ReadonlySet<number> = new Set([OBJECT | MEM_ALLOC, OBJECT | MEM_ALLOC | MEM_PERCPU]);

/** A pointer to a kernel object leads to one of the structure the helper wants. */
function checkArgStruct(
  env: VerifierEnv,
  proto: HelperProto,
  reg: number,
  arg: ArgSpec,
  kptr: SpecialField | undefined,
): void {
  const row = env.reg(reg);
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const release = (arg.flags & OBJ_RELEASE) !== 0;
  if (mayBeNull(type) && ((arg.flags & PTR_MAYBE_NULL) === 0 || release)) {
    env.fail("verifier/argument-maybe-null", `Possibly NULL pointer passed to helper arg${reg}`, "EACCES");
  }
  if (proto.name === "kptr_xchg" && kptr !== undefined) {
    checkKptrMatch(env, kptr, reg);
    return;
  }
  const kernel = btfOf(env, BTF_KERNEL);
  const wanted =
    arg.struct === undefined ? undefined : env.btfIndexes[BTF_KERNEL]?.find(arg.struct, "struct");
  if (wanted === undefined) env.unsupported(`struct ${arg.struct ?? "?"} is not in the kernel's BTF`);
  const strict = release && proto.name !== "sk_release";
  const own = btfOf(env, i32[row + B]);
  if (structContains(own, i32[row + A], i32[row + OFF], kernel, wanted, strict, !isAllocated(type))) return;
  env.fail(
    "verifier/argument-struct",
    `R${reg} is of type ${typeName(own, i32[row + A])} but ${typeName(kernel, wanted)} is expected`,
    "EACCES",
  );
}

/** Types whose pointers may have been moved, by a fixed or a variable offset. */
const MOVABLE: ReadonlySet<number> = new Set([
  RegType.PTR_TO_STACK,
  RegType.PTR_TO_PACKET,
  RegType.PTR_TO_PACKET_META,
  RegType.PTR_TO_MAP_KEY,
  RegType.PTR_TO_MAP_VALUE,
  RegType.PTR_TO_MEM,
  RegType.PTR_TO_MEM | MEM_RDONLY,
  RegType.PTR_TO_MEM | MEM_RINGBUF,
  RegType.PTR_TO_BUF,
  RegType.PTR_TO_BUF | MEM_RDONLY,
  RegType.PTR_TO_ARENA,
  RegType.SCALAR_VALUE,
]);
/** … by a fixed one only: to a member. */
const FIXED_ONLY: ReadonlySet<number> = new Set([
  OBJECT,
  OBJECT | MEM_ALLOC,
  OBJECT | PTR_TRUSTED,
  OBJECT | MEM_RCU,
  OBJECT | MEM_ALLOC | NON_OWN_REF,
  OBJECT | MEM_ALLOC | NON_OWN_REF | MEM_RCU,
]);

/** The argument's offset is one its type allows. `check_func_arg_reg_off` @ v6.18 */
export function checkArgOffset(env: VerifierEnv, reg: number, release: boolean, isDynptr: boolean): void {
  const row = env.reg(reg);
  const type = env.mem.i32[row + TYPE];
  const off = env.mem.i32[row + OFF];
  if (release) {
    if (isDynptr && type === RegType.PTR_TO_STACK) return;
    if (off !== 0) {
      env.fail(
        "verifier/release-offset",
        `R${reg} must have zero offset when passed to release func or trusted arg to kfunc`,
      );
    }
    checkUnmodified(env, row, reg, off, false);
    return;
  }
  if (MOVABLE.has(type)) return;
  checkUnmodified(env, row, reg, off, FIXED_ONLY.has(type));
}
