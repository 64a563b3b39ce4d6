import { MAP_PRIVATE, MAP_VALUES } from "../layout.ts";
import { MapBase, type MapParts } from "./base.ts";
import { EOPNOTSUPP } from "./constants.ts";
import type { EmbeddedArena } from "./map.ts";

export const ARENA_PAGE = 4096;
/** Where the header keeps how many wasm pages the range has. */
export const ARENA_WASM_PAGES = MAP_PRIVATE;

/**
 * BPF_MAP_TYPE_ARENA (6.9): memory shared between programs and the host: max_entries pages of 4096 bytes in one range of
 * linear memory, so that an arena pointer is an ordinary address. Pages belong to a program once allocated.
 * kernel/bpf/arena.c @ v6.12.
 */
export class ArenaMap extends MapBase implements EmbeddedArena {
  override readonly lookupGives = "none";
  readonly base: number;
  readonly size: number;
  /** One byte for each page: 1 when allocated. */
  private readonly taken: Uint8Array;

  constructor(parts: MapParts) {
    super(parts);
    this.base = parts.module.memory.view.getUint32(parts.address + MAP_VALUES, true);
    this.size = parts.spec.maxEntries * ARENA_PAGE;
    this.taken = new Uint8Array(parts.spec.maxEntries);
  }

  /** Pages allocated. */
  override get count(): number {
    return this.taken.reduce((sum, page) => sum + page, 0);
  }

  /** Puts `data` at the start of the range, on pages that count as allocated. */
  initialise(data: Uint8Array): void {
    this.taken.fill(1, 0, Math.ceil(data.length / ARENA_PAGE));
    this.module.memory.write(this.base, data);
  }

  override arenaAlloc(address: number, pages: number): number {
    if (!(pages >= 1) || pages > this.taken.length) return 0;
    let first = address === 0 ? 0 : (address - this.base) / ARENA_PAGE;
    if (!Number.isInteger(first) || first < 0 || first > this.taken.length - pages) return 0;
    if (address === 0) first = this.findFree(pages);
    else if (this.taken.subarray(first, first + pages).includes(1)) return 0;
    if (first < 0) return 0;
    this.taken.fill(1, first, first + pages);
    const at = this.base + first * ARENA_PAGE;
    this.module.memory.u8.fill(0, at, at + pages * ARENA_PAGE);
    return at;
  }

  override arenaFree(address: number, pages: number): void {
    const first = Math.floor((address - this.base) / ARENA_PAGE);
    if (first < 0 || first >= this.taken.length || !(pages >= 1)) return;
    this.taken.fill(0, first, Math.min(this.taken.length, first + pages));
  }

  /** Arenas have no elements. */
  override *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {}

  protected override sysLookup(_key: Uint8Array): number {
    return -EOPNOTSUPP;
  }
  protected override sysUpdate(_key: Uint8Array, _value: Uint8Array, _flags: number): number {
    return -EOPNOTSUPP;
  }
  protected override sysDelete(_key: Uint8Array): number {
    return -EOPNOTSUPP;
  }
  protected override sysNextKey(_key: Uint8Array | undefined): number {
    return -EOPNOTSUPP;
  }

  protected override release(): void {
    const pages = this.module.memory.view.getUint32(this.address + ARENA_WASM_PAGES, true);
    this.wasm.freePages(this.base, pages);
  }

  /** First page of a free run; -1: none. */
  private findFree(pages: number): number {
    let run = 0;
    for (let page = 0; page < this.taken.length; page++) {
      run = this.taken[page] === 0 ? run + 1 : 0;
      if (run === pages) return page - pages + 1;
    }
    return -1;
  }
}
