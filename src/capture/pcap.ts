import { BpfError } from "../base/index.ts";
import { type CaptureFormat, type CaptureSpans, MAX_RECORD } from "./format.ts";
import type { CapturePacket } from "./packet.ts";

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** Kuznetsov's variant carries 8 more bytes in each record header. */
const MODIFIED_MAGIC = 0xa1b2cd34;
const NANOSECOND_MAGIC = 0xa1b23c4d;
/** Bytes of a usual small packet: how many fit into a chunk at first. */
const GUESSED_PACKET = 48;
const SWAPPED = new Set([0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1]);

/** The classic capture file: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap. Both byte orders, µs and ns. */
export class PcapFormat implements CaptureFormat {
  private header: { little: boolean; nsPerUnit: bigint; linkType: number; recordHeader: number } | undefined;

  next(bytes: Uint8Array, at: number, fileOffset: number): { taken: number; packet?: CapturePacket } {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = bytes.length - at;
    if (this.header === undefined) {
      if (left < FILE_HEADER) return { taken: 0 };
      const little = SWAPPED.has(view.getUint32(at, false));
      const magic = view.getUint32(at, little);
      this.header = {
        little,
        nsPerUnit: magic === NANOSECOND_MAGIC ? 1n : 1000n,
        linkType: view.getUint32(at + 20, little) & 0xffff, // upper bits: FCS length
        recordHeader: magic === MODIFIED_MAGIC ? RECORD_HEADER + 8 : RECORD_HEADER,
      };
      return { taken: FILE_HEADER };
    }
    const { little, nsPerUnit, linkType, recordHeader } = this.header;
    if (left < recordHeader) return { taken: 0 };
    const captured = view.getUint32(at + 8, little);
    if (captured > MAX_RECORD) {
      throw new BpfError("capture/corrupt", `the record at offset ${fileOffset} claims ${captured} bytes`, {
        offset: fileOffset,
        hint: "the file is damaged from here on; the packets before it were read",
      });
    }
    if (left < recordHeader + captured) return { taken: 0 };
    const seconds = BigInt(view.getUint32(at, little));
    const fraction = BigInt(view.getUint32(at + 4, little));
    const start = at + recordHeader;
    return {
      taken: recordHeader + captured,
      packet: {
        data: bytes.subarray(start, start + captured),
        timestampNs: seconds * 1_000_000_000n + fraction * nsPerUnit,
        originalLength: view.getUint32(at + 12, little),
        linkType,
        interfaceId: 0,
      },
    };
  }

  spans(bytes: Uint8Array, at: number, fileOffset: number): CaptureSpans {
    const { header } = this;
    if (header === undefined) {
      const { taken } = this.next(bytes, at, fileOffset);
      return { taken, spans: new Uint32Array(0), linkType: 0, recordHeader: 0 };
    }
    const { little, linkType, recordHeader } = header;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let spans = new Uint32Array(2 * Math.ceil((bytes.length - at) / (recordHeader + GUESSED_PACKET)));
    let count = 0;
    let end = at;
    while (end + recordHeader <= bytes.length) {
      const captured = view.getUint32(end + 8, little);
      if (captured > MAX_RECORD && count === 0) this.next(bytes, end, fileOffset + end - at);
      if (captured > MAX_RECORD || end + recordHeader + captured > bytes.length) break;
      if (2 * count === spans.length) {
        const larger = new Uint32Array(2 * spans.length);
        larger.set(spans);
        spans = larger;
      }
      spans[2 * count] = end + recordHeader;
      spans[2 * count + 1] = captured;
      count++;
      end += recordHeader + captured;
    }
    return { taken: end - at, spans: spans.subarray(0, 2 * count), linkType, recordHeader };
  }
}
