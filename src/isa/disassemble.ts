/** Text of instructions in LLVM's BPF syntax: one algorithm, a printer for each instruction class. */
import {
  ADDR_SPACE_CAST,
  ALU_NEG,
  ALU_OPS,
  type AluRow,
  MOVSX_WIDTHS,
  SWAP_OPS,
  SWAP_WIDTHS,
} from "./alu.ts";
import { atomicRow } from "./atomic.ts";
import { classOf, functionTarget, isWide, jumpTarget, wideImm } from "./classify.ts";
import type { InsnTable } from "./insn-table.ts";
import { JMP_OPS, type JmpRow } from "./jmp.ts";
import { sizeRow } from "./mem.ts";
import {
  Class,
  CODE_MASK,
  MODE_MASK,
  Mode,
  Opcode,
  PseudoCall,
  PseudoLoad,
  SIZE_MASK,
  Size,
  SOURCE_X,
} from "./opcode.ts";

/** One instruction's text. */
export interface DisassembledLine {
  /** First slot of the instruction. */
  readonly slot: number;
  /** `r0 = *(u32 *)(r1 + 0x4)`; `<unknown>` for what is no instruction of BPF. */
  readonly text: string;
}

/** What an instruction's immediate refers to, when the caller may know a name for it. */
export interface SymbolUse {
  readonly slot: number;
  /** `local`: a function of the program; `load`: the object an `lddw` with a pseudo source names. */
  readonly kind: "helper" | "local" | "kfunc" | "load";
  readonly imm: number;
  /** The instruction's `src`: a {@link PseudoCall} or {@link PseudoLoad}. */
  readonly src: number;
  /** `off` of a kfunc call (module index); second `imm` of a load (offset into a map value). */
  readonly extra: number;
}

/** How to print. */
export interface DisassembleOptions {
  /** Name of a jump's or local call's target slot, printed as LLVM does: `goto +0x5 <name>`. */
  readonly label?: (slot: number) => string | undefined;
  /** Name for a call's or load's operand: `call name`, `r1 = name ll`. Without a name the numbers stay. */
  readonly symbol?: (use: SymbolUse) => string | undefined;
  /**
   * `exact` (default): every text assembles back to the same bytes. It is llvm-objdump's text, plus a note after calls
   * that are not helper calls (`call 0x5 <local>`), a fourth operand where `ld_pseudo` has an offset, and `skb[r1 + 0x4]`.
   * `llvm`: llvm-objdump's text only.
   */
  readonly style?: "exact" | "llvm";
  /**
   * Print loads and stores of up to 32 bits with `w` registers, as LLVM does for `--mcpu=v3` and above. Default false:
   * `r0 = *(u32 *)(r1 + 0x4)`, as llvm-objdump prints when nothing is said about the CPU.
   */
  readonly alu32?: boolean;
}

/** Text of every instruction, as llvm-objdump 19 prints it. Never fails: see {@link DisassembledLine.text}. */
export function disassemble(insns: InsnTable, options: DisassembleOptions = {}): DisassembledLine[] {
  const lines: DisassembledLine[] = [];
  for (let slot = 0; slot < insns.length; ) {
    const text = disassembleAt(insns, slot, options);
    lines.push({ slot, text });
    slot += isWide(insns.opcode[slot]) && text !== UNKNOWN ? 2 : 1;
  }
  return lines;
}

/** Text of the one instruction that starts at `slot`. */
export function disassembleAt(insns: InsnTable, slot: number, options: DisassembleOptions = {}): string {
  if (insns.dst[slot] > MAX_REGISTER) return UNKNOWN;
  return PRINTERS[classOf(insns.opcode[slot])](insns, slot, options) ?? UNKNOWN;
}

const UNKNOWN = "<unknown>";
const MAX_REGISTER = 11; // LLVM knows r11, though no program may use it

type Printer = (insns: InsnTable, slot: number, options: DisassembleOptions) => string | undefined;

const PRINTERS: Record<Class, Printer> = {
  [Class.LD]: load,
  [Class.LDX]: loadRegister,
  [Class.ST]: storeImmediate,
  [Class.STX]: storeRegister,
  [Class.ALU]: arithmetic,
  [Class.ALU64]: arithmetic,
  [Class.JMP]: jump,
  [Class.JMP32]: jump,
};

// code nibble | signed flag -> row; built from the tables, so a new row prints at once.
const ALU_BY_CODE: ReadonlyMap<number, AluRow> = new Map(
  Object.values<AluRow>(ALU_OPS).map((row) => [row.code | (row.signed ? 1 : 0), row]),
);
const JMP_BY_CODE: ReadonlyMap<number, JmpRow> = new Map(
  Object.values<JmpRow>(JMP_OPS).map((row) => [row.code, row]),
);

