import type { Diagnostic } from "../base/index.ts";
import { ADDR_SPACE_CAST, ALU_END, ALU_NEG, ALU_OPS, MOVSX_WIDTHS, SWAP_OPS, SWAP_WIDTHS } from "./alu.ts";
import { ATOMIC_OPS, atomicRow } from "./atomic.ts";
import {
  accessBytes,
  classOf,
  functionStarts,
  functionTarget,
  isAlu,
  isAtomic,
  isFunctionLoad,
  isJump,
  isJumpClass,
  isLocalCall,
  isWide,
  jumpTarget,
  slotsOf,
  writtenRegister,
} from "./classify.ts";
import type { InsnTable } from "./insn-table.ts";
import { JMP_OPS, JmpCode } from "./jmp.ts";
import {
  Class,
  CODE_MASK,
  FRAME_POINTER,
  MODE_MASK,
  Mode,
  NUM_REGISTERS,
  Opcode,
  PseudoCall,
  PseudoLoad,
  Size,
  SOURCE_X,
} from "./opcode.ts";

/** What to allow beyond Linux. */
export interface StructureOptions {
  /** Take `callx` (call the helper or function whose number is in `dst`) for an instruction. Default false, as Linux. */
  readonly callx?: boolean;
}

/**
 * What is wrong with a program's form, in the order in which Linux looks; empty when nothing is. An engine may run a
 * program without findings without ever leaving its instructions or its registers: every opcode is known, every jump
 * and local call lands on an instruction, every function ends in `exit` or a jump.
 *
 * What depends on values or on the kernel (reachability, division by an immediate 0, shifts by an immediate too large,
 * helper ids, map descriptors) is the verifier's; engines give the first two the meaning RFC 9669 gives them.
 * @see kernel/bpf/verifier.c @ v6.18: `add_subprog_and_kfunc`, `check_subprogs`, `resolve_pseudo_ldimm64`, `check_cfg`,
 * and the `uses reserved fields` tests of `do_check`
 */
export function checkStructure(insns: InsnTable, options: StructureOptions = {}): Diagnostic[] {
  if (insns.length === 0) {
    const hint = "a program needs at least 'r0 = 0' and 'exit'";
    return [{ code: "isa/empty", message: "the program has no instructions", hint }];
  }
  const known = (opcode: number) => KNOWN.has(opcode) || (options.callx === true && opcode === Opcode.CALLX);
  return [
    ...checkFunctions(insns),
    ...checkInstructions(insns, known),
    ...checkLandings(insns),
    ...checkFields(insns, known),
  ];
}

/** True for opcodes Linux 6.18 knows (`kernel/bpf/core.c`, `bpf_opcode_in_insntable`); `callx` is not one of them. */
export function isKnownOpcode(opcode: number): boolean {
  return KNOWN.has(opcode);
}

const KNOWN: ReadonlySet<number> = new Set(knownOpcodes());

function knownOpcodes(): number[] {
  const known: number[] = [Opcode.LDDW, Opcode.JA, Opcode.JA32, Opcode.CALL, Opcode.EXIT, Opcode.JCOND];
  for (const klass of [Class.ALU, Class.ALU64]) {
    known.push(klass | ALU_NEG);
    for (const { code } of Object.values(ALU_OPS)) known.push(klass | code, klass | code | SOURCE_X);
  }
  for (const klass of [Class.JMP, Class.JMP32]) {
    for (const { code } of Object.values(JMP_OPS)) known.push(klass | code, klass | code | SOURCE_X);
  }
  for (const { opcode } of Object.values(SWAP_OPS)) known.push(opcode);
  for (const size of Object.values(Size)) {
    for (const klass of [Class.LDX, Class.ST, Class.STX]) known.push(klass | Mode.MEM | size);
    known.push(Class.STX | Mode.ATOMIC | size);
    if (size === Size.DW) continue;
    known.push(Class.LDX | Mode.MEMSX | size, Class.LD | Mode.ABS | size, Class.LD | Mode.IND | size);
  }
  return known;
}

/**
 * Local calls go inside the program, jumps stay inside their function, no function runs into the next. Second slots of
 * wide loads are looked at too, as Linux does: in a sound program they hold no opcode.
 */
function checkFunctions(insns: InsnTable): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (let slot = 0; slot < insns.length; slot++) {
    if (!isLocalCall(insns, slot) && !isFunctionLoad(insns, slot)) continue;
    const target = functionTarget(insns, slot);
    if (target >= 0 && target < insns.length) continue;
    const hint = `the program has slots 0 to ${insns.length - 1}, the function would be at ${target}`;
    found.push({ code: "isa/bad-call", message: "call to invalid destination", insn: slot, hint });
  }
  const starts = functionStarts(insns);
  for (let index = 0; index < starts.length; index++) {
    checkFunction(insns, starts[index], starts[index + 1] ?? insns.length, found);
  }
  return found;
}

