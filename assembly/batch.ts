// Packets of a capture, one after the other, without the host: compiled code asks here for the next context
// (`batchNext`), runs, and comes back with what the program returned. Contexts and packets are what src/runtime/hooks
// builds for a single run; packets that need more than that (fragments, errors) are left to the host.
import {
  BATCH_ASKED,
  BATCH_BUFFER,
  BATCH_BYTES,
  BATCH_CLEAN,
  BATCH_CONTEXT,
  BATCH_CONTEXT_BYTES,
  BATCH_COUNT,
  BATCH_END,
  BATCH_EVENTS,
  BATCH_FULL,
  BATCH_HOST_BYTES,
  BATCH_INTERFACES,
  BATCH_KIND,
  BATCH_LIMIT,
  BATCH_LINEAR_MAX,
  BATCH_NEXT,
  BATCH_ODD,
  BATCH_OUTPUT,
  BATCH_OUTPUT_SIZE,
  BATCH_OUTPUT_USED,
  BATCH_OWN_LENGTH,
  BATCH_PACKET,
  BATCH_QUEUES,
  BATCH_RESULT_BYTES,
  BATCH_RESULTS,
  BATCH_RINGS,
  BATCH_ROOM,
  BATCH_RUNNING,
  BATCH_SKB_NETWORK,
  BATCH_SPANS,
  BATCH_STOP,
  BATCH_TEMPLATE,
  BATCH_XDP,
  PACKET_BYTES,
  PACKET_FRAG_BYTES,
  PACKET_MAC,
  PACKET_NETWORK,
} from "../src/runtime/layout";
import { ringbufQuery } from "./maps/ring-buffer";

const ETH_HLEN: u32 = 14;
const ETH_P_IP: u32 = 0x0008; // as a little-endian load sees them
const ETH_P_IPV6: u32 = 0xdd86;
/** High byte of the lowest EtherType. */
const ETH_P_MIN_HIGH: u32 = 6;
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: u32 = 40;
/** Above this `memory.copy`'s call is cheaper than copying words. */
const SHORT: u32 = 192;

// struct xdp_md
const MD_DATA: usize = 0;
const MD_DATA_END: usize = 4;
const MD_DATA_META: usize = 8;
const MD_INGRESS: usize = 12;
const MD_QUEUE: usize = 16;

// struct __sk_buff, and struct bpf_sock behind it
const SKB_LEN: usize = 0;
const SKB_PKT_TYPE: usize = 4;
const SKB_PROTOCOL: usize = 16;
const SKB_IFINDEX: usize = 40;
const SKB_DATA: usize = 76;
const SKB_DATA_END: usize = 80;
const SKB_FAMILY: usize = 88;
const SKB_REMOTE_IP4: usize = 92;
const SKB_LOCAL_IP4: usize = 96;
const SKB_REMOTE_IP6: usize = 100;
const SKB_LOCAL_IP6: usize = 116;
const SKB_DATA_META: usize = 140;
const SKB_WIRE_LEN: usize = 160;
const SOCK: usize = 192;
const SOCK_FAMILY: usize = SOCK + 4;
const SOCK_SRC_IP4: usize = SOCK + 24;
const SOCK_SRC_IP6: usize = SOCK + 28;
const SOCK_DST_IP4: usize = SOCK + 52;
const SOCK_DST_IP6: usize = SOCK + 56;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

@inline
function copyPacket(to: u32, from: u32, size: u32): void {
  if (size > SHORT) {
    memory.copy(to, from, size);
    return;
  }
  // Up to 7 bytes too many, into room that is overwritten or never looked at.
  for (let at: u32 = 0; at < size; at += 8) store<u64>(to + at, load<u64>(from + at));
}

