import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex } from "../base/index.ts";
import {
  ByteWriter,
  type FuncBody,
  type MemoryOpcode,
  ModuleBuilder,
  OPCODES,
  type Opcode,
  type OpcodeRow,
  type PlainOpcode,
  type ValueType,
} from "./index.ts";

const leb = (write: (out: ByteWriter) => ByteWriter) => toHex(write(new ByteWriter(1)).finish());

describe("LEB128", () => {
  it.each([
    [0, "00"],
    [127, "7f"],
    [128, "8001"],
    [624485, "e58e26"],
    [0xffffffff, "ffffffff0f"],
  ])("unsigned %d", (value, hex) => expect(leb((out) => out.leb32u(value))).toBe(hex));
  it.each([
    [0, "00"],
    [63, "3f"],
    [64, "c000"],
    [-1, "7f"],
    [-64, "40"],
    [-65, "bf7f"],
    [-123456, "c0bb78"],
    [0x7fffffff, "ffffffff07"],
    [-0x80000000, "8080808078"],
  ])("signed 32 bits %d", (value, hex) => {
    expect(leb((out) => out.leb32s(value))).toBe(hex);
    expect(leb((out) => out.leb64s(BigInt(value)))).toBe(hex);
  });
  it.each([
    [0x7fff_ffff_ffff_ffffn, "ffffffffffffffffff00"],
    [-0x8000_0000_0000_0000n, "8080808080808080807f"],
    [0xffff_ffff_ffff_ffffn, "7f"],
    [0x8000_0000n, "8080808008"],
  ])("signed 64 bits %d", (value, hex) => expect(leb((out) => out.leb64s(value))).toBe(hex));

  it("every constant comes back out of a running module", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.integer(), (wide, narrow) => {
        const module = new ModuleBuilder();
        const a = module.func({ params: [], results: ["i64"] });
        a.body.i64Const(wide).end();
        const b = module.func({ params: [], results: ["i32"] });
        b.body.i32Const(narrow).end();
        const c = module.func({ params: [], results: ["i64"] });
        c.body.i64Const(narrow).end();
        module.export("a", "func", a.index);
        module.export("b", "func", b.index);
        module.export("c", "func", c.index);
        const exports = run(module);
        expect([exports.a(), exports.b(), exports.c()]).toEqual([wide, narrow, BigInt(narrow)]);
      }),
    );
  });
});

// biome-ignore lint/suspicious/noExplicitAny: exports of a module made at run time
function run(module: ModuleBuilder, imports: WebAssembly.Imports = {}): Record<string, any> {
  return new WebAssembly.Instance(new WebAssembly.Module(module.finish()), imports).exports;
}

const TYPE: Readonly<Record<string, ValueType>> = { i: "i32", l: "i64", f: "f32", d: "f64" };
const types = (letters: string) => [...letters].map((letter) => TYPE[letter]);

/** A module with one of everything, so that any index 0 exists. */
function surroundings(): ModuleBuilder {
  const module = new ModuleBuilder("m");
  module.type([], []);
  module.importFunc("e", "f", { params: [], results: [] });
  module.table({ min: 1 });
  module.memory({ min: 1, max: 2, shared: true });
  module.global({ type: "i32", mutable: true }, { kind: "i32", value: 0 });
  module.element([0], "passive");
  module.dataSegment(Uint8Array.of(1), "passive");
  module.declare([0]);
  return module;
}

function zero(body: FuncBody, letter: string): void {
  if (letter === "i") body.i32Const(0);
  else if (letter === "l") body.i64Const(0n);
  else if (letter === "f") body.f32Const(0);
  else body.f64Const(0);
}

