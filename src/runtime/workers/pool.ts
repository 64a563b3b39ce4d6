import { BpfError } from "../../base/index.ts";
import type { BatchOptions, BatchResult, PacketBatch } from "../../object/index.ts";
import { BatchArea } from "../batch-area.ts";
import { fillArea } from "../batch-run.ts";
import { joinChunks } from "../run-batch.ts";
import type { KernelModule } from "../wasm-module.ts";
import type { Answer, LoadRequest, OpenRequest, RemoteError, Request, RunAnswer } from "./messages.ts";
import type { WorkerPort, WorkerSource } from "./port.ts";

/** Errors after which a thread may have left locks behind. */
const BROKEN: ReadonlySet<string> = new Set([
  "runtime/jit-trap",
  "runtime/damaged-memory",
  "runtime/worker",
  "runtime/internal",
]);
/** Batches that are read ahead of the one whose result is asked for next. */
const READ_AHEAD = 4;

/** What the pool does to the kernel it belongs to. */
export interface PoolOwner {
  readonly module: KernelModule;
  /** Hands records to the kernel's own map, which gives them out. */
  deliver(events: RunAnswer["events"]): void;
  traceLine(text: string): void;
}

/** A batch with what came of it. */
export interface BatchRunResult<B extends PacketBatch> {
  readonly batch: B;
  readonly result: BatchResult;
}

/** The worker threads of a kernel. */
export class WorkerPool {
  private readonly owner: PoolOwner;
  private readonly threads: readonly Thread[];
  private readonly loaded = new Map<number, Promise<unknown>>();
  /** Chunks go round: which thread is next. */
  private turn = 0;

  private constructor(owner: PoolOwner, threads: readonly Thread[]) {
    this.owner = owner;
    this.threads = threads;
  }

  /** Starts the threads. @throws BpfError `runtime/worker` when one does not start. */
  static async open(
    source: WorkerSource,
    owner: PoolOwner,
    options: Omit<OpenRequest, "kind" | "memory" | "cpu">,
  ): Promise<WorkerPool> {
    const threads = Array.from({ length: source.count }, (_, cpu) => new Thread(source.spawn(cpu), cpu));
    try {
      const { memory } = owner.module;
      await Promise.all(
        threads.map(async (thread, cpu) => {
          const blocks = await thread.ask({ kind: "open", memory: memory.wasm, cpu, ...options });
          thread.useAreas((blocks as number[]).map((block) => new BatchArea(owner.module, block)));
        }),
      );
    } catch (error) {
      for (const thread of threads) thread.close();
      throw error;
    }
    return new WorkerPool(owner, threads);
  }

  /** Has every thread compile the program, once. */
  load(request: Omit<LoadRequest, "kind">): Promise<unknown> {
    const { program } = request;
    const known = this.loaded.get(program);
    if (known !== undefined) return known;
    const asked = Promise.all(this.threads.map((thread) => thread.ask({ kind: "load", ...request })));
    this.loaded.set(program, asked);
    return asked;
  }

  unload(program: number): void {
    if (!this.loaded.delete(program)) return;
    for (const thread of this.threads) thread.ask({ kind: "unload", program }).catch(() => {}); // it died: nothing to free
  }

  /** Runs batches on all threads; what came of them in their order. */
  async *run<B extends PacketBatch>(
    program: number,
    batches: AsyncIterable<B> | Iterable<B>,
    optionsOf: (batch: B) => BatchOptions,
  ): AsyncGenerator<BatchRunResult<B>> {
    const source =
      Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
    const waiting: { batch: B; chunks: Promise<RunAnswer>[]; options: BatchOptions }[] = [];
    let more = true;
    try {
      while (more || waiting.length > 0) {
        while (more && waiting.length < READ_AHEAD) {
          const next = await source.next();
          if (next.done === true) more = false;
          else {
            const options = optionsOf(next.value);
            const chunks: Promise<RunAnswer>[] = [];
            waiting.push({ batch: next.value, chunks, options });
            await this.post(program, next.value, options, chunks);
          }
        }
        const first = waiting.shift();
        if (first !== undefined) yield { batch: first.batch, result: await this.collect(first) };
      }
    } finally {
      // After an error, or when the caller has seen enough: no thread works on an area that is filled again.
      await Promise.allSettled(waiting.flatMap(({ chunks }) => chunks));
      await source.return?.();
    }
  }

  close(): void {
    for (const thread of this.threads) thread.close();
  }

  /** A thread was stopped in the middle of something: what it holds is held for ever, so the others are stopped, too. */
  private abandon(cause: unknown): void {
    const reason = new BpfError("runtime/worker", "the workers were stopped after one of them failed", {
      cause,
      hint: "open a new kernel: this one's maps may be half changed",
    });
    for (const thread of this.threads) thread.close(reason);
  }

