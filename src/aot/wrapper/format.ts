/** Flags, width, length and letter of a conversion. */
const CONVERSION = /%([-+ #0]*)(\d*)(?:ll|l|hh|h|z)?([diuxXpcs%])/g;
const MAX_STRING = 512;

/** What `bpf_trace_printk` makes of a format in memory: integers, `%c`, `%s` of strings in memory, `%p` in hex. */
export function formatLine(memory: Uint8Array, at: number, size: number, args: readonly bigint[]): string {
  let next = 0;
  return textAt(memory, at, size).replace(
    CONVERSION,
    (all: string, flags: string, width: string, letter: string) => {
      if (letter === "%") return "%";
      const wide = /ll|l|z/.test(all);
      const text = conversion(memory, letter, wide, args[next++] ?? 0n);
      const signed = flags.includes("+") && /[di]/.test(letter) && !text.startsWith("-") ? `+${text}` : text;
      if (flags.includes("-")) return signed.padEnd(Number(width));
      return signed.padStart(Number(width), flags.includes("0") && letter !== "s" ? "0" : " ");
    },
  );
}

function conversion(memory: Uint8Array, letter: string, wide: boolean, value: bigint): string {
  const bits = wide ? 64 : 32;
  switch (letter) {
    case "d":
    case "i":
      return String(BigInt.asIntN(bits, value));
    case "u":
      return String(BigInt.asUintN(bits, value));
    case "c":
      return String.fromCharCode(Number(value & 0xffn));
    case "s":
      return textAt(memory, Number(value), MAX_STRING);
    case "p":
      return BigInt.asUintN(64, value).toString(16).padStart(16, "0");
    case "X":
      return BigInt.asUintN(bits, value).toString(16).toUpperCase();
    default:
      return BigInt.asUintN(bits, value).toString(16);
  }
}

/** Text up to its NUL. */
function textAt(memory: Uint8Array, at: number, size: number): string {
  const bytes = memory.subarray(at, at + size);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
