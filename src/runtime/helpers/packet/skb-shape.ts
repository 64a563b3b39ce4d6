import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import type { PacketBuffer, SkbState } from "../../packet-buffer.ts";
import { EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP, EOPNOTSUPP } from "../errno.ts";
import { resetChecksum } from "./csum.ts";
import {
  clearHash,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_IP,
  ETH_P_IPV6,
  IPV4_BYTES,
  IPV6_BYTES,
  isGso,
  isVlan,
  protocolAt,
  pull,
  pushHead,
  SK_BUFF,
  SKB_MAX_LEN,
  setSkbField,
  setSkbProtocol,
  skbField,
  skbOf,
  skbProtocol,
} from "./sk-buff.ts";

const ETH_HLEN = 14;
const VLAN_HLEN = 4;
const ADDRESSES = 12;
const PACKET_OTHERHOST = 3;

/** BPF_F_ADJ_ROOM_*. */
const FIXED_GSO = 1;
const ENCAP_L3_IPV4 = 2;
const ENCAP_L3_IPV6 = 4;
const ENCAP_L4_GRE = 8;
const ENCAP_L4_UDP = 16;
const NO_CSUM_RESET = 32;
const ENCAP_L2_ETH = 64;
const DECAP_L3_IPV4 = 128;
const DECAP_L3_IPV6 = 256;
const ENCAP_L3 = ENCAP_L3_IPV4 | ENCAP_L3_IPV6;
const DECAP_L3 = DECAP_L3_IPV4 | DECAP_L3_IPV6;
const LOW_FLAGS = 0x1ff;
/** Bits 56–63: length of the inner L2 header. */
const ENCAP_L2_SHIFT = 56n;
const ENCAP_L2_MASK = 0xffn << ENCAP_L2_SHIFT;
const MODE_NET = 0;
const MODE_MAC = 1;

/** `BPF_SKB_CLOCK_*`, the last one. */
const CLOCK_TAI = 2;

/** Helpers that change an skb's size, headers or type. @see net/core/filter.c `bpf_skb_vlan_push` and following */
export const SKB_SHAPE_HELPERS = {
  skb_vlan_push(call) {
    const { packet, skb } = skbOf(call);
    const given = swap16(call.u32(2));
    const etherType = isVlan(given) ? given : ETH_P_8021Q;
    const result = vlanPush(
      packet,
      skb,
      etherType === ETH_P_8021AD ? ETH_P_8021AD : ETH_P_8021Q,
      call.u32(3) & 0xffff,
    );
    packet.moved();
    return result;
  },

  skb_vlan_pop(call) {
    const { packet, skb } = skbOf(call);
    const result = vlanPop(packet, skb);
    packet.moved();
    return result;
  },

  skb_change_proto(call) {
    const { packet, skb } = skbOf(call);
    if (call.u64(3) !== 0n) {
      packet.generation++;
      return -EINVAL;
    }
    const result = changeProto(packet, skb, swap16(call.u32(2)));
    packet.moved();
    return result;
  },

  skb_change_type(call) {
    const { packet } = skbOf(call);
    const type = call.u32(2);
    if (type > PACKET_OTHERHOST || skbField(packet, SK_BUFF.pktType) > PACKET_OTHERHOST) return -EINVAL;
    setSkbField(packet, SK_BUFF.pktType, type);
    return 0;
  },

  skb_change_tail(call) {
    const { packet, skb } = skbOf(call);
    const result = changeTail(packet, skb, call.u32(2), call.u64(3));
    packet.moved();
    return result;
  },

  skb_change_head(call) {
    const { packet, skb } = skbOf(call);
    const result = changeHead(packet, skb, call.u32(2), call.u64(3));
    packet.moved();
    return result;
  },

  /** For `sk_skb` programs: room at the very front. */
  skb_adjust_room(call) {
    const { packet, skb } = skbOf(call);
    const result =
      call.programType === "BPF_PROG_TYPE_SK_SKB" ? adjustFront(packet, call) : adjustRoom(packet, skb, call);
    packet.moved();
    return result;
  },

  skb_set_tstamp(call) {
    const { packet } = skbOf(call);
    const etherType = skbProtocol(packet);
    if (etherType !== ETH_P_IP && etherType !== ETH_P_IPV6) return -EOPNOTSUPP;
    const clock = call.u32(3);
    const time = call.u64(2);
    if (clock > CLOCK_TAI || (clock > 0 && time === 0n)) return -EINVAL;
    call.memory.view.setBigUint64(packet.contextAddress + SK_BUFF.tstamp, time, true);
    call.memory.u8[packet.contextAddress + SK_BUFF.tstampType] = clock;
    return 0;
  },
} as const satisfies Record<string, HelperImpl>;

