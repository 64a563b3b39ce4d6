import {
  ARG_STRIDE,
  BPF_FUNC,
  type DirectHelper,
  HOST_IMPORTS,
  type RUN_GLOBALS,
  type RunGlobal,
} from "../jit/index.ts";
import type { FuncBody, Glue, Part, ReadImport, Target } from "../wasm/index.ts";
import { type AheadHelper, helperType } from "./helpers.ts";

/** Everything that the functions written here refer to. */
export interface Surroundings {
  /** `assembly/ahead`. */
  readonly kernel: Part;
  /** Frame pointer of a program's first frame. */
  readonly framePointer: number;
  readonly globals: Readonly<Record<RunGlobal | "stopCode" | "stopInsn", number>>;
  /** All helpers that any program calls. */
  readonly helpers: readonly AheadHelper[];
}

/** What a compiled program's imports from `host` are in a standalone module. */
export function hostGlue(around: Surroundings): Record<keyof typeof HOST_IMPORTS, Glue> {
  const { kernel, globals, helpers } = around;
  const targets = helpers.map((helper) => helperTarget(helper, kernel));
  const loadPacket: Target = { kind: "export", from: kernel, name: "loadPacket" };
  return {
    helper: {
      name: "helper",
      type: HOST_IMPORTS.helper,
      uses: targets,
      write(f, indexOf) {
        const [id, fp] = [0, 2];
        f.nameLocal(id, "id").nameLocal(1, "slot").nameLocal(fp, "fp");
        for (const [i, helper] of helpers.entries()) {
          f.localGet(id).i32Const(helper.id).op("i32.eq").if();
          f.localGet(fp);
          callHelper(f, helper, indexOf(targets[i]), fp);
          f.memory("i64.store", 0, 8).op("return").end();
        }
        f.op("unreachable").end();
      },
    },
    kfunc: { name: "kfunc", type: HOST_IMPORTS.kfunc, uses: [], write: (f) => f.op("unreachable").end() },
    loadPacket: {
      name: "load_packet",
      type: HOST_IMPORTS.loadPacket,
      uses: [loadPacket],
      write: (f, indexOf) => f.localGet(0).localGet(1).localGet(3).call(indexOf(loadPacket)).end(),
    },
    fail: {
      name: "stop",
      type: HOST_IMPORTS.fail,
      uses: [],
      write: (f) =>
        f
          .localGet(0)
          .i32Const(1)
          .op("i32.add")
          .globalSet(globals.stopCode)
          .localGet(1)
          .globalSet(globals.stopInsn)
          .op("unreachable")
          .end(),
    },
  };
}

function helperTarget(helper: AheadHelper, kernel: Part): Target {
  const { name } = helper;
  return helper.from === "host"
    ? { kind: "import", module: "env", name, type: helperType(helper.args) }
    : { kind: "export", from: kernel, name };
}

/** Calls a helper with the arguments of frame `fp`; leaves what r0 becomes on the stack. */
function callHelper(f: FuncBody, helper: AheadHelper, target: number, fp: number): void {
  const load = (r: number) => f.localGet(fp).memory("i64.load", ARG_STRIDE * r, 8);
  if (helper.from !== "direct") {
    for (let r = 1; r <= helper.args; r++) load(r);
    f.call(target);
    return;
  }
  for (const [i, type] of helper.row.args.entries()) {
    load(i + 1);
    if (type === "i32") f.op("i32.wrap_i64");
  }
  if (helper.row.cpu) f.i32Const(0);
  f.call(target);
  RESULT[helper.row.result](f);
}

/** What a direct helper gives as r0. */
const RESULT: Record<DirectHelper["result"], (f: FuncBody) => unknown> = {
  errno: (f) => f.op("i64.extend_i32_s"),
  u32: (f) => f.op("i64.extend_i32_u"),
  i64: () => {},
  none: (f) => f.i64Const(0),
};

/** `raw_NAME(context) → r0`: runs a program on a context that lies in the memory. */
export function rawGlue(name: string, main: Target, around: Surroundings): Glue {
  return {
    name: `raw_${name}`,
    type: { params: ["i32"], results: ["i64"] },
    uses: [main],
    write(f, indexOf) {
      f.nameLocal(0, "context");
      start(f, around);
      f.localGet(0).op("i64.extend_i32_u");
      for (let r = 2; r < BPF_FUNC.params.length; r++) f.i64Const(0);
      f.call(indexOf(main)).end();
    },
  };
}

/** Ethernet header's bytes in front of what these programs see of a packet. */
const ETH_HLEN = 14;

/** `run_NAME(packet, length) → verdict`: makes the context, runs the program. */
export function packetGlue(
  name: string,
  raw: Glue,
  packet: "xdp" | "skb" | "skb-network",
  { kernel }: Surroundings,
): Glue {
  const begin: Target = { kind: "export", from: kernel, name: packet === "xdp" ? "xdpBegin" : "skbBegin" };
  const run: Target = { kind: "glue", glue: raw };
  return {
    name: `run_${name}`,
    type: { params: ["i32", "i32"], results: ["i32"] },
    uses: [begin, run],
    write(f, indexOf) {
      f.nameLocal(0, "packet").nameLocal(1, "length").localGet(0).localGet(1);
      if (packet !== "xdp") f.i32Const(packet === "skb" ? 0 : ETH_HLEN);
      f.call(indexOf(begin)).call(indexOf(run)).op("i32.wrap_i64").end();
    },
  };
}

/** What a run starts from; leaves the frame pointer on the stack. */
function start(f: FuncBody, { globals, framePointer }: Surroundings): void {
  f.i32Const(0).globalSet(globals.tailCalls);
  f.i32Const(0).globalSet(globals.stopCode);
  f.i32Const(framePointer);
}

/** A compiled program as a part to be linked: its imports are the kernel's functions and the glue. */
export function programPart(
  module: Part["module"],
  name: string,
  host: ReturnType<typeof hostGlue>,
  around: Surroundings,
): Part {
  return {
    module,
    prefix: name,
    func(imported: ReadImport): Target {
      if (imported.module === "host" && imported.name in host)
        return { kind: "glue", glue: host[imported.name as keyof typeof host] };
      return { kind: "export", from: around.kernel, name: imported.name };
    },
    global: (imported) => around.globals[imported.name as keyof typeof RUN_GLOBALS], // what compileProgram imports
    ownGlobal: (index) => index, // compiled programs have none
  };
}
