import { describeRegister, describeSlot } from "./describe.ts";
import type { VerifierEnv } from "./env.ts";
import type { Verdict, VerifierProgram, VerifyOptions } from "./input.ts";
import {
  F_SLOTS,
  FRAME_REGS,
  SlotType,
  SMAX,
  SMIN,
  TYPE,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "./layout.ts";
import { RegType } from "./register-types.ts";
import { signedBig, unsignedBig } from "./regs.ts";
import { frameSlotRow, frameSlotTypes } from "./state-rows.ts";
import { verify } from "./verify.ts";

/** What was known before an instruction, on one path: registers and stack of the innermost function. */
export interface RecordedState {
  /** Slot. */
  readonly insn: number;
  /** Calls between the program's entry and here; 0: the main program. */
  readonly depth: number;
  /** Registers that hold something, `"r0"` to `"r10"`. */
  readonly registers: readonly RecordedPlace[];
  /** Stack slots of 8 bytes that hold something, `"fp-8"` downwards. */
  readonly stack: readonly RecordedPlace[];
}

/** A register or stack slot. */
export interface RecordedPlace {
  readonly place: string;
  /** For people: `"packet data, 34 bytes checked"`. */
  readonly known: string;
  /** Numbers only. */
  readonly number?: RecordedNumber;
}

/** What is known of a number: it lies in both ranges, and agrees with `value` in the bits that `mask` does not have. */
export interface RecordedNumber {
  readonly umin: bigint;
  readonly umax: bigint;
  readonly smin: bigint;
  readonly smax: bigint;
  readonly bits: { readonly value: bigint; readonly mask: bigint };
}

/** A verdict and the states on the way to it. */
export interface Recording {
  readonly verdict: Verdict;
  /** By slot, in the order in which the verifier came there; instructions that it never reached are absent. */
  readonly states: ReadonlyMap<number, readonly RecordedState[]>;
}

/**
 * Verifies a program and records what was known before each instruction: what an editor shows beside a line. At most
 * `perInsn` states an instruction are kept, the first ones; recording takes many times as long as verifying.
 *
 * @example
 * const { verdict, states } = recordStates(program);
 * for (const { registers } of states.get(17) ?? []) console.log(registers.map(({ place, known }) => `${place}: ${known}`));
 */
export function recordStates(
  program: VerifierProgram,
  options: VerifyOptions & { readonly perInsn?: number } = {},
): Recording {
  const states = new Map<number, RecordedState[]>();
  const most = options.perInsn ?? 16;
  const verdict = verify(program, {
    ...options,
    onState: (insn, env) => {
      options.onState?.(insn, env);
      const kept = states.get(insn);
      if (kept === undefined)
        states.set(insn, [stateOf(insn, env as VerifierEnv)]); // verify gives its own
      else if (kept.length < most) kept.push(stateOf(insn, env as VerifierEnv));
    },
  });
  return { verdict, states };
}

function stateOf(insn: number, env: VerifierEnv): RecordedState {
  const { cur, mem } = env;
  const frame = cur.frames[cur.curFrame];
  const registers: RecordedPlace[] = [];
  for (let n = 0; n < FRAME_REGS; n++) {
    const row = env.reg(n);
    if (mem.i32[row + TYPE] === RegType.NOT_INIT) continue;
    registers.push({ place: `r${n}`, known: describeRegister(env, row), ...numberOf(env, row) });
  }
  const stack: RecordedPlace[] = [];
  for (let slot = 0; slot < mem.i32[frame + F_SLOTS]; slot++) {
    const types = frameSlotTypes(frame, slot);
    if (mem.u8.subarray(types, types + 8).every((type) => type === SlotType.INVALID)) continue;
    const spilled = mem.u8[types + 7] === SlotType.SPILL;
    const number = spilled ? numberOf(env, frameSlotRow(frame, slot)) : {};
    stack.push({ place: `fp-${8 * (slot + 1)}`, known: describeSlot(env, frame, slot), ...number });
  }
  return { insn, depth: cur.curFrame, registers, stack };
}

function numberOf(env: VerifierEnv, row: number): { readonly number?: RecordedNumber } {
  if (env.mem.i32[row + TYPE] !== RegType.SCALAR_VALUE) return {};
  return {
    number: {
      umin: unsignedBig(env, row + UMIN),
      umax: unsignedBig(env, row + UMAX),
      smin: signedBig(env, row + SMIN),
      smax: signedBig(env, row + SMAX),
      bits: { value: unsignedBig(env, row + VAR_VALUE), mask: unsignedBig(env, row + VAR_MASK) },
    },
  };
}
