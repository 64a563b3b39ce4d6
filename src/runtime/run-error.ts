import { BpfError, type SourceLocation } from "../base/index.ts";
import type { LoadedCode } from "./code.ts";
import {
  CONST_PTR_TO_MAP,
  ERR_ALIGNMENT,
  ERR_ATOMIC_REGION,
  ERR_BAD_INSN,
  ERR_BOUNDS,
  ERR_BUDGET,
  ERR_CALL_DEPTH,
  ERR_CALL_TARGET,
  ERR_CONTEXT,
  ERR_NOT_POINTER,
  ERR_OPAQUE,
  ERR_PC,
  ERR_READ_ONLY,
  ERR_RELEASED,
  ERR_SPECIAL_FIELD,
  ERR_STALE_PACKET,
  ERR_UNINIT_REG,
  ERR_UNINIT_STACK,
  MACHINE_DEPTH,
  MACHINE_ERR_ADDR,
  MACHINE_ERR_REG,
  MACHINE_ERR_SIZE,
  MAX_FRAMES,
  NULL_PAGE,
  PTR_TO_ARENA,
  PTR_TO_BTF_ID,
  PTR_TO_CTX,
  PTR_TO_FUNC,
  PTR_TO_MAP_KEY,
  PTR_TO_MAP_VALUE,
  PTR_TO_MEM,
  PTR_TO_PACKET,
  PTR_TO_PACKET_END,
  PTR_TO_PACKET_META,
  PTR_TO_SOCKET,
  PTR_TO_STACK,
  SCALAR,
} from "./layout.ts";
import type { Memory } from "./memory.ts";
import { type RegisterView, readRegister } from "./registers.ts";

/** Names of the pointer kinds as error messages give them. */
const REGION: Readonly<Record<number, string>> = {
  [PTR_TO_CTX]: "context",
  [PTR_TO_STACK]: "stack",
  [CONST_PTR_TO_MAP]: "map",
  [PTR_TO_MAP_VALUE]: "map value",
  [PTR_TO_MAP_KEY]: "map key",
  [PTR_TO_PACKET]: "packet",
  [PTR_TO_PACKET_META]: "packet metadata",
  [PTR_TO_PACKET_END]: "packet end",
  [PTR_TO_MEM]: "memory",
  [PTR_TO_SOCKET]: "socket",
  [PTR_TO_FUNC]: "function",
  [PTR_TO_ARENA]: "arena",
  [PTR_TO_BTF_ID]: "kernel object",
};

/** What is known at a violation. */
interface Facts {
  readonly r: string;
  readonly reg: RegisterView;
  readonly address: bigint;
  readonly size: number;
  readonly code: LoadedCode;
  readonly opcode: number;
}

interface ViolationRow {
  readonly code: `runtime/${string}`;
  readonly message: (facts: Facts) => string;
  readonly hint: string | ((facts: Facts) => string | undefined);
}

