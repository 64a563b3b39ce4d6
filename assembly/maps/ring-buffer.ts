// Ring buffer and user ring buffer. kernel/bpf/ringbuf.c @ v6.12.
//
// Linux maps the data pages twice in a row, so that a record that passes the end is still contiguous. Here the data
// area simply has twice the ring's size: a record starts at (position modulo ring size) and runs on into the second
// half; the bytes it would have wrapped onto stay unused until the positions have passed them. Positions, capacity and
// record headers are Linux's: u32 length | BUSY | DISCARD, u32 distance to the ring's first page, in pages.
//
// The ring is page-aligned: page 0: +0 address of the map header | page 1: +0 u64 consumer position | page 2: +0 u64
// producer position, +8 u64 oldest uncommitted position | data from page 3.
import { MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUES } from "../../src/runtime/layout";
import {
  BPF_F_NUMA_NODE,
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
  E2BIG,
  EAGAIN,
  EINVAL,
  ENODATA,
  ENOMEM,
} from "../../src/runtime/maps/constants";
import { allocPages, freePages } from "../alloc";
import { damaged, follow } from "../work";
import { copyBytes, KIND_PRIVATE, newHeader } from "./header";

export const TYPE_RINGBUF: u32 = 27;
export const TYPE_USER_RINGBUF: u32 = 31;

const PAGE: u32 = 4096;
const RING: usize = KIND_PRIVATE;
const WASM_PAGES: usize = KIND_PRIVATE + 4;
/** Reservations that found no room. */
const LOST: usize = KIND_PRIVATE + 8;
/** Commits that asked for the consumer to be woken. */
const WAKEUPS: usize = KIND_PRIVATE + 12;

const CONSUMER: usize = 4096;
const PRODUCER: usize = 8192;
const PENDING: usize = 8200;
const DATA: u32 = 12288;
const DATA_PAGE: u32 = 3;
const LENGTH_BITS: u32 = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
/** RINGBUF_MAX_RECORD_SZ: UINT_MAX / 4. */
const MAX_RECORD: u64 = 0x3fffffff;
/** DYNPTR_MAX_SIZE. */
const MAX_DYNPTR: u32 = 0xffffff;

export function ringbufCreate(
  type: u32,
  keySize: u32,
  valueSize: u32,
  maxEntries: u32,
  flags: u32,
  numCpus: u32,
): i32 {
  if (flags & ~BPF_F_NUMA_NODE || keySize || valueSize) return -EINVAL;
  if (popcnt(maxEntries) != 1 || maxEntries % PAGE) return -EINVAL;
  const pages = <u32>((<u64>maxEntries * 2 + DATA + 0xffff) >> 16);
  const ring = allocPages(pages);
  if (!ring) return -ENOMEM;
  const map = newHeader(type, keySize, valueSize, maxEntries, flags, numCpus);
  if (!map) {
    freePages(ring, pages);
    return -ENOMEM;
  }
  store<u32>(map, ring, RING);
  store<u32>(map, pages, WASM_PAGES);
  store<u32>(map, ring + DATA, MAP_VALUES);
  store<u32>(ring, map);
  return map;
}

export function ringbufDestroy(map: u32): void {
  freePages(load<u32>(map, RING), load<u32>(map, WASM_PAGES));
}

@inline
function recordBytes(length: u32): u32 {
  return (length + BPF_RINGBUF_HDR_SZ + 7) & ~7;
}

/** Address of `size` bytes to fill, or 0: flags given, too long, or full (the last two count as lost). */
export function ringbufReserve(map: u32, size: u64, flags: u64): u32 {
  return flags || load<u32>(map, MAP_TYPE) != TYPE_RINGBUF ? 0 : reserve(map, size);
}

function reserve(map: u32, size: u64): u32 {
  const ringSize = load<u32>(map, MAP_MAX_ENTRIES);
  const ring = load<u32>(map, RING);
  if (size > MAX_RECORD || recordBytes(<u32>size) > ringSize) return lose(map);
  const bytes = recordBytes(<u32>size);
  const mask = ringSize - 1;
  const position = load<u64>(ring, PRODUCER);
  let pending = load<u64>(ring, PENDING);
  if (position - pending > ringSize) damaged();
  for (let steps: u32 = 0; pending < position; steps = follow(steps)) {
    const length = load<u32>(ring + DATA + (<u32>pending & mask));
    if (length & BPF_RINGBUF_BUSY_BIT) break;
    pending += recordBytes(length & LENGTH_BITS);
  }
  store<u64>(ring, pending, PENDING);
  const after = position + bytes;
  if (after - load<u64>(ring, CONSUMER) > mask || after - pending > mask) return lose(map);
  const offset = <u32>position & mask;
  const record = ring + DATA + offset;
  store<u32>(record, <u32>size | BPF_RINGBUF_BUSY_BIT);
  store<u32>(record, offset / PAGE + DATA_PAGE, 4);
  store<u64>(ring, after, PRODUCER);
  return record + BPF_RINGBUF_HDR_SZ;
}

function lose(map: u32): u32 {
  store<u32>(map, load<u32>(map, LOST) + 1, LOST);
  return 0;
}

/** The map that a record was reserved in: the record knows how many pages the ring starts before it. */
@inline
export function ringbufOf(record: u32): u32 {
  const header = record - BPF_RINGBUF_HDR_SZ;
  return load<u32>((header & ~(PAGE - 1)) - load<u32>(header, 4) * PAGE);
}

