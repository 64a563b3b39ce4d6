// Helpers that a standalone module carries out itself where compiled programs do not call the functions of assembly/helpers
// and assembly/maps directly, or these ask the host (ASK_HOST): here packets are always linear, so there is little left to
// do. Each is `bpf_NAME` with the kernel's arguments as u64 (pointers are addresses) and the kernel's answer;
// src/aot/helpers.ts names them. One program runs at a time, on CPU 0, and was verified, so locks are free and arguments
// are what they should be.
import { MAP_NUM_CPUS } from "../../src/runtime/layout";
import { ENOMEM } from "../../src/runtime/maps/constants";
import {
  l3CsumReplace,
  l4CsumReplace,
  skbLoadBytes,
  skbPullData,
  skbStoreBytes,
  xdpAdjustTail,
  xdpLoadBytes,
  xdpStoreBytes,
} from "../helpers/exports";
import {
  mapDelete,
  mapLookup,
  mapLookupPercpu,
  mapPeek,
  mapPop,
  mapPush,
  mapUpdate,
} from "../maps/exports";

const INVALIDATE_HASH: u64 = 2;
const CPU: u32 = 0;

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

export function bpf_spin_lock(): i64 {
  return 0;
}

export function bpf_spin_unlock(): i64 {
  return 0;
}

export function bpf_get_numa_node_id(): i64 {
  return 0;
}

export function bpf_xdp_adjust_tail(context: u64, by: u64): i64 {
  return xdpAdjustTail(<u32>context, <i32>by);
}

export function bpf_xdp_load_bytes(context: u64, offset: u64, to: u64, size: u64): i64 {
  return xdpLoadBytes(<u32>context, <u32>offset, <u32>to, <u32>size);
}

export function bpf_xdp_store_bytes(context: u64, offset: u64, from: u64, size: u64): i64 {
  return xdpStoreBytes(<u32>context, <u32>offset, <u32>from, <u32>size);
}

export function bpf_skb_load_bytes(context: u64, offset: u64, to: u64, size: u64): i64 {
  return skbLoadBytes(<u32>context, <u32>offset, <u32>to, <u32>size);
}

/** BPF_F_INVALIDATE_HASH concerns what a run here never has. */
export function bpf_skb_store_bytes(context: u64, offset: u64, from: u64, size: u64, flags: u64): i64 {
  return skbStoreBytes(<u32>context, <u32>offset, <u32>from, <u32>size, flags & ~INVALIDATE_HASH);
}

/** More than is linear is more than there is. */
export function bpf_skb_pull_data(context: u64, length: u64): i64 {
  return skbPullData(<u32>context, <u32>length) ? -ENOMEM : 0;
}

export function bpf_l3_csum_replace(context: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  return l3CsumReplace(<u32>context, <u32>offset, from, to, flags);
}

export function bpf_l4_csum_replace(context: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  return l4CsumReplace(<u32>context, <u32>offset, from, to, flags);
}
