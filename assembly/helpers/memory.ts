// Helpers that read memory at addresses the program worked out itself, and compare strings. Any address of the linear
// memory above the null page is readable; user and kernel addresses are the same thing here.
import { NULL_PAGE } from "../../src/runtime/layout";
import { EFAULT, ERANGE } from "../../src/runtime/maps/constants";
import { copyBytes } from "../maps/header";
import { chargeBytes } from "../work";

/** Linux on x86-64: user addresses end below 2^47 (TASK_SIZE_MAX), addresses have 57 significant bits. */
const USER_END: u64 = 1 << 47;
const ADDRESS_BITS: u64 = 57;

@inline
function memoryEnd(): u64 {
  return <u64>memory.size() << 16;
}

/** Can [address, address + size) be read without a fault? */
export function readable(address: u64, size: u32): bool {
  return address >= <u64>NULL_PAGE && address <= memoryEnd() && address + size <= memoryEnd();
}

/**
 * What Linux answers to reading kernel memory at an address that cannot be read: -ERANGE for a user's address (null
 * among them) or one that no CPU could have, -EFAULT for a kernel address where nothing is.
 */
export function kernelFault(address: u64): i32 {
  const unused: u64 = 64 - ADDRESS_BITS;
  const canonical = <u64>((<i64>(address << unused)) >> unused) == address;
  return address < USER_END || !canonical ? -ERANGE : -EFAULT;
}

@inline
function fail(to: u32, size: u32, address: u64, kernel: bool): i32 {
  chargeBytes(size);
  memory.fill(to, 0, size);
  return kernel ? kernelFault(address) : -EFAULT;
}

@inline
function read(to: u32, size: u32, from: u64, kernel: bool): i32 {
  if (size == 0) return 0;
  if (!readable(from, size)) return fail(to, size, from, kernel);
  copyBytes(to, <u32>from, size);
  return 0;
}

/** Copies up to a NUL or `size` bytes, always terminated; the length with the NUL. */
@inline
function readString(to: u32, size: u32, from: u64, kernel: bool): i32 {
  if (size == 0) return 0;
  if (!readable(from, 1)) {
    // A string that cannot be read at all, with room for nothing but the NUL, still gets that.
    return fail(to, size, from, kernel);
  }
  const start = <u32>from;
  const room = memoryEnd() - start;
  const last = size - 1;
  chargeBytes(size);
  for (let i: u32 = 0; i < last; i++) {
    if (<u64>i >= room) return fail(to, size, from, kernel);
    const byte = load<u8>(start + i);
    store<u8>(to + i, byte);
    if (!byte) return i + 1;
  }
  store<u8>(to + last, 0);
  return size;
}

/** `bpf_probe_read_kernel`: 0, or zeroes and -ERANGE, -EFAULT. */
export function probeReadKernel(to: u32, size: u32, from: u64): i32 {
  return read(to, size, from, true);
}

/** `bpf_probe_read_user`, `bpf_probe_read`, `bpf_copy_from_user`: 0, or zeroes and -EFAULT. */
export function probeReadUser(to: u32, size: u32, from: u64): i32 {
  return read(to, size, from, false);
}

/** `bpf_probe_read_kernel_str`: length with the NUL, or zeroes and -ERANGE, -EFAULT. */
export function probeReadKernelStr(to: u32, size: u32, from: u64): i32 {
  return readString(to, size, from, true);
}

/** `bpf_probe_read_user_str`, `bpf_probe_read_str`. */
export function probeReadUserStr(to: u32, size: u32, from: u64): i32 {
  return readString(to, size, from, false);
}

/** `bpf_strncmp`: -1, 0 or 1: where the first difference of two strings within `size` bytes points. */
export function strncmp(a: u32, size: u32, b: u32): i32 {
  chargeBytes(size);
  for (let i: u32 = 0; i < size; i++) {
    const x = load<u8>(a + i);
    const y = load<u8>(b + i);
    if (x != y) return x < y ? -1 : 1;
    if (!x) break;
  }
  return 0;
}
