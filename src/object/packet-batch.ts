import type { RunOutcome } from "./kernel.ts";

/** Packets packed into one array, from the Ethernet header on: what a program can run over without a call for each. */
export interface PacketBatch {
  readonly bytes: Uint8Array;
  /** Offset in `bytes` and length of each packet, two numbers each. Between packets may be anything. */
  readonly spans: Uint32Array;
  /** Interface each packet comes in on; default: as the context says, else `lo`. */
  readonly interfaces?: Uint32Array;
  /** Receive queue of each packet (XDP only). */
  readonly queues?: Uint32Array;
}

/** How to run a batch. */
export interface BatchOptions {
  /** Context as `RunInput.ctx`, for all packets; `xdp_md.data_end` becomes each packet's length. */
  readonly ctx?: Uint8Array | undefined;
  /** CPU the program believes to run on; default 0. */
  readonly cpu?: number | undefined;
  /** Instructions one packet may take; default 1e9. */
  readonly maxInsns?: number | undefined;
  /** Keep each packet's bytes after its run (`BatchResult.packet`). */
  readonly keepPackets?: boolean | undefined;
  /** Called after each packet that left records in ring buffers or perf event arrays: takes them out before they are too many. */
  readonly consume?: (() => void) | undefined;
  /** What messages call a packet, by its index; default: counted from 1. */
  readonly numberOf?: ((index: number) => number) | undefined;
}

/** What the runs of a batch gave, by index. */
export interface BatchResult {
  readonly count: number;
  /** Unsigned 32 bits, as bpf(2) gives them. */
  readonly retvals: Uint32Array;
  /** Bytes of each packet after its run (XDP: metadata included). */
  readonly lengths: Uint32Array;
  /** Packet after its run; undefined without `keepPackets`. */
  packet(index: number): Uint8Array | undefined;
  /** Redirects, clones and signals of the packets that had any. */
  readonly outcomes: ReadonlyMap<number, RunOutcome>;
  /** Mean wall time of one packet, building its context and copying included, nanoseconds. */
  readonly durationNs: number;
  /** Instructions executed by all runs together; undefined where the engine does not count. */
  readonly insns?: number;
}

/** Packs packets one after the other. */
export function packPackets(packets: readonly Uint8Array[]): PacketBatch {
  const bytes = new Uint8Array(packets.reduce((sum, packet) => sum + packet.length, 0));
  const spans = new Uint32Array(2 * packets.length);
  let at = 0;
  for (const [i, packet] of packets.entries()) {
    bytes.set(packet, at);
    spans[2 * i] = at;
    spans[2 * i + 1] = packet.length;
    at += packet.length;
  }
  return { bytes, spans };
}

/** Packet number `index` of a batch: a view. */
export function packetAt({ bytes, spans }: PacketBatch, index: number): Uint8Array {
  const offset = spans[2 * index];
  return bytes.subarray(offset, offset + spans[2 * index + 1]);
}
