import { alignUp } from "../base/index.ts";
import { LINK_TYPES } from "./packet.ts";
import { BLOCK } from "./pcapng.ts";

/** A packet to be written; always an Ethernet frame. */
export interface OutputPacket {
  readonly data: Uint8Array;
  /** Nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** Bytes on the wire; default: `data.length`. */
  readonly originalLength?: number;
  /** What an eBPF program said of it; written as the standard `epb_verdict` option (pcapng only). */
  readonly verdict?: { readonly hook: "xdp" | "tc"; readonly retval: number };
  /** Shown by Wireshark as packet comment (pcapng only). */
  readonly comment?: string;
}

/** Writes a capture piece by piece: `header()` first, then one `packet()` each. */
export interface CaptureWriter {
  header(): Uint8Array;
  packet(packet: OutputPacket): Uint8Array;
}

const OPTION = { END: 0, COMMENT: 1, USER_APPLICATION: 4, TSRESOL: 9, EPB_VERDICT: 7 } as const;
/** First byte of `epb_verdict`: which kind of verdict follows. */
const VERDICT_KIND = { tc: 1, xdp: 2 } as const;
const NANOSECONDS = 9;

/** pcapng with one Ethernet interface and nanosecond times. */
export function pcapngWriter(application: string): CaptureWriter {
  return {
    header() {
      const section = block(BLOCK.SECTION_HEADER, (body) => {
        body.u32(0x1a2b3c4d).u16(1).u16(0).u32(0xffffffff).u32(0xffffffff);
        body
          .option(OPTION.USER_APPLICATION, new TextEncoder().encode(application))
          .option(OPTION.END, NOTHING);
      });
      const ethernet = block(BLOCK.INTERFACE, (body) => {
        body.u16(LINK_TYPES.ETHERNET).u16(0).u32(0);
        body.option(OPTION.TSRESOL, Uint8Array.of(NANOSECONDS)).option(OPTION.END, NOTHING);
      });
      const out = new Uint8Array(section.length + ethernet.length);
      out.set(section);
      out.set(ethernet, section.length);
      return out;
    },
    packet({ data, timestampNs, originalLength, verdict, comment }) {
      return block(BLOCK.ENHANCED_PACKET, (body) => {
        body
          .u32(0)
          .u32(Number(timestampNs >> 32n))
          .u32(Number(timestampNs & 0xffffffffn));
        body
          .u32(data.length)
          .u32(originalLength ?? data.length)
          .padded(data);
        if (verdict === undefined && comment === undefined) return;
        if (comment !== undefined) body.option(OPTION.COMMENT, new TextEncoder().encode(comment));
        if (verdict !== undefined) {
          const value = new Uint8Array(9);
          value[0] = VERDICT_KIND[verdict.hook];
          new DataView(value.buffer).setBigUint64(1, BigInt(verdict.retval >>> 0), true);
          body.option(OPTION.EPB_VERDICT, value);
        }
        body.option(OPTION.END, NOTHING);
      });
    },
  };
}

/** Classic pcap, nanosecond times, Ethernet. */
export function pcapWriter(): CaptureWriter {
  return {
    header: () =>
      new Body().u32(0xa1b23c4d).u16(2).u16(4).u32(0).u32(0).u32(262144).u32(LINK_TYPES.ETHERNET).bytes(),
    packet({ data, timestampNs, originalLength }) {
      const body = new Body()
        .u32(Number(timestampNs / 1_000_000_000n))
        .u32(Number(timestampNs % 1_000_000_000n));
      return body
        .u32(data.length)
        .u32(originalLength ?? data.length)
        .raw(data)
        .bytes();
    },
  };
}

const NOTHING = new Uint8Array(0);

function block(type: number, fill: (body: Body) => void): Uint8Array {
  const body = new Body();
  fill(body);
  const content = body.bytes();
  const length = 12 + content.length;
  return new Body().u32(type).u32(length).raw(content).u32(length).bytes();
}

/** Little-endian bytes that grow. */
class Body {
  private out = new Uint8Array(64);
  private view = new DataView(this.out.buffer);
  private size = 0;

  private room(more: number): void {
    if (this.size + more <= this.out.length) return;
    const grown = new Uint8Array(Math.max(this.out.length * 2, this.size + more));
    grown.set(this.out);
    this.out = grown;
    this.view = new DataView(grown.buffer);
  }

  u16(value: number): this {
    this.room(2);
    this.view.setUint16(this.size, value, true);
    this.size += 2;
    return this;
  }

  u32(value: number): this {
    this.room(4);
    this.view.setUint32(this.size, value, true);
    this.size += 4;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.room(bytes.length);
    this.out.set(bytes, this.size);
    this.size += bytes.length;
    return this;
  }

  /** The bytes, then zeros up to a multiple of 4. */
  padded(bytes: Uint8Array): this {
    return this.raw(bytes).raw(new Uint8Array(alignUp(bytes.length, 4) - bytes.length));
  }

  option(code: number, value: Uint8Array): this {
    return this.u16(code).u16(value.length).padded(value);
  }

  bytes(): Uint8Array {
    return this.out.slice(0, this.size);
  }
}
