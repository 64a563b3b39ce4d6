import { BpfError } from "../base/index.ts";
import type {
  BatchOptions,
  PacketBatch,
  ProgramSpec,
  RunInput,
  RunOutcome,
  RunResult,
} from "../object/index.ts";
import { type BatchArea, CHUNK_BYTES, CHUNK_PACKETS } from "./batch-area.ts";
import { type BatchHookRun, badInput } from "./hooks/index.ts";
import { DEFAULT_BUDGET, type Interpreter } from "./interpreter.ts";
import {
  BATCH_ASKED,
  BATCH_BUFFER,
  BATCH_BYTES,
  BATCH_CLEAN,
  BATCH_CONTEXT,
  BATCH_CONTEXT_BYTES,
  BATCH_COUNT,
  BATCH_END,
  BATCH_HOST_BYTES,
  BATCH_KIND,
  BATCH_LIMIT,
  BATCH_LINEAR_MAX,
  BATCH_NEXT,
  BATCH_ODD,
  BATCH_OUTPUT_USED,
  BATCH_OWN_LENGTH,
  BATCH_PACKET,
  BATCH_RESULT_BYTES,
  BATCH_RINGS,
  BATCH_RUNNING,
  BATCH_STOP,
} from "./layout.ts";
import type { LoadedProgram } from "./load-program.ts";
import type { Memory } from "./memory.ts";

/** A program as batches need it. */
export interface BatchProgram {
  readonly spec: ProgramSpec;
  readonly loaded: LoadedProgram;
  readonly interpreter: Interpreter;
  /** One packet by itself. */
  run(input: RunInput): RunResult;
  /** Timers that became due. */
  afterRun(): void;
  /** Addresses of all ring buffers that a program may write to. */
  ringBuffers(): readonly number[];
}

/** What a chunk of packets gave; indices count from the chunk's first packet. */
export interface ChunkResult {
  readonly retvals: Uint32Array;
  readonly lengths: Uint32Array;
  /** Packets after their runs, one after the other; empty unless they are kept. */
  readonly bytes: Uint8Array;
  readonly outcomes: readonly (readonly [index: number, outcome: RunOutcome])[];
  readonly insns: number | undefined;
}

/** A packet of a batch, or of a chunk, could not be run. */
export class PacketFailure extends Error {
  readonly index: number;
  readonly error: BpfError;

  constructor(index: number, error: BpfError) {
    super(error.message, { cause: error });
    this.index = index;
    this.error = error;
  }

  /** The error that users see: it names the packet. */
  named(numberOf: BatchOptions["numberOf"]): BpfError {
    const { code, message } = this.error;
    const number = numberOf?.(this.index) ?? this.index + 1;
    return new BpfError(code, `packet ${number}: ${message}`, { ...this.error, cause: this.error });
  }
}

/**
 * Puts packets from `from` on into an area, as many as fit: how many. 0: the first one does not fit.
 * @throws BpfError for a packet that is not in the batch's bytes.
 */
export function fillArea(
  area: BatchArea,
  memory: Memory,
  packets: PacketBatch,
  from: number,
  { keepPackets, numberOf }: BatchOptions,
): number {
  const { spans, bytes, interfaces, queues } = packets;
  const { u32 } = memory;
  const most = Math.min(CHUNK_PACKETS, (spans.length >> 1) - from);
  const base = spans[2 * from];
  const at = area.spans >> 2;
  let end = base;
  let count = 0;
  for (; count < most; count++) {
    const offset = spans[2 * (from + count)];
    const length = spans[2 * (from + count) + 1];
    if (offset + length > bytes.length)
      throw new PacketFailure(from + count, badInput("EINVAL", "it is not inside the batch's bytes")).named(
        numberOf,
      );
    if (offset < base || offset + length - base > CHUNK_BYTES) break;
    u32[at + 2 * count] = offset - base;
    u32[at + 2 * count + 1] = length;
    if (offset + length > end) end = offset + length;
  }
  memory.write(area.bytes, bytes.subarray(base, end));
  area.use({
    output: keepPackets === true,
    interfaces: interfaces !== undefined,
    queues: queues !== undefined,
  });
  if (interfaces !== undefined) u32.set(interfaces.subarray(from, from + count), area.interfaces >> 2);
  if (queues !== undefined) u32.set(queues.subarray(from, from + count), area.queues >> 2);
  return count;
}

