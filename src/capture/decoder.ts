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
    let bytes = chunk;
    if (this.rest.length > 0) {
      bytes = new Uint8Array(this.rest.length + chunk.length);
      bytes.set(this.rest);
      bytes.set(chunk, this.rest.length);
    }
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
