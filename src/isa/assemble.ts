/** Text to instructions: one parser for LLVM's BPF assembly, as clang emits it and as llvm-objdump prints it. */
import { type Diagnostic, fromHex } from "../base/index.ts";
import {
  ADDR_SPACE_CAST,
  ALU_NEG,
  ALU_OPS,
  type AluRow,
  MOVSX_WIDTHS,
  SWAP_OPS,
  SWAP_WIDTHS,
} from "./alu.ts";
import { ATOMIC_OPS, type AtomicRow } from "./atomic.ts";
import { type ByteOrder, decode, encode, type Insn, insnAt, tableOf } from "./decode.ts";
import { JMP_OPS, type JmpRow } from "./jmp.ts";
import { lex, type Token } from "./lex.ts";
import { SIZES, type SizeRow } from "./mem.ts";
import { Class, Mode, Opcode, PseudoCall, PseudoLoad, Size, SLOT_BYTES, SOURCE_X } from "./opcode.ts";

/** What a name that is no label stands for: the fields of the instruction that uses it. */
export interface SymbolValue {
  /** A {@link PseudoCall} for `call name`, a {@link PseudoLoad} for `r1 = name ll`. */
  readonly src: number;
  readonly imm: number;
  /** `off` of a kfunc call; default 0. */
  readonly off?: number;
  /** Second `imm` of a load; default 0. */
  readonly nextImm?: number;
}

/** How to assemble. */
export interface AssembleOptions {
  /** Value of a name in `call name` or `r1 = name ll` that is no label of the text; undefined = unknown name. */
  readonly symbol?: (name: string, use: "call" | "load") => SymbolValue | undefined;
  /** Default `little`. */
  readonly byteOrder?: ByteOrder;
  /** Name of the text in diagnostics; default `<text>`. */
  readonly file?: string;
}