  private async post(
    program: number,
    batch: PacketBatch,
    options: BatchOptions,
    chunks: Promise<RunAnswer>[],
  ): Promise<void> {
    const total = batch.spans.length >> 1;
    for (let from = 0; from < total; ) {
      const thread = this.threads[this.turn++ % this.threads.length];
      const place = await thread.takeArea();
      const first = from;
      let count = 0;
      try {
        count = fillArea(thread.areas[place], this.owner.module.memory, batch, from, options);
        if (count === 0) throw tooLong(batch, from, options);
      } catch (error) {
        thread.giveArea(place);
        chunks.push(Promise.reject(error as Error));
        chunks.at(-1)?.catch(() => {}); // collect reports it
        return;
      }
      from += count;
      const { ctx, maxInsns, keepPackets = false } = options;
      const asked = thread
        .ask({
          kind: "run",
          program,
          area: place,
          count,
          interfaces: batch.interfaces !== undefined,
          queues: batch.queues !== undefined,
          ctx,
          maxInsns,
          keepPackets,
        })
        .catch((error) => {
          const known = asError(error, first, options);
          if (!(known instanceof BpfError) || BROKEN.has(known.code)) this.abandon(known);
          throw known;
        })
        .finally(() => thread.giveArea(place)) as Promise<RunAnswer>;
      asked.catch(() => {}); // collect reports it
      chunks.push(asked);
    }
  }

  private async collect({
    chunks,
    options,
  }: {
    readonly chunks: readonly Promise<RunAnswer>[];
    readonly options: BatchOptions;
  }): Promise<BatchResult> {
    const answers: RunAnswer[] = [];
    try {
      for (const chunk of chunks) answers.push(await chunk);
    } finally {
      await Promise.allSettled(chunks);
      for (const { events, trace } of answers) {
        this.owner.deliver(events);
        for (const line of trace) this.owner.traceLine(line);
      }
      options.consume?.();
    }
    const results = answers.map(({ chunk }) => chunk);
    const packets = results.reduce((sum, { retvals }) => sum + retvals.length, 0);
    const elapsed = answers.reduce((sum, { elapsedNs }) => sum + elapsedNs, 0);
    return joinChunks(results, elapsed / Math.max(1, packets), options.keepPackets === true);
  }
}

function tooLong({ spans }: PacketBatch, index: number, options: BatchOptions): BpfError {
  const number = options.numberOf?.(index) ?? index + 1;
  const length = spans[2 * index + 1];
  return new BpfError(
    "runtime/bad-input",
    `packet ${number}: ${length} bytes are more than a packet can hold`,
    {
      errno: "EINVAL",
    },
  );
}

function asError(error: unknown, first: number, options: BatchOptions): unknown {
  if (!(error instanceof RemoteFailure)) return error;
  const { code, message, packet, ...details } = error.remote;
  const index = packet === undefined ? undefined : first + packet;
  const place = index === undefined ? "" : `packet ${options.numberOf?.(index) ?? index + 1}: `;
  return new BpfError(code, `${place}${message}`, details);
}

/** A worker's error, on its way to become a BpfError. */
class RemoteFailure extends Error {
  readonly remote: RemoteError;

  constructor(remote: RemoteError) {
    super(remote.message);
    this.remote = remote;
  }
}

type Body = Request extends infer R
  ? R extends { readonly token: number }
    ? Omit<R, "token">
    : never
  : never;

/** One worker: questions on their way, areas that are free. */
class Thread {
  areas: readonly BatchArea[] = [];
  private readonly port: WorkerPort;
  private readonly asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private readonly free: number[] = [];
  private readonly queue: ((area: number) => void)[] = [];
  private nextToken = 1;
  private dead: BpfError | undefined;

  constructor(port: WorkerPort, cpu: number) {
    this.port = port;
    port.onMessage((message) => this.answered(message as Answer)); // from serveWorker
    port.onError((error) => {
      this.dead ??= new BpfError("runtime/worker", `worker ${cpu} stopped: ${error.message}`, {
        cause: error,
        hint: "the worker's script must call serveWorker, and be found",
      });
      for (const { reject } of this.asked.values()) reject(this.dead);
      this.asked.clear();
    });
  }

  ask(body: Body): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.dead !== undefined) {
        reject(this.dead);
        return;
      }
      const token = this.nextToken++;
      this.asked.set(token, { resolve, reject });
      this.port.post({ ...body, token });
    });
  }

  useAreas(areas: readonly BatchArea[]): void {
    this.areas = areas;
    for (const index of areas.keys()) this.giveArea(index);
  }

  takeArea(): Promise<number> {
    const area = this.free.pop();
    return area === undefined ? new Promise((resolve) => this.queue.push(resolve)) : Promise.resolve(area);
  }

  giveArea(area: number): void {
    const next = this.queue.shift();
    if (next === undefined) this.free.push(area);
    else next(area);
  }

  close(reason = new BpfError("runtime/closed", "the kernel was closed")): void {
    this.dead ??= reason;
    this.port.terminate();
    for (const { reject } of this.asked.values()) reject(this.dead);
    this.asked.clear();
  }

  private answered(answer: Answer): void {
    const waiting = this.asked.get(answer.token);
    this.asked.delete(answer.token);
    if ("error" in answer) waiting?.reject(new RemoteFailure(answer.error));
    else waiting?.resolve(answer.value);
  }
}
