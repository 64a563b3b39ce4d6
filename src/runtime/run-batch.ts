import type { BatchOptions, BatchResult, PacketBatch, RunOutcome } from "../object/index.ts";
import type { BatchArea } from "./batch-area.ts";
import {
  type BatchProgram,
  BatchRun,
  type ChunkResult,
  fillArea,
  isEventful,
  PacketFailure,
} from "./batch-run.ts";

/** Runs all packets of a batch in this thread, chunk by chunk. */
export function runBatch(
  program: BatchProgram,
  area: BatchArea,
  packets: PacketBatch,
  options: BatchOptions,
): BatchResult {
  const { host } = program.interpreter;
  const count = packets.spans.length >> 1;
  const run = new BatchRun(program, area, options);
  const chunks: ChunkResult[] = [];
  const start = host.nowNs();
  try {
    for (let from = 0; from < count; ) {
      const chunk = runChunk(run, area, packets, from, options);
      chunks.push(chunk);
      from += chunk.retvals.length;
    }
  } catch (error) {
    throw error instanceof PacketFailure ? error.named(options.numberOf) : error;
  } finally {
    run.close();
  }
  return joinChunks(chunks, Number(host.nowNs() - start) / Math.max(1, count), options.keepPackets === true);
}

/** Runs what fits into the area, from `from` on: a packet at least. */
function runChunk(
  run: BatchRun,
  area: BatchArea,
  packets: PacketBatch,
  from: number,
  options: BatchOptions,
): ChunkResult {
  const count = fillArea(area, run.memory, packets, from, options);
  run.checkArrivals(packets, from, count);
  if (count > 0) return run.run(count, from, packets);
  const { retval, data, outcome, insns } = run.runAlone(packets, from);
  return {
    retvals: Uint32Array.of(retval),
    lengths: Uint32Array.of(data?.length ?? 0),
    bytes: data ?? new Uint8Array(0),
    outcomes: outcome === undefined || !isEventful(outcome) ? [] : [[0, outcome]],
    insns,
  };
}

/** The chunks of a batch, in order, as one result. */
export function joinChunks(
  chunks: readonly ChunkResult[],
  durationNs: number,
  keepPackets: boolean,
): BatchResult {
  const count = chunks.reduce((sum, chunk) => sum + chunk.retvals.length, 0);
  const retvals = new Uint32Array(count);
  const lengths = new Uint32Array(count);
  const places: Uint8Array[] = [];
  const outcomes = new Map<number, RunOutcome>();
  const starts: number[] = [];
  let insns: number | undefined = 0;
  let at = 0;
  for (const chunk of chunks) {
    retvals.set(chunk.retvals, at);
    lengths.set(chunk.lengths, at);
    for (const [index, outcome] of chunk.outcomes) outcomes.set(at + index, outcome);
    insns = insns === undefined || chunk.insns === undefined ? undefined : insns + chunk.insns;
    starts.push(at);
    places.push(chunk.bytes);
    at += chunk.retvals.length;
  }
  return {
    count,
    retvals,
    lengths,
    packet: keepPackets ? packetFinder(starts, places, lengths) : () => undefined,
    outcomes,
    durationNs,
    ...(insns !== undefined && { insns }),
  };
}

/** Packets of a chunk stand one after the other: their offsets are summed up when a chunk is first asked for. */
function packetFinder(
  starts: readonly number[],
  places: readonly Uint8Array[],
  lengths: Uint32Array,
): (index: number) => Uint8Array | undefined {
  const offsets: (Float64Array | undefined)[] = [];
  const offsetsOf = (chunk: number): Float64Array => {
    const end = starts[chunk + 1] ?? lengths.length;
    const found = new Float64Array(end - starts[chunk]);
    for (let i = 1; i < found.length; i++) found[i] = found[i - 1] + lengths[starts[chunk] + i - 1];
    return found;
  };
  let chunk = 0;
  return (index) => {
    if (!(index >= 0 && index < lengths.length)) return undefined;
    if (index < starts[chunk]) chunk = 0;
    while (chunk + 1 < starts.length && starts[chunk + 1] <= index) chunk++;
    offsets[chunk] ??= offsetsOf(chunk);
    const offset = offsets[chunk]?.[index - starts[chunk]] ?? 0;
    return places[chunk].subarray(offset, offset + lengths[index]);
  };
}
