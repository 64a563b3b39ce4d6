// One algorithm: a program attached to a function of another program.
import { type Btf, type BtfType, type BtfTypeOf, prototypeOf } from "../btf/index.ts";
import { isStruct, skipModifiers } from "./access/btf-walk.ts";
import type { VerifierEnv } from "./env.ts";
import { kindText } from "./kfuncs/classify.ts";
import { type Fail, failOf } from "./prechecks-fail.ts";
import { checkTrampoline } from "./prechecks-prototype.ts";

const CODE = "verifier/bad-attach-target";

/**
 * Extensions (freplace) replace a global function of the target; fentry and fexit programs watch one.
 * @see kernel/bpf/verifier.c `bpf_check_attach_target` @ v6.18
 */
export function checkProgramTarget(env: VerifierEnv): void {
  const { program, targetSubprogs } = env;
  const fail: Fail = failOf(env);
  const { target, attachBtfId = 0, attachType } = program;
  if (target === undefined) env.unsupported("program attached to another program, which was not given");
  if (targetSubprogs === undefined) env.unsupported("target program that is not accepted itself");
  const extends_ = program.type === "BPF_PROG_TYPE_EXT";
  if (attachBtfId === 0) {
    if (program.attachTo !== undefined) fail(CODE, `Subprog ${program.attachTo} doesn't exist`);
    fail(CODE, "Tracing programs must provide btf_id");
  }
  const { btf } = target;
  if (btf === undefined) {
    fail(CODE, "FENTRY/FEXIT program can only be attached to another program annotated with BTF");
  }
  const type = btf.types[attachBtfId];
  if (type === undefined) fail(CODE, `attach_btf_id ${attachBtfId} is invalid`);
  const { name } = type;
  if (name === "") fail(CODE, `attach_btf_id ${attachBtfId} doesn't have a name`);
  const subprog = targetSubprogs[target.funcs.findIndex((func) => func.btfId === attachBtfId)];
  if (subprog === undefined) fail(CODE, `Subprog ${name} doesn't exist`);
  if (subprog.isExceptionCallback) {
    fail(CODE, `${extends_ ? "Extension" : "FENTRY/FEXIT"} programs cannot attach to exception callback`);
  }
  if (extends_) checkEffects(env, subprog, fail);
  checkNesting(env, fail);
  if (!extends_ && attachType === "BPF_TRACE_RAW_TP") {
    fail(CODE, "Only FENTRY/FEXIT progs are attachable to another BPF prog");
  }
  if (type.kind !== "func") fail(CODE, `attach_btf_id ${attachBtfId} is not a function`);
  if (extends_) checkSameType(env, btf, type, fail);
  // What the verifier could not rely on has five numbers as arguments.
  if (!subprog.unreliable) checkTrampoline(btf, attachBtfId, name, attachType, fail);
  if (program.flags.sleepable === true) fail("verifier/not-sleepable", `${name} is not sleepable`);
  if (attachType === "BPF_MODIFY_RETURN") fail(CODE, "can't modify return codes of BPF programs");
}

/** The caller of a replaced function relies on what the original does not do. */
function checkEffects(
  env: VerifierEnv,
  original: {
    readonly unreliable: boolean;
    readonly changesPacketData: boolean;
    readonly mightSleep: boolean;
  },
  fail: Fail,
): void {
  if (original.unreliable) fail(CODE, "Cannot replace static functions");
  const [main] = env.subprogs;
  if (main.changesPacketData && !original.changesPacketData) {
    fail(CODE, "Extension program changes packet data, while original does not");
  }
  if (main.mightSleep && !original.mightSleep) {
    fail(CODE, "Extension program may sleep, while original does not");
  }
}

/** Calls from program to program must not form chains without end. */
function checkNesting({ program }: VerifierEnv, fail: Fail): void {
  const { target } = program;
  if (target === undefined) return;
  const TRACING = "BPF_PROG_TYPE_TRACING";
  if (program.type === TRACING) {
    if (target.type === TRACING && target.target?.type === TRACING) {
      fail(CODE, "Cannot nest tracing program attach more than once");
    }
    return;
  }
  if (target.type === program.type) fail(CODE, "Cannot recursively attach");
  const watches = target.attachType === "BPF_TRACE_FENTRY" || target.attachType === "BPF_TRACE_FEXIT";
  if (target.type === TRACING && watches) fail(CODE, "Cannot extend fentry/fexit");
}