/** Runs chunks of packets that were put into a {@link BatchArea}. Close it after the last one. */
export class BatchRun {
  private readonly program: BatchProgram;
  private readonly area: BatchArea;
  private readonly options: BatchOptions;
  /** undefined: packets run one by one. */
  private readonly hook: BatchHookRun | undefined;
  /** Interfaces and queues that were found to be there. */
  private readonly known = new Set<number>();

  /** @throws BpfError for a context that `Program.run` would refuse, too. */
  constructor(program: BatchProgram, area: BatchArea, options: BatchOptions) {
    this.program = program;
    this.area = area;
    this.options = options;
    const { interpreter, loaded } = program;
    const rings = options.consume === undefined ? [] : program.ringBuffers();
    const ways = loaded.hook.batch;
    if (ways === undefined || !interpreter.runsPackets(loaded.code) || !area.watch(rings)) return;
    this.hook = ways.begin(interpreter, program.spec, options.ctx);
    if (this.hook !== undefined) this.prepare(this.hook, rings.length > 0);
  }

  get memory(): Memory {
    return this.program.interpreter.module.memory;
  }

  /**
   * Runs `count` packets of the area; `first` is the number of the first one in `packets`.
   * @throws PacketFailure for a packet that cannot be run.
   */
  run(count: number, first: number, packets: PacketBatch): ChunkResult {
    const { area, program, hook, options } = this;
    const { interpreter, loaded } = program;
    const { memory } = interpreter.module;
    const output = new PacketLog(options.keepPackets === true);
    const outcomes: [number, RunOutcome][] = [];
    let insns: number | undefined = 0;
    area.set(BATCH_NEXT, 0);
    area.set(BATCH_COUNT, count);
    area.set(BATCH_RUNNING, 0);
    area.set(BATCH_OUTPUT_USED, 0);
    const results = () =>
      memory.u32.subarray(area.results >> 2, (area.results + count * BATCH_RESULT_BYTES) >> 2);
    const alone = (index: number): void => {
      const result = this.runAlone(packets, first + index);
      const at = index * (BATCH_RESULT_BYTES / 4);
      const data = result.data ?? new Uint8Array(0);
      results().set([result.retval, data.length], at);
      output.add(data);
      if (result.outcome !== undefined && isEventful(result.outcome)) outcomes.push([index, result.outcome]);
      insns = insns === undefined || result.insns === undefined ? undefined : insns + result.insns;
    };
    if (hook === undefined) for (let index = 0; index < count; index++) alone(index);
    else {
      for (;;) {
        area.set(BATCH_ASKED, 0);
        area.set(BATCH_HOST_BYTES, 0);
        try {
          const used = interpreter.runPackets({
            code: loaded.code,
            header: area.header,
            hook,
            cpu: options.cpu ?? 0,
            budget: options.maxInsns ?? DEFAULT_BUDGET,
            outcome: (index, outcome) => isEventful(outcome) && outcomes.push([index, outcome]),
          });
          insns = insns === undefined || used === undefined ? undefined : insns + used;
        } catch (error) {
          throw failure(error, first + area.get(BATCH_NEXT) - 1);
        }
        output.take(memory.u8, area.output, area.get(BATCH_OUTPUT_USED));
        area.set(BATCH_OUTPUT_USED, 0);
        const stop = area.get(BATCH_STOP);
        if (area.get(BATCH_HOST_BYTES) !== 0) {
          const data = hook.results().data ?? new Uint8Array(0);
          results()[(area.get(BATCH_NEXT) - 1) * (BATCH_RESULT_BYTES / 4) + 1] = data.length;
          output.add(data);
        }
        program.afterRun();
        options.consume?.();
        if (stop === BATCH_END) break;
        if (stop !== BATCH_ODD) continue;
        const index = area.get(BATCH_NEXT);
        alone(index);
        area.set(BATCH_NEXT, index + 1);
      }
    }
    const words = results();
    const retvals = new Uint32Array(count);
    const lengths = new Uint32Array(count);
    for (let index = 0, at = 0; index < count; index++, at += BATCH_RESULT_BYTES / 4) {
      retvals[index] = words[at];
      lengths[index] = words[at + 1];
    }
    return { retvals, lengths, bytes: output.bytes, outcomes, insns };
  }

