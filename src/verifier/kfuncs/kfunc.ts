import { KFUNC_HOOKS, type KfuncFlag, type KfuncOnly, kfuncRow } from "../../abi/index.ts";
import type { Btf, BtfTypeOf } from "../../btf/index.ts";
import { programTypeOf } from "../access/program-type.ts";
import { BTF_KERNEL, type VerifierEnv } from "../env.ts";
import { isKfuncCall } from "../prechecks-calls.ts";

/** Bits of {@link Kfunc.flags}, one for each {@link KfuncFlag}. */
export const KF = {
  ACQUIRE: 1,
  RELEASE: 2,
  RET_NULL: 4,
  TRUSTED_ARGS: 8,
  SLEEPABLE: 16,
  DESTRUCTIVE: 32,
  RCU: 64,
  ITER_NEW: 128,
  ITER_NEXT: 256,
  ITER_DESTROY: 512,
  RCU_PROTECTED: 1024,
  FASTCALL: 2048,
} as const satisfies Record<KfuncFlag, number>;

/** A kernel function as a program calls it. */
export interface Kfunc {
  readonly name: string;
  /** Id of the function in its BTF. */
  readonly id: number;
  /** BTF that has it, and its number in `env.btfs`. */
  readonly btf: Btf;
  readonly btfNumber: number;
  readonly proto: BtfTypeOf<"func_proto">;
  /** Bits of {@link KF}. */
  readonly flags: number;
  /** The program may call it. */
  readonly allowed: boolean;
}

/** The kernel functions of one program, each looked up once. */
export class KfuncTable {
  private readonly known = new Map<number, Kfunc>();
  private tagged: ReadonlySet<number> | undefined;

  /** What the call at slot `insn` names; undefined when it is no call of a kernel function. */
  at(env: VerifierEnv, insn: number): Kfunc | undefined {
    const { insns } = env;
    if (!isKfuncCall(insns, insn)) return undefined;
    const key = insns.imm[insn] * 0x1_0000 + (insns.off[insn] & 0xffff);
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const found = this.find(env, insns.imm[insn], insns.off[insn]);
    if (found !== undefined) this.known.set(key, found);
    return found;
  }

  private find(env: VerifierEnv, id: number, module: number): Kfunc | undefined {
    const btfNumber = module === 0 ? BTF_KERNEL : module + 1;
    const btf = env.btfs[btfNumber];
    if (btf === undefined) env.unsupported("kernel functions without the kernel's BTF");
    const func = btf.types[id];
    if (func?.kind !== "func") return undefined;
    const proto = btf.types[func.type];
    if (proto?.kind !== "func_proto") return undefined;
    const row = kfuncRow(func.name);
    if (row === undefined) {
      if (module !== 0 || this.isTagged(btf, id)) env.unsupported(`kernel function ${func.name}`);
      return { name: func.name, id, btf, btfNumber, proto, flags: 0, allowed: false };
    }
    const flags = row.flags.reduce((mask, flag) => mask | KF[flag], 0);
    const hook = KFUNC_HOOKS[programTypeOf(env)];
    const hooked = row.hooks.includes("COMMON") || (hook !== undefined && row.hooks.includes(hook));
    const allowed = hooked && (row.only === undefined || meets(env, row.only));
    return { name: func.name, id, btf, btfNumber, proto, flags, allowed };
  }

  /** The kernel's BTF marks it as a function that programs may call. */
  private isTagged(btf: Btf, id: number): boolean {
    if (this.tagged === undefined) {
      const ids = new Set<number>();
      for (const type of btf.types)
        if (type.kind === "decl_tag" && type.name === "bpf_kfunc") ids.add(type.type);
      this.tagged = ids;
    }
    return this.tagged.has(id);
  }
}

const ONLY: Readonly<Record<KfuncOnly, (env: VerifierEnv) => boolean>> = {
  lsm: (env) => programTypeOf(env) === "BPF_PROG_TYPE_LSM",
  iter: (env) => env.program.attachType === "BPF_TRACE_ITER",
  "kprobe-session": (env) =>
    env.program.attachType === "BPF_TRACE_KPROBE_SESSION" ||
    env.program.attachType === "BPF_TRACE_UPROBE_SESSION",
  "sock-addr": (env) => programTypeOf(env) === "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
  "sock-ops": (env) => programTypeOf(env) === "BPF_PROG_TYPE_SOCK_OPS",
  "xdp-metadata": () => false,
};

function meets(env: VerifierEnv, only: KfuncOnly): boolean {
  return ONLY[only](env);
}

/** Lists and trees: every function that works on their nodes. `is_bpf_graph_api_kfunc` */
export function isGraphKfunc(name: string): boolean {
  return isListKfunc(name) || isTreeKfunc(name) || name === "bpf_refcount_acquire_impl";
}

/** `is_bpf_list_api_kfunc` */
export function isListKfunc(name: string): boolean {
  return name.startsWith("bpf_list_");
}

/** `is_bpf_rbtree_api_kfunc` */
export function isTreeKfunc(name: string): boolean {
  return name.startsWith("bpf_rbtree_");
}

/** `is_bpf_res_spin_lock_kfunc` */
export function isResLockKfunc(name: string): boolean {
  return name.startsWith("bpf_res_spin_");
}

/** May be called with a spin lock held. `kfunc_spin_allowed` @ v6.18 */
export function isAllowedInLock(kfunc: Kfunc): boolean {
  const { name } = kfunc;
  if (kfunc.btfNumber !== BTF_KERNEL) return false;
  return isGraphKfunc(name) || name.startsWith("bpf_iter_num_") || isResLockKfunc(name);
}
