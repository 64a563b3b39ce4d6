/** One word of assembly text. */
export interface Token {
  readonly kind: "name" | "number" | "punct" | "note" | "bad";
  readonly text: string;
  /** Of a number. */
  readonly value: bigint;
  /** 1-based. */
  readonly column: number;
}

const PATTERNS: readonly { kind: Token["kind"] | "space"; pattern: RegExp }[] = [
  { kind: "space", pattern: /[ \t\r\f\v]+/y },
  // 1f and 1b name the next and the previous label `1:`.
  { kind: "name", pattern: /\d+[bf](?![\w.$@])/y },
  { kind: "number", pattern: /0x[0-9a-f]+|0b[01]+|\d+/iy },
  { kind: "number", pattern: /'(?:[^'\\]|\\.)'/y },
  // `s` belongs to the operator: s>>= s> s>= s< s<= s/= s%=
  { kind: "punct", pattern: /s(?:>>=|[<>]=?|[/%]=)/y },
  // `<local f>` after a call, `<f+0x8>` after a jump: notes, not operators.
  { kind: "note", pattern: /<[^<>=\s][^<>]*>/y },
  { kind: "name", pattern: /[A-Za-z_.$][\w.$@]*/y },
  { kind: "punct", pattern: /<<=|>>=|<<|>>|[-+*/%&|^=!<>]=|[-+*/%&|^=<>()[\],:~!{}]/y },
];

/** Words of one statement, whose text starts at 0-based `start` of its line. What is no word comes out as `bad`. */
export function lex(text: string, start: number): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    const { kind, word } = wordAt(text, at);
    if (kind !== "space") {
      const value = kind === "number" ? numberOf(word) : 0n;
      tokens.push({ kind, text: word, value, column: start + at + 1 });
    }
    at += word.length;
  }
  return tokens;
}

function wordAt(text: string, at: number): { kind: Token["kind"] | "space"; word: string } {
  for (const { kind, pattern } of PATTERNS) {
    const sticky = new RegExp(pattern); // a copy: lastIndex is state
    sticky.lastIndex = at;
    const word = sticky.exec(text)?.[0];
    if (word !== undefined) return { kind, word };
  }
  return { kind: "bad", word: String.fromCodePoint(text.codePointAt(at) ?? 0) };
}

const ESCAPES: Record<string, number> = { n: 10, t: 9, r: 13, b: 8, f: 12, "0": 0 };

function numberOf(word: string): bigint {
  if (word.startsWith("'")) {
    const char = word.slice(1, -1);
    if (char.startsWith("\\")) return BigInt(ESCAPES[char[1]] ?? char.charCodeAt(1));
    return BigInt(char.charCodeAt(0));
  }
  if (/^0[0-7]+$/.test(word)) return BigInt(`0o${word.slice(1)}`); // as LLVM: a leading 0 means octal
  return BigInt(word);
}
