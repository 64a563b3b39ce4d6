const PERCENT = 0x25;

/**
 * The format of `bpf_snprintf` and its kin is one the kernel prints, and has no more conversions than arguments.
 * `bpf_bprintf_prepare` without arguments @ v6.18
 */
export function isFormatValid(bytes: Uint8Array, numArgs: number): boolean {
  const end = bytes.indexOf(0);
  if (end < 0) return false;
  const at = (i: number): string => (i < end ? String.fromCharCode(bytes[i]) : "");
  let conversions = 0;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    if (byte < 0x80 && !isPrintable(byte) && !isSpace(byte)) return false;
    if (byte !== PERCENT) continue;
    if (at(i + 1) === "%") {
      i++;
      continue;
    }
    if (conversions >= numArgs) return false;
    const last = conversionEnd(at, i + 1);
    if (last < 0) return false;
    i = last;
    conversions++;
  }
  return true;
}

/** Index of the conversion's last character; -1: not one the kernel knows. */
function conversionEnd(at: (i: number) => string, start: number): number {
  let i = start;
  while (["0", "+", "-", " "].includes(at(i))) i++;
  if (/^[1-9]$/.test(at(i))) {
    i++;
    while (/^\d$/.test(at(i))) i++;
  }
  switch (at(i)) {
    case "p":
      return pointerEnd(at, i);
    case "s":
      return endsWord(at(i + 1)) ? i : -1;
    case "c":
      return i;
    default:
      break;
  }
  if (at(i) === "l") i++;
  if (at(i) === "l") i++;
  return ["i", "d", "u", "x", "X"].includes(at(i)) ? i : -1;
}

function pointerEnd(at: (i: number) => string, i: number): number {
  const next = at(i + 1);
  if (endsWord(next)) return i;
  if ((next === "k" || next === "u") && at(i + 2) === "s") return endsWord(at(i + 3)) ? i + 2 : -1;
  if (["K", "x", "s", "S", "B"].includes(next)) return i + 1;
  const isAddress = (next === "i" || next === "I") && (at(i + 2) === "4" || at(i + 2) === "6");
  return isAddress ? i + 2 : -1;
}

function endsWord(text: string): boolean {
  return text === "" || /^[\s!-/:-@[-`{-~]$/.test(text);
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
