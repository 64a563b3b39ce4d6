import type { VerifierEnv } from "./env.ts";
import {
  A,
  B,
  F_SLOTS,
  OFF,
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
import { AT_PKT_END, BEYOND_PKT_END, baseType, mayBeNull, RegType, regTypeName } from "./register-types.ts";
import { frameSlotRow, frameSlotTypes } from "./state-rows.ts";

/**
 * What is known of a register, for people: `a number from 0 to 63`, `value of map 'counts' (or NULL)`. The kernel's own
 * notation is in the log.
 */
export function describeRegister(env: VerifierEnv, row: number): string {
  const { i32 } = env.mem;
  const type = i32[row + TYPE];
  if (type === RegType.NOT_INIT) return "nothing: it was never set";
  if (type === RegType.SCALAR_VALUE) return describeScalar(env, row);
  const name = pointerName(env, row, type);
  return `${name}${offsetText(env, row)}${mayBeNull(type) ? " or NULL" : ""}${packetText(i32[row + A], type)}${
    i32[row + REF_OBJ_ID] !== 0 ? `, reference ${i32[row + REF_OBJ_ID]}` : ""
  }`;
}

/** What lies in stack slot `slot` of the frame at word `frame`, of any state. */
export function describeSlot(env: VerifierEnv, frame: number, slot: number): string {
  if (slot >= env.mem.i32[frame + F_SLOTS]) return NEVER_WRITTEN;
  const types = frameSlotTypes(frame, slot);
  switch (env.mem.u8[types + 7]) {
    case SlotType.SPILL:
      return describeRegister(env, frameSlotRow(frame, slot));
    case SlotType.ZERO:
      return "the number 0";
    case SlotType.MISC:
      return "unknown bytes";
    case SlotType.DYNPTR:
      return "a dynptr";
    case SlotType.ITER:
      return "an iterator";
    case SlotType.IRQ_FLAG:
      return "saved interrupt flags";
    default:
      // The last byte; smaller variables may lie in the others.
      return env.mem.u8.subarray(types, types + 7).some((type) => type !== SlotType.INVALID)
        ? "some bytes"
        : NEVER_WRITTEN;
  }
}

const NEVER_WRITTEN = "nothing: it was never written";

function pointerName(env: VerifierEnv, row: number, type: number): string {
  const { i32 } = env.mem;
  switch (baseType(type)) {
    case RegType.PTR_TO_CTX:
      return "the context";
    case RegType.PTR_TO_STACK:
      return "the stack (fp)";
    case RegType.CONST_PTR_TO_MAP:
      return `map '${env.maps[i32[row + A]]?.name ?? "?"}'`;
    case RegType.PTR_TO_MAP_VALUE:
      return `a value of map '${env.maps[i32[row + A]]?.name ?? "?"}'`;
    case RegType.PTR_TO_MAP_KEY:
      return `a key of map '${env.maps[i32[row + A]]?.name ?? "?"}'`;
    case RegType.PTR_TO_PACKET:
      return "packet data";
    case RegType.PTR_TO_PACKET_META:
      return "packet metadata";
    case RegType.PTR_TO_PACKET_END:
      return "the packet's end";
    case RegType.PTR_TO_MEM:
      return `memory of ${i32[row + A]} bytes (${regTypeName(type).replace("_or_null", "")})`;
    case RegType.PTR_TO_BTF_ID: {
      const struct = env.btfs[i32[row + B]]?.types[i32[row + A]]?.name ?? "";
      const flags = regTypeName(type)
        .replace(/ptr_.*/, "")
        .replaceAll("_", " ");
      return `${flags}pointer to ${struct === "" ? "a kernel object" : `struct ${struct}`}`;
    }
    default:
      return `pointer ${regTypeName(type).replace("_or_null", "")}`;
  }
}

function offsetText(env: VerifierEnv, row: number): string {
  const { i32 } = env.mem;
  const fixed = i32[row + OFF];
  const constant = (i32[row + VAR_MASK] | i32[row + VAR_MASK + 1]) === 0;
  if (constant) {
    const off = fixed + i32[row + VAR_VALUE];
    return off === 0 ? "" : off > 0 ? ` + ${off}` : ` - ${-off}`;
  }
  return `${fixed === 0 ? "" : ` + ${fixed}`} + ${describeScalar(env, row)}`;
}

function packetText(range: number, type: number): string {
  const base = baseType(type);
  if (base !== RegType.PTR_TO_PACKET && base !== RegType.PTR_TO_PACKET_META) return "";
  if (range === BEYOND_PKT_END) return ", beyond the end";
  if (range === AT_PKT_END) return ", at the end or beyond";
  return range === 0 ? ", no byte checked" : `, ${range} bytes checked`;
}

const U64_MAX = (1n << 64n) - 1n;
const U32_FULL = 0xffffffffn;
const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;

function describeScalar(env: VerifierEnv, row: number): string {
  const { i32 } = env.mem;
  const u64 = (at: number): bigint => (BigInt(i32[row + at + 1] >>> 0) << 32n) | BigInt(i32[row + at] >>> 0);
  const s64 = (at: number): bigint => BigInt.asIntN(64, u64(at));
  if ((i32[row + VAR_MASK] | i32[row + VAR_MASK + 1]) === 0) return `the number ${s64(VAR_VALUE)}`;
  const umin = u64(UMIN);
  const umax = u64(UMAX);
  const smin = s64(SMIN);
  const smax = s64(SMAX);
  const s32Min = i32[row + S32_MIN];
  const s32Max = i32[row + S32_MAX];
  if (umin === 0n && umax === U32_FULL && (s32Min > -0x80000000 || s32Max < 0x7fffffff)) {
    return `a 32-bit number, signed from ${s32Min} to ${s32Max}`;
  }
  if (smin >= 0n && umax < U64_MAX) return `a number from ${number(umin)} to ${number(umax)}`;
  if (smin > S64_MIN || smax < S64_MAX) {
    const low = smin > S64_MIN ? `from ${number(smin)}` : "of unknown minimum";
    return `a number ${low}${smax < S64_MAX ? ` to ${number(smax)}` : ""}`;
  }
  if (umax < U64_MAX || umin > 0n) return `an unsigned number from ${number(umin)} to ${number(umax)}`;
  const u32Max = i32[row + U32_MAX] >>> 0;
  if (u32Max < 0xffffffff) {
    return `any number whose low 32 bits are ${i32[row + U32_MIN] >>> 0} to ${u32Max}`;
  }
  if (s32Min > -0x80000000 || s32Max < 0x7fffffff) {
    return `any number whose low 32 bits, signed, are ${s32Min} to ${s32Max}`;
  }
  return "any number";
}

/** Large bounds read better in hex. */
function number(value: bigint): string {
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 1n << 20n) return String(value);
  return `${value < 0n ? "-" : ""}0x${magnitude.toString(16)}`;
}
