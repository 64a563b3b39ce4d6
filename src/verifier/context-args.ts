// One algorithm: what the arguments of a function are, by its BTF and the tags on them.
import type { ProgramTypeName } from "../abi/index.ts";
import { type Btf, type BtfType, essentialName } from "../btf/index.ts";
import { isStruct, resolveSize, skipModifiers, typeName } from "./access/btf-walk.ts";
import { BTF_KERNEL, type VerifierEnv } from "./env.ts";
import { Rejection } from "./errors.ts";
import { firstTypedef, isContextPointer, programContextName } from "./kfuncs/context-types.ts";
import { TypeFlag } from "./register-types.ts";
import type { Subprog, SubprogArg } from "./state.ts";
import { isEnum } from "./subprograms-btf.ts";

/** `MAX_BPF_FUNC_REG_ARGS` */
const MAX_ARGS = 5;
const CODE = "verifier/bad-argument-type";

/**
 * Fills `subprog.args` from the function's BTF (number `index`, `btfId` its `func`), once. Of static functions anything may be
 * wrong without a message: the caller then takes the function as it is.
 * @throws Rejection for what the kernel cannot verify alone; with an empty message where it says nothing.
 * @see kernel/bpf/btf.c `btf_prepare_func_args` @ v6.18
 */
export function prepareFuncArgs(env: VerifierEnv, subprog: Subprog, index: number): void {
  if (subprog.args !== undefined) return;
  const func = env.program.funcs[index];
  const { btf } = env.program;
  if (func === undefined || btf === undefined) {
    env.fail("verifier/bad-function-type", "Verifier bug", "EFAULT");
  }
  const type = btf.types[func.btfId];
  const proto = type?.kind === "func" ? btf.types[type.type] : undefined;
  if (proto?.kind !== "func_proto") {
    env.fail("verifier/bad-function-type", `Invalid type of function ${func.name}()`, "EFAULT");
  }
  const reader = new ArgReader(env, btf, func.btfId, func.name, subprog.isGlobal);
  reader.checkResult(proto.type, proto.params.length);
  subprog.args = proto.params.map((param, arg) => reader.read(arg, param.type));
}

/** Tags of an argument: `arg:<tag>` declaration tags. @see `enum btf_arg_tag` */
const Tag = { ctx: 1, nonnull: 2, trusted: 4, untrusted: 8, nullable: 16, arena: 32 } as const;

class ArgReader {
  private readonly env: VerifierEnv;
  private readonly btf: Btf;
  private readonly func: number;
  private readonly name: string;
  private readonly isGlobal: boolean;
  private readonly type: ProgramTypeName;

  constructor(env: VerifierEnv, btf: Btf, func: number, name: string, isGlobal: boolean) {
    this.env = env;
    this.btf = btf;
    this.func = func;
    this.name = name;
    this.isGlobal = isGlobal;
    const { type, target } = env.program;
    this.type = type === "BPF_PROG_TYPE_EXT" && target !== undefined ? target.type : type;
  }

  checkResult(type: number, params: number): void {
    const code = "verifier/bad-function-type";
    if (params > MAX_ARGS) {
      if (!this.isGlobal) this.giveUp();
      const message = `Global function ${this.name}() with ${params} > ${MAX_ARGS} args. Buggy compiler.`;
      this.env.fail(code, message);
    }
    const result = this.btf.types[skipModifiers(this.btf, type)];
    if (result.kind === "int" || isEnum(result)) return;
    if (!this.isGlobal) this.giveUp();
    const message = `Global function ${this.name}() doesn't return scalar. Only those are supported.`;
    this.env.fail(code, message);
  }

  read(arg: number, id: number): SubprogArg {
    const tags = this.tagsOf(arg);
    const resolved = skipModifiers(this.btf, id);
    const type = this.btf.types[resolved];
    const pointer = type.kind === "ptr" ? this.pointer(arg, resolved, type.type, tags) : undefined;
    if (pointer !== undefined) return pointer;
    if (tags !== 0) this.env.fail(CODE, `arg#${arg} has pointer tag, but is not a pointer type`);
    if (type.kind === "int" || isEnum(type)) return argOf("anything");
    if (!this.isGlobal) this.giveUp();
    const message = `Arg#${arg} type ${kindText(type)} in ${this.name}() is not supported yet.`;
    return this.env.fail(CODE, message);
  }