/** How to write those whose place or immediates decide: the whole body but for the function's `end`. */
const SPECIAL: Partial<Record<Opcode, (body: FuncBody) => unknown>> = {
  unreachable: (f) => f.op("unreachable"),
  block: (f) => f.br(f.block()).end(),
  loop: (f) => [f.loop(), f.end()],
  if: (f) => [f.i32Const(1).if(), f.end()],
  else: (f) => [f.i32Const(1).if(), f.else().end()],
  end: (f) => [f.block(), f.op("end")],
  br: (f) => f.br(f.loop()).end(),
  br_if: (f) => {
    const label = f.block();
    f.i32Const(1).brIf(label).end();
  },
  br_table: (f) => {
    const outer = f.block();
    const inner = f.block();
    f.i32Const(1).brTable([inner, outer], inner).end().end();
  },
  return: (f) => f.op("return"),
  call: (f) => f.call(0),
  call_indirect: (f) => f.i32Const(0).callIndirect(0),
  return_call: (f) => f.returnCall(0),
  return_call_indirect: (f) => f.i32Const(0).returnCallIndirect(0),
  "ref.null": (f) => f.refNull("externref").op("drop"),
  "ref.is_null": (f) => f.refNull("funcref").op("ref.is_null").op("drop"),
  "ref.func": (f) => f.refFunc(0).op("drop"),
  drop: (f) => f.i32Const(0).op("drop"),
  select: (f) => f.i32Const(0).i32Const(1).i32Const(0).op("select").op("drop"),
  select_t: (f) => f.refFunc(0).refFunc(0).i32Const(0).selectTyped("funcref").op("drop"),
  "local.get": (f) => f.localGet(f.local("i64", "x")).op("drop"),
  "local.set": (f) => f.i64Const(1n).localSet(f.local("i64")),
  "local.tee": (f) => f.i64Const(1n).localTee(f.local("i64")).op("drop"),
  "global.get": (f) => f.globalGet(0).op("drop"),
  "global.set": (f) => f.i32Const(1).globalSet(0),
  "table.get": (f) => f.i32Const(0).table("table.get").op("drop"),
  "table.set": (f) => f.i32Const(0).refNull("funcref").table("table.set"),
  "table.grow": (f) => f.refNull("funcref").i32Const(0).table("table.grow").op("drop"),
  "table.fill": (f) => f.i32Const(0).refNull("funcref").i32Const(0).table("table.fill"),
};

/** One instruction with its immediates. */
function write(f: FuncBody, name: Opcode, row: OpcodeRow): void {
  switch (row.imm) {
    case "none":
      f.op(name as PlainOpcode);
      break;
    case "memarg":
    case "atomic":
      f.memory(name as MemoryOpcode, 8, row.bytes);
      break;
    case "zero":
      f.fence();
      break;
    case "i32":
    case "i64":
    case "f32":
    case "f64":
      zero(f, row.sig[1]);
      break;
    default:
      BULK[name]?.(f);
  }
}

const BULK: Partial<Record<Opcode, (f: FuncBody) => unknown>> = {
  "table.init": (f) => f.tableInit(0),
  "elem.drop": (f) => f.elemDrop(0),
  "table.copy": (f) => f.tableCopy(),
  "table.size": (f) => f.table("table.size"),
  "memory.size": (f) => f.memorySize(),
  "memory.grow": (f) => f.memoryGrow(),
  "memory.init": (f) => f.memoryInit(0),
  "data.drop": (f) => f.dataDrop(0),
  "memory.copy": (f) => f.memoryCopy(),
  "memory.fill": (f) => f.memoryFill(),
};

/** V8 takes tail calls from 11.2 on without a flag; other hosts may not. */
const probe = new ModuleBuilder();
probe.func({ params: [], results: [] }).body.returnCall(0).end();
const TAIL_CALLS = WebAssembly.validate(probe.finish());

