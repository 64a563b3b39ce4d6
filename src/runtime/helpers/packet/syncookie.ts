import type { HelperCall, HelperImpl } from "../../helper-call.ts";
import { EACCES, EINVAL, ENOENT, EPROTONOSUPPORT } from "../errno.ts";
import { IPV4_BYTES, IPV6_BYTES } from "./sk-buff.ts";
import { socketAt } from "./sockets.ts";

const TCP_BYTES = 20;
const TCP_LISTEN = 10;
const TCP_MSS_DEFAULT = 536;
/** IPV6_MIN_MTU without the two headers. */
const TCP_MSS_IPV6 = 1280 - 20 - 40;
/** TCP flags at byte 13. */
const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;
/** Maximum segment sizes that two bits of a cookie can name: net/ipv4/syncookies.c, net/ipv6/syncookies.c. */
const MSS_IPV4 = [536, 1300, 1440, 1460];
const MSS_IPV6 = [1220, 1420, 1440, 8940];
/** Minutes for which a cookie holds. */
const COOKIE_AGE = 2;
const MINUTE_NS = 60_000_000_000n;

/**
 * SYN cookies. Linux makes them with a secret drawn at boot, so no two kernels agree on the numbers; here the secret
 * is fixed. What holds in both: the same SYN gives the same cookie within a minute, and the ACK that returns it within
 * two minutes is recognised. @see net/ipv4/syncookies.c
 */
export const SYNCOOKIE_HELPERS = {
  tcp_raw_gen_syncookie_ipv4: (call) => generateRaw(call, 4),
  tcp_raw_gen_syncookie_ipv6: (call) => generateRaw(call, 6),
  tcp_raw_check_syncookie_ipv4: (call) => (check(call, call.u32(1), call.u32(2), 4) ? 0 : -EACCES),
  tcp_raw_check_syncookie_ipv6: (call) => (check(call, call.u32(1), call.u32(2), 6) ? 0 : -EACCES),

  tcp_gen_syncookie(call) {
    const tcp = call.u32(4);
    const tcpBytes = call.u32(5);
    const { u8 } = call.memory;
    if (tcpBytes < TCP_BYTES || tcpBytes !== (u8[tcp + 12] >> 4) * 4) return -EINVAL;
    if (!listens(call)) return -EINVAL;
    if ((u8[tcp + 13] & (SYN | ACK | FIN | RST)) !== SYN) return -EINVAL;
    const version = ipVersion(call);
    return version < 0 ? version : generate(call, call.u32(2), tcp, tcpBytes, version);
  },

  tcp_check_syncookie(call) {
    const tcp = call.u32(4);
    if (call.u32(5) < TCP_BYTES || !listens(call)) return -EINVAL;
    if ((call.memory.u8[tcp + 13] & (ACK | RST | SYN)) !== ACK) return -ENOENT;
    const version = ipVersion(call);
    if (version < 0) return version;
    return check(call, call.u32(2), tcp, version) ? 0 : -ENOENT;
  },
} as const satisfies Record<string, HelperImpl>;

function listens(call: HelperCall): boolean {
  const socket = socketAt(call, call.u32(1));
  return socket !== undefined && socket.state === TCP_LISTEN && socket.protocol === "tcp";
}

/** 4 or 6 for the IP header in arguments 2 and 3, or an errno. */
function ipVersion(call: HelperCall): number {
  const size = call.u32(3);
  if (size < IPV4_BYTES) return -EINVAL;
  const version = call.memory.u8[call.u32(2)] >> 4;
  if (version === 4) return 4;
  if (version !== 6) return -EPROTONOSUPPORT;
  const socket = socketAt(call, call.u32(1));
  return size < IPV6_BYTES || socket?.family !== "inet6" ? -EINVAL : 6;
}

function generateRaw(call: HelperCall, version: number): number | bigint {
  const tcp = call.u32(2);
  const size = call.u32(3);
  if (size < TCP_BYTES || size !== (call.memory.u8[tcp + 12] >> 4) * 4) return -EINVAL;
  return generate(call, call.u32(1), tcp, size, version);
}

/** Cookie in the low, MSS in the high 32 bits. */
function generate(call: HelperCall, ip: number, tcp: number, tcpBytes: number, version: number): bigint {
  const table = version === 4 ? MSS_IPV4 : MSS_IPV6;
  const offered = mssOption(call, tcp, tcpBytes) || (version === 4 ? TCP_MSS_DEFAULT : TCP_MSS_IPV6);
  let index = table.length - 1;
  while (index > 0 && offered < table[index]) index--;
  const sequence = call.memory.view.getUint32(tcp + 4, false);
  const minute = Number((call.host.nowNs() / MINUTE_NS) & 0xffffn);
  const base = flow(call, ip, tcp, version, 0, 0) + sequence + minute * 2 ** 24;
  const data = (flow(call, ip, tcp, version, minute, 1) + index) & 0xff_ffff;
  const cookie = (base + data) % 0x1_0000_0000;
  return BigInt(cookie) | (BigInt(table[index]) << 32n);
}

function check(call: HelperCall, ip: number, tcp: number, version: number): boolean {
  const { view } = call.memory;
  const cookie = (view.getUint32(tcp + 8, false) - 1) >>> 0;
  const sequence = (view.getUint32(tcp + 4, false) - 1) >>> 0;
  const rest = (cookie - flow(call, ip, tcp, version, 0, 0) - sequence) >>> 0;
  const now = Number((call.host.nowNs() / MINUTE_NS) & 0xffffn);
  const age = (now - (rest >>> 24)) & 0xff;
  if (age >= COOKIE_AGE) return false;
  const index = (rest - flow(call, ip, tcp, version, now - age, 1)) & 0xff_ffff;
  return index < (version === 4 ? MSS_IPV4 : MSS_IPV6).length;
}

/** FNV-1a of addresses and ports, keyed by `minute` and `which`: u32. */
function flow(
  call: HelperCall,
  ip: number,
  tcp: number,
  version: number,
  minute: number,
  which: number,
): number {
  const { u8 } = call.memory;
  let hash = Math.imul(0x811c_9dc5 ^ which, 0x0100_0193) ^ minute;
  const mix = (from: number, size: number): void => {
    for (let at = from; at < from + size; at++) hash = Math.imul(hash ^ u8[at], 0x0100_0193);
  };
  mix(version === 4 ? ip + 12 : ip + 8, version === 4 ? 8 : 32);
  mix(tcp, 4);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The MSS option of a SYN; 0 without one. */
function mssOption(call: HelperCall, tcp: number, tcpBytes: number): number {
  const { u8, view } = call.memory;
  const end = tcp + tcpBytes;
  for (let at = tcp + TCP_BYTES; at < end; ) {
    const kind = u8[at];
    if (kind === 0) return 0;
    if (kind === 1) {
      at++;
      continue;
    }
    const size = at + 1 < end ? u8[at + 1] : 0;
    if (size < 2 || at + size > end) return 0;
    if (kind === 2 && size === 4) return view.getUint16(at + 2, false);
    at += size;
  }
  return 0;
}
