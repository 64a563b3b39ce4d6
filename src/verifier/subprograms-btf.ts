import type { Btf, BtfType } from "../btf/index.ts";
import type { InsnTable } from "../isa/index.ts";
import type { FuncInfo, LineInfo } from "../object/index.ts";
import { skipModifiers } from "./access/btf-walk.ts";
import type { Fail } from "./prechecks-fail.ts";
import type { Subprog } from "./state.ts";

/**
 * The order and types of `func_info` records, looked at before the functions are found.
 * @see kernel/bpf/verifier.c `check_btf_func_early` @ v6.18
 */
export function checkFuncInfo(funcs: readonly FuncInfo[], btf: Btf | undefined, fail: Fail): void {
  const code = "verifier/bad-func-info";
  if (funcs.length > 0 && btf === undefined) fail(code, "func_info without BTF");
  for (let index = 0; index < funcs.length; index++) {
    const { insn, btfId } = funcs[index];
    const before = index === 0 ? -1 : funcs[index - 1].insn;
    if (index === 0 && insn !== 0) {
      fail(code, `nonzero insn_off ${insn} for the first func info record`);
    }
    if (insn <= before) {
      fail(code, `same or smaller insn offset (${insn}) than previous func info record (${before})`);
    }
    const type = btf?.types[btfId];
    if (type?.kind !== "func") fail(code, `invalid type id ${btfId} in func info`);
    if (btf?.types[type.type]?.kind !== "func_proto") fail(code, `invalid type id ${btfId} in func info`);
  }
}

/**
 * `func_info` and the functions found agree; tail calls and `LD_ABS` stand only in functions that return a number, in
 * programs without BTF only in the entry.
 * @see kernel/bpf/verifier.c `check_btf_func`, `check_abnormal_return` @ v6.18
 */
export function checkSubprogramTypes(
  subprogs: readonly Subprog[],
  funcs: readonly FuncInfo[],
  btf: Btf | undefined,
  fail: Fail,
): void {
  if (funcs.length === 0 || btf === undefined) {
    for (const { start, hasLdAbs, hasTailCall } of subprogs.slice(1)) {
      const code = "verifier/needs-int-function";
      if (hasLdAbs) fail(code, "LD_ABS is not allowed in subprogs without BTF", "EINVAL", start);
      if (hasTailCall) fail(code, "tail_call is not allowed in subprogs without BTF", "EINVAL", start);
    }
    return;
  }
  if (funcs.length !== subprogs.length) {
    fail("verifier/bad-func-info", "number of funcs in func_info doesn't match number of subprogs");
  }
  for (let index = 0; index < subprogs.length; index++) {
    const { start, hasLdAbs, hasTailCall } = subprogs[index];
    if (start !== funcs[index].insn) {
      const message = "func_info BTF section doesn't match subprog layout in BPF program";
      fail("verifier/bad-func-info", message, "EINVAL", start);
    }
    if (index === 0 || (!hasLdAbs && !hasTailCall) || returnsNumber(btf, funcs[index].btfId)) continue;
    const what = hasLdAbs ? "LD_ABS" : "tail_call";
    const message = `${what} is only allowed in functions that return 'int'.`;
    fail("verifier/needs-int-function", message, "EINVAL", start);
  }
}

/** An integer of at most 8 bytes or an enumeration. */
function returnsNumber(btf: Btf, func: number): boolean {
  const type = btf.types[func];
  const proto = type?.kind === "func" ? btf.types[type.type] : undefined;
  if (proto?.kind !== "func_proto") return false;
  const result = btf.types[skipModifiers(btf, proto.type)];
  return result !== undefined && (result.kind === "int" ? result.size <= 8 : isEnum(result));
}

/** An enumeration of 4 or 8 bytes. */
export function isEnum(type: BtfType): boolean {
  return type.kind === "enum" || type.kind === "enum64";
}

/**
 * `line_info` records rise, lie on instructions, and begin at each function.
 * @see kernel/bpf/verifier.c `check_btf_line` @ v6.18
 */
export function checkLineInfo(
  lines: readonly LineInfo[],
  insns: InsnTable,
  subprogs: readonly Subprog[],
  fail: Fail,
): void {
  if (lines.length === 0) return;
  const code = "verifier/bad-line-info";
  let next = 0;
  for (let index = 0; index < lines.length; index++) {
    const { insn } = lines[index];
    const before = index === 0 ? 0 : lines[index - 1].insn;
    if ((index > 0 && insn <= before) || insn >= insns.length) {
      const found = `(prev_offset:${before} prog->len:${insns.length})`;
      fail(code, `Invalid line_info[${index}].insn_off:${insn} ${found}`);
    }
    if (insns.opcode[insn] === 0) fail(code, `Invalid insn code at line_info[${index}].insn_off`);
    if (next === subprogs.length) continue;
    if (insn === subprogs[next].start) next++;
    else if (insn > subprogs[next].start) fail(code, `missing bpf_line_info for func#${next}`);
  }
  if (next === subprogs.length) return;
  const missing = subprogs.length - next;
  fail(code, `missing bpf_line_info for ${missing} funcs starting from func#${next}`);
}
