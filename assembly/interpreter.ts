// The checked interpreter: one loop over raw 8-byte instructions (RFC 9669 §3). What the Linux verifier proves before a
// program runs is checked here while it runs, with the provenance kept beside each register and stack slot
// (src/runtime/layout.ts). Fast paths stand in the loop; whatever is rare or goes wrong is in interpreter-slow.ts.
import {
  CODE_CONTEXT_BYTES,
  CODE_INSNS,
  CODE_SLOTS,
  CONST_PTR_TO_MAP,
  ERR_BAD_INSN,
  ERR_BUDGET,
  ERR_CALL_DEPTH,
  ERR_CALL_TARGET,
  ERR_PC,
  ERR_UNINIT_REG,
  FRAME_REGS_BYTES,
  MACHINE_BYTES,
  MACHINE_CODE,
  MACHINE_CONTEXT,
  MACHINE_DEPTH,
  MACHINE_ERR_REG,
  MACHINE_FRAMES,
  MACHINE_FUEL,
  MACHINE_GENERATION,
  MACHINE_LEVEL,
  MACHINE_MAY_GOTO,
  MACHINE_PC,
  MACHINE_RAW,
  MACHINE_RETURN,
  MACHINE_RETURN_CODE,
  MACHINE_SHADOW,
  MACHINE_STACK,
  MACHINE_TAIL_CALLS,
  MAP_MAX_ENTRIES,
  MAP_TYPE,
  MAP_VALUES,
  MAX_FRAMES,
  NESTED_FRAMES,
  MAX_TAIL_CALLS,
  NOT_NATIVE,
  PROV_RDONLY,
  PTR_TO_CTX,
  PTR_TO_FUNC,
  PTR_TO_MAP_VALUE,
  PTR_TO_PACKET,
  PTR_TO_STACK,
  REG_BYTES,
  SCALAR,
  STACK_BYTES,
  STATUS_EXIT,
} from "../src/runtime/layout";
import { alloc, free } from "./alloc";
import { mapHelper } from "./interpreter-maps";
import {
  addrSpaceCast,
  AUX,
  atomicOp,
  BASE,
  END,
  fail,
  KIND,
  loadImm64,
  loadSlow,
  movSlow,
  provAdd,
  provOther,
  provSub,
  setPointer,
  storeSlow,
  uninitOf,
} from "./interpreter-slow";

@external("kernel", "callHelper")
declare function callHelper(machine: u32, id: u32, slot: u32): void;
@external("kernel", "callKfunc")
declare function callKfunc(machine: u32, index: u32, slot: u32): void;
@external("kernel", "loadPacket")
declare function loadPacket(machine: u32, offset: u32, size: u32): u32;

export { checkMemory } from "./interpreter-slow";

const SHADOW_DELTA: u32 = MACHINE_SHADOW - MACHINE_STACK;
/** What must not be set beside the kind on the fast path of loads: anything but "read-only". */
const ANY_FLAG_BUT_RDONLY: u32 = ~(<u32>PROV_RDONLY);
/** BPF_MAP_TYPE_PROG_ARRAY. */
const PROG_ARRAY: u32 = 3;
/** BPF_MAX_LOOPS of include/linux/bpf_verifier.h: what a may_goto may be passed. */
const MAY_GOTO_LIMIT: u32 = 8388608;

export function machineNew(): u32 {
  return alloc(MACHINE_BYTES);
}

export function machineFree(m: u32): void {
  free(m);
}

/** Ready for a run: no register but r10 set, nothing on the stack, depth 0. */
export function machineReset(m: u32): void {
  memory.fill(m + MACHINE_FRAMES, 0, FRAME_REGS_BYTES);
  // Frames that were left are clean; those above the depth at which the last run ended were left.
  memory.fill(m + MACHINE_SHADOW, 0, (load<u32>(m, MACHINE_DEPTH) + 1) * STACK_BYTES);
  store<u32>(m, 0, MACHINE_DEPTH);
  store<u32>(m, 0, MACHINE_TAIL_CALLS);
  const regs = m + MACHINE_FRAMES;
  if (load<u32>(m, MACHINE_RAW)) for (let r: u32 = 0; r < 10; r++) store<u32>(regs + r * REG_BYTES, SCALAR, KIND);
  setFrame(m, 0);
  store<u32>(m, 0, MACHINE_LEVEL);
  setContext(m, regs);
}