/** What came of a text. The bytes are those of the statements that could be read; trust them when `ok`. */
export interface Assembly {
  readonly ok: boolean;
  readonly bytes: Uint8Array;
  /** Slot of each label. */
  readonly labels: ReadonlyMap<string, number>;
  /** 1-based line of the text that each slot comes from. */
  readonly lines: readonly number[];
  /** One for each statement that is wrong, each with line and column. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Bytes of a text in LLVM's BPF assembly. Statements end at a line's end or at `;`; `name:` is a label, `1:` one that
 * `1b` and `1f` name; `#`, `//` and a line's leading `;` start a comment. What llvm-objdump adds (addresses, raw bytes,
 * section headings, relocations, `<notes>`) is read over.
 *
 * `call 5` calls helper 5, `call -3` or `call +3` a function at that distance, `call label` the function there.
 * Never throws on account of the text.
 */
export function assemble(text: string, options: AssembleOptions = {}): Assembly {
  return new Assembler(text, options).run();
}

const MAX_DIAGNOSTICS = 100; // afterwards the rest of the text is not looked at
const MAX_QUOTE = 500; // characters of a line that a diagnostic quotes
const MAX_REGISTER = 11; // as LLVM; `checkStructure` refuses r11
const MAX_DEPTH = 64; // of parentheses

/** A statement that could not be read; caught by the statement loop, never leaves this file. */
class StatementError {
  readonly column: number;
  readonly message: string;
  readonly hint: string | undefined;
  constructor(column: number, message: string, hint?: string) {
    this.column = column;
    this.message = message;
    this.hint = hint;
  }
}

interface Place {
  readonly line: number;
  readonly column: number;
}

/** A field to fill in when all labels are known. */
interface Fixup extends Place {
  readonly slot: number;
  readonly label: string;
  readonly kind: "off" | "imm" | "call" | "load";
  readonly addend: number;
}

const ALU_BY_SYM: ReadonlyMap<string, AluRow> = new Map(
  Object.values<AluRow>(ALU_OPS).map((row) => [row.sym, row]),
);
const JMP_BY_SYM: ReadonlyMap<string, JmpRow> = new Map(
  Object.values<JmpRow>(JMP_OPS).map((row) => [row.sym, row]),
);
const SIZE_BY_TYPE: ReadonlyMap<string, SizeRow> = new Map(
  Object.values(SIZES).map((row) => [row.type, row]),
);
const RMW_BY_SYM = atomicsOf("rmw");
const FETCH_BY_SYM = atomicsOf("fetch");

function atomicsOf(shape: AtomicRow["shape"]): ReadonlyMap<string, AtomicRow> {
  const rows = Object.values<AtomicRow>(ATOMIC_OPS).filter((row) => row.shape === shape);
  return new Map(rows.map((row) => [row.sym, row]));
}

/** Lines of llvm-objdump's output that hold no code. Written without backtracking: a line may be megabytes of blanks. */
function isObjdumpNoise(line: string): boolean {
  const text = line.trim();
  if (text === "..." || text.startsWith("Disassembly of section ") || text.includes(":\tfile format "))
    return true;
  return /^[0-9a-f]+:\s+R_BPF_/.test(text);
}

/** `0000000000000010 <name>:` */
const OBJDUMP_HEADING = /^\s*[0-9a-f]{8,16} <([^>]+)>:\s*$/;
/** Raw bytes of one or two slots between an address and the instruction. */
const OBJDUMP_RAW =
  /^(\s*\d+:\s+)((?:[0-9a-f]{2} ){7}[0-9a-f]{2}(?: (?:[0-9a-f]{2} ){7}[0-9a-f]{2})?)(?=\s|$)/;

/** What llvm-objdump cannot print stays what its raw bytes say. */
const OBJDUMP_UNKNOWN = /^\s*\d+:\s+((?:[0-9a-f]{2} ){7}[0-9a-f]{2})\s+<unknown>\s*$/;

/** Directives that say nothing about the bytes. */
const SILENT_DIRECTIVES = new Set(
  ".text .globl .global .weak .local .hidden .protected .type .size .p2align .align .balign .file .ident .loc .addrsig .addrsig_sym .section .bss .data .end".split(
    " ",
  ),
);

const STATEMENTS: ReadonlyMap<string, (assembler: Assembler) => void> = new Map([
  ["exit", (a) => a.exit()],
  ["goto", (a) => a.goto()],
  ["gotol", (a) => a.gotol()],
  ["may_goto", (a) => a.mayGoto()],
  ["if", (a) => a.conditionalJump()],
  ["call", (a) => a.call()],
  ["callx", (a) => a.callx()],
  ["lock", (a) => a.lockedUpdate()],
  ["store_release", (a) => a.storeRelease()],
  ["ld_pseudo", (a) => a.pseudoLoad()],
  ["*", (a) => a.store()],
]);

class Assembler {
  private readonly textLines: readonly string[];
  private readonly options: AssembleOptions;
  private readonly insns: Insn[] = [];
  private readonly lines: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly numeric = new Map<string, number[]>();
  private readonly fixups: Fixup[] = [];
  private readonly diagnostics: Diagnostic[] = [];
  private line = 0;
  private tokens: Token[] = [];
  private next = 0;
  private statementEnd = 0;

  constructor(text: string, options: AssembleOptions) {
    this.textLines = blankBlockComments(text).split("\n");
    this.options = options;
  }

  run(): Assembly {
    for (const lineText of this.textLines) {
      this.line++;
      this.assembleLine(lineText);
      if (this.diagnostics.length >= MAX_DIAGNOSTICS) break;
    }
    for (const fixup of this.fixups) {
      if (this.diagnostics.length >= MAX_DIAGNOSTICS) break;
      this.resolve(fixup);
    }
    return {
      ok: this.diagnostics.length === 0,
      bytes: encode(tableOf(this.insns), this.options.byteOrder),
      labels: this.labels,
      lines: this.lines,
      diagnostics: this.diagnostics,
    };
  }

  private assembleLine(lineText: string): void {
    if (isObjdumpNoise(lineText) || /^\s*;/.test(lineText)) return;
    const heading = OBJDUMP_HEADING.exec(lineText);
    if (heading !== null) {
      this.labels.set(heading[1], this.insns.length);
      return;
    }
    const unknown = OBJDUMP_UNKNOWN.exec(lineText);
    if (unknown !== null) {
      this.raw(fromHex(unknown[1]));
      return;
    }
    const code = withoutComment(lineText).replace(OBJDUMP_RAW, (_, address: string, raw: string) => {
      return address + " ".repeat(raw.length);
    });
    let start = 0;
    for (const statement of code.split(";")) {
      if (this.diagnostics.length >= MAX_DIAGNOSTICS) return;
      this.tokens = lex(statement, start);
      this.statementEnd = start + statement.trimEnd().length + 1;
      this.next = 0;
      const slot = this.insns.length;
      const fixups = this.fixups.length;
      try {
        this.statement();
      } catch (error) {
        if (!(error instanceof StatementError)) throw error;
        this.insns.length = slot;
        this.fixups.length = fixups;
        this.report("isa/syntax", this.line, error.column, error.message, error.hint);
      }
      start += statement.length + 1;
    }
  }

