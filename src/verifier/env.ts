import type { Btf, BtfIndex } from "../btf/index.ts";
import type { InsnTable } from "../isa/index.ts";
import type { DomainExports, DomainMemory } from "./domain.ts";
import { type RejectErrno, Rejection, Unsupported, type VerifierCode } from "./errors.ts";
import type { VerifierMap, VerifierProgram, VerifyOptions } from "./input.ts";
import { F_SLOTS, FRAME_HEADER, FRAME_STACK_AT, ROW_WORDS, SLOT_TYPE_WORDS, SLOT_WORDS } from "./layout.ts";
import type { VerifierLog } from "./log.ts";
import type { AccessPort, KfuncPort, PrePort } from "./ports.ts";
import type { InsnAux, State, Subprog } from "./state.ts";

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
  readonly maps: readonly VerifierMap[];
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
  /** Scratch rows: see scratch.ts. */
  readonly scratch: number;
  /** Function verified at the moment: 0 or a global function. */
  subprogAtWork = 0;
  /** Test flags. */
  readonly testRegInvariants: boolean;

  constructor(init: VerifierEnvInit) {
    this.program = init.program;
    this.options = init.options;
    this.insns = init.insns;
    this.maps = init.program.maps;
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
    this.scratch = init.scratch;
    const capabilities = init.options.capabilities ?? "root";
    this.bpfCapable = capabilities !== "unprivileged";
    this.allowPtrLeaks = capabilities === "root";
    this.allowUninitStack = capabilities === "root";
    this.bypassSpecV1 = capabilities === "root";
    this.bypassSpecV4 = capabilities === "root";
    // x86-64 has efficient unaligned access; BPF_F_ANY_ALIGNMENT turns the strict flag off again.
    this.strictAlignment = (init.program.flags.strictAlignment ?? false) && !init.program.flags.anyAlignment;
    this.testRegInvariants = init.program.flags.testRegInvariants ?? false;
    this.gplCompatible = init.gplCompatible;
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
  readonly scratch: number;
  readonly gplCompatible: boolean;
}