/** Ends the packet that ran with `r0`, and begins the next one: address of its context, 0 to come back (BATCH_STOP). */
export function batchNext(batch: u32, r0: u64): u32 {
  if (load<u32>(batch, BATCH_RUNNING)) {
    finish(batch, <u32>r0);
    store<u32>(batch, 0, BATCH_RUNNING);
    if (load<u32>(batch, BATCH_ASKED) || recordsIn(load<u32>(batch, BATCH_RINGS))) return stop(batch, BATCH_EVENTS);
  }
  const index = load<u32>(batch, BATCH_NEXT);
  if (index >= load<u32>(batch, BATCH_COUNT)) return stop(batch, BATCH_END);
  if (
    load<u32>(batch, BATCH_OUTPUT) &&
    load<u32>(batch, BATCH_OUTPUT_SIZE) - load<u32>(batch, BATCH_OUTPUT_USED) < <u32>BATCH_ROOM
  ) {
    return stop(batch, BATCH_FULL);
  }
  const span = load<u32>(batch, BATCH_SPANS) + index * 8;
  const from = load<u32>(batch, BATCH_BYTES) + load<u32>(span);
  const length = load<u32>(span, 4);
  if (length < ETH_HLEN || length > load<u32>(batch, BATCH_LINEAR_MAX)) return stop(batch, BATCH_ODD);
  const xdp = load<u32>(batch, BATCH_KIND) == BATCH_XDP;
  if (!xdp && oddHeader(from, length)) return stop(batch, BATCH_ODD);
  const packet = load<u32>(batch, BATCH_PACKET);
  if (load<u32>(batch, BATCH_CLEAN)) {
    const buffer = load<u32>(batch, BATCH_BUFFER);
    memory.fill(buffer, 0, load<u32>(batch, BATCH_LIMIT) - buffer);
    memory.copy(packet, from, length);
  } else copyPacket(packet, from, length);
  const context = load<u32>(batch, BATCH_CONTEXT);
  const template = load<u32>(batch, BATCH_TEMPLATE);
  const bytes = load<u32>(batch, BATCH_CONTEXT_BYTES);
  for (let at: u32 = 0; at < bytes; at += 8) store<u64>(context + at, load<u64>(template + at));
  if (xdp) xdpContext(batch, context, packet, length, index);
  else skbContext(batch, context, packet, length, index);
  store<u32>(batch, index + 1, BATCH_NEXT);
  store<u32>(batch, 1, BATCH_RUNNING);
  return context;
}

@inline
function stop(batch: u32, why: u32): u32 {
  store<u32>(batch, why, BATCH_STOP);
  return 0;
}

@inline
function xdpContext(batch: u32, context: u32, packet: u32, length: u32, index: u32): void {
  store<u32>(context, packet, MD_DATA);
  store<u32>(context, packet + length, MD_DATA_END);
  store<u32>(context, packet, MD_DATA_META);
  store<u32>(context - PACKET_BYTES, 0, PACKET_FRAG_BYTES);
  const interfaces = load<u32>(batch, BATCH_INTERFACES);
  if (interfaces) store<u32>(context, load<u32>(interfaces + index * 4), MD_INGRESS);
  const queues = load<u32>(batch, BATCH_QUEUES);
  if (queues) store<u32>(context, load<u32>(queues + index * 4), MD_QUEUE);
}

/** An IP packet shorter than its header, which no test run takes, or a frame with a length in place of its type. */
@inline
function oddHeader(from: u32, length: u32): bool {
  const type = <u32>load<u16>(from, 12);
  const rest = length - ETH_HLEN;
  if ((type & 0xff) < ETH_P_MIN_HIGH) return true;
  return (type == ETH_P_IP && rest < IPV4_BYTES) || (type == ETH_P_IPV6 && rest < IPV6_BYTES);
}