  private report(code: `isa/${string}`, line: number, column: number, what: string, hint?: string): void {
    const text = this.textLines[line - 1].slice(0, MAX_QUOTE);
    const message = what.slice(0, MAX_QUOTE);
    const source = { file: this.options.file ?? "<text>", line, column, text };
    this.diagnostics.push(hint === undefined ? { code, message, source } : { code, message, source, hint });
  }

  // Words

  private peek(ahead = 0): Token | undefined {
    return this.tokens[this.next + ahead];
  }

  private is(text: string, ahead = 0): boolean {
    return this.peek(ahead)?.text.toLowerCase() === text;
  }

  private take(): Token {
    const token = this.peek();
    if (token === undefined) throw new StatementError(this.statementEnd, "the statement ends too early");
    this.next++;
    return token;
  }

  private accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.next++;
    return true;
  }

  private expect(...texts: string[]): void {
    for (const text of texts) if (!this.accept(text)) throw this.unexpected(`expected '${text}'`);
  }

  private unexpected(want: string, hint?: string): StatementError {
    const token = this.peek();
    if (token === undefined)
      return new StatementError(this.statementEnd, `${want}, but the statement ends`, hint);
    return new StatementError(token.column, `${want}, found '${token.text}'`, hint);
  }

  // Statements

  private statement(): void {
    while (this.peek()?.text !== undefined && this.is(":", 1)) this.label(this.take());
    const first = this.peek();
    if (first === undefined) return;
    if (first.text.startsWith(".") && first.kind === "name") {
      this.directive(this.take());
      return;
    }
    this.instruction(first);
    const rest = this.peek();
    if (rest?.kind === "note") this.next++;
    if (this.peek() !== undefined) {
      throw this.unexpected(
        "expected the end of the statement",
        "write one instruction on a line, or separate them by ';'",
      );
    }
    while (this.lines.length < this.insns.length) this.lines.push(this.line);
  }

  private label(token: Token): void {
    this.next++; // the colon
    if (token.kind === "number") {
      const places = this.numeric.get(token.text) ?? [];
      places.push(this.insns.length);
      this.numeric.set(token.text, places);
      return;
    }
    if (token.kind !== "name") throw new StatementError(token.column, `'${token.text}' cannot be a label`);
    if (this.labels.has(token.text))
      throw new StatementError(token.column, `label '${token.text}' is defined twice`);
    this.labels.set(token.text, this.insns.length);
  }

  private directive(token: Token): void {
    this.next = this.tokens.length;
    if (SILENT_DIRECTIVES.has(token.text) || token.text.startsWith(".cfi_")) return;
    throw new StatementError(
      token.column,
      `directive '${token.text}' is not supported`,
      "assemble code only; data belongs to maps",
    );
  }

  private emit(opcode: number, dst: number, src: number, off: number, imm: number): void {
    this.insns.push({ opcode, dst, src, off, imm });
  }

  private raw(bytes: Uint8Array): void {
    this.insns.push(insnAt(decode(bytes, this.options.byteOrder), 0));
    this.lines.push(this.line);
  }

  private instruction(first: Token): void {
    const read = STATEMENTS.get(first.text.toLowerCase());
    if (read !== undefined) {
      this.next++;
      read(this);
      return;
    }
    if (registerOf(first) === undefined) {
      throw new StatementError(
        first.column,
        `'${first.text}' starts no instruction`,
        "instructions are written as LLVM does, such as 'r0 = 1'",
      );
    }
    this.assignment();
  }

  exit(): void {
    this.emit(Opcode.EXIT, 0, 0, 0, 0);
  }

  goto(): void {
    this.emit(Opcode.JA, 0, 0, 0, 0);
    this.target("off");
  }

