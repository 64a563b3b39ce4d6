// Longest-prefix-match trie: a binary trie with compressed paths, as kernel/bpf/lpm_trie.c @ v6.12 has it, so that
// order and results are the kernel's.
//
// Node: +0 child 0 | +4 child 1 | +8 prefix length | +12 flags | +16 address bytes, padded to 8 | value.
// Key (struct bpf_lpm_trie_key): u32 prefix length, then the address in network order.
import { MAP_ELEM_BYTES, MAP_MAX_ENTRIES } from "../../src/runtime/layout";
import {
  BPF_EXIST,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_NOEXIST,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
} from "../../src/runtime/maps/constants";
import { alloc, free } from "../alloc";
import { follow } from "../work";
import {
  copyBytes,
  copyValue,
  KIND_PRIVATE,
  newHeader,
  POOL_CHUNK_BYTES,
  poolAlloc,
  poolDestroy,
  poolFree,
  poolInit,
  programAccessOk,
} from "./header";

export const TYPE_LPM_TRIE: u32 = 11;

const ROOT: usize = KIND_PRIVATE;
const DATA_SIZE: usize = KIND_PRIVATE + 4;
const MAX_PREFIX: usize = KIND_PRIVATE + 8;
/** Elements present (intermediate nodes not counted). */
export const LPM_COUNT: usize = KIND_PRIVATE + 12;
const VALUE_AT: usize = KIND_PRIVATE + 16;

/** IPv4: address of the shortcut table, 0: none; lookups since the trie changed. */
const SHORTCUTS: usize = KIND_PRIVATE + 20;
const CALM: usize = KIND_PRIVATE + 24;

// Shortcuts: for each value of an address's first 12 bits, where a lookup stands after them: +0 first node whose prefix
// is 12 bits or longer (0: none) | +4 longest element before it (0: none). Made again when the trie has been looked up
// CALM_LOOKUPS times without a change, so that making it never costs more than the lookups did; a change drops it.
const SHORTCUT_BITS: u32 = 12;
const CALM_LOOKUPS: u32 = 4096;
const SHORTCUT_MIN_ELEMENTS: u32 = 32;

const PREFIX: usize = 8;
const FLAGS: usize = 12;
const DATA: u32 = 16;
const INTERMEDIATE: u32 = 1;

const DATA_MAX: u32 = 256;
/** KMALLOC_MAX_SIZE - LPM_DATA_SIZE_MAX - sizeof(struct lpm_trie_node). */
const VALUE_MAX: u32 = 0x400000 - 256 - 40;
const FLAG_MASK: u32 =
  BPF_F_NO_PREALLOC |
  BPF_F_NUMA_NODE |
  BPF_F_RDONLY |
  BPF_F_WRONLY |
  BPF_F_RDONLY_PROG |
  BPF_F_WRONLY_PROG;

export function lpmCreate(keySize: u32, valueSize: u32, maxEntries: u32, flags: u32, numCpus: u32): i32 {
  if (maxEntries == 0 || !(flags & BPF_F_NO_PREALLOC) || flags & ~FLAG_MASK) return -EINVAL;
  if (!programAccessOk(flags) || keySize < 5 || keySize > 4 + DATA_MAX) return -EINVAL;
  if (valueSize < 1 || valueSize > VALUE_MAX) return -EINVAL;
  const map = newHeader(TYPE_LPM_TRIE, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) return -ENOMEM;
  const size = keySize - 4;
  store<u32>(map, size, DATA_SIZE);
  store<u32>(map, size * 8, MAX_PREFIX);
  const valueAt = DATA + ((size + 7) & ~7);
  store<u32>(map, valueAt, VALUE_AT);
  const bytes = valueAt + load<u32>(map, MAP_ELEM_BYTES);
  poolInit(map, bytes, max<u32>(1, POOL_CHUNK_BYTES / bytes));
  return map;
}

export function lpmDestroy(map: u32): void {
  free(load<u32>(map, SHORTCUTS));
  poolDestroy(map);
}

