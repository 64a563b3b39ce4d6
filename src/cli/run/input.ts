import { BpfError, type Diagnostic } from "../../base/index.ts";
import { CaptureDecoder, linkTypeName, toEthernet } from "../../capture/index.ts";
import { UsageError, wholeNumber } from "../command.ts";
import type { Io } from "../io.ts";

/** One packet to run, whatever it came from. `number` counts from 1, as Wireshark does. */
export interface InputPacket {
  readonly number: number;
  readonly data: Uint8Array;
  readonly timestampNs: bigint;
  readonly originalLength: number;
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
  const size = await io.fileSize(path);
  const progress = io.progress(size ?? 0, "bytes");
  const decoder = new CaptureDecoder();
  let number = 0;
  let bytesRead = 0;
  try {
    for await (const chunk of io.readChunks(path)) {
      for (const packet of decoder.push(chunk)) {
        number++;
        if (number < range.first) continue;
        if (number > range.last) return;
        const data = toEthernet(packet.data, packet.linkType);
        if (data === undefined) {
          const reason =
            linkTypeName(packet.linkType) === undefined
              ? `link type ${packet.linkType} is not known`
              : `no IP packet in a ${linkTypeName(packet.linkType)} frame`;
          notes.skipped.set(reason, (notes.skipped.get(reason) ?? 0) + 1);
          continue;
        }
        yield {
          number,
          data,
          timestampNs: packet.timestampNs,
          originalLength: packet.originalLength + data.length - packet.data.length,
        };
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

/** Packets given on the command line. */
export function* hexPackets(packets: readonly Uint8Array[], range: PacketRange): Generator<InputPacket> {
  for (const [index, data] of packets.entries()) {
    const number = index + 1;
    if (number < range.first || number > range.last) continue;
    yield { number, data, timestampNs: 0n, originalLength: data.length };
  }
}
