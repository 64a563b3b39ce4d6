import {
  type AttachTypeName,
  type Context,
  type ContextField,
  contextOf,
  type ProgramTypeName,
} from "../../abi/index.ts";
import { RegType, TypeFlag } from "../register-types.ts";

/** A pointer that a load of a context field gives. */
export interface ContextPointer {
  /** Register type with flags; PTR_TO_BTF_ID ones carry {@link structName}. */
  readonly type: number;
  readonly structName?: string;
}

/** What the context's rules say of an access: allowed and a scalar, a pointer, or not allowed. */
export type ContextAccess = "scalar" | "refused" | ContextPointer;

/** Kernel structures behind the fields of `struct bpf_nf_ctx`. */
const OBJECTS: Readonly<Record<string, string>> = { state: "nf_hook_state", skb: "sk_buff" };

/** Pointer kinds of context fields. `bpf_insn_access_aux.reg_type` in the `is_valid_access` functions @ v6.18 */
function pointerOf(field: ContextField): ContextPointer | undefined {
  const nullable = field.nullable ? TypeFlag.PTR_MAYBE_NULL : 0;
  switch (field.kind) {
    case "packet":
      return { type: RegType.PTR_TO_PACKET };
    case "packet_end":
      return { type: RegType.PTR_TO_PACKET_END };
    case "packet_meta":
      return { type: RegType.PTR_TO_PACKET_META };
    case "sock":
      return { type: RegType.PTR_TO_SOCKET | nullable };
    case "sock_common":
      return { type: RegType.PTR_TO_SOCK_COMMON | nullable };
    case "flow_keys":
      return { type: RegType.PTR_TO_FLOW_KEYS };
    case "buffer":
      return { type: RegType.PTR_TO_TP_BUFFER };
    case "object":
      return {
        type: RegType.PTR_TO_BTF_ID | TypeFlag.PTR_TRUSTED | nullable,
        structName: OBJECTS[field.name] ?? "",
      };
    case "scalar":
      return undefined;
  }
}

/** Context fields that a program without CAP_BPF may not touch, by program type: `[type, read, write]`. */
const PRIVILEGED_FIELDS: Readonly<
  Partial<Record<ProgramTypeName, { read: readonly string[]; write: readonly string[] }>>
> = {
  BPF_PROG_TYPE_CGROUP_SKB: { read: ["data", "data_end"], write: ["tstamp"] },
};

/** A program's rules for its context: which accesses are allowed and what they give. Built once a program. */
export class ContextRules {
  private readonly context: Context;
  private readonly pointers = new Map<number, ContextPointer>();
  private readonly answers = new Map<number, ContextAccess>();
  private readonly refusedReads: readonly ContextField[];
  private readonly refusedWrites: readonly ContextField[];

  constructor(type: ProgramTypeName, attach: AttachTypeName | undefined, bpfCapable: boolean) {
    this.context = contextOf(type, attach);
    for (const field of this.context.fields) {
      const pointer = pointerOf(field);
      if (pointer !== undefined) this.pointers.set(field.offset, pointer);
    }
    // `sk` shares its place with `cookie`, which programs cannot reach by load.
    if (type === "BPF_PROG_TYPE_SK_LOOKUP") {
      this.pointers.set(0, { type: RegType.PTR_TO_SOCKET | TypeFlag.PTR_MAYBE_NULL });
    }
    const privileged = bpfCapable ? undefined : PRIVILEGED_FIELDS[type];
    const named = (names: readonly string[] | undefined): readonly ContextField[] =>
      names === undefined ? [] : this.context.fields.filter((field) => names.includes(field.name));
    this.refusedReads = named(privileged?.read);
    this.refusedWrites = named(privileged?.write);
  }

  /** What `bytes` bytes at `off` are; `signExtend`: by a sign-extending load, which pointers refuse. */
  read(off: number, bytes: number, signExtend: boolean): ContextAccess {
    const key = off * 32 + bytes * 2 + (signExtend ? 1 : 0);
    let answer = this.answers.get(key);
    if (answer === undefined) {
      answer = this.readRule(off, bytes, signExtend);
      this.answers.set(key, answer);
    }
    return answer;
  }

  private readRule(off: number, bytes: number, signExtend: boolean): ContextAccess {
    if (off < 0 || !this.context.mayRead(off, bytes) || overlaps(this.refusedReads, off, bytes))
      return "refused";
    const pointer = this.pointers.get(off);
    if (pointer === undefined) return "scalar";
    return signExtend ? "refused" : pointer;
  }

  /** A store of `bytes` bytes at `off` is allowed. */
  mayWrite(off: number, bytes: number): boolean {
    return off >= 0 && this.context.mayWrite(off, bytes) && !overlaps(this.refusedWrites, off, bytes);
  }

  /** Helpers may be given the context as plain memory: the program type has no rewriting of context accesses. */
  static isPlainMemory(type: ProgramTypeName): boolean {
    return PLAIN_CONTEXTS.has(type);
  }
}

/** Program types without `convert_ctx_access` in their `bpf_verifier_ops` @ v6.18. */
const PLAIN_CONTEXTS: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_KPROBE",
  "BPF_PROG_TYPE_TRACEPOINT",
  "BPF_PROG_TYPE_RAW_TRACEPOINT",
  "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE",
  "BPF_PROG_TYPE_TRACING",
  "BPF_PROG_TYPE_LSM",
  "BPF_PROG_TYPE_STRUCT_OPS",
  "BPF_PROG_TYPE_CGROUP_DEVICE",
  "BPF_PROG_TYPE_LIRC_MODE2",
  "BPF_PROG_TYPE_NETFILTER",
  "BPF_PROG_TYPE_SYSCALL",
]);

function overlaps(fields: readonly ContextField[], off: number, bytes: number): boolean {
  return fields.some((field) => off < field.offset + field.size && field.offset < off + bytes);
}

/** Program types whose context comes from the BTF of what they attach to. */
export const BTF_CONTEXT_TYPES: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>([
  "BPF_PROG_TYPE_TRACING",
  "BPF_PROG_TYPE_LSM",
  "BPF_PROG_TYPE_STRUCT_OPS",
]);
