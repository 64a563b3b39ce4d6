// What the interpreter's loop leaves out of line: provenance of pointer arithmetic, context accesses, spills and fills,
// arena, atomics, and the report of what went wrong. Each answers 0 or an ERR_* status of src/runtime/layout.ts.
import {
  CODE_ARENA_BASE,
  CODE_ARENA_END,
  CODE_ARENA_MAP,
  CODE_CONTEXT_BYTES,
  CODE_CONTEXT_TABLE,
  CONST_PTR_TO_MAP,
  CTX_ENTRY_BYTES,
  CTX_LEFT,
  CTX_POINTEE,
  CTX_POINTER,
  CTX_POINTER_FLAGS,
  CTX_READ_SIZES,
  CTX_WRITE_SIZES,
  ERR_ALIGNMENT,
  ERR_ATOMIC_REGION,
  ERR_BAD_INSN,
  ERR_BOUNDS,
  ERR_CONTEXT,
  ERR_NOT_POINTER,
  ERR_OPAQUE,
  ERR_READ_ONLY,
  ERR_RELEASED,
  ERR_SPECIAL_FIELD,
  ERR_STALE_PACKET,
  ERR_UNINIT_REG,
  ERR_UNINIT_STACK,
  MACHINE_CODE,
  MACHINE_DATA,
  MACHINE_DATA_END,
  MACHINE_DATA_META,
  MACHINE_DEPTH,
  MACHINE_ERR_ADDR,
  MACHINE_ERR_REG,
  MACHINE_ERR_SIZE,
  MACHINE_FRAMES,
  FRAME_REGS_BYTES,
  MACHINE_GENERATION,
  MACHINE_REF_COUNT,
  MACHINE_REFS,
  MACHINE_SHADOW,
  MACHINE_SLOTS,
  MACHINE_STACK,
  MACHINE_UNINIT_OK,
  MAP_FIELDS,
  MAP_FLAGS,
  MAP_TYPE,
  MAP_VALUE_SIZE,
  MAP_VALUES,
  NOT_INIT,
  PROV_AUX,
  PROV_BASE,
  PROV_END,
  PROV_KIND,
  PROV_RDONLY,
  PROV_SPECIAL,
  PTR_TO_ARENA,
  PTR_TO_BTF_ID,
  PTR_TO_CTX,
  PTR_TO_FUNC,
  PTR_TO_MAP_VALUE,
  PTR_TO_MEM,
  PTR_TO_PACKET,
  PTR_TO_PACKET_END,
  PTR_TO_PACKET_META,
  PTR_TO_SOCKET,
  PTR_TO_STACK,
  REG_BYTES,
  REG_PROV,
  SCALAR,
} from "../src/runtime/layout";
import { FIELD_KPTR } from "../src/runtime/maps/constants";

/** A kptr was loaded from a map value into the register at `register` of the machine: the host knows what it points to. */
@external("kernel", "loadKptr")
declare function loadKptr(machine: u32, register: u32, address: u32): void;

/** A field of the kernel's `struct bpf_map` into the register; 0: there is no such field. */
@external("kernel", "loadMapField")
declare function loadMapField(machine: u32, register: u32, map: u32, offset: u32, size: u32): u32;

/** Offsets of a register's provenance from the register. */
export const KIND: u32 = REG_PROV + PROV_KIND;
export const BASE: u32 = REG_PROV + PROV_BASE;
export const END: u32 = REG_PROV + PROV_END;
export const AUX: u32 = REG_PROV + PROV_AUX;

const SHADOW_DELTA: u32 = MACHINE_SHADOW - MACHINE_STACK;
const DATA: u8 = 1;
const SPILLED: u64 = 0x0202020202020202;
/** BPF_MAP_TYPE_ARENA, BPF_F_RDONLY_PROG. */
const TYPE_ARENA: u32 = 33;
const RDONLY_PROG: u32 = 0x80;

/** Notes the address a failure is about. */
export function fail(m: u32, status: u32, address: u64): u32 {
  store<u64>(m, address, MACHINE_ERR_ADDR);
  return status;
}

