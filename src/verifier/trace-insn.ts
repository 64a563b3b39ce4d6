// One table: instructions in the notation of the kernel's verifier log.
import { helperById } from "../abi/index.ts";
import {
  Class,
  CODE_MASK,
  classOf,
  MODE_MASK,
  Mode,
  Opcode,
  PseudoCall,
  SIZE_MASK,
  SOURCE_X,
} from "../isa/index.ts";
import type { VerifierEnv } from "./env.ts";

/** By `code >> 4`, of ALU and ALU64. */
const ALU = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian"];
/** By `code >> 4`, of JMP and JMP32. */
const JUMPS = ["jmp", "==", ">", ">=", "&", "!=", "s>", "s>=", "call", "exit", "<", "<=", "s<", "s<="];
/** By the size bits >> 3. */
const UNSIGNED = ["u32", "u16", "u8", "u64"];
const SIGNED = ["s32", "s16", "s8"];
const CAST = -1;
const FETCH = 1;

/** One instruction: `(b7) r0 = 0`. @see kernel/bpf/disasm.c `print_bpf_insn` @ v6.18 */
export function disassembleInsn(env: VerifierEnv, insn: number): string {
  const opcode = env.insns.opcode[insn];
  return `(${opcode.toString(16).padStart(2, "0")}) ${textOf(env, insn, opcode)}`;
}

function textOf(env: VerifierEnv, insn: number, opcode: number): string {
  switch (classOf(opcode)) {
    case Class.ALU:
    case Class.ALU64:
      return aluText(env, insn, opcode);
    case Class.LDX: {
      const { dst, src, off } = env.insns;
      const sizes = (opcode & MODE_MASK) === Mode.MEMSX ? SIGNED : UNSIGNED;
      return `r${dst[insn]} = *(${sizes[(opcode & SIZE_MASK) >> 3]} *)(r${src[insn]} ${signed(off[insn])})`;
    }
    case Class.STX:
      return storeText(env, insn, opcode);
    case Class.ST:
      return `${place(env, insn, opcode)} = ${env.insns.imm[insn]}`;
    case Class.JMP:
    case Class.JMP32:
      return jumpText(env, insn, opcode);
    default:
      return loadText(env, insn, opcode);
  }
}

function signed(n: number): string {
  return n < 0 ? String(n) : `+${n}`;
}

/** `*(u64 *)(r10 -8)` */
function place(env: VerifierEnv, insn: number, opcode: number): string {
  const { dst, off } = env.insns;
  return `*(${UNSIGNED[(opcode & SIZE_MASK) >> 3]} *)(r${dst[insn]} ${signed(off[insn])})`;
}

function aluText(env: VerifierEnv, insn: number, opcode: number): string {
  const { insns } = env;
  const is64 = classOf(opcode) === Class.ALU64;
  const r = is64 ? "r" : "w";
  const dst = insns.dst[insn];
  const src = insns.src[insn];
  const off = insns.off[insn];
  const imm = insns.imm[insn];
  const code = (opcode & CODE_MASK) >> 4;
  const fromReg = (opcode & SOURCE_X) !== 0;
  if (code === 0xd) return `r${dst} = ${is64 ? "bswap" : fromReg ? "be" : "le"}${imm} r${dst}`;
  if (code === 0x8) return `${r}${dst} = -${r}${dst}`;
  if (code === 0xb && is64 && fromReg && off === 1) {
    return `r${dst} = addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`;
  }
  if (code === 0xb && is64 && fromReg && off === CAST) return `r${dst} = &(void __percpu *)(r${src})`;
  const operator = (code === 3 || code === 9) && off === 1 ? `s${ALU[code]}` : ALU[code];
  if (!fromReg) return `${r}${dst} ${operator} ${imm}`;
  const extend = code === 0xb && (off === 8 || off === 16 || off === 32) ? `(s${off})` : "";
  return `${r}${dst} ${operator} ${extend}${r}${src}`;
}

