import type { Memory } from "../memory.ts";

/**
 * What a dynptr points to: `enum bpf_dynptr_type` of include/linux/bpf.h, and `"null"` for one that a failed call
 * left behind: every use of it is answered with an error number.
 */
export type DynptrKind = "null" | "local" | "ringbuf" | "skb" | "xdp";

/** Behind each 16-byte `struct bpf_dynptr` of a program: the host's record of it. */
export interface Dynptr {
  readonly kind: DynptrKind;
  /** First byte of the memory; 0 for packets, which move. */
  readonly base: number;
  /** Start of the view, relative to `base` or to the start of the packet. */
  readonly offset: number;
  readonly size: number;
  readonly readOnly: boolean;
  /** Kind and aux (`layout.ts`) of pointers into the memory. */
  readonly provenance: number;
  readonly aux: number;
  /** Reference that submit or discard ends; 0: none. */
  readonly reference: number;
}

/** A dynptr of nothing. */
export const NULL_DYNPTR: Dynptr = {
  kind: "null",
  base: 0,
  offset: 0,
  size: 0,
  readOnly: false,
  provenance: 0,
  aux: 0,
  reference: 0,
};

/** Linux: DYNPTR_MAX_SIZE; the kernel keeps the upper 8 bits of the size for itself. */
export const DYNPTR_MAX_SIZE = (1 << 24) - 1;

/**
 * The dynptrs that are alive in a run, by the address of the program's 16 bytes. Those bytes hold a serial number,
 * not an address: a program that writes over them or makes them up has no dynptr, and reaches no memory.
 */
export class DynptrTable {
  private readonly live = new Map<number, { readonly serial: number; readonly dynptr: Dynptr }>();
  private serial = 0;

  set(memory: Memory, address: number, dynptr: Dynptr): void {
    this.serial = (this.serial + 1) >>> 0 || 1;
    const isNull = dynptr.kind === "null";
    const serial = isNull ? 0 : this.serial; // a null dynptr is 16 zero bytes, as in Linux
    this.live.set(address, { serial, dynptr });
    const { view } = memory;
    view.setUint32(address, serial, true);
    view.setUint32(address + 4, 0, true);
    view.setUint32(address + 8, isNull ? 0 : dynptr.size, true);
    view.setUint32(address + 12, 0, true);
  }

  /** Undefined when no dynptr lies there, or the program wrote over it. */
  get(memory: Memory, address: number): Dynptr | undefined {
    const entry = this.live.get(address);
    if (entry === undefined || memory.view.getUint32(address, true) !== entry.serial) return undefined;
    return entry.dynptr;
  }

  delete(address: number): void {
    this.live.delete(address);
  }

  /** Drops the dynptrs of a reference: clones die with the record. */
  releaseAll(reference: number): void {
    for (const [address, { dynptr }] of this.live)
      if (dynptr.reference === reference) this.live.delete(address);
  }
}