/** Bit `index` (0: first on the wire) of the address at `data`. */
@inline
function bitAt(data: u32, index: u32): u32 {
  return (<u32>load<u8>(data + (index >> 3)) >> (7 - (index & 7))) & 1;
}

/** How many leading bits of two addresses agree, at most `limit`. */
@inline
function commonBits(a: u32, b: u32, size: u32, limit: u32): u32 {
  if (size == 4) return min<u32>(clz<u32>(bswap<u32>(load<u32>(a) ^ load<u32>(b))), limit);
  let at: u32 = 0;
  while (at + 8 <= size) {
    const diff = load<u64>(a + at) ^ load<u64>(b + at);
    if (diff) return min<u32>(at * 8 + <u32>clz<u64>(bswap<u64>(diff)), limit);
    at += 8;
    if (at * 8 >= limit) return limit;
  }
  while (at < size) {
    const diff = <u32>load<u8>(a + at) ^ <u32>load<u8>(b + at);
    if (diff) return min<u32>(at * 8 + clz<u32>(diff) - 24, limit);
    at++;
  }
  return limit;
}

/** Address of the value of the longest prefix that covers the key's address and is no longer than the key; or 0. */
export function lpmLookup(map: u32, key: u32): u32 {
  const wanted = load<u32>(key);
  const max = load<u32>(map, MAX_PREFIX);
  if (wanted > max) return 0;
  const size = load<u32>(map, DATA_SIZE);
  const data = key + 4;
  let node = load<u32>(map, ROOT);
  let found: u32 = 0;
  let steps: u32 = 0;
  if (size == 4) {
    // IPv4: the address in one register, a shift instead of a byte load for each bit.
    const address = bswap<u32>(load<u32>(data));
    const shortcuts = load<u32>(map, SHORTCUTS);
    if (shortcuts && wanted >= SHORTCUT_BITS) {
      const entry = shortcuts + ((address >>> (32 - SHORTCUT_BITS)) << 3);
      node = load<u32>(entry);
      found = load<u32>(entry, 4);
    } else if (!ASC_FEATURE_THREADS && !shortcuts) countLookup(map); // several threads look up: they must not write
    while (node) {
      const prefix = load<u32>(node, PREFIX);
      if (prefix > wanted) break;
      if (<u32>clz<u32>(bswap<u32>(load<u32>(node, DATA)) ^ address) < prefix) break;
      if (!load<u32>(node, FLAGS)) found = node;
      if (prefix == 32) break;
      node = load<u32>(node + (((address >> (31 - prefix)) & 1) << 2));
      steps = follow(steps);
    }
  } else {
    while (node) {
      const prefix = load<u32>(node, PREFIX);
      if (prefix > wanted || commonBits(node + DATA, data, size, prefix) < prefix) break;
      if (!load<u32>(node, FLAGS)) found = node;
      if (prefix == max) break;
      node = load<u32>(node + (bitAt(data, prefix) << 2));
      steps = follow(steps);
    }
  }
  return found ? found + load<u32>(map, VALUE_AT) : 0;
}

function countLookup(map: u32): void {
  const calm = load<u32>(map, CALM) + 1;
  store<u32>(map, calm, CALM);
  if (calm < CALM_LOOKUPS) return;
  store<u32>(map, 0, CALM);
  if (load<u32>(map, LPM_COUNT) < SHORTCUT_MIN_ELEMENTS) return;
  const table = alloc(<u32>8 << SHORTCUT_BITS);
  if (!table) return;
  for (let top: u32 = 0; top < <u32>1 << SHORTCUT_BITS; top++) {
    const address = top << (32 - SHORTCUT_BITS);
    let node = load<u32>(map, ROOT);
    let found: u32 = 0;
    for (let steps: u32 = 0; node; steps = follow(steps)) {
      const prefix = load<u32>(node, PREFIX);
      if (prefix >= SHORTCUT_BITS) break;
      if (<u32>clz<u32>(bswap<u32>(load<u32>(node, DATA)) ^ address) < prefix) {
        node = 0;
        break;
      }
      if (!load<u32>(node, FLAGS)) found = node;
      node = load<u32>(node + (((address >> (31 - prefix)) & 1) << 2));
    }
    store<u32>(table + (top << 3), node);
    store<u32>(table + (top << 3), found, 4);
  }
  store<u32>(map, table, SHORTCUTS);
}

