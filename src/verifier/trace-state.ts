// One algorithm: states in the notation of the kernel's verifier log.
import type { VerifierEnv } from "./env.ts";
import {
  A,
  B,
  C,
  F_FLAGS,
  F_FRAMENO,
  F_SLOTS,
  FRAME_REGS,
  FrameFlag,
  ID,
  OFF,
  PRECISE,
  REF_OBJ_ID,
  S32_MAX,
  S32_MIN,
  SlotType,
  SMAX,
  SMIN,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
  VAR_MASK,
  VAR_VALUE,
} from "./layout.ts";
import { dynptrTypeName } from "./objects/dynptr.ts";
import { iteratorName } from "./objects/iterator.ts";
import {
  ADD_CONST,
  BASE_TYPE_MASK,
  isPacketPointer,
  RegType,
  regTypeName,
  TypeFlag,
} from "./register-types.ts";
import { isConst, signedBig, tnumText, unsignedBig } from "./regs.ts";
import type { State } from "./state.ts";
import { frameReg, frameSlotRow, frameSlotTypes } from "./state-rows.ts";

/** Letters of stack bytes, by slot type. */
const SLOT_LETTERS = "?rm0dif";
const ITER_STATES = ["<invalid>", "active", "drained"];
const S16_MIN = -(1n << 15n);
const S16_MAX = (1n << 15n) - 1n;
const U16_MAX = (1n << 16n) - 1n;

/**
 * Registers and stack of one frame, ` R0=… fp-8=…`, without line end: all, or only what changed since it was last shown.
 * @see kernel/bpf/log.c `print_verifier_state` @ v6.18
 */
export function stateText(env: VerifierEnv, state: State, frameNo: number, all: boolean): string {
  const { i32 } = env.mem;
  const frame = state.frames[frameNo];
  const number = i32[frame + F_FRAMENO];
  let text = number !== 0 ? ` frame${number}:` : "";
  for (let n = 0; n < FRAME_REGS; n++) {
    const row = frameReg(frame, n);
    if (i32[row + TYPE] === RegType.NOT_INIT || (!all && (env.scratchedRegs & (1 << n)) === 0)) continue;
    text += ` R${n}=${rowText(env, row, number)}`;
  }
  const slots = i32[frame + F_SLOTS];
  for (let slot = 0; slot < slots; slot++) {
    const shown = slot < 32 ? env.scratchedSlotsLo >>> slot : env.scratchedSlotsHi >>> (slot - 32);
    if (!all && (shown & 1) === 0) continue;
    const [words, last] = slotText(env, frame, slot, number);
    if (words !== "") text += ` fp${-8 * (last + 1)}=${words}`;
    slot = last;
  }
  const refs = state.refs.filter(({ id }) => id !== 0).map(({ id }) => id);
  if (refs.length > 0 && state.refs[0].id !== 0) text += ` refs=${refs.join(",")}`;
  const flags = i32[frame + F_FLAGS];
  if ((flags & FrameFlag.IN_CALLBACK) !== 0) text += " cb";
  if ((flags & FrameFlag.IN_ASYNC_CALLBACK) !== 0) text += " async_cb";
  return text;
}

/** What is in a slot, and the slot it is shown at (a dynptr's second). */
function slotText(
  env: VerifierEnv,
  frame: number,
  slot: number,
  frameNo: number,
): [text: string, slot: number] {
  const { i32, u8 } = env.mem;
  const types = frameSlotTypes(frame, slot);
  let letters = "";
  for (let i = 0; i < 8; i++) letters += SLOT_LETTERS[u8[types + i]] ?? "?";
  if (letters === "????????") return ["", slot];
  const row = frameSlotRow(frame, slot);
  switch (u8[types + 7]) {
    case SlotType.SPILL:
      return [letters.slice(0, letters.indexOf("r")) + rowText(env, row, frameNo), slot];
    case SlotType.DYNPTR: {
      const main = frameSlotRow(frame, slot + 1);
      const parts: string[] = [];
      if (i32[main + ID] !== 0) parts.push(`id=${i32[main + ID]}`);
      if (i32[main + REF_OBJ_ID] !== 0) parts.push(`ref_id=${i32[main + REF_OBJ_ID]}`);
      // Its first-slot flag lies where other registers have a dynptr's id, and the kernel prints that.
      parts.push("dynptr_id=1");
      return [`dynptr_${dynptrTypeName(i32[main + A])}(${parts.join(",")})`, slot + 1];
    }
    case SlotType.ITER: {
      if (i32[row + REF_OBJ_ID] === 0) return ["", slot];
      const btf = env.btfs[i32[row + B]];
      const name = btf === undefined ? "?" : iteratorName(btf, i32[row + A]);
      const state = ITER_STATES[i32[row + C] & 3];
      return [
        `iter_${name}(ref_id=${i32[row + REF_OBJ_ID]},state=${state},depth=${i32[row + C] >>> 2})`,
        slot,
      ];
    }
    default:
      return [letters, slot];
  }
}

