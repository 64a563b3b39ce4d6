import { BpfError } from "../base/index.ts";

/** Longest name read: far above the kernel's 511, and a bound on what a hostile string table costs. */
const MAX_NAME = 8192;

/** Reads numbers at byte offsets. Callers have checked the bounds; outside them a RangeError would be our bug. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly length: number;
  private readonly view: DataView;
  readonly little: boolean;

  constructor(bytes: Uint8Array, little: boolean) {
    this.bytes = bytes;
    this.length = bytes.length;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = little;
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.little);
  }
  u32(at: number): number {
    return this.view.getUint32(at, this.little);
  }
  /** Exact below 2^53; above, rounded, which every bounds check still refuses. */
  u64(at: number): number {
    const [low, high] = this.little ? [at, at + 4] : [at + 4, at];
    return this.u32(high) * 2 ** 32 + this.u32(low);
  }
  s64(at: number): number {
    const [low, high] = this.little ? [at, at + 4] : [at + 4, at];
    return this.view.getInt32(high, this.little) * 2 ** 32 + this.u32(low);
  }
}

/** Names of a string table by byte offset. `offset`: where the table lies in the file, for messages. @throws BpfError `elf/bad-string`. */
export function stringTable(data: Uint8Array, offset: number): (at: number, user: number) => string {
  const seen = new Map<number, string>();
  const decoder = new TextDecoder();
  return (at, user) => {
    const known = seen.get(at);
    if (known !== undefined) return known;
    if (at === 0 && data.length === 0) return "";
    const end = at < data.length ? data.indexOf(0, at) : -1;
    if (end < 0 || end - at > MAX_NAME) {
      throw new BpfError(
        "elf/bad-string",
        `name at ${at} of a string table of ${data.length} bytes (file offset ${offset}) ${end < 0 ? "does not end in it" : "is too long"}`,
        { offset: user, hint: "the file is damaged: compile it again" },
      );
    }
    const text = decoder.decode(data.subarray(at, end));
    seen.set(at, text);
    return text;
  };
}

/** The error of a file that ends too early. */
export function truncated(what: string, at: number, need: number, have: number): BpfError {
  return new BpfError("elf/truncated", `${what} needs ${need} bytes at ${at}; the file has ${have}`, {
    offset: at,
    hint: "the file is cut short: copy or compile it again",
  });
}