function failAt(m: u32, status: u32, reg: u32, address: u64, size: u32): u32 {
  store<u32>(m, reg, MACHINE_ERR_REG);
  store<u32>(m, size, MACHINE_ERR_SIZE);
  return fail(m, status, address);
}

export function setScalar(r: u32, value: u64): void {
  store<u64>(r, value);
  store<u32>(r, SCALAR, KIND);
}

export function setPointer(r: u32, kind: u32, value: u64, base: u32, end: u32, aux: u32): void {
  store<u64>(r, value);
  store<u32>(r, kind, KIND);
  store<u32>(r, base, BASE);
  store<u32>(r, end, END);
  store<u32>(r, aux, AUX);
}

function copyProvenance(to: u32, from: u32): void {
  store<u64>(to, load<u64>(from, REG_PROV), REG_PROV);
  store<u64>(to, load<u64>(from, REG_PROV + 8), REG_PROV + 8);
}

function initialised(m: u32, d: u32, s: u32, low: u32): u32 {
  if (load<u32>(d, KIND) == NOT_INIT) return failAt(m, ERR_UNINIT_REG, (low >>> 8) & 15, 0, 0);
  if (s != 0 && load<u32>(s, KIND) == NOT_INIT) return failAt(m, ERR_UNINIT_REG, (low >>> 12) & 15, 0, 0);
  return 0;
}

/** Which of a conditional jump's registers is not readable. */
export function uninitOf(m: u32, d: u32, s: u32, low: u32): u32 {
  return initialised(m, d, s, low);
}

/** Does adding a number to such a pointer leave a pointer? */
function movable(kind: u32): bool {
  const k = kind & 0xff;
  return k != SCALAR && k != CONST_PTR_TO_MAP && k != PTR_TO_PACKET_END && k != PTR_TO_FUNC;
}

/** `dst += src` (64 bits; `s` 0: an immediate). */
export function provAdd(m: u32, d: u32, s: u32, low: u32): u32 {
  const status = initialised(m, d, s, low);
  if (status) return status;
  const dk = load<u32>(d, KIND);
  const sk = s == 0 ? SCALAR : load<u32>(s, KIND);
  if ((sk & 0xff) == SCALAR) {
    // Adding zero is fine with every pointer.
    if (!movable(dk) && (s == 0 || load<u64>(s) != 0)) store<u32>(d, SCALAR, KIND);
  } else if ((dk & 0xff) == SCALAR && (movable(sk) || load<u64>(d) == 0)) {
    copyProvenance(d, s);
  } else {
    store<u32>(d, SCALAR, KIND);
  }
  return 0;
}

/** `dst -= src`. */
export function provSub(m: u32, d: u32, s: u32, low: u32): u32 {
  const status = initialised(m, d, s, low);
  if (status) return status;
  const sk = s == 0 ? SCALAR : load<u32>(s, KIND) & 0xff;
  if (sk != SCALAR || !movable(load<u32>(d, KIND))) store<u32>(d, SCALAR, KIND);
  return 0;
}

/** Every other operation gives a number. */
export function provOther(m: u32, d: u32, s: u32, low: u32): u32 {
  const status = initialised(m, d, s, low);
  if (status) return status;
  store<u32>(d, SCALAR, KIND);
  return 0;
}

/** `dst = src` where src is no plain number. */
export function movSlow(m: u32, d: u32, s: u32, low: u32): u32 {
  if (load<u32>(s, KIND) == NOT_INIT) return failAt(m, ERR_UNINIT_REG, (low >>> 12) & 15, 0, 0);
  store<u64>(d, load<u64>(s));
  copyProvenance(d, s);
  return 0;
}

