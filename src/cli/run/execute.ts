import { verdictName } from "../../abi/index.ts";
import { BpfError, bytesEqual, toHex } from "../../base/index.ts";
import type { OutputPacket } from "../../capture/index.ts";
import type { Program, RedirectTarget, RunResult } from "../../object/index.ts";
import type { InputPacket } from "./input.ts";
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
  /** Time of the first packet. */
  firstNs: number;
  /** Time in the program, the first packet's left out: it pays for the engine's own compilation. */
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
  const totals: Totals = {
    packets: 0,
    bytes: 0,
    firstNs: 0,
    warmNs: 0,
    verdicts: {},
    redirects: {},
    runs: [],
  };
  for await (const packet of packets) {
    const result = runOne(program, packet, options);
    options.consume();
    if (totals.packets === 0) totals.firstNs = result.durationNs;
    else totals.warmNs += result.durationNs;
    totals.packets++;
    totals.bytes += packet.data.length;
    const verdict = verdictName(program.type, result.retval);
    totals.verdicts[verdict] = (totals.verdicts[verdict] ?? 0) + 1;
    const target = result.outcome?.redirect;
    if (target !== undefined) {
      const name = describeTarget(target);
      totals.redirects[name] = (totals.redirects[name] ?? 0) + 1;
    }
    const after = result.data ?? packet.data;
    if (options.each) totals.runs.push({ retval: result.retval, packet: toHex(after) });
    if (options.write !== undefined) writePacket(program, packet, after, result, verdict, options.write);
  }
  return totals;
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
  result: RunResult,
  verdict: string,
  write: NonNullable<ExecuteOptions["write"]>,
): void {
  if (write.choice === "passed" && isDropped(program.type, result.retval)) return;
  if (write.choice === "changed" && bytesEqual(after, packet.data)) return;
  write.packet({
    data: after,
    timestampNs: packet.timestampNs,
    originalLength: packet.originalLength + after.length - packet.data.length,
    verdict: { hook: program.type === "BPF_PROG_TYPE_XDP" ? "xdp" : "tc", retval: result.retval },
    comment: verdict,
  });
}

function describeTarget({ kind, index, map, mode }: RedirectTarget): string {
  const where = map === undefined ? `${kind} ${index}` : `${kind} ${map}[${index}]`;
  return mode === undefined ? where : `${where} (${mode})`;
}
