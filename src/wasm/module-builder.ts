import { ByteWriter } from "./byte-writer.ts";
import { FuncBody } from "./func-body.ts";
import {
  type FuncType,
  type GlobalType,
  type Limits,
  type RefType,
  VALUE_TYPES,
  type ValueType,
} from "./types.ts";

/** A constant that a global, an element or a data segment starts from. */
export type ConstExpr =
  | { readonly kind: "i32"; readonly value: number }
  | { readonly kind: "i64"; readonly value: bigint }
  | { readonly kind: "f32" | "f64"; readonly value: number }
  | { readonly kind: "global"; readonly index: number }
  | { readonly kind: "func"; readonly index: number }
  | { readonly kind: "null"; readonly type: RefType };

/** Where a segment goes: into a table or memory when the module starts, or wherever code asks. */
export type Placement = { readonly offset: ConstExpr } | "passive";

/** What a module can import and export. */
export type ExternKind = "func" | "table" | "memory" | "global";
const EXTERN_KINDS: Readonly<Record<ExternKind, number>> = { func: 0, table: 1, memory: 2, global: 3 };

interface Import {
  readonly module: string;
  readonly name: string;
  readonly encode: (out: ByteWriter) => void;
}

/** A function's code: a {@link FuncBody}, or one that was written before. */
export interface FuncCode {
  /** Appends what the code section holds for a function. */
  encode(to: ByteWriter): void;
  readonly localNames: ReadonlyMap<number, string>;
}

interface Func {
  readonly type: number;
  readonly body: FuncCode;
  readonly name: string | undefined;
}

/**
 * A WebAssembly module being put together. Indices are given out as things are added; imports of a kind come before the
 * module's own, so add them first. `finish` gives the binary. @see WebAssembly core specification 2.0, §5.5
 */
export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeBytes = new ByteWriter();
  private readonly imports: Import[] = [];
  private readonly imported = { func: 0, table: 0, memory: 0, global: 0 };
  private readonly importNames = new Map<number, string>();
  private readonly funcs: Func[] = [];
  private readonly tables: { type: RefType; limits: Limits }[] = [];
  private readonly memories: Limits[] = [];
  private readonly globals: { type: GlobalType; init: ConstExpr }[] = [];
  private readonly exports: { name: string; kind: ExternKind; index: number }[] = [];
  private readonly elements: { funcs: readonly number[]; at: Placement; table: number }[] = [];
  private readonly data: { bytes: Uint8Array; at: Placement }[] = [];
  private readonly custom: { name: string; bytes: Uint8Array }[] = [];
  private readonly name: string | undefined;
  private startFunc: number | undefined;

  /** @param name the module's name, for the name section. */
  constructor(name?: string) {
    this.name = name;
  }

  /** Index of a function type; equal types share one. */
  type(params: readonly ValueType[], results: readonly ValueType[] = []): number {
    const key = `${params.join()}:${results.join()}`;
    const found = this.types.indexOf(key);
    if (found >= 0) return found;
    this.typeBytes.u8(0x60);
    writeTypes(this.typeBytes, params);
    writeTypes(this.typeBytes, results);
    return this.types.push(key) - 1;
  }

  importFunc(module: string, name: string, type: FuncType): number {
    const index = this.type(type.params, type.results);
    const func = this.importOf("func", module, name, (out) => out.u8(EXTERN_KINDS.func).leb32u(index));
    this.importNames.set(func, name);
    return func;
  }

  importTable(module: string, name: string, limits: Limits, type: RefType = "funcref"): number {
    return this.importOf("table", module, name, (out) => {
      out.u8(EXTERN_KINDS.table).u8(VALUE_TYPES[type]);
      writeLimits(out, limits);
    });
  }

  importMemory(module: string, name: string, limits: Limits): number {
    return this.importOf("memory", module, name, (out) => {
      out.u8(EXTERN_KINDS.memory);
      writeLimits(out, limits);
    });
  }

  importGlobal(module: string, name: string, type: GlobalType): number {
    return this.importOf("global", module, name, (out) => {
      out.u8(EXTERN_KINDS.global);
      writeGlobalType(out, type);
    });
  }

  /**
   * Declares a function: its index, and the body to be filled in before `finish`, with the function's `end`.
   * @param name for the name section: what profilers and stack traces show.
   */
  func(type: FuncType, name?: string): { readonly index: number; readonly body: FuncBody } {
    const body = new FuncBody(type.params.length);
    return { index: this.funcOf(type, body, name), body };
  }

  /** Declares a function with code of its own; its index. */
  funcOf(type: FuncType, body: FuncCode, name?: string): number {
    const own = this.funcs.push({ type: this.type(type.params, type.results), body, name }) - 1;
    return this.imported.func + own;
  }

  table(limits: Limits, type: RefType = "funcref"): number {
    return this.imported.table + this.tables.push({ type, limits }) - 1;
  }

  memory(limits: Limits): number {
    return this.imported.memory + this.memories.push(limits) - 1;
  }

  global(type: GlobalType, init: ConstExpr): number {
    return this.imported.global + this.globals.push({ type, init }) - 1;
  }

  export(name: string, kind: ExternKind, index: number): void {
    this.exports.push({ name, kind, index });
  }

  /** The function that runs when the module is instantiated. */
  start(func: number): void {
    this.startFunc = func;
  }

  /** A segment of functions for a table; its index. */
  element(funcs: readonly number[], at: Placement, table = 0): number {
    return this.elements.push({ funcs, at, table }) - 1;
  }

  /** Functions that `ref.func` may name though they are in no table and not exported. */
  declare(funcs: readonly number[]): number {
    return this.elements.push({ funcs, at: "passive", table: -1 }) - 1;
  }

  /** A segment of bytes for memory 0; its index. */
  dataSegment(bytes: Uint8Array, at: Placement): number {
    return this.data.push({ bytes, at }) - 1;
  }

  /** A custom section behind all others. */
  customSection(name: string, bytes: Uint8Array): void {
    this.custom.push({ name, bytes });
  }

  /** The module's bytes. */
  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(4096);
    out.bytes(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    if (this.types.length > 0) section(out, 1, (to) => to.leb32u(this.types.length).append(this.typeBytes));
    vector(out, 2, this.imports, (to, { module, name, encode }) => encode(to.name(module).name(name)));
    vector(out, 3, this.funcs, (to, { type }) => to.leb32u(type));
    vector(out, 4, this.tables, (to, { type, limits }) => writeLimits(to.u8(VALUE_TYPES[type]), limits));
    vector(out, 5, this.memories, writeLimits);
    vector(out, 6, this.globals, (to, { type, init }) => {
      writeGlobalType(to, type);
      writeConst(to, init);
    });
    vector(out, 7, this.exports, (to, { name, kind, index }) =>
      to.name(name).u8(EXTERN_KINDS[kind]).leb32u(index),
    );
    const { startFunc } = this;
    if (startFunc !== undefined) section(out, 8, (to) => to.leb32u(startFunc));
    vector(out, 9, this.elements, writeElement);
    if (this.data.length > 0) section(out, 12, (to) => to.leb32u(this.data.length));
    vector(out, 10, this.funcs, (to, { body }) => body.encode(to));
    vector(out, 11, this.data, writeData);
    this.writeNames(out);
    for (const { name, bytes } of this.custom) section(out, 0, (to) => to.name(name).bytes(bytes));
    return out.finish();
  }

  private importOf(
    kind: ExternKind,
    module: string,
    name: string,
    encode: (out: ByteWriter) => void,
  ): number {
    this.imports.push({ module, name, encode });
    return this.imported[kind]++;
  }

  /** The custom section "name": module, functions, locals. Appendix 7.4 of the specification. */
  private writeNames(out: ByteWriter): void {
    const functions = new Map(this.importNames);
    const locals: [number, ReadonlyMap<number, string>][] = [];
    for (const [i, { name, body }] of this.funcs.entries()) {
      if (name !== undefined) functions.set(this.imported.func + i, name);
      if (body.localNames.size > 0) locals.push([this.imported.func + i, body.localNames]);
    }
    if (this.name === undefined && functions.size === 0 && locals.length === 0) return;
    section(out, 0, (to) => {
      to.name("name");
      const { name } = this;
      if (name !== undefined) section(to, 0, (sub) => sub.name(name));
      if (functions.size > 0) section(to, 1, (sub) => writeNameMap(sub, functions));
      if (locals.length > 0)
        section(to, 2, (sub) => {
          sub.leb32u(locals.length);
          for (const [func, names] of locals) writeNameMap(sub.leb32u(func), names);
        });
    });
  }
}