/** The trie is about to change. */
function dropShortcuts(map: u32): void {
  store<u32>(map, 0, CALM);
  const table = load<u32>(map, SHORTCUTS);
  if (!table) return;
  store<u32>(map, 0, SHORTCUTS);
  free(table);
}

@inline
function matchLength(node: u32, key: u32, size: u32): u32 {
  return commonBits(node + DATA, key + 4, size, min(load<u32>(node, PREFIX), load<u32>(key)));
}

function newNode(map: u32, prefix: u32, data: u32, size: u32): u32 {
  const node = poolAlloc(map);
  if (!node) return 0;
  store<u64>(node, 0); // no children
  store<u32>(node, prefix, PREFIX);
  store<u32>(node, 0, FLAGS);
  copyBytes(node + DATA, data, size);
  return node;
}

function admit(map: u32, flags: u64): i32 {
  if (flags == BPF_EXIST) return -ENOENT;
  const count = load<u32>(map, LPM_COUNT);
  if (count == load<u32>(map, MAP_MAX_ENTRIES)) return -ENOSPC;
  store<u32>(map, count + 1, LPM_COUNT);
  return 0;
}

/** 0, -EINVAL, -EEXIST, -ENOENT, -ENOSPC or -ENOMEM. */
export function lpmUpdate(map: u32, key: u32, value: u32, flags: u64): i32 {
  if (flags > <u64>BPF_EXIST) return -EINVAL;
  const length = load<u32>(key);
  const max = load<u32>(map, MAX_PREFIX);
  if (length > max) return -EINVAL;
  dropShortcuts(map);
  const size = load<u32>(map, DATA_SIZE);
  const fresh = newNode(map, length, key + 4, size);
  if (!fresh) return -ENOMEM;
  copyValue(map, fresh + load<u32>(map, VALUE_AT), value);
  const error = insert(map, key, fresh, flags, size, max);
  if (error) poolFree(map, fresh);
  return error;
}

function insert(map: u32, key: u32, fresh: u32, flags: u64, size: u32, max: u32): i32 {
  const length = load<u32>(key);
  let slot = map + <u32>ROOT;
  let node = load<u32>(slot);
  let match: u32 = 0;
  for (let steps: u32 = 0; node; steps = follow(steps)) {
    match = matchLength(node, key, size);
    const prefix = load<u32>(node, PREFIX);
    if (prefix != match || prefix == length || prefix == max) break;
    slot = node + (bitAt(key + 4, prefix) << 2);
    node = load<u32>(slot);
  }
  if (!node) {
    const error = admit(map, flags);
    if (!error) store<u32>(slot, fresh);
    return error;
  }
  if (load<u32>(node, PREFIX) == match) {
    // Same prefix: the new node takes the old one's place.
    if (load<u32>(node, FLAGS)) {
      const error = admit(map, flags);
      if (error) return error;
    } else if (flags == BPF_NOEXIST) return -EEXIST;
    store<u64>(fresh, load<u64>(node)); // both children
    store<u32>(slot, fresh);
    poolFree(map, node);
    return 0;
  }
  const error = admit(map, flags);
  if (error) return error;
  if (match == length) {
    // The new prefix covers the node's: it goes in between.
    store<u32>(fresh + (bitAt(node + DATA, match) << 2), node);
    store<u32>(slot, fresh);
    return 0;
  }
  const fork = newNode(map, match, node + DATA, size);
  if (!fork) {
    store<u32>(map, load<u32>(map, LPM_COUNT) - 1, LPM_COUNT);
    return -ENOMEM;
  }
  store<u32>(fork, INTERMEDIATE, FLAGS);
  const side = bitAt(key + 4, match) << 2;
  store<u32>(fork + side, fresh);
  store<u32>(fork + (side ^ 4), node);
  store<u32>(slot, fork);
  return 0;
}