/** A wide load of something resolved at load time: BPF_PSEUDO_* in `src`. */
export function loadImm64(m: u32, d: u32, src: u32, imm: u32, next: u32, slot: u32): void {
  switch (src) {
    case 1: // map: the header
      setPointer(d, CONST_PTR_TO_MAP, imm, imm, imm, 0);
      return;
    case 2: {
      // value of the map whose header is in the second slot
      if (load<u32>(next, MAP_TYPE) == TYPE_ARENA) {
        arenaPointer(m, d, imm);
        return;
      }
      const base = load<u32>(next, MAP_VALUES);
      let kind: u32 = PTR_TO_MAP_VALUE;
      if (load<u32>(next, MAP_FLAGS) & RDONLY_PROG) kind |= PROV_RDONLY;
      if (load<u32>(next, MAP_FIELDS)) kind |= PROV_SPECIAL;
      setPointer(d, kind, imm, base, base + load<u32>(next, MAP_VALUE_SIZE), next);
      return;
    }
    case 3: // kernel variable: address, size behind it
      if (imm == 0) setScalar(d, 0);
      else setPointer(d, PTR_TO_MEM | PROV_RDONLY, imm, imm, imm + next, 0);
      return;
    case 4: // function: slot relative to the next instruction
      setPointer(d, PTR_TO_FUNC, slot + imm + 1, 0, 0, 0);
      return;
    default:
      setScalar(d, ((<u64>next) << 32) | imm);
  }
}

function arenaPointer(m: u32, d: u32, value: u32): void {
  const code = load<u32>(m, MACHINE_CODE);
  setPointer(
    d,
    PTR_TO_ARENA,
    value,
    load<u32>(code, CODE_ARENA_BASE),
    load<u32>(code, CODE_ARENA_END),
    load<u32>(code, CODE_ARENA_MAP),
  );
}

/** `addr_space_cast`: 1 → 0 makes an arena pointer of the low half, 0 → 1 the number a user would see. */
export function addrSpaceCast(m: u32, d: u32, s: u32, imm: u32, low: u32): u32 {
  if (load<u32>(s, KIND) == NOT_INIT) return failAt(m, ERR_UNINIT_REG, (low >>> 12) & 15, 0, 0);
  const value = load<u32>(s);
  if (imm == 1) arenaPointer(m, d, value);
  else setScalar(d, value);
  return 0;
}

/** May `size` bytes at `address` be used through register `r`? Not for the context, the stack's bytes or the arena. */
function check(m: u32, r: u32, reg: u32, address: i64, size: u32, write: bool): u32 {
  const word = load<u32>(r, KIND);
  const kind = word & 0xff;
  let status: u32 = 0;
  if (kind == NOT_INIT) status = ERR_UNINIT_REG;
  else if (kind == SCALAR || kind == CONST_PTR_TO_MAP || kind == PTR_TO_FUNC || kind == PTR_TO_PACKET_END)
    status = ERR_NOT_POINTER;
  else if (kind == PTR_TO_CTX) status = ERR_CONTEXT;
  else if (
    (kind == PTR_TO_PACKET || kind == PTR_TO_PACKET_META) &&
    load<u32>(r, AUX) != load<u32>(m, MACHINE_GENERATION)
  )
    status = ERR_STALE_PACKET;
  else if (kind == PTR_TO_MEM || kind == PTR_TO_SOCKET || kind == PTR_TO_BTF_ID) {
    const ref = load<u32>(r, AUX);
    if (ref != 0 && ref < load<u32>(m, MACHINE_REF_COUNT) && load<u8>(load<u32>(m, MACHINE_REFS) + ref) == 0)
      status = ERR_RELEASED;
    else if (kind == PTR_TO_BTF_ID && load<u32>(r, BASE) == load<u32>(r, END)) status = ERR_OPAQUE;
  }
  if (status == 0) {
    if (address < <i64>load<u32>(r, BASE) || address + size > <i64>load<u32>(r, END) || address > 0xffffffff)
      status = ERR_BOUNDS;
    else if (write && word & PROV_RDONLY) status = ERR_READ_ONLY;
    else if (word & PROV_SPECIAL && specialField(r, <u32>address, size)) status = ERR_SPECIAL_FIELD;
  }
  return status ? failAt(m, status, reg, address, size) : 0;
}

/** Entry of MAP_FIELDS that [address, address+size) of a map value overlaps; 0: none. */
function specialField(r: u32, address: u32, size: u32): u32 {
  const map = load<u32>(r, AUX);
  const fields = map ? load<u32>(map, MAP_FIELDS) : 0;
  if (fields == 0) return 0;
  const offset = address - load<u32>(r, BASE);
  const count = load<u32>(fields);
  for (let i: u32 = 0, entry = fields + 4; i < count; i++, entry += 12) {
    const start = load<u32>(entry);
    if (offset < start + load<u32>(entry, 4) && offset + size > start) return entry;
  }
  return 0;
}

