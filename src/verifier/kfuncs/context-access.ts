// One algorithm: contexts that BTF describes, of tracing, LSM and struct_ops programs.
import type { Btf, BtfTypeOf } from "../../btf/index.ts";
import { isStruct, skipModifiers } from "../access/btf-walk.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import type { VerifierProgram } from "../input.ts";
import { type ContextLoad, MemAccess } from "../ports.ts";
import { BOOL_LSM_HOOKS } from "../prechecks-hooks.ts";
import { RegType, TypeFlag } from "../register-types.ts";
import { hasSuffix, kindText } from "./classify.ts";
import { isContextPointer, kernelContextId } from "./context-types.ts";
import { ITERATOR_ARGS } from "./iterator-contexts.ts";
import { mayBeErrorArg, mayBeNullArg } from "./tracepoint-arguments.ts";

/** `MAX_BPF_FUNC_ARGS`, of 8 bytes each. */
const MAX_CONTEXT_BYTES = 12 * 8;
/** `MAX_BPF_FUNC_REG_ARGS`: of a function without a usable prototype. */
const DEFAULT_ARGS = 5;
const TRACEPOINT_PREFIX = "btf_trace_";
const ITERATOR_PREFIX = "bpf_iter_";
/** Smallest error that an LSM hook may return. */
const MAX_ERRNO = 4095;

const SCALAR: ContextLoad = { type: RegType.SCALAR_VALUE };

/** LSM hooks that run while their objects are made or freed: nothing they get is trusted. @see `untrusted_lsm_hooks` @ v6.18 */
const UNTRUSTED_LSM: ReadonlySet<string> = new Set([
  "bpf_lsm_bpf_map_free",
  "bpf_lsm_bpf_prog_free",
  "bpf_lsm_file_alloc_security",
  "bpf_lsm_file_free_security",
  "bpf_lsm_sk_alloc_security",
  "bpf_lsm_sk_free_security",
  "bpf_lsm_task_free",
]);

/** struct_ops structures whose contexts follow the rules below; true: only where stub functions name their arguments. */
const STRUCT_OPS_CONTEXTS: Readonly<Record<string, boolean | undefined>> = {
  bpf_dummy_ops: false,
  tcp_congestion_ops: false,
  hid_bpf_ops: false,
  sched_ext_ops: true,
  Qdisc_ops: true,
};

/** What a program is attached to. */
interface Target {
  readonly btf: Btf;
  /** Undefined: a function whose prototype cannot be used. */
  readonly proto: BtfTypeOf<"func_proto"> | undefined;
  /** In messages. */
  readonly name: string;
  /** Name of the type in the kernel's BTF: function, `btf_trace_` typedef. */
  readonly fullName: string;
  /** struct_ops: the structure. */
  readonly struct?: string;
  /** The program that the function is of. */
  readonly program?: VerifierProgram;
}

/**
 * What `bytes` bytes at `off` of the context are; undefined: refused, with the reason printed.
 * @see kernel/bpf/btf.c `btf_ctx_access` @ v6.18
 */
export function contextAccess(
  env: VerifierEnv,
  off: number,
  bytes: number,
  access: MemAccess,
): ContextLoad | undefined {
  if (off < 0 || off >= MAX_CONTEXT_BYTES || access !== MemAccess.READ || off % bytes !== 0) return undefined;
  const target = targetOf(env);
  const { btf, proto, name } = target;
  if (off % 8 !== 0) return refuse(env, `func '${name}' offset ${off} is not multiple of 8`);
  // A tracepoint's first argument is `void *__data`: not part of the context.
  const skip = env.program.attachType === "BPF_TRACE_RAW_TP" ? 1 : 0;
  const index = argIndex(btf, proto, off);
  const count = proto === undefined ? DEFAULT_ARGS : proto.params.length - skip;
  if (index > count) return refuse(env, `func '${name}' doesn't have ${index + 1}-th argument`);
  if (index === count) return returnValue(env, target, index, bytes);
  if (proto === undefined) return SCALAR;
  return argument(env, target, index, index + skip, bytes);
}

function refuse(env: VerifierEnv, text: string): undefined {
  env.verbose(`${text}\n`);
  return undefined;
}

