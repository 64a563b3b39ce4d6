import { BpfError } from "../../base/index.ts";
import type { Arch } from "./numbers.ts";

/** The few functions of the C library that everything here goes through. */
export interface Libc {
  readonly arch: Arch;
  /** `syscall(2)`: the result, or the negative errno. Arguments are integers or addresses. */
  syscall(number: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word): number;
  /** As `syscall`, on a thread of its own: for calls that wait. */
  syscallAsync(number: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word): Promise<number>;
  /** Where the bytes lie; holds as long as the array is reachable. */
  addressOf(bytes: Uint8Array): bigint;
  /** The memory at an address. Reading it after it was unmapped kills the process: see `Mapping`. */
  view(address: bigint, length: number): ArrayBuffer;
}

/** An integer argument or an address. */
export type Word = number | bigint;

const SYSCALL_PROTOTYPE =
  "long syscall(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f)";

/**
 * Loads the FFI library (`koffi`) and binds the C library.
 * @throws BpfError `linux/not-linux` elsewhere, `linux/no-ffi` when koffi has no binary for this system.
 */
export async function openLibc(): Promise<Libc> {
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) {
    throw new BpfError("linux/not-linux", `this is ${process.platform} on ${process.arch}`, {
      hint: 'openKernel("linux") works on Linux, x86-64 and arm64; openKernel("embedded") works everywhere',
    });
  }
  const arch = process.arch;
  try {
    const { default: koffi } = await import("koffi");
    const call = koffi.load(null).func(SYSCALL_PROTOTYPE);
    return {
      arch,
      syscall(number, a, b, c, d, e, f) {
        const result = Number(call(number, a, b, c, d, e, f));
        return result === -1 ? -koffi.errno() : result;
      },
      syscallAsync(number, a, b, c, d, e, f) {
        return new Promise((resolve, reject) => {
          call.async(number, a, b, c, d, e, f, (error: Error | null, result: number | bigint) => {
            if (error) reject(error);
            else resolve(Number(result) === -1 ? -koffi.errno() : Number(result));
          });
        });
      },
      addressOf: (bytes) => BigInt(koffi.address(bytes)),
      view: (address, length) => koffi.view(address, length),
    };
  } catch (cause) {
    throw new BpfError("linux/no-ffi", `the FFI library koffi does not load: ${String(cause)}`, {
      hint: "npm install koffi (its binaries are optional packages: do not install with --omit=optional)",
      cause,
    });
  }
}
