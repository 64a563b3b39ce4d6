import type { MapTypeName, ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import { CALL_FRAMES, FRAME_STRIDE, RUN_GLOBALS, type RunGlobal, STACK_SIZE } from "../jit/index.ts";
import type { CollectionSpec } from "../object/index.ts";
import {
  type AheadCollection,
  type AheadOptions,
  type AheadProgram,
  loadAhead,
  type ProgramGate,
} from "../runtime/index.ts";
import {
  exportGlobals,
  type Glue,
  Linker,
  ModuleBuilder,
  type Part,
  type ReadModule,
  readModule,
  type Target,
} from "../wasm/index.ts";
import { type Description, type MapDescription, SECTION, writeDescription } from "./description.ts";
import { AHEAD_WASM_BASE64 } from "./generated/ahead-wasm.ts";
import { hostGlue, packetGlue, programPart, rawGlue, type Surroundings } from "./glue.ts";
import { type AheadHelper, aheadHelper } from "./helpers.ts";
import { imageOf } from "./image.ts";
import { TypeSubset } from "./types.ts";

/** How to build a standalone module. */
export interface BuildOptions extends Pick<AheadOptions, "load"> {
  /** Of the module, for people. */
  readonly name: string;
  /**
   * Refuses programs that must not run: `verifierGate()` of `kernel/`. `"unverified"`: all are let in; whatever such a
   * program does stays inside the module's memory.
   */
  readonly gate: ProgramGate | "unverified";
  /** Count instructions and stop at a budget (the exported global `fuel`). Default: unverified programs do. */
  readonly metered?: boolean;
}

/** A standalone module. */
export interface Standalone {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly description: Description;
}

/** Pages that the module is instantiated with before anything is loaded: the empty low page and its static data. */
const FIRST_PAGES = 2;
const MAXIMUM_PAGES = 65536;
/** A tail call from a subprogram leaves the caller's frames in place: as deep as the interpreter lets them get. */
const FRAMES = 72;
/** A packet buffer of this size is there from the start. */
const FIRST_PACKET = 2048;

const PACKETS: Partial<Record<ProgramTypeName, "xdp" | "skb" | "skb-network">> = {
  BPF_PROG_TYPE_XDP: "xdp",
  BPF_PROG_TYPE_SCHED_CLS: "skb",
  BPF_PROG_TYPE_SCHED_ACT: "skb",
  BPF_PROG_TYPE_SOCKET_FILTER: "skb-network",
  BPF_PROG_TYPE_CGROUP_SKB: "skb-network",
  BPF_PROG_TYPE_LWT_IN: "skb-network",
  BPF_PROG_TYPE_LWT_OUT: "skb-network",
  BPF_PROG_TYPE_LWT_XMIT: "skb-network",
  BPF_PROG_TYPE_LWT_SEG6LOCAL: "skb-network",
  BPF_PROG_TYPE_SK_SKB: "skb-network",
};

/** What the host may do with maps of a kind: functions of `assembly/ahead` by the name that they are exported as. */
const KEYED = {
  map_lookup_elem: "mapFind",
  map_update_elem: "mapUpdate",
  map_delete_elem: "mapDelete",
  map_get_next_key: "mapNextKey",
};
const QUEUED = { map_push_elem: "mapPush", map_pop_elem: "mapPop", map_peek_elem: "mapPeek" };
const EVENTS = { ringbuf_peek: "ringbufPeek", ringbuf_consume: "ringbufConsume" };
const MAP_API: Partial<Record<MapTypeName, Readonly<Record<string, string>>>> = {
  BPF_MAP_TYPE_HASH: KEYED,
  BPF_MAP_TYPE_ARRAY: KEYED,
  BPF_MAP_TYPE_PROG_ARRAY: {},
  BPF_MAP_TYPE_PERF_EVENT_ARRAY: {},
  BPF_MAP_TYPE_PERCPU_HASH: KEYED,
  BPF_MAP_TYPE_PERCPU_ARRAY: KEYED,
  BPF_MAP_TYPE_LRU_HASH: KEYED,
  BPF_MAP_TYPE_LRU_PERCPU_HASH: KEYED,
  BPF_MAP_TYPE_LPM_TRIE: KEYED,
  BPF_MAP_TYPE_ARRAY_OF_MAPS: {},
  BPF_MAP_TYPE_HASH_OF_MAPS: {},
  BPF_MAP_TYPE_QUEUE: QUEUED,
  BPF_MAP_TYPE_STACK: QUEUED,
  BPF_MAP_TYPE_BLOOM_FILTER: QUEUED,
  BPF_MAP_TYPE_RINGBUF: EVENTS,
};
/** For packets; `…_begin` makes a context that `raw_…` takes, so that the host can change fields of it before. */
const XDP_API = { xdp_begin: "xdpBegin" };
const SKB_API = { skb_begin: "skbBegin" };
const PACKET_API = {
  packet_buffer: "packetBuffer",
  packet_data: "packetData",
  packet_end: "packetEnd",
  packet_meta: "packetMeta",
};

/**
 * Builds a module that runs the programs by itself: compiled programs, the map storage and helpers that they reach, and
 * the maps as they are after loading.
 * @throws BpfError `aot/helper`, `aot/map-type`, `aot/kfunc` for what needs a kernel around it, and what loading throws.
 */
export async function buildStandalone(spec: CollectionSpec, options: BuildOptions): Promise<Standalone> {
  const { name, gate, load = {} } = options;
  const metered = options.metered ?? gate === "unverified";
  checkMaps(spec);
  const bytes = fromBase64(AHEAD_WASM_BASE64);
  const kernelModule = readModule(bytes);
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MAXIMUM_PAGES });
  const { instance } = await WebAssembly.instantiate(exportGlobals(bytes), { env: { memory } });
  const loaded = await loadAhead({ memory, exports: instance.exports }, spec, {
    load,
    metered,
    // Linux lets privileged programs read stack bytes they never wrote: they are zero.
    uninitStack: "zero",
    ...(gate !== "unverified" && { gate }),
  });
  const helpers = checkPrograms(loaded);
  const call = instance.exports as Record<string, (...args: number[]) => number>; // functions of assembly/ahead
  const stack = call.alloc(FRAMES * FRAME_STRIDE) >>> 0;
  const prepared = [stack, call.packetBuffer(FIRST_PACKET), call.contextBuffer()];
  if (prepared.includes(0))
    throw new BpfError("runtime/out-of-memory", "no memory left for a run", { errno: "ENOMEM" });

  const module = new ModuleBuilder(name);
  const around = declare(module, kernelModule, instance.exports, stack + STACK_SIZE, helpers);
  const linker = new Linker();
  const exported = new Map<string, Target>();
  const mains = addPrograms(loaded, around, exported);
  addApi(loaded, around.kernel, exported);
  for (const target of exported.values()) linker.add(target);
  for (const { main } of mains) linker.add(main);
  linker.write(module);
  module.memory({ min: memory.buffer.byteLength >>> 16, max: MAXIMUM_PAGES });
  module.export("memory", "memory", 0);
  module.table({ min: mains.length + 1 });
  for (const { main, tableIndex } of mains)
    module.element([linker.indexOf(main)], { offset: { kind: "i32", value: tableIndex } });
  for (const [name, target] of exported) module.export(name, "func", linker.indexOf(target));
  for (const { address, bytes: data } of imageOf(new Uint8Array(memory.buffer)))
    module.dataSegment(data, { offset: { kind: "i32", value: address } });
  const description = describe(loaded, { name, metered }, linker);
  exportGlobalsOf(module, loaded, description, around);
  module.customSection(SECTION, new TextEncoder().encode(writeDescription(description)));
  return { wasm: module.finish(), description };
}

