import { BpfError } from "../../base/index.ts";
import { PACKET_BYTES } from "../layout.ts";
import type { KernelModule } from "../wasm-module.ts";

/** The error for a run whose input BPF_PROG_TEST_RUN would refuse with `errno`. */
export function badInput(errno: string, message: string, hint?: string): BpfError {
  return new BpfError("runtime/bad-input", message, { errno, ...(hint === undefined ? {} : { hint }) });
}

/**
 * The caller's context padded to `size` bytes; a longer one is fine as long as the rest is zero
 * (`bpf_check_uarg_tail_zero`). @throws BpfError with E2BIG.
 */
export function contextInput(given: Uint8Array | undefined, size: number): Uint8Array {
  const ctx = new Uint8Array(size);
  if (given === undefined) return ctx;
  if (given.subarray(size).some((byte) => byte !== 0)) {
    throw badInput(
      "E2BIG",
      `the context has ${given.length} bytes, the type's has ${size}`,
      "shorten it or zero the rest",
    );
  }
  ctx.set(given.subarray(0, size));
  return ctx;
}

/** @throws BpfError with EINVAL unless every byte of the ranges `[from, to)` is zero. */
export function requireZero(
  ctx: Uint8Array,
  ranges: readonly (readonly [number, number])[],
  what: string,
): void {
  for (const [from, to] of ranges) {
    for (let at = from; at < to; at++) {
      if (ctx[at] === 0) continue;
      throw badInput("EINVAL", `byte ${at} of ${what} cannot be chosen by the caller`, "leave it zero");
    }
  }
}

/** Blocks of linear memory that live as long as one `Program.run`, each with PACKET_BYTES in front of it. */
export class RunMemory {
  private readonly module: KernelModule;
  private readonly blocks: number[] = [];

  constructor(module: KernelModule) {
    this.module = module;
  }

  /** Zeroed bytes. @throws BpfError `runtime/out-of-memory`. */
  alloc(size: number): number {
    const address = this.tryAlloc(size);
    if (address === 0) {
      this.freeAll();
      throw new BpfError("runtime/out-of-memory", `no room for ${size} bytes of packet and context`, {
        errno: "ENOMEM",
      });
    }
    return address;
  }

  /** Zeroed bytes; 0 when there is no room. */
  tryAlloc(size: number): number {
    const address = this.module.exports.alloc(PACKET_BYTES + size) >>> 0;
    if (address === 0) return 0;
    this.blocks.push(address);
    return address + PACKET_BYTES;
  }

  freeAll(): void {
    this.freeAfter(0);
  }

  /** Frees all but the first `kept` blocks. */
  freeAfter(kept: number): void {
    if (this.blocks.length === kept) return;
    for (const block of this.blocks.splice(kept)) this.module.exports.free(block);
  }
}
