import { ALU_OPS, JMP_OPS } from "../../src/isa/index.ts";

/**
 * LLVM's spelling of a program in the assembly of bpf_conformance's test files (`mov32 %r0, 1`), which is the one of
 * uBPF. One output line per input line, so that diagnostics keep their line. For tests only.
 * @throws Error naming the line that cannot be read.
 */
export function toLlvmSyntax(text: string): string {
  let exits = 0;
  const ownExit = /^\s*exit:/m.test(text);
  return text
    .split("\n")
    .map((line, index) => {
      const code = line.replace(/#.*/, "").trim();
      if (code === "") return "";
      const label = /^([A-Za-z_]\w*):$/.exec(code);
      if (label !== null) return `${labelName(label[1])}:`;
      const converted = statement(code);
      if (converted === undefined) throw new Error(`line ${index + 1}: cannot convert '${code}'`);
      // The first `exit` has the label `exit` without being given it.
      return code.toLowerCase() === "exit" && exits++ === 0 && !ownExit
        ? `${labelName("exit")}: exit`
        : converted;
    })
    .join("\n");
}

type Rule = readonly [RegExp, (match: string[]) => string | undefined];

const REG = "%r(\\d+)";
const MEM = "\\[%r(\\d+)\\s*([-+]\\s*\\w+)?\\]";
const VALUE = "(\\S+)";
const TYPES: Readonly<Record<string, string>> = { b: "8", h: "16", w: "32", dw: "64" };

const rule = (pattern: string, write: (match: string[]) => string | undefined): Rule => [
  new RegExp(`^${pattern.replaceAll(" ", "\\s+").replaceAll(",", "\\s*,\\s*")}$`, "i"),
  write,
];

const RULES: readonly Rule[] = [
  rule("exit", () => "exit"),
  rule(`lddw ${REG},${VALUE}`, ([, dst, value]) => `r${dst} = ${value} ll`),
  rule(`ldx(s?)(dw|[bhw]) ${REG},${MEM}`, ([, sign, size, dst, base, off]) => {
    return `r${dst} = *(${sign === "" ? "u" : "s"}${TYPES[size]} *)(${address(base, off)})`;
  }),
  rule(
    `stx(dw|[bhw]) ${MEM},${REG}`,
    ([, size, base, off, src]) => `*(u${TYPES[size]} *)(${address(base, off)}) = r${src}`,
  ),
  rule(
    `st(dw|[bhw]) ${MEM},${VALUE}`,
    ([, size, base, off, value]) => `*(u${TYPES[size]} *)(${address(base, off)}) = ${value}`,
  ),
  rule(`neg(32)? ${REG}`, ([, narrow, dst]) => `${width(narrow)}${dst} = -${width(narrow)}${dst}`),
  rule(`(le|be|bswap|swap)(16|32|64) ${REG}`, ([, name, bits, dst]) => {
    return `r${dst} = ${name === "swap" ? "bswap" : name}${bits} r${dst}`;
  }),
  rule(`movsx(8|16|32)(32|64) ${REG},${REG}`, ([, from, to, dst, src]) => {
    const r = to === "64" ? "r" : "w";
    return `${r}${dst} = (s${from})${r}${src}`;
  }),
  rule(`ja(32)? ${VALUE}`, ([, long, target]) => `goto${long === undefined ? "" : "l"} ${labelName(target)}`),
  rule(`call local ${VALUE}`, ([, target]) => `call ${labelName(target)}`),
  rule(`call ${REG}`, ([, target]) => `callx r${target}`),
  rule("call (\\d+)", ([, id]) => `call ${id}`),
  rule(`lock (fetch )?(\\w+?)(32)? ${MEM},${REG}`, ([, fetch, name, narrow, base, off, src]) => {
    return atomic(fetch !== undefined, name.toLowerCase(), narrow !== undefined, address(base, off), src);
  }),
  rule(`(\\w+?)(32)? ${REG},${REG}`, ([, name, narrow, dst, src]) =>
    alu(name, narrow, dst, `${width(narrow)}${src}`),
  ),
  rule(`(\\w+?)(32)? ${REG},${VALUE}`, ([, name, narrow, dst, value]) => alu(name, narrow, dst, value)),
  rule(`(\\w+?)(32)? ${REG},${REG},${VALUE}`, ([, name, narrow, dst, src, target]) => {
    return jump(name, narrow, dst, `${width(narrow)}${src}`, target);
  }),
  rule(`(\\w+?)(32)? ${REG},${VALUE},${VALUE}`, ([, name, narrow, dst, value, target]) =>
    jump(name, narrow, dst, value, target),
  ),
];

function statement(code: string): string | undefined {
  for (const [pattern, write] of RULES) {
    const match = pattern.exec(code);
    const written = match === null ? undefined : write([...match]);
    if (written !== undefined) return written;
  }
  return undefined;
}

function width(narrow: string | undefined): "r" | "w" {
  return narrow === undefined ? "r" : "w";
}

function address(base: string, off: string | undefined): string {
  return off === undefined ? `r${base}` : `r${base} ${off}`;
}

function alu(name: string, narrow: string | undefined, dst: string, right: string): string | undefined {
  const row = Object.entries(ALU_OPS).find(([key]) => key === name.toLowerCase())?.[1];
  return row === undefined ? undefined : `${width(narrow)}${dst} ${row.sym} ${right}`;
}

function jump(
  name: string,
  narrow: string | undefined,
  dst: string,
  right: string,
  target: string,
): string | undefined {
  const row = Object.entries(JMP_OPS).find(([key]) => key === name.toLowerCase())?.[1];
  return row === undefined
    ? undefined
    : `if ${width(narrow)}${dst} ${row.sym} ${right} goto ${labelName(target)}`;
}

function atomic(
  fetch: boolean,
  name: string,
  narrow: boolean,
  place: string,
  src: string,
): string | undefined {
  const r = narrow ? "w" : "r";
  const type = narrow ? "u32" : "u64";
  const suffix = narrow ? "32_32" : "_64";
  if (name === "xchg") return `${r}${src} = xchg${suffix}(${place}, ${r}${src})`;
  if (name === "cmpxchg") return `${r}0 = cmpxchg${suffix}(${place}, ${r}0, ${r}${src})`;
  if (fetch) return `${r}${src} = atomic_fetch_${name}((${type} *)(${place}), ${r}${src})`;
  const sym = { add: "+=", or: "|=", and: "&=", xor: "^=" }[name];
  return sym === undefined ? undefined : `lock *(${type} *)(${place}) ${sym} ${r}${src}`;
}

/** Labels such as `exit` would read as instructions; `+3` and `-2` are distances. */
function labelName(name: string): string {
  return /^[-+]/.test(name) ? name : `.L${name}`;
}
