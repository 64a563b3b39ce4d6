import {
  ATOMIC_OPS,
  accessBytes,
  Class,
  classOf,
  FRAME_POINTER,
  isAtomic,
  MODE_MASK,
  Mode,
  PseudoLoad,
  wideImm,
} from "../isa/index.ts";
import type { MemoryOpcode, PlainOpcode } from "../wasm/index.ts";
import type { Emitter } from "./emitter.ts";
import { knownMap } from "./lower-call.ts";
import { FUNC_TAG } from "./surroundings.ts";

type Size = 1 | 2 | 4 | 8;
const LOAD: Readonly<Record<Size, MemoryOpcode>> = {
  1: "i64.load8_u",
  2: "i64.load16_u",
  4: "i64.load32_u",
  8: "i64.load",
};
const LOAD_SIGNED: Readonly<Record<Size, MemoryOpcode>> = {
  1: "i64.load8_s",
  2: "i64.load16_s",
  4: "i64.load32_s",
  8: "i64.load",
};
const STORE: Readonly<Record<Size, MemoryOpcode>> = {
  1: "i64.store8",
  2: "i64.store16",
  4: "i64.store32",
  8: "i64.store",
};

/** `LDX`, `ST`, `STX` at `slot`. */
export function lowerMemory(e: Emitter, slot: number): void {
  const { insns, f } = e;
  const opcode = insns.opcode[slot];
  if (isAtomic(opcode)) {
    lowerAtomic(e, slot);
    return;
  }
  const size = accessBytes(opcode);
  const off = insns.off[slot];
  const base = classOf(opcode) === Class.LDX ? insns.src[slot] : insns.dst[slot];
  if (base === FRAME_POINTER && e.slots.has(off)) {
    lowerSlot(e, slot, e.temp("i64", `fp${off}`));
    return;
  }
  if (classOf(opcode) === Class.LDX && lowerMapField(e, slot)) return;
  if (classOf(opcode) !== Class.LDX && lowerNarrowField(e, slot)) return;
  if (classOf(opcode) === Class.LDX) {
    const at = e.address(insns.src[slot], off);
    f.memory((opcode & MODE_MASK) === Mode.MEMSX ? LOAD_SIGNED[size] : LOAD[size], at);
    e.set(insns.dst[slot]);
    return;
  }
  const at = e.address(insns.dst[slot], off);
  if (classOf(opcode) === Class.ST) f.i64Const(insns.imm[slot]);
  else e.get(insns.src[slot]);
  f.memory(STORE[size], at);
}

/** A load through a map pointer: a member of the kernel's `struct bpf_map`. True when it was written. */
function lowerMapField(e: Emitter, slot: number): boolean {
  const { insns, f } = e;
  if (typeof e.values[insns.src[slot]] !== "bigint") return false;
  const map = knownMap(e, insns.src[slot]);
  if (map === undefined) return false;
  const field = e.input.mapField(insns.off[slot]);
  if (field === undefined) return false;
  const size = accessBytes(insns.opcode[slot]);
  if (field === "zero") f.i64Const(0);
  else f.i32Const(map.address).memory("i64.load32_u", field);
  if (size < 4) f.i64Const(2 ** (8 * size) - 1).op("i64.and");
  e.set(insns.dst[slot]);
  return true;
}

/** A store into a field of the context that is narrower in the kernel. True when it was written. */
function lowerNarrowField(e: Emitter, slot: number): boolean {
  const { insns, f } = e;
  const opcode = insns.opcode[slot];
  const base = e.values[insns.dst[slot]];
  const keeps = typeof base === "number" ? e.input.contextKeeps(base + insns.off[slot]) : undefined;
  if (keeps === undefined) return false;
  const immediate = classOf(opcode) === Class.ST;
  const value = () => (immediate ? f.i64Const(insns.imm[slot]) : e.get(insns.src[slot]));
  // Linux compares the register unsigned, an immediate signed; what is too great is ignored.
  if (keeps === "u16-below-max") {
    value()
      .i64Const(0xffff)
      .op(immediate ? "i64.lt_s" : "i64.lt_u")
      .if();
  }
  const at = e.address(insns.dst[slot], insns.off[slot]);
  value().i64Const(0xffff).op("i64.and").memory(STORE[accessBytes(opcode)], at);
  if (keeps === "u16-below-max") f.end();
  return true;
}

const SIGN: Partial<Record<Size, PlainOpcode>> = {
  1: "i64.extend8_s",
  2: "i64.extend16_s",
  4: "i64.extend32_s",
};

/** A load or store of stack bytes that are kept in a local, zero-extended. */
function lowerSlot(e: Emitter, slot: number, local: number): void {
  const { insns, f } = e;
  const opcode = insns.opcode[slot];
  const size = accessBytes(opcode);
  if (classOf(opcode) === Class.LDX) {
    f.localGet(local);
    const sign = SIGN[size];
    if ((opcode & MODE_MASK) === Mode.MEMSX && sign !== undefined) f.op(sign);
    e.set(insns.dst[slot]);
    return;
  }
  if (classOf(opcode) === Class.ST) f.i64Const(insns.imm[slot]);
  else e.get(insns.src[slot]);
  if (size < 8) f.i64Const(2 ** (8 * size) - 1).op("i64.and");
  f.localSet(local);
}

