import { verdictName } from "../../abi/index.ts";
import { BpfError, bytesEqual, toHex } from "../../base/index.ts";
import type { OutputPacket } from "../../capture/index.ts";
import type { BatchOptions, BatchResult, Program, RedirectTarget, RunResult } from "../../object/index.ts";
import type { InputBatch, InputPacket } from "./input.ts";
import { isDropped } from "./verdicts.ts";

/** Which packets `--write` keeps. */
export const WRITE_CHOICES = ["passed", "changed", "all"] as const;
export type WriteChoice = (typeof WRITE_CHOICES)[number];

/** What is done with each packet. */
export interface ExecuteOptions {
  readonly repeat: number;
  readonly each: boolean;
  readonly cpu: number;
  readonly maxInsns: number | undefined;
  /** Context bytes for a packet of this length; undefined: the kernel's defaults. */
  readonly contextFor: (packetLength: number) => Uint8Array | undefined;
  /** After each packet: takes events out of the buffers before they are full. */
  readonly consume: () => void;
  readonly write: { readonly choice: WriteChoice; packet(packet: OutputPacket): void } | undefined;
}

/** Sums over all runs. */
export interface Totals {
  packets: number;
  bytes: number;
  /** The packets run first and their time: they pay for the engine's own compilation. */
  coldPackets: number;
  coldNs: number;
  /** Time of all others. */
  warmNs: number;
  readonly verdicts: Record<string, number>;
  readonly redirects: Record<string, number>;
  readonly runs: { retval: number; packet: string }[];
}

/** Runs the packets one after the other on the same maps. @throws BpfError with the packet's number in its message. */
export async function execute(
  program: Program,
  packets: AsyncIterable<InputPacket> | Iterable<InputPacket>,
  options: ExecuteOptions,
): Promise<Totals> {
  const totals = newTotals();
  for await (const packet of packets) {
    const result = runOne(program, packet, options);
    options.consume();
    addTime(totals, 1, result.durationNs);
    totals.bytes += packet.data.length;
    addVerdict(totals, program, result.retval, 1);
    addRedirect(totals, result.outcome?.redirect);
    const after = result.data ?? packet.data;
    if (options.each) totals.runs.push({ retval: result.retval, packet: toHex(after) });
    if (options.write !== undefined) writePacket(program, packet, after, result.retval, options.write);
  }
  return totals;
}

/** Runs batches of packets: in this thread, or several at a time elsewhere. */
export type BatchRunner = (
  batches: AsyncIterable<InputBatch>,
  options: (batch: InputBatch) => BatchOptions,
) => AsyncIterable<{ readonly batch: InputBatch; readonly result: BatchResult }>;

/** Runs the packets of a capture in batches, with the same totals. */
export async function executeBatches(
  program: Program,
  batches: AsyncIterable<InputBatch>,
  options: ExecuteOptions,
  run: BatchRunner,
): Promise<Totals> {
  const totals = newTotals();
  const { each, write, cpu, maxInsns, consume } = options;
  const optionsFor = (batch: InputBatch): BatchOptions => ({
    cpu,
    maxInsns,
    consume,
    ctx: options.contextFor(0),
    keepPackets: each || write !== undefined,
    numberOf: (index) => batch.packet(index).number,
  });
  for await (const { batch, result } of run(batches, optionsFor)) {
    const { count, retvals } = result;
    addTime(totals, count, result.durationNs);
    for (let index = 0; index < count; index++) totals.bytes += batch.spans[2 * index + 1];
    for (const [retval, packets] of countValues(retvals)) addVerdict(totals, program, retval, packets);
    for (const { redirect } of result.outcomes.values()) addRedirect(totals, redirect);
    if (!each && write === undefined) continue;
    for (let index = 0; index < count; index++) {
      const packet = batch.packet(index);
      const after = result.packet(index) ?? packet.data;
      if (each) totals.runs.push({ retval: retvals[index], packet: toHex(after) });
      if (write !== undefined) writePacket(program, packet, after, retvals[index], write);
    }
  }
  return totals;
}

function newTotals(): Totals {
  return {
    packets: 0,
    bytes: 0,
    coldPackets: 0,
    coldNs: 0,
    warmNs: 0,
    verdicts: {},
    redirects: {},
    runs: [],
  };
}

/** `meanNs`: of each of the packets. */
function addTime(totals: Totals, packets: number, meanNs: number): void {
  if (totals.packets === 0) {
    totals.coldPackets = packets;
    totals.coldNs = meanNs * packets;
  } else totals.warmNs += meanNs * packets;
  totals.packets += packets;
}

function addVerdict(totals: Totals, program: Program, retval: number, packets: number): void {
  const verdict = verdictName(program.type, retval);
  totals.verdicts[verdict] = (totals.verdicts[verdict] ?? 0) + packets;
}

function addRedirect(totals: Totals, target: RedirectTarget | undefined): void {
  if (target === undefined) return;
  const name = describeTarget(target);
  totals.redirects[name] = (totals.redirects[name] ?? 0) + 1;
}

/** How often each value is there. Most return values are small. */
function countValues(values: Uint32Array): Map<number, number> {
  const small = new Uint32Array(256);
  const counts = new Map<number, number>();
  for (const value of values) {
    if (value < small.length) small[value]++;
    else counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  for (const [value, count] of small.entries()) if (count > 0) counts.set(value, count);
  return counts;
}

function runOne(program: Program, packet: InputPacket, options: ExecuteOptions): RunResult {
  try {
    return program.run({
      data: packet.data,
      ctx: options.contextFor(packet.data.length),
      repeat: options.repeat,
      cpu: options.cpu,
      maxInsns: options.maxInsns,
    });
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new BpfError(error.code, `packet ${packet.number}: ${error.message}`, { ...error, cause: error });
  }
}

function writePacket(
  program: Program,
  packet: InputPacket,
  after: Uint8Array,
  retval: number,
  write: NonNullable<ExecuteOptions["write"]>,
): void {
  if (write.choice === "passed" && isDropped(program.type, retval)) return;
  if (write.choice === "changed" && bytesEqual(after, packet.data)) return;
  write.packet({
    data: after,
    timestampNs: packet.timestampNs,
    originalLength: packet.originalLength + after.length - packet.data.length,
    verdict: { hook: program.type === "BPF_PROG_TYPE_XDP" ? "xdp" : "tc", retval },
    comment: verdictName(program.type, retval),
  });
}

function describeTarget({ kind, index, map, mode }: RedirectTarget): string {
  const where = map === undefined ? `${kind} ${index}` : `${kind} ${map}[${index}]`;
  return mode === undefined ? where : `${where} (${mode})`;
}
