import type { Btf, BtfType } from "../../btf/index.ts";
import { isStruct, skipModifiers, typeName } from "../access/btf-walk.ts";
import { programTypeOf } from "../access/program-type.ts";
import { STRUCT_OF_TYPE } from "../access/trust.ts";
import type { VerifierEnv } from "../env.ts";
import { TYPE } from "../layout.ts";
import { baseType, RegType } from "../register-types.ts";
import { isNull } from "../regs.ts";
import type { CallMeta } from "./call-meta.ts";
import { isContextPointer } from "./context-types.ts";
import { KF } from "./kfunc.ts";

/** What a pointer argument of a kernel function stands for. `enum kfunc_ptr_arg_type` @ v6.18 */
export type PointerKind =
  | "ctx"
  | "alloc-object"
  | "refcounted-object"
  | "dynptr"
  | "iterator"
  | "list-head"
  | "list-node"
  | "tree-root"
  | "tree-node"
  | "btf"
  | "memory"
  | "memory-size"
  | "callback"
  | "null"
  | "const-string"
  | "map"
  | "workqueue"
  | "task-work"
  | "irq-flag"
  | "res-spin-lock";

/** A parameter of a kernel function. */
export interface Param {
  readonly name: string;
  readonly type: number;
}

/** Arguments that are told by the structure they point to. */
const BY_STRUCT: Readonly<Record<string, PointerKind>> = {
  bpf_dynptr: "dynptr",
  bpf_list_head: "list-head",
  bpf_list_node: "list-node",
  bpf_rb_root: "tree-root",
  bpf_rb_node: "tree-node",
  bpf_wq: "workqueue",
  bpf_task_work: "task-work",
  bpf_res_spin_lock: "res-spin-lock",
};

/** Those of {@link BY_STRUCT} that the kernel looks for before `__str` and `__map`, and those after. */
const EARLY: ReadonlySet<PointerKind> = new Set(["list-head", "list-node", "tree-root", "tree-node"]);

/** The parameter's name ends in `suffix`, behind at least one letter of its own. `btf_param_match_suffix` */
export function hasSuffix(param: Param, suffix: string): boolean {
  return param.name.length >= suffix.length && param.name.endsWith(suffix);
}

/** Integers and enumerations. `btf_type_is_scalar` */
export function isScalarType(type: BtfType | undefined): boolean {
  return type?.kind === "int" || type?.kind === "enum" || type?.kind === "enum64";
}

/** The kind of a BTF type as the kernel writes it: `STRUCT`, `FUNC_PROTO`. `btf_type_str` */
export function kindText(type: BtfType | undefined): string {
  const kind = type?.kind ?? "void";
  return kind === "void" ? "UNKNOWN" : kind.toUpperCase();
}

/** The size of memory that the argument before points to: `__sz` or, constant, `__szk`. */
export function isSizeParam(env: VerifierEnv, btf: Btf, param: Param | undefined, n: number): boolean {
  if (param === undefined) return false;
  if (!isScalarType(btf.types[skipModifiers(btf, param.type)])) return false;
  if (env.mem.i32[env.reg(n) + TYPE] !== RegType.SCALAR_VALUE) return false;
  return hasSuffix(param, "__sz") || hasSuffix(param, "__szk");
}

/** What argument `index`, a pointer, is by its BTF and by the register passed. `get_kfunc_ptr_arg_type` @ v6.18 */
export function classifyPointer(env: VerifierEnv, meta: CallMeta, index: number): PointerKind {
  const { kfunc } = meta;
  const { btf, proto, name } = kfunc;
  const param = proto.params[index];
  const row = env.reg(index + 1);
  if (name === "bpf_cast_to_kern_ctx") return "ctx";
  const pointer = skipModifiers(btf, param.type);
  if (isContextPointer(btf, pointer, programTypeOf(env))) return "ctx";
  if (hasSuffix(param, "__nullable") && isNull(env, row)) return "null";
  if (hasSuffix(param, "__alloc")) return "alloc-object";
  if (hasSuffix(param, "__refcounted_kptr")) return "refcounted-object";
  const target = targetOf(btf, pointer);
  const targetType = btf.types[target];
  const byStruct = targetType?.kind === "struct" ? BY_STRUCT[targetType.name] : undefined;
  if (byStruct === "dynptr") return "dynptr";
  if (isIteratorParam(meta, index)) return "iterator";
  if (byStruct !== undefined && EARLY.has(byStruct)) return byStruct;
  if (hasSuffix(param, "__str")) return "const-string";
  if (hasSuffix(param, "__map")) return "map";
  if (byStruct === "workqueue" || byStruct === "task-work") return byStruct;
  if (hasSuffix(param, "__irq_flag")) return "irq-flag";
  if (byStruct !== undefined) return byStruct;
  const base = baseType(env.mem.i32[row + TYPE]);
  if (base === RegType.PTR_TO_BTF_ID || STRUCT_OF_TYPE[base] !== undefined) {
    if (isStruct(targetType)) return "btf";
    const text = `kernel function ${name} args#${index} pointer type ${kindText(targetType)} ${typeName(btf, target)} is not supported`;
    env.fail("verifier/kfunc-arg-type", text);
  }
  if (pointsToFunction(btf, pointer)) return "callback";
  const sized = isSizeParam(env, btf, proto.params[index + 1], index + 2);
  if (!isScalarType(targetType) && !isScalarStruct(env, btf, target, 0) && !(sized && target === 0)) {
    env.fail(
      "verifier/kfunc-arg-type",
      `arg#${index} pointer type ${kindText(targetType)} ${typeName(btf, target)} must point to ${sized ? "void, " : ""}scalar, or struct with scalar`,
    );
  }
  return sized ? "memory-size" : "memory";
}

/** Id behind the modifiers of what a pointer type points to; 0: void. */
export function targetOf(btf: Btf, pointer: number): number {
  const type = btf.types[pointer];
  return type?.kind === "ptr" ? skipModifiers(btf, type.type) : 0;
}

/** Any function of an iterator takes it first; others mark it `__iter`. `is_kfunc_arg_iter` */
function isIteratorParam(meta: CallMeta, index: number): boolean {
  if (meta.has(KF.ITER_NEW | KF.ITER_NEXT | KF.ITER_DESTROY)) return index === 0;
  return hasSuffix(meta.kfunc.proto.params[index], "__iter");
}

function pointsToFunction(btf: Btf, pointer: number): boolean {
  return btf.types[targetOf(btf, pointer)]?.kind === "func_proto";
}

/** A structure of scalars, arrays of them and such structures, four deep. `__btf_type_is_scalar_struct` */
export function isScalarStruct(env: VerifierEnv, btf: Btf, id: number, depth: number): boolean {
  const type = btf.types[id];
  if (!isStruct(type)) return false;
  for (const member of type.members) {
    const memberId = skipModifiers(btf, member.type);
    const inner = btf.types[memberId];
    if (isStruct(inner)) {
      if (depth >= 3) {
        env.verbose("max struct nesting depth exceeded\n");
        return false;
      }
      if (!isScalarStruct(env, btf, memberId, depth + 1)) return false;
    } else if (inner?.kind === "array") {
      if (inner.length === 0 || !isScalarType(btf.types[skipModifiers(btf, inner.type)])) return false;
    } else if (!isScalarType(inner)) return false;
  }
  return true;
}
