/** Test help: name → bytes of an ELF64 object's sections, without the checks of the real reader in `elf/`. */
export function elfSections(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[5] === 1;
  const u64 = (at: number): number => Number(view.getBigUint64(at, little));
  const headers = u64(40);
  const size = view.getUint16(58, little);
  const count = view.getUint16(60, little);
  const raw = Array.from({ length: count }, (_, i) => {
    const at = headers + i * size;
    const isNoBits = view.getUint32(at + 4, little) === 8;
    const start = u64(at + 24);
    return {
      name: view.getUint32(at, little),
      bytes: bytes.subarray(start, isNoBits ? start : start + u64(at + 32)),
    };
  });
  const names = raw[view.getUint16(62, little)].bytes;
  const nameAt = (at: number): string => new TextDecoder().decode(names.subarray(at, names.indexOf(0, at)));
  return new Map(raw.map((section) => [nameAt(section.name), section.bytes]));
}