/** The wide load at `slot`: a number, an address, or a function. */
export function lowerWideLoad(e: Emitter, slot: number): void {
  const { insns, f } = e;
  const src = insns.src[slot];
  if (src === PseudoLoad.NONE) f.i64Const(wideImm(insns, slot));
  else if (src === PseudoLoad.FUNC) f.i64Const(FUNC_TAG | BigInt(slot + 1 + insns.imm[slot]));
  else f.i64Const(BigInt(insns.imm[slot] >>> 0));
  e.set(insns.dst[slot]);
}

const COMBINE: ReadonlyMap<number, PlainOpcode> = new Map<number, PlainOpcode>([
  [ATOMIC_OPS.add.imm, "i64.add"],
  [ATOMIC_OPS.or.imm, "i64.or"],
  [ATOMIC_OPS.and.imm, "i64.and"],
  [ATOMIC_OPS.xor.imm, "i64.xor"],
]);
const FETCH = 1;

const SHARED_LOAD: Readonly<Record<Size, MemoryOpcode>> = {
  1: "i64.atomic.load8_u",
  2: "i64.atomic.load16_u",
  4: "i64.atomic.load32_u",
  8: "i64.atomic.load",
};
const SHARED_STORE: Readonly<Record<Size, MemoryOpcode>> = {
  1: "i64.atomic.store8",
  2: "i64.atomic.store16",
  4: "i64.atomic.store32",
  8: "i64.atomic.store",
};
/** By operation (without FETCH), for 4 and 8 bytes. */
const SHARED_RMW: ReadonlyMap<number, readonly [MemoryOpcode, MemoryOpcode]> = new Map([
  [ATOMIC_OPS.add.imm, ["i64.atomic.rmw32.add_u", "i64.atomic.rmw.add"]],
  [ATOMIC_OPS.or.imm, ["i64.atomic.rmw32.or_u", "i64.atomic.rmw.or"]],
  [ATOMIC_OPS.and.imm, ["i64.atomic.rmw32.and_u", "i64.atomic.rmw.and"]],
  [ATOMIC_OPS.xor.imm, ["i64.atomic.rmw32.xor_u", "i64.atomic.rmw.xor"]],
]);

/** Several threads work on the memory. The verifier saw to it that addresses are aligned; wasm traps where they are not. */
function lowerSharedAtomic(e: Emitter, slot: number): void {
  const { insns, f } = e;
  const [dst, src, off, op] = [insns.dst[slot], insns.src[slot], insns.off[slot], insns.imm[slot]];
  const size = accessBytes(insns.opcode[slot]);
  const wide = size === 8;
  if (op === ATOMIC_OPS.load_acquire.imm) {
    f.memory(SHARED_LOAD[size], e.address(src, off));
    e.set(dst);
    return;
  }
  const at = e.address(dst, off);
  if (op === ATOMIC_OPS.store_release.imm) {
    e.get(src);
    f.memory(SHARED_STORE[size], at);
    return;
  }
  if (op === ATOMIC_OPS.cmpxchg.imm) {
    if (wide) e.get(0);
    else e.get32(0).op("i64.extend_i32_u");
    e.get(src);
    f.memory(wide ? "i64.atomic.rmw.cmpxchg" : "i64.atomic.rmw32.cmpxchg_u", at);
    e.set(0);
    return;
  }
  e.get(src);
  const rmw = SHARED_RMW.get(op & ~FETCH);
  if (rmw === undefined) f.memory(wide ? "i64.atomic.rmw.xchg" : "i64.atomic.rmw32.xchg_u", at);
  else f.memory(rmw[wide ? 1 : 0], at);
  if ((op & FETCH) === 0) f.op("drop");
  else e.set(src);
}

/** One thread works on the memory: load, combine, store is atomic. */
function lowerAtomic(e: Emitter, slot: number): void {
  const { insns, f } = e;
  if (e.input.shared === true) {
    lowerSharedAtomic(e, slot);
    return;
  }
  const {
    dst,
    src,
    off,
    imm: op,
  } = { dst: insns.dst[slot], src: insns.src[slot], off: insns.off[slot], imm: insns.imm[slot] };
  const size = accessBytes(insns.opcode[slot]);
  if (op === ATOMIC_OPS.load_acquire.imm) {
    f.memory(LOAD[size], e.address(src, off));
    e.set(dst);
    return;
  }
  if (op === ATOMIC_OPS.store_release.imm) {
    const at = e.address(dst, off);
    e.get(src);
    f.memory(STORE[size], at);
    return;
  }
  const old = e.temp("i64", "old");
  const address = e.temp("i32", "address");
  const at = e.address(dst, off);
  f.localTee(address).memory(LOAD[size], at).localSet(old);
  if (op === ATOMIC_OPS.cmpxchg.imm) {
    f.localGet(old);
    if (size === 4) {
      e.get32(0).op("i64.extend_i32_u").op("i64.eq");
    } else {
      e.get(0).op("i64.eq");
    }
    f.if();
    f.localGet(address);
    e.get(src).memory(STORE[size], at).end();
    f.localGet(old);
    e.set(0);
    return;
  }
  f.localGet(address);
  const combine = COMBINE.get(op & ~FETCH);
  if (combine === undefined) e.get(src);
  else {
    f.localGet(old);
    e.get(src).op(combine);
  }
  f.memory(STORE[size], at);
  if ((op & FETCH) === 0) return;
  f.localGet(old);
  e.set(src);
}
