import {
  ADDR_SPACE_CAST,
  ALU_END,
  ALU_NEG,
  ALU_OPS,
  type AluOp,
  Class,
  CODE_MASK,
  classOf,
  SWAP_OPS,
  usesSourceRegister,
} from "../isa/index.ts";
import type { FuncBody, PlainOpcode } from "../wasm/index.ts";
import type { Emitter } from "./emitter.ts";

/** How an operation becomes wasm: one instruction, or code for the operations whose edge cases differ. */
type Lowering = { readonly op: string } | { readonly write: (e: Emitter, alu: Operands) => void };

/** An operation's operands and width. */
interface Operands {
  readonly type: "i32" | "i64";
  /** Pushes `dst`. */
  readonly dst: () => FuncBody;
  /** Pushes the second operand. */
  readonly src: () => FuncBody;
  /** The second operand when it is an immediate. */
  readonly imm: number | undefined;
}

/** RFC 9669 §4.1: division by zero gives 0, modulo zero leaves dst, MIN / -1 is MIN. Shifts wrap as wasm's do. */
const LOWERINGS: Readonly<Record<AluOp, Lowering>> = {
  add: { op: "add" },
  sub: { op: "sub" },
  mul: { op: "mul" },
  or: { op: "or" },
  and: { op: "and" },
  xor: { op: "xor" },
  lsh: { op: "shl" },
  rsh: { op: "shr_u" },
  arsh: { op: "shr_s" },
  mov: { write: (_, { src }) => src() },
  div: { write: (e, alu) => unlessZero(e, alu, () => zero(e.f, alu), "div_u") },
  mod: { write: (e, alu) => unlessZero(e, alu, alu.dst, "rem_u") },
  smod: { write: (e, alu) => unlessZero(e, alu, alu.dst, "rem_s") },
  sdiv: {
    write(e, alu) {
      const { f } = e;
      if (alu.imm === -1) {
        zero(f, alu);
        alu.dst().op(plain(alu, "sub"));
        return;
      }
      if (alu.imm !== undefined) {
        unlessZero(e, alu, () => zero(f, alu), "div_s");
        return;
      }
      // -1: wasm's division would trap on MIN.
      minusOne(f, alu);
      alu.src().op(plain(alu, "eq"));
      f.if(alu.type);
      zero(f, alu);
      alu.dst().op(plain(alu, "sub"));
      f.else();
      unlessZero(e, alu, () => zero(f, alu), "div_s");
      f.end();
    },
  },
};

function plain({ type }: Operands, op: string): PlainOpcode {
  return `${type}.${op}` as PlainOpcode; // the operations above exist for both widths
}

function zero(f: FuncBody, { type }: Operands): FuncBody {
  return type === "i32" ? f.i32Const(0) : f.i64Const(0);
}

function minusOne(f: FuncBody, { type }: Operands): FuncBody {
  return type === "i32" ? f.i32Const(-1) : f.i64Const(-1);
}

/** `src == 0 ? otherwise : dst op src`, without the question where the immediate answers it. */
function unlessZero({ f }: Emitter, alu: Operands, otherwise: () => unknown, op: string): void {
  if (alu.imm === 0) {
    otherwise();
    return;
  }
  if (alu.imm !== undefined) {
    alu.dst();
    alu.src().op(plain(alu, op));
    return;
  }
  alu.src().op(plain(alu, "eqz"));
  f.if(alu.type);
  otherwise();
  f.else();
  alu.dst();
  alu.src().op(plain(alu, op)).end();
}

/** code nibble | 1 for the signed twins. */
const BY_CODE: ReadonlyMap<number, Lowering> = new Map(
  Object.entries(ALU_OPS).map(([name, row]) => [
    row.code | ("signed" in row ? 1 : 0),
    LOWERINGS[name as AluOp],
  ]),
);

