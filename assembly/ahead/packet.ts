// The packet of a run and the context in front of its program. As in BPF_PROG_TEST_RUN an XDP packet lies in a page with
// head and tail room; here a longer packet makes the page longer instead of being cut into fragments.
import { alloc, free } from "../alloc";

/** XDP_PACKET_HEADROOM, and the part of it that `struct xdp_frame` takes. */
const HEADROOM: u32 = 256;
const FRAME_BYTES: u32 = 40;
/** `SKB_DATA_ALIGN(sizeof(struct skb_shared_info))`. */
const SHARED_INFO: u32 = 320;
const PAGE: u32 = 4096;
export const ETH_HLEN: u32 = 14;

/** The larger context: `struct __sk_buff`. */
const SK_BUFF_BYTES: u32 = 192;
// struct xdp_md
const MD_DATA: usize = 0;
const MD_DATA_END: usize = 4;
const MD_DATA_META: usize = 8;
const MD_INGRESS: usize = 12;
const MD_QUEUE: usize = 16;
const MD_EGRESS: usize = 20;
// struct __sk_buff
const SKB_LEN: usize = 0;
const SKB_PKT_TYPE: usize = 4;
const SKB_PROTOCOL: usize = 16;
const SKB_IFINDEX: usize = 40;
const SKB_DATA: usize = 76;
const SKB_DATA_END: usize = 80;
const SKB_DATA_META: usize = 140;
const LOOPBACK: u32 = 1;
const PACKET_HOST: u32 = 0;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

/** SKF_NET_OFF, SKF_LL_OFF of include/uapi/linux/filter.h. */
const NET_OFF: i32 = -0x100000;
const LL_OFF: i32 = -0x200000;

let buffer: u32 = 0;
let bufferEnd: u32 = 0;
let context: u32 = 0;
let isSkb: bool = false;
/** First byte that the packet may begin at, and the end of its tail room. */
let start: u32 = 0;
let limit: u32 = 0;
let mac: u32 = 0;
let meta: u32 = 0;
let data: u32 = 0;
let dataEnd: u32 = 0;

/**
 * Where the host is to put a packet of up to `length` bytes, with head and tail room around it; 0: no memory. Stays
 * where it is until a longer packet is asked for.
 */
export function packetBuffer(length: u32): u32 {
  const bytes = max(PAGE, HEADROOM + length + SHARED_INFO);
  if (!buffer || buffer + bytes > bufferEnd) {
    if (bytes < length) return 0;
    const made = alloc(bytes);
    if (!made) return 0;
    free(buffer);
    buffer = made;
    bufferEnd = made + bytes;
  }
  return buffer + HEADROOM;
}

/** Room for a context of `struct xdp_md` or `struct __sk_buff`, which `xdpBegin` and `skbBegin` fill. */
export function contextBuffer(): u32 {
  if (!context) context = alloc(SK_BUFF_BYTES);
  return context;
}

function place(packet: u32, length: u32): void {
  const own = packet == buffer + HEADROOM && buffer != 0;
  start = own ? buffer : packet;
  limit = own ? bufferEnd - SHARED_INFO : packet + length;
  mac = packet;
  data = packet;
  meta = packet;
  dataEnd = packet + length;
  memory.fill(contextBuffer(), 0, SK_BUFF_BYTES);
}

/** Context of an XDP run over `length` bytes at `packet`, received on `lo`. */
export function xdpBegin(packet: u32, length: u32): u32 {
  place(packet, length);
  isSkb = false;
  store<u32>(context, LOOPBACK, MD_INGRESS);
  store<u32>(context, 0, MD_QUEUE);
  store<u32>(context, 0, MD_EGRESS);
  sync();
  return context;
}

/** Context of an skb run; the data begins `behind` bytes behind the Ethernet header's start (0 for tc, else 14). */
export function skbBegin(packet: u32, length: u32, behind: u32): u32 {
  place(packet, length);
  isSkb = true;
  if (length >= ETH_HLEN) {
    data = packet + behind;
    store<u16>(context, load<u16>(packet, 12), SKB_PROTOCOL);
    const zero = !(load<u32>(packet) | load<u16>(packet, 4));
    const type = zero ? PACKET_HOST : load<u8>(packet) & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
    store<u32>(context, type, SKB_PKT_TYPE);
  }
  meta = data;
  store<u32>(context, LOOPBACK, SKB_IFINDEX);
  sync();
  return context;
}

function sync(): void {
  if (isSkb) {
    store<u32>(context, dataEnd - data, SKB_LEN);
    store<u32>(context, data, SKB_DATA);
    store<u32>(context, dataEnd, SKB_DATA_END);
    store<u32>(context, meta, SKB_DATA_META);
  } else {
    store<u32>(context, data, MD_DATA);
    store<u32>(context, dataEnd, MD_DATA_END);
    store<u32>(context, meta, MD_DATA_META);
  }
}

/** Where the packet of the last run begins (an skb: from its Ethernet header, a metadata area not counted). */
export function packetData(): u32 {
  return isSkb ? mac : data;
}

/** One past its last byte. */
export function packetEnd(): u32 {
  return dataEnd;
}

/** Where the metadata in front of an XDP packet begins; without any, where the packet does. */
export function packetMeta(): u32 {
  return meta;
}

/** Address of `size` bytes at `offset` of the data; 0: outside. */
export function packetAt(offset: u32, size: u32): u32 {
  const length = dataEnd - data;
  return offset <= length && size <= length - offset ? data + offset : 0;
}

/** LD_ABS, LD_IND: the value at `result`; 0: outside of the packet. Negative offsets count from a header. */
export function loadPacket(offset: i32, size: u32, result: u32): u32 {
  let at: i64 = <i64>data + offset;
  if (offset < 0) {
    if (!isSkb || offset < LL_OFF) return 0;
    at = offset >= NET_OFF ? <i64>mac + ETH_HLEN + (offset - NET_OFF) : <i64>mac + (offset - LL_OFF);
  }
  if (at < <i64>start || at + size > <i64>dataEnd) return 0;
  let value: u64 = 0;
  for (let i: u32 = 0; i < size; i++) value = (value << 8) | load<u8>(<u32>at + i);
  store<u64>(result, value);
  return 1;
}

/** `bpf_xdp_adjust_head`, net/core/filter.c: false for a place where the packet may not begin. */
export function moveHead(by: i32): bool {
  const metaBytes = data - meta;
  const to: i64 = <i64>data + by;
  if (to < <i64>start + FRAME_BYTES + metaBytes || to > <i64>dataEnd - ETH_HLEN) return false;
  memory.copy(<u32>to - metaBytes, meta, metaBytes);
  data = <u32>to;
  meta = data - metaBytes;
  sync();
  return true;
}

/** `bpf_xdp_adjust_meta`: 0 done, 1 outside of the head room, 2 a size that metadata cannot have. */
export function moveMeta(by: i32): u32 {
  const to: i64 = <i64>meta + by;
  if (to < <i64>start + FRAME_BYTES || to > <i64>data) return 1;
  const size = data - <u32>to;
  if (size & 3 || size > 255) return 2;
  meta = <u32>to;
  sync();
  return 0;
}

/** `bpf_xdp_adjust_tail`. */
export function moveTail(by: i32): bool {
  const to: i64 = <i64>dataEnd + by;
  if (to > <i64>limit || to < <i64>data + ETH_HLEN) return false;
  if (by > 0) memory.fill(dataEnd, 0, by);
  dataEnd = <u32>to;
  sync();
  return true;
}

/** Bytes of the packet. */
export function packetLength(): u32 {
  return dataEnd - data;
}