function targetOf(env: VerifierEnv): Target {
  const { program } = env;
  const btf = env.btfs[BTF_KERNEL];
  const id = program.attachBtfId ?? 0;
  if (program.target !== undefined) return programTarget(env, program.target, id);
  const type = btf?.types[id];
  if (btf === undefined || id === 0 || type === undefined) {
    env.unsupported("a context that needs the kernel's BTF and the hook");
  }
  if (program.type === "BPF_PROG_TYPE_STRUCT_OPS") return structOpsTarget(env, btf, id);
  const tracepoint = type.kind === "typedef" && type.name.startsWith(TRACEPOINT_PREFIX);
  const name = tracepoint ? type.name.slice(TRACEPOINT_PREFIX.length) : type.name;
  return { btf, proto: protoOf(btf, id), name, fullName: type.name };
}

/** A function of another program; one the verifier could not rely on has five numbers as arguments. */
function programTarget(env: VerifierEnv, target: VerifierProgram, id: number): Target {
  const { btf } = target;
  const type = btf?.types[id];
  if (btf === undefined || type === undefined) env.unsupported("a context that needs the target's BTF");
  const subprog = env.targetSubprogs?.[target.funcs.findIndex((func) => func.btfId === id)];
  const proto = subprog === undefined || subprog.unreliable ? undefined : protoOf(btf, id);
  return { btf, proto, name: type.name, fullName: type.name, program: target };
}

function structOpsTarget(env: VerifierEnv, btf: Btf, id: number): Target {
  const struct = btf.types[id];
  const member = struct.kind === "struct" ? struct.members[env.program.structOpsMember ?? -1] : undefined;
  if (member === undefined) env.unsupported("struct_ops program without its member");
  const stubs = Object.hasOwn(STRUCT_OPS_CONTEXTS, struct.name)
    ? STRUCT_OPS_CONTEXTS[struct.name]
    : undefined;
  if (stubs === undefined || (stubs && stubOf(env, btf, struct.name, member.name) === undefined)) {
    env.unsupported(`struct_ops ${struct.name}`);
  }
  const proto = protoOf(btf, member.type);
  return { btf, proto, name: member.name, fullName: member.name, struct: struct.name };
}

function protoOf(btf: Btf, id: number): BtfTypeOf<"func_proto"> | undefined {
  let type = btf.types[skipModifiers(btf, id)];
  if (type?.kind === "ptr" || type?.kind === "func") type = btf.types[skipModifiers(btf, type.type)];
  return type?.kind === "func_proto" ? type : undefined;
}

/** Number of the argument at the offset, structures taking as many places as they need. `get_ctx_arg_idx` */
function argIndex(btf: Btf, proto: BtfTypeOf<"func_proto"> | undefined, off: number): number {
  if (proto === undefined) return off / 8;
  let end = 0;
  for (const [index, param] of proto.params.entries()) {
    end += placeOf(btf, param.type);
    if (off < end) return index;
  }
  end += placeOf(btf, proto.type);
  return off < end ? proto.params.length : proto.params.length + 1;
}

function placeOf(btf: Btf, id: number): number {
  const type = btf.types[skipModifiers(btf, id)];
  if (type?.kind === "ptr") return 8;
  const size = type !== undefined && "size" in type ? type.size : 0;
  return Math.ceil(size / 8) * 8;
}

function isSmallInt(btf: Btf, id: number): boolean {
  const type = btf.types[id];
  return type?.kind === "int" && type.size <= 8;
}

function isScalar(btf: Btf, id: number): boolean {
  const type = btf.types[id];
  return isSmallInt(btf, id) || type?.kind === "enum" || type?.kind === "enum64" || isStruct(type);
}

/** Behind the arguments lies what the function returned, for programs that run after it. */
function returnValue(
  env: VerifierEnv,
  target: Target,
  index: number,
  bytes: number,
): ContextLoad | undefined {
  const { btf, proto, name, fullName } = target;
  const { attachType } = env.program;
  const afterwards =
    attachType === "BPF_LSM_MAC" || attachType === "BPF_LSM_CGROUP" || attachType === "BPF_TRACE_FEXIT";
  if (!afterwards && attachType !== "BPF_MODIFY_RETURN") {
    return refuse(env, `func '${name}' doesn't have ${index + 1}-th argument`);
  }
  if (proto === undefined) return afterwards ? SCALAR : undefined;
  const type = skipModifiers(btf, proto.type);
  if (attachType === "BPF_MODIFY_RETURN" && !isSmallInt(btf, type)) {
    return refuse(env, `ret type ${kindText(btf.types[type])} not allowed for fmod_ret`);
  }
  if (isScalar(btf, type)) {
    if (attachType !== "BPF_LSM_MAC") return SCALAR;
    return BOOL_LSM_HOOKS.has(fullName)
      ? { type: RegType.SCALAR_VALUE, min: 0, max: 1 }
      : { type: RegType.SCALAR_VALUE, min: -MAX_ERRNO, max: 0 };
  }
  const pointerType = btf.types[type];
  if (pointerType?.kind === "ptr") {
    if (bytes !== 8) return refuse(env, `func '${name}' size ${bytes} must be 8`);
    return isOpaque(btf, pointerType.type)
      ? SCALAR
      : pointer(env, target, index, undefined, pointerType.type);
  }
  return refuse(
    env,
    `func '${name}' arg${index} '' has type ${kindText(btf.types[type])}. Only pointer access is allowed`,
  );
}