  gotol(): void {
    this.emit(Opcode.JA32, 0, 0, 0, 0);
    this.target("imm");
  }

  mayGoto(): void {
    this.emit(Opcode.JCOND, 0, 0, 0, 0);
    this.target("off");
  }

  callx(): void {
    this.emit(Opcode.CALLX, this.register("r").number, 0, 0, 0);
  }

  conditionalJump(): void {
    const left = this.register();
    const operator = this.take();
    const row = JMP_BY_SYM.get(operator.text);
    if (row === undefined) throw new StatementError(operator.column, `'${operator.text}' is no comparison`);
    const klass = left.width === "r" ? Class.JMP : Class.JMP32;
    if (this.peekRegister()) {
      const right = this.register(left.width);
      this.emit(klass | row.code | SOURCE_X, left.number, right.number, 0, 0);
    } else {
      this.emit(klass | row.code, left.number, 0, 0, this.imm32());
    }
    this.expect("goto");
    this.target("off");
  }

  call(): void {
    const token = this.take();
    if (token.kind === "name") {
      this.emit(Opcode.CALL, 0, 0, 0, 0);
      this.later(token, "call", 0);
      return;
    }
    this.next--;
    const relative = token.text === "+" || token.text === "-";
    const imm = this.imm32();
    const note = this.peek()?.kind === "note" ? this.take().text.slice(1, -1).split(/\s+/) : [];
    let src: number = relative ? PseudoCall.LOCAL : PseudoCall.HELPER;
    let off = 0;
    if (note[0] === "local") src = PseudoCall.LOCAL;
    if (note[0] === "helper") src = PseudoCall.HELPER;
    if (note[0] === "kfunc") {
      src = PseudoCall.KFUNC;
      if (note[1] === "module") off = Number.parseInt(note[2], 16) | 0;
    }
    this.emit(Opcode.CALL, 0, src, off, imm);
  }

  lockedUpdate(): void {
    const size = this.pointerType();
    const { base, off } = this.parenthesisedAddress();
    const operator = this.take();
    const row = RMW_BY_SYM.get(operator.text);
    if (row === undefined)
      throw new StatementError(operator.column, `'${operator.text}' is no atomic operation`);
    // LLVM before alu32 wrote 32-bit atomics with r registers.
    const src = this.register(size.bytes === 8 ? "r" : undefined);
    this.atomic(row, size, base, src.number, off);
  }

  storeRelease(): void {
    this.expect("(", "(");
    const size = this.pointerType(true);
    const { base, off } = this.parenthesisedAddress();
    this.expect(",");
    const src = this.register(size.bytes === 8 ? "r" : "w");
    this.expect(")");
    this.atomic(ATOMIC_OPS.store_release, size, base, src.number, off);
  }

  private atomic(row: AtomicRow, size: SizeRow, dst: number, src: number, off: number): void {
    if (size.bytes < 4 && !row.narrow) throw this.unexpected(`'${row.sym}' works on u32 and u64 only`);
    this.emit(Class.STX | Mode.ATOMIC | size.bits, dst, src, off, row.imm);
  }

  pseudoLoad(): void {
    const dst = this.register("r").number;
    this.expect(",");
    const src = this.ranged(0n, 15n, "a pseudo source");
    this.expect(",");
    const imm = this.imm32();
    const extra = this.accept(",") ? this.imm32() : 0;
    this.emit(Opcode.LDDW, dst, src, 0, imm);
    this.emit(0, 0, 0, 0, extra);
  }

  store(): void {
    this.next--; // the star
    const size = this.pointerType();
    const { base, off } = this.parenthesisedAddress();
    this.expect("=");
    if (this.peekRegister()) {
      const src = this.register(size.bytes === 8 ? "r" : undefined);
      this.emit(Class.STX | Mode.MEM | size.bits, base, src.number, off, 0);
    } else {
      this.emit(Class.ST | Mode.MEM | size.bits, base, 0, off, this.imm32());
    }
  }

