import type { HelperCall } from "../../helper-call.ts";
import type { PacketBuffer, SkbState } from "../../packet-buffer.ts";

/** Byte offsets in `struct __sk_buff`, include/uapi/linux/bpf.h. */
export const SK_BUFF = {
  len: 0,
  pktType: 4,
  mark: 8,
  queueMapping: 12,
  protocol: 16,
  vlanPresent: 20,
  vlanTci: 24,
  vlanProto: 28,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  tcIndex: 44,
  cb: 48,
  hash: 68,
  tcClassid: 72,
  data: 76,
  dataEnd: 80,
  napiId: 84,
  family: 88,
  remoteIp4: 92,
  localIp4: 96,
  remoteIp6: 100,
  localIp6: 116,
  remotePort: 132,
  localPort: 136,
  dataMeta: 140,
  flowKeys: 144,
  tstamp: 152,
  wireLen: 160,
  gsoSegs: 164,
  sk: 168,
  gsoSize: 176,
  tstampType: 180,
  hwtstamp: 184,
} as const;
/** `sizeof(struct __sk_buff)`. */
export const SK_BUFF_BYTES = 192;

/** EtherTypes, as numbers (not byte-swapped). */
export const ETH_P_IP = 0x0800;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;
const ETH_P_802_3 = 0x0001;
const ETH_P_802_2 = 0x0004;
const ETH_P_802_3_MIN = 0x0600;

export const IPV4_BYTES = 20;
export const IPV6_BYTES = 40;

/** Linux: SKB_MAX_ALLOC on 4 KiB pages, the longest packet that helpers make. */
export const SKB_MAX_LEN = (4096 << 2) - 320;

/** The state behind `__sk_buff`. @throws BpfError when the context is no packet of the stack. */
export function skbOf(call: HelperCall): { packet: PacketBuffer; skb: SkbState } {
  const packet = call.packet;
  if (packet.skb === undefined) {
    return call.fail("runtime/no-packet", "this helper needs a context of type __sk_buff");
  }
  return { packet, skb: packet.skb };
}

/** A u32 field of the packet's `__sk_buff`. */
export function skbField(packet: PacketBuffer, offset: number): number {
  return packet.memory.view.getUint32(packet.contextAddress + offset, true);
}

export function setSkbField(packet: PacketBuffer, offset: number, value: number): void {
  packet.memory.view.setUint32(packet.contextAddress + offset, value, true);
}

/** EtherType of `skb->protocol` (kept in network byte order in the context). */
export function skbProtocol(packet: PacketBuffer): number {
  return packet.memory.view.getUint16(packet.contextAddress + SK_BUFF.protocol, false);
}

export function setSkbProtocol(packet: PacketBuffer, etherType: number): void {
  packet.memory.view.setUint16(packet.contextAddress + SK_BUFF.protocol, etherType, false);
}

export function isGso(packet: PacketBuffer): boolean {
  return skbField(packet, SK_BUFF.gsoSize) !== 0;
}

export function clearHash(packet: PacketBuffer, skb: SkbState): void {
  skb.hashKnown = false;
  setSkbField(packet, SK_BUFF.hash, 0);
}

/**
 * `skb->protocol` for the EtherType or length field at `at` (address): Ethernet II types stand for themselves, lengths
 * mean raw 802.3 or 802.2. @see net/ethernet/eth.c `eth_type_trans`, include/linux/if_vlan.h `vlan_set_encap_proto`
 */
export function protocolAt(packet: PacketBuffer, at: number): number {
  const { view } = packet.memory;
  const type = view.getUint16(at, false);
  if (type >= ETH_P_802_3_MIN) return type;
  return at + 4 <= packet.dataEnd && view.getUint16(at + 2, false) === 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}

export function isVlan(etherType: number): boolean {
  return etherType === ETH_P_8021Q || etherType === ETH_P_8021AD;
}

/** Makes the first `size` bytes linear (`pskb_may_pull`); false when the packet or the buffer is too short. */
export function pull(packet: PacketBuffer, size: number): boolean {
  if (size <= packet.linear) return true;
  if (size > packet.length) return false;
  const missing = size - packet.linear;
  if (!packet.reserve(0, missing)) return false;
  packet.memory.u8.set(packet.frags.subarray(0, missing), packet.dataEnd);
  packet.frags = packet.frags.slice(missing);
  packet.dataEnd += missing;
  return true;
}

/** Moves the start of the data down by `size` zeroed bytes; false when there is no memory for them. */
export function pushHead(packet: PacketBuffer, size: number): boolean {
  if (!packet.reserve(size, 0)) return false;
  packet.data -= size;
  packet.memory.u8.fill(0, packet.data, packet.data + size);
  packet.dataMeta = packet.data;
  return true;
}