function skbContext(batch: u32, context: u32, packet: u32, length: u32, index: u32): void {
  const skip: u32 = load<u32>(batch, BATCH_KIND) == BATCH_SKB_NETWORK ? ETH_HLEN : 0;
  const data = packet + skip;
  store<u32>(context, length - skip, SKB_LEN);
  store<u32>(context, data, SKB_DATA);
  store<u32>(context, data, SKB_DATA_META);
  store<u32>(context, packet + length, SKB_DATA_END);
  const state = context - PACKET_BYTES;
  store<u32>(state, 0, PACKET_FRAG_BYTES);
  store<u32>(state, packet, PACKET_MAC);
  store<u32>(state, packet + ETH_HLEN, PACKET_NETWORK);
  const type = <u32>load<u16>(packet, 12);
  store<u32>(context, type, SKB_PROTOCOL);
  // eth_type_trans for `lo`, whose address is all zero: for us only what is sent there.
  const zero = load<u32>(packet) == 0 && load<u16>(packet, 4) == 0;
  const others = load<u8>(packet) & 1 ? PACKET_MULTICAST : PACKET_OTHERHOST;
  store<u32>(context, zero ? 0 : others, SKB_PKT_TYPE);
  if (load<u32>(context, SKB_WIRE_LEN) == BATCH_OWN_LENGTH) store<u32>(context, length - skip, SKB_WIRE_LEN);
  const interfaces = load<u32>(batch, BATCH_INTERFACES);
  if (interfaces) store<u32>(context, load<u32>(interfaces + index * 4), SKB_IFINDEX);
  if (type == ETH_P_IP) {
    const local = load<u32>(packet, 26);
    const remote = load<u32>(packet, 30);
    store<u32>(context, AF_INET, SKB_FAMILY);
    store<u32>(context, local, SKB_LOCAL_IP4);
    store<u32>(context, remote, SKB_REMOTE_IP4);
    store<u32>(context, AF_INET, SOCK_FAMILY);
    store<u32>(context, local, SOCK_SRC_IP4);
    store<u32>(context, remote, SOCK_DST_IP4);
  } else if (type == ETH_P_IPV6) {
    store<u32>(context, AF_INET6, SKB_FAMILY);
    copyAddress(context + <u32>SKB_LOCAL_IP6, packet + 22);
    copyAddress(context + <u32>SKB_REMOTE_IP6, packet + 38);
    store<u32>(context, AF_INET6, SOCK_FAMILY);
    copyAddress(context + <u32>SOCK_SRC_IP6, packet + 22);
    copyAddress(context + <u32>SOCK_DST_IP6, packet + 38);
  }
}

@inline
function copyAddress(to: u32, from: u32): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
}

/** Result and, when asked for, the bytes of the packet that ran: as the hook's results give them. */
@inline
function finish(batch: u32, r0: u32): void {
  const result = load<u32>(batch, BATCH_RESULTS) + (load<u32>(batch, BATCH_NEXT) - 1) * BATCH_RESULT_BYTES;
  const context = load<u32>(batch, BATCH_CONTEXT);
  const kind = load<u32>(batch, BATCH_KIND);
  const from = kind == BATCH_XDP ? load<u32>(context, MD_DATA_META) : load<u32>(context, SKB_DATA);
  const end = kind == BATCH_XDP ? load<u32>(context, MD_DATA_END) : load<u32>(context, SKB_DATA_END);
  const skip: u32 = kind == BATCH_SKB_NETWORK ? ETH_HLEN : 0;
  const length = end - from + skip;
  store<u32>(result, r0);
  store<u32>(result, length, 4);
  const output = load<u32>(batch, BATCH_OUTPUT);
  if (!output || load<u32>(batch, BATCH_HOST_BYTES)) return;
  const used = load<u32>(batch, BATCH_OUTPUT_USED);
  if (length > load<u32>(batch, BATCH_OUTPUT_SIZE) - used) {
    // Grown past all room there is: the host reads it where it is.
    store<u32>(batch, 1, BATCH_HOST_BYTES);
    store<u32>(batch, 1, BATCH_ASKED);
    return;
  }
  store<u32>(result, used, 8);
  // The Ethernet header of a packet that the program sees from the network header on comes back as zeros.
  for (let at: u32 = 0; at < skip; at++) store<u8>(output + used + at, 0);
  memory.copy(output + used + skip, from, length - skip);
  store<u32>(batch, used + length, BATCH_OUTPUT_USED);
}

function recordsIn(rings: u32): bool {
  if (!rings) return false;
  const count = load<u32>(rings);
  for (let i: u32 = 1; i <= count; i++) {
    if (ringbufQuery(load<u32>(rings + i * 4), 0)) return true;
  }
  return false;
}