function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** The tag goes into `__sk_buff`; one that was there goes into the packet. */
function vlanPush(packet: PacketBuffer, skb: SkbState, etherType: number, tci: number): number {
  if (skbField(packet, SK_BUFF.vlanPresent) !== 0) {
    if (!pushHead(packet, VLAN_HLEN)) return -ENOMEM;
    const { view, u8 } = packet.memory; // views of before the push may be stale
    u8.copyWithin(packet.data, packet.data + VLAN_HLEN, packet.data + VLAN_HLEN + ADDRESSES);
    const proto = view.getUint16(packet.contextAddress + SK_BUFF.vlanProto, false);
    view.setUint16(packet.data + ADDRESSES, proto, false);
    view.setUint16(packet.data + ADDRESSES + 2, skbField(packet, SK_BUFF.vlanTci), false);
    skb.macHeader -= VLAN_HLEN;
    skb.networkHeader -= VLAN_HLEN;
    setSkbProtocol(packet, proto);
  }
  setTag(packet, etherType, tci);
  return 0;
}

function vlanPop(packet: PacketBuffer, skb: SkbState): number {
  if (skbField(packet, SK_BUFF.vlanPresent) !== 0) {
    setSkbField(packet, SK_BUFF.vlanPresent, 0);
    setSkbField(packet, SK_BUFF.vlanTci, 0);
    setSkbField(packet, SK_BUFF.vlanProto, 0);
  } else {
    if (!isVlan(skbProtocol(packet))) return 0;
    if (popTag(packet, skb) === undefined) return -ENOMEM;
  }
  // The next tag in the packet moves into __sk_buff.
  const etherType = skbProtocol(packet);
  if (!isVlan(etherType)) return 0;
  const tci = popTag(packet, skb);
  if (tci === undefined) return -ENOMEM;
  setTag(packet, etherType, tci);
  return 0;
}

function setTag(packet: PacketBuffer, etherType: number, tci: number): void {
  setSkbField(packet, SK_BUFF.vlanPresent, 1);
  setSkbField(packet, SK_BUFF.vlanTci, tci);
  setSkbField(packet, SK_BUFF.vlanProto, swap16(etherType));
}

/** Takes the outermost tag out of the packet; its TCI, or undefined when the packet is too short. */
function popTag(packet: PacketBuffer, skb: SkbState): number | undefined {
  if (!pull(packet, ETH_HLEN + VLAN_HLEN)) return undefined;
  const { view, u8 } = packet.memory;
  const tci = view.getUint16(packet.data + ETH_HLEN, false);
  setSkbProtocol(packet, protocolAt(packet, packet.data + ETH_HLEN + 2));
  u8.copyWithin(packet.data + VLAN_HLEN, packet.data, packet.data + ADDRESSES);
  packet.data += VLAN_HLEN;
  skb.macHeader += VLAN_HLEN;
  if (skb.networkHeader - packet.data < ETH_HLEN) skb.networkHeader = packet.data + ETH_HLEN;
  return tci;
}

