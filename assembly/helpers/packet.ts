// Helpers that move and read packets, by the context that the program passes (src/runtime/layout.ts says where the
// packet stands). net/core/filter.c @ v6.12. Bytes behind the linear part are the host's: ASK_HOST then.
import {
  ASK_HOST,
  ETH_HLEN,
  PACKET_BYTES,
  PACKET_FRAG_BYTES,
  PACKET_GENERATION,
  PACKET_LIMIT,
  PACKET_MAC,
  PACKET_NETWORK,
  PACKET_START,
  SKB_DATA,
  SKB_DATA_END,
  XDP_DATA,
  XDP_DATA_END,
  XDP_DATA_META,
  XDP_FRAME_BYTES,
} from "../../src/runtime/layout";
import { EACCES, EFAULT, EINVAL } from "../../src/runtime/maps/constants";
import { copyBytes } from "../maps/header";
import { chargeBytes } from "../work";

/** Longest metadata: `skb_shared_info.meta_len` is one byte. */
const META_MAX: u32 = 255;
const INT_MAX: u32 = 0x7fffffff;
/** BPF_F_RECOMPUTE_CSUM (for CHECKSUM_COMPLETE packets, which a run never has) and BPF_F_INVALIDATE_HASH. */
const RECOMPUTE_CSUM: u64 = 1;
const INVALIDATE_HASH: u64 = 2;
const HDR_START_MAC: u32 = 0;
const HDR_START_NET: u32 = 1;

@inline
function fragBytes(context: u32): u32 {
  return load<u32>(context - PACKET_BYTES, PACKET_FRAG_BYTES);
}

/** Older packet pointers of the program become unusable. */
@inline
export function endPointers(context: u32): void {
  const packet = context - PACKET_BYTES;
  store<u32>(packet, load<u32>(packet, PACKET_GENERATION) + 1, PACKET_GENERATION);
}

/** 0 or -EINVAL. */
export function xdpAdjustHead(context: u32, delta: i32): i32 {
  endPointers(context);
  const old = load<u32>(context, XDP_DATA);
  const meta = load<u32>(context, XDP_DATA_META);
  const metaBytes = old - meta;
  const data = <i64>old + delta;
  const first = load<u32>(context - PACKET_BYTES, PACKET_START) + XDP_FRAME_BYTES + metaBytes;
  if (data < <i64>first || data > <i64>load<u32>(context, XDP_DATA_END) - ETH_HLEN) return -EINVAL;
  chargeBytes(metaBytes);
  if (metaBytes) memory.copy(<u32>data - metaBytes, meta, metaBytes);
  store<u32>(context, <u32>data - metaBytes, XDP_DATA_META);
  store<u32>(context, <u32>data, XDP_DATA);
  return 0;
}

/** 0, -EINVAL, -EACCES. */
export function xdpAdjustMeta(context: u32, delta: i32): i32 {
  endPointers(context);
  const data = load<u32>(context, XDP_DATA);
  const meta = <i64>load<u32>(context, XDP_DATA_META) + delta;
  if (meta < <i64>(load<u32>(context - PACKET_BYTES, PACKET_START) + XDP_FRAME_BYTES) || meta > <i64>data) return -EINVAL;
  const size = data - <u32>meta;
  if (size & 3 || size > META_MAX) return -EACCES;
  store<u32>(context, <u32>meta, XDP_DATA_META);
  return 0;
}

/** 0, -EINVAL, ASK_HOST. */
export function xdpAdjustTail(context: u32, delta: i32): i32 {
  if (fragBytes(context)) return ASK_HOST;
  endPointers(context);
  const old = load<u32>(context, XDP_DATA_END);
  const end = <i64>old + delta;
  if (end > <i64>load<u32>(context - PACKET_BYTES, PACKET_LIMIT)) return -EINVAL;
  if (end < <i64>load<u32>(context, XDP_DATA) + ETH_HLEN) return -EINVAL;
  if (delta > 0) {
    chargeBytes(delta);
    memory.fill(old, 0, delta);
  }
  store<u32>(context, <u32>end, XDP_DATA_END);
  return 0;
}