/** Every status the interpreter can stop with: what to call it, what to say, the usual cure in C. */
const VIOLATIONS: Readonly<Record<number, ViolationRow>> = {
  [ERR_BUDGET]: {
    code: "runtime/budget",
    message: () => "the program used up its instruction budget",
    hint: "give the loop an end that does not depend on the input, or raise maxInsns",
  },
  [ERR_BAD_INSN]: {
    code: "runtime/bad-instruction",
    message: ({ opcode }) => `unknown opcode ${opcode.toString(16).padStart(2, "0")}`,
    hint: "the bytes are no valid instruction: was the object built for BPF, and not truncated?",
  },
  [ERR_PC]: {
    code: "runtime/jump-out-of-range",
    message: () => "control leaves the program: no instruction there",
    hint: "end every path with exit, and jump only to instructions of the program",
  },
  [ERR_UNINIT_REG]: {
    code: "runtime/uninitialised-register",
    message: ({ r }) => `${r} !read_ok`,
    hint: ({ r }) =>
      /^R[1-5]$/.test(r)
        ? "r1-r5 are lost in a call: keep what you need in r6-r9 or on the stack"
        : "give the variable a value on every path that leads here",
  },
  [ERR_UNINIT_STACK]: {
    code: "runtime/uninitialised-stack",
    message: ({ address, reg, size }) =>
      `invalid read from stack: byte at fp${Number(address) - reg.end} was never written${size > 1 ? ` (access of ${size} bytes)` : ""}`,
    hint: "initialise the variable; for a struct with padding use __builtin_memset before filling it in",
  },
  [ERR_NOT_POINTER]: { code: "runtime/not-a-pointer", message: notPointer, hint: notPointerHint },
  [ERR_BOUNDS]: { code: "runtime/out-of-bounds", message: outOfBounds, hint: outOfBoundsHint },
  [ERR_READ_ONLY]: {
    code: "runtime/read-only",
    message: (facts) => `write into ${regionOf(facts.reg)} refused: ${where(facts)} is read-only`,
    hint: "const globals and BPF_F_RDONLY_PROG maps cannot be written by programs: drop the const, or copy first",
  },
  [ERR_CONTEXT]: {
    code: "runtime/context-access",
    message: ({ reg, address, size, code }) =>
      `invalid bpf_context access off=${Number(address) - reg.base} size=${size} (${code.context.name})`,
    hint: contextHint,
  },
  [ERR_STALE_PACKET]: {
    code: "runtime/stale-packet-pointer",
    message: ({ r, reg }) =>
      `${r} is a ${regionOf(reg)} pointer from before the packet was changed (${r} invalid mem access 'scalar')`,
    hint: "helpers that move or resize the packet end all packet pointers: read ctx->data and ctx->data_end again and repeat the bounds check",
  },
  [ERR_RELEASED]: {
    code: "runtime/released-reference",
    message: ({ r, reg }) => `${r} points to ${regionOf(reg)} that was already released`,
    hint: "use the record or object before it is submitted, discarded or released, not after",
  },
  [ERR_CALL_DEPTH]: {
    code: "runtime/call-depth",
    message: () => `the call stack of ${MAX_FRAMES} frames is too deep !`,
    hint: "BPF functions may nest 8 deep and cannot recurse: inline some with __always_inline",
  },
  [ERR_ALIGNMENT]: {
    code: "runtime/misaligned-atomic",
    message: ({ address, size }) =>
      `misaligned atomic access: address ${hex(address)} is no multiple of ${size}`,
    hint: "align the variable with __attribute__((aligned(8)))",
  },
  [ERR_ATOMIC_REGION]: {
    code: "runtime/atomic-access",
    message: ({ r, reg }) => `BPF_ATOMIC stores into ${r} ${regionOf(reg)} is not allowed`,
    hint: "atomics work on stack, map values and arena memory",
  },
  [ERR_OPAQUE]: {
    code: "runtime/opaque-object",
    message: ({ r }) => `${r} points to a kernel object whose memory is not available here`,
    hint: "give the program a record of the object, or run it in the Linux kernel",
  },
  [ERR_SPECIAL_FIELD]: {
    code: "runtime/special-field",
    message: (facts) => `${where(facts)} overlaps a field the kernel manages (spin lock, timer, kptr …)`,
    hint: "such fields are only touched through their helpers (bpf_spin_lock, bpf_timer_*, bpf_kptr_xchg)",
  },
  [ERR_CALL_TARGET]: {
    code: "runtime/call-target",
    message: ({ r }) => `${r} is no function: indirect call refused`,
    hint: "load the function's address with `lddw` (&func in C)",
  },
};

/** The error for a status of `execute` or `checkMemory`, at slot `insn` of `code`. */
export function violation(
  memory: Memory,
  machine: number,
  status: number,
  code: LoadedCode,
  insn: number,
  what?: string,
): BpfError {
  const poison = status === ERR_BAD_INSN ? code.poison?.get(insn) : undefined;
  if (poison !== undefined) return errorAt(code, insn, "runtime/unresolved", poison.message, poison.hint);
  const row = VIOLATIONS[status];
  const { view } = memory;
  const depth = view.getUint32(machine + MACHINE_DEPTH, true);
  const n = view.getUint32(machine + MACHINE_ERR_REG, true) % 11;
  const facts: Facts = {
    r: `R${n}`,
    reg: readRegister(memory, machine, depth, n),
    address: view.getBigUint64(machine + MACHINE_ERR_ADDR, true),
    size: view.getUint32(machine + MACHINE_ERR_SIZE, true),
    code,
    opcode: memory.u8[code.insnsAddress + insn * 8] ?? 0,
  };
  const hint = typeof row.hint === "string" ? row.hint : row.hint(facts);
  return errorAt(
    code,
    insn,
    row.code,
    what === undefined ? row.message(facts) : `${what}: ${row.message(facts)}`,
    hint,
  );
}