/** Frame pointer and may_goto count of a frame that is about to run. */
function setFrame(m: u32, depth: u32): void {
  const regs = m + MACHINE_FRAMES + depth * FRAME_REGS_BYTES;
  const bottom = m + MACHINE_STACK + depth * STACK_BYTES;
  const r10 = regs + 10 * REG_BYTES;
  store<u64>(r10, bottom + STACK_BYTES);
  store<u32>(r10, PTR_TO_STACK, KIND);
  store<u32>(r10, bottom, BASE);
  store<u32>(r10, bottom + STACK_BYTES, END);
  store<u32>(r10, depth, AUX);
  store<u32>(m + (depth << 2), MAY_GOTO_LIMIT, MACHINE_MAY_GOTO);
}

/** Counts frame `depth` in its program; false when that is one too many. */
function deeper(m: u32, depth: u32): bool {
  const level = load<u32>(m + ((depth - 1) << 2), MACHINE_LEVEL) + 1;
  if (level >= <u32>MAX_FRAMES || depth >= <u32>NESTED_FRAMES) return false;
  store<u32>(m + (depth << 2), level, MACHINE_LEVEL);
  return true;
}

/** Opens the frame above the running one for a callback; its r1–r5 are the caller's to set. Its depth, 0 when too deep. */
export function pushFrame(m: u32): u32 {
  const depth = load<u32>(m, MACHINE_DEPTH) + 1;
  if (!deeper(m, depth)) return 0;
  const regs = m + MACHINE_FRAMES + depth * FRAME_REGS_BYTES;
  memory.fill(regs, 0, FRAME_REGS_BYTES);
  setFrame(m, depth);
  store<u32>(m, depth, MACHINE_DEPTH);
  return depth;
}

/** Closes a callback's frame: its stack counts as never written. */
export function popFrame(m: u32): void {
  const depth = load<u32>(m, MACHINE_DEPTH);
  memory.fill(m + MACHINE_SHADOW + depth * STACK_BYTES, 0, STACK_BYTES);
  store<u32>(m, depth - 1, MACHINE_DEPTH);
}

/** r1–r5 are gone after a call. */
@inline
function clobberArgs(regs: u32, kind: u32): void {
  store<u32>(regs, kind, 1 * REG_BYTES + KIND);
  store<u32>(regs, kind, 2 * REG_BYTES + KIND);
  store<u32>(regs, kind, 3 * REG_BYTES + KIND);
  store<u32>(regs, kind, 4 * REG_BYTES + KIND);
  store<u32>(regs, kind, 5 * REG_BYTES + KIND);
}

/** Is [address, address+size) inside the register's region? Signed: a 64-bit value far away is outside, too. */
@inline
function within(r: u32, address: i64, size: i64): bool {
  return (address >= <i64>load<u32>(r, BASE)) & (address <= <i64>load<u32>(r, END) - size);
}

