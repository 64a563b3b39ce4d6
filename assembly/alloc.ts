// The allocator of the one linear memory: everything in assembly/ takes its bytes here, nothing uses `heap` or `new`
// (the AssemblyScript runtime would claim memory that was grown here). Never traps: 0 means "no room".
//
// Small blocks (up to SMALL_MAX) come from size classes, two per power of two, carved from 64 KiB chunks and kept for
// reuse in one free list per class. Larger ones are runs of wasm pages; freed runs merge with their neighbours.
// Every block has a 16-byte header before it: u32 size class, or pages | BIG.

const PAGE: u32 = 65536;
const HEADER: u32 = 16;
const SMALL_MAX: u32 = 4096;
const BIG: u32 = 0x80000000;
/** Classes 32, 48, 64, 96, … 4096, by index. */
const CLASSES: u32 = 16;

/** Growth stops here: 2 GiB unless the host says otherwise. */
let limitPages: u32 = 32768;
/** Free runs by ascending address; in a run: +0 next, +4 pages. */
let freeRuns: u32 = 0;
let chunkAt: u32 = 0;
let chunkEnd: u32 = 0;
/** Heads of the free lists, one u32 for each class; link in the block's first word. */
const freeBlocks: usize = memory.data(64);
let usedBytes: u64 = 0;
/** Set by takeRun: the run has never been used, so it is zero. */
let fresh: bool = false;

/** Sets the size, in 64 KiB pages, up to which the memory may grow. */
export function setMemoryLimit(pages: u32): void {
  limitPages = min<u32>(pages, 65535);
}

/** Bytes handed out and not freed, headers and rounding included. */
export function allocatedBytes(): f64 {
  return <f64>usedBytes;
}

function takeRun(pages: u32): u32 {
  let previous: u32 = 0;
  let run = freeRuns;
  fresh = false;
  while (run) {
    const next = load<u32>(run);
    const have = load<u32>(run, 4);
    if (have >= pages) {
      let rest = next;
      if (have > pages) {
        rest = run + pages * PAGE;
        store<u32>(rest, next);
        store<u32>(rest, have - pages, 4);
      }
      if (previous) store<u32>(previous, rest);
      else freeRuns = rest;
      return run;
    }
    previous = run;
    run = next;
  }
  const size = <u32>memory.size();
  if (size + pages > limitPages || size + pages < size) return 0;
  if (memory.grow(pages) < 0) return 0;
  fresh = true;
  return size * PAGE;
}

function giveRun(run: u32, pages: u32): void {
  let previous: u32 = 0;
  let next = freeRuns;
  while (next && next < run) {
    previous = next;
    next = load<u32>(next);
  }
  if (next && run + pages * PAGE == next) {
    pages += load<u32>(next, 4);
    next = load<u32>(next);
  }
  if (previous && previous + load<u32>(previous, 4) * PAGE == run) {
    store<u32>(previous, next);
    store<u32>(previous, load<u32>(previous, 4) + pages, 4);
    return;
  }
  store<u32>(run, next);
  store<u32>(run, pages, 4);
  if (previous) store<u32>(previous, run);
  else freeRuns = run;
}

/** Class of a block of `bytes` (header included, 32 … SMALL_MAX): 2 × log2 steps with a half step between. */
@inline
function classOf(bytes: u32): u32 {
  if (bytes <= 32) return 0;
  const log: u32 = 31 - clz(bytes - 1); // 32 < bytes: log >= 5
  const half = <u32>(bytes > (<u32>3 << (log - 1)));
  return (log - 5) * 2 + 1 + half;
}

@inline
function classBytes(cls: u32): u32 {
  return cls & 1 ? (<u32>3 << (4 + (cls >> 1))) : (<u32>32 << (cls >> 1));
}

/** `size` zeroed bytes at a multiple of 16; 0 when there is no room. */
export function alloc(size: u32): u32 {
  if (size <= SMALL_MAX - HEADER) {
    const cls = classOf(size + HEADER);
    const bytes = classBytes(cls);
    const head = <u32>freeBlocks + cls * 4;
    let block = load<u32>(head);
    if (block) {
      store<u32>(head, load<u32>(block, HEADER));
      memory.fill(block + HEADER, 0, bytes - HEADER);
    } else {
      if (chunkAt + bytes > chunkEnd || chunkAt == 0) {
        const chunk = takeRun(1);
        if (!chunk) return 0;
        if (!fresh) memory.fill(chunk, 0, PAGE);
        chunkAt = chunk;
        chunkEnd = chunk + (PAGE - HEADER); // so the sum above cannot overflow at the very top
      }
      block = chunkAt;
      chunkAt += bytes;
    }
    store<u32>(block, cls);
    usedBytes += bytes;
    return block + HEADER;
  }
  const block = allocRun(size + HEADER, size);
  return block ? block + HEADER : 0;
}

function allocRun(bytes: u32, asked: u32): u32 {
  if (bytes < asked || bytes > 0xfffe0000) return 0;
  const pages = (bytes + (PAGE - 1)) / PAGE;
  const run = takeRun(pages);
  if (!run) return 0;
  if (!fresh) memory.fill(run, 0, pages * PAGE);
  store<u32>(run, pages | BIG);
  usedBytes += <u64>pages * PAGE;
  return run;
}

/** Gives a block from `alloc` back; 0 is allowed. */
export function free(address: u32): void {
  if (!address) return;
  const block = address - HEADER;
  const tag = load<u32>(block);
  if (tag & BIG) {
    const pages = tag & ~BIG;
    usedBytes -= <u64>pages * PAGE;
    giveRun(block, pages);
    return;
  }
  usedBytes -= classBytes(tag);
  const head = <u32>freeBlocks + tag * 4;
  store<u32>(address, load<u32>(head));
  store<u32>(head, block);
}

/** Whole zeroed 64 KiB pages, page-aligned, without a header; 0 when there is no room. Freed with `freePages`. */
export function allocPages(pages: u32): u32 {
  const run = takeRun(pages);
  if (!run) return 0;
  if (!fresh) memory.fill(run, 0, pages * PAGE);
  usedBytes += <u64>pages * PAGE;
  return run;
}

export function freePages(address: u32, pages: u32): void {
  if (!address) return;
  usedBytes -= <u64>pages * PAGE;
  giveRun(address, pages);
}

/** `alloc` for a size worked out in 64 bits: 0 when it is past what u32 can say. */
export function alloc64(size: u64): u32 {
  return size > 0xfff00000 ? 0 : alloc(<u32>size);
}
