/** One packet of a capture file. */
export interface CapturePacket {
  /** Captured bytes, from the link-layer header. A view of the reader's buffer: copy it to keep it. */
  readonly data: Uint8Array;
  /** Nanoseconds since 1970; 0 where the file has no time (pcapng simple packets). */
  readonly timestampNs: bigint;
  /** Bytes on the wire; more than `data.length` when the capture was cut by a snap length. */
  readonly originalLength: number;
  readonly linkType: number;
  /** Index of the capture interface; 0 in pcap files. */
  readonly interfaceId: number;
}

/** Link-layer types Skep can read. Numbers: https://www.tcpdump.org/linktypes.html */
export const LINK_TYPES = {
  NULL: 0,
  ETHERNET: 1,
  /** Raw IP as some BSDs number it. */
  RAW_BSD: 12,
  RAW_OPENBSD: 14,
  RAW: 101,
  LOOP: 108,
  LINUX_SLL: 113,
  IPV4: 228,
  IPV6: 229,
  LINUX_SLL2: 276,
} as const;
export type LinkTypeName = keyof typeof LINK_TYPES;

const NAME_OF = new Map<number, LinkTypeName>(
  Object.entries(LINK_TYPES).map(([name, id]) => [id, name as LinkTypeName]), // keys of the table above
);

/** Name of a link type, or undefined for one that Skep cannot read. */
export function linkTypeName(linkType: number): LinkTypeName | undefined {
  return NAME_OF.get(linkType);
}