  private assignment(): void {
    const dst = this.register();
    const operator = this.take();
    const row = ALU_BY_SYM.get(operator.text);
    if (row === undefined)
      throw new StatementError(operator.column, `'${operator.text}' is no operator of an assignment`);
    if (row === ALU_OPS.mov && this.specialAssignment(dst)) return;
    const klass = dst.width === "r" ? Class.ALU64 : Class.ALU;
    const off = row.signed ? 1 : 0;
    if (this.peekRegister()) {
      this.emit(klass | row.code | SOURCE_X, dst.number, this.register(dst.width).number, off, 0);
      return;
    }
    if (row === ALU_OPS.mov && this.peek()?.kind === "name") {
      this.wideSymbol(dst);
      return;
    }
    const at = this.peek();
    const value = this.expression();
    if (row === ALU_OPS.mov && this.accept("ll")) {
      this.wideNumber(dst, value, at);
      return;
    }
    this.emit(klass | row.code, dst.number, 0, off, toImm32(value, at?.column ?? this.statementEnd));
  }

  /** Assignments whose right side is neither a plain register nor a number; false when it is one of these. */
  private specialAssignment(dst: Register): boolean {
    const word = this.peek()?.text.toLowerCase() ?? "";
    if (word === "*") this.load(dst);
    else if (word === "-" && registerOf(this.peek(1)) !== undefined) this.negate(dst);
    else if (word === "(" && /^s(8|16|32)$/.test(this.peek(1)?.text ?? "")) this.signExtend(dst);
    else if (word === "addr_space_cast") this.addrSpaceCast(dst);
    else if (word === "load_acquire") this.loadAcquire(dst);
    else if (FETCH_BY_SYM.has(word)) this.fetch(dst, FETCH_BY_SYM.get(word) as AtomicRow);
    else if (/^xchg(_64|32_32)$/.test(word)) this.exchange(dst, word);
    else if (/^cmpxchg(_64|32_32)$/.test(word)) this.compareExchange(dst, word);
    else return this.swap(dst, word);
    return true;
  }

  private swap(dst: Register, word: string): boolean {
    const match = /^(le|be|bswap)(16|32|64)$/.exec(word);
    if (match === null) return false;
    this.next++;
    this.same(dst, this.register(dst.width));
    const row = SWAP_OPS[match[1] as keyof typeof SWAP_OPS];
    if (dst.width === "w") throw this.unexpected("a byte swap works on r registers");
    this.emit(row.opcode, dst.number, 0, 0, Number(match[2]));
    return SWAP_WIDTHS.includes(Number(match[2]));
  }

  private negate(dst: Register): void {
    this.next++;
    this.same(dst, this.register(dst.width));
    this.emit((dst.width === "r" ? Class.ALU64 : Class.ALU) | ALU_NEG, dst.number, 0, 0, 0);
  }

  private signExtend(dst: Register): void {
    this.next++;
    const type = this.take();
    const width = Number(type.text.slice(1));
    if (!MOVSX_WIDTHS.includes(width) || (width === 32 && dst.width === "w")) {
      throw new StatementError(type.column, `a w register cannot be extended from '${type.text}'`);
    }
    this.expect(")");
    const src = this.register(dst.width);
    const klass = dst.width === "r" ? Class.ALU64 : Class.ALU;
    this.emit(klass | ALU_OPS.mov.code | SOURCE_X, dst.number, src.number, width, 0);
  }

  private addrSpaceCast(dst: Register): void {
    this.next++;
    this.expect("(");
    const src = this.register("r");
    this.expect(",");
    const to = this.ranged(0n, 0xffffn, "an address space");
    this.expect(",");
    const from = this.ranged(0n, 0xffffn, "an address space");
    this.expect(")");
    const opcode = Class.ALU64 | ALU_OPS.mov.code | SOURCE_X;
    this.emit(opcode, dst.number, src.number, ADDR_SPACE_CAST, (to << 16) | from);
  }

  private load(dst: Register): void {
    const type = this.peek(2);
    const signed = /^s(8|16|32)$/.test(type?.text ?? "");
    const size = this.pointerType(false, signed);
    if (this.accept("skb")) {
      this.packetLoad(dst, size, type);
      return;
    }
    const { base, off } = this.parenthesisedAddress();
    if (dst.width === "w" && (signed || size.bytes === 8)) {
      throw new StatementError(
        type?.column ?? 1,
        `'${type?.text}' does not fit a w register`,
        "load into an r register",
      );
    }
    this.emit(Class.LDX | (signed ? Mode.MEMSX : Mode.MEM) | size.bits, dst.number, base, off, 0);
  }