/** `size` zeroed bytes between the first `offset` bytes and the rest; headers before the gap move with it. */
function netPush(packet: PacketBuffer, skb: SkbState, offset: number, size: number): boolean {
  if (!pushHead(packet, size)) return false;
  const { u8 } = packet.memory;
  u8.copyWithin(packet.data, packet.data + size, packet.data + size + offset);
  u8.fill(0, packet.data + offset, packet.data + offset + size);
  moveHeaders(skb, -size);
  return true;
}

/** Takes `size` bytes out behind the first `offset`. */
function netPop(packet: PacketBuffer, skb: SkbState, offset: number, size: number): boolean {
  if (!pull(packet, offset + size)) return false;
  packet.memory.u8.copyWithin(packet.data + size, packet.data, packet.data + offset);
  packet.data += size;
  moveHeaders(skb, size);
  return true;
}

function moveHeaders(skb: SkbState, by: number): void {
  const same = skb.transportHeader === skb.networkHeader;
  skb.macHeader += by;
  skb.networkHeader += by;
  if (same) skb.transportHeader = skb.networkHeader;
}

function changeProto(packet: PacketBuffer, skb: SkbState, to: number): number {
  const from = skbProtocol(packet);
  const size = IPV6_BYTES - IPV4_BYTES;
  const offset = skb.networkHeader - skb.macHeader;
  if (from === ETH_P_IP && to === ETH_P_IPV6) {
    if (!netPush(packet, skb, offset, size)) return -ENOMEM;
  } else if (from === ETH_P_IPV6 && to === ETH_P_IP) {
    if (!netPop(packet, skb, offset, size)) return -ENOMEM;
  } else return -ENOTSUPP;
  setSkbProtocol(packet, to);
  clearHash(packet, skb);
  return 0;
}

function changeTail(packet: PacketBuffer, skb: SkbState, size: number, flags: bigint): number {
  let least = Math.max(0, skb.networkHeader - packet.data);
  if (skb.transportHeader !== 0 && skb.transportHeader > packet.data)
    least = skb.transportHeader - packet.data;
  if (flags !== 0n || size > SKB_MAX_LEN || size < least) return -EINVAL;
  if (skb.encapsulation) return -ENOTSUPP;
  if (!pull(packet, packet.length)) return -ENOMEM;
  if (!packet.reserve(0, Math.max(0, size - packet.linear))) return -ENOMEM;
  const dataEnd = packet.data + size;
  if (dataEnd > packet.dataEnd) packet.memory.u8.fill(0, packet.dataEnd, dataEnd);
  packet.dataEnd = dataEnd;
  if (isGso(packet)) {
    setSkbField(packet, SK_BUFF.gsoSize, 0);
    setSkbField(packet, SK_BUFF.gsoSegs, 0);
  }
  return 0;
}

function changeHead(packet: PacketBuffer, skb: SkbState, room: number, flags: bigint): number {
  const size = (packet.length + room) >>> 0;
  if (flags !== 0n || (!isGso(packet) && size > SKB_MAX_LEN) || size < packet.length) return -EINVAL;
  if (!pushHead(packet, room)) return -ENOMEM;
  skb.macHeader = packet.data;
  return 0;
}

function adjustFront(packet: PacketBuffer, call: HelperCall): number {
  const difference = call.s32(2);
  if (call.u64(4) !== 0n || call.u32(3) !== 0) return -EINVAL;
  if (Math.abs(difference) > 0xfff) return -EFAULT;
  if (difference >= 0) return pushHead(packet, difference) ? 0 : -ENOMEM;
  if (!pull(packet, -difference)) return -ENOMEM;
  packet.data -= difference;
  return 0;
}

function baseLength(etherType: number): number {
  return etherType === ETH_P_IP ? IPV4_BYTES : IPV6_BYTES;
}