/** Runs from `slot` of the machine's code block until frame `exitDepth` exits: STATUS_EXIT, or what went wrong. */
export function execute(m: u32, slot: u32, exitDepth: u32): u32 {
  let code = load<u32>(m, MACHINE_CODE);
  let insns = load<u32>(code, CODE_INSNS);
  let bytes = load<u32>(code, CODE_SLOTS) << 3;
  let depth = load<u32>(m, MACHINE_DEPTH);
  let regs = m + MACHINE_FRAMES + depth * FRAME_REGS_BYTES;
  let pc = insns + (slot << 3);
  let fuel = load<i64>(m, MACHINE_FUEL);
  const gone: u32 = load<u32>(m, MACHINE_RAW) ? SCALAR : 0;
  let status: u32 = 0;
  let d: u32 = 0;
  let s: u32 = 0;

  while (true) {
    if (pc - insns >= bytes) {
      status = fail(m, ERR_PC, 0);
      break;
    }
    if (--fuel < 0) {
      status = ERR_BUDGET;
      pc += 8;
      fuel = 0;
      break;
    }
    const insn = load<u64>(pc);
    const low = <u32>insn;
    pc += 8;
    d = regs + ((low >>> 3) & 0x1e0);
    s = regs + ((low >>> 7) & 0x1e0);

    switch (low & 0xff) {
      case 0x07: // add64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provAdd(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) + <u64>(<i64>insn >> 32));
        continue;
      case 0x0f: // add64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provAdd(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) + load<u64>(s));
        continue;
      case 0x04: // add32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) + <u32>(insn >> 32))));
        continue;
      case 0x0c: // add32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) + load<u32>(s))));
        continue;
      case 0x17: // sub64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provSub(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) - <u64>(<i64>insn >> 32));
        continue;
      case 0x1f: // sub64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provSub(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) - load<u64>(s));
        continue;
      case 0x14: // sub32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) - <u32>(insn >> 32))));
        continue;
      case 0x1c: // sub32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) - load<u32>(s))));
        continue;
      case 0x27: // mul64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) * <u64>(<i64>insn >> 32));
        continue;
      case 0x2f: // mul64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) * load<u64>(s));
        continue;
      case 0x24: // mul32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) * <u32>(insn >> 32))));
        continue;
      case 0x2c: // mul32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) * load<u32>(s))));
        continue;
      case 0x37: // div64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, low >>> 16 ? sdiv64(load<u64>(d), <u64>(<i64>insn >> 32)) : div64(load<u64>(d), <u64>(<i64>insn >> 32)));
        continue;
      case 0x3f: // div64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, low >>> 16 ? sdiv64(load<u64>(d), load<u64>(s)) : div64(load<u64>(d), load<u64>(s)));
        continue;
      case 0x34: // div32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(low >>> 16 ? sdiv32(load<u32>(d), <u32>(insn >> 32)) : div32(load<u32>(d), <u32>(insn >> 32)))));
        continue;
      case 0x3c: // div32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(low >>> 16 ? sdiv32(load<u32>(d), load<u32>(s)) : div32(load<u32>(d), load<u32>(s)))));
        continue;
      case 0x47: // or64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) | <u64>(<i64>insn >> 32));
        continue;
      case 0x4f: // or64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) | load<u64>(s));
        continue;
      case 0x44: // or32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) | <u32>(insn >> 32))));
        continue;
      case 0x4c: // or32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) | load<u32>(s))));
        continue;
      case 0x57: // and64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) & <u64>(<i64>insn >> 32));
        continue;
      case 0x5f: // and64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) & load<u64>(s));
        continue;
      case 0x54: // and32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) & <u32>(insn >> 32))));
        continue;
      case 0x5c: // and32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) & load<u32>(s))));
        continue;
      case 0x67: // lsh64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) << <u64>(<i64>insn >> 32));
        continue;
      case 0x6f: // lsh64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) << load<u64>(s));
        continue;
      case 0x64: // lsh32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) << <u32>(insn >> 32))));
        continue;
      case 0x6c: // lsh32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) << load<u32>(s))));
        continue;
      case 0x77: // rsh64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) >> <u64>(<i64>insn >> 32));
        continue;
      case 0x7f: // rsh64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) >> load<u64>(s));
        continue;
      case 0x74: // rsh32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) >>> <u32>(insn >> 32))));
        continue;
      case 0x7c: // rsh32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) >>> load<u32>(s))));
        continue;
      case 0x97: // mod64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, low >>> 16 ? smod64(load<u64>(d), <u64>(<i64>insn >> 32)) : mod64(load<u64>(d), <u64>(<i64>insn >> 32)));
        continue;
      case 0x9f: // mod64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, low >>> 16 ? smod64(load<u64>(d), load<u64>(s)) : mod64(load<u64>(d), load<u64>(s)));
        continue;
      case 0x94: // mod32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(low >>> 16 ? smod32(load<u32>(d), <u32>(insn >> 32)) : mod32(load<u32>(d), <u32>(insn >> 32)))));
        continue;
      case 0x9c: // mod32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(low >>> 16 ? smod32(load<u32>(d), load<u32>(s)) : mod32(load<u32>(d), load<u32>(s)))));
        continue;
      case 0xa7: // xor64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) ^ <u64>(<i64>insn >> 32));
        continue;
      case 0xaf: // xor64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, load<u64>(d) ^ load<u64>(s));
        continue;
      case 0xa4: // xor32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) ^ <u32>(insn >> 32))));
        continue;
      case 0xac: // xor32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(load<u32>(d) ^ load<u32>(s))));
        continue;
      case 0xc7: // arsh64 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<i64>load<u64>(d) >> <i64><u64>(<i64>insn >> 32)));
        continue;
      case 0xcf: // arsh64 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<i64>load<u64>(d) >> <i64>load<u64>(s)));
        continue;
      case 0xc4: // arsh32 imm
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(<u32>(<i32>load<u32>(d) >> <i32><u32>(insn >> 32)))));
        continue;
      case 0xcc: // arsh32 reg
        if ((load<u32>(d, KIND) != SCALAR) | (load<u32>(s, KIND) != SCALAR)) {
          status = provOther(m, d, s, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(<u32>(<i32>load<u32>(d) >> <i32>load<u32>(s)))));
        continue;
      case 0xb7: // mov64 imm
        store<u64>(d, <u64>(<i64>insn >> 32));
        store<u32>(d, SCALAR, KIND);
        continue;
      case 0xb4: // mov32 imm
        store<u64>(d, insn >> 32);
        store<u32>(d, SCALAR, KIND);
        continue;
      case 0xbf: // mov64 reg, movsx, addr_space_cast
        if (low >>> 16) {
          if (low >>> 16 == 1) {
            status = addrSpaceCast(m, d, s, <u32>(insn >> 32), low);
            if (status) break;
            continue;
          }
          if (load<u32>(s, KIND) == 0) {
            status = uninit(m, (low >>> 12) & 15);
            break;
          }
          const wide = low >>> 16;
          store<u64>(d, <u64>(wide == 8 ? <i64>load<i8>(s) : wide == 16 ? <i64>load<i16>(s) : <i64>load<i32>(s)));
          store<u32>(d, SCALAR, KIND);
          continue;
        }
        if (load<u32>(s, KIND) == SCALAR) {
          store<u64>(d, load<u64>(s));
          store<u32>(d, SCALAR, KIND);
          continue;
        }
        status = movSlow(m, d, s, low);
        if (status) break;
        continue;
      case 0xbc: // mov32 reg, movsx
        if (load<u32>(s, KIND) == 0) {
          status = uninit(m, (low >>> 12) & 15);
          break;
        }
        if (low >>> 16)
          store<u64>(d, <u64>(<u32>(low >>> 16 == 8 ? <i32>load<i8>(s) : <i32>load<i16>(s))));
        else store<u64>(d, load<u32>(s));
        store<u32>(d, SCALAR, KIND);
        continue;
      case 0x87: // neg64
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, 0 - load<u64>(d));
        continue;
      case 0x84: // neg32
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        store<u64>(d, <u64>(<u32>(0 - load<u32>(d))));
        continue;
      case 0xd4: // le
      case 0xdc: // be
      case 0xd7: { // bswap
        if (load<u32>(d, KIND) != SCALAR) {
          status = provOther(m, d, 0, low);
          if (status) break;
        }
        const value = load<u64>(d);
        const width = <u32>(insn >> 32);
        if ((low & 0xff) == 0xd4) store<u64>(d, width == 64 ? value : width == 32 ? value & 0xffffffff : value & 0xffff);
        else store<u64>(d, width == 64 ? bswap<u64>(value) : width == 32 ? <u64>bswap<u32>(<u32>value) : <u64>bswap<u16>(<u16>value));
        continue;
      }
      case 0x15: // jeq imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) == <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x1d: // jeq reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) == load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x16: // jeq32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) == <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x1e: // jeq32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) == load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x25: // jgt imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) > <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x2d: // jgt reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) > load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x26: // jgt32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) > <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x2e: // jgt32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) > load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x35: // jge imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) >= <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x3d: // jge reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) >= load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x36: // jge32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) >= <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x3e: // jge32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) >= load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x45: // jset imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if ((load<u64>(d) & <u64>(<i64>insn >> 32)) != 0) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x4d: // jset reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if ((load<u64>(d) & load<u64>(s)) != 0) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x46: // jset32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if ((load<u32>(d) & <u32>(insn >> 32)) != 0) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x4e: // jset32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if ((load<u32>(d) & load<u32>(s)) != 0) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x55: // jne imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) != <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x5d: // jne reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) != load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x56: // jne32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) != <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x5e: // jne32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) != load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x65: // jsgt imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i64>(d) > (<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x6d: // jsgt reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i64>(d) > load<i64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x66: // jsgt32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i32>(d) > <i32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x6e: // jsgt32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i32>(d) > load<i32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x75: // jsge imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i64>(d) >= (<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x7d: // jsge reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i64>(d) >= load<i64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x76: // jsge32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i32>(d) >= <i32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x7e: // jsge32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i32>(d) >= load<i32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xa5: // jlt imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) < <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xad: // jlt reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) < load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xa6: // jlt32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) < <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xae: // jlt32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) < load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xb5: // jle imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u64>(d) <= <u64>(<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xbd: // jle reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u64>(d) <= load<u64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xb6: // jle32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<u32>(d) <= <u32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xbe: // jle32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<u32>(d) <= load<u32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xc5: // jslt imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i64>(d) < (<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xcd: // jslt reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i64>(d) < load<i64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xc6: // jslt32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i32>(d) < <i32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xce: // jslt32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i32>(d) < load<i32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xd5: // jsle imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i64>(d) <= (<i64>insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xdd: // jsle reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i64>(d) <= load<i64>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xd6: // jsle32 imm
        if (load<u32>(d, KIND) == 0) {
          status = uninitOf(m, d, 0, low);
          break;
        }
        if (load<i32>(d) <= <i32>(insn >> 32)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0xde: // jsle32 reg
        if ((load<u32>(d, KIND) == 0) | (load<u32>(s, KIND) == 0)) {
          status = uninitOf(m, d, s, low);
          break;
        }
        if (load<i32>(d) <= load<i32>(s)) pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x79: { // ldx dw
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 8)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u64>(<u32>at + SHADOW_DELTA) == 0x0101010101010101
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, load<u64>(<u32>at));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x61: { // ldx w
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 4)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u32>(<u32>at + SHADOW_DELTA) == 0x01010101
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>load<u32>(<u32>at));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x69: { // ldx h
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 2)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u16>(<u32>at + SHADOW_DELTA) == 0x0101
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>load<u16>(<u32>at));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x71: { // ldx b
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 1)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u8>(<u32>at + SHADOW_DELTA) == 1
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>load<u8>(<u32>at));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x81: { // ldsx w
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 4)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u32>(<u32>at + SHADOW_DELTA) == 0x01010101
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>(<i64>load<i32>(<u32>at)));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x89: { // ldsx h
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 2)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u16>(<u32>at + SHADOW_DELTA) == 0x0101
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>(<i64>load<i16>(<u32>at)));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x91: { // ldsx b
        const at = load<i64>(s) + <i64>(<i32>low >> 16);
        if (within(s, at, 1)) {
          const kind = load<u32>(s, KIND);
          if (
            kind == PTR_TO_STACK
              ? load<u8>(<u32>at + SHADOW_DELTA) == 1
              : (kind & ANY_FLAG_BUT_RDONLY) == PTR_TO_MAP_VALUE ||
                (kind == PTR_TO_PACKET && load<u32>(s, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(d, <u64>(<i64>load<i8>(<u32>at)));
            store<u32>(d, SCALAR, KIND);
            continue;
          }
        }
        status = loadSlow(m, low, d, s);
        if (status) break;
        continue;
      }
      case 0x7b: { // stx dw
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 8) && load<u32>(s, KIND) == SCALAR) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u64>(<u32>at, load<u64>(s));
            store<u64>(<u32>at + SHADOW_DELTA, 0x0101010101010101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(<u32>at, load<u64>(s));
            continue;
          }
        }
        status = storeSlow(m, low, d, s, load<u64>(s));
        if (status) break;
        continue;
      }
      case 0x63: { // stx w
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 4) && load<u32>(s, KIND) == SCALAR) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u32>(<u32>at, load<u32>(s));
            store<u32>(<u32>at + SHADOW_DELTA, 0x01010101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u32>(<u32>at, load<u32>(s));
            continue;
          }
        }
        status = storeSlow(m, low, d, s, load<u64>(s));
        if (status) break;
        continue;
      }
      case 0x6b: { // stx h
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 2) && load<u32>(s, KIND) == SCALAR) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u16>(<u32>at, load<u16>(s));
            store<u16>(<u32>at + SHADOW_DELTA, 0x0101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u16>(<u32>at, load<u16>(s));
            continue;
          }
        }
        status = storeSlow(m, low, d, s, load<u64>(s));
        if (status) break;
        continue;
      }
      case 0x73: { // stx b
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 1) && load<u32>(s, KIND) == SCALAR) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u8>(<u32>at, load<u8>(s));
            store<u8>(<u32>at + SHADOW_DELTA, 1);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u8>(<u32>at, load<u8>(s));
            continue;
          }
        }
        status = storeSlow(m, low, d, s, load<u64>(s));
        if (status) break;
        continue;
      }
      case 0x7a: { // st dw
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 8)) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u64>(<u32>at, <u64>(<i64>insn >> 32));
            store<u64>(<u32>at + SHADOW_DELTA, 0x0101010101010101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u64>(<u32>at, <u64>(<i64>insn >> 32));
            continue;
          }
        }
        status = storeSlow(m, low, d, 0, <u64>(<i64>insn >> 32));
        if (status) break;
        continue;
      }
      case 0x62: { // st w
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 4)) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u32>(<u32>at, <u32>(insn >> 32));
            store<u32>(<u32>at + SHADOW_DELTA, 0x01010101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u32>(<u32>at, <u32>(insn >> 32));
            continue;
          }
        }
        status = storeSlow(m, low, d, 0, <u64>(<i64>insn >> 32));
        if (status) break;
        continue;
      }
      case 0x6a: { // st h
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 2)) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u16>(<u32>at, <u16>(insn >> 32));
            store<u16>(<u32>at + SHADOW_DELTA, 0x0101);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u16>(<u32>at, <u16>(insn >> 32));
            continue;
          }
        }
        status = storeSlow(m, low, d, 0, <u64>(<i64>insn >> 32));
        if (status) break;
        continue;
      }
      case 0x72: { // st b
        const at = load<i64>(d) + <i64>(<i32>low >> 16);
        if (within(d, at, 1)) {
          const kind = load<u32>(d, KIND);
          if (kind == PTR_TO_STACK) {
            store<u8>(<u32>at, <u8>(insn >> 32));
            store<u8>(<u32>at + SHADOW_DELTA, 1);
            continue;
          }
          if (
            kind == PTR_TO_MAP_VALUE ||
            (kind == PTR_TO_PACKET && load<u32>(d, AUX) == load<u32>(m, MACHINE_GENERATION))
          ) {
            store<u8>(<u32>at, <u8>(insn >> 32));
            continue;
          }
        }
        status = storeSlow(m, low, d, 0, <u64>(<i64>insn >> 32));
        if (status) break;
        continue;
      }
      case 0xc3: // atomic w
      case 0xcb: // h
      case 0xd3: // b
      case 0xdb: // dw
        status = atomicOp(m, low, d, s, regs, <u32>(insn >> 32));
        if (status) break;
        continue;
      case 0x18: // lddw
        if (pc - insns >= bytes) {
          status = fail(m, ERR_PC, 0);
          break;
        }
        if (low & 0xf000) {
          loadImm64(m, d, (low >>> 12) & 15, <u32>(insn >> 32), load<u32>(pc, 4), (pc - 8 - insns) >>> 3);
        } else {
          store<u64>(d, (insn >> 32) | (load<u64>(pc) & 0xffffffff00000000));
          store<u32>(d, SCALAR, KIND);
        }
        pc += 8;
        continue;

      case 0x05: // ja
        pc += <u32>((<i32>low >> 16) << 3);
        continue;
      case 0x06: // gotol
        pc += <u32>(insn >> 32) << 3;
        continue;
      case 0xe5: { // may_goto
        const left = load<u32>(m + (depth << 2), MACHINE_MAY_GOTO);
        if (left == 0) pc += <u32>((<i32>low >> 16) << 3);
        else store<u32>(m + (depth << 2), left - 1, MACHINE_MAY_GOTO);
        continue;
      }

      case 0x8d: // callx
        if ((load<u32>(d, KIND) & 0xff) == PTR_TO_FUNC) {
          status = call(m, code, pc - insns, load<u32>(d), depth, bytes);
          if (status) break;
          pc = insns + (load<u32>(d) << 3);
          depth += 1;
          regs += FRAME_REGS_BYTES;
          continue;
        }
        if (!gone) {
          store<u32>(m, (low >>> 8) & 15, MACHINE_ERR_REG);
          status = fail(m, ERR_CALL_TARGET, <u32>load<u32>(d));
          break;
        }
        store<i64>(m, fuel, MACHINE_FUEL);
        store<u32>(m, (pc - 8 - insns) >>> 3, MACHINE_PC);
        callHelper(m, load<u32>(d), (pc - 8 - insns) >>> 3);
        fuel = load<i64>(m, MACHINE_FUEL);
        clobberArgs(regs, gone);
        continue;

      case 0x85: { // call
        const imm = <u32>(insn >> 32);
        const kind = (low >>> 12) & 15;
        if (kind == 1) {
          const target = ((pc - insns) >>> 3) + imm;
          status = call(m, code, pc - insns, target, depth, bytes);
          if (status) break;
          pc = insns + (target << 3);
          depth += 1;
          regs += FRAME_REGS_BYTES;
          continue;
        }
        store<i64>(m, fuel, MACHINE_FUEL);
        store<u32>(m, (pc - 8 - insns) >>> 3, MACHINE_PC);
        if (kind == 0) {
          if (imm <= 3 && imm > 0) {
            status = mapHelper(m, regs, imm);
            if (status == 0) {
              clobberArgs(regs, gone);
              continue;
            }
            if (status != NOT_NATIVE) break; // else: not a map the wasm knows
            status = 0;
          } else if (imm == 12) {
            if ((load<u32>(regs, 2 * REG_BYTES + KIND) & 0xff) == CONST_PTR_TO_MAP) {
              const to: u32 =
                load<u32>(m, MACHINE_TAIL_CALLS) < <u32>MAX_TAIL_CALLS
                  ? tailTarget(load<u32>(regs, 2 * REG_BYTES), load<u32>(regs, 3 * REG_BYTES))
                  : 0;
              clobberArgs(regs, gone);
              store<u32>(regs, 0, KIND);
              if (to == 0) continue;
              store<u32>(m, load<u32>(m, MACHINE_TAIL_CALLS) + 1, MACHINE_TAIL_CALLS);
              // The frame's registers but r1 (the context) are unknown to the next program.
              memory.fill(regs, 0, 10 * REG_BYTES);
              memory.fill(m + MACHINE_SHADOW + depth * STACK_BYTES, 0, STACK_BYTES);
              setFrame(m, depth);
              store<u32>(m + (depth << 2), 0, MACHINE_LEVEL);
              code = to;
              store<u32>(m, code, MACHINE_CODE);
              setContext(m, regs);
              insns = load<u32>(code, CODE_INSNS);
              bytes = load<u32>(code, CODE_SLOTS) << 3;
              pc = insns;
              continue;
            }
          }
          callHelper(m, imm, (pc - 8 - insns) >>> 3);
        } else if (kind == 2) {
          callKfunc(m, imm, (pc - 8 - insns) >>> 3);
        } else {
          status = fail(m, ERR_BAD_INSN, 0);
          break;
        }
        fuel = load<i64>(m, MACHINE_FUEL);
        clobberArgs(regs, gone);
        continue;
      }

      case 0x20: // ld_abs w
      case 0x28:
      case 0x30:
      case 0x40: // ld_ind w
      case 0x48:
      case 0x50: {
        let offset = <u32>(insn >> 32);
        if (low & 0x40) {
          if (load<u32>(s, KIND) == 0) {
            status = uninit(m, (low >>> 12) & 15);
            break;
          }
          offset += load<u32>(s);
        }
        store<u32>(m, (pc - 8 - insns) >>> 3, MACHINE_PC);
        const size: u32 = (low & 0x18) == 0 ? 4 : (low & 0x18) == 8 ? 2 : 1;
        const found = loadPacket(m, offset, size);
        clobberArgs(regs, gone);
        store<u32>(regs, SCALAR, KIND);
        if (found) continue;
        store<u64>(regs, 0);
        pc = leave(m, depth, exitDepth);
        if (pc == 0) {
          status = STATUS_EXIT;
          break;
        }
        depth -= 1;
        regs -= FRAME_REGS_BYTES;
        code = load<u32>(m, MACHINE_CODE);
        insns = load<u32>(code, CODE_INSNS);
        bytes = load<u32>(code, CODE_SLOTS) << 3;
        pc = insns + pc;
        continue;
      }

      case 0x95: // exit
        if (depth == exitDepth) {
          if (load<u32>(regs, KIND) == 0) {
            status = uninit(m, 0);
            break;
          }
          store<i64>(m, fuel, MACHINE_FUEL);
          store<u32>(m, (pc - 8 - insns) >>> 3, MACHINE_PC);
          return STATUS_EXIT;
        }
        pc = leave(m, depth, exitDepth);
        depth -= 1;
        regs -= FRAME_REGS_BYTES;
        code = load<u32>(m, MACHINE_CODE);
        insns = load<u32>(code, CODE_INSNS);
        bytes = load<u32>(code, CODE_SLOTS) << 3;
        pc = insns + pc;
        continue;

      default:
        status = fail(m, ERR_BAD_INSN, low & 0xff);
    }
    break;
  }
  store<i64>(m, fuel, MACHINE_FUEL);
  store<u32>(m, (pc - 8 - insns) >>> 3, MACHINE_PC);
  return status;
}