/** Are all these stack bytes written? Unwritten ones read as zero where the machine allows it. */
function stackReadable(m: u32, reg: u32, address: u32, size: u32): u32 {
  for (let at = address; at < address + size; at++) {
    if (load<u8>(at + SHADOW_DELTA)) continue;
    if (!load<u32>(m, MACHINE_UNINIT_OK)) return failAt(m, ERR_UNINIT_STACK, reg, at, size);
    store<u8>(at, 0);
    store<u8>(at + SHADOW_DELTA, DATA);
  }
  return 0;
}

/**
 * For helpers: may register `reg` of the running frame be read (mode 0), written (1) or filled (2: need not be
 * initialised before) for `size` bytes? Written stack bytes count as initialised. Mode + 4 takes fields of the kernel's
 * in map values, too.
 */
export function checkMemory(m: u32, reg: u32, size: u32, mode: u32): u32 {
  const r = m + MACHINE_FRAMES + load<u32>(m, MACHINE_DEPTH) * FRAME_REGS_BYTES + reg * REG_BYTES;
  const address = load<i64>(r);
  if (size == 0) return load<u32>(r, KIND) == NOT_INIT ? failAt(m, ERR_UNINIT_REG, reg, 0, 0) : 0;
  if ((load<u32>(r, KIND) & 0xff) == PTR_TO_ARENA) return failAt(m, ERR_NOT_POINTER, reg, address, size);
  const ownFields = mode >= 4; // the caller has looked at the fields itself
  mode &= 3;
  const status = check(m, r, reg, address, size, mode != 0);
  if (status && !(ownFields && status == ERR_SPECIAL_FIELD)) return status;
  if ((load<u32>(r, KIND) & 0xff) == PTR_TO_STACK) {
    if (mode == 2) memory.fill(<u32>address + SHADOW_DELTA, DATA, size);
    else {
      const read = stackReadable(m, reg, <u32>address, size);
      if (read) return read;
      if (mode == 1) memory.fill(<u32>address + SHADOW_DELTA, DATA, size);
    }
  }
  return 0;
}

function contextEntry(m: u32, r: u32, address: i64): u32 {
  const code = load<u32>(m, MACHINE_CODE);
  const offset = address - <i64>load<u32>(r, BASE);
  if (offset < 0 || offset >= <i64>load<u32>(code, CODE_CONTEXT_BYTES)) return 0;
  return load<u32>(code, CODE_CONTEXT_TABLE) + <u32>offset * CTX_ENTRY_BYTES;
}

function loadContext(m: u32, d: u32, s: u32, reg: u32, address: i64, size: u32, signed: bool): u32 {
  const entry = contextEntry(m, s, address);
  if (entry == 0 || (load<u8>(entry, CTX_READ_SIZES) & size) == 0 || size > load<u16>(entry, CTX_LEFT))
    return failAt(m, ERR_CONTEXT, reg, address, size);
  const value = read(<u32>address, size, signed);
  const pointer: u32 = load<u8>(entry, CTX_POINTER);
  if (pointer == 0) setScalar(d, value);
  else if (pointer == PTR_TO_PACKET)
    setPointer(
      d,
      pointer,
      value,
      load<u32>(m, MACHINE_DATA),
      load<u32>(m, MACHINE_DATA_END),
      load<u32>(m, MACHINE_GENERATION),
    );
  else if (pointer == PTR_TO_PACKET_META)
    setPointer(
      d,
      pointer,
      value,
      load<u32>(m, MACHINE_DATA_META),
      load<u32>(m, MACHINE_DATA),
      load<u32>(m, MACHINE_GENERATION),
    );
  else if (pointer == PTR_TO_PACKET_END)
    setPointer(d, pointer, value, <u32>value, <u32>value, load<u32>(m, MACHINE_GENERATION));
  else if (value == 0) setScalar(d, 0);
  else
    setPointer(
      d,
      pointer | (load<u8>(entry, CTX_POINTER_FLAGS) ? PROV_RDONLY : 0),
      value,
      <u32>value,
      <u32>value + load<u16>(entry, CTX_POINTEE),
      0,
    );
  return 0;
}