type Func = BtfTypeOf<"func">;

/** @see kernel/bpf/btf.c `btf_check_type_match` @ v6.18 */
function checkSameType(env: VerifierEnv, targetBtf: Btf, original: Func, fail: Fail): void {
  const { btf, funcs } = env.program;
  const [main] = funcs;
  const own = main === undefined ? undefined : btf?.types[main.btfId];
  if (btf === undefined || main === undefined) fail(CODE, "Program extension requires BTF");
  if (own?.kind !== "func") fail(CODE, "", "EFAULT");
  for (const func of [own, original]) {
    if (func.linkage !== "global") fail(CODE, `${func.name}() is not a global function`);
  }
  const a = new Signature(btf, own);
  const b = new Signature(targetBtf, original);
  if (a.params.length !== b.params.length) {
    const text = `${a.name}() has ${a.params.length} args while ${b.name}() has ${b.params.length} args`;
    fail(CODE, text);
  }
  if (shapeOf(a.result) !== shapeOf(b.result)) {
    const text = `Return type ${kindText(a.result)} of ${a.name}() doesn't match type ${kindText(b.result)} of ${b.name}()`;
    fail(CODE, text);
  }
  for (let index = 0; index < a.params.length; index++) checkSameArgument(a, b, index, fail);
}

function checkSameArgument(a: Signature, b: Signature, index: number, fail: Fail): void {
  const mine = a.params[index];
  const theirs = b.params[index];
  if (shapeOf(mine) !== shapeOf(theirs)) {
    const text = `arg${index} in ${a.name}() is ${kindText(mine)} while ${b.name}() has ${kindText(theirs)}`;
    fail(CODE, text);
  }
  if ("size" in mine && "size" in theirs && mine.size !== theirs.size) {
    const text = `arg${index} in ${a.name}() has size ${mine.size} while ${b.name}() has ${theirs.size}`;
    fail(CODE, text);
  }
  if (mine.kind === "int" || mine.kind === "enum" || mine.kind === "enum64") return;
  if (mine.kind !== "ptr") fail(CODE, `arg${index} in ${a.name}() has unrecognized type`);
  const pointees = [a.pointee(mine), b.pointee(theirs)];
  pointees.forEach((type, n) => {
    const { name } = n === 0 ? a : b;
    if (!isStruct(type)) fail(CODE, `arg${index} in ${name}() is not a pointer to context`);
  });
  const [left, right] = pointees;
  if (left.name === right.name) return;
  const text = `arg${index} ${a.name}(struct ${left.name} *) doesn't match ${b.name}(struct ${right.name} *)`;
  fail(CODE, text);
}

/** A function's types behind their modifiers. */
class Signature {
  readonly name: string;
  readonly result: BtfType;
  readonly params: readonly BtfType[];
  private readonly btf: Btf;

  constructor(btf: Btf, func: Func) {
    const proto = prototypeOf(btf, func.type);
    this.btf = btf;
    this.name = func.name;
    this.result = this.plain(proto?.type ?? 0);
    this.params = proto?.params.map((param) => this.plain(param.type)) ?? [];
  }

  pointee(type: BtfType): BtfType {
    return this.plain(type.kind === "ptr" ? type.type : 0);
  }

  private plain(id: number): BtfType {
    return this.btf.types[skipModifiers(this.btf, id)];
  }
}

/** What the kernel compares of two types: kind, number of members, kind flag (`btf_type.info`). */
function shapeOf(type: BtfType): string {
  if (isStruct(type)) return `${type.kind} ${type.members.length} ${type.kindFlag}`;
  if (type.kind === "enum" || type.kind === "enum64") {
    return `${type.kind} ${type.values.length} ${type.signed}`;
  }
  return type.kind;
}