/** Code block in slot `index` of a prog array; 0: none. */
function tailTarget(map: u32, index: u32): u32 {
  if (load<u32>(map, MAP_TYPE) != PROG_ARRAY || index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return load<u32>(load<u32>(map, MAP_VALUES) + (index << 3));
}

function uninit(m: u32, reg: u32): u32 {
  store<u32>(m, reg, MACHINE_ERR_REG);
  return fail(m, ERR_UNINIT_REG, 0);
}

/** r1 at entry: the run's context. */
function setContext(m: u32, regs: u32): void {
  const context = load<u32>(m, MACHINE_CONTEXT);
  const size = load<u32>(load<u32>(m, MACHINE_CODE), CODE_CONTEXT_BYTES);
  setPointer(regs + REG_BYTES, PTR_TO_CTX, context, context, context + size, 0);
}

// Division as RFC 9669 §4.1 has it: by zero gives 0, modulo zero leaves dst; MIN / -1 is MIN.
@inline
function div64(a: u64, b: u64): u64 {
  return b == 0 ? 0 : a / b;
}
@inline
function mod64(a: u64, b: u64): u64 {
  return b == 0 ? a : a % b;
}
function sdiv64(a: u64, b: u64): u64 {
  return b == 0 ? 0 : b == u64.MAX_VALUE ? 0 - a : <u64>(<i64>a / <i64>b);
}
function smod64(a: u64, b: u64): u64 {
  return b == 0 ? a : b == u64.MAX_VALUE ? 0 : <u64>(<i64>a % <i64>b);
}
@inline
function div32(a: u32, b: u32): u32 {
  return b == 0 ? 0 : a / b;
}
@inline
function mod32(a: u32, b: u32): u32 {
  return b == 0 ? a : a % b;
}
function sdiv32(a: u32, b: u32): u32 {
  return b == 0 ? 0 : b == u32.MAX_VALUE ? 0 - a : <u32>(<i32>a / <i32>b);
}
function smod32(a: u32, b: u32): u32 {
  return b == 0 ? a : b == u32.MAX_VALUE ? 0 : <u32>(<i32>a % <i32>b);
}

/** A local call: new frame with r1–r5 of the caller. `next` is the byte offset to come back to. */
function call(m: u32, code: u32, next: u32, target: u32, depth: u32, bytes: u32): u32 {
  if (!deeper(m, depth + 1)) return fail(m, ERR_CALL_DEPTH, target);
  if (target >= bytes >>> 3) return fail(m, ERR_PC, target);
  const from = m + MACHINE_FRAMES + depth * FRAME_REGS_BYTES;
  const to = from + FRAME_REGS_BYTES;
  store<u32>(to, 0, KIND);
  memory.copy(to + REG_BYTES, from + REG_BYTES, 5 * REG_BYTES);
  const kind: u32 = load<u32>(m, MACHINE_RAW) ? SCALAR : 0;
  for (let r: u32 = 6; r < 10; r++) store<u32>(to + r * REG_BYTES, kind, KIND);
  depth += 1;
  store<u32>(m + (depth << 2), next, MACHINE_RETURN);
  store<u32>(m + (depth << 2), code, MACHINE_RETURN_CODE);
  setFrame(m, depth);
  store<u32>(m, depth, MACHINE_DEPTH);
  return 0;
}

/** Back to the caller's frame: r0 handed over, r1–r5 gone, the stack forgotten. Byte offset to go on at; 0: the run is over. */
function leave(m: u32, depth: u32, exitDepth: u32): u32 {
  if (depth == exitDepth) return 0;
  const from = m + MACHINE_FRAMES + depth * FRAME_REGS_BYTES;
  const to = from - FRAME_REGS_BYTES;
  memory.copy(to, from, REG_BYTES);
  // A pointer into the frame that ends is no pointer any more.
  if ((load<u32>(to, KIND) & 0xff) == PTR_TO_STACK && load<u32>(to, AUX) >= depth) store<u32>(to, SCALAR, KIND);
  clobberArgs(to, load<u32>(m, MACHINE_RAW) ? SCALAR : 0);
  memory.fill(m + MACHINE_SHADOW + depth * STACK_BYTES, 0, STACK_BYTES);
  store<u32>(m, depth - 1, MACHINE_DEPTH);
  store<u32>(m, load<u32>(m + (depth << 2), MACHINE_RETURN_CODE), MACHINE_CODE);
  return load<u32>(m + (depth << 2), MACHINE_RETURN);
}
