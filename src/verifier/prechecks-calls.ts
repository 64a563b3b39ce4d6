import {
  type HelperName,
  helperArgs,
  helperById,
  helperRow,
  helpersOf,
  type ProgramTypeName,
} from "../abi/index.ts";
import { type InsnTable, isHelperCall, Opcode, PseudoCall } from "../isa/index.ts";

/** What the passes before the walk have to know about the target of a call. */
export interface CallSummary {
  /** Helper or kernel function by name (without `bpf_` for helpers). */
  readonly name: string;
  /** Parameters it takes, 0–5: r1… */
  readonly params: number;
  /** Leaves nothing in r0. */
  readonly isVoid: boolean;
  /** Runs a callback before it returns. */
  readonly syncCallback: boolean;
  /** Arranges for a callback to run later. */
  readonly asyncCallback: boolean;
  readonly mightSleep: boolean;
  /** Packet pointers are stale behind it. */
  readonly changesPacket: boolean;
  /** `bpf_iter_*_next`. */
  readonly iterNext: boolean;
  /** The kernel inlines it and keeps the registers it does not name (`bpf_fastcall`). */
  readonly fastcall: boolean;
}

/** The summary of the kernel function called at a slot; undefined when there is no such function. */
export type KfuncSummaries = (slot: number) => CallSummary | undefined;

/** What is called at `slot` (a helper or a kernel function); undefined for unknown ones and for local calls. */
export type CallSummaries = (slot: number) => CallSummary | undefined;

/**
 * Summaries of the helpers and kernel functions that `insns` call, for a program of this type; each is made once. A helper
 * that the type may not call has none: the walk rejects the call if it gets there.
 * @see kernel/bpf/verifier.c `get_call_summary` @ v6.18
 */
export function callSummaries(
  insns: InsnTable,
  type: ProgramTypeName,
  kfuncs: KfuncSummaries,
): CallSummaries {
  const allowed = helpersOf(type);
  const helpers = new Map<number, CallSummary | undefined>();
  const kernel = new Map<number, CallSummary | undefined>();
  return (slot) => {
    if (isHelperCall(insns, slot))
      return remember(helpers, insns.imm[slot], (id) => helperSummary(id, type, allowed));
    if (!isKfuncCall(insns, slot)) return undefined;
    return remember(kernel, insns.imm[slot] + insns.off[slot] * 2 ** 32, () => kfuncs(slot));
  };
}

/** True for a call of a kernel function by BTF id. */
export function isKfuncCall(insns: InsnTable, slot: number): boolean {
  return insns.opcode[slot] === Opcode.CALL && insns.src[slot] === PseudoCall.KFUNC;
}

/** True for a kernel function call that a loader left empty: a weak one the kernel does not have. */
export function isPoisonedKfuncCall(insns: InsnTable, slot: number): boolean {
  return isKfuncCall(insns, slot) && insns.imm[slot] === 0 && insns.off[slot] === 0;
}

function helperSummary(
  id: number,
  type: ProgramTypeName,
  allowed: ReadonlySet<HelperName> | undefined,
): CallSummary | undefined {
  const name = helperById(id);
  if (name === undefined || allowed?.has(name) === false) return undefined;
  const row = helperRow(name);
  return {
    name,
    params: helperArgs(name, type).length,
    isVoid: row.ret === "VOID",
    syncCallback: SYNC_CALLBACKS.has(name),
    asyncCallback: name === "timer_set_callback",
    mightSleep: row.mightSleep === true,
    changesPacket: row.changesPacket === true,
    iterNext: false,
    fastcall: name === "get_smp_processor_id",
  };
}

/** Helpers that run their callback before they return. */
const SYNC_CALLBACKS: ReadonlySet<HelperName> = new Set<HelperName>([
  "for_each_map_elem",
  "find_vma",
  "loop",
  "user_ringbuf_drain",
]);

function remember<K, V>(known: Map<K, V>, key: K, make: (key: K) => V): V {
  const before = known.get(key);
  if (before !== undefined || known.has(key)) return before as V; // present, perhaps as undefined
  const value = make(key);
  known.set(key, value);
  return value;
}
