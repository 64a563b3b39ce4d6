import { HELPERS, type ProgramTypeName } from "../abi/index.ts";
import { decode, isHelperCall } from "../isa/index.ts";
import type { Cause, Explanation } from "./causes.ts";
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
  const { access } = error;
  if (access?.missing) {
    const what = access.field === "" ? access.type : `${access.type} has no field ${access.field}`;
    const test = access.field === "" ? "bpf_core_type_exists()" : "bpf_core_field_exists()";
    return `${what}${access.field === "" ? " is missing" : ""} in the target kernel's types: ask ${test} first, or give the right --btf`;
  }
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

/** How a program of this type gives up early. */
function giveUp({ type }: VerifierProgram): string {
  return `return ${RETURNS[type] ?? "0"};`;
}

const RETURNS: Partial<Record<ProgramTypeName, string>> = {
  BPF_PROG_TYPE_XDP: "XDP_PASS",
  BPF_PROG_TYPE_SCHED_CLS: "TC_ACT_OK",
  BPF_PROG_TYPE_SCHED_ACT: "TC_ACT_OK",
  BPF_PROG_TYPE_CGROUP_SKB: "1",
  BPF_PROG_TYPE_CGROUP_SOCK: "1",
  BPF_PROG_TYPE_CGROUP_SOCK_ADDR: "1",
  BPF_PROG_TYPE_SK_SKB: "SK_PASS",
  BPF_PROG_TYPE_SK_MSG: "SK_PASS",
};

/** The variable that a source line assigns a call's result to: `c` of `struct s *c = bpf_map_lookup_elem(…)`. */
function assigned(cause: Cause | undefined, call: string): string | undefined {
  const [, name] = new RegExp(`(\\w+)\\s*=[^=;]*\\b${call}\\(`).exec(cause?.source?.text ?? "") ?? [];
  return name;
}

/** The pointer of `tcp->dest`, when the line follows just one. */
function followed(text: string): string | undefined {
  const names = new Set([...text.matchAll(/(\w+)->\w/g)].map(([, name]) => name));
  return names.size === 1 ? [...names][0] : undefined;
}

/** A path that keeps what it took: the call to make, and where the path left the way to it. */
/** Which lock the path holds, if any, where it should hold the one of a list or tree. */
function lockHint({ explanation }: Facts): string | undefined {
  const last = explanation?.causes.find(({ place }) => place === "from here on");
  if (last === undefined) return undefined;
  const where = last.source === undefined ? `instruction ${last.insn}` : `line ${last.source.line}`;
  return last.kind === "origin"
    ? `the lock that ${where} takes lies in another map value or object: take the one that lies beside this list or tree`
    : `${where} gave the lock back: use the list or tree before that, or take the lock again`;
}

function releaseHint({ program, explanation }: Facts): string | undefined {
  const taken = explanation?.causes.find(({ kind, place }) => kind === "origin" && place === "from here on");
  if (taken === undefined) return undefined;
  const call = taken.text.replace(/^call /, "");
  const left = explanation?.causes.find(({ place }) => place === "the other way");
  const at = (cause: Cause): string =>
    cause.source === undefined ? `instruction ${cause.insn}` : `line ${cause.source.line}`;
  const what = releaseCall(taken, call);
  if (what === undefined) return undefined;
  const where = left === undefined ? "before every return" : `before the return that ${at(left)} leads to`;
  const alone = left === undefined ? `, and ${giveUp(program)} does not give it back` : "";
  return `${what} ${where}: ${call}() at ${at(taken)} took it${alone}`;
}

