import type { BtfRecord } from "./access/record.ts";
import type { VerifierEnv } from "./env.ts";
import type { Subprog } from "./state.ts";

/**
 * Who calls whom. The walk (CORE) calls the three ports below; their implementations call the walk's services:
 *
 * - `regs.ts`: rows of registers: `env.reg(n)`, `markUnknown`, `markNotInit`, `markKnownZero`, `markPointer`,
 *   `checkRegRead` (`check_reg_arg` SRC_OP), `checkRegWrite` (DST_OP), `markConstPrecise`;
 * - `refs.ts`: `acquireReference`, `releaseReference`, `findReference`, `markPtrOrNullRegs`;
 * - `stack.ts`: `checkStackRead`, `checkStackWrite`, `checkStackRange` (`check_stack_range_initialized`),
 *   `slotIndex`, `slotTypes`, `scrubSlot`, all with the messages of the kernel;
 * - `precision.ts`: `markChainPrecision(env, reg)`; `calls.ts`: `pushCallback(env, insn, subprog, kind)`.
 */
export interface AccessPort {
  /**
   * `check_mem_access`: `bytes` bytes at register `reg` + `off`, which is read into or written from register `valueReg`
   * (-1: neither: helper memory, atomics). Marks the value register after a read (pointer kinds, sizes below 8 coerced;
   * `isLdsx`: sign-extended). `strictOnce`: alignment is strict for this access.
   * PTR_TO_STACK goes to `checkStackRead` / `checkStackWrite` of stack.ts.
   */
  checkMemAccess(
    env: VerifierEnv,
    insn: number,
    reg: number,
    off: number,
    bytes: number,
    access: MemAccess,
    valueReg: number,
    strictOnce: boolean,
    isLdsx: boolean,
  ): void;
  /** `check_helper_call` for `call imm`: arguments, effects, r0; clobbers r1–r5. */
  checkHelperCall(env: VerifierEnv, insn: number): void;
  /** `may_access_skb` and the checks of LD_ABS / LD_IND that depend on program type; `gen_ld_abs` missing → EINVAL. */
  checkLdAbsAllowed(env: VerifierEnv): void;
  /** `check_mem_reg` for arguments of global functions: `reg` points to `bytes` bytes, read and written (or null). */
  checkMemReg(env: VerifierEnv, reg: number, bytes: number): void;
  /** `btf_is_ctx` arguments: `check_ptr_off_reg` and type PTR_TO_CTX; messages as `check_func_arg_reg_off`. */
  checkCtxReg(env: VerifierEnv, reg: number): void;
  /** Special fields of the values of `env.maps[map]`: locks, timers, kptrs, lists … ; undefined: none. `map->record` */
  mapRecord(env: VerifierEnv, map: number): BtfRecord | undefined;
  /** Special fields of structure `type` of `env.btfs[btf]`; the kernel's have none. `btf_find_struct_meta` */
  objectRecord(env: VerifierEnv, btf: number, type: number): BtfRecord | undefined;
}

/** Read or write; atomics do both through two calls. */
export const MemAccess = { READ: 1, WRITE: 2 } as const;
export type MemAccess = (typeof MemAccess)[keyof typeof MemAccess];

/** Special fields of map values and allocated objects (`btf_record`): "timer" stands for timers, work queues, task works. */
export type SpecialField = "spin-lock" | "timer";