function checkFunction(insns: InsnTable, start: number, end: number, found: Diagnostic[]): void {
  for (let slot = start; slot < end; slot++) {
    if (!isJump(insns.opcode[slot])) continue;
    const target = jumpTarget(insns, slot);
    if (target >= start && target < end) continue;
    const message = `jump out of range from insn ${slot} to ${target}`;
    const hint = `jump inside the function, slots ${start} to ${end - 1}`;
    found.push({ code: "isa/bad-jump", message, insn: slot, hint });
  }
  const last = insns.opcode[end - 1];
  if (last === Opcode.EXIT || last === Opcode.JA || last === Opcode.JA32) return;
  const hint = `end the function that starts at slot ${start} with 'exit'`;
  found.push({ code: "isa/no-exit", message: "last insn is not an exit or jmp", insn: end - 1, hint });
}

/** Opcodes, loads' modes, and the second slot of each wide load. */
function checkInstructions(insns: InsnTable, known: (opcode: number) => boolean): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    const opcode = insns.opcode[slot];
    const mode = opcode & MODE_MASK;
    if (
      classOf(opcode) === Class.LDX &&
      ((mode !== Mode.MEM && mode !== Mode.MEMSX) || insns.imm[slot] !== 0)
    ) {
      found.push(reserved("BPF_LDX", slot));
    } else if (isWide(opcode)) {
      checkWide(insns, slot, found);
    } else if (!known(opcode)) {
      const message = `unknown opcode ${opcode.toString(16).padStart(2, "0")}`;
      const hint = opcode === Opcode.CALLX ? "Linux has no callx; call the function directly" : undefined;
      found.push({
        code: "isa/unknown-opcode",
        message,
        insn: slot,
        ...(hint === undefined ? {} : { hint }),
      });
    }
  }
  return found;
}

function checkWide(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  const next = slot + 1;
  const code = "isa/bad-lddw";
  if (
    next >= insns.length ||
    (insns.opcode[next] | insns.dst[next] | insns.src[next] | insns.off[next]) !== 0
  ) {
    const hint = "a 64-bit load takes two slots; of the second only imm may be set";
    found.push({ code, message: "invalid bpf_ld_imm64 insn", insn: slot, hint });
    return;
  }
  const src = insns.src[slot];
  const mapWithOffset = (src === PseudoLoad.MAP_FD || src === PseudoLoad.MAP_IDX) && insns.imm[next] !== 0;
  if (src <= PseudoLoad.MAP_IDX_VALUE && !mapWithOffset) return;
  const hint = mapWithOffset ? "a map's address takes no offset" : "src is 0 to 6";
  found.push({ code, message: "unrecognized bpf_ld_imm64 insn", insn: slot, hint });
}

/** No jump and no call lands in the second half of a wide load. */
function checkLandings(insns: InsnTable): Diagnostic[] {
  const second = new Uint8Array(insns.length);
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    if (isWide(insns.opcode[slot]) && slot + 1 < insns.length) second[slot + 1] = 1;
  }
  const found: Diagnostic[] = [];
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    const goes = isJump(insns.opcode[slot]);
    if (!goes && !isLocalCall(insns, slot) && !isFunctionLoad(insns, slot)) continue;
    const target = goes ? jumpTarget(insns, slot) : functionTarget(insns, slot);
    if (target < 0 || target >= insns.length || second[target] === 0) continue;
    const message = `jump into the middle of ldimm64 insn ${target - 1}`;
    const hint = `insn ${slot} goes to the second slot of a 64-bit load; go to slot ${target - 1} or ${target + 1}`;
    found.push({ code: "isa/bad-jump", message, insn: slot, hint });
  }
  return found;
}

/** Fields that must be zero, and registers. Instructions with an unknown opcode are left to {@link checkInstructions}. */
function checkFields(insns: InsnTable, known: (opcode: number) => boolean): Diagnostic[] {
  const found: Diagnostic[] = [];
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    const opcode = insns.opcode[slot];
    if (!known(opcode)) continue;
    if (isAlu(opcode)) checkAlu(insns, slot, found);
    else if (isJumpClass(opcode)) checkJump(insns, slot, found);
    else checkMemory(insns, slot, found);
    checkRegisters(insns, slot, found);
  }
  return found;
}

