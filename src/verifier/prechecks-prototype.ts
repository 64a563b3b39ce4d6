import type { AttachTypeName } from "../abi/index.ts";
import { type Btf, type BtfType, type BtfTypeOf, prototypeOf } from "../btf/index.ts";
import { isStruct, skipModifiers } from "./access/btf-walk.ts";
import { kindText } from "./kfuncs/classify.ts";
import type { Fail } from "./prechecks-fail.ts";

/** `MAX_BPF_FUNC_ARGS` */
const MAX_ARGS = 12;
/** A structure passed by value takes at most two registers. */
const MAX_ARG_BYTES = 16;
const RETURN_BYTES = 8;
const CODE = "verifier/bad-attach-target";

/**
 * A trampoline can pass on what the function `id` of `btf` (called `name` in messages) takes and returns.
 * @see kernel/bpf/btf.c `btf_distill_func_proto` @ v6.18
 */
export function checkTrampoline(
  btf: Btf,
  id: number,
  name: string,
  attachType: AttachTypeName | undefined,
  fail: Fail,
): void {
  const proto = prototypeOf(btf, id);
  if (proto === undefined) fail(CODE, `attach_btf_id ${id} is not a function`);
  const { params } = proto;
  if (params.length > MAX_ARGS) {
    fail(CODE, `The function ${name} has ${params.length} arguments. Too many.`);
  }
  const returned = sizeOf(btf, proto.type);
  const type = btf.types[skipModifiers(btf, proto.type)];
  if (returned === undefined || isStruct(type)) {
    fail(CODE, `The function ${name} return type ${kindText(type)} is unsupported.`);
  }
  params.forEach((param, index) => {
    if (param.type === 0 && index === params.length - 1) {
      fail(CODE, `The function ${name} with variable args is unsupported.`);
    }
    const bytes = sizeOf(btf, param.type);
    if (bytes === undefined || bytes > MAX_ARG_BYTES) {
      const text = kindText(btf.types[skipModifiers(btf, param.type)]);
      fail(CODE, `The function ${name} arg${index} type ${text} is unsupported.`);
    }
    if (bytes === 0) fail(CODE, `The function ${name} has malformed void argument.`);
  });
  const givesResult = attachType === "BPF_TRACE_FEXIT" || attachType === "BPF_MODIFY_RETURN";
  if (givesResult && returned > RETURN_BYTES) {
    const text = `Attach to function ${name} with a >8 byte return value is not supported for this attach type`;
    fail(CODE, text, "EOPNOTSUPP");
  }
}

/** Bytes that a value takes; 0: void, undefined: no value of this type can be passed. `__get_type_size` */
function sizeOf(btf: Btf, id: number): number | undefined {
  const type = btf.types[skipModifiers(btf, id)];
  if (type === undefined || type.kind === "void") return 0;
  if (type.kind === "ptr") return 8;
  return isSized(type) ? type.size : undefined;
}

function isSized(type: BtfType): type is BtfTypeOf<"int" | "enum" | "enum64" | "struct" | "union"> {
  return type.kind === "int" || type.kind === "enum" || type.kind === "enum64" || isStruct(type);
}
