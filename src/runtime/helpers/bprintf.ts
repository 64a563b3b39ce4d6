// The formatter behind trace_printk, snprintf and seq_printf: one algorithm, in the two steps of the kernel. First
// the whole format is checked and the arguments are packed (an error leaves no output), then it is rendered.
import type { Memory } from "../memory.ts";
import { EINVAL, ENOSPC } from "./errno.ts";
import { readable, readCString } from "./probe-memory.ts";

/** Linux: MAX_BPRINTF_VARARGS. */
export const MAX_BPRINTF_VARARGS = 12;
/** Linux: MAX_BPRINTF_BUF, the longest trace line with its NUL. */
export const MAX_BPRINTF_BUF = 1024;
/** Linux: MAX_BPRINTF_BIN_ARGS, the room for packed arguments; strings are cut to what is left of it. */
const BIN_ARGS = 512;

/** Text as far as there was room for it, and how long all of it would be. */
export interface Formatted {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** A piece of the text to be rendered. */
type Piece =
  | { readonly kind: "text"; readonly bytes: Uint8Array }
  | { readonly kind: "string"; readonly bytes: Uint8Array; readonly spec: Spec }
  | { readonly kind: "char"; readonly code: number; readonly spec: Spec }
  | { readonly kind: "number"; readonly value: bigint; readonly spec: Spec }
  | { readonly kind: "pointer"; readonly value: bigint; readonly letter: string; readonly spec: Spec };

interface Spec {
  readonly left: boolean;
  readonly zero: boolean;
  readonly plus: boolean;
  readonly space: boolean;
  /** -1: none. */
  readonly width: number;
  readonly conversion: string;
}

const NO_BYTES = new Uint8Array(0);
const PERCENT = 0x25;
const SPACE = 0x20;
const ZERO = 0x30;
/** Linux: FIELD_WIDTH_MAX. */
const FIELD_WIDTH_MAX = (1 << 23) - 1;

/**
 * Renders `format` (bytes up to its NUL) with the 64-bit arguments that the program gave. The format is what the
 * kernel accepts in programs: flags `0 + - space`, a width, `%c %s %p %px %pK %pB %ps %pS %pks %pus %pI4 %pi4 %pI6
 * %pi6` and `%d %i %u %x %X` with `l` or `ll`. Addresses given to `%s` and `%pI` are read without a fault: what is
 * not readable prints as empty or as zeros.
 *
 * @returns the text without a NUL, cut to `room` bytes, or a negated errno: EINVAL for a format that has no NUL in its
 *   `size` bytes, has a conversion unknown here, or more conversions than arguments; ENOSPC for arguments that take
 *   more than 512 bytes.
 * @see kernel/bpf/helpers.c `bpf_bprintf_prepare`, lib/vsprintf.c `bstr_printf` @ v6.12
 */
export function bprintf(
  memory: Memory,
  format: Uint8Array,
  args: readonly bigint[],
  room: number,
): Formatted | number {
  const end = format.indexOf(0);
  if (end < 0) return -EINVAL;
  const pieces: Piece[] = [];
  const error = prepare(memory, format.subarray(0, end), args, pieces);
  return error < 0 ? error : render(pieces, room);
}

/** The 64-bit words at `address`, in order: the argument array of `snprintf`, `trace_vprintk`, `seq_printf`. */
export function wordsAt(memory: Memory, address: number, bytes: number): bigint[] {
  const words: bigint[] = [];
  for (let at = 0; at < bytes; at += 8) words.push(memory.view.getBigUint64(address + at, true));
  return words;
}

function prepare(memory: Memory, format: Uint8Array, args: readonly bigint[], out: Piece[]): number {
  const packed = new PackedSize();
  const at = (i: number): string => (i < format.length ? String.fromCharCode(format[i]) : "\0");
  let textStart = 0;
  let argument = 0;
  let i = 0;
  while (i < format.length) {
    if (!isPlain(format[i])) return -EINVAL;
    if (format[i] !== PERCENT) {
      i++;
      continue;
    }
    out.push({ kind: "text", bytes: format.subarray(textStart, i) });
    if (at(i + 1) === "%") {
      textStart = i + 1; // the second percent sign is the start of the next text
      i += 2;
      continue;
    }
    if (argument >= args.length) return -EINVAL;
    const value = args[argument++];
    const parsed = parseSpec(format, i + 1);
    const spec = parsed.spec;
    i = parsed.next;
    if (spec.conversion === "p") {
      const piece = pointerPiece(memory, at, i, value, spec, packed);
      if (typeof piece === "number") return piece;
      out.push(piece);
      // What follows the `p` and is a letter or digit belongs to the conversion, known or not.
      while (isAlnum(at(i))) i++;
    } else if (spec.conversion === "s") {
      if (!endsSpec(at(i))) return -EINVAL;
      const bytes = packed.string(memory, value);
      if (bytes === undefined) return -ENOSPC;
      out.push({ kind: "string", bytes, spec });
    } else if (spec.conversion === "c") {
      if (!packed.add(1, 1)) return -ENOSPC;
      out.push({ kind: "char", code: Number(value & 0xffn), spec });
    } else {
      const piece = numberPiece(format, parsed, value, packed);
      if (typeof piece === "number") return piece;
      out.push(piece.piece);
      i = piece.next;
    }
    textStart = i;
  }
  out.push({ kind: "text", bytes: format.subarray(textStart) });
  return 0;
}

/** How much of the packed-argument buffer is taken; decides where strings are cut and when there is no room. */
class PackedSize {
  private used = 0;

