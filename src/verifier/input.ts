import type { AttachTypeName, MapTypeName, ProgramTypeName } from "../abi/index.ts";
import type { SourceLocation } from "../base/index.ts";
import type { Btf, CoreRelocationKind } from "../btf/index.ts";
import type { FuncInfo, LineInfo } from "../object/index.ts";
import type { Capabilities } from "./capabilities.ts";
import type { RejectErrno, VerifierCode } from "./errors.ts";

/**
 * A program as bpf(2) would get it: CO-RE applied, references settled. Pseudo loads keep their `src` mark:
 * MAP_FD / MAP_VALUE carry the index into {@link maps} in place of a descriptor, BTF_ID and kfunc calls carry BTF ids of
 * {@link kernelBtf} (`off` or second imm = 0; modules: 1 + index into {@link moduleBtfs}), FUNC and local calls are relative.
 */
export interface VerifierProgram {
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  /** Instructions, 8 bytes a slot, little endian. */
  readonly insns: Uint8Array;
  readonly maps: readonly VerifierMap[];
  /** The program's own BTF; undefined: none was given to the kernel. */
  readonly btf: Btf | undefined;
  /** Functions, by ascending slot; empty without `func_info`. */
  readonly funcs: readonly FuncInfo[];
  readonly lines: readonly LineInfo[];
  /** What CO-RE relocations made of instructions, by ascending slot; for messages only. */
  readonly accesses?: readonly CoreAccess[];
  readonly license: string;
  readonly flags: VerifierProgramFlags;
  /** Kernel types (`vmlinux`); undefined: what needs them is answered "unsupported". */
  readonly kernelBtf: Btf | undefined;
  /**
   * Functions on the kernel's error injection list, as `/sys/kernel/debug/error_injection/list` names them. Absent: unknown,
   * unless the kernel's BTF shows that it was built without the list.
   */
  readonly errorInjection?: ReadonlySet<string> | undefined;
  /** Split BTF of modules, each on top of {@link kernelBtf}. */
  readonly moduleBtfs?: readonly Btf[];
  /**
   * Hook: BTF id of the function, tracepoint typedef or struct_ops type attached to, in the kernel's BTF or, with
   * {@link target}, in the target's; 0: none.
   */
  readonly attachBtfId?: number;
  /** Hook by name (function, tracepoint, `"struct/member"` of struct_ops) for what has no BTF id. */
  readonly attachTo?: string | undefined;
  /** struct_ops: index of the member. */
  readonly structOpsMember?: number;
  /** freplace, fentry or fexit of a program's function: the target. */
  readonly target?: VerifierProgram;
}

/** What a CO-RE relocation says of an instruction. */
export interface CoreAccess {
  /** Slot. */
  readonly insn: number;
  readonly kind: CoreRelocationKind;
  /** `"struct task_struct"` */
  readonly type: string;
  /** `"mm.pgd"`; `""` for relocations of types. Enumerators: `"NAME"`. */
  readonly field: string;
  /** The target's types have no such thing: the instruction was made invalid, as libbpf does. */
  readonly missing: boolean;
}

/** `prog_flags` of BPF_PROG_LOAD. */
export interface VerifierProgramFlags {
  readonly sleepable?: boolean;
  readonly xdpFrags?: boolean;
  readonly strictAlignment?: boolean;
  readonly anyAlignment?: boolean;
  /** BPF_F_TEST_STATE_FREQ: a checkpoint at every pruning point. */
  readonly testStateFreq?: boolean;
  /** BPF_F_TEST_REG_INVARIANTS: broken invariants reject instead of widening. */
  readonly testRegInvariants?: boolean;
}

/** A map a program refers to. */
export interface VerifierMap {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags: number;
  readonly mapExtra?: bigint;
  /** Template of the inner maps. */
  readonly inner?: VerifierMap | undefined;
  /** The map's own BTF (usually the program's); types of key and value in it, 0: none. */
  readonly btf?: Btf | undefined;
  readonly keyType?: number;
  readonly valueType?: number;
  /** BPF_MAP_FREEZE done; with BPF_F_RDONLY_PROG and {@link data} its contents are constants. */
  readonly frozen?: boolean;
  /** The value of element 0 of a frozen array. */
  readonly data?: Uint8Array | undefined;
  /** struct_ops and kptr-holding maps: BTF id of the kernel structure. */
  readonly kernelValueType?: number;
}

/** How to verify. */
export interface VerifyOptions {
  /** Who loads: a usual set by name, or a list of capabilities. Default `"root"`: all. */
  readonly capabilities?: Capabilities;
  /** 0 (default): only the final message; 1: instructions and states, as `log_level = 1`; 2: every state; 4: statistics. */
  readonly logLevel?: number;
  /** Characters of log kept; the middle is lost first. Default 16 Mi. */
  readonly logLimit?: number;
  /** Instructions to process before giving up; default 1,000,000 as Linux. */
  readonly insnLimit?: number;
  /** CPUs the kernel could have (`nr_cpu_ids`): bounds `bpf_get_smp_processor_id`; default 128. */
  readonly numCpus?: number;
  /** Bytes of state memory before giving up with "unsupported"; default 512 MiB. */
  readonly memoryLimit?: number;
  /**
   * Called before each processed instruction; costs nothing when absent. `env` is the verifier's own, for its tests: tools
   * call {@link recordStates}, which turns it into words and numbers.
   */
  readonly onState?: (insn: number, env: unknown) => void;
  /** Told how saved states compare; for budgetOf. Costs nothing when absent. */
  readonly watch?: PruningWatch;
  /** Monotonic clock in microseconds, for `timeUs`; without it `timeUs` is 0. */
  readonly nowUs?: () => number;
}

/** What is told of comparisons between the current state and those saved before. */
export interface PruningWatch {
  /** The path reached `insn`; the saved state `old` does not cover it. Both states lie in `env`. */
  apart(insn: number, old: unknown, env: unknown): void;
  /** A saved state covers the current one: the path ends at `insn`. */
  covered(insn: number): void;
  /**
   * Instruction `wantedBy` (-1: what a covering state needs) needs the exact number that lay in a place of a frame when
   * the state at `insn` was saved. Place: a register's number, or bytes from the frame pointer (negative).
   */
  precise(insn: number, frame: number, place: number, wantedBy: number): void;
}

/** Why a program was rejected. */
export interface VerifierError {
  readonly code: VerifierCode;
  /** The kernel's words; the last line of its log. */
  readonly message: string;
  /** The last lines of the log that belong to this error, {@link message} last. */
  readonly lines: readonly string[];
  readonly errno: RejectErrno;
  /** Slot being verified; -1: before the walk. */
  readonly insn: number;
  readonly source?: SourceLocation;
  /** Type and field that the instruction accesses, where CO-RE says. */
  readonly access?: CoreAccess;
}

/** What the verifier found out besides the answer. */
export interface VerifierStats {
  readonly insnsProcessed: number;
  readonly states: number;
  readonly peakStates: number;
  readonly maxStatesPerInsn: number;
  /** Bytes, per subprogram. */
  readonly stackDepths: readonly number[];
  readonly timeUs: number;
  /** Bytes of state memory in use at the peak. */
  readonly memoryBytes: number;
}

/** The verifier's answer. */
export type Verdict = VerifierStats & { readonly log: string } & (
    | {
        readonly verdict: "accepted";
        /** By slot: 1 for instructions that some path reaches; what none does never runs. */
        readonly reached: Uint8Array;
      }
    | { readonly verdict: "rejected"; readonly error: VerifierError }
    | { readonly verdict: "unsupported"; readonly feature: string; readonly insn: number }
  );