  private packetLoad(dst: Register, size: SizeRow, type: Token | undefined): void {
    if (dst.number !== 0) throw new StatementError(type?.column ?? 1, "a packet load answers in r0");
    if (size.bits === Size.DW)
      throw new StatementError(type?.column ?? 1, "a packet load reads u8, u16 or u32");
    this.expect("[");
    if (this.peekRegister()) {
      const index = this.register("r").number;
      const added = this.is("]") ? 0 : this.imm32();
      this.emit(Class.LD | Mode.IND | size.bits, 0, index, 0, added);
    } else {
      this.emit(Class.LD | Mode.ABS | size.bits, 0, 0, 0, this.imm32());
    }
    this.expect("]");
  }

  private loadAcquire(dst: Register): void {
    this.next++;
    this.expect("(", "(");
    const size = this.pointerType(true);
    const { base, off } = this.parenthesisedAddress();
    this.expect(")");
    this.widthFits(dst, size);
    this.atomic(ATOMIC_OPS.load_acquire, size, dst.number, base, off);
  }

  private fetch(dst: Register, row: AtomicRow): void {
    this.next++;
    this.expect("(", "(");
    const size = this.pointerType(true);
    const { base, off } = this.parenthesisedAddress();
    this.expect(",");
    this.same(dst, this.register(dst.width));
    this.expect(")");
    this.widthFits(dst, size);
    this.atomic(row, size, base, dst.number, off);
  }

  private exchange(dst: Register, word: string): void {
    this.next++;
    this.expect("(");
    const { base, off } = this.address();
    this.expect(",");
    this.same(dst, this.register(dst.width));
    this.expect(")");
    const size = word.endsWith("_64") ? SIZES.DW : SIZES.W;
    this.widthFits(dst, size);
    this.atomic(ATOMIC_OPS.xchg, size, base, dst.number, off);
  }

  private compareExchange(dst: Register, word: string): void {
    this.next++;
    this.expect("(");
    const { base, off } = this.address();
    this.expect(",");
    const old = this.register(dst.width);
    if (dst.number !== 0 || old.number !== 0)
      throw this.unexpected("cmpxchg compares with r0 and answers in r0");
    this.expect(",");
    const src = this.register(dst.width);
    this.expect(")");
    const size = word.endsWith("_64") ? SIZES.DW : SIZES.W;
    this.widthFits(dst, size);
    this.atomic(ATOMIC_OPS.cmpxchg, size, base, src.number, off);
  }

  private widthFits(reg: Register, size: SizeRow): void {
    const want = size.bytes === 8 ? "r" : "w";
    if (reg.width !== want)
      throw new StatementError(
        reg.column,
        `a ${size.type} goes with ${want === "r" ? "an r" : "a w"} register`,
      );
  }

  private same(dst: Register, operand: Register): void {
    if (operand.number === dst.number) return;
    throw new StatementError(
      operand.column,
      `the operand must be the register assigned to, ${dst.width}${dst.number}`,
    );
  }

  private wideSymbol(dst: Register): void {
    const name = this.take();
    const addend = this.is("+") || this.is("-") ? this.imm32() : 0;
    if (!this.accept("ll"))
      throw this.unexpected(
        `expected 'll' after '${name.text}'`,
        "a name's address is a 64-bit load: 'r1 = name ll'",
      );
    this.wide(dst, 0n);
    this.later(name, "load", addend);
  }

  private wideNumber(dst: Register, value: bigint, at: Token | undefined): void {
    if (value < -(1n << 63n) || value >= 1n << 64n) {
      throw new StatementError(at?.column ?? 1, `${value} does not fit 64 bits`);
    }
    this.wide(dst, value);
  }

  private wide(dst: Register, value: bigint): void {
    if (dst.width === "w") throw new StatementError(dst.column, "a 64-bit load needs an r register");
    this.emit(Opcode.LDDW, dst.number, PseudoLoad.NONE, 0, Number(BigInt.asIntN(32, value)));
    this.emit(0, 0, 0, 0, Number(BigInt.asIntN(32, value >> 32n)));
  }

  // Operands

  private peekRegister(): boolean {
    return registerOf(this.peek()) !== undefined;
  }