@inline
function commit(record: u32, flags: u64, discard: u32): void {
  const header = record - BPF_RINGBUF_HDR_SZ;
  const map = ringbufOf(record);
  const ring = load<u32>(map, RING);
  store<u32>(header, (load<u32>(header) ^ BPF_RINGBUF_BUSY_BIT) | discard);
  const mask = load<u32>(map, MAP_MAX_ENTRIES) - 1;
  const caughtUp = (<u32>load<u64>(ring, CONSUMER) & mask) == header - ring - DATA;
  if (flags & BPF_RB_FORCE_WAKEUP || (caughtUp && !(flags & BPF_RB_NO_WAKEUP))) {
    store<u32>(map, load<u32>(map, WAKEUPS) + 1, WAKEUPS);
  }
}

/** `record`: from ringbufReserve, of any ring buffer. */
export function ringbufSubmit(record: u32, flags: u64): void {
  commit(record, flags, 0);
}

export function ringbufDiscard(record: u32, flags: u64): void {
  commit(record, flags, BPF_RINGBUF_DISCARD_BIT);
}

/** 0, -EINVAL (flags) or -EAGAIN (no room). */
export function ringbufOutput(map: u32, data: u32, size: u64, flags: u64): i32 {
  if (flags & ~(<u64>(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))) return -EINVAL;
  if (load<u32>(map, MAP_TYPE) != TYPE_RINGBUF) return -EINVAL;
  const record = reserve(map, size);
  if (!record) return -EAGAIN;
  copyBytes(record, data, <u32>size);
  commit(record, flags, 0);
  return 0;
}

export function ringbufQuery(map: u32, what: u64): u64 {
  const ring = load<u32>(map, RING);
  if (what == BPF_RB_AVAIL_DATA) return load<u64>(ring, PRODUCER) - load<u64>(ring, CONSUMER);
  if (what == BPF_RB_RING_SIZE) return load<u32>(map, MAP_MAX_ENTRIES);
  if (what == BPF_RB_CONS_POS) return load<u64>(ring, CONSUMER);
  if (what == BPF_RB_PROD_POS) return load<u64>(ring, PRODUCER);
  return 0;
}

/**
 * Consumer: address of the oldest record's header when it is committed (discarded ones are stepped over), 0 when there
 * is nothing to read. Its length is the first word, the bytes follow 8 later. End with ringbufConsume.
 */
export function ringbufPeek(map: u32): u32 {
  const ring = load<u32>(map, RING);
  const mask = load<u32>(map, MAP_MAX_ENTRIES) - 1;
  let position = load<u64>(ring, CONSUMER);
  for (let steps: u32 = 0; position < load<u64>(ring, PRODUCER); steps = follow(steps)) {
    const record = ring + DATA + (<u32>position & mask);
    const length = load<u32>(record);
    if (length & BPF_RINGBUF_BUSY_BIT) return 0;
    if (!(length & BPF_RINGBUF_DISCARD_BIT)) return record;
    position += recordBytes(length & LENGTH_BITS);
    store<u64>(ring, position, CONSUMER);
  }
  return 0;
}

/** Gives the record of ringbufPeek (or the sample of userRingbufPeek) back to the producer. */
export function ringbufConsume(map: u32): void {
  const ring = load<u32>(map, RING);
  const position = load<u64>(ring, CONSUMER);
  const length = load<u32>(ring + DATA + (<u32>position & (load<u32>(map, MAP_MAX_ENTRIES) - 1)));
  store<u64>(ring, position + recordBytes(length & LENGTH_BITS), CONSUMER);
}

export function ringbufLost(map: u32): u32 {
  return load<u32>(map, LOST);
}

export function ringbufWakeups(map: u32): u32 {
  return load<u32>(map, WAKEUPS);
}

/**
 * Next sample of a user ring buffer: address of its header, or as an i32 -ENODATA (empty, or the producer is still
 * writing), -EAGAIN (a discarded one: stepped over, ask again), -EINVAL, -E2BIG (positions or lengths make no sense).
 */
export function userRingbufPeek(map: u32): i32 {
  const ring = load<u32>(map, RING);
  const produced = load<u64>(ring, PRODUCER);
  const consumed = load<u64>(ring, CONSUMER);
  if (produced % 8) return -EINVAL;
  if (consumed >= produced) return -ENODATA;
  const ringSize = load<u32>(map, MAP_MAX_ENTRIES);
  const record = ring + DATA + (<u32>consumed & (ringSize - 1));
  const word = load<u32>(record);
  const length = word & LENGTH_BITS;
  const bytes = recordBytes(length);
  if (bytes > produced - consumed) return -EINVAL;
  if (bytes > ringSize || length > MAX_DYNPTR) return -E2BIG;
  if (word & BPF_RINGBUF_DISCARD_BIT) {
    store<u64>(ring, consumed + bytes, CONSUMER);
    return -EAGAIN;
  }
  return word & BPF_RINGBUF_BUSY_BIT ? -ENODATA : record;
}

/**
 * Producer of a user ring buffer: address of `size` bytes to fill, 0 when full. Unlike a program the producer may fill
 * the ring to the last byte (libbpf's user_ring_buffer__reserve). Submit with ringbufSubmit.
 */
export function userRingbufReserve(map: u32, size: u32): u32 {
  const ring = load<u32>(map, RING);
  const ringSize = load<u32>(map, MAP_MAX_ENTRIES);
  if (size > MAX_RECORD) return 0;
  const bytes = recordBytes(size);
  const position = load<u64>(ring, PRODUCER);
  if (position + bytes - load<u64>(ring, CONSUMER) > ringSize) return 0;
  const offset = <u32>position & (ringSize - 1);
  const record = ring + DATA + offset;
  store<u32>(record, size | BPF_RINGBUF_BUSY_BIT);
  store<u32>(record, offset / PAGE + DATA_PAGE, 4);
  store<u64>(ring, position + bytes, PRODUCER);
  return record + BPF_RINGBUF_HDR_SZ;
}