function read(address: u32, size: u32, signed: bool): u64 {
  if (size == 8) return load<u64>(address);
  if (size == 4) return signed ? <u64>load<i32>(address) : <u64>load<u32>(address);
  if (size == 2) return signed ? <u64>(<i64>load<i16>(address)) : <u64>load<u16>(address);
  return signed ? <u64>(<i64>load<i8>(address)) : <u64>load<u8>(address);
}

function write(address: u32, size: u32, value: u64): void {
  if (size == 8) store<u64>(address, value);
  else if (size == 4) store<u32>(address, <u32>value);
  else if (size == 2) store<u16>(address, <u16>value);
  else store<u8>(address, <u8>value);
}

function sizeOf(low: u32): u32 {
  const code = low & 0x18;
  return code == 0x18 ? 8 : code == 0 ? 4 : code == 8 ? 2 : 1;
}

/** Loads that the loop did not finish: context, spilled pointers, arena, memory with references; and what is wrong. */
export function loadSlow(m: u32, low: u32, d: u32, s: u32): u32 {
  return loadFrom(m, low, d, s, sizeOf(low), (low & 0xe0) == 0x80);
}

function loadFrom(m: u32, low: u32, d: u32, s: u32, size: u32, signed: bool): u32 {
  const reg = (low >>> 12) & 15;
  const address = load<i64>(s) + <i64>(<i32>low >> 16);
  const kind = load<u32>(s, KIND) & 0xff;
  if (kind == PTR_TO_CTX) return loadContext(m, d, s, reg, address, size, signed);
  if (kind == PTR_TO_ARENA) {
    // As in Linux: reads of pages that are not there give zero.
    const at = <u32>address;
    const there = at >= load<u32>(s, BASE) && at <= load<u32>(s, END) - size;
    setScalar(d, there ? read(at, size, signed) : 0);
    return 0;
  }
  if (kind == CONST_PTR_TO_MAP) {
    const map = load<u32>(s, BASE);
    if (loadMapField(m, d - m, map, <u32>address - map, size)) {
      store<u32>(d, SCALAR, KIND);
      return 0;
    }
  }
  let status = check(m, s, reg, address, size, false);
  if (status == ERR_SPECIAL_FIELD && size == 8 && load<u32>(specialField(s, <u32>address, size), 8) == FIELD_KPTR) {
    setScalar(d, load<u64>(<u32>address));
    loadKptr(m, d - m, <u32>address);
    return 0;
  }
  if (status) return status;
  const at = <u32>address;
  if (kind == PTR_TO_STACK) {
    if (size == 8 && (at & 7) == 0 && load<u64>(at + SHADOW_DELTA) == SPILLED) {
      const slot = slotOf(m, at);
      store<u64>(d, load<u64>(at));
      store<u64>(d, load<u64>(slot), REG_PROV);
      store<u64>(d, load<u64>(slot, 8), REG_PROV + 8);
      return 0;
    }
    status = stackReadable(m, reg, at, size);
    if (status) return status;
  }
  setScalar(d, read(at, size, signed));
  return 0;
}

function slotOf(m: u32, address: u32): u32 {
  return m + MACHINE_SLOTS + ((address - m - MACHINE_STACK) << 1); // 16 bytes for each 8
}

/** Stores that the loop did not finish. `s` 0: `value` is an immediate. */
export function storeSlow(m: u32, low: u32, d: u32, s: u32, value: u64): u32 {
  return storeTo(m, low, d, s, value, sizeOf(low));
}

