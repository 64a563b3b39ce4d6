import type { BatchOps } from "./base.ts";
import { NativeMap } from "./native.ts";

/**
 * BPF_MAP_TYPE_LPM_TRIE (4.11): longest prefix match; key is u32 prefix length, then the address in network order.
 * Full: ENOSPC. Keys come more specific ones first (post-order of the trie).
 */
export class LpmTrieMap extends NativeMap {
  protected override readonly batchOps: BatchOps = { lookup: true, update: true, delete: true };
}