function adjustRoom(packet: PacketBuffer, skb: SkbState, call: HelperCall): number {
  const difference = call.s32(2);
  const size = Math.abs(difference);
  const shrink = difference < 0;
  const mode = call.u32(3);
  const wide = call.u64(4);
  if ((wide & ~(BigInt(LOW_FLAGS) | ENCAP_L2_MASK)) !== 0n) return -EINVAL;
  const flags = Number(wide & BigInt(LOW_FLAGS));
  const innerMac = Number(wide >> ENCAP_L2_SHIFT);
  if (size > 0xfff) return -EFAULT;
  const etherType = skbProtocol(packet);
  if (etherType !== ETH_P_IP && etherType !== ETH_P_IPV6) return -ENOTSUPP;
  let offset = skb.networkHeader - skb.macHeader;
  if (mode === MODE_NET) offset += baseLength(etherType);
  else if (mode !== MODE_MAC) return -ENOTSUPP;
  let least = baseLength(etherType);
  if ((flags & DECAP_L3) !== 0) {
    if (!shrink || (flags & DECAP_L3) === DECAP_L3) return -EINVAL;
    least = (flags & DECAP_L3_IPV4) !== 0 ? IPV4_BYTES : IPV6_BYTES;
  }
  const network = packet.length - (skb.networkHeader - packet.data);
  if (shrink && (size >= network || network - size < least)) return -ENOTSUPP;
  if (!shrink && packet.length + size > SKB_MAX_LEN && !isGso(packet)) return -ENOTSUPP;
  const result = shrink
    ? shrinkRoom(packet, skb, offset, size, flags, innerMac)
    : growRoom(packet, skb, offset, size, flags, innerMac);
  if (result === 0 && (flags & NO_CSUM_RESET) === 0) resetChecksum(skb);
  return result;
}

function growRoom(
  packet: PacketBuffer,
  skb: SkbState,
  offset: number,
  size: number,
  flags: number,
  innerMac: number,
): number {
  // A run's GSO packets have no type, so they are not known to be TCP.
  if (isGso(packet)) return -ENOTSUPP;
  const etherType = skbProtocol(packet);
  const encap = (flags & ENCAP_L3) !== 0;
  if (encap) {
    if ((flags & ENCAP_L3) === ENCAP_L3) return -EINVAL;
    if ((flags & ENCAP_L4_GRE) !== 0 && (flags & ENCAP_L4_UDP) !== 0) return -EINVAL;
    if ((flags & ENCAP_L2_ETH) !== 0 && innerMac < ETH_HLEN) return -EINVAL;
    if (skb.encapsulation) return -EALREADY;
    if (innerMac > size) return -EINVAL;
  }
  const macLength = skb.networkHeader - skb.macHeader;
  if (!netPush(packet, skb, offset, size)) return -ENOMEM;
  if (!encap) return 0;
  skb.encapsulation = true;
  skb.networkHeader = packet.data + macLength;
  if ((flags & (ENCAP_L4_GRE | ENCAP_L4_UDP)) !== 0) {
    skb.transportHeader = packet.data + macLength + ((flags & ENCAP_L3_IPV6) !== 0 ? IPV6_BYTES : IPV4_BYTES);
  }
  if (etherType === ETH_P_IP && (flags & ENCAP_L3_IPV6) !== 0) setSkbProtocol(packet, ETH_P_IPV6);
  else if (etherType === ETH_P_IPV6 && (flags & ENCAP_L3_IPV4) !== 0) setSkbProtocol(packet, ETH_P_IP);
  return 0;
}

function shrinkRoom(
  packet: PacketBuffer,
  skb: SkbState,
  offset: number,
  size: number,
  flags: number,
  innerMac: number,
): number {
  if ((flags & ~(FIXED_GSO | DECAP_L3 | NO_CSUM_RESET)) !== 0 || innerMac !== 0) return -EINVAL;
  if (isGso(packet)) return -ENOTSUPP;
  if (!netPop(packet, skb, offset, size)) return -ENOMEM;
  const etherType = skbProtocol(packet);
  if (etherType === ETH_P_IP && (flags & DECAP_L3_IPV6) !== 0) setSkbProtocol(packet, ETH_P_IPV6);
  else if (etherType === ETH_P_IPV6 && (flags & DECAP_L3_IPV4) !== 0) setSkbProtocol(packet, ETH_P_IP);
  return 0;
}