function arithmetic(insns: InsnTable, slot: number): string | undefined {
  const opcode = insns.opcode[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  const src = insns.src[slot];
  const wide = classOf(opcode) === Class.ALU64;
  const r = wide ? "r" : "w";
  const dst = `${r}${insns.dst[slot]}`;
  for (const [name, row] of Object.entries(SWAP_OPS)) {
    if (row.opcode !== opcode) continue;
    if (src !== 0 || off !== 0 || !SWAP_WIDTHS.includes(imm)) return undefined;
    const reg = `r${insns.dst[slot]}`;
    return `${reg} = ${name}${imm} ${reg}`;
  }
  const code = opcode & CODE_MASK;
  const register = (opcode & SOURCE_X) !== 0;
  if (code === ALU_NEG) {
    return register || src !== 0 || off !== 0 || imm !== 0 ? undefined : `${dst} = -${dst}`;
  }
  if (code === ALU_OPS.mov.code && register && off !== 0) return signExtendOrCast(insns, slot, wide);
  if (off !== 0 && off !== 1) return undefined;
  const row = ALU_BY_CODE.get(code | off);
  if (row === undefined) return undefined;
  if (!register) return src === 0 ? `${dst} ${row.sym} ${hex(imm)}` : undefined;
  return imm === 0 && src <= MAX_REGISTER ? `${dst} ${row.sym} ${r}${src}` : undefined;
}

function signExtendOrCast(insns: InsnTable, slot: number, wide: boolean): string | undefined {
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  if (src > MAX_REGISTER) return undefined;
  if (wide && off === ADDR_SPACE_CAST) {
    return `r${dst} = addr_space_cast(r${src}, ${hex(imm >>> 16)}, ${hex(imm & 0xffff)})`;
  }
  if (imm !== 0 || !MOVSX_WIDTHS.includes(off) || (off === 32 && !wide)) return undefined;
  const r = wide ? "r" : "w";
  return `${r}${dst} = (s${off})${r}${src}`;
}

function load(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const opcode = insns.opcode[slot];
  if (isWide(opcode)) return loadWide(insns, slot, options);
  const mode = opcode & MODE_MASK;
  const src = insns.src[slot];
  if ((opcode & SIZE_MASK) === Size.DW || insns.dst[slot] !== 0 || insns.off[slot] !== 0) return undefined;
  const type = sizeRow(opcode).type;
  if (mode === Mode.ABS && src === 0) return `r0 = *(${type} *)skb[${hex(insns.imm[slot])}]`;
  if (mode !== Mode.IND || src > MAX_REGISTER) return undefined;
  const imm = insns.imm[slot];
  const added = imm === 0 || options.style === "llvm" ? "" : ` ${imm < 0 ? "-" : "+"} ${hex(Math.abs(imm))}`;
  return `r0 = *(${type} *)skb[r${src}${added}]`;
}

function loadWide(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const next = slot + 1;
  if (next >= insns.length || insns.off[slot] !== 0) return undefined;
  if ((insns.opcode[next] | insns.dst[next] | insns.src[next] | insns.off[next]) !== 0) return undefined;
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const imm = insns.imm[slot];
  const extra = insns.imm[next];
  if (src === PseudoLoad.NONE) return `r${dst} = ${hex(BigInt.asIntN(64, wideImm(insns, slot)))} ll`;
  const name = options.symbol?.({ slot, kind: "load", imm, src, extra });
  if (name !== undefined) return `r${dst} = ${name} ll`;
  const fourth = extra !== 0 && options.style !== "llvm" ? `, ${hex(extra)}` : "";
  return `ld_pseudo r${dst}, ${hex(src)}, ${hex(imm)}${fourth}`;
}

function loadRegister(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const opcode = insns.opcode[slot];
  const mode = opcode & MODE_MASK;
  const signed = mode === Mode.MEMSX;
  if (insns.imm[slot] !== 0 || insns.src[slot] > MAX_REGISTER) return undefined;
  if (mode !== Mode.MEM && !(signed && (opcode & SIZE_MASK) !== Size.DW)) return undefined;
  const type = sizeRow(opcode).type;
  const place = address(insns.src[slot], insns.off[slot]);
  const r = signed ? "r" : narrowRegister(opcode, options);
  return `${r}${insns.dst[slot]} = *(${signed ? type.replace("u", "s") : type} *)(${place})`;
}

function storeImmediate(insns: InsnTable, slot: number): string | undefined {
  const opcode = insns.opcode[slot];
  if ((opcode & MODE_MASK) !== Mode.MEM || insns.src[slot] !== 0) return undefined;
  return `*(${sizeRow(opcode).type} *)(${address(insns.dst[slot], insns.off[slot])}) = ${hex(insns.imm[slot])}`;
}

function storeRegister(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const opcode = insns.opcode[slot];
  const mode = opcode & MODE_MASK;
  if (insns.src[slot] > MAX_REGISTER) return undefined;
  if (mode === Mode.ATOMIC) return atomic(insns, slot, options);
  if (mode !== Mode.MEM || insns.imm[slot] !== 0) return undefined;
  return `*(${sizeRow(opcode).type} *)(${address(insns.dst[slot], insns.off[slot])}) = ${narrowRegister(opcode, options)}${insns.src[slot]}`;
}

function narrowRegister(opcode: number, options: DisassembleOptions): "r" | "w" {
  return options.alu32 && (opcode & SIZE_MASK) !== Size.DW ? "w" : "r";
}

function atomic(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const row = atomicRow(insns.imm[slot]);
  const { bytes, type } = sizeRow(insns.opcode[slot]);
  if (row === undefined || (bytes < 4 && !row.narrow)) return undefined;
  const off = insns.off[slot];
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const r = bytes === 8 ? "r" : "w";
  const suffix = bytes === 8 ? "_64" : "32_32";
  switch (row.shape) {
    case "rmw": {
      // Before alu32, `lock *(u32 *)… +=` was the only 32-bit one, and LLVM wrote it with an r register.
      const operand = row.imm === 0 ? narrowRegister(insns.opcode[slot], options) : r;
      return `lock *(${type} *)(${address(dst, off)}) ${row.sym} ${operand}${src}`;
    }
    case "fetch":
      return `${r}${src} = ${row.sym}((${type} *)(${address(dst, off)}), ${r}${src})`;
    case "xchg":
      return `${r}${src} = ${row.sym}${suffix}(${address(dst, off)}, ${r}${src})`;
    case "cmpxchg":
      return `${r}0 = ${row.sym}${suffix}(${address(dst, off)}, ${r}0, ${r}${src})`;
    case "load":
      return `${r}${dst} = ${row.sym}((${type} *)(${address(src, off)}))`;
    case "store":
      return `${row.sym}((${type} *)(${address(dst, off)}), ${r}${src})`;
  }
}

function jump(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const opcode = insns.opcode[slot];
  const dst = insns.dst[slot];
  const src = insns.src[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  switch (opcode) {
    case Opcode.JA:
      return (dst | src | imm) === 0 ? `goto ${target(insns, slot, off, options)}` : undefined;
    case Opcode.JA32:
      return (dst | src | off) === 0 ? `gotol ${target(insns, slot, imm, options)}` : undefined;
    case Opcode.JCOND:
      return (dst | src | imm) === 0 ? `may_goto ${target(insns, slot, off, options)}` : undefined;
    case Opcode.EXIT:
      return (dst | src | off | imm) === 0 ? "exit" : undefined;
    case Opcode.CALLX:
      return (src | off | imm) === 0 ? `callx r${dst}` : undefined;
    case Opcode.CALL:
      return call(insns, slot, options);
  }
  const row = JMP_BY_CODE.get(opcode & CODE_MASK);
  if (row === undefined || src > MAX_REGISTER) return undefined;
  const register = (opcode & SOURCE_X) !== 0;
  if (register ? imm !== 0 : src !== 0) return undefined;
  const r = classOf(opcode) === Class.JMP ? "r" : "w";
  const right = register ? `${r}${src}` : hex(imm);
  return `if ${r}${dst} ${row.sym} ${right} goto ${target(insns, slot, off, options)}`;
}

function call(insns: InsnTable, slot: number, options: DisassembleOptions): string | undefined {
  const src = insns.src[slot];
  const off = insns.off[slot];
  const imm = insns.imm[slot];
  const kind = CALL_KINDS.get(src);
  if (kind === undefined || insns.dst[slot] !== 0 || (off !== 0 && kind !== "kfunc")) return undefined;
  const name = options.symbol?.({ slot, kind, imm, src, extra: off });
  if (name !== undefined) return `call ${name}`;
  if (options.style === "llvm") return `call ${hex(imm)}`;
  if (kind === "kfunc") return `call ${hex(imm)} <kfunc${off === 0 ? "" : ` module ${hex(off)}`}>`;
  if (kind === "helper") return `call ${hex(imm)}${imm < 0 ? " <helper>" : ""}`;
  const label = options.label?.(functionTarget(insns, slot));
  return `call ${hex(imm)} <local${label === undefined ? "" : ` ${label}`}>`;
}

const CALL_KINDS: ReadonlyMap<number, "helper" | "local" | "kfunc"> = new Map([
  [PseudoCall.HELPER, "helper"],
  [PseudoCall.LOCAL, "local"],
  [PseudoCall.KFUNC, "kfunc"],
]);

function target(insns: InsnTable, slot: number, distance: number, options: DisassembleOptions): string {
  const label = options.label?.(jumpTarget(insns, slot));
  return `${distance < 0 ? hex(distance) : `+${hex(distance)}`}${label === undefined ? "" : ` <${label}>`}`;
}

function address(reg: number, off: number): string {
  return `r${reg} ${off < 0 ? "-" : "+"} ${hex(Math.abs(off))}`;
}

function hex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
