import type { Arch } from "../sys/index.ts";

const MAGIC = "glibc-ld.so.cache1.1";
const HEADER_SIZE = 48;
const ENTRY_SIZE = 24;
/** Flags of libraries that 64-bit programs load: FLAG_ELF_LIBC6 with the processor's own (sysdeps/generic/ldconfig.h of glibc). */
const FLAGS: Readonly<Record<Arch, number>> = { x64: 0x0303, arm64: 0x0a03 };

/**
 * `/etc/ld.so.cache` (glibc 2.2 and newer): paths of libraries by name. Where several builds of one library are there for
 * newer processors, the one for all. Empty for what is not such a file.
 */
export function parseLdCache(bytes: Uint8Array, arch: Arch): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  const start = startOf(bytes);
  if (start === undefined) return paths;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const count = view.getUint32(20, true);
  const text = (at: number): string => {
    const end = bytes.indexOf(0, start + at);
    return new TextDecoder().decode(bytes.subarray(start + at, end < 0 ? bytes.length : end));
  };
  for (let i = 0, at = HEADER_SIZE; i < count && at + ENTRY_SIZE <= view.byteLength; i++, at += ENTRY_SIZE) {
    if (view.getUint32(at, true) !== FLAGS[arch] || view.getBigUint64(at + 16, true) !== 0n) continue;
    const name = text(view.getUint32(at + 4, true));
    if (!paths.has(name)) paths.set(name, text(view.getUint32(at + 8, true)));
  }
  return paths;
}

/** Older glibc puts a table of the old format before this one; names count from this one's start. */
function startOf(bytes: Uint8Array): number | undefined {
  const head = new TextDecoder("latin1").decode(bytes);
  const start = head.indexOf(MAGIC);
  return start < 0 || start + HEADER_SIZE > bytes.length ? undefined : start;
}