  private register(width?: "r" | "w"): Register {
    const register = registerOf(this.peek());
    if (register === undefined)
      throw this.unexpected("expected a register", "registers are r0 to r10 and w0 to w10");
    if (width !== undefined && register.width !== width)
      throw this.unexpected(`expected ${width === "r" ? "an r" : "a w"} register`);
    this.next++;
    return register;
  }

  /** `*(u32 *)`, or `(u32 *)` alone; the signed names when `signed`. */
  private pointerType(bare = false, signed = false): SizeRow {
    if (!bare) this.expect("*", "(");
    const token = this.take();
    const size = SIZE_BY_TYPE.get(signed ? token.text.replace("s", "u") : token.text);
    if (size === undefined)
      throw new StatementError(
        token.column,
        `'${token.text}' is no type of a memory access`,
        "u8, u16, u32 or u64",
      );
    this.expect("*", ")");
    return size;
  }

  private parenthesisedAddress(): { base: number; off: number } {
    this.expect("(");
    const address = this.address();
    this.expect(")");
    return address;
  }

  private address(): { base: number; off: number } {
    const base = this.register("r").number;
    if (!this.is("+") && !this.is("-")) return { base, off: 0 };
    const at = this.peek();
    const off = this.expression();
    return { base, off: toOff(off, at?.column ?? 1) };
  }

  private target(kind: "off" | "imm"): void {
    const token = this.peek();
    if (token?.kind === "name") {
      this.next++;
      this.later(token, kind, 0);
      return;
    }
    const at = token?.column ?? this.statementEnd;
    const distance = this.expression();
    const slot = this.insns.length - 1;
    const insn = this.insns[slot];
    this.insns[slot] =
      kind === "off" ? { ...insn, off: toOff(distance, at) } : { ...insn, imm: toImm32(distance, at) };
  }

  private later(name: Token, kind: Fixup["kind"], addend: number): void {
    const slot = this.insns.length - (kind === "load" ? 2 : 1);
    const near = /^(\d+)([bf])$/.exec(name.text);
    const places = near === null ? 0 : (this.numeric.get(near[1])?.length ?? 0);
    // A numeric label is fixed here: which `1:` is meant depends on where the reference stands.
    const label = near === null ? name.text : `${near[1]}:${near[2] === "f" ? places : places - 1}`;
    this.fixups.push({ slot, label, kind, addend, line: this.line, column: name.column });
  }

  private imm32(): number {
    const column = this.peek()?.column ?? this.statementEnd;
    return toImm32(this.expression(), column);
  }

  private ranged(min: bigint, max: bigint, what: string): number {
    const column = this.peek()?.column ?? this.statementEnd;
    const value = this.expression();
    if (value < min || value > max)
      throw new StatementError(column, `${value} is no ${what.replace(/^an? /, "")}`);
    return Number(value);
  }

  // Constant expressions, C's precedence

  private expression(level = 0, depth = 0): bigint {
    if (level === BINARY.length) return this.unary(depth);
    let left = this.expression(level + 1, depth);
    for (;;) {
      const operator = this.peek();
      const apply = operator?.kind === "punct" ? BINARY[level][operator.text] : undefined;
      if (operator === undefined || apply === undefined) return left;
      this.next++;
      const value = apply(left, this.expression(level + 1, depth));
      if (value === undefined)
        throw new StatementError(operator.column, `'${operator.text}' has no value here`);
      left = BigInt.asIntN(128, value);
    }
  }

  private unary(depth: number): bigint {
    if (depth > MAX_DEPTH) throw this.unexpected("the expression nests too deeply");
    const token = this.take();
    if (token.kind === "number") return token.value;
    if (token.text === "-") return -this.unary(depth + 1);
    if (token.text === "+") return this.unary(depth + 1);
    if (token.text === "~") return ~this.unary(depth + 1);
    if (token.text === "(") {
      const value = this.expression(0, depth + 1);
      this.expect(")");
      return value;
    }
    this.next--;
    throw this.unexpected("expected a number");
  }

  // Labels

