import type { CapturePacket } from "./packet.ts";

/** No sane packet is larger: a record that claims more is taken as corrupt instead of being waited for. */
export const MAX_RECORD = 16 * 1024 * 1024;

/** What a file format does with the bytes at hand. */
export interface CaptureFormat {
  /**
   * Reads one record at `at`. Returns the bytes it took (0: more bytes are needed) and the packet, if the record was one.
   * @throws BpfError `capture/corrupt` when the bytes cannot be a record.
   */
  next(bytes: Uint8Array, at: number, fileOffset: number): { taken: number; packet?: CapturePacket };
  /**
   * Formats whose records need no look at each: offset and length of the packets from `at` on, as many as are complete,
   * two numbers each. What they are is asked of `next`. @throws BpfError as `next` does, when the first record is bad.
   */
  spans?(bytes: Uint8Array, at: number, fileOffset: number): CaptureSpans;
}

/** Packets of one chunk by place. */
export interface CaptureSpans {
  readonly taken: number;
  readonly spans: Uint32Array;
  readonly linkType: number;
  /** Bytes from a record's start to its packet. */
  readonly recordHeader: number;
}
