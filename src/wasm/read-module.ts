import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import type { ExternKind } from "./module-builder.ts";
import { type FuncType, type GlobalType, VALUE_TYPES, type ValueType } from "./types.ts";

/** A module taken apart, as far as linking needs it. Indices are the module's own. */
export interface ReadModule {
  readonly types: readonly FuncType[];
  readonly imports: readonly ReadImport[];
  /** The module's own functions, behind the imported ones. */
  readonly funcs: readonly ReadFunc[];
  /** The module's own globals, behind the imported ones. */
  readonly globals: readonly GlobalType[];
  readonly exports: readonly { readonly name: string; readonly kind: ExternKind; readonly index: number }[];
  /** Does it have tables, memories, a start function or segments of elements of its own? */
  readonly own: ReadonlySet<"table" | "memory" | "start" | "elements" | "data">;
}

/** Something that a module takes from outside. `type`: of functions; `global`: of globals. */
export interface ReadImport {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  readonly type: FuncType | undefined;
  readonly global: GlobalType | undefined;
}

/** A function: declarations of locals and instructions, as they are encoded. */
export interface ReadFunc {
  readonly type: FuncType;
  readonly code: Uint8Array;
  readonly name: string | undefined;
  readonly localNames: ReadonlyMap<number, string>;
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const KINDS: readonly ExternKind[] = ["func", "table", "memory", "global"];
const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  func: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
} as const;
const OWN = new Map([
  [SECTION.table, "table"],
  [SECTION.memory, "memory"],
  [SECTION.start, "start"],
  [SECTION.element, "elements"],
  [SECTION.data, "data"],
] as const);

/** Takes a binary module apart. @throws BpfError `wasm/malformed`. */
export function readModule(bytes: Uint8Array): ReadModule {
  const reader = new ByteReader(bytes);
  if (HEADER.some((byte) => reader.done || reader.u8() !== byte)) throw reader.malformed("no header");
  let types: FuncType[] = [];
  let imports: ReadImport[] = [];
  let funcTypes: FuncType[] = [];
  let globals: GlobalType[] = [];
  let exports: ReadModule["exports"] = [];
  let bodies: Uint8Array[] = [];
  let names: Names = { functions: new Map(), locals: new Map() };
  const own = new Set<"table" | "memory" | "start" | "elements" | "data">();
  while (!reader.done) {
    const id = reader.u8();
    const body = reader.part(reader.leb32u());
    const has = OWN.get(id as 4); // any number may be asked for
    if (has !== undefined) own.add(has);
    if (id === SECTION.type) types = body.vector(() => readType(body));
    if (id === SECTION.import) imports = body.vector(() => readImport(body, types));
    if (id === SECTION.func) funcTypes = body.vector(() => typeAt(body, types));
    if (id === SECTION.global) globals = body.vector(() => readGlobal(body));
    if (id === SECTION.export)
      exports = body.vector(() => ({ name: body.name(), kind: kindOf(body), index: body.leb32u() }));
    if (id === SECTION.code) bodies = body.vector(() => body.take(body.leb32u()));
    if (id === SECTION.custom && body.name() === "name") names = readNames(body);
  }
  if (bodies.length !== funcTypes.length) throw reader.malformed("functions without code");
  const first = imports.filter(({ kind }) => kind === "func").length;
  const funcs = bodies.map((code, i) => ({
    type: funcTypes[i],
    code,
    name: names.functions.get(first + i),
    localNames: names.locals.get(first + i) ?? new Map<number, string>(),
  }));
  return { types, imports, funcs, globals, exports, own };
}

/**
 * The module with all its own globals exported as `global:INDEX`, so that a host can read what they hold.
 * @throws BpfError `wasm/malformed`.
 */
export function exportGlobals(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { imports, globals, exports } = readModule(bytes);
  const first = imports.filter(({ kind }) => kind === "global").length;
  const out = new ByteWriter(bytes.length + 256).bytes(bytes.subarray(0, HEADER.length));
  const section = new ByteWriter();
  const added = globals.map((_, i) => first + i);
  section.leb32u(exports.length + added.length);
  for (const { name, kind, index } of exports) section.name(name).u8(KINDS.indexOf(kind)).leb32u(index);
  for (const index of added) section.name(`global:${index}`).u8(KINDS.indexOf("global")).leb32u(index);
  const reader = new ByteReader(bytes, HEADER.length);
  while (!reader.done) {
    const id = reader.u8();
    const body = reader.take(reader.leb32u());
    if (id === SECTION.export) out.u8(id).leb32u(section.length).append(section);
    else out.u8(id).leb32u(body.length).bytes(body);
  }
  return out.finish();
}

const TYPE_OF = new Map<number, ValueType>(
  (Object.keys(VALUE_TYPES) as ValueType[]).map((name) => [VALUE_TYPES[name], name]),
);

function readType(from: ByteReader): FuncType {
  if (from.u8() !== 0x60) throw from.malformed("a type that is no function's");
  return { params: from.vector(() => valueType(from)), results: from.vector(() => valueType(from)) };
}

function valueType(from: ByteReader): ValueType {
  const type = TYPE_OF.get(from.u8());
  if (type === undefined) throw from.malformed("an unknown value type");
  return type;
}

function typeAt(from: ByteReader, types: readonly FuncType[]): FuncType {
  const type = types[from.leb32u()];
  if (type === undefined) throw from.malformed("a type that is not there");
  return type;
}

function kindOf(from: ByteReader): ExternKind {
  const kind = KINDS[from.u8()];
  if (kind === undefined) throw from.malformed("an unknown kind of import or export");
  return kind;
}

function readImport(from: ByteReader, types: readonly FuncType[]): ReadImport {
  const module = from.name();
  const name = from.name();
  const kind = kindOf(from);
  let type: FuncType | undefined;
  let global: GlobalType | undefined;
  if (kind === "func") type = typeAt(from, types);
  else if (kind === "global") global = globalType(from);
  else {
    if (kind === "table") valueType(from);
    const limits = from.u8();
    from.leb32u();
    if (limits & 1) from.leb32u();
  }
  return { module, name, kind, type, global };
}

function globalType(from: ByteReader): GlobalType {
  return { type: valueType(from), mutable: from.u8() === 1 };
}

/** The initial value is passed over: a number, or what an import gives. */
function readGlobal(from: ByteReader): GlobalType {
  const type = globalType(from);
  const opcode = from.u8();
  if (opcode === 0x41 || opcode === 0x42) from.leb64s();
  else if (opcode === 0x43) from.take(4);
  else if (opcode === 0x44) from.take(8);
  else if (opcode === 0x23) from.leb32u();
  else throw from.malformed("a global with an initial value of an unknown form");
  if (from.u8() !== 0x0b) throw from.malformed("a global with a longer initial value");
  return type;
}

interface Names {
  readonly functions: ReadonlyMap<number, string>;
  readonly locals: ReadonlyMap<number, ReadonlyMap<number, string>>;
}

function readNames(from: ByteReader): Names {
  let functions = new Map<number, string>();
  let locals = new Map<number, ReadonlyMap<number, string>>();
  const nameMap = (part: ByteReader) =>
    new Map(part.vector((): [number, string] => [part.leb32u(), part.name()]));
  while (!from.done) {
    const id = from.u8();
    const part = from.part(from.leb32u());
    if (id === 1) functions = nameMap(part);
    if (id === 2)
      locals = new Map(part.vector((): [number, Map<number, string>] => [part.leb32u(), nameMap(part)]));
  }
  return { functions, locals };
}