  private resolve(fixup: Fixup): void {
    const insn = this.insns[fixup.slot];
    const slot = this.placeOf(fixup.label);
    if (slot === undefined) {
      this.resolveSymbol(fixup);
      return;
    }
    const distance = slot - fixup.slot - 1;
    if (fixup.kind === "off" && (distance < -0x8000 || distance > 0x7fff)) {
      this.report(
        "isa/far-jump",
        fixup.line,
        fixup.column,
        `'${fixup.label}' is ${distance} slots away, too far for a 16-bit jump`,
        "use gotol",
      );
      return;
    }
    if (fixup.kind === "off") this.insns[fixup.slot] = { ...insn, off: distance };
    else if (fixup.kind === "imm") this.insns[fixup.slot] = { ...insn, imm: distance };
    else if (fixup.kind === "call")
      this.insns[fixup.slot] = { ...insn, src: PseudoCall.LOCAL, imm: distance };
    else
      this.insns[fixup.slot] = {
        ...insn,
        src: PseudoLoad.FUNC,
        imm: (distance + fixup.addend / SLOT_BYTES) | 0,
      };
  }

  private placeOf(label: string): number | undefined {
    const near = /^(\d+):(-?\d+)$/.exec(label);
    return near === null ? this.labels.get(label) : this.numeric.get(near[1])?.[Number(near[2])];
  }

  private resolveSymbol(fixup: Fixup): void {
    const { slot, kind } = fixup;
    const value = kind === "call" || kind === "load" ? this.options.symbol?.(fixup.label, kind) : undefined;
    if (value === undefined) {
      const what = kind === "call" || kind === "load" ? "name" : "label";
      this.report(
        "isa/unknown-label",
        fixup.line,
        fixup.column,
        `${what} '${fixup.label.split(":")[0]}' is not defined`,
        `define it by a line '${fixup.label.split(":")[0]}:'`,
      );
      return;
    }
    this.insns[slot] = { ...this.insns[slot], src: value.src, imm: value.imm, off: value.off ?? 0 };
    if (kind !== "load") return;
    const nextImm = ((value.nextImm ?? 0) + fixup.addend) | 0;
    this.insns[slot + 1] = { ...this.insns[slot + 1], imm: nextImm };
  }
}

interface Register {
  readonly width: "r" | "w";
  readonly number: number;
  readonly column: number;
}

function registerOf(token: Token | undefined): Register | undefined {
  if (token?.kind !== "name") return undefined;
  const match = /^([rw])(\d\d?)$/i.exec(token.text);
  if (match === null || Number(match[2]) > MAX_REGISTER) return undefined;
  return { width: match[1].toLowerCase() as "r" | "w", number: Number(match[2]), column: token.column };
}

/** Values from -2^31 to 2^32-1: an unsigned word is a way to write the negative one. */
function toImm32(value: bigint, column: number): number {
  if (value < -0x8000_0000n || value > 0xffff_ffffn) {
    throw new StatementError(
      column,
      `${value} does not fit a 32-bit immediate`,
      "load it with 'r1 = … ll' first",
    );
  }
  return Number(BigInt.asIntN(32, value));
}

function toOff(value: bigint, column: number): number {
  if (value < -0x8000n || value > 0x7fffn)
    throw new StatementError(column, `${value} does not fit a 16-bit offset`);
  return Number(value);
}

type Binary = (a: bigint, b: bigint) => bigint | undefined;

const BINARY: readonly Record<string, Binary>[] = [
  { "|": (a, b) => a | b },
  { "^": (a, b) => a ^ b },
  { "&": (a, b) => a & b },
  {
    "<<": (a, b) => (b < 0n || b > 63n ? undefined : a << b),
    ">>": (a, b) => (b < 0n || b > 63n ? undefined : a >> b),
  },
  { "+": (a, b) => a + b, "-": (a, b) => a - b },
  {
    "*": (a, b) => a * b,
    "/": (a, b) => (b === 0n ? undefined : a / b),
    "%": (a, b) => (b === 0n ? undefined : a % b),
  },
];

/** The text up to `#` or `//`; neither can be part of an instruction. */
function withoutComment(line: string): string {
  const at = line.search(/#|\/\//);
  return at < 0 ? line : line.slice(0, at);
}

/** Comments of C's older kind become spaces, so that lines and columns stay. */
function blankBlockComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?(?:\*\/|$(?![\s\S]))/g, (comment) => comment.replace(/[^\n]/g, " "));
}