  add(bytes: number, align: number): boolean {
    const start = Math.ceil(this.used / align) * align;
    if (start + bytes > BIN_ARGS) return false;
    this.used = start + bytes;
    return true;
  }

  /** The string at `address`, cut to the room left; empty when it cannot be read; undefined when there is no room. */
  string(memory: Memory, address: bigint): Uint8Array | undefined {
    const room = BIN_ARGS - this.used;
    if (room === 0) return undefined;
    const text = readCString(memory, address, room - 1);
    if (text === undefined) {
      this.used += 1;
      return NO_BYTES;
    }
    this.used += text.length + 1;
    return text.slice();
  }
}

function parseSpec(format: Uint8Array, start: number): { spec: Spec; next: number; lettersAt: number } {
  let i = start;
  let left = false;
  let zero = false;
  let plus = false;
  let space = false;
  for (; i < format.length; i++) {
    const flag = String.fromCharCode(format[i]);
    if (flag === "-") left = true;
    else if (flag === "0") zero = true;
    else if (flag === "+") plus = true;
    else if (flag === " ") space = true;
    else break;
  }
  let width = -1;
  while (i < format.length && isDigit(format[i])) {
    width = Math.min(Math.max(width, 0) * 10 + format[i] - 0x30, FIELD_WIDTH_MAX);
    i++;
  }
  const conversion = i < format.length ? String.fromCharCode(format[i]) : "\0";
  return { spec: { left, zero, plus, space, width, conversion }, next: i + 1, lettersAt: i };
}

function pointerPiece(
  memory: Memory,
  at: (i: number) => string,
  i: number,
  value: bigint,
  spec: Spec,
  packed: PackedSize,
): Piece | number {
  const letter = at(i);
  if (endsSpec(letter) || letter === "K" || letter === "x" || letter === "s" || letter === "S") {
    if (!packed.add(8, 4)) return -ENOSPC;
    return { kind: "pointer", value, letter: isAlnum(letter) ? letter : "", spec };
  }
  if ((letter === "k" || letter === "u") && at(i + 1) === "s") {
    if (!endsSpec(at(i + 2))) return -EINVAL;
    const bytes = packed.string(memory, value);
    return bytes === undefined ? -ENOSPC : { kind: "text", bytes };
  }
  if (letter === "B") {
    const bytes = ascii(`0x${value.toString(16)}`);
    packed.add(bytes.length + 1, 1);
    return { kind: "text", bytes };
  }
  const version = at(i + 1);
  if ((letter !== "i" && letter !== "I") || (version !== "4" && version !== "6")) return -EINVAL;
  const size = version === "4" ? 4 : 16;
  const address = readable(memory, value, size) ? memory.read(Number(value), size) : new Uint8Array(size);
  const bytes = ascii(
    version === "4" ? formatIp4(address, letter === "i") : formatIp6(address, letter === "i"),
  );
  if (!packed.add(size, 1)) return -ENOSPC;
  packed.add(bytes.length + 1 - size, 1);
  return { kind: "text", bytes };
}

function numberPiece(
  format: Uint8Array,
  parsed: { spec: Spec; lettersAt: number },
  value: bigint,
  packed: PackedSize,
): { piece: Piece; next: number } | number {
  let i = parsed.lettersAt;
  let longs = 0;
  while (longs < 2 && format[i] === 0x6c /* l */) {
    longs++;
    i++;
  }
  const conversion = i < format.length ? String.fromCharCode(format[i]) : "\0";
  if (!"iduxX".includes(conversion)) return -EINVAL;
  const size = longs > 0 ? 8 : 4;
  if (!packed.add(size, 4)) return -ENOSPC;
  const signed = conversion === "i" || conversion === "d";
  const number = signed ? BigInt.asIntN(size * 8, value) : BigInt.asUintN(size * 8, value);
  return { piece: { kind: "number", value: number, spec: { ...parsed.spec, conversion } }, next: i + 1 };
}

/** A piece as it appears: `fill` repeated `count` times between two texts. */
interface Shown {
  readonly before: Uint8Array;
  readonly fill: number;
  readonly count: number;
  readonly after: Uint8Array;
}

/** Widths go up to eight million, so padding beyond the room is only counted. */
function render(pieces: readonly Piece[], room: number): Formatted {
  const shown = pieces.map(show);
  const length = shown.reduce(
    (sum, { before, count, after }) => sum + before.length + count + after.length,
    0,
  );
  const bytes = new Uint8Array(Math.min(length, room));
  let at = 0;
  const put = (text: Uint8Array): void => {
    if (at < bytes.length) bytes.set(text.subarray(0, bytes.length - at), at);
    at += text.length;
  };
  for (const { before, fill, count, after } of shown) {
    put(before);
    bytes.fill(fill, Math.min(at, bytes.length), Math.min(at + count, bytes.length));
    at += count;
    put(after);
  }
  return { bytes, length };
}

function show(piece: Piece): Shown {
  switch (piece.kind) {
    case "text":
      return { before: piece.bytes, fill: SPACE, count: 0, after: NO_BYTES };
    case "string":
      return pad(piece.bytes, piece.spec);
    case "char":
      return pad(Uint8Array.of(piece.code), piece.spec);
    case "number":
      return showNumber(piece.value, piece.spec);
    case "pointer":
      return showPointer(piece.value, piece.letter, piece.spec);
  }
}

function showPointer(value: bigint, letter: string, spec: Spec): Shown {
  // No symbol lies at any address here, and for an address without a symbol Linux prints the number.
  if (letter === "s" || letter === "S") return pad(ascii(`0x${value.toString(16)}`), spec);
  const number = letter === "x" || isNullOrError(value) ? value : hashAddress(value);
  const padded = spec.width < 0 ? { ...spec, zero: true, width: 16 } : spec;
  return padDigits(number.toString(16), "", padded);
}

/** Linux: IS_ERR_OR_NULL: not addresses, so printed as they are. */
function isNullOrError(value: bigint): boolean {
  return value === 0n || value >= 0xffff_ffff_ffff_f001n;
}

/** Linux shows a 32-bit hash for `%p`, so that logs do not give addresses away. Ours mixes with fixed constants. */
function hashAddress(value: bigint): bigint {
  let x = BigInt.asUintN(64, value * 0x9e37_79b9_7f4a_7c15n);
  x = BigInt.asUintN(64, (x ^ (x >> 32n)) * 0xd6e8_feb8_6659_fd93n);
  return (x ^ (x >> 32n)) & 0xffff_ffffn;
}

function showNumber(value: bigint, spec: Spec): Shown {
  const hex = spec.conversion === "x" || spec.conversion === "X";
  const lower = (value < 0n ? -value : value).toString(hex ? 16 : 10);
  const signed = spec.conversion === "d" || spec.conversion === "i";
  let sign = "";
  if (signed) sign = value < 0n ? "-" : spec.plus ? "+" : spec.space ? " " : "";
  return padDigits(spec.conversion === "X" ? lower.toUpperCase() : lower, sign, spec);
}

function padDigits(digits: string, sign: string, spec: Spec): Shown {
  const count = Math.max(0, spec.width - digits.length - sign.length);
  if (spec.zero && !spec.left) return { before: ascii(sign), fill: ZERO, count, after: ascii(digits) };
  return pad(ascii(sign + digits), spec);
}

function pad(bytes: Uint8Array, spec: Spec): Shown {
  const count = Math.max(0, spec.width - bytes.length);
  return spec.left
    ? { before: bytes, fill: SPACE, count, after: NO_BYTES }
    : { before: NO_BYTES, fill: SPACE, count, after: bytes };
}

function formatIp4(address: Uint8Array, leadingZeros: boolean): string {
  return [...address].map((byte) => byte.toString().padStart(leadingZeros ? 3 : 0, "0")).join(".");
}

function formatIp6(address: Uint8Array, compact: boolean): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2)
    groups.push(((address[i] << 8) | address[i + 1]).toString(16).padStart(4, "0"));
  return groups.join(compact ? "" : ":");
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isPlain(byte: number): boolean {
  return byte >= 0x80 || (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isAlnum(character: string): boolean {
  return /[0-9A-Za-z]/.test(character);
}

/** End of text, white space or punctuation: what may follow `%s` and a bare `%p`. */
function endsSpec(character: string): boolean {
  return character === "\0" || /[\t-\r -/:-@[-`{-~]/.test(character);
}
