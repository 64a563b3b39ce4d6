import { BpfError } from "../base/index.ts";
import {
  type BatchOptions,
  type BpfMap,
  type Collection,
  type CollectionSpec,
  type Kernel,
  type LoadOptions,
  type MapSpec,
  type PacketBatch,
  type ProgramSpec,
  setGlobals,
  setKconfig,
} from "../object/index.ts";
import { BatchArea } from "./batch-area.ts";
import type { BatchProgram } from "./batch-run.ts";
import type { ProgramFacts } from "./code.ts";
import { type EngineName, openEngine } from "./engine.ts";
import { defaultHost, type Host } from "./host.ts";
import type { Interpreter } from "./interpreter.ts";
import { loadProgram } from "./load-program.ts";
import { createMap, type EmbeddedMap, hasEvents, type ObjectRegistry } from "./maps/index.ts";
import { EmbeddedProgram, type ProgramServices } from "./program.ts";
import type { RunAnswer } from "./workers/messages.ts";
import { type BatchRunResult, WorkerPool } from "./workers/pool.ts";
import type { WorkerSource } from "./workers/port.ts";
import { checkWorkers, forWorkers } from "./workers/suitable.ts";

/** The Linux version that the embedded kernel claims to be (`LINUX_KERNEL_VERSION`): 6.18. */
export const KERNEL_VERSION = (6 << 16) | (18 << 8);

/** How to open an embedded kernel. */
export interface EmbeddedKernelOptions {
  /** Clock, randomness, task, network; members that are missing come from {@link defaultHost}. */
  readonly host?: Partial<Host>;
  /** CPUs that programs see; default: the host's, else 1. */
  readonly numCpus?: number;
  /** Reads of stack bytes that were never written: an error (default), or zero as in Linux ≥ 6.4 with privileges. */
  readonly uninitStack?: "error" | "zero";
  /** Bytes the linear memory may grow to; default 2 GiB. */
  readonly memoryLimit?: number;
  /** Asked for every program before it is loaded. Default: none; the interpreter's checks alone protect. */
  readonly gate?: ProgramGate;
  /** How programs are executed; default `"interpreter"`. `"jit"` trusts them: see {@link EngineName}. */
  readonly engine?: EngineName | undefined;
  /**
   * With `engine: "jit"`: count instructions, and stop a run at its budget (default true). Without, `RunResult.insns` is
   * absent and a program that never ends never comes back.
   */
  readonly metered?: boolean;
  /**
   * With `engine: "jit"`: worker threads that share this kernel's memory, each a CPU (`numCpus` is at least their number;
   * default: just that). `Program.runBatches` spreads packets over them. Needs SharedArrayBuffer: Node, and pages that
   * are cross-origin isolated. The memory does not grow; `memoryLimit` is its size, default 512 MiB.
   */
  readonly workers?: WorkerSource | undefined;
}

/**
 * Refuses a program by throwing, or gives what it found out about it. The verifier stands here (`kernel/`). `spec` holds
 * the program with globals, kconfig and map sizes as they will be.
 */
export type ProgramGate = (
  spec: CollectionSpec,
  program: ProgramSpec,
  options: LoadOptions,
) => ProgramFacts | undefined;

/** The kernel inside: maps, programs and helpers over one linear memory, in Node and in browsers. */
export interface EmbeddedKernel extends Kernel {
  readonly kind: "embedded";
  readonly host: Host;
  load(spec: CollectionSpec, options?: LoadOptions): Promise<EmbeddedCollection>;
  /** Runs the timers and work queues that are due by the host's clock (also done after every run): how many ran. @throws what a callback does. */
  runTimers(): number;
  /** When the next timer is due, on its own clock; undefined when none is armed. */
  nextTimer(): { readonly clock: "monotonic" | "realtime" | "boottime"; readonly due: bigint } | undefined;
  /** Bytes of linear memory in use. */
  readonly usedBytes: number;
}

