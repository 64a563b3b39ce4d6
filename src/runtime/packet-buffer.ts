import {
  PACKET_BYTES,
  PACKET_DATA,
  PACKET_DATA_END,
  PACKET_DATA_META,
  PACKET_FRAG_BYTES,
  PACKET_GENERATION,
  PACKET_LIMIT,
  PACKET_MAC,
  PACKET_NETWORK,
  PACKET_START,
  PACKET_TRANSPORT,
} from "./layout.ts";
import type { Memory } from "./memory.ts";
import type { Socket } from "./network.ts";

export { ETH_HLEN, XDP_FRAME_BYTES } from "./layout.ts";

/** Linux: XDP_PACKET_HEADROOM, include/uapi/linux/bpf.h. */
export const XDP_HEADROOM = 256;
/** Page that an XDP frame and each of its fragments lives in. */
export const XDP_PAGE = 4096;
/** `SKB_DATA_ALIGN(sizeof(struct skb_shared_info))`: tail room that no packet byte may use. */
export const SHARED_INFO_BYTES = 320;
/** Linux: MAX_SKB_FRAGS as built by distributions. */
export const MAX_FRAGS = 17;

/** Room added at both ends when a buffer is made anew, so that a row of small changes costs one copy. */
const SPARE = 4096;
/** No program needs a longer packet; one that grows further is out of memory. */
const MAX_BUFFER = 1 << 20;

const NO_BYTES = new Uint8Array(0);

/** Where a context keeps what a packet's movements change; byte offsets, -1: the context has no such field. */
export interface PacketFields {
  readonly data: number;
  readonly dataEnd: number;
  readonly dataMeta: number;
  /** Whole length, fragments included. */
  readonly length: number;
}

/**
 * The packet of a run, in linear memory: head room, optional metadata, data, tail room. All addresses. They are kept in
 * linear memory as well, in the context and in front of it (`PACKET_…` of `layout.ts`), where helpers in wasm find
 * them. A helper that moves or resizes the packet calls {@link PacketBuffer.moved}, which makes every older packet
 * pointer of the program unusable and brings the context's length up to date.
 */
export class PacketBuffer {
  readonly memory: Memory;
  readonly contextAddress: number;
  readonly fields: PacketFields;
  /** Addresses of the words that `data`, `dataEnd`, `dataMeta` are kept in. */
  private readonly dataAt: number;
  private readonly dataEndAt: number;
  private readonly dataMetaAt: number;
  private readonly block: number;
  private fragments: Uint8Array = NO_BYTES;
  private state: Skb | undefined;
  /** Makes a bigger buffer, where the type's packets can grow; undefined: they cannot. */
  private readonly alloc: ((size: number) => number) | undefined;

  /** @param contextAddress from `RunMemory`, which leaves room for the packet in front of each block. */
  constructor(
    memory: Memory,
    start: number,
    limit: number,
    contextAddress: number,
    fields: PacketFields,
    alloc?: (size: number) => number,
  ) {
    this.memory = memory;
    this.contextAddress = contextAddress;
    this.fields = fields;
    const block = contextAddress - PACKET_BYTES;
    this.block = block;
    this.dataAt = fields.data >= 0 ? contextAddress + fields.data : block + PACKET_DATA;
    this.dataEndAt = fields.dataEnd >= 0 ? contextAddress + fields.dataEnd : block + PACKET_DATA_END;
    this.dataMetaAt = fields.dataMeta >= 0 ? contextAddress + fields.dataMeta : block + PACKET_DATA_META;
    this.start = start;
    this.limit = limit;
    this.generation = 1;
    this.dataMeta = start;
    this.data = start;
    this.dataEnd = start;
    this.alloc = alloc;
  }

  /** Start of the buffer (first byte of the head room). */
  get start(): number {
    return this.memory.view.getUint32(this.block + PACKET_START, true);
  }
  set start(address: number) {
    this.memory.view.setUint32(this.block + PACKET_START, address, true);
  }