export function xdpGetBuffLen(context: u32): u32 {
  return load<u32>(context, XDP_DATA_END) - load<u32>(context, XDP_DATA) + fragBytes(context);
}

/** 0 when `size` bytes at `offset` are in the linear part, ASK_HOST when they end in a fragment, -EFAULT, -EINVAL. */
@inline
function locateXdp(context: u32, offset: u32, size: u32): i32 {
  if (offset > 0xffff || size > 0xffff) return -EFAULT;
  const linear = load<u32>(context, XDP_DATA_END) - load<u32>(context, XDP_DATA);
  if (offset + size > linear + fragBytes(context)) return -EINVAL;
  return offset + size > linear ? ASK_HOST : 0;
}

/** 0, -EFAULT, -EINVAL, ASK_HOST. */
export function xdpLoadBytes(context: u32, offset: u32, to: u32, size: u32): i32 {
  const where = locateXdp(context, offset, size);
  if (where == 0) copyBytes(to, load<u32>(context, XDP_DATA) + offset, size);
  return where;
}

/** 0, -EFAULT, -EINVAL, ASK_HOST. */
export function xdpStoreBytes(context: u32, offset: u32, from: u32, size: u32): i32 {
  const where = locateXdp(context, offset, size);
  if (where == 0) copyBytes(load<u32>(context, XDP_DATA) + offset, from, size);
  return where;
}

/** 0; -EFAULT and zeroes; ASK_HOST. */
export function skbLoadBytes(context: u32, offset: u32, to: u32, size: u32): i32 {
  const data = load<u32>(context, SKB_DATA);
  const linear = load<u32>(context, SKB_DATA_END) - data;
  const end = <u64>offset + size;
  if (offset <= INT_MAX && end <= linear) {
    copyBytes(to, data + offset, size);
    return 0;
  }
  if (offset <= INT_MAX && end <= <u64>linear + fragBytes(context)) return ASK_HOST;
  chargeBytes(size);
  memory.fill(to, 0, size);
  return -EFAULT;
}

/** From the MAC (`start` 0) or network header (1) on; what is not linear cannot be reached. 0; -EFAULT and zeroes. */
export function skbLoadBytesRelative(context: u32, offset: u32, to: u32, size: u32, start: u32): i32 {
  if (offset <= 0xffff && (start == HDR_START_MAC || start == HDR_START_NET)) {
    const packet = context - PACKET_BYTES;
    const from = (start == HDR_START_MAC ? load<u32>(packet, PACKET_MAC) : load<u32>(packet, PACKET_NETWORK)) + offset;
    if (<u64>from + size <= <u64>load<u32>(context, SKB_DATA_END)) {
      copyBytes(to, from, size);
      return 0;
    }
  }
  chargeBytes(size);
  memory.fill(to, 0, size);
  return -EFAULT;
}

/** 0, -EINVAL, -EFAULT; ASK_HOST to make more linear or to forget the hash. */
export function skbStoreBytes(context: u32, offset: u32, from: u32, size: u32, flags: u64): i32 {
  endPointers(context);
  if (flags & ~(RECOMPUTE_CSUM | INVALIDATE_HASH)) return -EINVAL;
  if (offset > INT_MAX) return -EFAULT;
  const data = load<u32>(context, SKB_DATA);
  const linear = load<u32>(context, SKB_DATA_END) - data;
  const end = <u64>offset + size;
  if (end > <u64>linear + fragBytes(context)) return -EFAULT;
  if (end > linear || flags & INVALIDATE_HASH) return ASK_HOST;
  copyBytes(data + offset, from, size);
  return 0;
}

/** 0 when the bytes are linear as they are, else ASK_HOST. */
export function skbPullData(context: u32, size: u32): i32 {
  endPointers(context);
  return size > load<u32>(context, SKB_DATA_END) - load<u32>(context, SKB_DATA) ? ASK_HOST : 0;
}