/** What `load` gives. */
export interface EmbeddedCollection extends Collection {
  readonly programs: ReadonlyMap<string, EmbeddedProgram>;
  readonly maps: ReadonlyMap<string, EmbeddedMap & BpfMap>;
}

/**
 * Opens an embedded kernel. Works without privileges, Linux or Node; a program that breaks a rule throws a BpfError
 * (`runtime/…`) that names instruction, source line and cure.
 */
export async function openEmbeddedKernel(
  options: EmbeddedKernelOptions = {},
  makeEngine: typeof openEngine = openEngine,
): Promise<EmbeddedKernel> {
  const { workers } = options;
  const numCpus = options.numCpus ?? workers?.count ?? options.host?.numCpus ?? 1;
  if (!Number.isInteger(numCpus) || numCpus < 1 || numCpus > 4096)
    throw new BpfError("runtime/bad-options", `numCpus must be 1 to 4096, not ${numCpus}`);
  if (workers !== undefined) checkWorkers(workers, numCpus, options);
  const host: Host = { ...defaultHost(), ...options.host, numCpus };
  const kernel = new TheKernel(host);
  await kernel.open(options, makeEngine);
  return kernel;
}

class TheKernel implements EmbeddedKernel, ObjectRegistry {
  readonly kind = "embedded";
  readonly host: Host;
  readonly numCpus: number;
  private interpreter!: Interpreter; // set by open(), which openEmbeddedKernel awaits
  private readonly maps = new Map<number, EmbeddedMap>();
  private readonly programs = new Map<number, EmbeddedProgram>();
  private nextId = 1;
  private runningTimers = false;
  private gate: ProgramGate | undefined;
  private pool: WorkerPool | undefined;
  /** Made when the first batch is run. */
  private area: BatchArea | undefined;
  private readonly services: ProgramServices = {
    // Timers that became due while a program ran fire after it.
    afterRun: () => {
      if (!this.runningTimers && !this.interpreter.state.timers.idle) this.runTimers();
    },
    batchArea: () => this.batchArea(),
    workers: undefined,
    ringBuffers: () =>
      [...this.maps.values()].flatMap(({ type, address }) =>
        type === "BPF_MAP_TYPE_RINGBUF" ? [address] : [],
      ),
  };

  constructor(host: Host) {
    this.host = host;
    this.numCpus = host.numCpus;
  }

  async open(options: EmbeddedKernelOptions, makeEngine: typeof openEngine): Promise<void> {
    this.gate = options.gate;
    const { engine, metered, uninitStack = "error", memoryLimit, workers } = options;
    this.interpreter = await makeEngine(engine, {
      host: this.host,
      metered,
      uninitStack,
      memoryLimit,
      shared: workers && "new",
      mapById: (id) => this.maps.get(id),
    });
    if (workers === undefined) return;
    const { pid, tgid, uid, gid, comm, cgroupId } = this.host.task;
    this.pool = await WorkerPool.open(
      workers,
      {
        module: this.interpreter.module,
        deliver: (events) => this.deliver(events),
        traceLine: (text) => this.host.traceLine(text),
      },
      { numCpus: this.numCpus, metered, uninitStack, task: { pid, tgid, uid, gid, comm, cgroupId } },
    );
  }

  /** Records that worker threads took out of their buffers. */
  private deliver(events: RunAnswer["events"]): void {
    for (const { map, records, lost } of events) {
      const live = this.maps.get(map);
      if (live !== undefined && hasEvents(live)) live.deliver(records, lost);
    }
  }

  private async *spread<B extends PacketBatch>(
    pool: WorkerPool,
    program: BatchProgram,
    batches: AsyncIterable<B> | Iterable<B>,
    optionsOf: (batch: B) => BatchOptions,
  ): AsyncGenerator<BatchRunResult<B>> {
    await pool.load(forWorkers(program, this.maps));
    yield* pool.run(program.loaded.code.id, batches, optionsOf);
  }