function section(out: ByteWriter, id: number, write: (to: ByteWriter) => void): void {
  const body = new ByteWriter();
  write(body);
  out.u8(id).leb32u(body.length).append(body);
}

function vector<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (to: ByteWriter, item: T) => void,
): void {
  if (items.length === 0) return;
  section(out, id, (to) => {
    to.leb32u(items.length);
    for (const item of items) write(to, item);
  });
}

function writeTypes(out: ByteWriter, types: readonly ValueType[]): void {
  out.leb32u(types.length);
  for (const type of types) out.u8(VALUE_TYPES[type]);
}

function writeLimits(out: ByteWriter, { min, max, shared }: Limits): void {
  out.u8((max === undefined ? 0 : 1) | (shared === true ? 2 : 0)).leb32u(min);
  if (max !== undefined) out.leb32u(max);
}

function writeGlobalType(out: ByteWriter, { type, mutable }: GlobalType): void {
  out.u8(VALUE_TYPES[type]).u8(mutable ? 1 : 0);
}

function writeConst(out: ByteWriter, expr: ConstExpr): void {
  switch (expr.kind) {
    case "i32":
      out.u8(0x41).leb32s(expr.value);
      break;
    case "i64":
      out.u8(0x42).leb64s(expr.value);
      break;
    case "f32":
      out.u8(0x43).f32(expr.value);
      break;
    case "f64":
      out.u8(0x44).f64(expr.value);
      break;
    case "global":
      out.u8(0x23).leb32u(expr.index);
      break;
    case "func":
      out.u8(0xd2).leb32u(expr.index);
      break;
    case "null":
      out.u8(0xd0).u8(VALUE_TYPES[expr.type]);
      break;
  }
  out.u8(0x0b);
}

function writeElement(
  out: ByteWriter,
  element: { funcs: readonly number[]; at: Placement; table: number },
): void {
  const { funcs, at, table } = element;
  if (at === "passive") out.u8(table < 0 ? 3 : 1).u8(0);
  else if (table === 0) writeConst(out.u8(0), at.offset);
  else {
    writeConst(out.u8(2).leb32u(table), at.offset);
    out.u8(0);
  }
  out.leb32u(funcs.length);
  for (const func of funcs) out.leb32u(func);
}

function writeData(out: ByteWriter, { bytes, at }: { bytes: Uint8Array; at: Placement }): void {
  if (at === "passive") out.u8(1);
  else writeConst(out.u8(0), at.offset);
  out.leb32u(bytes.length).bytes(bytes);
}

function writeNameMap(out: ByteWriter, names: ReadonlyMap<number, string>): void {
  out.leb32u(names.size);
  for (const [index, name] of [...names].sort(([a], [b]) => a - b)) out.leb32u(index).name(name);
}
