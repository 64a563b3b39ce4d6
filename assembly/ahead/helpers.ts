// Helpers that a standalone module carries out itself. Each is `bpf_NAME` with the kernel's arguments as u64 (pointers are
// addresses) and the kernel's answer; src/aot/helpers.ts names them. One program runs at a time, on CPU 0, and was verified,
// so locks are free and arguments are what they should be.
import { MAP_NUM_CPUS } from "../../src/runtime/layout";
import { EFAULT, EINVAL } from "../../src/runtime/maps/constants";
import {
  mapDelete,
  mapLookup,
  mapLookupPercpu,
  mapPeek,
  mapPop,
  mapPush,
  mapUpdate,
  ringbufDiscard,
  ringbufOutput,
  ringbufQuery,
  ringbufReserve,
  ringbufSubmit,
} from "../maps/exports";
import { ETH_HLEN, moveHead, moveMeta, moveTail, packetAt, packetData, packetEnd, packetLength } from "./packet";

const EACCES: i64 = 13;
const CPU: u32 = 0;
const INT_MAX: u32 = 0x7fffffff;

export function bpf_map_lookup_elem(map: u64, key: u64): i64 {
  return mapLookup(<u32>map, <u32>key, CPU);
}

export function bpf_map_update_elem(map: u64, key: u64, value: u64, flags: u64): i64 {
  return mapUpdate(<u32>map, <u32>key, <u32>value, flags, CPU);
}

export function bpf_map_delete_elem(map: u64, key: u64): i64 {
  return mapDelete(<u32>map, <u32>key);
}

export function bpf_map_push_elem(map: u64, value: u64, flags: u64): i64 {
  return mapPush(<u32>map, <u32>value, flags);
}

export function bpf_map_pop_elem(map: u64, value: u64): i64 {
  return mapPop(<u32>map, <u32>value);
}

export function bpf_map_peek_elem(map: u64, value: u64): i64 {
  return mapPeek(<u32>map, <u32>value);
}

export function bpf_map_lookup_percpu_elem(map: u64, key: u64, cpu: u64): i64 {
  return <u32>cpu < load<u32>(<u32>map, MAP_NUM_CPUS) ? mapLookupPercpu(<u32>map, <u32>key, <u32>cpu) : 0;
}

export function bpf_ringbuf_reserve(map: u64, size: u64, flags: u64): i64 {
  return ringbufReserve(<u32>map, size, flags);
}

export function bpf_ringbuf_submit(record: u64, flags: u64): i64 {
  ringbufSubmit(<u32>record, flags);
  return 0;
}

export function bpf_ringbuf_discard(record: u64, flags: u64): i64 {
  ringbufDiscard(<u32>record, flags);
  return 0;
}

export function bpf_ringbuf_output(map: u64, data: u64, size: u64, flags: u64): i64 {
  return ringbufOutput(<u32>map, <u32>data, size, flags);
}

export function bpf_ringbuf_query(map: u64, what: u64): i64 {
  return ringbufQuery(<u32>map, what);
}

export function bpf_spin_lock(): i64 {
  return 0;
}

export function bpf_spin_unlock(): i64 {
  return 0;
}

export function bpf_get_numa_node_id(): i64 {
  return 0;
}

export function bpf_xdp_adjust_head(_context: u64, by: u64): i64 {
  return moveHead(<i32>by) ? 0 : -EINVAL;
}

export function bpf_xdp_adjust_meta(_context: u64, by: u64): i64 {
  const failed = moveMeta(<i32>by);
  return failed == 0 ? 0 : failed == 1 ? -EINVAL : -EACCES;
}

export function bpf_xdp_adjust_tail(_context: u64, by: u64): i64 {
  return moveTail(<i32>by) ? 0 : -EINVAL;
}

export function bpf_xdp_get_buff_len(): i64 {
  return packetLength();
}

/** net/core/filter.c `bpf_xdp_pointer`: address of the bytes, or -errno. */
function xdpAt(offset: u64, size: u64): i64 {
  if (<u32>offset > 0xffff || <u32>size > 0xffff) return -EFAULT;
  const at = packetAt(<u32>offset, <u32>size);
  return at ? at : -EINVAL;
}

export function bpf_xdp_load_bytes(_context: u64, offset: u64, to: u64, size: u64): i64 {
  const at = xdpAt(offset, size);
  if (at < 0) return at;
  memory.copy(<u32>to, <u32>at, <u32>size);
  return 0;
}

export function bpf_xdp_store_bytes(_context: u64, offset: u64, from: u64, size: u64): i64 {
  const at = xdpAt(offset, size);
  if (at < 0) return at;
  memory.copy(<u32>at, <u32>from, <u32>size);
  return 0;
}

function skbAt(offset: u32, size: u32): u32 {
  return offset > INT_MAX ? 0 : packetAt(offset, size);
}

/** Bytes from `at` (0: outside) to `to`, which is cleared where there are none. */
function copyOut(at: u32, to: u32, size: u32): i64 {
  if (at) {
    memory.copy(to, at, size);
    return 0;
  }
  memory.fill(to, 0, size);
  return -EFAULT;
}

export function bpf_skb_load_bytes(_context: u64, offset: u64, to: u64, size: u64): i64 {
  return copyOut(skbAt(<u32>offset, <u32>size), <u32>to, <u32>size);
}

/** `start`: BPF_HDR_START_MAC 0, BPF_HDR_START_NET 1. */
export function bpf_skb_load_bytes_relative(_context: u64, offset: u64, to: u64, size: u64, start: u64): i64 {
  const from = packetData() + (<u32>start ? ETH_HLEN : 0) + <u32>offset;
  const fits = <u32>offset <= 0xffff && <u32>start <= 1 && <u64>from + <u32>size <= <u64>packetEnd();
  return copyOut(fits ? from : 0, <u32>to, <u32>size);
}

/** BPF_F_RECOMPUTE_CSUM and BPF_F_INVALIDATE_HASH concern what a run here never has. */
export function bpf_skb_store_bytes(_context: u64, offset: u64, from: u64, size: u64, flags: u64): i64 {
  if (flags & ~(<u64>3)) return -EINVAL;
  const at = skbAt(<u32>offset, <u32>size);
  if (!at) return -EFAULT;
  memory.copy(at, <u32>from, <u32>size);
  return 0;
}

/** The packet is in one piece already. */
export function bpf_skb_pull_data(_context: u64, length: u64): i64 {
  return <u32>length > packetLength() ? -12 : 0;
}

/** Bytes at `from` of the linear memory; an address outside of it is a fault, as a page that is not there. */
function probe(to: u32, size: u32, from: u64): i64 {
  const bytes = <u64>memory.size() << 16;
  const there = from >= 65536 && from <= bytes && size <= bytes - from;
  return copyOut(there ? <u32>from : 0, to, size);
}

export function bpf_probe_read(to: u64, size: u64, from: u64): i64 {
  return probe(<u32>to, <u32>size, from);
}

export function bpf_probe_read_kernel(to: u64, size: u64, from: u64): i64 {
  return probe(<u32>to, <u32>size, from);
}

export function bpf_probe_read_user(to: u64, size: u64, from: u64): i64 {
  return probe(<u32>to, <u32>size, from);
}

export function bpf_strncmp(a: u64, size: u64, b: u64): i64 {
  for (let i: u32 = 0; i < <u32>size; i++) {
    const x = load<u8>(<u32>a + i);
    const y = load<u8>(<u32>b + i);
    if (x != y) return x < y ? -1 : 1;
    if (!x) break;
  }
  return 0;
}