/** The call in C that gives back what a call took, with the program's own variable. */
function releaseCall(taken: Cause, call: string): string | undefined {
  const [, argument] = /\bbpf_spin_lock\(([^;]*)\)/.exec(taken.source?.text ?? "") ?? [];
  const name = assigned(taken, call) ?? "p";
  const known: Readonly<Record<string, string>> = {
    bpf_spin_lock: `bpf_spin_unlock(${argument ?? "&v->lock"});`,
    bpf_rcu_read_lock: "bpf_rcu_read_unlock();",
    bpf_preempt_disable: "bpf_preempt_enable();",
    bpf_local_irq_save: "bpf_local_irq_restore(&flags);",
    bpf_ringbuf_reserve: `bpf_ringbuf_discard(${name}, 0);`,
    bpf_sk_lookup_tcp: `bpf_sk_release(${name});`,
    bpf_sk_lookup_udp: `bpf_sk_release(${name});`,
    bpf_skc_lookup_tcp: `bpf_sk_release(${name});`,
    bpf_obj_new_impl: `bpf_obj_drop(${name});`,
    bpf_task_acquire: `bpf_task_release(${name});`,
    bpf_task_from_pid: `bpf_task_release(${name});`,
    bpf_cgroup_acquire: `bpf_cgroup_release(${name});`,
    bpf_cgroup_from_id: `bpf_cgroup_release(${name});`,
    bpf_cgroup_ancestor: `bpf_cgroup_release(${name});`,
    bpf_cpumask_create: `bpf_cpumask_release(${name});`,
    bpf_cpumask_acquire: `bpf_cpumask_release(${name});`,
  };
  return known[call];
}

