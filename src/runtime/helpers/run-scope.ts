import type { RunState } from "../run-state.ts";
import { DynptrTable } from "./dynptr-table.ts";

/** An open-coded iterator of kfuncs (`bpf_iter_*_new` … `_destroy`). */
export interface OpenIterator {
  /** `"num"`, `"bits"` …: the part of the kfunc's name that tells families apart. */
  readonly family: string;
  /** `bits`: the words being walked, copied when it began. */
  readonly bits?: Uint8Array;
}

/** What a program holds in one run, beside registers and memory. */
export interface RunScope {
  readonly dynptrs: DynptrTable;
  /** By the address of the program's `struct bpf_iter_*`. */
  readonly iterators: Map<number, OpenIterator>;
  /** Address of the `bpf_spin_lock` being held; 0: none. */
  lock: number;
  /** How often the section was entered and not left. */
  readonly depth: { rcu: number; preempt: number };
  /** Addresses of the `bpf_res_spin_lock`s being held, innermost last. */
  readonly resilientLocks: number[];
  /** Addresses where `bpf_local_irq_save` left its flags, innermost last. */
  readonly irqFlags: number[];
  /** `bpf_set_retval`: what the hook would return to user space. */
  hookRetval: number;
}

const KEY = "helpers";

/** The scope of this run, made at first use. */
export function runScope(run: RunState): RunScope {
  let scope = run.scratch.get(KEY) as RunScope | undefined; // only this file writes under KEY
  if (scope === undefined) {
    scope = {
      dynptrs: new DynptrTable(),
      iterators: new Map(),
      lock: 0,
      depth: { rcu: 0, preempt: 0 },
      resilientLocks: [],
      irqFlags: [],
      hookRetval: 0,
    };
    run.scratch.set(KEY, scope);
  }
  return scope;
}
