import type { Diagnostic } from "../base/index.ts";
import type { Btf, BtfIndex } from "../btf/index.ts";
import type { InsnTable } from "../isa/index.ts";
import { Rights } from "./capabilities.ts";
import type { DomainExports, DomainMemory } from "./domain.ts";
import { type RejectErrno, Rejection, Unsupported, type VerifierCode } from "./errors.ts";
import { ExploredStates } from "./explored.ts";
import { LinkedRegs } from "./history.ts";
import { IdMap } from "./id-map.ts";
import type { VerifierMap, VerifierProgram, VerifyOptions } from "./input.ts";
import { F_SLOTS, FRAME_HEADER, FRAME_STACK_AT, ROW_WORDS, SLOT_TYPE_WORDS, SLOT_WORDS } from "./layout.ts";
import type { VerifierLog } from "./log.ts";
import type { AccessPort, KfuncPort, PrePort } from "./ports.ts";
import { Backtrack } from "./precision.ts";
import { Sanitation } from "./sanitation.ts";
import type { InsnAux, State, Subprog } from "./state.ts";
import { type PendingPath, StatePool } from "./states.ts";

/** Index into {@link VerifierEnv.btfs} of the kernel's BTF. */
export const BTF_KERNEL = 0;
/** … of the program's own. */
export const BTF_PROGRAM = 1;

/**
 * All that one verification knows: `struct bpf_verifier_env`. Made by verify.ts, handed to every check. Fields are plain so
 * that hot code reads them directly.
 */
export class VerifierEnv {
  readonly program: VerifierProgram;
  readonly options: VerifyOptions;
  readonly insns: InsnTable;
  /** The program's maps, then inner maps met on the way ({@link innerMapIndex}). */
  readonly maps: VerifierMap[];
  private readonly innerMaps: Map<number, number> = new Map();
  /** BTFs by number: {@link BTF_KERNEL}, {@link BTF_PROGRAM}, then the modules. */
  readonly btfs: readonly (Btf | undefined)[];
  /** Name index of the same BTFs. */
  readonly btfIndexes: readonly (BtfIndex | undefined)[];
  readonly log: VerifierLog;
  readonly mem: DomainMemory;
  readonly domain: DomainExports;
  readonly access: AccessPort;
  readonly kfuncs: KfuncPort;
  readonly pre: PrePort;
  /** By instruction; filled by `pre.prepare`. */
  readonly aux: InsnAux;
  /** In the order of their slots, the main program first; filled by `pre.prepare`. */
  subprogs: Subprog[] = [];

  // -- rights -------------------------------------------------------------------------------------------------------
  readonly rights: Rights;
  /** CAP_BPF: loops, callbacks, BPF calls, precise = false by default. */
  readonly bpfCapable: boolean;
  /** CAP_PERFMON: pointer leaks. */
  readonly allowPtrLeaks: boolean;
  /** CAP_PERFMON: reads of uninitialised stack. */
  readonly allowUninitStack: boolean;
  readonly bypassSpecV1: boolean;
  readonly bypassSpecV4: boolean;
  /** Unaligned accesses reject. */
  readonly strictAlignment: boolean;
  readonly gplCompatible: boolean;
  /** Functions of the program that this one is attached to; undefined: there is none, or it is not accepted itself. */
  readonly targetSubprogs: readonly Subprog[] | undefined;

  // -- the walk -------------------------------------------------------------------------------------------------------
  /** The state being walked. */
  cur: State;
  /** Slot being walked; -1 before the walk. */
  insn = -1;
  /** Slot walked before. */
  prevInsn = -1;
  insnsProcessed = 0;
  /** Source of ids for values, references and maps (`id_gen`). */
  idGen = 0;
  jumpsProcessed = 0;
  /** Paths to walk later, last first. */
  readonly pending: PendingPath[] = [];
  readonly pool: StatePool;
  readonly backtrack: Backtrack = new Backtrack();
  /** Scratch of jmp.ts. */
  readonly linked: LinkedRegs = new LinkedRegs();
  /** Ids seen equal in the comparison of states at hand. */
  readonly ids: IdMap = new IdMap();
  readonly explored: ExploredStates;
  /** struct_ops: ids of the references the program is handed, by number of the argument. */
  readonly argumentRefs: Map<number, number> = new Map();
  /** Function verified at the moment: 0 or a global function. */
  subprogAtWork = 0;
  /** By slot: calls of `bpf_iter_*_next` that were walked. */
  readonly iterNext: Uint8Array;
  /** Test flags. */
  readonly testRegInvariants: boolean;
  /** Registers of the innermost frame that the log has not shown since they changed (bit n). */
  scratchedRegs = 0;
  /** … and stack slots 0–31, 32–63. */
  scratchedSlotsLo = 0;
  scratchedSlotsHi = 0;
  /** Where the walk goes on behind a call; a helper that does not return may change it. */
  next = 0;
  /** What guards the program against speculation; undefined: nothing has to. */
  readonly sanitation: Sanitation | undefined;
  /** A pointer moved by an unknown number without CAP_PERFMON: scalars are compared exactly from then on. */
  exploreAluLimits = false;
  /** Instructions with reserved fields set, by slot. */
  readonly findings: ReadonlyMap<number, Diagnostic>;
  /** Hooks of the log (trace-log.ts); they do nothing unless the log's level asks for it. The instruction about to be walked: */
  traceInsn: (fromElsewhere: boolean) => void = () => {};
  /** … registers and slots that changed since they were last shown. */
  traceChange: () => void = () => {};
  /** … a whole frame of a state, behind a title. */
  traceState: (title: string, state: State, frame: number) => void = () => {};
  /** … what precision backtracking asks of a frame of a saved state. */
  tracePrecise: (state: State, frame: number) => void = () => {};
  /** … the source line of an instruction. */
  traceSource: (insn: number) => void = () => {};
  /** Prints that the path is covered by a saved state. */
  traceSafe: (fromElsewhere: boolean) => void = () => {};
  /** Entry of `cur.history` that belongs to the instruction at hand; -1: none yet. */
  historyEntry = -1;
  /** Prints an instruction that precision backtracking goes over (log level 2). */
  traceBacktrack: (insn: number) => void = () => {};

