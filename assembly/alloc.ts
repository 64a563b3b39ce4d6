// The allocator of the one linear memory: everything in assembly/ takes its bytes here, nothing uses `heap` or `new`
// (the AssemblyScript runtime would claim memory that was grown here). Never traps: 0 means "no room".
//
// Small blocks (up to SMALL_MAX) come from size classes, two per power of two, carved from 64 KiB chunks and kept for
// reuse in one free list per class. Larger ones are runs of wasm pages; freed runs merge with their neighbours.
// Every block has a 16-byte header before it: u32 size class, or pages | BIG.
//
// In a shared memory (assembly/shared/) several instances of the module allocate: what they have in common stands in the
// memory itself, behind a lock, and all of the memory is there from the start.
import { lockWord, unlockWord } from "./locks";
import { chargeBytes, follow } from "./work";

const PAGE: u32 = 65536;
const HEADER: u32 = 16;
const SMALL_MAX: u32 = 4096;
const BIG: u32 = 0x80000000;
/** Classes 32, 48, 64, 96, … 4096, by index. */
const CLASSES: u32 = 16;

/**
 * The allocator's state. A shared memory has it at a place of its own, which no data segment writes to when another
 * instance starts: SHARED_STATE of src/runtime/layout.ts.
 */
const STATE: usize = ASC_FEATURE_THREADS ? 65536 : memory.data(96);
/** Heads of the free lists, one u32 for each class; link in the block's first word. */
const freeBlocks: usize = STATE;
/** Free runs by ascending address; in a run: +0 next, +4 pages. */
const FREE_RUNS: usize = 64;
/** What is left of the chunk that small blocks come from. */
const CHUNK_AT: usize = 68;
const CHUNK_END: usize = 72;
/** Growth stops here, 0: at 2 GiB. */
const LIMIT: usize = 76;
const USED: usize = 80;
const LOCK: usize = 88;
/** Shared memory: pages in use, 0: FIRST_PAGES. */
const TOP: usize = 92;
/** Pages that the module's own data may take. */
const FIRST_PAGES: u32 = 2;
const DEFAULT_LIMIT: u32 = 32768;
/** Set by takeRun: the run has never been used, so it is zero. */
let fresh: bool = false;

/** Sets the size, in 64 KiB pages, up to which the memory may grow. */
export function setMemoryLimit(pages: u32): void {
  store<u32>(STATE, min<u32>(pages, 65535), LIMIT);
}

/** Bytes handed out and not freed, headers and rounding included. */
export function allocatedBytes(): f64 {
  return <f64>load<u64>(STATE, USED);
}

@inline
function addUsed(bytes: u64): void {
  store<u64>(STATE, load<u64>(STATE, USED) + bytes, USED);
}

@inline
function enter(): void {
  if (ASC_FEATURE_THREADS) lockWord(<u32>STATE + <u32>LOCK);
}

@inline
function leave(): void {
  if (ASC_FEATURE_THREADS) unlockWord(<u32>STATE + <u32>LOCK);
}

/** First of `pages` new pages; 0 when there is no room. */
function grow(pages: u32): u32 {
  const size = <u32>memory.size();
  if (ASC_FEATURE_THREADS) {
    const top = load<u32>(STATE, TOP) || FIRST_PAGES;
    if (pages > size || top + pages > size) return 0;
    store<u32>(STATE, top + pages, TOP);
    return top;
  }
  const limit = load<u32>(STATE, LIMIT) || DEFAULT_LIMIT;
  if (size + pages > limit || size + pages < size) return 0;
  return memory.grow(pages) < 0 ? 0 : size;
}

function takeRun(pages: u32): u32 {
  let previous: u32 = 0;
  let run = load<u32>(STATE, FREE_RUNS);
  fresh = false;
  for (let steps: u32 = 0; run; steps = follow(steps)) {
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
      else store<u32>(STATE, rest, FREE_RUNS);
      return run;
    }
    previous = run;
    run = next;
  }
  const first = grow(pages);
  fresh = true;
  return first * PAGE;
}

function giveRun(run: u32, pages: u32): void {
  let previous: u32 = 0;
  let next = load<u32>(STATE, FREE_RUNS);
  for (let steps: u32 = 0; next && next < run; steps = follow(steps)) {
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
  else store<u32>(STATE, run, FREE_RUNS);
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
  enter();
  const address = take(size);
  leave();
  return address;
}

function take(size: u32): u32 {
  if (size <= SMALL_MAX - HEADER) {
    const cls = classOf(size + HEADER);
    const bytes = classBytes(cls);
    const head = <u32>freeBlocks + cls * 4;
    let block = load<u32>(head);
    if (block) {
      store<u32>(head, load<u32>(block, HEADER));
      memory.fill(block + HEADER, 0, bytes - HEADER);
    } else {
      let at = load<u32>(STATE, CHUNK_AT);
      if (at + bytes > load<u32>(STATE, CHUNK_END) || at == 0) {
        const chunk = takeRun(1);
        if (!chunk) return 0;
        if (!fresh) memory.fill(chunk, 0, PAGE);
        at = chunk;
        store<u32>(STATE, chunk + (PAGE - HEADER), CHUNK_END); // so the sum above cannot overflow at the very top
      }
      block = at;
      store<u32>(STATE, at + bytes, CHUNK_AT);
    }
    store<u32>(block, cls);
    addUsed(bytes);
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
  chargeBytes(bytes);
  if (!fresh) memory.fill(run, 0, pages * PAGE);
  store<u32>(run, pages | BIG);
  addUsed(<u64>pages * PAGE);
  return run;
}

/** Gives a block from `alloc` back; 0 is allowed. */
export function free(address: u32): void {
  if (!address) return;
  enter();
  give(address);
  leave();
}

function give(address: u32): void {
  const block = address - HEADER;
  const tag = load<u32>(block);
  if (tag & BIG) {
    const pages = tag & ~BIG;
    addUsed(-(<u64>pages * PAGE));
    giveRun(block, pages);
    return;
  }
  addUsed(-<u64>classBytes(tag));
  const head = <u32>freeBlocks + tag * 4;
  store<u32>(address, load<u32>(head));
  store<u32>(head, block);
}

/** Whole zeroed 64 KiB pages, page-aligned, without a header; 0 when there is no room. Freed with `freePages`. */
export function allocPages(pages: u32): u32 {
  enter();
  const run = takeRun(pages);
  if (run) {
    if (!fresh) memory.fill(run, 0, pages * PAGE);
    addUsed(<u64>pages * PAGE);
  }
  leave();
  return run;
}

export function freePages(address: u32, pages: u32): void {
  if (!address) return;
  enter();
  addUsed(-(<u64>pages * PAGE));
  giveRun(address, pages);
  leave();
}

/** `alloc` for a size worked out in 64 bits: 0 when it is past what u32 can say. */
export function alloc64(size: u64): u32 {
  return size > 0xfff00000 ? 0 : alloc(<u32>size);
}
