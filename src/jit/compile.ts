import { BpfError } from "../base/index.ts";
import { functionStarts, functionTarget, isFunctionLoad, isLocalCall, slotsOf } from "../isa/index.ts";
import { type FuncBody, type FuncType, ModuleBuilder } from "../wasm/index.ts";
import { buildGraph } from "./cfg.ts";
import { importDirectHelpers } from "./direct-call.ts";
import type { ModuleIndex } from "./emitter.ts";
import { writeFunction } from "./function-writer.ts";
import type { JitInput, JitOutput } from "./input.ts";
import { makeReducible } from "./irreducible.ts";
import {
  ARG_STRIDE,
  BPF_FUNC,
  CALL_FRAMES,
  FRAME_STRIDE,
  HOST_IMPORTS,
  MAP_IMPORTS,
  RUN_GLOBALS,
} from "./surroundings.ts";
import { unrollLoops } from "./unroll.ts";

/**
 * Compiles a program to a WebAssembly module: a function for each BPF function, registers as locals. The module imports
 * `run.memory`, `run.table`, the globals of {@link RUN_GLOBALS} and the functions of {@link HOST_IMPORTS} and
 * {@link MAP_IMPORTS}; it exports what {@link JitExports} says.
 *
 * Nothing is checked: the program is trusted to do only what a verifier would let it do. What it does otherwise stays
 * inside the linear memory. @throws BpfError `jit/bad-function` when control leaves a function.
 */
export function compileProgram(input: JitInput): JitOutput {
  const { insns } = input;
  const module = new ModuleBuilder(input.name);
  const starts = [...new Set([...functionStarts(insns), ...input.entries])].sort((a, b) => a - b);
  const addressed = addressedFunctions(input);
  const entries = [0, ...new Set([...addressed, ...input.entries].filter((slot) => slot !== 0))];
  const imports = declareImports(module, input);
  const bodies = starts.map((slot) =>
    module.func(BPF_FUNC, `bpf:${input.names.get(slot) ?? (slot === 0 ? input.name : `func_${slot}`)}`),
  );
  const index: ModuleIndex = {
    ...imports,
    bpfType: module.type(BPF_FUNC.params, BPF_FUNC.results),
    functions: new Map(starts.map((slot, i) => [slot, bodies[i].index])),
    addressed,
    used: { helpers: new Set(), callsOut: false },
  };
  const deep = mayNestTooDeep(input, starts);
  for (const [i, start] of starts.entries()) {
    const graph = buildGraph(
      insns,
      start,
      starts[i + 1] ?? insns.length,
      (slot) => input.stops.has(slot),
      input.reached,
    );
    if (graph === undefined)
      throw new BpfError("jit/bad-function", `control leaves the function at instruction ${start}`, {
        insn: start,
        subject: input.name,
        hint: "end every path of a function with exit, and jump only inside of it",
      });
    makeReducible(graph);
    writeFunction(bodies[i].body, graph, unrollLoops(graph, insns), input, index, deep && i > 0);
  }
  module.export("main", "func", bodies[0].index);
  writeEntries(module, index, entries);
  const { helpers, callsOut } = index.used;
  return { bytes: module.finish(), entries, hostHelpers: helpers, callsOut };
}

function declareImports(
  module: ModuleBuilder,
  input: JitInput,
): Pick<ModuleIndex, "host" | "maps" | "direct" | "globals"> {
  module.importMemory("run", "memory", { min: 1, max: 65536, shared: input.shared === true });
  module.importTable("run", "table", { min: 1 });
  const functions = <K extends string>(from: string, rows: Readonly<Record<K, FuncType>>) =>
    Object.fromEntries(
      Object.entries<FuncType>(rows).map(([name, type]) => [name, module.importFunc(from, name, type)]),
    ) as Record<K, number>; // the same keys
  const globals = Object.fromEntries(
    Object.entries(RUN_GLOBALS).map(([name, type]) => [
      name,
      module.importGlobal("run", name, { type, mutable: true }),
    ]),
  ) as Record<keyof typeof RUN_GLOBALS, number>; // the same keys
  return {
    host: functions("host", HOST_IMPORTS),
    maps: functions("maps", MAP_IMPORTS),
    direct: importDirectHelpers(module, input),
    globals,
  };
}

/** Slots of functions that a wide load names: callbacks, and targets of `callx`. */
function addressedFunctions({ insns }: JitInput): number[] {
  const found = new Set<number>();
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot))
    if (isFunctionLoad(insns, slot)) found.add(functionTarget(insns, slot));
  return [...found].sort((a, b) => a - b);
}