  /** One past the last byte of tail room. */
  get limit(): number {
    return this.memory.view.getUint32(this.block + PACKET_LIMIT, true);
  }
  set limit(address: number) {
    this.memory.view.setUint32(this.block + PACKET_LIMIT, address, true);
  }

  get dataMeta(): number {
    return this.memory.view.getUint32(this.dataMetaAt, true);
  }
  set dataMeta(address: number) {
    this.memory.view.setUint32(this.dataMetaAt, address, true);
  }

  get data(): number {
    return this.memory.view.getUint32(this.dataAt, true);
  }
  set data(address: number) {
    this.memory.view.setUint32(this.dataAt, address, true);
  }

  /** End of the linear part. */
  get dataEnd(): number {
    return this.memory.view.getUint32(this.dataEndAt, true);
  }
  set dataEnd(address: number) {
    this.memory.view.setUint32(this.dataEndAt, address, true);
  }

  /** Counts what ended the program's packet pointers; starts at 1. */
  get generation(): number {
    return this.memory.view.getUint32(this.block + PACKET_GENERATION, true);
  }
  set generation(count: number) {
    this.memory.view.setUint32(this.block + PACKET_GENERATION, count, true);
  }

  /** Multi-buffer XDP / non-linear skb: bytes that follow the linear part, outside direct access. */
  get frags(): Uint8Array {
    return this.fragments;
  }
  set frags(bytes: Uint8Array) {
    this.fragments = bytes;
    this.memory.view.setUint32(this.block + PACKET_FRAG_BYTES, bytes.length, true);
  }

  /** What an skb knows beyond its bytes; undefined for XDP and for contexts that are no packet buffers. */
  get skb(): SkbState | undefined {
    return this.state;
  }
  set skb(state: SkbState | undefined) {
    this.state = state && new Skb(this.memory, this.block, state);
  }

  /**
   * Makes sure of `head` bytes before the data and `tail` bytes behind it, in a new buffer if need be (`pskb_expand_head`).
   * False when there is no memory for it.
   */
  reserve(head: number, tail: number): boolean {
    if (this.data - this.start >= head && this.limit - this.dataEnd >= tail) return true;
    if (this.alloc === undefined) return false;
    const newHead = Math.max(head, this.data - this.start) + SPARE;
    const newTail = Math.max(tail, this.limit - this.dataEnd) + SPARE;
    const size = newHead + this.linear + newTail;
    const start = size <= MAX_BUFFER ? this.alloc(size) : 0;
    if (start === 0) return false;
    const by = start + newHead - this.data;
    this.memory.u8.copyWithin(start + newHead, this.data, this.dataEnd);
    this.start = start;
    this.limit = start + size;
    this.data += by;
    this.dataMeta = this.data;
    this.dataEnd += by;
    if (this.skb !== undefined) {
      this.skb.macHeader += by;
      this.skb.networkHeader += by;
      if (this.skb.transportHeader !== 0) this.skb.transportHeader += by;
    }
    return true;
  }

  /** Bytes of the packet, fragments included, metadata not. */
  get length(): number {
    return this.dataEnd - this.data + this.frags.length;
  }

  /** Bytes of the linear part. */
  get linear(): number {
    return this.dataEnd - this.data;
  }

  /** Ends the validity of packet pointers and writes the present length into the context. */
  moved(): void {
    this.generation++;
    this.sync();
  }

  /** Writes the length into the context. */
  sync(): void {
    const { length } = this.fields;
    if (length >= 0) this.memory.view.setUint32(this.contextAddress + length, this.length, true);
  }

  /** Copies `size` bytes at `offset` (may be negative: head room) to `to`; false when the packet is shorter. */
  copyOut(offset: number, to: number, size: number): boolean {
    if (this.data + offset < this.start || offset + size > this.length) return false;
    const { u8 } = this.memory;
    const inLinear = Math.max(0, Math.min(size, this.linear - offset));
    u8.copyWithin(to, this.data + offset, this.data + offset + inLinear);
    if (inLinear < size) {
      const at = offset + inLinear - this.linear;
      u8.set(this.frags.subarray(at, at + size - inLinear), to + inLinear);
    }
    return true;
  }

