/** Facts about one atomic operation. */
export interface AtomicRow {
  /** The instruction's `imm`. */
  readonly imm: number;
  /**
   * Shape of the text and of the data flow:
   * `rmw` changes memory only; `fetch` also gives the old value to `src`; `xchg` likewise; `cmpxchg` compares with
   * r0 and gives the old value to r0; `load` reads memory (at `src`) into `dst`; `store` writes `src` to memory at `dst`.
   */
  readonly shape: "rmw" | "fetch" | "xchg" | "cmpxchg" | "load" | "store";
  /** Operator of an `rmw`, name of the rest, in LLVM's assembler. */
  readonly sym: string;
  /** First kernel that runs it. */
  readonly since: string;
  /** Runs on 1 and 2 bytes too; the others on 4 and 8 only. */
  readonly narrow?: true;
}

/** Atomic operations of `STX | ATOMIC`, RFC 9669 §5.3 and (from 6.15) `include/uapi/linux/bpf.h`. */
export const ATOMIC_OPS = {
  add: { imm: 0x00, shape: "rmw", sym: "+=", since: "3.18" },
  or: { imm: 0x40, shape: "rmw", sym: "|=", since: "5.12" },
  and: { imm: 0x50, shape: "rmw", sym: "&=", since: "5.12" },
  xor: { imm: 0xa0, shape: "rmw", sym: "^=", since: "5.12" },
  fetch_add: { imm: 0x01, shape: "fetch", sym: "atomic_fetch_add", since: "5.12" },
  fetch_or: { imm: 0x41, shape: "fetch", sym: "atomic_fetch_or", since: "5.12" },
  fetch_and: { imm: 0x51, shape: "fetch", sym: "atomic_fetch_and", since: "5.12" },
  fetch_xor: { imm: 0xa1, shape: "fetch", sym: "atomic_fetch_xor", since: "5.12" },
  xchg: { imm: 0xe1, shape: "xchg", sym: "xchg", since: "5.12" },
  cmpxchg: { imm: 0xf1, shape: "cmpxchg", sym: "cmpxchg", since: "5.12" },
  load_acquire: { imm: 0x100, shape: "load", sym: "load_acquire", since: "6.15", narrow: true },
  store_release: { imm: 0x110, shape: "store", sym: "store_release", since: "6.15", narrow: true },
} as const satisfies Record<string, AtomicRow>;
/** Name of an atomic operation. */
export type AtomicOp = keyof typeof ATOMIC_OPS;

/** Row whose `imm` this is, or undefined. */
export function atomicRow(imm: number): AtomicRow | undefined {
  for (const row of Object.values(ATOMIC_OPS)) if (row.imm === imm) return row;
  return undefined;
}