/** 0, -EINVAL or -ENOENT. Only the very prefix given is deleted. */
export function lpmDelete(map: u32, key: u32): i32 {
  const length = load<u32>(key);
  if (length > load<u32>(map, MAX_PREFIX)) return -EINVAL;
  dropShortcuts(map);
  const size = load<u32>(map, DATA_SIZE);
  let slot = map + <u32>ROOT;
  let parentSlot = slot;
  let parent: u32 = 0;
  let node = load<u32>(slot);
  let match: u32 = 0;
  for (let steps: u32 = 0; node; steps = follow(steps)) {
    match = matchLength(node, key, size);
    const prefix = load<u32>(node, PREFIX);
    if (prefix != match || prefix == length) break;
    parent = node;
    parentSlot = slot;
    slot = node + (bitAt(key + 4, prefix) << 2);
    node = load<u32>(slot);
  }
  if (!node || load<u32>(node, PREFIX) != length || match != length || load<u32>(node, FLAGS)) return -ENOENT;
  store<u32>(map, load<u32>(map, LPM_COUNT) - 1, LPM_COUNT);
  const child0 = load<u32>(node);
  const child1 = load<u32>(node, 4);
  if (child0 && child1) {
    store<u32>(node, INTERMEDIATE, FLAGS);
    return 0;
  }
  if (parent && load<u32>(parent, FLAGS) && !child0 && !child1) {
    // The intermediate parent would be left with one child: that child moves up.
    store<u32>(parentSlot, load<u32>(parent) == node ? load<u32>(parent, 4) : load<u32>(parent));
    poolFree(map, parent);
  } else store<u32>(slot, child0 ? child0 : child1);
  poolFree(map, node);
  return 0;
}

/** First element in post-order below `node`. */
function leftmost(node: u32): u32 {
  let last: u32 = 0;
  for (let steps: u32 = 0; node; steps = follow(steps)) {
    if (load<u32>(node, FLAGS)) node = load<u32>(node);
    else {
      last = node;
      node = load<u32>(last) ? load<u32>(last) : load<u32>(last, 4);
    }
  }
  return last;
}

/** Post-order, more specific prefixes first; an unknown key starts again at the first. -ENOENT at the end. */
export function lpmNextKey(map: u32, key: u32, next: u32): i32 {
  const root = load<u32>(map, ROOT);
  if (!root) return -ENOENT;
  const size = load<u32>(map, DATA_SIZE);
  let chosen: u32 = 0;
  if (!key || load<u32>(key) > load<u32>(map, MAX_PREFIX)) chosen = leftmost(root);
  else {
    // On the way down remember what follows the node in post-order: the innermost ancestor left by its 0 side whose 1
    // side exists (its leftmost element), or an element ancestor, whichever is nearer.
    let node = root;
    let match: u32 = 0;
    let after: u32 = 0;
    let afterIsTree = false;
    for (let steps: u32 = 0; node; steps = follow(steps)) {
      match = matchLength(node, key, size);
      const prefix = load<u32>(node, PREFIX);
      if (prefix != match || prefix == load<u32>(key)) break;
      const side = bitAt(key + 4, prefix);
      const sibling = load<u32>(node, 4);
      if (!side && sibling) {
        after = sibling;
        afterIsTree = true;
      } else if (!load<u32>(node, FLAGS)) {
        after = node;
        afterIsTree = false;
      }
      node = load<u32>(node + (side << 2));
    }
    if (!node || load<u32>(node, PREFIX) != match || load<u32>(node, FLAGS)) chosen = leftmost(root);
    else if (!after) return -ENOENT;
    else chosen = afterIsTree ? leftmost(after) : after;
  }
  store<u32>(next, load<u32>(chosen, PREFIX));
  copyBytes(next + 4, chosen + DATA, size);
  return 0;
}

export function lpmCount(map: u32): u32 {
  return load<u32>(map, LPM_COUNT);
}