function storeTo(m: u32, low: u32, d: u32, s: u32, value: u64, size: u32): u32 {
  const status = initialised(m, d, s, low);
  if (status) return status;
  const reg = (low >>> 8) & 15;
  const address = load<i64>(d) + <i64>(<i32>low >> 16);
  const kind = load<u32>(d, KIND) & 0xff;
  if (kind == PTR_TO_CTX) {
    const entry = contextEntry(m, d, address);
    if (entry == 0 || (load<u8>(entry, CTX_WRITE_SIZES) & size) == 0 || size > load<u16>(entry, CTX_LEFT))
      return failAt(m, ERR_CONTEXT, reg, address, size);
    const flags: u32 = load<u8>(entry, CTX_POINTER_FLAGS);
    // Linux compares the register unsigned, an immediate signed.
    if ((flags & 4) != 0 && (s != 0 ? value >= 0xffff : <i64>value >= 0xffff)) return 0;
    write(<u32>address, size, flags & 2 ? value & 0xffff : value);
    return 0;
  }
  if (kind == PTR_TO_ARENA) {
    const at = <u32>address;
    if (at >= load<u32>(d, BASE) && at <= load<u32>(d, END) - size) write(at, size, value);
    return 0;
  }
  const refused = check(m, d, reg, address, size, true);
  if (refused) return refused;
  const at = <u32>address;
  write(at, size, value);
  if (kind == PTR_TO_STACK) {
    if (s != 0 && size == 8 && (at & 7) == 0 && (load<u32>(s, KIND) & 0xff) != SCALAR) {
      const slot = slotOf(m, at);
      store<u64>(slot, load<u64>(s, REG_PROV));
      store<u64>(slot, load<u64>(s, REG_PROV + 8), 8);
      store<u64>(at + SHADOW_DELTA, SPILLED);
    } else {
      memory.fill(at + SHADOW_DELTA, DATA, size);
    }
  }
  return 0;
}

/** BPF_ATOMIC: `op` is the instruction's imm (RFC 9669 §5.3, and Linux' load-acquire 0x100, store-release 0x110). */
export function atomicOp(m: u32, low: u32, d: u32, s: u32, regs: u32, op: u32): u32 {
  const size = sizeOf(low);
  if (op == 0x100) return aligned(m, s, low, (low >>> 12) & 15, size) || loadFrom(m, low, d, s, size, false);
  if (op == 0x110)
    return aligned(m, d, low, (low >>> 8) & 15, size) || storeTo(m, low, d, s, load<u64>(s), size);
  if (size < 4) return fail(m, ERR_BAD_INSN, op);
  let status = initialised(m, d, s, low);
  if (status) return status;
  const reg = (low >>> 8) & 15;
  const address = load<i64>(d) + <i64>(<i32>low >> 16);
  const kind = load<u32>(d, KIND) & 0xff;
  if (kind == PTR_TO_CTX || kind == PTR_TO_PACKET || kind == PTR_TO_PACKET_META || kind == PTR_TO_SOCKET)
    return failAt(m, ERR_ATOMIC_REGION, reg, address, size);
  const at = <u32>address;
  let there = true;
  if (kind == PTR_TO_ARENA) there = at >= load<u32>(d, BASE) && at <= load<u32>(d, END) - size;
  else {
    status = check(m, d, reg, address, size, true);
    if (status) return status;
  }
  status = aligned(m, d, low, reg, size);
  if (status) return status;
  if (kind == PTR_TO_STACK) {
    status = stackReadable(m, reg, at, size);
    if (status) return status;
    memory.fill(at + SHADOW_DELTA, DATA, size);
  }
  const old = there ? read(at, size, false) : 0;
  const operand = load<u64>(s);
  let value: u64 = operand;
  switch (op & 0xfe) {
    case 0x00:
      value = old + operand;
      break;
    case 0x40:
      value = old | operand;
      break;
    case 0x50:
      value = old & operand;
      break;
    case 0xa0:
      value = old ^ operand;
      break;
    case 0xe0:
      break;
    case 0xf0: {
      if (load<u32>(regs, KIND) == NOT_INIT) return failAt(m, ERR_UNINIT_REG, 0, 0, 0);
      const expected = size == 4 ? <u64>load<u32>(regs) : load<u64>(regs);
      if (expected != old) value = old;
      if (there) write(at, size, value);
      setScalar(regs, old);
      return 0;
    }
    default:
      return fail(m, ERR_BAD_INSN, op);
  }
  if (there) write(at, size, value);
  if (op & 1) setScalar(s, old);
  return 0;
}

function aligned(m: u32, r: u32, low: u32, reg: u32, size: u32): u32 {
  const address = load<u64>(r) + <i64>(<i32>low >> 16);
  return <u32>address & (size - 1) ? failAt(m, ERR_ALIGNMENT, reg, address, size) : 0;
}
