import { RegType } from "../register-types.ts";

/** A field that may be read in whole or in aligned parts: `[first, end, size of a field]`. */
type NarrowRange = readonly [first: number, end: number, size: number];

/** `struct bpf_sock`: fields that allow narrow loads. */
const SOCK_NARROW: readonly NarrowRange[] = [
  [24, 28, 4], // src_ip4
  [28, 44, 4], // src_ip6
  [52, 56, 4], // dst_ip4
  [56, 72, 4], // dst_ip6
];
/** … whose first byte only starts one. */
const SOCK_NARROW_STARTS: readonly number[] = [4, 8, 12, 44, 72, 76]; // family type protocol src_port state rx_queue_mapping
const SOCK_SIZE = 80;
const DST_PORT = 48;
const DST_IP4 = 52;
const TCP_SOCK_SIZE = 112;
const TCP_WIDE: readonly number[] = [80, 88]; // bytes_received, bytes_acked

/** A load of `size` bytes at `off` of a `struct bpf_sock` is allowed. @see net/core/filter.c `bpf_sock_is_valid_access` @ v6.18 */
export function maySockRead(off: number, size: number): boolean {
  if (off < 0 || off >= SOCK_SIZE || off % size !== 0) return false;
  if (SOCK_NARROW_STARTS.includes(off) || SOCK_NARROW.some(([first, end]) => off >= first && off < end))
    return size <= 4;
  // The two bytes of dst_port, or the whole word that old programs loaded; never the padding alone.
  if (off >= DST_PORT && off < DST_PORT + 2) return size <= 2 || size === 4;
  if (off > DST_PORT && off < DST_IP4) return false;
  return size === 4;
}

/** A load of `size` bytes at `off` through a socket pointer of this type is allowed. `check_sock_access` @ v6.18 */
export function maySocketRead(type: number, off: number, size: number): boolean {
  switch (type) {
    case RegType.PTR_TO_SOCKET:
      return maySockRead(off, size);
    case RegType.PTR_TO_SOCK_COMMON:
      return (off < 8 || off >= 24) && maySockRead(off, size); // not type … priority
    case RegType.PTR_TO_TCP_SOCK:
      if (off < 0 || off >= TCP_SOCK_SIZE || off % size !== 0) return false;
      return size === (TCP_WIDE.includes(off) ? 8 : 4);
    case RegType.PTR_TO_XDP_SOCK:
      return off === 0 && size === 4;
    default:
      return false;
  }
}
