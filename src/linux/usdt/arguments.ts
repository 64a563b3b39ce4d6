// One table per processor: how assembly writes an operand, and where `struct pt_regs` keeps its register.
import { BpfError } from "../../base/index.ts";
import type { Arch } from "../sys/index.ts";

/** Where one argument of a probe is: `struct __bpf_usdt_arg_spec` of usdt.bpf.h. */
export interface UsdtArgument {
  readonly where: "constant" | "register" | "memory" | "indexed";
  /** The constant; or what is added to the address. */
  readonly value: bigint;
  /** Byte offset of the register in `struct pt_regs`. */
  readonly register: number;
  /** `indexed`: of the register that is multiplied by `1 << scaleShift` and added. */
  readonly index: number;
  readonly scaleShift: number;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
}

/** The most that usdt.bpf.h has room for. */
export const MAX_USDT_ARGUMENTS = 12;

type Place = Pick<UsdtArgument, "where"> & Partial<UsdtArgument>;

/** How one form of operand is written, and what it means; undefined for registers that are none. */
interface Form {
  readonly pattern: RegExp;
  readonly place: (match: RegExpExecArray) => Place | undefined;
}

const SCALES: Readonly<Record<string, number>> = { "1": 0, "2": 1, "4": 2, "8": 3 };

/** In the order of x86-64's `struct pt_regs`, 8 bytes each; the 64, 32, 16 and 8 bit names of each. */
const X64_REGISTERS = [
  ...["r15", "r14", "r13", "r12"].map(numbered),
  "rbp ebp bp bpl",
  "rbx ebx bx bl",
  ...["r11", "r10", "r9", "r8"].map(numbered),
  "rax eax ax al",
  "rcx ecx cx cl",
  "rdx edx dx dl",
  "rsi esi si sil",
  "rdi edi di dil",
  "",
  "rip eip",
  "",
  "",
  "rsp esp sp spl",
].map((names) => names.split(" "));

function numbered(name: string): string {
  return `${name} ${name}d ${name}w ${name}b`;
}

function x64Register(name: string): number | undefined {
  const at = X64_REGISTERS.findIndex((names) => names.includes(name));
  return at < 0 || name === "" ? undefined : at * 8;
}

/** `regs[31]` and `sp` of arm64's `struct user_pt_regs`; `w` names are the lower halves. */
function arm64Register(name: string): number | undefined {
  if (name === "sp") return 31 * 8;
  const number = /^[xw](\d+)$/.exec(name)?.[1];
  return number === undefined || Number(number) > 30 ? undefined : Number(number) * 8;
}

function memory(register: number | undefined, value = "0"): Place | undefined {
  return register === undefined ? undefined : { where: "memory", register, value: BigInt(value) };
}

function inRegister(register: number | undefined): Place | undefined {
  return register === undefined ? undefined : { where: "register", register };
}

function constant(value: string): Place {
  return { where: "constant", value: BigInt(value) };
}

function indexed([, value, base, index, scale = "1"]: RegExpExecArray): Place | undefined {
  const [register, other, scaleShift] = [x64Register(base), x64Register(index), SCALES[scale]];
  if (register === undefined || other === undefined || scaleShift === undefined) return undefined;
  return { where: "indexed", register, index: other, scaleShift, value: BigInt(value ?? "0") };
}

const FORMS: Readonly<Record<Arch, readonly Form[]>> = {
  x64: [
    { pattern: /^(-?\d+)?\s*\(\s*%(\w+)\s*,\s*%(\w+)\s*(?:,\s*(\d+)\s*)?\)/, place: indexed },
    { pattern: /^(-?\d+)?\s*\(\s*%(\w+)\s*\)/, place: ([, value, name]) => memory(x64Register(name), value) },
    { pattern: /^%(\w+)/, place: ([, name]) => inRegister(x64Register(name)) },
    { pattern: /^\$(-?\d+)/, place: ([, value]) => constant(value) },
  ],
  arm64: [
    {
      pattern: /^\[\s*(\w+)\s*(?:,\s*#?(-?\d+)\s*)?\]/,
      place: ([, name, value]) => memory(arm64Register(name), value),
    },
    { pattern: /^#?(-?\d+)/, place: ([, value]) => constant(value) },
    { pattern: /^([xw]\d+|sp)/, place: ([, name]) => inRegister(arm64Register(name)) },
  ],
};

const SIZE = /^\s*(-?)([1248])\s*@\s*/;

/**
 * Reads the arguments of a probe: `"-4@%esi 8@-24(%rbp) 1@$7"` (x86-64), `"8@[sp, 16] -4@x0"` (arm64). A negative size
 * is that of a signed value.
 * @throws BpfError `linux/bad-usdt` for what cannot be read, and for more than {@link MAX_USDT_ARGUMENTS}.
 */
export function parseUsdtArguments(text: string, arch: Arch): UsdtArgument[] {
  const found: UsdtArgument[] = [];
  for (let rest = text; rest.trim() !== ""; ) {
    const size = SIZE.exec(rest);
    const operand = size === null ? "" : rest.slice(size[0].length);
    const read = readOperand(operand, arch);
    if (size === null || read === undefined) throw badArgument(text, found.length, rest);
    if (found.length === MAX_USDT_ARGUMENTS) {
      throw new BpfError("linux/bad-usdt", `the probe has more than ${MAX_USDT_ARGUMENTS} arguments`, {
        errno: "E2BIG",
        subject: text,
      });
    }
    found.push({
      value: 0n,
      register: 0,
      index: 0,
      scaleShift: 0,
      ...read.place,
      bytes: Number(size[2]) as UsdtArgument["bytes"], // the pattern has these four only
      signed: size[1] === "-",
    });
    rest = operand.slice(read.length);
  }
  return found;
}

function readOperand(operand: string, arch: Arch) {
  for (const { pattern, place } of FORMS[arch]) {
    const match = pattern.exec(operand);
    if (match === null) continue;
    const meaning = place(match);
    const isWhole = /^(\s|$)/.test(operand.slice(match[0].length));
    return meaning && isWhole ? { place: meaning, length: match[0].length } : undefined;
  }
  return undefined;
}

function badArgument(text: string, index: number, rest: string): BpfError {
  return new BpfError("linux/bad-usdt", `argument ${index} of the probe cannot be read: '${rest.trim()}'`, {
    errno: "EINVAL",
    subject: text,
    hint: "floating-point registers and addresses of variables are not supported; libbpf refuses them too",
  });
}