/** Kernel functions and the objects they manage. */
export interface KfuncPort {
  /** The value of map `map` (index into `env.maps`) holds such a field. `btf_record_has_field` */
  mapHasField(env: VerifierEnv, map: number, field: SpecialField): boolean;
  /** The structure `id` of BTF number `btf` (an allocated object) does. */
  typeHasField(env: VerifierEnv, btf: number, id: number, field: SpecialField): boolean;
  /** `check_kfunc_call`: arguments, effects, r0; may fork iterators ({@link isIterNext} calls) and push callbacks. */
  checkKfuncCall(env: VerifierEnv, insn: number): void;
  /** `is_iter_next_insn`. */
  isIterNext(env: VerifierEnv, insn: number): boolean;
  /** The call may be made with a spin lock held. `kfunc_spin_allowed` */
  mayCallLocked(env: VerifierEnv, insn: number): boolean;
  /** The kernel function may be called with a spin lock held. `kfunc_spin_allowed` */
  mayCallLocked(env: VerifierEnv, insn: number): boolean;
  /** The kfunc is `bpf_throw`: the path ends here. */
  isThrow(env: VerifierEnv, insn: number): boolean;
  /** `destroy_if_dynptr_stack_slot`: a write to slot `slot` of frame `frame` invalidates the dynptr there. */
  destroyDynptrSlot(env: VerifierEnv, frame: number, slot: number): void;
  /** Arguments of global functions that are dynptrs or trusted kernel types: `process_dynptr_func`, `check_reg_type`. */
  checkDynptrArg(env: VerifierEnv, reg: number, insn: number): void;
  checkBtfArg(env: VerifierEnv, reg: number, btfId: number, flags: number): void;
  /**
   * Contexts that BTF describes (TRACING, LSM, STRUCT_OPS programs): what `bytes` bytes at `off` are, by `btf_ctx_access`
   * and the rules of the hook; undefined: refused, after printing the reasons. The caller says "invalid bpf_context access".
   */
  contextAccess(env: VerifierEnv, off: number, bytes: number, access: MemAccess): ContextLoad | undefined;
  /** struct_ops: numbers of the arguments that come with a reference the program has to give up (`__ref`). */
  referencedArguments(env: VerifierEnv): readonly number[];
}

/** What a load of a context field gives: `struct bpf_insn_access_aux`. */
export interface ContextLoad {
  /** SCALAR_VALUE or a pointer type with its flags; a maybe-null one gets a fresh id from the caller. */
  readonly type: number;
  /** PTR_TO_BTF_ID: index into `env.btfs` and BTF id. */
  readonly btf?: number;
  readonly btfId?: number;
  /** PTR_TO_BTF_ID: the reference the program holds by it (`__ref` arguments); 0: none. */
  readonly refObjId?: number;
  /** Scalars with a known range (return value of an LSM hook), both ends included. */
  readonly min?: number;
  readonly max?: number;
}

/** Checks before the walk, liveness and facts of subprograms. */
export interface PrePort {
  /**
   * `add_subprog_and_kfunc`, `check_subprogs`, `check_btf_info`, `resolve_pseudo_ldimm64`, `check_cfg`,
   * `compute_postorder`, `compute_scc`, `compute_live_registers`, `check_attach_btf_id`, `bpf_prog_ctx_arg_info_init`:
   * fills `env.aux` and `env.subprogs`, rejects.
   */
  prepare(env: VerifierEnv): void;
  /** Registers of a function verified on its own: `btf_prepare_func_args`; fills `subprog.args`, rejects bad BTF. */
  prepareFuncArgs(env: VerifierEnv, subprog: Subprog): void;
  /** `check_max_stack_depth`, `optimize_bpf_loop`'s and other checks after the walk. */
  finish(env: VerifierEnv): void;
  readonly stackLiveness: StackLiveness;
}

/** Which stack slots may still be read: `kernel/bpf/liveness.c @ v6.18`. Slots as two 32-bit masks (0–31, 32–63). */
export interface StackLiveness {
  /** `bpf_reset_stack_write_marks`: an instruction begins. */
  resetWriteMarks(env: VerifierEnv, insn: number): void;
  /** `bpf_mark_stack_read`: slots of `frame` that `insn` reads. */
  markRead(env: VerifierEnv, frame: number, insn: number, maskLo: number, maskHi: number): void;
  /** `bpf_mark_stack_write`: slots of `frame` that the instruction at hand overwrites for sure. */
  markWrite(env: VerifierEnv, frame: number, maskLo: number, maskHi: number): void;
  /** `bpf_commit_stack_write_marks`: the instruction is done. */
  commitWriteMarks(env: VerifierEnv): void;
  /** `bpf_reset_live_stack_callchain`: the walk moves to another path. */
  resetCallchain(env: VerifierEnv): void;
  /** `bpf_update_live_stack`: a function returns or a path ends: propagate. */
  update(env: VerifierEnv): void;
  /** `bpf_live_stack_query_init`; then {@link isAlive}. */
  queryInit(env: VerifierEnv, state: import("./state.ts").State): void;
  /** `bpf_stack_slot_alive` */
  isAlive(env: VerifierEnv, frame: number, slot: number): boolean;
}