  get usedBytes(): number {
    return this.interpreter.module.exports.allocatedBytes();
  }

  mapById(id: number): EmbeddedMap | undefined {
    return this.maps.get(id);
  }

  programById(id: number): EmbeddedProgram | undefined {
    return this.programs.get(id);
  }

  /** Socket maps hold cookies of the sockets that the host declares. */
  socketAddress(id: number): number {
    const socket = this.host.network?.sockets?.find(({ cookie }) => cookie === BigInt(id));
    const { state, heap, module } = this.interpreter;
    return socket === undefined ? 0 : state.sockets.addressOf(socket, heap, module.memory);
  }

  socketId(address: number): number {
    return Number(this.interpreter.state.sockets.at(address)?.cookie ?? 0n);
  }

  async load(spec: CollectionSpec, options: LoadOptions = {}): Promise<EmbeddedCollection> {
    const chosen = choosePrograms(spec, options.programs);
    const withGlobals = options.globals === undefined ? spec : setGlobals(spec, options.globals);
    const settled = setKconfig(withGlobals, {
      kernelVersion: KERNEL_VERSION,
      ...(options.kconfig && { config: options.kconfig }),
    });
    const facts = new Map<ProgramSpec, ProgramFacts | undefined>();
    if (this.gate !== undefined) {
      const sizes = settled.maps.map((map) => sized(map, options, this.numCpus));
      for (const program of chosen)
        facts.set(program, this.gate({ ...settled, maps: sizes }, program, options));
    }
    const maps = new Map<string, EmbeddedMap>();
    const programs = new Map<string, EmbeddedProgram>();
    const close = () => {
      for (const program of programs.values()) this.closeProgram(program);
      for (const map of [...maps.values()].reverse()) this.closeMap(map);
    };
    try {
      for (const map of settled.maps) maps.set(map.name, this.createMap(settled, map, options, maps));
      for (const program of chosen)
        programs.set(program.name, this.loadProgram(settled, program, options, maps, facts.get(program)));
      fillSlots(settled.maps, maps, programs);
      for (const map of maps.values()) if (map.spec.frozen) map.freeze();
    } catch (error) {
      close();
      throw error;
    }
    const attachAll = () =>
      [...programs.values()].filter(({ spec }) => spec.section !== "").map((program) => program.attach());
    return { spec: settled, programs, maps, attachAll, [Symbol.dispose]: close };
  }

  runTimers(): number {
    if (this.runningTimers) return 0;
    this.runningTimers = true;
    try {
      const { timers } = this.interpreter.state;
      return timers.run((clock) => (clock === "realtime" ? this.host.realtimeNs() : this.host.nowNs()));
    } finally {
      this.runningTimers = false;
    }
  }

  nextTimer() {
    return this.interpreter.state.timers.next();
  }

  [Symbol.dispose](): void {
    for (const program of [...this.programs.values()]) this.closeProgram(program);
    for (const map of [...this.maps.values()].reverse()) this.closeMap(map);
    this.pool?.close();
    this.area?.free();
    this.area = undefined;
    this.interpreter.close();
  }

  private createMap(
    spec: CollectionSpec,
    map: MapSpec,
    options: LoadOptions,
    made: ReadonlyMap<string, EmbeddedMap>,
  ): EmbeddedMap {
    const id = this.nextId++;
    const wanted = sized(map, options, this.numCpus);
    const created = sizeHinted(wanted, () =>
      createMap(this.interpreter.module, wanted, {
        id,
        numCpus: this.numCpus,
        btf: spec.btf,
        registry: this,
        ...innerOf(map, made),
        onFree: (owner, value) => this.interpreter.state.forget(value, owner.spec.valueSize),
      }),
    );
    this.maps.set(id, created);
    return created;
  }

