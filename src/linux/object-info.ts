import { cString, type Fd, type Sys } from "./sys/index.ts";

/**
 * The first `length` bytes of what the kernel says of a program, map, link or BTF object (`struct bpf_*_info` of the
 * UAPI, little-endian); bytes that this kernel does not know stay 0. Undefined when the descriptor is none of these.
 */
export function objectInfo(sys: Sys, fd: Fd, length: number): DataView | undefined {
  const info = new Uint8Array(length);
  const { result } = sys.tryBpf("BPF_OBJ_GET_INFO_BY_FD", { bpfFd: fd, infoLen: length, info });
  return result < 0 ? undefined : new DataView(info.buffer);
}

/** As {@link objectInfo}, of a descriptor that is known to be of such an object. @throws BpfError `linux/…`. */
export function knownInfo(sys: Sys, fd: Fd, length: number): DataView {
  const info = new Uint8Array(length);
  const input = { bpfFd: fd, infoLen: length, info };
  sys.bpf("BPF_OBJ_GET_INFO_BY_FD", input, { doing: `asking about ${fd.what}`, subject: fd.what });
  return new DataView(info.buffer);
}

/** Pins an object in a bpf filesystem. @throws BpfError `linux/…`. */
export function pinObject(sys: Sys, fd: Fd, path: string, what: string): void {
  const input = { pathname: cString(path), bpfFd: fd };
  sys.bpf("BPF_OBJ_PIN", input, { doing: `pinning ${what} at ${path}`, subject: path });
}

/** Text of a fixed field of an info struct: up to the first zero byte. */
export function fixedText(view: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
