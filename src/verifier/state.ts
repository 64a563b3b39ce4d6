import { MAX_FRAMES } from "./layout.ts";

/** One acquired reference, held lock or saved irq state: `struct bpf_reference_state`. Copied with the state. */
export interface Reference {
  /** `RefType` bit. */
  readonly type: number;
  /** Id the registers carry in REF_OBJ_ID (locks: the id of the register that was locked). */
  readonly id: number;
  /** Slot where it was acquired. */
  readonly insn: number;
  /** Locks: what identifies the locked memory (`reg->btf` or the map): a number made by the lock checks. */
  readonly owner: number;
}

/** Words of a step in a {@link JumpHistory}. */
export const HISTORY_WORDS = 5;
/** Step: slot. */
export const H_INSN = 0;
/** Step: slot walked before it. */
export const H_PREV = 1;
/** Step: flags (history.ts). */
export const H_FLAGS = 2;
/** Step: linked registers 0–2 and 3–5, 10 bits each (history.ts). */
export const H_LINKED_LO = 3;
export const H_LINKED_HI = 4;

/** Jumps, stack accesses and linked registers on the way from the parent state: `struct bpf_jmp_history_entry[]`. */
export class JumpHistory {
  length = 0;
  /** {@link HISTORY_WORDS} per step. */
  words: Int32Array = EMPTY;

  /** Appends a step and returns its number. */
  push(insn: number, prev: number, flags: number, linkedLo: number, linkedHi: number): number {
    const at = this.length * HISTORY_WORDS;
    if (at === this.words.length) {
      const larger = new Int32Array(Math.max(8 * HISTORY_WORDS, this.words.length * 2));
      larger.set(this.words);
      this.words = larger;
    }
    const { words } = this;
    words[at] = insn;
    words[at + H_PREV] = prev;
    words[at + H_FLAGS] = flags;
    words[at + H_LINKED_LO] = linkedLo;
    words[at + H_LINKED_HI] = linkedHi;
    return this.length++;
  }

  /** Takes over another history's steps. */
  copyFrom(other: JumpHistory): void {
    const used = other.length * HISTORY_WORDS;
    if (this.words.length < used) this.words = other.words.slice(0, used);
    else for (let i = 0; i < used; i++) this.words[i] = other.words[i];
    this.length = other.length;
  }
}

const EMPTY = new Int32Array(0);

/**
 * A verification state: `struct bpf_verifier_state`. The frames lie in the verifier's memory (layout.ts); here is the
 * rest. `env.cur` is the one being walked, its frames have full stacks; saved ones hold only the slots in use.
 */
export class State {
  /** Word index of each frame; entries above {@link curFrame} are stale. */
  readonly frames: Int32Array = new Int32Array(MAX_FRAMES);
  /** Number of the innermost frame. */
  curFrame = 0;
  /** Acquired references, locks and irq states in order of acquisition. Replaced, never changed in place. */
  refs: readonly Reference[] = NO_REFS;
  /** Held spin locks (`active_locks`). */
  activeLocks = 0;
  activePreemptLocks = 0;
  /** Id of the innermost saved irq state; 0: interrupts are on. */
  activeIrqId = 0;
  /** Id and owner of the innermost held lock. */
  activeLockId = 0;
  activeLockOwner = 0;
  /** Depth of `bpf_rcu_read_lock` sections (6.18: counted). */
  activeRcuLocks = 0;
  speculative = false;
  inSleepable = false;
  /** Saved states: dead registers and slots were cleared. */
  cleaned = false;
  /** The saved state this path came from. */
  parent: State | undefined = undefined;
  /** Saved states: paths from here that are not finished. */
  branches = 0;
  /** Saved states: slot they were saved at. */
  insn = 0;
  firstInsn = 0;
  lastInsn = 0;
  /** How often a synchronous callback was unrolled on this path. */
  callbackUnrollDepth = 0;
  mayGotoDepth = 0;
  dfsDepth = 0;
  /** Saved states that equal a state of an unfinished loop: what it was compared with. */
  equalState: State | undefined = undefined;
  /** For tools: number of the step that led here (causes.ts). The verifier only copies it. */
  trace = 0;
  history: JumpHistory = new JumpHistory();
  /** Saved states: how often it ended a path, and how often it did not. */
  hitCount = 0;
  missCount = 0;
  /** Saved states: no longer compared with. */
  evicted = false;
}

