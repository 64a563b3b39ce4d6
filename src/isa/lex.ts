/** One word of assembly text. */
export interface Token {
  readonly kind: "name" | "number" | "punct" | "note" | "bad";
  readonly text: string;
  /** Of a number. */
  readonly value: bigint;
  /** 1-based. */
  readonly column: number;
}

const WORD = new RegExp(
  [
    "[ \\t\\r\\f\\v]+",
    // 1f and 1b name the next and the previous label `1:`.
    "(?<near>\\d+[bf](?![\\w.$@]))",
    "(?<number>0x[0-9a-f]+|0b[01]+|\\d+|'(?:[^'\\\\]|\\\\.)')",
    // `s` belongs to the operator: s>>= s> s>= s< s<= s/= s%=
    "(?<signed>s(?:>>=|[<>]=?|[/%]=))",
    // `<local f>` after a call, `<f+0x8>` after a jump: notes, not operators.
    "(?<note><[^<>=\\s][^<>]*>)",
    "(?<name>[A-Za-z_.$][\\w.$@]*)",
    "(?<punct><<=|>>=|<<|>>|[-+*/%&|^=!<>]=|[-+*/%&|^=<>()\\[\\],:~!])",
    "(?<bad>[^])",
  ].join("|"),
  "giu",
);

const MAX_DIGITS = 80; // more cannot fit an instruction, and would take BigInt long to read

/** Words of one statement, whose text starts at 0-based `start` of its line. What is no word comes out as `bad`. */
export function lex(text: string, start: number): Token[] {
  const tokens: Token[] = [];
  for (const match of text.matchAll(WORD)) {
    const kind = kindOf(match.groups ?? {});
    if (kind === undefined) continue; // white space
    const value = kind === "number" ? numberOf(match[0]) : 0n;
    tokens.push({ kind, text: match[0], value, column: start + match.index + 1 });
  }
  return tokens;
}

function kindOf(groups: Readonly<Record<string, string | undefined>>): Token["kind"] | undefined {
  if (groups.name !== undefined || groups.near !== undefined) return "name";
  if (groups.number !== undefined) return groups.number.length > MAX_DIGITS ? "bad" : "number";
  if (groups.punct !== undefined || groups.signed !== undefined) return "punct";
  if (groups.note !== undefined) return "note";
  return groups.bad === undefined ? undefined : "bad";
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, b: 8, f: 12, "0": 0 };

function numberOf(word: string): bigint {
  if (word.startsWith("'")) {
    const char = word.slice(1, -1);
    if (char.startsWith("\\")) return BigInt(ESCAPES[char[1]] ?? char.charCodeAt(1));
    return BigInt(char.charCodeAt(0));
  }
  if (/^0[0-7]+$/.test(word)) return BigInt(`0o${word.slice(1)}`); // as LLVM: a leading 0 means octal
  return BigInt(word);
}
