import { DomainMemory } from "./domain.ts";
import { DOMAIN_WASM_BASE64 } from "./generated/domain-wasm.ts";
import { S32_MAX, S32_MIN, SMAX, SMIN, U32_MAX, U32_MIN, UMAX, UMIN, VAR_MASK, VAR_VALUE } from "./layout.ts";

/** A memory of its own with the scalar domain. */
export function newDomain(): DomainMemory {
  const bytes = Uint8Array.from(atob(DOMAIN_WASM_BASE64), (char) => char.charCodeAt(0));
  return new DomainMemory(new WebAssembly.Module(bytes));
}

/** The scalar part of a row as bigints: for tests and logs, slow. */
export interface Scalar {
  readonly value: bigint;
  readonly mask: bigint;
  readonly smin: bigint;
  readonly smax: bigint;
  readonly umin: bigint;
  readonly umax: bigint;
  readonly s32Min: bigint;
  readonly s32Max: bigint;
  readonly u32Min: bigint;
  readonly u32Max: bigint;
}

/** Every number. */
export const UNKNOWN: Scalar = {
  value: 0n,
  mask: (1n << 64n) - 1n,
  smin: -(1n << 63n),
  smax: (1n << 63n) - 1n,
  umin: 0n,
  umax: (1n << 64n) - 1n,
  s32Min: -(1n << 31n),
  s32Max: (1n << 31n) - 1n,
  u32Min: 0n,
  u32Max: (1n << 32n) - 1n,
};

/** Writes a scalar as it is: no sync. */
export function writeScalar(memory: DomainMemory, row: number, scalar: Scalar): void {
  const view = new DataView(memory.memory.buffer, row * 4);
  view.setBigUint64(VAR_VALUE * 4, scalar.value, true);
  view.setBigUint64(VAR_MASK * 4, scalar.mask, true);
  view.setBigInt64(SMIN * 4, scalar.smin, true);
  view.setBigInt64(SMAX * 4, scalar.smax, true);
  view.setBigUint64(UMIN * 4, scalar.umin, true);
  view.setBigUint64(UMAX * 4, scalar.umax, true);
  view.setInt32(S32_MIN * 4, Number(scalar.s32Min), true);
  view.setInt32(S32_MAX * 4, Number(scalar.s32Max), true);
  view.setUint32(U32_MIN * 4, Number(scalar.u32Min), true);
  view.setUint32(U32_MAX * 4, Number(scalar.u32Max), true);
}

/** Reads a scalar. */
export function readScalar(memory: DomainMemory, row: number): Scalar {
  const view = new DataView(memory.memory.buffer, row * 4);
  return {
    value: view.getBigUint64(VAR_VALUE * 4, true),
    mask: view.getBigUint64(VAR_MASK * 4, true),
    smin: view.getBigInt64(SMIN * 4, true),
    smax: view.getBigInt64(SMAX * 4, true),
    umin: view.getBigUint64(UMIN * 4, true),
    umax: view.getBigUint64(UMAX * 4, true),
    s32Min: BigInt(view.getInt32(S32_MIN * 4, true)),
    s32Max: BigInt(view.getInt32(S32_MAX * 4, true)),
    u32Min: BigInt(view.getUint32(U32_MIN * 4, true)),
    u32Max: BigInt(view.getUint32(U32_MAX * 4, true)),
  };
}

/** Names of the views of a scalar that the number (64 bits, unsigned) is not in: empty when it is a member. */
export function missedBy(scalar: Scalar, n: bigint): string[] {
  const signed = BigInt.asIntN(64, n);
  const low = BigInt.asUintN(32, n);
  const signedLow = BigInt.asIntN(32, n);
  const missed: string[] = [];
  if ((n & ~scalar.mask) !== scalar.value) missed.push("tnum");
  if (n < scalar.umin || n > scalar.umax) missed.push("u64");
  if (signed < scalar.smin || signed > scalar.smax) missed.push("s64");
  if (low < scalar.u32Min || low > scalar.u32Max) missed.push("u32");
  if (signedLow < scalar.s32Min || signedLow > scalar.s32Max) missed.push("s32");
  return missed;
}

/** A scalar as the kernel's log prints it, without id and precision mark. */
export function formatScalar(memory: DomainMemory, row: number): string {
  const scalar = readScalar(memory, row);
  if (scalar.mask === 0n) return signed(BigInt.asIntN(64, scalar.value));
  const members = [
    { name: "smin", n: scalar.smin, omit: scalar.smin === UNKNOWN.smin },
    { name: "smax", n: scalar.smax, omit: scalar.smax === UNKNOWN.smax },
    { name: "umin", n: scalar.umin, omit: scalar.umin === UNKNOWN.umin },
    { name: "umax", n: scalar.umax, omit: scalar.umax === UNKNOWN.umax },
    { name: "smin32", n: narrow(scalar.s32Min), omit: scalar.s32Min === UNKNOWN.s32Min },
    { name: "smax32", n: narrow(scalar.s32Max), omit: scalar.s32Max === UNKNOWN.s32Max },
    { name: "umin32", n: scalar.u32Min, omit: scalar.u32Min === UNKNOWN.u32Min },
    { name: "umax32", n: scalar.u32Max, omit: scalar.u32Max === UNKNOWN.u32Max },
  ];
  const parts: string[] = [];
  members.forEach((member, i) => {
    if (member.omit) return;
    let names = `${member.name}=`;
    for (let j = i + 2; j < members.length; j += 2) {
      const later = members[j];
      if (later.omit || later.n !== member.n) continue;
      later.omit = true;
      names += `${later.name}=`;
    }
    parts.push(names + (member.name[0] === "s" ? signed(member.n) : unsigned(member.n)));
  });
  if (scalar.value !== 0n || scalar.mask !== (1n << 64n) - 1n) {
    parts.push(`var_off=(${hex(scalar.value)}; ${hex(scalar.mask)})`);
  }
  return `scalar(${parts.join(",")})`;
}

/** 32-bit minima and maxima that are printed in hexadecimal are printed without sign extension. */
function narrow(n: bigint): bigint {
  return n >= -0x8000n && n <= 0x7fffn ? n : BigInt.asUintN(32, n);
}

function signed(n: bigint): string {
  return n >= -0x8000n && n <= 0x7fffn ? `${n}` : hex(BigInt.asUintN(64, n));
}

function unsigned(n: bigint): string {
  return n <= 0xffffn ? `${n}` : hex(n);
}

function hex(n: bigint): string {
  return `0x${n.toString(16)}`;
}
