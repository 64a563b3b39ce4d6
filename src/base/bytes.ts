import { BpfError } from "./error.ts";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex, two digits a byte, no separators. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/**
 * Bytes of a hex string; white space, `:` and a leading `0x` are skipped.
 * @throws BpfError `base/bad-hex` on an odd number of digits or a character that is no hex digit.
 */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/^\s*0x/i, "").replace(/[\s:]/g, "");
  const bad = digits.search(/[^0-9a-f]/i);
  if (bad >= 0) {
    throw new BpfError("base/bad-hex", `'${digits[bad]}' at digit ${bad} is not a hex digit`, {
      offset: bad >> 1,
    });
  }
  if (digits.length % 2 !== 0) {
    throw new BpfError("base/bad-hex", `hex text has an odd number of digits (${digits.length})`, {
      hint: "write two digits for each byte",
    });
  }
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** True when both hold the same bytes. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The parts one after the other in a new array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The text up to the first NUL from `offset` (or up to the end), decoded as UTF-8. */
export function cString(bytes: Uint8Array, offset = 0): string {
  let end = bytes.indexOf(0, offset);
  if (end < 0) end = bytes.length;
  return new TextDecoder().decode(bytes.subarray(offset, end));
}

/** `n` rounded up to a multiple of `align`, a power of two. Both below 2^31. */
export function alignUp(n: number, align: number): number {
  return (n + align - 1) & ~(align - 1);
}