  constructor(init: VerifierEnvInit) {
    this.program = init.program;
    this.options = init.options;
    this.insns = init.insns;
    this.maps = [...init.program.maps];
    this.btfs = init.btfs;
    this.btfIndexes = init.btfIndexes;
    this.log = init.log;
    this.mem = init.mem;
    this.domain = init.mem.domain;
    this.access = init.access;
    this.kfuncs = init.kfuncs;
    this.pre = init.pre;
    this.aux = init.aux;
    this.cur = init.cur;
    this.pool = new StatePool(init.options.memoryLimit ?? 512 * 1024 * 1024);
    this.findings = init.findings ?? new Map();
    this.iterNext = new Uint8Array(init.insns.length);
    this.explored = new ExploredStates(init.insns.length);
    this.rights = new Rights(init.options.capabilities);
    const { bpfCapable, perfmon } = this.rights;
    this.bpfCapable = bpfCapable;
    this.allowPtrLeaks = perfmon;
    this.allowUninitStack = perfmon;
    this.bypassSpecV1 = perfmon;
    this.bypassSpecV4 = perfmon;
    this.sanitation = perfmon ? undefined : new Sanitation(init.insns.length);
    // x86-64 has efficient unaligned access; BPF_F_ANY_ALIGNMENT turns the strict flag off again.
    this.strictAlignment = (init.program.flags.strictAlignment ?? false) && !init.program.flags.anyAlignment;
    this.testRegInvariants = init.program.flags.testRegInvariants ?? false;
    this.gplCompatible = init.gplCompatible;
    this.targetSubprogs = init.targetSubprogs;
  }

  /** Row of register `n` in the innermost frame. */
  reg(n: number): number {
    return this.cur.frames[this.cur.curFrame] + FRAME_HEADER + n * ROW_WORDS;
  }

  /** Row of register `n` in frame `frame` of the current state. */
  regIn(frame: number, n: number): number {
    return this.cur.frames[frame] + FRAME_HEADER + n * ROW_WORDS;
  }

  /** Word index of the innermost frame. */
  get frame(): number {
    return this.cur.frames[this.cur.curFrame];
  }

  /**
   * Byte index (into `mem.u8`) of the eight types of stack slot `slot` of the frame at word `frame`; type `i` belongs to
   * the byte at `fp - 8 * (slot + 1) + 7 - i`, as in the kernel.
   */
  slotTypes(frame: number, slot: number): number {
    return (frame + FRAME_STACK_AT + slot * SLOT_WORDS) * 4;
  }

  /** Row of the register spilled in stack slot `slot` of the frame at word `frame`. */
  slotRow(frame: number, slot: number): number {
    return frame + FRAME_STACK_AT + slot * SLOT_WORDS + SLOT_TYPE_WORDS;
  }

  /** Stack slots in use in the frame at word `frame`. */
  slotCount(frame: number): number {
    return this.mem.i32[frame + F_SLOTS];
  }

  /** Index into {@link maps} of a map's inner map, which it must have. */
  innerMapIndex(map: number): number {
    const known = this.innerMaps.get(map);
    if (known !== undefined) return known;
    const { inner } = this.maps[map];
    if (inner === undefined) return this.unsupported(`inner map of ${this.maps[map].name}`);
    const at = this.maps.push({ ...inner, name: "" }) - 1; // the kernel's template has no name
    this.innerMaps.set(map, at);
    return at;
  }

  /** Number of the function that slot `insn` belongs to. `find_containing_subprog` */
  subprogAt(insn: number): number {
    let low = 0;
    let high = this.subprogs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.subprogs[middle].start <= insn) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A fresh id, never 0. */
  newId(): number {
    return ++this.idGen;
  }

  /** Prints a line of the kernel's that is not the last one before a rejection. `text` ends in `\n` itself. */
  verbose(text: string): void {
    this.log.verbose(text);
  }

  /**
   * Rejects the program: never returns. `message` is the kernel's last line without `\n`; lines before it are printed with
   * {@link verbose} first.
   */
  fail(code: VerifierCode, message: string, errno: RejectErrno = "EINVAL"): never {
    this.log.verbose(`${message}\n`);
    throw new Rejection(code, message, errno);
  }

  /** Gives up: the verdict is "unsupported" with this feature, such as `"kfunc bpf_foo"`. Never returns. */
  unsupported(feature: string): never {
    throw new Unsupported(feature);
  }
}

/** What a {@link VerifierEnv} is made of. */
export interface VerifierEnvInit {
  readonly program: VerifierProgram;
  readonly options: VerifyOptions;
  readonly insns: InsnTable;
  readonly btfs: readonly (Btf | undefined)[];
  readonly btfIndexes: readonly (BtfIndex | undefined)[];
  readonly log: VerifierLog;
  readonly mem: DomainMemory;
  readonly access: AccessPort;
  readonly kfuncs: KfuncPort;
  readonly pre: PrePort;
  readonly aux: InsnAux;
  readonly cur: State;
  /** What the walk says when it reaches an instruction with reserved fields set; default: nothing is wrong. */
  readonly findings?: ReadonlyMap<number, Diagnostic>;
  readonly gplCompatible: boolean;
  readonly targetSubprogs?: readonly Subprog[] | undefined;
}
