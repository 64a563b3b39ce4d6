import { BpfError } from "../base/index.ts";

/**
 * A BTF string section: NUL-terminated strings, named by byte offset. Strings are made when asked for and kept.
 * A split BTF's offsets continue behind its base's.
 */
export class BtfStrings {
  private readonly bytes: Uint8Array;
  /** The section as text, one character a byte; undefined when it holds anything but ASCII. */
  private readonly ascii: string | undefined;
  /** By byte: index into `made` plus 1. A column, since a kernel's BTF asks 700,000 times. */
  private readonly index: Uint32Array;
  private readonly made: string[] = [];
  private readonly base: BtfStrings | undefined;
  private readonly start: number;

  constructor(bytes: Uint8Array, base?: BtfStrings) {
    this.bytes = bytes;
    this.ascii = asciiText(bytes);
    this.base = base;
    this.start = base === undefined ? 0 : base.end;
    this.index = new Uint32Array(bytes.length);
  }

  /** First offset behind the last string, counted from the start of the base. */
  get end(): number {
    return this.start + this.bytes.length;
  }

  /**
   * The string at byte `offset`, which may point into the middle of one.
   * @throws BpfError `btf/bad-string` when there is none.
   */
  get(offset: number): string {
    const at = offset - this.start;
    const known = this.index[at];
    if (known > 0) return this.made[known - 1];
    if (this.base !== undefined && at < 0) return this.base.get(offset);
    const text = this.read(at, offset);
    this.index[at] = this.made.push(text);
    return text;
  }

  /** Every string with its offset, those of the base first. */
  *entries(): Generator<[offset: number, text: string]> {
    if (this.base !== undefined) yield* this.base.entries();
    for (let at = 0; at < this.bytes.length; at = this.bytes.indexOf(0, at) + 1) {
      yield [this.start + at, this.get(this.start + at)];
    }
  }

  private read(at: number, offset: number): string {
    if (!(at >= 0 && at < this.bytes.length)) {
      throw new BpfError("btf/bad-string", `string offset ${offset} is outside the string section`, {
        offset,
        hint: `the section ends at ${this.end}; the BTF is damaged, build it again`,
      });
    }
    // The section's last byte is NUL, so the search always ends inside.
    if (this.ascii !== undefined) return this.ascii.slice(at, this.ascii.indexOf("\0", at));
    return new TextDecoder().decode(this.bytes.subarray(at, this.bytes.indexOf(0, at)));
  }
}

function asciiText(bytes: Uint8Array): string | undefined {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] >= 0x80) return undefined;
  return new TextDecoder("latin1").decode(bytes);
}