const NO_REFS: readonly Reference[] = [];

/** Slot kept per instruction: `struct bpf_insn_aux_data`, as columns. */
export interface InsnAux {
  /** A state may be saved here (`prune_point`). */
  readonly prunePoint: Uint8Array;
  /** A state must be saved here (`force_checkpoint`). */
  readonly forceCheckpoint: Uint8Array;
  /** A jump lands or leaves here: goes into the history (`jmp_point`). */
  readonly jumpPoint: Uint8Array;
  /** The call may run a synchronous callback (`calls_callback`). */
  readonly callsCallback: Uint8Array;
  /** Strongly connected component of the flow graph; 0: in none. */
  readonly scc: Int32Array;
  /** Bit n: r0–r9 may be read from here on before it is written (`live_regs_before`). */
  readonly liveRegs: Uint16Array;
  /** Visited by the walk. */
  readonly seen: Uint8Array;
  /** `ptr_type` of loads and stores: 0 = not walked yet. */
  readonly pointerType: Int32Array;
  /** BPF_PSEUDO_MAP_FD / MAP_VALUE loads: index into `env.maps`; -1. */
  readonly mapIndex: Int32Array;
  /** BPF_PSEUDO_MAP_VALUE: offset. BPF_PSEUDO_BTF_ID of a per-CPU or plain variable: see {@link loadType}. */
  readonly mapOffset: Int32Array;
  /** BPF_PSEUDO_BTF_ID: TYPE of the register. 0: none. */
  readonly loadType: Int32Array;
  /** … BTF id (PTR_TO_BTF_ID) or size in bytes (PTR_TO_MEM). */
  readonly loadTypeArg: Int32Array;
  /** … index into `env.btfs`. */
  readonly loadTypeBtf: Uint8Array;
  /** Arena, zero-extension, `bpf_fastcall` and other marks (PRE and the walk agree in port comments): bit set. */
  readonly marks: Uint8Array;
}

/** A function of the program: `struct bpf_subprog_info` and `bpf_func_info_aux`. */
export interface Subprog {
  /** First slot. */
  readonly start: number;
  /** Slot behind the last. */
  readonly end: number;
  readonly name: string;
  readonly isGlobal: boolean;
  /** Deepest stack offset seen, bytes (positive). The walk raises it. */
  stackDepth: number;
  hasTailCall: boolean;
  hasLdAbs: boolean;
  tailCallReachable: boolean;
  isCallback: boolean;
  isAsyncCallback: boolean;
  isExceptionCallback: boolean;
  changesPacketData: boolean;
  mightSleep: boolean;
  /** Global function called by the program: verify it alone (`called`). */
  called: boolean;
  verified: boolean;
  /** BTF says something unusable (`unreliable`): call by value checks are skipped. */
  unreliable: boolean;
  /** Lowest stack offset used by fastcall spills, and whether they are kept. */
  fastcallStackOff: number;
  keepFastcallStack: boolean;
  /** From BTF; filled when first asked (`btf_prepare_func_args`). */
  args: readonly SubprogArg[] | undefined;
}

/** What a global function's argument is, by BTF and tags: `struct bpf_subprog_arg_info`. */
export interface SubprogArg {
  readonly kind: "anything" | "ctx" | "mem" | "dynptr" | "btf" | "arena";
  readonly nullable: boolean;
  readonly readOnly: boolean;
  /** mem: bytes. */
  readonly size: number;
  /** btf: type id in the kernel's BTF; trusted or not. */
  readonly btfId: number;
  /** TypeFlag bits (PTR_TRUSTED, PTR_UNTRUSTED, …). */
  readonly flags: number;
}
