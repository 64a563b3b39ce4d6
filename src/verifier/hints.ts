import { HELPERS } from "../abi/index.ts";
import { decode, isHelperCall } from "../isa/index.ts";
import type { Explanation } from "./causes.ts";
import type { VerifierCode } from "./errors.ts";
import { ERROR_HELP } from "./help.ts";
import type { VerifierError, VerifierProgram } from "./input.ts";

/** What a hint is made of. */
interface Facts {
  readonly program: VerifierProgram;
  readonly error: VerifierError;
  /** All lines of the error. */
  readonly text: string;
  /** What was known of the offending value; `""` when nothing is. */
  readonly known: string;
  readonly explanation: Explanation | undefined;
}

/**
 * What to do about a rejection, in the imperative and in terms of C: the figures of this program where they are known,
 * else the usual cure of the error code.
 */
export function hintFor(
  program: VerifierProgram,
  error: VerifierError,
  explanation?: Explanation,
): string | undefined {
  const known = explanation?.causes.findLast(({ kind }) => kind === "refused")?.known ?? "";
  const facts: Facts = { program, error, text: error.lines.join("\n"), known, explanation };
  return SPECIAL[error.code]?.(facts) ?? ERROR_HELP[error.code]?.cure;
}

const HELPER_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(HELPERS).map(([name, { id }]) => [id, name]),
);

/** Who releases what a helper acquires. */
const RELEASED_BY: Readonly<Record<string, string>> = {
  ringbuf_reserve: "bpf_ringbuf_submit() or bpf_ringbuf_discard()",
  ringbuf_reserve_dynptr: "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()",
  sk_lookup_tcp: "bpf_sk_release()",
  sk_lookup_udp: "bpf_sk_release()",
  skc_lookup_tcp: "bpf_sk_release()",
  map_lookup_elem: "bpf_sk_release()",
};

/** Hints that know the program's figures; undefined falls back to the table. */
const SPECIAL: Partial<Record<VerifierCode, (facts: Facts) => string | undefined>> = {
  "verifier/packet-bounds": ({ text }) => {
    const [, off, size, id, range] =
      /invalid access to packet, off=(-?\d+) size=(\d+), R\d+\(id=(\d+),off=-?\d+,r=(-?\d+)\)/.exec(text) ??
      [];
    if (off === undefined || Number(off) < 0) return undefined;
    const need = Number(off) + Number(size);
    const checked =
      Number(range) > 0 ? `only ${range} bytes are checked on this path` : "no byte is checked on this path";
    return id === "0"
      ? `${checked}: compare first, if (data + ${need} > data_end) return …;`
      : `${checked}, counted from the variable offset: compare the pointer itself, if (p + ${need} > data_end) return …; and read through the same p`;
  },
  "verifier/invalid-mem-access": ({ text, known, explanation }) => {
    if (/_or_null'|or_null_/.test(text) || / or NULL/.test(known)) {
      const call = explanation?.causes.find(
        ({ kind, text: made }) => kind === "origin" && made.startsWith("call "),
      );
      const what = call === undefined ? "the pointer" : `what ${call.text.slice(5)}() returns`;
      return `compare ${what} with NULL before using it: if (!p) return …;`;
    }
    const lost = explanation?.causes.findLast(({ kind }) => kind === "lost");
    if (lost?.text.startsWith("call ")) {
      return `${lost.text.slice(5)}() may move the packet: read data and data_end from the context again after it, and check the bounds again`;
    }
    if (/'scalar'/.test(text)) {
      return "this is a number, not a pointer the verifier knows: read kernel memory with BPF_CORE_READ() or bpf_probe_read_kernel(); reload data and data_end after helpers that move the packet";
    }
    return undefined;
  },
  "verifier/out-of-bounds": boundsCheck,
  "verifier/unbounded-access": boundsCheck,
  "verifier/negative-index": ({ text, known }) => {
    const limit = lastIndex(text);
    const check = limit === undefined ? "i >= MAX" : `i > ${limit}`;
    return `${known === "" ? "" : `it is ${known}; `}use an unsigned type and check if (${check}) return …; before`;
  },
  "verifier/uninitialized-register": ({ explanation }) => {
    const origin = explanation?.causes.find(({ kind }) => kind === "origin");
    if (!origin?.text.startsWith("call ")) return undefined;
    return `${origin.text.slice(5)} takes away r1 to r5: keep the value in r6 to r9 or on the stack across the call`;
  },
  "verifier/exit-value": ({ text }) => {
    const [, min, max] = /should have been in \[(-?\d+), (-?\d+)\]/.exec(text) ?? [];
    if (min === undefined) return undefined;
    return min === max ? `return ${min} on every path` : `return a value from ${min} to ${max} on every path`;
  },
  "verifier/reference-leak": ({ program, text }) => {
    const [, at] = /alloc_insn=(\d+)/.exec(text) ?? [];
    if (at === undefined) return undefined;
    const insns = decode(program.insns);
    const insn = Number(at);
    const line = program.lines.findLast((candidate) => candidate.insn <= insn);
    const where = line === undefined ? `instruction ${insn}` : `line ${line.line}`;
    const helper = isHelperCall(insns, insn) ? HELPER_NAMES.get(insns.imm[insn]) : undefined;
    const by = helper === undefined ? undefined : RELEASED_BY[helper];
    return `release what ${where} acquires before every return, error paths too${by === undefined ? "" : `: ${by}`}`;
  },
  "verifier/invalid-stack-read": ({ text }) => {
    const [, off, byte] = /invalid read from stack .*off (-?\d+)\+(\d+)/.exec(text) ?? [];
    if (off === undefined) return undefined;
    return `byte fp${Number(off) + Number(byte)} was never written: initialise the whole variable, padding included (struct s v = {}; or __builtin_memset)`;
  },
  "verifier/size-unbounded": ({ known }) =>
    known === ""
      ? undefined
      : `the size is ${known}: bound it first, if (size > sizeof(buf)) return …; or size &= sizeof(buf) - 1`,
  "verifier/size-negative": ({ known }) =>
    known === ""
      ? undefined
      : `the size is ${known}: use an unsigned type, or check if (size < 0 || size > sizeof(buf)) return …;`,
};

/** `invalid access to map value, value_size=48 off=40 size=16`: the greatest offset that still fits. */
function lastIndex(text: string): number | undefined {
  const [, size, bytes] = /(?:value_size|mem_size|key_size)=(\d+) off=-?\d+ size=(\d+)/.exec(text) ?? [];
  if (size === undefined) return undefined;
  const last = Number(size) - Number(bytes);
  return last >= 0 ? last : undefined;
}

function boundsCheck({ text, known }: Facts): string | undefined {
  const last = lastIndex(text);
  if (last === undefined) return undefined;
  const [, off, size] = /_size=\d+ off=(-?\d+) size=(\d+)/.exec(text) ?? [];
  if (!known.includes("number from") && !known.includes("any number")) {
    return `bytes ${off} to ${Number(off) + Number(size) - 1} are read or written, the memory ends with byte ${last + Number(size) - 1}: access less of it, or make it larger`;
  }
  return `it is ${known}, and the offset may be at most ${last}: check the index before the access, with an unsigned type, and use the checked variable from there on`;
}
