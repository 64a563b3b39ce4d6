import type { Btf } from "../btf/index.ts";
import {
  Class,
  CODE_MASK,
  classOf,
  functionTarget,
  type InsnTable,
  isFunctionLoad,
  isHelperCall,
  isLocalCall,
  JmpCode,
  jumpTarget,
  MODE_MASK,
  Mode,
  Opcode,
} from "../isa/index.ts";
import type { FuncInfo } from "../object/index.ts";
import { isKfuncCall } from "./prechecks-calls.ts";
import type { Fail } from "./prechecks-fail.ts";
import type { Subprog } from "./state.ts";

/** `BPF_MAX_SUBPROGS` @ v6.18 */
const MAX_SUBPROGS = 256;
const TAIL_CALL = 12;

/** What {@link findSubprograms} needs to know. */
export interface SubprogramInput {
  readonly insns: InsnTable;
  /** `func_info`; empty: none. */
  readonly funcs: readonly FuncInfo[];
  readonly btf: Btf | undefined;
  /** Without CAP_BPF a program has one function and no kernel functions. */
  readonly callsAllowed: boolean;
  /** Judges the kernel function called at a slot. */
  readonly checkKfunc: (slot: number) => void;
  readonly fail: Fail;
}

/**
 * The functions of a program in the order of their slots: the entry, targets of local calls and of function addresses, and
 * the exception callback named by the entry's `exception_callback:` declaration tag.
 * @throws by `fail`: calls to nowhere, calls without privilege, a wrong exception callback.
 * @see kernel/bpf/verifier.c `add_subprog_and_kfunc` @ v6.18
 */
export function findSubprograms(input: SubprogramInput): Subprog[] {
  const { insns } = input;
  const fail: Fail = input.fail;
  const starts = new Set<number>([0]);
  const add = (slot: number, from: number | undefined): void => {
    if (slot < 0 || slot >= insns.length) {
      fail("verifier/bad-call", "call to invalid destination", "EINVAL", from);
    }
    if (!starts.has(slot) && starts.size >= MAX_SUBPROGS) {
      fail("verifier/too-many-functions", "too many subprograms", "E2BIG", from);
    }
    starts.add(slot);
  };
  for (let slot = 0; slot < insns.length; slot++) {
    const local = isFunctionLoad(insns, slot) || isLocalCall(insns, slot);
    if (!local && !isKfuncCall(insns, slot)) continue;
    if (!input.callsAllowed) {
      const message =
        "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
      fail("verifier/missing-capability", message, "EPERM", slot);
    }
    if (local) add(functionTarget(insns, slot), slot);
    else input.checkKfunc(slot);
  }
  const exceptionCallback = findExceptionCallback(input);
  if (exceptionCallback !== 0) add(exceptionCallback, undefined);
  const sorted = [...starts].sort((a, b) => a - b);
  return sorted.map((start, index) => {
    const func = input.funcs[index]?.insn === start ? input.funcs[index] : undefined;
    const isExceptionCallback = start !== 0 && start === exceptionCallback;
    return newSubprog(start, sorted[index + 1] ?? insns.length, func, isExceptionCallback);
  });
}

/** A function about which nothing but its place is known. */
function newSubprog(
  start: number,
  end: number,
  func: FuncInfo | undefined,
  isExceptionCallback: boolean,
): Subprog {
  return {
    start,
    end,
    name: func?.name ?? "",
    isGlobal: func?.linkage === "global",
    stackDepth: 0,
    hasTailCall: false,
    hasLdAbs: false,
    tailCallReachable: false,
    // An exception callback counts as an asynchronous one (`mark_subprog_exc_cb`).
    isCallback: isExceptionCallback,
    isAsyncCallback: isExceptionCallback,
    isExceptionCallback,
    changesPacketData: false,
    mightSleep: false,
    called: false,
    verified: false,
    unreliable: false,
    fastcallStackOff: 0,
    keepFastcallStack: false,
    args: undefined,
  };
}

/** Number of the function that the slot lies in. */
export function subprogIndexOf(subprogs: readonly Subprog[], slot: number): number {
  let low = 0;
  let high = subprogs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (subprogs[middle].start <= slot) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The function that the slot lies in. */
export function subprogOf(subprogs: readonly Subprog[], slot: number): Subprog {
  return subprogs[subprogIndexOf(subprogs, slot)];
}

/**
 * Jumps stay in their function, no function runs into the next; notes tail calls and `LD_ABS`. Second slots of `lddw` are
 * looked at too, as the kernel does.
 * @see kernel/bpf/verifier.c `check_subprogs` @ v6.18
 */
export function checkSubprograms(insns: InsnTable, subprogs: readonly Subprog[], fail: Fail): void {
  for (const subprog of subprogs) {
    for (let slot = subprog.start; slot < subprog.end; slot++) checkPlace(insns, subprog, slot, fail);
  }
}

function checkPlace(insns: InsnTable, subprog: Subprog, slot: number, fail: Fail): void {
  const opcode = insns.opcode[slot];
  const klass = classOf(opcode);
  if (klass === Class.JMP || klass === Class.JMP32) {
    const code = opcode & CODE_MASK;
    if (code === JmpCode.CALL) {
      if (isHelperCall(insns, slot) && insns.imm[slot] === TAIL_CALL) {
        subprog.hasTailCall = true;
        subprog.tailCallReachable = true;
      }
    } else if (code !== JmpCode.EXIT) {
      const target = jumpTarget(insns, slot);
      if (target < subprog.start || target >= subprog.end) {
        fail("verifier/bad-jump", `jump out of range from insn ${slot} to ${target}`, "EINVAL", slot);
      }
    }
  } else if (klass === Class.LD) {
    const mode = opcode & MODE_MASK;
    if (mode === Mode.ABS || mode === Mode.IND) subprog.hasLdAbs = true;
  }
  const isLast = slot === subprog.end - 1;
  if (isLast && opcode !== Opcode.EXIT && opcode !== Opcode.JA && opcode !== Opcode.JA32) {
    fail("verifier/no-exit", "last insn is not an exit or jmp", "EINVAL", slot);
  }
}

const EXCEPTION_CALLBACK_TAG = "exception_callback:";

/** Slot of the exception callback; 0: none. @see `bpf_find_exception_callback_insn_off` @ v6.18 */
function findExceptionCallback(input: SubprogramInput): number {
  const { funcs, btf } = input;
  const fail: Fail = input.fail;
  if (funcs.length === 0 || btf === undefined) return 0;
  const main = funcs[0].btfId;
  const tags = btf.types.filter(
    (type) =>
      type.kind === "decl_tag" &&
      type.type === main &&
      type.componentIndex === -1 &&
      type.name.startsWith(EXCEPTION_CALLBACK_TAG),
  );
  if (tags.length === 0) return 0;
  const code = "verifier/exception-callback";
  if (tags.length > 1) fail(code, "multiple exception callback tags for main subprog", "EEXIST");
  const name = tags[0].name.slice(EXCEPTION_CALLBACK_TAG.length);
  const id = btf.types.findIndex((type) => type.kind === "func" && type.name === name);
  if (id < 0) fail(code, `exception callback '${name}' could not be found in BTF`, "ENOENT");
  const type = btf.types[id];
  if (type.kind === "func" && type.linkage !== "global") {
    fail(code, `exception callback '${name}' must have global linkage`);
  }
  let found = 0;
  for (const func of funcs) {
    if (func.btfId !== id) continue;
    found = func.insn;
    if (found === 0) fail(code, "invalid exception callback insn_off in func_info: 0");
  }
  if (found === 0) fail(code, "exception callback type id not found in func_info");
  return found;
}