const ATOMICS: Readonly<Record<number, readonly [operator: string, name: string]>> = {
  0: ["+=", "add"],
  64: ["|=", "or"],
  80: ["&=", "and"],
  160: ["^=", "xor"],
};

function storeText(env: VerifierEnv, insn: number, opcode: number): string {
  const { src, imm, dst, off } = env.insns;
  const value = `r${src[insn]}`;
  const at = place(env, insn, opcode);
  if ((opcode & MODE_MASK) !== Mode.ATOMIC) return `${at} = ${value}`;
  const op = imm[insn];
  const size = (opcode & SIZE_MASK) === SIZE_MASK ? "64" : "";
  const pointer = at.slice(1); // without the star
  const type = UNSIGNED[(opcode & SIZE_MASK) >> 3];
  if (op === 0xe1) return `${value} = atomic${size}_xchg(${pointer}, ${value})`;
  if (op === 0xf1) return `r0 = atomic${size}_cmpxchg(${pointer}, r0, ${value})`;
  if (op === 0x100) return `r${dst[insn]} = load_acquire((${type} *)(${value} ${signed(off[insn])}))`;
  if (op === 0x110) return `store_release((${type} *)(r${dst[insn]} ${signed(off[insn])}), ${value})`;
  const row = ATOMICS[op & ~FETCH];
  if (row === undefined) return `BUG_${opcode.toString(16)}`;
  if ((op & FETCH) === 0) return `lock ${at} ${row[0]} ${value}`;
  return `${value} = atomic${size}_fetch_${row[1]}(${pointer}, ${value})`;
}

function jumpText(env: VerifierEnv, insn: number, opcode: number): string {
  const { insns } = env;
  const imm = insns.imm[insn];
  const off = insns.off[insn];
  switch (opcode) {
    case Opcode.CALL:
      return callText(env, insn);
    case Opcode.JA:
      return `goto pc${signed(off)}`;
    case Opcode.JA32:
      return `gotol pc${signed(imm)}`;
    case Opcode.JCOND:
      return `may_goto pc${signed(off)}`;
    case Opcode.EXIT:
      return "exit";
  }
  const r = classOf(opcode) === Class.JMP32 ? "w" : "r";
  const operator = JUMPS[(opcode & CODE_MASK) >> 4];
  const other = (opcode & SOURCE_X) !== 0 ? `${r}${insns.src[insn]}` : `0x${(imm >>> 0).toString(16)}`;
  return `if ${r}${insns.dst[insn]} ${operator} ${other} goto pc${signed(off)}`;
}

function callText(env: VerifierEnv, insn: number): string {
  const { insns } = env;
  const imm = insns.imm[insn];
  if (insns.src[insn] === PseudoCall.LOCAL) return `call pc${signed(imm)}`;
  if (insns.src[insn] === PseudoCall.KFUNC) {
    const func = env.btfs[insns.off[insn] === 0 ? 0 : insns.off[insn] + 1]?.types[imm];
    return `call ${func?.name ?? "kernel-function"}#${imm}`;
  }
  const name = insns.src[insn] !== 0 ? undefined : imm === 0 ? "unspec" : helperById(imm);
  return `call ${name === undefined ? "unknown" : `bpf_${name}`}#${imm}`;
}

function loadText(env: VerifierEnv, insn: number, opcode: number): string {
  const { insns } = env;
  const imm = insns.imm[insn];
  const type = UNSIGNED[(opcode & SIZE_MASK) >> 3];
  const mode = opcode & MODE_MASK;
  if (mode === Mode.ABS) return `r0 = *(${type} *)skb[${imm}]`;
  if (mode === Mode.IND) return `r0 = *(${type} *)skb[r${insns.src[insn]} + ${imm}]`;
  if (opcode !== Opcode.LDDW || insn + 1 >= insns.length) return `BUG_ld_${opcode.toString(16)}`;
  const high = BigInt(insns.imm[insn + 1] >>> 0) << 32n;
  return `r${insns.dst[insn]} = 0x${(high | BigInt(imm >>> 0)).toString(16)}`;
}