  private loadProgram(
    spec: CollectionSpec,
    program: ProgramSpec,
    options: LoadOptions,
    maps: ReadonlyMap<string, EmbeddedMap>,
    facts: ProgramFacts | undefined,
  ): EmbeddedProgram {
    const { interpreter } = this;
    const id = this.nextId++;
    const loaded = loadProgram(program, {
      spec,
      module: interpreter.module,
      maps,
      target: options.targetBtf,
      id,
      facts,
    });
    interpreter.addCode(loaded.code);
    const live = new EmbeddedProgram(program, loaded, interpreter, this.servicesFor());
    this.programs.set(id, live);
    return live;
  }

  private servicesFor(): ProgramServices {
    const { pool } = this;
    if (pool === undefined) return this.services;
    return { ...this.services, workers: (...what) => this.spread(pool, ...what) };
  }

  private batchArea(): BatchArea {
    this.area ??= new BatchArea(this.interpreter.module);
    return this.area;
  }

  private closeProgram(program: EmbeddedProgram): void {
    this.programs.delete(program.id);
    this.pool?.unload(program.id);
    program.close();
  }

  private closeMap(map: EmbeddedMap): void {
    if (!this.maps.delete(map.id)) return;
    this.interpreter.state.timers.forgetMap(map);
    map.close();
  }
}

/** The programs to load: those named, else all that load by themselves. */
function choosePrograms(spec: CollectionSpec, names: readonly string[] | undefined): readonly ProgramSpec[] {
  if (names === undefined) return spec.programs.filter((program) => program.autoload);
  return names.map((name) => {
    const program = spec.programs.find((candidate) => candidate.name === name);
    if (program !== undefined) return program;
    throw new BpfError("runtime/no-such-program", `there is no program '${name}'`, {
      subject: name,
      hint: `there are: ${spec.programs.map((candidate) => candidate.name).join(", ")}`,
    });
  });
}

/** Sizes that the user or the number of CPUs decides. */
function sized(map: MapSpec, options: LoadOptions, numCpus: number): MapSpec {
  const given = options.maxEntries?.[map.name];
  if (given !== undefined) return { ...map, maxEntries: given };
  // A perf event array without sizes has a descriptor for each CPU, as libbpf and cilium/ebpf make it.
  if (map.type === "BPF_MAP_TYPE_PERF_EVENT_ARRAY")
    return {
      ...map,
      keySize: map.keySize || 4,
      valueSize: map.valueSize || 4,
      maxEntries: map.maxEntries || numCpus,
    };
  return map;
}

/** Many tools leave a map's size to their loader: say how to give it. */
function sizeHinted<T>(map: MapSpec, create: () => T): T {
  try {
    return create();
  } catch (error) {
    if (!(error instanceof BpfError) || map.maxEntries !== 0) throw error;
    const { code, message, errno, subject } = error;
    const hint = `its size is left to the loader: give maxEntries: { "${map.name}": … }`;
    throw new BpfError(code, message, {
      hint,
      cause: error,
      ...(errno && { errno }),
      ...(subject && { subject }),
    });
  }
}

/** A map-in-map without a template of its own takes the first map it is declared to hold. */
function innerOf(map: MapSpec, made: ReadonlyMap<string, EmbeddedMap>): { inner?: MapSpec } {
  if (map.inner !== undefined) return {};
  const first = map.values.find((value) => value.map !== undefined);
  const inner = first?.map === undefined ? undefined : made.get(first.map)?.spec;
  return inner === undefined ? {} : { inner };
}

/** Declared initial slots of prog arrays and maps of maps. */
function fillSlots(
  specs: readonly MapSpec[],
  maps: ReadonlyMap<string, EmbeddedMap>,
  programs: ReadonlyMap<string, EmbeddedProgram>,
): void {
  for (const { name, values } of specs) {
    for (const { key, map, program } of values) {
      const id = map !== undefined ? maps.get(map)?.id : programs.get(program ?? "")?.id;
      // A program that was not chosen leaves its slot empty.
      if (id === undefined) continue;
      maps.get(name)!.update(u32(key), u32(id));
    }
  }
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