function checkMaps(spec: CollectionSpec): void {
  for (const { name, type } of spec.maps)
    if (MAP_API[type] === undefined)
      throw new BpfError("aot/map-type", `map '${name}': ${type} is not available ahead of time`, {
        subject: name,
        hint: "run the programs in the embedded kernel (skep run), or take the map out",
      });
}

/** All helpers that the programs call. */
function checkPrograms({ programs }: AheadCollection): readonly AheadHelper[] {
  const helpers = new Map<number, AheadHelper>();
  for (const { spec, output, kfuncs } of programs) {
    if (kfuncs.length > 0)
      throw new BpfError(
        "aot/kfunc",
        `prog '${spec.name}': kernel function ${kfuncs[0]} is not available ahead of time`,
        { subject: spec.name, hint: "run the program in the embedded kernel (skep run)" },
      );
    for (const id of output.hostHelpers) helpers.set(id, aheadHelper(id, spec.type!, spec.name)); // it was loaded
  }
  return [...helpers.values()];
}

/** The globals: the kernel's as they are after loading, then those of a run. */
function declare(
  module: ModuleBuilder,
  kernelModule: ReadModule,
  exports: WebAssembly.Exports,
  framePointer: number,
  helpers: readonly AheadHelper[],
): Surroundings {
  const own = kernelModule.globals.map(({ type, mutable }, i) => {
    const { value } = exports[`global:${i}`] as WebAssembly.Global; // exportGlobals exports them all
    if (type === "i64") return module.global({ type, mutable }, { kind: type, value: BigInt(value) });
    return module.global(
      { type: type as "i32", mutable },
      { kind: type as "i32", value: Number(value) }, // assembly/ahead has numbers only
    );
  });
  const run = Object.entries(RUN_GLOBALS).map(([name, type]) => {
    const value = name === "frameLimit" ? framePointer + (CALL_FRAMES - 1) * FRAME_STRIDE : 0;
    const init = type === "i64" ? ({ kind: "i64", value: 0n } as const) : ({ kind: "i32", value } as const);
    return [name, module.global({ type, mutable: true }, init)] as const;
  });
  const word = () => module.global({ type: "i32", mutable: true }, { kind: "i32", value: 0 });
  const kernel: Part = {
    module: kernelModule,
    prefix: "skep",
    func: ({ module: from, name }) => {
      throw new BpfError("wasm/link", `assembly/ahead imports ${from}.${name}`);
    },
    global: () => 0,
    ownGlobal: (index) => own[index],
  };
  return {
    kernel,
    framePointer,
    globals: {
      ...(Object.fromEntries(run) as Record<RunGlobal, number>),
      stopCode: word(),
      stopInsn: word(),
    },
    helpers,
  };
}