  /** Copies `size` bytes from `from` into the packet at `offset` ≥ 0; false when the packet is shorter. */
  copyIn(offset: number, from: number, size: number): boolean {
    if (offset + size > this.length) return false;
    const { u8 } = this.memory;
    const inLinear = Math.max(0, Math.min(size, this.linear - offset));
    u8.copyWithin(this.data + offset, from, from + inLinear);
    if (inLinear < size)
      this.frags.set(u8.subarray(from + inLinear, from + size), offset + inLinear - this.linear);
    return true;
  }

  /** A copy of the packet's bytes from `from` (an address at or before the data) on. */
  bytes(from: number = this.data): Uint8Array {
    if (this.frags.length === 0) return this.memory.read(from, this.dataEnd - from);
    const linear = this.dataEnd - from;
    const out = new Uint8Array(linear + this.frags.length);
    out.set(this.memory.u8.subarray(from, this.dataEnd));
    out.set(this.frags, linear);
    return out;
  }
}

/** Linux: CHECKSUM_NONE and CHECKSUM_UNNECESSARY, include/linux/skbuff.h (a run never has the other two). */
export const CHECKSUM_NONE = 0;
export const CHECKSUM_UNNECESSARY = 1;

/**
 * `struct sk_buff` beside its bytes and beside the fields that programs read in `__sk_buff` (those live in the context
 * and only there). Headers are addresses in the packet's buffer.
 */
export interface SkbState {
  macHeader: number;
  networkHeader: number;
  /** 0: not set. */
  transportHeader: number;
  ipSummed: number;
  csumLevel: number;
  /** The hash in the context is valid (was computed or set). */
  hashKnown: boolean;
  encapsulation: boolean;
  /** From `bpf_skb_set_tunnel_key`. */
  tunnel: TunnelInfo | undefined;
  /** `skb->sk`; `bpf_sk_assign` replaces it. */
  socket: Socket | undefined;
  /** Where programs find that socket's `struct bpf_sock`; 0 without one. */
  socketAddress: number;
}

/** {@link SkbState} whose headers' addresses stand in linear memory. */
class Skb implements SkbState {
  ipSummed: number;
  csumLevel: number;
  hashKnown: boolean;
  encapsulation: boolean;
  tunnel: TunnelInfo | undefined;
  socket: Socket | undefined;
  socketAddress: number;
  private readonly memory: Memory;
  private readonly block: number;

  constructor(memory: Memory, block: number, state: SkbState) {
    this.memory = memory;
    this.block = block;
    this.macHeader = state.macHeader;
    this.networkHeader = state.networkHeader;
    this.transportHeader = state.transportHeader;
    this.ipSummed = state.ipSummed;
    this.csumLevel = state.csumLevel;
    this.hashKnown = state.hashKnown;
    this.encapsulation = state.encapsulation;
    this.tunnel = state.tunnel;
    this.socket = state.socket;
    this.socketAddress = state.socketAddress;
  }

  get macHeader(): number {
    return this.memory.view.getUint32(this.block + PACKET_MAC, true);
  }
  set macHeader(address: number) {
    this.memory.view.setUint32(this.block + PACKET_MAC, address, true);
  }

  get networkHeader(): number {
    return this.memory.view.getUint32(this.block + PACKET_NETWORK, true);
  }
  set networkHeader(address: number) {
    this.memory.view.setUint32(this.block + PACKET_NETWORK, address, true);
  }

  get transportHeader(): number {
    return this.memory.view.getUint32(this.block + PACKET_TRANSPORT, true);
  }
  set transportHeader(address: number) {
    this.memory.view.setUint32(this.block + PACKET_TRANSPORT, address, true);
  }
}

/** `struct ip_tunnel_info` as far as programs can set and read it. */
export interface TunnelInfo {
  readonly ipv6: boolean;
  /** `struct bpf_tunnel_key` as given, 44 bytes. */
  readonly key: Uint8Array;
  readonly flags: number;
  options: Uint8Array;
}
