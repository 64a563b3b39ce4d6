// The packet of a run and the context in front of its program. As in BPF_PROG_TEST_RUN an XDP packet lies in a page with
// head and tail room; here a longer packet makes the page longer instead of being cut into fragments.
import {
  ETH_HLEN,
  PACKET_BYTES,
  PACKET_LIMIT,
  PACKET_MAC,
  PACKET_NETWORK,
  PACKET_START,
  SKB_DATA,
  SKB_DATA_END,
  XDP_DATA,
  XDP_DATA_END,
  XDP_DATA_META,
} from "../../src/runtime/layout";
import { alloc, free } from "../alloc";

/** XDP_PACKET_HEADROOM. */
const HEADROOM: u32 = 256;
/** `SKB_DATA_ALIGN(sizeof(struct skb_shared_info))`: tail room that no packet byte may use. */
const SHARED_INFO: u32 = 320;
const PAGE: u32 = 4096;

/** The larger context: `struct __sk_buff`. */
const SK_BUFF_BYTES: u32 = 192;
// struct xdp_md
const XDP_INGRESS: usize = 12;
// struct __sk_buff
const SKB_LEN: usize = 0;
const SKB_PKT_TYPE: usize = 4;
const SKB_PROTOCOL: usize = 16;
const SKB_IFINDEX: usize = 40;
const SKB_DATA_META: usize = 140;
const LOOPBACK: u32 = 1;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

/** SKF_NET_OFF, SKF_LL_OFF of include/uapi/linux/filter.h. */
const NET_OFF: i32 = -0x100000;
const LL_OFF: i32 = -0x200000;

let buffer: u32 = 0;
let bufferEnd: u32 = 0;
/** Behind the PACKET_BYTES that say where the packet stands. */
let context: u32 = 0;
let isSkb: bool = false;

/**
 * Where the host is to put a packet of up to `length` bytes, with head and tail room around it; 0: no memory. Stays
 * where it is until a longer packet is asked for.
 */
export function packetBuffer(length: u32): u32 {
  const bytes = max(PAGE, HEADROOM + length + SHARED_INFO);
  if (bytes < length) return 0;
  if (!buffer || bytes > bufferEnd - buffer) {
    const made = alloc(bytes);
    if (!made) return 0;
    free(buffer);
    buffer = made;
    bufferEnd = made + bytes;
  }
  return buffer + HEADROOM;
}

/** Room for a context of `struct xdp_md` or `struct __sk_buff`, which `xdpBegin` and `skbBegin` fill; 0: no memory. */
export function contextBuffer(): u32 {
  if (!context) {
    const made = alloc(PACKET_BYTES + SK_BUFF_BYTES);
    if (made) context = made + PACKET_BYTES;
  }
  return context;
}

/** Only in the module's own buffer is there room around a packet. */
function place(packet: u32, length: u32): void {
  const own = buffer != 0 && packet == buffer + HEADROOM;
  const state = context - PACKET_BYTES;
  memory.fill(state, 0, PACKET_BYTES + SK_BUFF_BYTES);
  store<u32>(state, own ? buffer : packet, PACKET_START);
  store<u32>(state, own ? bufferEnd - SHARED_INFO : packet + length, PACKET_LIMIT);
  store<u32>(state, packet, PACKET_MAC);
  store<u32>(state, packet + ETH_HLEN, PACKET_NETWORK);
}

/** Context of an XDP run over `length` bytes at `packet`, received on `lo`. */
export function xdpBegin(packet: u32, length: u32): u32 {
  place(packet, length);
  isSkb = false;
  store<u32>(context, packet, XDP_DATA);
  store<u32>(context, packet + length, XDP_DATA_END);
  store<u32>(context, packet, XDP_DATA_META);
  store<u32>(context, LOOPBACK, XDP_INGRESS);
  return context;
}

/** Context of an skb run; the data begins `skip` bytes behind the Ethernet header's start (0 for tc, else 14). */
export function skbBegin(packet: u32, length: u32, skip: u32): u32 {
  place(packet, length);
  isSkb = true;
  const data = packet + min(skip, length);
  if (length >= <u32>ETH_HLEN) {
    store<u32>(context, load<u16>(packet, 12), SKB_PROTOCOL);
    // eth_type_trans for `lo`, whose address is all zero.
    const zero = load<u32>(packet) == 0 && load<u16>(packet, 4) == 0;
    const others = load<u8>(packet) & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
    store<u32>(context, zero ? 0 : others, SKB_PKT_TYPE);
  }
  store<u32>(context, LOOPBACK, SKB_IFINDEX);
  store<u32>(context, packet + length - data, SKB_LEN);
  store<u32>(context, data, SKB_DATA);
  store<u32>(context, packet + length, SKB_DATA_END);
  store<u32>(context, data, SKB_DATA_META);
  return context;
}

/** Where the packet of the last run begins: an skb from its Ethernet header on, a metadata area not counted. */
export function packetData(): u32 {
  return isSkb ? load<u32>(context - PACKET_BYTES, PACKET_MAC) : load<u32>(context, XDP_DATA);
}

/** One past its last byte. */
export function packetEnd(): u32 {
  return isSkb ? load<u32>(context, SKB_DATA_END) : load<u32>(context, XDP_DATA_END);
}

/** Where the metadata in front of an XDP packet begins; without any, where the packet does. */
export function packetMeta(): u32 {
  return isSkb ? load<u32>(context, SKB_DATA_META) : load<u32>(context, XDP_DATA_META);
}

/** LD_ABS, LD_IND: the value at `result`; 0: outside of the packet. Negative offsets count from a header. */
export function loadPacket(offset: i32, size: u32, result: u32): u32 {
  const state = context - PACKET_BYTES;
  let at: i64 = <i64>load<u32>(context, SKB_DATA) + offset;
  if (offset < 0) {
    if (offset < LL_OFF) return 0;
    at =
      offset >= NET_OFF
        ? <i64>load<u32>(state, PACKET_NETWORK) + (offset - NET_OFF)
        : <i64>load<u32>(state, PACKET_MAC) + (offset - LL_OFF);
  }
  if (at < <i64>load<u32>(state, PACKET_START) || at + size > <i64>load<u32>(context, SKB_DATA_END)) return 0;
  let value: u64 = 0;
  for (let i: u32 = 0; i < size; i++) value = (value << 8) | load<u8>(<u32>at + i);
  store<u64>(result, value);
  return 1;
}