/** An error at slot `insn`, with its source line where the object has line info. */
export function errorAt(
  code: LoadedCode,
  insn: number,
  errorCode: `runtime/${string}`,
  message: string,
  hint?: string,
): BpfError {
  const source = sourceOf(code, insn);
  return new BpfError(errorCode, message, {
    insn,
    subject: code.name,
    ...(source && { source }),
    ...(hint !== undefined && { hint }),
  });
}

/** The source line of slot `insn`: the last line info at or before it. */
export function sourceOf(code: Pick<LoadedCode, "lines">, insn: number): SourceLocation | undefined {
  const { lines } = code;
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle].insn <= insn) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const { file, line, column, text } = lines[low - 1];
  return { file, line, column, text };
}

function regionOf(reg: RegisterView): string {
  return REGION[reg.kind & 0xff] ?? "scalar";
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** "R2 = packet+14, 4 bytes at offset 14..18". */
function where({ r, reg, address, size }: Facts): string {
  const base = (reg.kind & 0xff) === PTR_TO_STACK ? reg.end : reg.base;
  const name = (reg.kind & 0xff) === PTR_TO_STACK ? "fp" : regionOf(reg);
  const at = BigInt.asIntN(64, reg.value - BigInt(base));
  const offset = BigInt.asIntN(64, address - BigInt(base));
  const signed = at === 0n ? "" : at < 0n ? `${at}` : `+${at}`;
  return `${r} = ${name}${signed}, ${size} ${size === 1 ? "byte" : "bytes"} at offset ${offset}..${offset + BigInt(size)}`;
}

function outOfBounds(facts: Facts): string {
  const { reg } = facts;
  const kind = reg.kind & 0xff;
  const size = reg.end - reg.base;
  if (kind === PTR_TO_STACK) return `invalid stack access: ${where(facts)}, the frame is fp-${size}..fp`;
  return `invalid access to ${regionOf(reg)}: ${where(facts)}, ${regionOf(reg)} has ${size} bytes`;
}

function outOfBoundsHint({ reg }: Facts): string {
  switch (reg.kind & 0xff) {
    case PTR_TO_PACKET:
    case PTR_TO_PACKET_META:
      return "compare before the access: if (ptr + size > data_end) return …;";
    case PTR_TO_STACK:
      return "a function has 512 bytes of stack below r10: check array indices, move big buffers into a per-CPU array map";
    case PTR_TO_MAP_VALUE:
      return "check the index against the size of the value before using it";
    default:
      return "check offset and size against the length the helper was asked for";
  }
}

function notPointer({ r, reg, address, size }: Facts): string {
  const kind = reg.kind & 0xff;
  if (kind !== SCALAR) return `${r} invalid mem access: a ${regionOf(reg)} pointer cannot be dereferenced`;
  if (reg.value === 0n) return `${r} invalid mem access 'null': the pointer is NULL`;
  if (reg.value < BigInt(NULL_PAGE))
    return `${r} invalid mem access 'scalar': address ${hex(address)}, ${size} bytes, in the null page`;
  return `${r} invalid mem access 'scalar': ${hex(address)} is a number, no pointer the program was given`;
}

function notPointerHint({ reg }: Facts): string {
  if ((reg.kind & 0xff) === SCALAR && reg.value < BigInt(NULL_PAGE))
    return "compare the result of the lookup with NULL before using it";
  return "pointers only come from the context, maps and helpers; arithmetic other than + and - makes a number of them. For kernel memory use bpf_probe_read_kernel";
}

function contextHint({ reg, address, size, code }: Facts): string | undefined {
  const offset = Number(address) - reg.base;
  const field = code.context.fields.find((f) => offset >= f.offset && offset < f.offset + f.size);
  if (field === undefined)
    return `${code.context.name} has no field at offset ${offset} that this program type may use`;
  if (field.read === 0) return `${field.name} cannot be read by this program type`;
  if (field.write === 0)
    return `${field.name} (${field.size} bytes at ${field.offset}) cannot be written, or not with ${size} bytes`;
  return `${field.name} is ${field.size} bytes at offset ${field.offset}: access it as declared in the UAPI header`;
}