  /** The tags of an argument, bits of {@link Tag}. */
  private tagsOf(arg: number): number {
    let tags = 0;
    for (const type of this.btf.types) {
      if (type.kind !== "decl_tag" || type.type !== this.func || type.componentIndex !== arg) continue;
      if (!type.name.startsWith("arg:")) continue;
      if (!this.isGlobal) {
        this.env.fail(CODE, `arg#${arg} type tag is not supported in static functions`, "EOPNOTSUPP");
      }
      const tag = type.name.slice(4);
      if (!isTag(tag)) {
        this.env.fail(CODE, `arg#${arg} has unsupported set of tags`, "EOPNOTSUPP");
      }
      tags |= Tag[tag];
    }
    return tags;
  }

  /** What a pointer is; undefined: nothing that a static function says of it is used. */
  private pointer(arg: number, pointer: number, target: number, tags: number): SubprogArg | undefined {
    const { btf, env } = this;
    const mixed = `arg#${arg} has invalid combination of tags`;
    if (tags & Tag.ctx || isContextPointer(btf, pointer, this.type)) {
      if (tags & ~Tag.ctx) env.fail(CODE, mixed);
      if (tags & Tag.ctx) this.checkContext(arg, target);
      return argOf("ctx");
    }
    if (this.isDynptr(target)) {
      if (tags !== 0) env.fail(CODE, mixed);
      return { ...argOf("dynptr"), readOnly: true, flags: TypeFlag.MEM_RDONLY };
    }
    if (tags & Tag.trusted) {
      if (tags & Tag.nonnull) env.fail(CODE, mixed);
      const btfId = this.kernelTypeOf(arg, target);
      const nullable = (tags & Tag.nullable) !== 0;
      return { ...argOf("btf"), btfId, nullable, flags: TypeFlag.PTR_TRUSTED };
    }
    if (tags & Tag.untrusted) return this.untrusted(arg, target, tags);
    if (tags & Tag.arena) {
      if (tags & ~Tag.arena) {
        env.fail(CODE, `arg#${arg} arena cannot be combined with any other tags`);
      }
      return argOf("arena");
    }
    if (!this.isGlobal) return undefined;
    if (tags & Tag.nullable) env.fail(CODE, mixed);
    return { ...argOf("mem"), size: this.sizeOf(arg, target), nullable: (tags & Tag.nonnull) === 0 };
  }

  private untrusted(arg: number, target: number, tags: number): SubprogArg {
    const { env, btf } = this;
    if (tags & ~Tag.untrusted) {
      env.fail(CODE, `arg#${arg} untrusted cannot be combined with any other tags`);
    }
    const flags = TypeFlag.PTR_UNTRUSTED;
    const type = btf.types[skipModifiers(btf, target)];
    if (type.kind === "void" || type.kind === "int" || isEnum(type)) {
      return { ...argOf("mem"), readOnly: true, flags: flags | TypeFlag.MEM_RDONLY };
    }
    const btfId = this.kernelTypeOf(arg, target);
    const kernel = env.btfs[BTF_KERNEL]?.types[btfId];
    if (!isStruct(kernel)) {
      const what = `${kindText(kernel)} '${kernel?.name ?? ""}'`;
      env.fail(CODE, `arg#${arg} has type ${what}, but only struct or primitive types are allowed`);
    }
    return { ...argOf("btf"), btfId, flags };
  }

  private sizeOf(arg: number, target: number): number {
    const id = skipModifiers(this.btf, target);
    const size = resolveSize(this.btf, id)?.size;
    if (size !== undefined) return size;
    const what = `${kindText(this.btf.types[id])} ${typeName(this.btf, id)}`;
    const message = `arg#${arg} reference type('${what}') size cannot be determined: -22`;
    return this.env.fail(CODE, message);
  }