/** Hints that know the program's figures; undefined falls back to the table. */
const SPECIAL: Partial<Record<VerifierCode, (facts: Facts) => string | undefined>> = {
  "verifier/packet-bounds": ({ text, program, error }) => {
    const [, off, size, id, range] =
      /invalid access to packet, off=(-?\d+) size=(\d+), R\d+\(id=(\d+),off=-?\d+,r=(-?\d+)\)/.exec(text) ??
      [];
    if (off === undefined || Number(off) < 0) return undefined;
    const need = Number(off) + Number(size);
    const checked =
      Number(range) > 0 ? `only ${range} bytes are checked on this path` : "no byte is checked on this path";
    const stop = giveUp(program);
    const header = followed(error.source?.text ?? "");
    if (id !== "0") {
      return `${checked}, counted from the variable offset: compare the pointer itself, if ((void *)${header ?? "p"} + ${need} > data_end) ${stop} and read through the same pointer`;
    }
    const whole =
      header === undefined ? "" : ` or, for all of it, if ((void *)(${header} + 1) > data_end) ${stop}`;
    return `${checked}: compare first, if (data + ${need} > data_end) ${stop}${whole}`;
  },
  "verifier/invalid-mem-access": ({ text, known, explanation, program, error }) => {
    if (/_or_null'|or_null_/.test(text) || / or NULL/.test(known)) {
      const call = explanation?.causes.find(
        ({ kind, text: made }) => kind === "origin" && made.startsWith("call "),
      );
      const what = call === undefined ? "the pointer" : `what ${call.text.slice(5)}() returns`;
      const name = assigned(call, call?.text.slice(5) ?? "") ?? "p";
      return `compare ${what} with NULL before using it: if (!${name}) ${giveUp(program)}`;
    }
    const lost = explanation?.causes.findLast(({ kind }) => kind === "lost");
    if (lost?.text.startsWith("call ")) {
      return `${lost.text.slice(5)}() may move the packet: read data and data_end from the context again after it, and check the bounds again`;
    }
    if (/'scalar'/.test(text) && error.access !== undefined && error.access.field !== "") {
      const pointer = followed(error.source?.text ?? "") ?? "p";
      return `this is a number, not a pointer the verifier knows: read kernel memory with BPF_CORE_READ(${pointer}, ${error.access.field.replaceAll(".", ", ")}), or get a typed pointer (bpf_get_current_task_btf(), fentry and tp_btf arguments)`;
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
  "verifier/unbounded-pointer-offset": ({ explanation, program, text }) => {
    if (!/min value/.test(text)) return undefined;
    const refused = explanation?.causes.findLast(
      ({ kind, known }) => kind === "refused" && /number/.test(known),
    );
    if (refused === undefined) return undefined;
    // Before it was scaled to the elements' size the index says most.
    const bounded = explanation?.causes.findLast(({ known }) => /number from -\S+ to \d+$/.test(known));
    const index = bounded ?? refused;
    const [, max] = / to (\d+)$/.exec(index.known) ?? [];
    const check = max === undefined ? "if (i < 0 || i >= MAX)" : `if (i < 0 || i > ${max})`;
    return `${index.place} is ${index.known}, so it may be negative: make the index unsigned (__u32 i), or check both ends, ${check} ${giveUp(program)}`;
  },
  "verifier/stack-out-of-bounds": ({ text }) => {
    const [, off] = /off=(-\d+) size=/.exec(text) ?? [];
    if (off === undefined || Number(off) >= -512) return undefined;
    return `this function's variables need ${-Number(off)} bytes of stack, there are 512: keep large buffers in the value of a per-CPU array map`;
  },
  "verifier/needs-gpl": ({ program, error }) => {
    const insns = decode(program.insns);
    const helper = isHelperCall(insns, error.insn) ? HELPER_NAMES.get(insns.imm[error.insn]) : undefined;
    return helper === undefined
      ? undefined
      : `bpf_${helper}() is for programs under the GPL: declare char LICENSE[] SEC("license") = "GPL"; (or "Dual BSD/GPL"), this one says "${program.license}"`;
  },
  "verifier/lock-held": releaseHint,
  "verifier/lock-not-held": lockHint,
  "verifier/rcu-locked": releaseHint,
  "verifier/preempt-disabled": releaseHint,
  "verifier/irq-disabled": releaseHint,
  "verifier/infinite-loop": ({ known, error }) => {
    const [, condition] = /\b(?:while|for)\s*\((.*)\)/.exec(error.source?.text ?? "") ?? [];
    if (condition === undefined || known === "") return undefined;
    return `the condition (${condition.trim()}) can stay true for ever: nothing known changes from round to round. Count the rounds, for (int i = 0; i < 1000 && …; i++), or use bpf_loop()`;
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
  "verifier/reference-leak": (facts) => {
    const hint = releaseHint(facts);
    if (hint !== undefined) return hint;
    const { program, text } = facts;
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
    const [, off, byte, size] = /invalid read from stack .*off (-?\d+)\+(\d+) size (\d+)/.exec(text) ?? [];
    if (off === undefined) return undefined;
    return `byte ${byte} of the ${size} bytes at fp${off} was never written: initialise the whole variable, padding included (struct s v = {}; or __builtin_memset)`;
  },
  "verifier/size-unbounded": ({ known }) =>
    known === ""
      ? undefined
      : `the size is ${known}: bound it first, if (size > sizeof(buf)) return …; or size &= sizeof(buf) - 1`,
  "verifier/size-negative": ({ known }) =>
    known === ""
      ? undefined
      : `the size is ${known}: bound it before, with an unsigned type: if (size > sizeof(buf)) size = sizeof(buf);`,
};

/** `invalid access to map value, value_size=48 off=40 size=16`: the greatest offset that still fits. */
function lastIndex(text: string): number | undefined {
  const [, size, bytes] = /(?:value_size|mem_size|key_size)=(\d+) off=-?\d+ size=(\d+)/.exec(text) ?? [];
  if (size === undefined) return undefined;
  const last = Number(size) - Number(bytes);
  return last >= 0 ? last : undefined;
}

function boundsCheck({ text, known, program }: Facts): string | undefined {
  const last = lastIndex(text);
  if (last === undefined) return undefined;
  const [, off, size] = /_size=\d+ off=(-?\d+) size=(\d+)/.exec(text) ?? [];
  if (!known.includes("number from") && !known.includes("any number")) {
    return `bytes ${off} to ${Number(off) + Number(size) - 1} are read or written, the memory ends with byte ${last + Number(size) - 1}: access less of it, or make it larger`;
  }
  return `it is ${known}, and the offset may be at most ${last}: check the last result before the access, if (offset > ${last}) ${giveUp(program)} with an unsigned type, and compute nothing from it behind the check`;
}
