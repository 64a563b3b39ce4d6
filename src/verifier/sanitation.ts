// One algorithm: what guards an unprivileged program against a processor that guesses wrong (`sanitize_ptr_alu`).
import { SOURCE_X } from "../isa/index.ts";
import { scratchRow } from "./domain.ts";
import type { VerifierEnv } from "./env.ts";
import { A, OFF, TYPE, UMAX, VAR_VALUE } from "./layout.ts";
import { RegType } from "./register-types.ts";
import { isConst, markUnknown, smax, smin, unsigned64 } from "./regs.ts";
import { Scratch } from "./scratch.ts";
import { frameReg } from "./state-rows.ts";
import { pushPath } from "./states.ts";

const ADD = 0x00;
/** How an addition or subtraction will be masked; 0: not known yet. `BPF_ALU_*` */
const AluState = { SANITIZE_SRC: 1, SANITIZE_DST: 2, NEG_VALUE: 4, NON_POINTER: 8, IMMEDIATE: 16 } as const;
/** `MAX_BPF_STACK` */
const STACK_BYTES = 512;

/** By slot: what Linux puts around instructions of programs that are loaded without CAP_PERFMON. */
export class Sanitation {
  /** A barrier lies before the instruction: no wrong guess gets there (`nospec`). */
  readonly fenceBefore: Uint8Array;
  /** … behind it: no wrong guess gets on (`nospec_result`). */
  readonly fenceAfter: Uint8Array;
  /** Additions and subtractions: how the operand is masked (`alu_state`), and to what (`alu_limit`). */
  readonly aluState: Uint8Array;
  readonly aluLimit: Uint32Array;

  constructor(length: number) {
    this.fenceBefore = new Uint8Array(length);
    this.fenceAfter = new Uint8Array(length);
    this.aluState = new Uint8Array(length);
    this.aluLimit = new Uint32Array(length);
  }

  /** Nothing may run the instruction by a wrong guess; then it needs no mask. */
  fence(insn: number): void {
    this.fenceBefore[insn] = 1;
    this.aluState[insn] = 0;
  }

  /** Whether the instruction is masked in this way on all paths. `update_alu_sanitation_state` */
  agree(insn: number, state: number, limit: number): boolean {
    if (this.aluState[insn] !== 0 && (this.aluState[insn] !== state || this.aluLimit[insn] !== limit))
      return false;
    this.aluState[insn] = state;
    this.aluLimit[insn] = limit;
    return true;
  }
}

/** What {@link guardPointer} found out before a pointer moved, for {@link commitPointer} after it did. */
export interface PointerGuard {
  readonly state: number;
  readonly limit: number;
  readonly toLeft: boolean;
}

/** A processor may guess wrong: the path not taken is walked too, with nothing known of the operands. `sanitize_speculative_path` */
export function pushSpeculative(env: VerifierEnv, insn: number, next: number): void {
  const { insns } = env;
  const path = pushPath(env, next, insn, true);
  const frame = path.frames[path.curFrame];
  markUnknown(env, frameReg(frame, insns.dst[insn]));
  if ((insns.opcode[insn] & SOURCE_X) !== 0) markUnknown(env, frameReg(frame, insns.src[insn]));
}

/** Two numbers are added or subtracted here, never a pointer and a number. `sanitize_val_alu` */
export function guardScalars(env: VerifierEnv, insn: number): void {
  const { sanitation } = env;
  if (sanitation === undefined || isSafe(env, sanitation, insn)) return;
  if (!sanitation.agree(insn, AluState.NON_POINTER, 0)) failPaths(env, insn);
}

/**
 * Before `pointer` (a row; `to` or another register's) moves by `offset` into row `to`: how the offset will be masked, and
 * a path on which the mask took everything. Undefined: nothing to do afterwards. The memory may grow.
 */
