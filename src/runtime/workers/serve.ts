import { BpfError } from "../../base/index.ts";
import { BatchArea } from "../batch-area.ts";
import { type BatchProgram, BatchRun, PacketFailure } from "../batch-run.ts";
import { placeCode } from "../code.ts";
import { openEngine } from "../engine.ts";
import { HOOKS, type Hook } from "../hooks/index.ts";
import { defaultHost, type Host } from "../host.ts";
import type { Interpreter } from "../interpreter.ts";
import { createMap, type EmbeddedEventMap, type EmbeddedMap, hasEvents } from "../maps/index.ts";
import { EmbeddedProgram } from "../program.ts";
import type {
  Answer,
  LoadRequest,
  OpenRequest,
  RemoteError,
  Request,
  RunAnswer,
  RunRequest,
} from "./messages.ts";
import type { ServedPort } from "./port.ts";

/** While one is run from, the other one is filled. */
export const AREAS = 2;

/**
 * The work of a worker thread of an embedded kernel: call it once, in the script that the thread runs.
 * @param makeHost clock and random numbers of the thread; default: the browser's. Trace lines go to the kernel's host.
 */
export function serveWorker(
  port: ServedPort,
  makeHost: (traceLine: (text: string) => void) => Partial<Host> = () => ({}),
): void {
  const trace: string[] = [];
  const host = {
    ...defaultHost(),
    ...makeHost((line) => trace.push(line)),
    traceLine: (line: string) => void trace.push(line),
  };
  let kernel: WorkerKernel | undefined;
  const carryOut = async (request: Request): Promise<unknown> => {
    if (request.kind === "open") {
      kernel = await WorkerKernel.open(request, host, trace);
      return kernel.areas.map(({ block }) => block);
    }
    if (kernel === undefined) throw new BpfError("runtime/internal", "the worker has not joined a kernel");
    if (request.kind === "load") return kernel.load(request);
    if (request.kind === "unload") return kernel.unload(request.program);
    return kernel.run(request);
  };
  let last = Promise.resolve();
  port.onMessage((message) => {
    const request = message as Request; // from WorkerPool
    last = last.then(async () => {
      let answer: Answer;
      try {
        answer = { token: request.token, value: await carryOut(request) };
      } catch (error) {
        answer = { token: request.token, error: asData(error) };
      }
      port.post(answer);
    });
  });
}

function asData(thrown: unknown): RemoteError {
  const packet = thrown instanceof PacketFailure ? thrown.index : undefined;
  const error = thrown instanceof PacketFailure ? thrown.error : thrown;
  if (!(error instanceof BpfError))
    return {
      code: "runtime/worker",
      message: error instanceof Error ? error.message : String(error),
      packet,
    };
  const { code, message, insn, source, hint, errno, offset, subject } = error;
  return {
    code,
    message,
    packet,
    ...(insn !== undefined && { insn }),
    ...(source && { source }),
    ...(hint !== undefined && { hint }),
    ...(errno !== undefined && { errno }),
    ...(offset !== undefined && { offset }),
    ...(subject !== undefined && { subject }),
  };
}

interface LoadedHere {
  readonly program: EmbeddedProgram;
  readonly maps: readonly EmbeddedMap[];
}

/** A kernel's memory, seen by another thread: its own engine, stack and packets, the same maps. */
class WorkerKernel {
  readonly areas: readonly BatchArea[];
  private readonly engine: Interpreter;
  private readonly cpu: number;
  private readonly trace: string[];
  private readonly maps: Map<number, EmbeddedMap>;
  private readonly programs = new Map<number, LoadedHere>();

  private constructor(engine: Interpreter, cpu: number, maps: Map<number, EmbeddedMap>, trace: string[]) {
    this.engine = engine;
    this.cpu = cpu;
    this.maps = maps;
    this.trace = trace;
    this.areas = Array.from({ length: AREAS }, () => new BatchArea(engine.module));
  }

  static async open(request: OpenRequest, host: Host, trace: string[]): Promise<WorkerKernel> {
    const maps = new Map<number, EmbeddedMap>();
    const engine = await openEngine("jit", {
      host: { ...host, numCpus: request.numCpus, task: request.task },
      metered: request.metered,
      uninitStack: request.uninitStack,
      shared: request.memory,
      mapById: (id) => maps.get(id),
    });
    return new WorkerKernel(engine, request.cpu, maps, trace);
  }

  load({ program, spec, code, maps }: LoadRequest): void {
    const { engine } = this;
    for (const { spec: map, id, address, btf } of maps) {
      if (this.maps.has(id)) continue;
      const numCpus = engine.host.numCpus;
      this.maps.set(id, createMap(engine.module, map, { id, numCpus, btf, existing: address }));
    }
    const placed = placeCode(engine.module, { ...code, kfuncs: [] });
    if (placed === undefined)
      throw new BpfError("runtime/out-of-memory", `no memory left for program '${spec.name}'`, {
        errno: "ENOMEM",
      });
    engine.addCode(placed);
    const hook = HOOKS[code.type] as Hook; // the kernel has loaded it
    const own = maps.map(({ id }) => this.maps.get(id) as EmbeddedMap); // put there above
    const live = new EmbeddedProgram(spec, { code: placed, hook }, engine, {
      afterRun: () => {},
      batchArea: () => this.areas[0],
      ringBuffers: () =>
        own.flatMap(({ type, address }) => (type === "BPF_MAP_TYPE_RINGBUF" ? [address] : [])),
      workers: undefined,
    });
    this.programs.set(program, { program: live, maps: own });
  }

  unload(program: number): void {
    this.programs.get(program)?.program.close();
    this.programs.delete(program);
  }

  run(request: RunRequest): RunAnswer {
    const loaded = this.programs.get(request.program);
    if (loaded === undefined) throw new BpfError("runtime/internal", "the worker does not know the program");
    const area = this.areas[request.area];
    const events = new Map<number, RunAnswer["events"][number]["records"][number][]>();
    const sources = loaded.maps.filter(hasEvents);
    const consume = () => {
      for (const map of sources) {
        const records = map.drain();
        const before = events.get(map.id);
        if (before === undefined) events.set(map.id, records);
        else before.push(...records);
      }
    };
    const lostBefore = sources.map(lostHere);
    const program: BatchProgram = loaded.program.forBatches;
    const { ctx, maxInsns, keepPackets } = request;
    const packets = area.packets(request.count, request.interfaces, request.queues);
    const start = this.engine.host.nowNs();
    const run = new BatchRun(program, area, { cpu: this.cpu, ctx, maxInsns, keepPackets, consume });
    try {
      run.checkArrivals(packets, 0, request.count);
      const chunk = run.run(request.count, 0, packets);
      const elapsedNs = Number(this.engine.host.nowNs() - start);
      return {
        chunk,
        elapsedNs,
        events: sources.map((map, i) => ({
          map: map.id,
          records: events.get(map.id) ?? [],
          lost: lostHere(map) - lostBefore[i],
        })),
        trace: this.trace.splice(0),
      };
    } finally {
      run.close();
    }
  }
}

/** Records that found no room in buffers of this thread; a ring buffer counts in its header, which all see. */
function lostHere(map: EmbeddedEventMap): number {
  return map.type === "BPF_MAP_TYPE_RINGBUF" ? 0 : map.lost;
}
