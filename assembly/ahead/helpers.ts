// Helpers that a compiled program asks its host for, where the host is a standalone module. Each is `bpf_NAME` with the
// kernel's arguments as u64 (pointers are addresses) and the kernel's answer; src/aot/helpers.ts names them. One program
// runs at a time, on CPU 0, and was verified, so locks are free and packets are in one piece.
import { ENOMEM } from "../../src/runtime/maps/constants";
import { skbStoreBytes } from "../helpers/exports";
import { mapDelete, mapLookup, mapUpdate } from "../maps/exports";

const CPU: u32 = 0;
/** `__sk_buff.hash`. */
const SKB_HASH: usize = 68;
const INVALIDATE_HASH: u64 = 2;

export function bpf_map_lookup_elem(map: u64, key: u64): i64 {
  return mapLookup(<u32>map, <u32>key, CPU);
}

export function bpf_map_update_elem(map: u64, key: u64, value: u64, flags: u64): i64 {
  return mapUpdate(<u32>map, <u32>key, <u32>value, flags, CPU);
}

export function bpf_map_delete_elem(map: u64, key: u64): i64 {
  return mapDelete(<u32>map, <u32>key);
}

export function bpf_spin_lock(_lock: u64): i64 {
  return 0;
}

export function bpf_spin_unlock(_lock: u64): i64 {
  return 0;
}

export function bpf_get_numa_node_id(): i64 {
  return 0;
}

/** `skbStoreBytes` asks when the packet's hash is to be forgotten. */
export function bpf_skb_store_bytes(context: u64, offset: u64, from: u64, size: u64, flags: u64): i64 {
  store<u32>(<u32>context, 0, SKB_HASH);
  return skbStoreBytes(<u32>context, <u32>offset, <u32>from, <u32>size, flags & ~INVALIDATE_HASH);
}

/** `skbPullData` asks for more bytes than are linear: there are no others. */
export function bpf_skb_pull_data(_context: u64, _size: u64): i64 {
  return -ENOMEM;
}
