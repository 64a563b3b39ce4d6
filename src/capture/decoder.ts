import { BpfError, type Diagnostic } from "../base/index.ts";
import type { CaptureFormat } from "./format.ts";
import type { CapturePacket } from "./packet.ts";
import { PcapFormat } from "./pcap.ts";
import { PcapngFormat } from "./pcapng.ts";

const PCAP_MAGICS = new Set([0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0xa1b2cd34, 0x34cdb2a1]);
const PCAPNG_MAGIC = 0x0a0d0d0a;

function formatOf(bytes: Uint8Array): CaptureFormat {
  const magic = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, false);
  if (magic === PCAPNG_MAGIC) return new PcapngFormat();
  if (PCAP_MAGICS.has(magic)) return new PcapFormat();
  throw new BpfError(
    "capture/bad-magic",
    `this is no pcap or pcapng file: it starts with ${magic.toString(16).padStart(8, "0")}`,
    {
      offset: 0,
      hint: "capture with tcpdump -w FILE, or convert other formats with editcap",
    },
  );
}

/** Packets of one link type that stand in the same bytes. */
export interface CaptureBlock {
  readonly bytes: Uint8Array;
  /** Offset in `bytes` and length of each packet, two numbers each. */
  readonly spans: Uint32Array;
  readonly linkType: number;
  packet(index: number): CapturePacket;
}

/**
 * Reads pcap and pcapng as the bytes arrive: push chunks of any size, take packets. What was read before an error
 * stays valid: a truncated or corrupt file ends with a diagnostic, not with the loss of all packets.
 */
export class CaptureDecoder {
  private format: CaptureFormat | undefined;
  private rest: Uint8Array = new Uint8Array(0);
  private fileOffset = 0;
  private failure: Diagnostic | undefined;

  /** Packets that are complete with this chunk. Their `data` are views that stay valid as long as the chunk does. */
  *push(chunk: Uint8Array): Generator<CapturePacket> {
    if (this.failure !== undefined) return;
    const bytes = this.joined(chunk);
    let at = 0;
    try {
      if (this.format === undefined) {
        if (bytes.length < 4) {
          this.rest = bytes;
          return;
        }
        this.format = formatOf(bytes);
      }
      for (;;) {
        const { taken, packet } = this.format.next(bytes, at, this.fileOffset + at);
        if (taken === 0) break;
        at += taken;
        if (packet !== undefined) yield packet;
      }
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.failure = error.toJSON();
    } finally {
      this.fileOffset += at;
      this.rest = bytes.subarray(at);
    }
  }

  /**
   * The packets of `push`, in blocks: their places are known, the rest of what the file says about one is read when it is
   * asked for. As fast as the file's format allows.
   */
  *pushBlocks(chunk: Uint8Array): Generator<CaptureBlock> {
    if (this.format === undefined || this.format.spans !== undefined) {
      if (this.failure !== undefined) return;
      const bytes = this.joined(chunk);
      let at = 0;
      try {
        if (bytes.length >= 4) this.format ??= formatOf(bytes);
        while (this.format?.spans !== undefined) {
          const { format } = this;
          const { taken, spans, linkType, recordHeader } = this.format.spans(bytes, at, this.fileOffset + at);
          if (taken === 0) break;
          const offset = this.fileOffset;
          at += taken;
          if (spans.length === 0) continue;
          const packet = (index: number): CapturePacket => {
            const start = spans[2 * index] - recordHeader;
            return format.next(bytes, start, offset + start).packet as CapturePacket; // it was complete above
          };
          yield { bytes, spans, linkType, packet };
        }
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        this.failure = error.toJSON();
      } finally {
        this.fileOffset += at;
        this.rest = bytes.subarray(at);
      }
      if (this.format === undefined || this.format.spans !== undefined) return;
      yield* this.blocksOf(new Uint8Array(0));
      return;
    }
    yield* this.blocksOf(chunk);
  }

  private *blocksOf(chunk: Uint8Array): Generator<CaptureBlock> {
    let packets: CapturePacket[] = [];
    for (const packet of this.push(chunk)) {
      const first = packets[0];
      if (
        first !== undefined &&
        (first.linkType !== packet.linkType || first.data.buffer !== packet.data.buffer)
      ) {
        yield blockOf(packets);
        packets = [];
      }
      packets.push(packet);
    }
    if (packets.length > 0) yield blockOf(packets);
  }

  /** What was left of the chunk before, and this one. */
  private joined(chunk: Uint8Array): Uint8Array {
    if (this.rest.length === 0) return chunk;
    if (chunk.length === 0) return this.rest;
    const bytes = new Uint8Array(this.rest.length + chunk.length);
    bytes.set(this.rest);
    bytes.set(chunk, this.rest.length);
    return bytes;
  }

  /** Tells that no more bytes come. @returns what was wrong with the file: undefined when it ended as it should. */
  end(): Diagnostic | undefined {
    if (this.failure !== undefined) return this.failure;
    if (this.format === undefined) {
      const size = this.rest.length;
      return {
        code: "capture/empty",
        message: size === 0 ? "the capture is empty" : `the capture has only ${size} bytes`,
      };
    }
    if (this.rest.length === 0) return undefined;
    return {
      code: "capture/truncated",
      message: `the capture ends in the middle of a record: ${this.rest.length} bytes at offset ${this.fileOffset} are left`,
      hint: "the packets before it were read; the file was probably cut while it was written",
    };
  }
}

function blockOf(packets: readonly CapturePacket[]): CaptureBlock {
  const [{ data, linkType }] = packets;
  const spans = new Uint32Array(2 * packets.length);
  for (const [i, packet] of packets.entries()) {
    spans[2 * i] = packet.data.byteOffset;
    spans[2 * i + 1] = packet.data.length;
  }
  return { bytes: new Uint8Array(data.buffer), spans, linkType, packet: (index) => packets[index] };
}

/**
 * All packets of a capture held in memory, and what was wrong with it at the end.
 * @throws BpfError `capture/bad-magic` when it is no capture at all.
 */
export function readCapture(bytes: Uint8Array): {
  packets: CapturePacket[];
  problem: Diagnostic | undefined;
} {
  const decoder = new CaptureDecoder();
  const packets = [...decoder.push(bytes)];
  const problem = decoder.end();
  if (problem?.code === "capture/bad-magic") throw new BpfError(problem.code, problem.message, problem);
  return { packets, problem };
}