export function guardPointer(
  env: VerifierEnv,
  insn: number,
  to: number,
  pointer: number,
  offset: number,
): PointerGuard | undefined {
  const { sanitation, cur } = env;
  if (sanitation === undefined || isSafe(env, sanitation, insn)) return undefined;
  const known = isConst(env, offset);
  // On a guessed path the mask is settled already; only what a wrong access finds is of interest.
  if (cur.speculative) {
    if (!known) pushTruncated(env, insn, to, pointer);
    return undefined;
  }
  const negative = smin(env, offset) < 0;
  if (!known && negative !== smax(env, offset) < 0) {
    fail(env, `R${env.insns.src[insn]} has unknown scalar with mixed signed bounds`);
  }
  const toLeft = isAddition(env, insn) === negative;
  const limit = pointerLimit(env, insn, pointer, toLeft, to !== pointer);
  const state =
    (negative ? AluState.NEG_VALUE : 0) |
    (known ? AluState.IMMEDIATE : 0) |
    (pointer === to ? AluState.SANITIZE_SRC : AluState.SANITIZE_DST);
  if (!known) {
    // Other paths may ask for other masks: all of them are walked.
    env.exploreAluLimits = true;
    pushTruncated(env, insn, to, pointer);
  }
  return { state, limit, toLeft };
}

/** After the pointer in row `to` moved: the mask is as narrow as the way it went. */
export function commitPointer(env: VerifierEnv, insn: number, to: number, guard: PointerGuard): void {
  const { sanitation } = env;
  if (sanitation === undefined) return;
  const limit = Math.abs(guard.limit - pointerLimit(env, insn, to, guard.toLeft, false));
  if (!sanitation.agree(insn, guard.state, limit)) failPaths(env, insn);
}

function isAddition(env: VerifierEnv, insn: number): boolean {
  return (env.insns.opcode[insn] & 0xf0) === ADD;
}

/** `can_skip_alu_sanitation` */
function isSafe(env: VerifierEnv, sanitation: Sanitation, insn: number): boolean {
  return (env.insns.opcode[insn] & SOURCE_X) === 0 || sanitation.fenceBefore[insn] !== 0;
}

/** How far the pointer may go that way, bytes. `retrieve_ptr_limit` */
function pointerLimit(
  env: VerifierEnv,
  insn: number,
  pointer: number,
  toLeft: boolean,
  fromScalar: boolean,
): number {
  const { i32 } = env.mem;
  const { insns } = env;
  let max: number;
  let limit: number;
  switch (i32[pointer + TYPE]) {
    case RegType.PTR_TO_STACK:
      max = STACK_BYTES + (toLeft ? 1 : 0);
      limit = -(i32[pointer + VAR_VALUE] + i32[pointer + OFF]) >>> 0;
      break;
    case RegType.PTR_TO_MAP_VALUE:
      max = env.maps[i32[pointer + A]].valueSize;
      limit = ((toLeft ? smin(env, pointer) : unsigned64(env, pointer + UMAX)) + i32[pointer + OFF]) >>> 0;
      break;
    default:
      return fail(
        env,
        `R${fromScalar ? insns.src[insn] : insns.dst[insn]} has pointer with unsupported alu operation`,
      );
  }
  if (limit < max) return limit;
  return fail(env, `R${insns.dst[insn]} tried to ${operation(env, insn)} beyond pointer bounds`);
}

/** A path on which the mask left nothing of the offset: the pointer itself is the result. */
function pushTruncated(env: VerifierEnv, insn: number, to: number, pointer: number): void {
  if (to === pointer) {
    pushPath(env, insn + 1, insn, true);
    return;
  }
  const kept = scratchRow(Scratch.ALU_PTR);
  env.domain.copyRow(kept, to);
  env.domain.copyRow(to, pointer);
  pushPath(env, insn + 1, insn, true);
  env.domain.copyRow(to, kept);
}

function operation(env: VerifierEnv, insn: number): string {
  return isAddition(env, insn) ? "add" : "sub";
}

function failPaths(env: VerifierEnv, insn: number): never {
  const text = `tried to ${operation(env, insn)} from different maps, paths or scalars`;
  return fail(env, `R${env.insns.dst[insn]} ${text}`);
}

/** `sanitize_err` */
function fail(env: VerifierEnv, reason: string): never {
  return env.fail(
    "verifier/speculation",
    `${reason}, pointer arithmetic with it prohibited for !root`,
    "EACCES",
  );
}
