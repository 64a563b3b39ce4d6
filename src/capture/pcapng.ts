import { alignUp, BpfError } from "../base/index.ts";
import { type CaptureFormat, MAX_RECORD } from "./format.ts";
import type { CapturePacket } from "./packet.ts";

/** Block types: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng §11.1 */
export const BLOCK = {
  SECTION_HEADER: 0x0a0d0d0a,
  INTERFACE: 1,
  /** Obsolete, still written by old tools. */
  PACKET: 2,
  SIMPLE_PACKET: 3,
  ENHANCED_PACKET: 6,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPTION_TSRESOL = 9;
const OPTION_TSOFFSET = 14;

interface CaptureInterface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Timestamp units per second. */
  readonly unitsPerSecond: bigint;
  readonly offsetSeconds: bigint;
}

/** pcapng: sections of either byte order, several interfaces, time resolutions; unknown blocks are skipped. */
export class PcapngFormat implements CaptureFormat {
  private little = true;
  private interfaces: CaptureInterface[] = [];

  next(bytes: Uint8Array, at: number, fileOffset: number): { taken: number; packet?: CapturePacket } {
    if (bytes.length - at < 12) return { taken: 0 };
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // The section header's type reads the same in both byte orders; its byte-order magic decides.
    const isSection = view.getUint32(at, true) === BLOCK.SECTION_HEADER;
    const little = isSection ? view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC : this.little;
    if (isSection && !little && view.getUint32(at + 8, false) !== BYTE_ORDER_MAGIC) {
      throw corrupt(fileOffset, "a section header has no byte-order magic");
    }
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || length > MAX_RECORD) {
      throw corrupt(fileOffset, `a block claims a length of ${length} bytes`);
    }
    if (bytes.length - at < length) return { taken: 0 };
    if (view.getUint32(at + length - 4, little) !== length) {
      throw corrupt(
        fileOffset,
        `a block's two lengths differ (${length} and ${view.getUint32(at + length - 4, little)})`,
      );
    }
    const block = new Block(bytes, view, at, length, little, fileOffset);
    if (isSection) {
      this.little = little;
      this.interfaces = [];
      return { taken: length };
    }
    switch (view.getUint32(at, little)) {
      case BLOCK.INTERFACE:
        this.interfaces.push(readInterface(block));
        return { taken: length };
      case BLOCK.ENHANCED_PACKET:
        return { taken: length, packet: this.packet(block, block.u32(8), 20) };
      case BLOCK.PACKET:
        return { taken: length, packet: this.packet(block, block.u16(8), 20) };
      case BLOCK.SIMPLE_PACKET:
        return { taken: length, packet: this.simplePacket(block) };
      default:
        return { taken: length };
    }
  }

  private packet(block: Block, interfaceId: number, sizes: number): CapturePacket {
    const from = this.interface(block, interfaceId);
    const units = (BigInt(block.u32(12)) << 32n) | BigInt(block.u32(16));
    return {
      data: block.data(28, block.u32(sizes)),
      timestampNs: (units * 1_000_000_000n) / from.unitsPerSecond + from.offsetSeconds * 1_000_000_000n,
      originalLength: block.u32(sizes + 4),
      linkType: from.linkType,
      interfaceId,
    };
  }

  private simplePacket(block: Block): CapturePacket {
    const from = this.interface(block, 0);
    const originalLength = block.u32(8);
    const captured = from.snapLength === 0 ? originalLength : Math.min(originalLength, from.snapLength);
    return {
      data: block.data(12, captured),
      timestampNs: 0n,
      originalLength,
      linkType: from.linkType,
      interfaceId: 0,
    };
  }

  private interface(block: Block, id: number): CaptureInterface {
    const found = this.interfaces[id];
    if (found === undefined) {
      throw corrupt(
        block.fileOffset,
        `a packet names interface ${id}, but the section describes ${this.interfaces.length}`,
      );
    }
    return found;
  }
}

/** One block: offsets count from its first byte; reads past its body are corruption, not out-of-range exceptions. */
class Block {
  readonly fileOffset: number;
  readonly length: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly at: number;
  private readonly little: boolean;

  constructor(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    length: number,
    little: boolean,
    fileOffset: number,
  ) {
    this.bytes = bytes;
    this.view = view;
    this.at = at;
    this.length = length;
    this.little = little;
    this.fileOffset = fileOffset;
  }

  private check(offset: number, size: number): void {
    if (offset + size > this.length - 4)
      throw corrupt(this.fileOffset, `a block of ${this.length} bytes is too short for its contents`);
  }

  u8(offset: number): number {
    this.check(offset, 1);
    return this.bytes[this.at + offset];
  }

  u16(offset: number): number {
    this.check(offset, 2);
    return this.view.getUint16(this.at + offset, this.little);
  }

  u32(offset: number): number {
    this.check(offset, 4);
    return this.view.getUint32(this.at + offset, this.little);
  }

  i64(offset: number): bigint {
    this.check(offset, 8);
    return this.view.getBigInt64(this.at + offset, this.little);
  }

  data(offset: number, size: number): Uint8Array {
    this.check(offset, size);
    return this.bytes.subarray(this.at + offset, this.at + offset + size);
  }
}

function readInterface(block: Block): CaptureInterface {
  let unitsPerSecond = 1_000_000n;
  let offsetSeconds = 0n;
  let at = 16;
  while (at + 4 <= block.length - 4) {
    const code = block.u16(at);
    const size = block.u16(at + 2);
    if (code === 0) break;
    if (code === OPTION_TSRESOL && size >= 1) unitsPerSecond = resolution(block.u8(at + 4));
    if (code === OPTION_TSOFFSET && size >= 8) offsetSeconds = block.i64(at + 4);
    at += 4 + alignUp(size, 4);
  }
  return { linkType: block.u16(8), snapLength: block.u32(12), unitsPerSecond, offsetSeconds };
}

/** `if_tsresol`: a negative power of 10, or of 2 when the high bit is set. */
function resolution(value: number): bigint {
  const exponent = BigInt(value & 0x7f);
  return value & 0x80 ? 1n << exponent : 10n ** exponent;
}

function corrupt(fileOffset: number, what: string): BpfError {
  return new BpfError("capture/corrupt", `${what} (block at offset ${fileOffset})`, {
    offset: fileOffset,
    hint: "the file is damaged from here on; the packets before it were read",
  });
}