function checkAlu(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  const opcode = insns.opcode[slot];
  const src = insns.src[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  const code = opcode & CODE_MASK;
  const register = (opcode & SOURCE_X) !== 0;
  if (code === ALU_NEG) {
    if (src !== 0 || off !== 0 || imm !== 0) found.push(reserved("BPF_NEG", slot));
  } else if (code === ALU_END) {
    if (src !== 0 || off !== 0 || !SWAP_WIDTHS.includes(imm)) found.push(reserved("BPF_END", slot));
  } else if (code === ALU_OPS.mov.code && isAddrSpaceCast(insns, slot)) {
    if (imm === 1 || imm === 1 << 16) return;
    const message = "addr_space_cast insn can only convert between address space 1 and 0";
    found.push({ code: "isa/reserved", message, insn: slot, hint: "imm is 0x1 or 0x10000" });
  } else if (code === ALU_OPS.mov.code) {
    if (!(register ? movRegisterFieldsOk(opcode, off, imm) : src === 0 && off === 0))
      found.push(reserved("BPF_MOV", slot));
  } else {
    const signable = code === ALU_OPS.div.code || code === ALU_OPS.mod.code;
    const offOk = off === 0 || (off === 1 && signable);
    if (!offOk || (register ? imm !== 0 : src !== 0)) found.push(reserved("BPF_ALU", slot));
  }
}

function movRegisterFieldsOk(opcode: number, off: number, imm: number): boolean {
  const wide = classOf(opcode) === Class.ALU64;
  if (imm !== 0) return false;
  return off === 0 || (MOVSX_WIDTHS.includes(off) && (wide || off !== 32));
}

function isAddrSpaceCast(insns: InsnTable, slot: number): boolean {
  const opcode = Class.ALU64 | ALU_OPS.mov.code | SOURCE_X;
  return insns.opcode[slot] === opcode && insns.off[slot] === ADDR_SPACE_CAST;
}

function checkJump(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  const opcode = insns.opcode[slot];
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  const operand = (opcode & SOURCE_X) !== 0 ? imm : src; // the one a comparison does not use
  switch (opcode & CODE_MASK) {
    case JmpCode.CALL:
      if (opcode === Opcode.CALLX) {
        if (src !== 0 || off !== 0 || imm !== 0) found.push(reserved("BPF_CALL", slot));
      } else if (dst !== 0 || src > PseudoCall.KFUNC || (off !== 0 && src !== PseudoCall.KFUNC)) {
        found.push(reserved("BPF_CALL", slot));
      }
      return;
    case JmpCode.JA:
      if (dst !== 0 || src !== 0 || (opcode === Opcode.JA ? imm : off) !== 0)
        found.push(reserved("BPF_JA", slot));
      return;
    case JmpCode.EXIT:
      if (dst !== 0 || src !== 0 || imm !== 0) found.push(reserved("BPF_EXIT", slot));
      return;
    case JmpCode.JCOND:
      if (dst !== 0 || src !== 0 || imm !== 0) {
        found.push({
          code: "isa/reserved",
          message: `invalid may_goto imm ${imm}`,
          insn: slot,
          hint: "only off may be set",
        });
      }
      return;
    default:
      if (operand !== 0) found.push(reserved("BPF_JMP/JMP32", slot));
  }
}

function checkMemory(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  const opcode = insns.opcode[slot];
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const off = insns.off[slot];
  if (isWide(opcode)) {
    if (off !== 0) found.push(reserved("BPF_LD_IMM64", slot));
  } else if (classOf(opcode) === Class.LD) {
    if (dst !== 0 || off !== 0 || ((opcode & MODE_MASK) === Mode.ABS && src !== 0)) {
      found.push(reserved("BPF_LD_[ABS|IND]", slot));
    }
  } else if (classOf(opcode) === Class.ST) {
    if (src !== 0) found.push(reserved("BPF_ST", slot));
  } else if (isAtomic(opcode)) {
    checkAtomic(insns, slot, found);
  } else if (classOf(opcode) === Class.STX) {
    if (insns.imm[slot] !== 0) found.push(reserved("BPF_STX", slot));
  }
}

function checkAtomic(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  const imm = insns.imm[slot];
  const row = atomicRow(imm);
  const code = "isa/bad-atomic";
  if (row === undefined) {
    const message = `BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, "0")}`;
    const known = Object.values(ATOMIC_OPS).map((op) => `0x${op.imm.toString(16)}`);
    found.push({ code, message, insn: slot, hint: `imm is one of ${known.join(", ")}` });
  } else if (accessBytes(insns.opcode[slot]) < 4 && !row.narrow) {
    const hint = "this operation works on 4 and 8 bytes";
    found.push({ code, message: "invalid atomic operand size", insn: slot, hint });
  }
}

function checkRegisters(insns: InsnTable, slot: number, found: Diagnostic[]): void {
  for (const register of new Set([insns.src[slot], insns.dst[slot]])) {
    // An lddw's src is no register, but its meanings end below r11; a wrong one has been reported.
    if (register < NUM_REGISTERS || (isWide(insns.opcode[slot]) && register !== insns.dst[slot])) continue;
    const hint = "registers are r0 to r10";
    found.push({ code: "isa/bad-register", message: `R${register} is invalid`, insn: slot, hint });
  }
  if (writtenRegister(insns, slot) !== FRAME_POINTER) return;
  const hint = "copy r10 to another register and change the copy";
  found.push({ code: "isa/frame-pointer", message: "frame pointer is read only", insn: slot, hint });
}

function reserved(what: string, slot: number): Diagnostic {
  const hint = "set the fields this instruction does not use to 0";
  return { code: "isa/reserved", message: `${what} uses reserved fields`, insn: slot, hint };
}
