import { Class, CODE_MASK, classOf, JMP_OPS, JmpCode, type JmpOp, usesSourceRegister } from "../isa/index.ts";
import type { PlainOpcode } from "../wasm/index.ts";
import type { Emitter } from "./emitter.ts";

/** wasm's comparison for each of BPF's; `jset` is made of two instructions. */
const COMPARISONS: Readonly<Record<JmpOp, string | undefined>> = {
  jeq: "eq",
  jne: "ne",
  jgt: "gt_u",
  jge: "ge_u",
  jlt: "lt_u",
  jle: "le_u",
  jsgt: "gt_s",
  jsge: "ge_s",
  jslt: "lt_s",
  jsle: "le_s",
  jset: undefined,
};
const BY_CODE: ReadonlyMap<number, string | undefined> = new Map(
  Object.entries(JMP_OPS).map(([name, { code }]) => [code, COMPARISONS[name as JmpOp]]),
);

/** Pushes an i32: not zero when the conditional jump at `slot` is taken. */
export function lowerCondition(e: Emitter, slot: number): void {
  const { insns, f } = e;
  const opcode = insns.opcode[slot];
  if ((opcode & CODE_MASK) === JmpCode.JCOND) {
    lowerMayGoto(e);
    return;
  }
  const wide = classOf(opcode) === Class.JMP;
  const type = wide ? "i64" : "i32";
  const comparison = BY_CODE.get(opcode & CODE_MASK);
  const imm = insns.imm[slot];
  const parts = usesSourceRegister(opcode) ? undefined : e.sums.parts(insns.dst[slot]);
  if (parts !== undefined && (comparison === "eq" || comparison === "ne")) {
    // base + number = immediate: whichever the width, numbers wrap.
    f.localGet(parts.local);
    if (wide) f.i64Const(imm - parts.add);
    else f.op("i32.wrap_i64").i32Const((imm - parts.add) | 0);
    f.op(`${type}.${comparison}`);
    return;
  }
  if (wide) e.get(insns.dst[slot]);
  else e.get32(insns.dst[slot]);
  if (usesSourceRegister(opcode)) {
    if (wide) e.get(insns.src[slot]);
    else e.get32(insns.src[slot]);
  } else {
    if (imm === 0 && comparison === "eq") {
      f.op(`${type}.eqz`);
      return;
    }
    if (wide) f.i64Const(imm);
    else f.i32Const(imm);
  }
  if (comparison !== undefined) {
    f.op(`${type}.${comparison}` as PlainOpcode); // all of them exist for both widths
    return;
  }
  f.op(`${type}.and`);
  if (wide) f.i64Const(0).op("i64.ne");
}

/** Falls through until the function's count is used up. */
function lowerMayGoto(e: Emitter): void {
  const left = e.temp("i32", "may_goto");
  e.f.localGet(left).i32Const(1).op("i32.sub").localTee(left).i32Const(0).op("i32.lt_s");
}
