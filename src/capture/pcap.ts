import { BpfError } from "../base/index.ts";
import { type CaptureFormat, MAX_RECORD } from "./format.ts";
import type { CapturePacket } from "./packet.ts";

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** Kuznetsov's variant carries 8 more bytes in each record header. */
const MODIFIED_MAGIC = 0xa1b2cd34;
const NANOSECOND_MAGIC = 0xa1b23c4d;
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
}
