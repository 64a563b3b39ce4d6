import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { type Immediate, OPCODES, type OpcodeRow } from "./opcodes.ts";

/** New indices for old ones, of one module's functions, globals and types. */
export interface IndexMap {
  func(index: number): number;
  global(index: number): number;
  type(index: number): number;
}

const ROWS = new Map<number, OpcodeRow>(Object.values(OPCODES).map((row) => [row.code, row]));
/** Prefix bytes: the number behind them is the low byte of `OpcodeRow.code`. */
const PREFIXES = new Set([0xfc, 0xfe]);

/** Functions that the code of a function names. @throws BpfError `wasm/malformed`. */
export function calledBy(code: Uint8Array): readonly number[] {
  const called: number[] = [];
  walk(code, {
    func: (index) => {
      called.push(index);
      return index;
    },
    global: (index) => index,
    type: (index) => index,
  });
  return called;
}

/**
 * The code of a function (locals and instructions) with other indices. Tables, memories and segments keep theirs.
 * @throws BpfError `wasm/malformed`, also for instructions that `OPCODES` does not have.
 */
export function rewriteCode(code: Uint8Array, to: IndexMap): Uint8Array {
  return walk(code, to).finish();
}

function walk(code: Uint8Array, to: IndexMap): ByteWriter {
  const out = new ByteWriter(code.length + 16);
  const from = new ByteReader(code);
  from.vector(() => {
    from.leb32u();
    from.u8();
  });
  let copied = 0;
  /** Everything up to here as it is. */
  const keep = () => {
    out.bytes(code.subarray(copied, from.at));
    copied = from.at;
  };
  const replace = (by: (index: number) => number) => {
    keep();
    out.leb32u(by(from.leb32u()));
    copied = from.at;
  };
  while (!from.done) {
    const first = from.u8();
    const row = ROWS.get(PREFIXES.has(first) ? (first << 8) | from.leb32u() : first);
    if (row === undefined) throw from.malformed(`an unknown instruction 0x${first.toString(16)}`);
    if (row.imm === "func") replace(to.func);
    else if (row.imm === "global") replace(to.global);
    else if (row.imm === "indirect") {
      replace(to.type);
      from.leb32u();
    } else if (row.imm === "block" && isTypeIndex(code[from.at])) replace(to.type);
    else SKIP[row.imm](from);
  }
  keep();
  return out;
}

/** A block's type is one byte of a negative number, or the index of a type. */
function isTypeIndex(byte: number): boolean {
  return byte >= 0x80 || (byte & 0x40) === 0;
}

const number = (from: ByteReader) => from.leb32u();
const two = (from: ByteReader) => {
  from.leb32u();
  from.leb32u();
};
const byte = (from: ByteReader) => from.u8();

/** Passes over the immediates of an instruction. */
const SKIP: Record<Immediate, (from: ByteReader) => unknown> = {
  none: () => {},
  zero: byte,
  block: byte,
  label: number,
  labels: (from) => {
    from.vector(() => from.leb32u());
    from.leb32u();
  },
  func: number,
  indirect: two,
  reftype: byte,
  types: (from) => from.vector(() => from.u8()),
  local: number,
  global: number,
  table: number,
  "table-table": two,
  elem: number,
  "elem-table": two,
  memory: byte,
  "memory-memory": two,
  data: number,
  "data-memory": two,
  memarg: two,
  atomic: two,
  i32: (from) => from.leb64s(),
  i64: (from) => from.leb64s(),
  f32: (from) => from.take(4),
  f64: (from) => from.take(8),
};