describe("opcodes", () => {
  it.each(Object.entries(OPCODES) as [Opcode, OpcodeRow][])("%s is valid with its types", (name, row) => {
    if (name.startsWith("return_call") && !TAIL_CALLS) return;
    const module = surroundings();
    const [params, results] = row.sig.split(":");
    const { body } = module.func({ params: [], results: row.sig === "" ? [] : types(results) }, name);
    const before = body.length;
    const special = SPECIAL[name];
    if (special !== undefined) special(body);
    else {
      for (const letter of params) zero(body, letter);
      write(body, name, row);
    }
    expect(body.length).toBeGreaterThan(before);
    body.end();
    const bytes = module.finish();
    if (!WebAssembly.validate(bytes)) new WebAssembly.Module(bytes); // throws with V8's words
    expect(WebAssembly.validate(bytes)).toBe(true);
  });

  it.each(
    (Object.entries(OPCODES) as [Opcode, OpcodeRow][]).filter(
      ([, row]) => row.sig.split(":")[1]?.length === 1,
    ),
  )("%s is not valid with another result", (name, row) => {
    const module = surroundings();
    const [params, results] = row.sig.split(":");
    const { body } = module.func({ params: [], results: [results === "d" ? "f32" : "f64"] });
    for (const letter of params) zero(body, letter);
    write(body, name, row);
    body.end();
    expect(WebAssembly.validate(module.finish())).toBe(false);
  });

  it("codes are unique", () => {
    const codes = Object.values(OPCODES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it.each([
    ["i32.add", 0x6a],
    ["i64.extend32_s", 0xc4],
    ["i64.trunc_sat_f64_u", 0xfc07],
    ["i64.atomic.rmw32.cmpxchg_u", 0xfe4e],
  ] as const)("%s is %i, as the specification says", (name, code) => expect(OPCODES[name].code).toBe(code));
});

describe("modules", () => {
  it("a loop adds up", () => {
    const module = new ModuleBuilder();
    const { index, body: f } = module.func({ params: ["i32"], results: ["i64"] }, "sum");
    const total = f.local("i64", "total");
    const done = f.block();
    const again = f.loop();
    f.localGet(0).op("i32.eqz").brIf(done);
    f.localGet(total).localGet(0).op("i64.extend_i32_u").op("i64.add").localSet(total);
    f.localGet(0).i32Const(1).op("i32.sub").localSet(0).br(again);
    f.end().end().localGet(total).end();
    module.export("sum", "func", index);
    expect(run(module).sum(100)).toBe(5050n);
  });

  it("imports of every kind, start, active segments, several results", () => {
    const module = new ModuleBuilder();
    const log = module.importFunc("env", "log", { params: ["i32"], results: [] });
    const table = module.importTable("env", "table", { min: 2 });
    module.importMemory("env", "memory", { min: 1, max: 4 });
    const base = module.importGlobal("env", "base", { type: "i32", mutable: false });
    const start = module.func({ params: [], results: [] });
    start.body.i32Const(7).call(log).end();
    module.start(start.index);
    const pair = module.func({ params: [], results: ["i32", "i64"] });
    pair.body.i32Const(1).i64Const(2n).end();
    const second = module.table({ min: 1 });
    module.export("second", "table", second);
    module.element([pair.index], { offset: { kind: "global", index: base } }, table);
    module.element([start.index], { offset: { kind: "i32", value: 0 } }, second);
    module.dataSegment(Uint8Array.of(9, 8), { offset: { kind: "global", index: base } });
    const kept = module.global({ type: "i64", mutable: true }, { kind: "i64", value: -5n });
    module.export("kept", "global", kept);
    const seen: number[] = [];
    const env = {
      log: (n: number) => seen.push(n),
      table: new WebAssembly.Table({ element: "anyfunc", initial: 2 }),
      memory: new WebAssembly.Memory({ initial: 1, maximum: 4 }),
      base: new WebAssembly.Global({ value: "i32", mutable: false }, 1),
    };
    const exports = run(module, { env });
    expect(seen).toEqual([7]);
    expect(env.table.get(1)()).toEqual([1, 2n]);
    expect(exports.second.get(0)).toBeTypeOf("function");
    expect([...new Uint8Array(env.memory.buffer, 0, 3)]).toEqual([0, 9, 8]);
    expect(exports.kept.value).toBe(-5n);
  });

  it("shared memory", () => {
    const module = new ModuleBuilder();
    module.export("memory", "memory", module.memory({ min: 1, max: 1, shared: true }));
    expect(run(module).memory.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it("globals and elements of every constant", () => {
    const module = new ModuleBuilder();
    const f = module.func({ params: [], results: [] });
    f.body.end();
    module.export("f", "func", f.index);
    module.export("a", "global", module.global({ type: "f32", mutable: false }, { kind: "f32", value: 1.5 }));
    module.export("b", "global", module.global({ type: "f64", mutable: false }, { kind: "f64", value: -2 }));
    const r = module.global({ type: "funcref", mutable: false }, { kind: "func", index: f.index });
    const n = module.global({ type: "externref", mutable: false }, { kind: "null", type: "externref" });
    module.export("r", "global", r);
    module.export("n", "global", n);
    const { a, b, r: func, n: none, f: same } = run(module);
    expect([a.value, b.value, func.value === same, none.value]).toEqual([1.5, -2, true, null]);
  });

  it("names functions and locals in the section that engines read", () => {
    const module = new ModuleBuilder("prog");
    const { index, body } = module.func({ params: ["i64"], results: [] }, "bpf:xdp_main");
    body.nameLocal(0, "r1");
    body.local("i64", "r2");
    body.op("unreachable").end();
    module.export("f", "func", index);
    const compiled = new WebAssembly.Module(module.finish());
    const [section] = WebAssembly.Module.customSections(compiled, "name");
    const text = new TextDecoder("latin1").decode(section);
    for (const name of ["prog", "bpf:xdp_main", "r1", "r2"]) expect(text).toContain(name);
    const exports = new WebAssembly.Instance(compiled).exports as { f(x: bigint): void };
    try {
      exports.f(0n);
    } catch (error) {
      expect((error as Error).stack).toContain("bpf:xdp_main");
    }
  });

  it("custom sections come back", () => {
    const module = new ModuleBuilder();
    module.customSection("skep", Uint8Array.of(1, 2, 3));
    const [bytes] = WebAssembly.Module.customSections(new WebAssembly.Module(module.finish()), "skep");
    expect([...new Uint8Array(bytes)]).toEqual([1, 2, 3]);
  });

  it("20,000 nested blocks", () => {
    const module = new ModuleBuilder();
    const { body: f } = module.func({ params: [], results: [] });
    const outermost = f.block();
    for (let i = 1; i < 20_000; i++) f.block();
    f.br(outermost);
    for (let i = 0; i < 20_000; i++) f.end();
    f.end();
    expect(WebAssembly.validate(module.finish())).toBe(true);
  });
});