  /** One packet with a run of its own. @throws PacketFailure when it cannot be run. */
  runAlone(packets: PacketBatch, index: number): RunResult {
    const { program, options } = this;
    const { spans, bytes, interfaces, queues } = packets;
    const length = spans[2 * index + 1];
    const arrival = { length, ifindex: interfaces?.[index], queue: queues?.[index] };
    const ways = program.loaded.hook.batch;
    try {
      const result = program.run({
        data: bytes.subarray(spans[2 * index], spans[2 * index] + length),
        ctx: ways === undefined ? options.ctx : ways.arrival(options.ctx, arrival),
        cpu: options.cpu ?? 0,
        maxInsns: options.maxInsns,
      });
      options.consume?.();
      return result;
    } catch (error) {
      throw failure(error, index);
    }
  }

  close(): void {
    this.hook?.end();
  }

  private prepare(hook: BatchHookRun, rings: boolean): void {
    const { area } = this;
    const { memory } = this.program.interpreter.module;
    const { plan } = hook;
    memory.u8.copyWithin(area.template, hook.contextAddress, hook.contextAddress + plan.contextBytes);
    if (plan.ownLengthAt !== undefined)
      memory.view.setUint32(area.template + plan.ownLengthAt, BATCH_OWN_LENGTH, true);
    area.set(BATCH_KIND, plan.kind);
    area.set(BATCH_CONTEXT, hook.contextAddress);
    area.set(BATCH_CONTEXT_BYTES, plan.contextBytes);
    area.set(BATCH_BUFFER, plan.buffer);
    area.set(BATCH_PACKET, plan.packetAt);
    area.set(BATCH_LIMIT, plan.limit);
    area.set(BATCH_LINEAR_MAX, plan.linearMax);
    area.set(BATCH_BYTES, area.bytes);
    area.set(BATCH_RINGS, rings ? area.rings : 0);
    area.set(BATCH_CLEAN, this.program.interpreter.movesPackets(this.program.loaded.code) ? 1 : 0);
  }

  /** Every new pair of interface and queue is tried as a run would. @throws PacketFailure with ENODEV or EINVAL. */
  checkArrivals({ interfaces, queues }: PacketBatch, from: number, count: number): void {
    if (interfaces === undefined && queues === undefined) return;
    const { interpreter, loaded, spec } = this.program;
    const ways = loaded.hook.batch;
    for (let index = from; index < from + count; index++) {
      const ifindex = interfaces?.[index];
      const queue = queues?.[index];
      const key = (ifindex ?? 0) * 2 ** 32 + (queue ?? 0);
      if (ways === undefined || this.known.has(key)) continue;
      this.known.add(key);
      const data = new Uint8Array(64);
      const ctx = ways.arrival(this.options.ctx, { length: data.length, ifindex, queue });
      try {
        loaded.hook.begin(interpreter, spec, { data, ...(ctx && { ctx }) }).end();
      } catch (error) {
        throw failure(error, index);
      }
    }
  }
}

/** The packet's number goes with what is thrown. */
function failure(error: unknown, index: number): unknown {
  return error instanceof BpfError ? new PacketFailure(index, error) : error;
}

/** Bytes of packets after their runs. */
class PacketLog {
  private buffer = new Uint8Array(0);
  private used = 0;
  private readonly keeps: boolean;

  constructor(keeps: boolean) {
    this.keeps = keeps;
  }

  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.used);
  }

  add(data: Uint8Array): void {
    this.take(data, 0, data.length);
  }

  take(from: Uint8Array, offset: number, size: number): void {
    if (!this.keeps || size === 0) return;
    if (this.used + size > this.buffer.length) {
      const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.used + size));
      larger.set(this.bytes);
      this.buffer = larger;
    }
    this.buffer.set(from.subarray(offset, offset + size), this.used);
    this.used += size;
  }
}

/** Did the run ask for anything beside its verdict? */
export function isEventful({ redirect, clones, signals, hookRetval }: RunOutcome): boolean {
  return redirect !== undefined || clones.length > 0 || signals !== undefined || hookRetval !== undefined;
}