function argument(
  env: VerifierEnv,
  target: Target,
  index: number,
  param: number,
  bytes: number,
): ContextLoad | undefined {
  const { btf, proto, name } = target;
  const at = proto?.params[param];
  if (at === undefined) return undefined;
  const id = skipModifiers(btf, at.type);
  const type = btf.types[id];
  if (isScalar(btf, id)) return SCALAR;
  if (type?.kind !== "ptr") {
    return refuse(
      env,
      `func '${name}' arg${index} '${type?.name ?? ""}' has type ${kindText(type)}. Only pointer access is allowed`,
    );
  }
  if (bytes !== 8) return refuse(env, `func '${name}' size ${bytes} must be 8`);
  const special = specialArg(env, target, param);
  if (special !== undefined && special.btfId === undefined) return special; // a buffer
  if (isOpaque(btf, type.type)) return SCALAR;
  if (special !== undefined) return special;
  return pointer(env, target, index, param, type.type);
}

/** Pointers to nothing or to integers are numbers to a program. `is_void_or_int_ptr` */
function isOpaque(btf: Btf, pointee: number): boolean {
  const id = skipModifiers(btf, pointee);
  return id === 0 || btf.types[id]?.kind === "int";
}

/** Arguments that the hook's owner types: of iterators and, by the names of stub functions, of struct_ops. */
function specialArg(env: VerifierEnv, target: Target, param: number): ContextLoad | undefined {
  const { program } = env;
  const index = env.btfIndexes[BTF_KERNEL];
  if (program.attachType === "BPF_TRACE_ITER" && program.type === "BPF_PROG_TYPE_TRACING") {
    const iterator = target.name.startsWith(ITERATOR_PREFIX) ? target.name.slice(ITERATOR_PREFIX.length) : "";
    if (!Object.hasOwn(ITERATOR_ARGS, iterator)) env.unsupported(`iterator ${iterator}`);
    const arg = ITERATOR_ARGS[iterator][param];
    if (arg === undefined) return undefined;
    if (arg.struct === undefined) return { type: arg.type };
    const btfId = index?.find(arg.struct, "struct");
    if (btfId === undefined) env.unsupported(`struct ${arg.struct} in the kernel's BTF`);
    return { type: arg.type, btf: BTF_KERNEL, btfId };
  }
  if (target.struct === undefined) return undefined;
  if (target.struct === "Qdisc_ops" && target.name === "enqueue" && param === 2) {
    const btfId = index?.find("bpf_sk_buff_ptr", "struct");
    if (btfId === undefined) env.unsupported("struct bpf_sk_buff_ptr in the kernel's BTF");
    return { type: RegType.PTR_TO_BTF_ID | TypeFlag.PTR_TRUSTED, btf: BTF_KERNEL, btfId };
  }
  const at = stubOf(env, target.btf, target.struct, target.name)?.params[param];
  if (at === undefined) return undefined;
  const refObjId = env.argumentRefs.get(param);
  const nullable = hasSuffix(at, "__nullable");
  if (!nullable && refObjId === undefined) return undefined;
  const type = target.btf.types[skipModifiers(target.btf, at.type)];
  if (type?.kind !== "ptr") return undefined;
  return {
    type: RegType.PTR_TO_BTF_ID | TypeFlag.PTR_TRUSTED | (nullable ? TypeFlag.PTR_MAYBE_NULL : 0),
    btf: BTF_KERNEL,
    btfId: skipModifiers(target.btf, type.type),
    ...(refObjId !== undefined && { refObjId }),
  };
}