  private isDynptr(target: number): boolean {
    const type = this.btf.types[skipModifiers(this.btf, target)];
    return type.name === "bpf_dynptr" && (isStruct(type) || (type.kind === "fwd" && !type.union));
  }

  /** The kernel's type of the same name and kind. @see `btf_get_ptr_to_btf_id` */
  private kernelTypeOf(arg: number, target: number): number {
    const { btf } = this;
    const env: VerifierEnv = this.env;
    const index = env.btfIndexes[BTF_KERNEL];
    if (index === undefined) env.unsupported("argument of a kernel type (needs the kernel's BTF)");
    const type = btf.types[skipModifiers(btf, target)];
    const reference = `arg#${arg} reference type('${kindText(type)} ${type.name}')`;
    if (type.name === "") env.fail(CODE, `${reference} candidate matching error: -22`);
    const found = index
      .flavours(essentialName(type.name))
      .filter((id) => index.btf.types[id].kind === type.kind);
    if (found.length === 0) env.fail(CODE, `${reference} has no matches`, "ENOENT");
    if (found.length > 1) env.fail(CODE, `${reference} is ambiguous`, "ESRCH");
    return found[0];
  }

  /** An argument tagged `ctx` has the context's type, or none. @see `btf_validate_prog_ctx_type` */
  private checkContext(arg: number, target: number): void {
    const { env, btf, type } = this;
    const mayBeTypedef = type === "BPF_PROG_TYPE_KPROBE" || type === "BPF_PROG_TYPE_PERF_EVENT";
    if (mayBeTypedef && firstTypedef(btf, target) === "bpf_user_pt_regs_t") return;
    const found = btf.types[skipModifiers(btf, target)];
    if (found.kind === "void") return;
    if (found.name === "") env.fail(CODE, `arg#${arg} type doesn't have a name`);
    if (mayBeContext(found, type, env.program.attachType)) return;
    const expected = programContextName(type);
    if (expected === undefined) env.fail(CODE, `arg#${arg} should be void pointer`);
    if (!isStruct(found) || found.name !== expected) {
      env.fail(CODE, `arg#${arg} should be \`struct ${expected} *\``);
    }
  }

  /** The kernel does not say what is wrong, since it does not matter. */
  private giveUp(): never {
    throw new Rejection(CODE, "", "EINVAL");
  }
}

function isTag(text: string): text is keyof typeof Tag {
  return Object.hasOwn(Tag, text);
}

function argOf(kind: SubprogArg["kind"]): SubprogArg {
  return { kind, nullable: false, readOnly: false, size: 0, btfId: 0, flags: 0 };
}

/** Kinds as the kernel prints them: `STRUCT`, `FUNC_PROTO`; `UNKNOWN` for void. */
function kindText(type: BtfType | undefined): string {
  return type === undefined || type.kind === "void" ? "UNKNOWN" : type.kind.toUpperCase();
}

/** Types besides the context structure that an argument tagged `ctx` may point to. */
function mayBeContext(found: BtfType, type: ProgramTypeName, attachType: string | undefined): boolean {
  const isWord = found.kind === "int" && found.size === 8;
  const struct = isStruct(found);
  switch (type) {
    case "BPF_PROG_TYPE_KPROBE":
    case "BPF_PROG_TYPE_PERF_EVENT":
      return struct && found.name === "pt_regs"; // of x86-64
    case "BPF_PROG_TYPE_RAW_TRACEPOINT":
    case "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE":
    case "BPF_PROG_TYPE_LSM":
    case "BPF_PROG_TYPE_STRUCT_OPS":
      return isWord;
    case "BPF_PROG_TYPE_TRACING":
      if (attachType === "BPF_TRACE_RAW_TP")
        return isWord || (struct && found.name === "bpf_raw_tracepoint_args");
      if (attachType === "BPF_TRACE_ITER") return struct && found.name.startsWith("bpf_iter__");
      return isWord;
    case "BPF_PROG_TYPE_TRACEPOINT":
    case "BPF_PROG_TYPE_SYSCALL":
    case "BPF_PROG_TYPE_EXT":
      return true;
    default:
      return false;
  }
}