/** Can calls nest deeper than Linux allows? Looked at through all calls, taken or not; callbacks are the host's. */
function mayNestTooDeep({ insns }: JitInput, starts: readonly number[]): boolean {
  const callees = starts.map(() => new Set<number>());
  const number = new Map(starts.map((slot, i) => [slot, i]));
  let current = 0;
  for (let slot = 0; slot < insns.length; slot += slotsOf(insns, slot)) {
    while (starts[current + 1] <= slot) current++;
    if (isLocalCall(insns, slot) || isFunctionLoad(insns, slot))
      callees[current].add(number.get(functionTarget(insns, slot)) as number); // every target is a start
  }
  // Longest chain of calls; as many rounds as frames are enough to see one that is too long, or a cycle.
  let depth = starts.map(() => 1);
  for (let round = 0; round < CALL_FRAMES; round++)
    depth = depth.map((_, i) => 1 + Math.max(0, ...[...callees[i]].map((callee) => depth[callee])));
  return depth.some((frames) => frames > CALL_FRAMES);
}

/**
 * `run` and `call`: entry functions for the host, free of 64-bit arguments (each would become a bigint). r1–r5 are read
 * from the argument places of the frame, r0 is left there.
 */
function writeEntries(module: ModuleBuilder, index: ModuleIndex, entries: readonly number[]): void {
  const call = module.func({ params: ["i32", "i32"], results: [] }, "call");
  const { body: f } = call;
  f.nameLocal(0, "entry").nameLocal(1, "fp");
  for (const [i, slot] of entries.entries()) {
    f.localGet(0).i32Const(i).op("i32.eq").if();
    f.localGet(1).localGet(1);
    pushArguments(f, 1);
    f.call(index.functions.get(slot) as number).memory("i64.store", 0, 8); // every entry is a function
    f.op("return").end();
  }
  f.op("unreachable").end();
  module.export("call", "func", call.index);

  const run = module.func({ params: ["i32", "i32", "i32", "f64"], results: ["f64"] }, "run");
  const { body: g } = run;
  const { fuel, cpu, frameLimit, tailCalls } = index.globals;
  const [times, fp] = [0, 1];
  g.nameLocal(0, "times").nameLocal(1, "fp").nameLocal(2, "cpu").nameLocal(3, "budget");
  g.localGet(2).globalSet(cpu);
  g.localGet(3).op("i64.trunc_sat_f64_s").globalSet(fuel);
  g.localGet(fp)
    .i32Const((CALL_FRAMES - 1) * FRAME_STRIDE)
    .op("i32.add")
    .globalSet(frameLimit);
  const again = g.loop();
  g.i32Const(0).globalSet(tailCalls);
  g.localGet(fp).localGet(fp);
  pushArguments(g, fp);
  g.call(index.functions.get(0) as number).memory("i64.store", 0, 8); // slot 0 starts a function
  g.localGet(times).i32Const(1).op("i32.sub").localTee(times).brIf(again).end();
  g.globalGet(fuel).op("f64.convert_i64_s").end();
  module.export("run", "func", run.index);
  writePackets(module, index);
}

/** `packets`: as `run`, with the contexts that the map module's `batchNext` gives. */
function writePackets(module: ModuleBuilder, index: ModuleIndex): void {
  const packets = module.func({ params: ["i32", "i32", "i32", "f64"], results: ["f64"] }, "packets");
  const { body: f } = packets;
  const { fuel, cpu, frameLimit, tailCalls } = index.globals;
  const [batch, fp] = [0, 1];
  f.nameLocal(batch, "batch").nameLocal(fp, "fp").nameLocal(2, "cpu").nameLocal(3, "budget");
  const [r0, used, limit, context] = [
    f.local("i64", "r0"),
    f.local("i64", "used"),
    f.local("i64", "limit"),
    f.local("i32", "context"),
  ];
  f.localGet(2).globalSet(cpu);
  f.localGet(3).op("i64.trunc_sat_f64_s").localSet(limit);
  f.localGet(fp)
    .i32Const((CALL_FRAMES - 1) * FRAME_STRIDE)
    .op("i32.add")
    .globalSet(frameLimit);
  const again = f.loop();
  f.localGet(batch).localGet(r0).call(index.maps.batchNext).localTee(context).if();
  f.i32Const(0).globalSet(tailCalls);
  f.localGet(limit).globalSet(fuel);
  f.localGet(fp).localGet(context).op("i64.extend_i32_u");
  for (let r = 2; r <= 5; r++) f.i64Const(0);
  f.call(index.functions.get(0) as number).localSet(r0); // slot 0 starts a function
  f.localGet(used).localGet(limit).op("i64.add").globalGet(fuel).op("i64.sub").localSet(used);
  f.br(again).end();
  f.end();
  f.localGet(used).op("f64.convert_i64_s").end();
  module.export("packets", "func", packets.index);
}

function pushArguments(f: FuncBody, fp: number): void {
  for (let r = 1; r <= 5; r++) f.localGet(fp).memory("i64.load", ARG_STRIDE * r, 8);
}
