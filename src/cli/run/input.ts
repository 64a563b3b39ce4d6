import { BpfError, type Diagnostic } from "../../base/index.ts";
import {
  type CaptureBlock,
  CaptureDecoder,
  type CapturePacket,
  LINK_TYPES,
  linkTypeName,
  toEthernet,
} from "../../capture/index.ts";
import { type PacketBatch, packPackets } from "../../object/index.ts";
import { UsageError, wholeNumber } from "../command.ts";
import type { Io } from "../io.ts";

/** One packet to run, whatever it came from. `number` counts from 1, as Wireshark does. */
export interface InputPacket {
  readonly number: number;
  readonly data: Uint8Array;
  readonly timestampNs: bigint;
  readonly originalLength: number;
}

/** Packets in a row, and what is known of each. */
export interface InputBatch extends PacketBatch {
  /** For those who need more than its bytes. */
  packet(index: number): InputPacket;
}

/** What reading the input found besides packets. */
export interface InputNotes {
  /** Packets of link types (or damage) that make no Ethernet frame, by the reason. */
  readonly skipped: Map<string, number>;
  /** The file was cut or corrupt. */
  problem?: Diagnostic;
}

/** An inclusive range of packet numbers, from `--filter`. */
export interface PacketRange {
  readonly first: number;
  readonly last: number;
}

/** `N`, `N..M`, `N..`, `..M`; numbers start at 1. */
export function parseRange(text: string): PacketRange {
  const match = /^(\d*)(\.\.)?(\d*)$/.exec(text.trim());
  if (match === null || text.trim() === "" || text.trim() === "..") {
    throw new UsageError(`'${text}' is no packet range`, "write N, N..M, N.. or ..M");
  }
  const [, from, dots, to] = match;
  const first = from === "" ? 1 : wholeNumber(from);
  const last = dots === undefined ? first : to === "" ? Number.POSITIVE_INFINITY : wholeNumber(to);
  if (first < 1 || last < first)
    throw new UsageError(`the packet range ${text} is empty`, "packets are numbered from 1");
  return { first, last };
}

/** The packets of a capture file in its order, as Ethernet frames. Damage ends the packets and is put into `notes`. */
export async function* capturePackets(
  io: Io,
  path: string,
  range: PacketRange,
  notes: InputNotes,
): AsyncGenerator<InputPacket> {
  for await (const batch of captureBatches(io, path, range, notes))
    for (let index = 0; index < batch.spans.length >> 1; index++) yield batch.packet(index);
}

/** The same packets as they come out of the file, many at a time. */
export async function* captureBatches(
  io: Io,
  path: string,
  range: PacketRange,
  notes: InputNotes,
): AsyncGenerator<InputBatch> {
  const size = await io.fileSize(path);
  const progress = io.progress(size ?? 0, "bytes");
  const decoder = new CaptureDecoder();
  let number = 0;
  let bytesRead = 0;
  try {
    for await (const chunk of io.readChunks(path)) {
      for (const block of decoder.pushBlocks(chunk)) {
        const before = number;
        number += block.spans.length >> 1;
        const first = Math.max(0, range.first - 1 - before);
        const last = Math.min(number, range.last) - before;
        if (first < last) yield ethernetBatch(block, before, first, last, notes);
        if (number > range.last) return;
      }
      bytesRead += chunk.length;
      progress.update(bytesRead);
    }
    notes.problem = decoder.end();
    if (number === 0 && notes.problem !== undefined) {
      throw new BpfError(notes.problem.code, `${path}: ${notes.problem.message}`, notes.problem);
    }
  } finally {
    progress.stop();
  }
}

/** Packets `first` to `last` (exclusive) of a block; `before` packets came before it. */
function ethernetBatch(
  block: CaptureBlock,
  before: number,
  first: number,
  last: number,
  notes: InputNotes,
): InputBatch {
  if (block.linkType === LINK_TYPES.ETHERNET)
    return {
      bytes: block.bytes,
      spans: block.spans.subarray(2 * first, 2 * last),
      packet: (index) => {
        const packet = block.packet(first + index);
        return inputPacket(packet, packet.data, before + first + index + 1);
      },
    };
  const packets: InputPacket[] = [];
  for (let index = first; index < last; index++) {
    const packet = block.packet(index);
    const data = toEthernet(packet.data, packet.linkType);
    if (data !== undefined) {
      packets.push(inputPacket(packet, data, before + index + 1));
      continue;
    }
    const reason =
      linkTypeName(packet.linkType) === undefined
        ? `link type ${packet.linkType} is not known`
        : `no IP packet in a ${linkTypeName(packet.linkType)} frame`;
    notes.skipped.set(reason, (notes.skipped.get(reason) ?? 0) + 1);
  }
  return { ...packPackets(packets.map(({ data }) => data)), packet: (index) => packets[index] };
}

function inputPacket(packet: CapturePacket, data: Uint8Array, number: number): InputPacket {
  const { timestampNs, originalLength } = packet;
  return { number, data, timestampNs, originalLength: originalLength + data.length - packet.data.length };
}

/** Packets given on the command line. */
export function* hexPackets(packets: readonly Uint8Array[], range: PacketRange): Generator<InputPacket> {
  for (const [index, data] of packets.entries()) {
    const number = index + 1;
    if (number < range.first || number > range.last) continue;
    yield { number, data, timestampNs: 0n, originalLength: data.length };
  }
}