/** The arithmetic instruction at `slot`. */
export function lowerAlu(e: Emitter, slot: number): void {
  const { insns, f } = e;
  const opcode = insns.opcode[slot];
  const code = opcode & CODE_MASK;
  const wide = classOf(opcode) === Class.ALU64 && !e.lowHalfOnly(slot);
  const dst = insns.dst[slot];
  if (code === ALU_END) {
    lowerSwap(e, opcode, dst, insns.imm[slot]);
    return;
  }
  if (code === ALU_NEG) {
    if (wide) f.i64Const(0).localGet(e.local(dst)).op("i64.sub");
    else {
      f.i32Const(0);
      e.get32(dst).op("i32.sub");
    }
    if (wide) e.set(dst);
    else e.set32(dst);
    return;
  }
  const off = insns.off[slot];
  if (code === ALU_OPS.mov.code && off !== 0) {
    lowerMovsx(e, wide, dst, insns.src[slot], off);
    return;
  }
  const lowering = BY_CODE.get(code | off) as Lowering; // checkStructure knows no others
  const imm = usesSourceRegister(opcode) ? undefined : insns.imm[slot];
  const operands: Operands = {
    type: wide ? "i64" : "i32",
    dst: () => (wide ? e.get(dst) : e.get32(dst)),
    src: () => {
      if (imm !== undefined) return wide ? f.i64Const(imm) : f.i32Const(imm);
      return wide ? e.get(insns.src[slot]) : e.get32(insns.src[slot]);
    },
    imm,
  };
  if ("op" in lowering) {
    operands.dst();
    operands.src().op(plain(operands, lowering.op));
  } else {
    lowering.write(e, operands);
  }
  if (wide) e.set(dst);
  else e.set32(dst);
}

function lowerMovsx(e: Emitter, wide: boolean, dst: number, src: number, off: number): void {
  if (wide && off === ADDR_SPACE_CAST) {
    e.get32(src);
    e.set32(dst);
  } else if (wide) {
    e.get(src).op(off === 8 ? "i64.extend8_s" : off === 16 ? "i64.extend16_s" : "i64.extend32_s");
    e.set(dst);
  } else {
    e.get32(src).op(off === 8 ? "i32.extend8_s" : "i32.extend16_s");
    e.set32(dst);
  }
}

/** `le` only cuts, `be` and `bswap` swap: the host is little-endian. */
function lowerSwap(e: Emitter, opcode: number, dst: number, bits: number): void {
  const { f } = e;
  const swaps = opcode !== SWAP_OPS.le.opcode;
  if (bits === 64) {
    if (swaps) swap64(e, dst);
    return;
  }
  if (!swaps) {
    e.get32(dst);
    if (bits === 16) f.i32Const(0xffff).op("i32.and");
  } else if (bits === 16) {
    e.get32(dst).i32Const(8).op("i32.shl").i32Const(0xff00).op("i32.and");
    e.get32(dst).i32Const(8).op("i32.shr_u").i32Const(0xff).op("i32.and").op("i32.or");
  } else {
    e.get32(dst).i32Const(8).op("i32.rotl").i32Const(0x00ff00ff).op("i32.and");
    e.get32(dst).i32Const(24).op("i32.rotl").i32Const(0xff00ff00).op("i32.and").op("i32.or");
  }
  e.set32(dst);
}

/** Bytes, then pairs of bytes change places inside each half; then the halves. */
function swap64(e: Emitter, dst: number): void {
  for (const [mask, by] of [
    [0x00ff00ff00ff00ffn, 8],
    [0x0000ffff0000ffffn, 16],
  ] as const) {
    e.get(dst).i64Const(mask).op("i64.and").i64Const(by).op("i64.shl");
    e.get(dst).i64Const(by).op("i64.shr_u").i64Const(mask).op("i64.and").op("i64.or");
    e.set(dst);
  }
  e.get(dst).i64Const(32).op("i64.rotl");
  e.set(dst);
}