/** Prototype of the function that stands in for a member: it names arguments as programs have to take them. */
function stubOf(
  env: VerifierEnv,
  btf: Btf,
  struct: string,
  member: string,
): BtfTypeOf<"func_proto"> | undefined {
  const stub = env.btfIndexes[BTF_KERNEL]?.find(`${struct}__${member}`, "func");
  return stub === undefined ? undefined : protoOf(btf, stub);
}

/** See {@link KfuncPort.referencedArguments}. `prepare_arg_info` @ v6.18 */
export function referencedArguments(env: VerifierEnv): readonly number[] {
  const btf = env.btfs[BTF_KERNEL];
  const { type, attachBtfId, structOpsMember } = env.program;
  const struct = type === "BPF_PROG_TYPE_STRUCT_OPS" ? btf?.types[attachBtfId ?? 0] : undefined;
  if (btf === undefined || struct?.kind !== "struct") return [];
  const params =
    stubOf(env, btf, struct.name, struct.members[structOpsMember ?? -1]?.name ?? "")?.params ?? [];
  return [...params.keys()].filter((n) => hasSuffix(params[n], "__ref"));
}

function pointer(
  env: VerifierEnv,
  target: Target,
  index: number,
  param: number | undefined,
  pointee: number,
): ContextLoad | undefined {
  const { btf, proto, name } = target;
  const tracepoint = env.program.attachType === "BPF_TRACE_RAW_TP";
  let flags = argsTrusted(env, target) ? TypeFlag.PTR_TRUSTED : 0;
  const at = param === undefined ? undefined : proto?.params[param];
  if (at !== undefined && hasSuffix(at, "__nullable")) flags |= TypeFlag.PTR_MAYBE_NULL;
  if (tracepoint && mayBeNullArg(name, index)) flags |= TypeFlag.PTR_MAYBE_NULL;
  if (target.program !== undefined) return programContext(env, target.program, btf, at?.type ?? 0, flags);
  const tag = btf.types[pointee];
  if (tag?.kind === "type_tag" && !tag.kindFlag) {
    if (tag.name === "user") flags |= TypeFlag.MEM_USER;
    if (tag.name === "percpu") flags |= TypeFlag.MEM_PERCPU;
  }
  let btfId = skipModifiers(btf, pointee);
  const struct = btf.types[btfId];
  if (!isStruct(struct))
    return refuse(env, `func '${name}' arg${index} type ${kindText(struct)} is not a struct`);
  env.verbose(`func '${name}' arg${index} has btf_id ${btfId} type ${kindText(struct)} '${struct.name}'\n`);
  if (tracepoint && mayBeErrorArg(name, index)) {
    env.verbose(`marking pointer arg${index} as scalar as it may encode error`);
    return SCALAR;
  }
  // Congestion control sees TCP sockets as what they are.
  if (target.struct === "tcp_congestion_ops" && struct.name === "sock") {
    btfId = env.btfIndexes[BTF_KERNEL]?.find("tcp_sock", "struct") ?? btfId;
  }
  return { type: RegType.PTR_TO_BTF_ID | flags, btf: BTF_KERNEL, btfId };
}

/** Pointers between functions of programs lead to the context, which the watching program sees as the kernel's own. */
function programContext(
  env: VerifierEnv,
  target: VerifierProgram,
  btf: Btf,
  pointer: number,
  flags: number,
): ContextLoad | undefined {
  const type = target.type === "BPF_PROG_TYPE_EXT" ? target.target?.type : target.type;
  if (type === undefined) env.unsupported("freplace without its target");
  if (!isContextPointer(btf, skipModifiers(btf, pointer), type)) return undefined;
  const btfId = kernelContextId(env, type);
  return btfId === 0 ? undefined : { type: RegType.PTR_TO_BTF_ID | flags, btf: BTF_KERNEL, btfId };
}

/** `prog_args_trusted` @ v6.18 */
function argsTrusted(env: VerifierEnv, target: Target): boolean {
  const { type, attachType } = env.program;
  if (type === "BPF_PROG_TYPE_TRACING")
    return attachType === "BPF_TRACE_RAW_TP" || attachType === "BPF_TRACE_ITER";
  if (type === "BPF_PROG_TYPE_LSM") return !UNTRUSTED_LSM.has(target.fullName);
  return type === "BPF_PROG_TYPE_STRUCT_OPS";
}
