import { LINK_TYPES, type LinkTypeName, linkTypeName } from "./packet.ts";

const ETH_HEADER = 14;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const SLL_HEADER = 16;
const SLL2_HEADER = 20;
/** Address families of IPv6 in the 4-byte loopback header: Linux, the BSDs, FreeBSD, Darwin. */
const LOOPBACK_IPV6 = new Set([10, 24, 28, 30]);
const LOOPBACK_IPV4 = 2;

/** Turns a frame of one link type into an Ethernet frame; undefined when it is too short or carries no IP. */
type ToEthernet = (data: Uint8Array) => Uint8Array | undefined;

function frame(etherType: number, payload: Uint8Array, source?: Uint8Array): Uint8Array {
  const out = new Uint8Array(ETH_HEADER + payload.length);
  if (source !== undefined) out.set(source, 6);
  out[12] = etherType >> 8;
  out[13] = etherType & 0xff;
  out.set(payload, ETH_HEADER);
  return out;
}

function rawIp(data: Uint8Array): Uint8Array | undefined {
  const version = data.length > 0 ? data[0] >> 4 : 0;
  if (version === 4) return frame(ETH_P_IP, data);
  if (version === 6) return frame(ETH_P_IPV6, data);
  return undefined;
}

function loopback(data: Uint8Array, littleEndian: boolean): Uint8Array | undefined {
  if (data.length < 4) return undefined;
  const family = new DataView(data.buffer, data.byteOffset, 4).getUint32(0, littleEndian);
  if (family === LOOPBACK_IPV4) return frame(ETH_P_IP, data.subarray(4));
  return LOOPBACK_IPV6.has(family) ? frame(ETH_P_IPV6, data.subarray(4)) : undefined;
}

const TO_ETHERNET: Record<LinkTypeName, ToEthernet> = {
  ETHERNET: (data) => data,
  RAW: rawIp,
  RAW_BSD: rawIp,
  RAW_OPENBSD: rawIp,
  IPV4: (data) => frame(ETH_P_IP, data),
  IPV6: (data) => frame(ETH_P_IPV6, data),
  // The family is in the byte order of the capturing machine; a value above 0xffff means it was the other one.
  NULL: (data) => loopback(data, data.length >= 4 && data[2] === 0 && data[3] === 0),
  LOOP: (data) => loopback(data, false),
  // Linux cooked v1: packet type u16, ARPHRD u16, address length u16, address 8 bytes, protocol u16; big-endian.
  LINUX_SLL: (data) =>
    data.length < SLL_HEADER
      ? undefined
      : frame((data[14] << 8) | data[15], data.subarray(SLL_HEADER), data.subarray(6, 12)),
  // Linux cooked v2: protocol u16, reserved u16, ifindex u32, ARPHRD u16, packet type u8, address length u8, address.
  LINUX_SLL2: (data) =>
    data.length < SLL2_HEADER
      ? undefined
      : frame((data[0] << 8) | data[1], data.subarray(SLL2_HEADER), data.subarray(12, 18)),
};

/**
 * The packet as an Ethernet frame, which is what XDP and tc programs see. Ethernet is returned as it is; raw IP and
 * loopback get a header with zero addresses, Linux cooked captures keep the source address.
 * Undefined for link types without a mapping and for frames too short for their own header.
 */
export function toEthernet(data: Uint8Array, linkType: number): Uint8Array | undefined {
  if (linkType === LINK_TYPES.ETHERNET) return data;
  const name = linkTypeName(linkType);
  return name === undefined ? undefined : TO_ETHERNET[name](data);
}