interface Main {
  readonly main: Target;
  readonly tableIndex: number;
}

function addPrograms(
  { programs }: AheadCollection,
  around: Surroundings,
  exported: Map<string, Target>,
): readonly Main[] {
  const host = hostGlue(around);
  return programs.map(({ spec, output, tableIndex }) => {
    const part = programPart(readModule(output.bytes), spec.name, host, around);
    const main: Target = { kind: "export", from: part, name: "main" };
    const raw = rawGlue(spec.name, main, around);
    const add = (glue: Glue) => exported.set(glue.name, { kind: "glue", glue });
    add(raw);
    const packet = PACKETS[spec.type!]; // it was loaded
    if (packet !== undefined) add(packetGlue(spec.name, raw, packet, around));
    return { main, tableIndex };
  });
}

function addApi({ spec, programs }: AheadCollection, kernel: Part, exported: Map<string, Target>): void {
  const kinds = new Set(programs.map(({ spec: program }) => PACKETS[program.type!])); // they were loaded
  const skb = kinds.has("skb") || kinds.has("skb-network");
  const rows = [
    { alloc: "alloc", free: "free" },
    ...(kinds.has("xdp") || skb ? [PACKET_API] : []),
    ...(kinds.has("xdp") ? [XDP_API] : []),
    ...(skb ? [SKB_API] : []),
    ...spec.maps.map(({ type }) => MAP_API[type] ?? {}),
  ];
  for (const row of rows)
    for (const [name, from] of Object.entries(row))
      exported.set(name, { kind: "export", from: kernel, name: from });
}

function describe(
  { spec, programs, maps }: AheadCollection,
  { name, metered }: { readonly name: string; readonly metered: boolean },
  linker: Linker,
): Description {
  const subset = spec.btf && new TypeSubset(spec.btf);
  return {
    version: 1,
    name,
    license: spec.license,
    programs: programs.map(({ spec: program }) => describeProgram(program)),
    maps: spec.maps.map((map): MapDescription => {
      const typeOf = (id: number) => (id === 0 || subset === undefined ? 0 : subset.add(id));
      const { keySize, valueSize, maxEntries } = maps.get(map.name)!.spec; // every map was created
      return {
        name: map.name,
        type: map.type,
        global: `map_${map.name}`,
        keySize,
        valueSize,
        maxEntries,
        frozen: map.frozen,
        keyType: typeOf(map.keyType),
        valueType: typeOf(map.valueType),
      };
    }),
    imports: linker.imports.map((imported) => ({
      name: imported.name,
      args: imported.type.params.length,
    })),
    metered,
    types: subset?.types ?? [{ kind: "void", name: "" }],
  };
}

function describeProgram({ name, section, type }: AheadProgram["spec"]): Description["programs"][number] {
  const run = PACKETS[type!] === undefined ? {} : { run: `run_${name}` }; // it was loaded
  return { name, section, type: type!, raw: `raw_${name}`, ...run };
}

function exportGlobalsOf(
  module: ModuleBuilder,
  { maps }: AheadCollection,
  description: Description,
  { globals }: Surroundings,
): void {
  for (const { name, global } of description.maps) {
    const value = maps.get(name)!.address; // every map was created
    const index = module.global({ type: "i32", mutable: false }, { kind: "i32", value });
    module.export(global, "global", index);
  }
  module.export("stop_code", "global", globals.stopCode);
  module.export("stop_insn", "global", globals.stopInsn);
  if (description.metered) module.export("fuel", "global", globals.fuel);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
