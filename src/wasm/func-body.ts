import { ByteWriter } from "./byte-writer.ts";
import { type MemoryOpcode, OPCODES, type Opcode, type OpcodeRow, type PlainOpcode } from "./opcodes.ts";
import { type BlockType, type RefType, VALUE_TYPES, type ValueType } from "./types.ts";

/** A place that a branch can go to: the end of a `block` or `if`, the start of a `loop`. Made by {@link FuncBody.block} … */
export interface Label {
  /** How many structured instructions are open outside of this one. */
  readonly depth: number;
}

/**
 * The instructions of one function, encoded as they are called for. Every method appends and gives back `this`; the
 * types of operands are the caller's promise. Structured instructions are opened, and closed with {@link FuncBody.end}.
 */
export class FuncBody {
  private readonly out = new ByteWriter();
  private readonly extra: ValueType[] = [];
  private readonly names = new Map<number, string>();
  private readonly params: number;
  private depth = 0;

  /** @param params how many parameters the function has: its first locals. */
  constructor(params: number) {
    this.params = params;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.out.length;
  }

  /** Types of the locals behind the parameters. */
  get locals(): readonly ValueType[] {
    return this.extra;
  }

  /** Names of locals and parameters, for the name section. */
  get localNames(): ReadonlyMap<number, string> {
    return this.names;
  }

  /** A new local; its index. */
  local(type: ValueType, name?: string): number {
    const index = this.params + this.extra.push(type) - 1;
    if (name !== undefined) this.names.set(index, name);
    return index;
  }

  /** Names a parameter or local for debuggers and profilers. */
  nameLocal(index: number, name: string): this {
    this.names.set(index, name);
    return this;
  }

  /** An instruction without immediates. */
  op(name: PlainOpcode): this {
    if (name === "end") return this.end();
    return this.code(name);
  }

  localGet(index: number): this {
    return this.indexed("local.get", index);
  }

  localSet(index: number): this {
    return this.indexed("local.set", index);
  }

  localTee(index: number): this {
    return this.indexed("local.tee", index);
  }

  globalGet(index: number): this {
    return this.indexed("global.get", index);
  }

  globalSet(index: number): this {
    return this.indexed("global.set", index);
  }

  i32Const(value: number): this {
    this.code("i32.const").out.leb32s(value);
    return this;
  }

  /** Takes numbers too: an integer that a double holds. */
  i64Const(value: bigint | number): this {
    this.code("i64.const");
    if (typeof value === "number" && value === (value | 0)) this.out.leb32s(value);
    else this.out.leb64s(BigInt(value));
    return this;
  }

  f32Const(value: number): this {
    this.code("f32.const").out.f32(value);
    return this;
  }

  f64Const(value: number): this {
    this.code("f64.const").out.f64(value);
    return this;
  }

  /** A load, store or atomic at `offset` bytes behind the address operand. `align`: bytes; default: natural for atomics, else 1. */
  memory(name: MemoryOpcode, offset = 0, align?: number): this {
    const row = OPCODES[name];
    const bytes = align ?? (row.imm === "atomic" ? row.bytes : 1);
    this.code(name).out.leb32u(31 - Math.clz32(bytes));
    this.out.leb32u(offset);
    return this;
  }

  block(type: BlockType = "void"): Label {
    return this.open("block", type);
  }

  loop(type: BlockType = "void"): Label {
    return this.open("loop", type);
  }

  if(type: BlockType = "void"): Label {
    return this.open("if", type);
  }

  else(): this {
    return this.code("else");
  }

  /** Ends the innermost open structured instruction, or the function. */
  end(): this {
    this.depth--;
    return this.code("end");
  }

  br(label: Label): this {
    return this.indexed("br", this.depth - 1 - label.depth);
  }

  brIf(label: Label): this {
    return this.indexed("br_if", this.depth - 1 - label.depth);
  }

  brTable(labels: readonly Label[], otherwise: Label): this {
    this.code("br_table").out.leb32u(labels.length);
    for (const label of labels) this.out.leb32u(this.depth - 1 - label.depth);
    this.out.leb32u(this.depth - 1 - otherwise.depth);
    return this;
  }

  call(func: number): this {
    return this.indexed("call", func);
  }

  returnCall(func: number): this {
    return this.indexed("return_call", func);
  }

  callIndirect(type: number, table = 0): this {
    this.code("call_indirect").out.leb32u(type).leb32u(table);
    return this;
  }

  returnCallIndirect(type: number, table = 0): this {
    this.code("return_call_indirect").out.leb32u(type).leb32u(table);
    return this;
  }

  refNull(type: RefType): this {
    this.code("ref.null").out.u8(VALUE_TYPES[type]);
    return this;
  }

  refFunc(func: number): this {
    return this.indexed("ref.func", func);
  }

  selectTyped(type: ValueType): this {
    this.code("select_t").out.leb32u(1).u8(VALUE_TYPES[type]);
    return this;
  }

  /** `table.get`, `.set`, `.grow`, `.size`, `.fill`. */
  table(name: "table.get" | "table.set" | "table.grow" | "table.size" | "table.fill", table = 0): this {
    return this.indexed(name, table);
  }

  tableInit(elem: number, table = 0): this {
    this.code("table.init").out.leb32u(elem).leb32u(table);
    return this;
  }

  tableCopy(to = 0, from = 0): this {
    this.code("table.copy").out.leb32u(to).leb32u(from);
    return this;
  }

  elemDrop(elem: number): this {
    return this.indexed("elem.drop", elem);
  }

  memorySize(): this {
    return this.indexed("memory.size", 0);
  }

  memoryGrow(): this {
    return this.indexed("memory.grow", 0);
  }

  memoryFill(): this {
    return this.indexed("memory.fill", 0);
  }

  memoryCopy(): this {
    this.code("memory.copy").out.u8(0).u8(0);
    return this;
  }

  memoryInit(data: number): this {
    this.code("memory.init").out.leb32u(data).u8(0);
    return this;
  }

  dataDrop(data: number): this {
    return this.indexed("data.drop", data);
  }

  fence(): this {
    return this.indexed("atomic.fence", 0);
  }

  /** Local declarations (runs of equal types), then the instructions: what the code section holds for a function. */
  encode(to: ByteWriter): void {
    const head = new ByteWriter(16);
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.extra) {
      const last = runs[runs.length - 1];
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    head.leb32u(runs.length);
    for (const { type, count } of runs) head.leb32u(count).u8(VALUE_TYPES[type]);
    to.leb32u(head.length + this.out.length)
      .append(head)
      .append(this.out);
  }

  private open(name: "block" | "loop" | "if", type: BlockType): Label {
    this.code(name);
    if (typeof type === "number") this.out.leb32s(type);
    else this.out.u8(type === "void" ? 0x40 : VALUE_TYPES[type]);
    return { depth: this.depth++ };
  }

  private indexed(name: Opcode, index: number): this {
    this.code(name).out.leb32u(index);
    return this;
  }

  private code(name: Opcode): this {
    const { code }: OpcodeRow = OPCODES[name];
    if (code > 0xff) this.out.u8(code >> 8).leb32u(code & 0xff);
    else this.out.u8(code);
    return this;
  }
}
