import type { AttachTypeName, ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import type {
  BatchOptions,
  BatchResult,
  Link,
  PacketBatch,
  Program,
  ProgramSpec,
  RunInput,
  RunResult,
} from "../object/index.ts";
import type { BatchArea } from "./batch-area.ts";
import type { BatchProgram } from "./batch-run.ts";
import type { HookEnv } from "./hooks/index.ts";
import { DEFAULT_BUDGET, type Interpreter } from "./interpreter.ts";
import type { LoadedProgram } from "./load-program.ts";
import type { ProgramHandle } from "./maps/index.ts";
import { runBatch } from "./run-batch.ts";
import type { BatchRunResult } from "./workers/pool.ts";

/** What a program asks of its kernel. */
export interface ProgramServices {
  /** Timers that became due while a program ran. */
  afterRun(): void;
  /** Where batches of packets are run from. */
  batchArea(): BatchArea;
  /** Addresses of all ring buffers. */
  ringBuffers(): readonly number[];
  /** Spreads batches over the kernel's worker threads; undefined: there are none. */
  readonly workers: Spread | undefined;
}

/** Runs a program's batches elsewhere. */
export type Spread = <B extends PacketBatch>(
  program: BatchProgram,
  batches: AsyncIterable<B> | Iterable<B>,
  optionsOf: (batch: B) => BatchOptions,
) => AsyncIterable<BatchRunResult<B>>;

/** A program of the embedded kernel. */
export class EmbeddedProgram implements Program, ProgramHandle {
  readonly id: number;
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  readonly spec: ProgramSpec;
  readonly compatKey: string;
  private readonly loaded: LoadedProgram;
  private readonly interpreter: Interpreter;
  private readonly services: ProgramServices;
  private closed = false;

  constructor(spec: ProgramSpec, loaded: LoadedProgram, interpreter: Interpreter, services: ProgramServices) {
    this.id = loaded.code.id;
    this.name = spec.name;
    this.type = loaded.code.type;
    this.attachType = spec.attachType;
    this.spec = spec;
    this.compatKey = `${this.type} ${spec.flags.xdpFrags}`;
    this.loaded = loaded;
    this.interpreter = interpreter;
    this.services = services;
  }

  /** Address of the code block. */
  get address(): number {
    return this.loaded.code.address;
  }

  /** There is nothing to attach to. @throws BpfError `runtime/no-attach`, always. */
  attach(): Link {
    throw new BpfError("runtime/no-attach", `program '${this.name}': the embedded kernel has no hooks`, {
      subject: this.name,
      hint: 'run it with run(), or load it with openKernel("linux")',
    });
  }

  run(input: RunInput = {}): RunResult {
    const { interpreter } = this;
    const { host, module } = interpreter;
    const repeat = input.repeat ?? 1;
    const cpu = input.cpu ?? 0;
    this.checkCpu(cpu);
    if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0xffff_ffff)
      throw new BpfError("runtime/bad-input", `repeat must be a whole number from 1 on, not ${repeat}`, {
        errno: "EINVAL",
      });
    const env: HookEnv = { module, host };
    const around = this.loaded.hook.begin(env, this.spec, input);
    let result: RunResult;
    try {
      let left = input.maxInsns ?? DEFAULT_BUDGET;
      let insns: number | undefined = 0;
      let retval = 0;
      let outcome: RunResult["outcome"];
      const start = host.nowNs();
      const batch = interpreter.batch(this.loaded.code, around, repeat);
      for (let i = 0; i < repeat; i += batch) {
        const done = interpreter.run({
          code: this.loaded.code,
          contextAddress: around.contextAddress,
          packet: around.packet,
          cpu,
          budget: input.maxInsns === undefined ? DEFAULT_BUDGET * batch : left,
          around,
          times: Math.min(batch, repeat - i),
        });
        insns = insns === undefined || done.insns === undefined ? undefined : insns + done.insns;
        left -= done.insns ?? 0;
        retval = done.retval ?? Number(BigInt.asUintN(32, done.r0));
        outcome = done.state.outcome;
      }
      const durationNs = Number(host.nowNs() - start) / repeat;
      const results = around.results();
      result = {
        retval,
        durationNs,
        ...(insns !== undefined && { insns }),
        ...(outcome && { outcome }),
        ...results,
      };
    } finally {
      around.end();
    }
    this.services.afterRun();
    return result;
  }

  /**
   * Runs the program over the packets of a batch, in order: what `run` on each of them would do, in one go where the
   * engine compiles (XDP and `__sk_buff` types). Contexts and packets are then built in wasm; what a packet needs of the
   * host is done between. @throws BpfError as `run` does, with the packet's number; what ran before it is done.
   */
  runBatch(packets: PacketBatch, options: BatchOptions = {}): BatchResult {
    this.checkCpu(options.cpu ?? 0);
    return runBatch(this.forBatches, this.services.batchArea(), packets, options);
  }

  /**
   * Runs batches one after the other, in the kernel's worker threads if it has any; what came of each in their order.
   * With workers, chunks of the packets go round: chunk n runs on worker n modulo their number, which is its CPU, at the
   * same time as others, so what depends on the order of packets across chunks (which element an LRU map gives up, the
   * order of records in a ring buffer) differs from run to run; `cpu` is ignored, and this thread must neither run
   * programs nor change maps meanwhile. `options` may differ for each batch.
   * @throws BpfError as `runBatch` does; `runtime/workers-unsupported` for a program that only this thread can run.
   */
  async *runBatches<B extends PacketBatch>(
    batches: AsyncIterable<B> | Iterable<B>,
    options: BatchOptions | ((batch: B) => BatchOptions) = {},
  ): AsyncGenerator<BatchRunResult<B>> {
    const optionsOf = typeof options === "function" ? options : () => options;
    const { workers } = this.services;
    if (workers === undefined)
      for await (const batch of batches) yield { batch, result: this.runBatch(batch, optionsOf(batch)) };
    else {
      this.checkCpu(0);
      yield* workers(this.forBatches, batches, optionsOf);
    }
  }

  /** The program as batches see it. */
  get forBatches(): BatchProgram {
    const { spec, loaded, interpreter, services } = this;
    return {
      spec,
      loaded,
      interpreter,
      run: (input) => this.run(input),
      afterRun: services.afterRun,
      ringBuffers: services.ringBuffers,
    };
  }

  private checkCpu(cpu: number): void {
    if (this.closed)
      throw new BpfError("runtime/closed", `program '${this.name}' was closed`, { subject: this.name });
    const { numCpus } = this.interpreter.host;
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= numCpus)
      throw new BpfError("runtime/bad-input", `there is no CPU ${cpu}`, {
        errno: "ENXIO",
        hint: `this kernel has CPUs 0 to ${numCpus - 1}: open it with more`,
      });
  }

  /** Frees the program's memory; it cannot be run any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.interpreter.removeCode(this.loaded.code);
  }
}