/** One register. `print_reg_state` */
export function rowText(env: VerifierEnv, row: number, frameNo: number): string {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  const isScalar = type === RegType.SCALAR_VALUE;
  const fixed = isConst(env, row);
  const precise = isScalar && i32[row + PRECISE] !== 0 ? "P" : "";
  if (isScalar && fixed) return precise + signedNumber(signedBig(env, row + VAR_VALUE));
  let text = precise + regTypeName(type);
  if (type === RegType.PTR_TO_ARENA) return text;
  if (type === RegType.PTR_TO_STACK) {
    if (i32[row + C] !== frameNo) text += `[${i32[row + C]}]`;
    if (fixed) return text + signedNumber(signedBig(env, row + VAR_VALUE) + BigInt(i32[row + OFF]));
  }
  const base = type & BASE_TYPE_MASK;
  if (base === RegType.PTR_TO_BTF_ID) text += env.btfs[i32[row + B]]?.types[i32[row + A]]?.name ?? "";
  const parts: string[] = [];
  const id = i32[row + ID];
  if (id !== 0) {
    const distance =
      (id & ADD_CONST) === 0 ? "" : i32[row + OFF] < 0 ? String(i32[row + OFF]) : `+${i32[row + OFF]}`;
    parts.push(`id=${id & ~ADD_CONST}${distance}`);
  }
  if (i32[row + REF_OBJ_ID] !== 0) parts.push(`ref_obj_id=${i32[row + REF_OBJ_ID]}`);
  if ((type & TypeFlag.NON_OWN_REF) !== 0) parts.push("non_own_ref");
  if (
    base === RegType.CONST_PTR_TO_MAP ||
    base === RegType.PTR_TO_MAP_KEY ||
    base === RegType.PTR_TO_MAP_VALUE
  ) {
    const map = env.maps[i32[row + A]];
    if (map !== undefined) {
      // The kernel keeps no name with the template of inner maps.
      const inner = i32[row + A] >= env.program.maps.length;
      if (map.name !== "" && !inner) parts.push(`map=${map.name.slice(0, 15)}`);
      parts.push(`ks=${map.keySize},vs=${map.valueSize}`);
    }
  }
  if (!isScalar && i32[row + OFF] !== 0) parts.push(`off=${signedNumber(BigInt(i32[row + OFF]))}`);
  if (isPacketPointer(type)) parts.push(`r=${unsignedNumber(BigInt.asUintN(64, BigInt(i32[row + A])))}`);
  if (base === RegType.PTR_TO_MEM) parts.push(`sz=${unsignedNumber(BigInt(i32[row + A] >>> 0))}`);
  if (type === RegType.CONST_PTR_TO_DYNPTR) parts.push(`type=${dynptrTypeName(i32[row + A])}`);
  if (fixed) {
    const imm = signedBig(env, row + VAR_VALUE);
    if (imm !== 0n) parts.push(`imm=${signedNumber(imm)}`);
  } else {
    parts.push(...rangeTexts(env, row));
    if ((i32[row + VAR_MASK] & i32[row + VAR_MASK + 1]) !== -1) parts.push(`var_off=${tnumText(env, row)}`);
  }
  return `${text}(${parts.join(",")})`;
}

/** The ranges that say something; equal ones share a number: `smin=smin32=-1`. `print_scalar_ranges` */
function rangeTexts(env: VerifierEnv, row: number): string[] {
  const { i32 } = env.mem;
  const narrow = (n: number): bigint =>
    BigInt(n) >= S16_MIN && BigInt(n) <= S16_MAX ? BigInt(n) : BigInt(n >>> 0);
  const bounds = [
    { name: "smin", value: signedBig(env, row + SMIN), omit: signedBig(env, row + SMIN) === -(1n << 63n) },
    {
      name: "smax",
      value: signedBig(env, row + SMAX),
      omit: signedBig(env, row + SMAX) === (1n << 63n) - 1n,
    },
    { name: "umin", value: unsignedBig(env, row + UMIN), omit: unsignedBig(env, row + UMIN) === 0n },
    {
      name: "umax",
      value: unsignedBig(env, row + UMAX),
      omit: unsignedBig(env, row + UMAX) === (1n << 64n) - 1n,
    },
    { name: "smin32", value: narrow(i32[row + S32_MIN]), omit: i32[row + S32_MIN] === -0x8000_0000 },
    { name: "smax32", value: narrow(i32[row + S32_MAX]), omit: i32[row + S32_MAX] === 0x7fff_ffff },
    { name: "umin32", value: BigInt(i32[row + U32_MIN] >>> 0), omit: i32[row + U32_MIN] === 0 },
    { name: "umax32", value: BigInt(i32[row + U32_MAX] >>> 0), omit: i32[row + U32_MAX] === -1 },
  ];
  const texts: string[] = [];
  for (const [index, bound] of bounds.entries()) {
    if (bound.omit) continue;
    let names = `${bound.name}=`;
    for (let other = index + 2; other < bounds.length; other += 2) {
      // The same number as a 64-bit word, and not one negative and the other large.
      if (bounds[other].omit || bounds[other].value !== bound.value) continue;
      bounds[other].omit = true;
      names += `${bounds[other].name}=`;
    }
    texts.push(
      names + (bound.name.startsWith("s") ? signedNumber(bound.value) : unsignedNumber(bound.value)),
    );
  }
  return texts;
}

function signedNumber(n: bigint): string {
  return n >= S16_MIN && n <= S16_MAX ? String(n) : `0x${BigInt.asUintN(64, n).toString(16)}`;
}

function unsignedNumber(n: bigint): string {
  return n <= U16_MAX ? String(n) : `0x${n.toString(16)}`;
}
