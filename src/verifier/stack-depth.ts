import type { AttachTypeName, ProgramTypeName } from "../abi/index.ts";
import { functionTarget, type InsnTable, isFunctionLoad, isLocalCall } from "../isa/index.ts";
import { type CallSummaries, isKfuncCall } from "./prechecks-calls.ts";
import type { Fail } from "./prechecks-fail.ts";
import type { Subprog } from "./state.ts";
import { subprogIndexOf } from "./subprograms.ts";

/** `MAX_BPF_STACK` */
const MAX_STACK = 512;
/** `MAX_CALL_FRAMES` */
const MAX_CALLS = 8;
/** Stack of callers when a callee makes tail calls: 33 tail calls later it is 8 KiB. */
const MAX_TAIL_CALL_STACK = 256;
/** `BPF_PRIV_STACK_MIN_SIZE` */
const MIN_PRIVATE_STACK = 64;
/** The JIT's granularity of stack frames (the interpreter's is 32). */
const FRAME_ALIGN = 16;

/** What {@link checkStackDepth} needs to know. */
export interface StackDepthInput {
  readonly insns: InsnTable;
  readonly subprogs: readonly Subprog[];
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  readonly calls: CallSummaries;
  readonly fail: Fail;
}

/**
 * The stacks of all functions that can be active together fit into 512 bytes, at most 8 functions are active, and tail
 * calls, `bpf_throw`, `LD_ABS` and exception callbacks stand where they may. Programs that run on a private stack count
 * each function alone.
 * @see kernel/bpf/verifier.c `check_max_stack_depth` @ v6.18
 */
export function checkStackDepth(input: StackDepthInput): void {
  const { subprogs } = input;
  const noTailCall = subprogs.every((subprog) => !subprog.hasTailCall);
  const privateStack = noTailCall && hasPrivateStack(input);
  // What asynchronous callbacks reach stays on the kernel's stack, so they come first.
  const shared = new Uint8Array(subprogs.length);
  const sites = callSites(input);
  for (let root = subprogs.length - 1; root >= 0; root--) {
    if (root === 0) new DepthWalk(input, sites, shared, privateStack).from(0);
    else if (subprogs[root].isAsyncCallback) new DepthWalk(input, sites, shared, false).from(root);
  }
}

/**
 * The x86-64 JIT has private stacks; programs that cannot run inside themselves get one. struct_ops programs do where the
 * structure's owner asks for it, which none in the kernel proper does. @see `bpf_enable_priv_stack`, `bpf_prog_check_recur`
 */
function hasPrivateStack({ type, attachType }: StackDepthInput): boolean {
  if (type === "BPF_PROG_TYPE_TRACING") return attachType !== "BPF_TRACE_ITER";
  return (
    type === "BPF_PROG_TYPE_KPROBE" ||
    type === "BPF_PROG_TYPE_TRACEPOINT" ||
    type === "BPF_PROG_TYPE_PERF_EVENT" ||
    type === "BPF_PROG_TYPE_RAW_TRACEPOINT"
  );
}

/** By function: slots of local calls, function addresses and kernel function calls. */
function callSites({ insns, subprogs }: StackDepthInput): number[][] {
  return subprogs.map(({ start, end }) => {
    const sites: number[] = [];
    for (let slot = start; slot < end; slot++) {
      if (isLocalCall(insns, slot) || isFunctionLoad(insns, slot) || isKfuncCall(insns, slot))
        sites.push(slot);
    }
    return sites;
  });
}

class DepthWalk {
  private readonly input: StackDepthInput;
  private readonly sites: readonly (readonly number[])[];
  /** Functions that share the kernel's stack. */
  private readonly shared: Uint8Array;
  private readonly privateStack: boolean;
  /** Numbers of the active functions, outermost first. */
  private readonly path: number[] = [];
  private depth = 0;
  private tailCallSeen = false;
  /** Calls found to be fine: function, depth, number of active functions, in a callback. */
  private readonly fine = new Set<string>();

  constructor(
    input: StackDepthInput,
    sites: readonly (readonly number[])[],
    shared: Uint8Array,
    privateStack: boolean,
  ) {
    this.input = input;
    this.sites = sites;
    this.shared = shared;
    this.privateStack = privateStack;
  }

  /** Recursion ends at {@link MAX_CALLS}. */
  from(index: number): void {
    if (!this.privateStack) this.shared[index] = 1;
    this.path.push(index);
    // Each way to get here in the same situation goes on in the same way: without this, calls of calls explode.
    const situation = `${index} ${this.depth} ${this.path.length} ${this.inCallback()}`;
    if (!this.fine.has(situation)) {
      this.checkEntry(index);
      const bytes = this.enter(index);
      for (const slot of this.sites[index]) this.visit(slot, index);
      this.depth -= bytes;
      this.fine.add(situation);
    }
    if (this.tailCallSeen) this.markTailCallers();
    this.path.pop();
  }

  private checkEntry(index: number): void {
    const { subprogs } = this.input;
    const fail: Fail = this.input.fail;
    const { hasTailCall, start } = subprogs[index];
    if (index !== 0 && hasTailCall && this.depth >= MAX_TAIL_CALL_STACK) {
      const message = `tail_calls are not allowed when call stack of previous frames is ${this.depth} bytes. Too large`;
      fail("verifier/tail-call-stack", message, "EACCES", start);
    }
  }

  /** Bytes the function adds to the shared stack. */
  private enter(index: number): number {
    const { subprogs } = this.input;
    const fail: Fail = this.input.fail;
    const { stackDepth, start } = subprogs[index];
    const bytes = Math.ceil(stackDepth / FRAME_ALIGN) * FRAME_ALIGN;
    if (this.privateStack && this.shared[index] === 0 && bytes >= MIN_PRIVATE_STACK) {
      if (bytes > MAX_STACK) {
        const message = `stack size of subprog ${index} is ${bytes}. Too large`;
        fail("verifier/stack-too-deep", message, "EACCES", start);
      }
      return 0;
    }
    this.depth += bytes;
    if (this.depth > MAX_STACK) {
      const message = `combined stack size of ${this.path.length} calls is ${this.depth}. Too large`;
      fail("verifier/stack-too-deep", message, "EACCES", start);
    }
    return bytes;
  }

  private visit(slot: number, index: number): void {
    const { insns, subprogs, calls } = this.input;
    const fail: Fail = this.input.fail;
    if (isKfuncCall(insns, slot)) {
      if (insns.off[slot] !== 0 || calls(slot)?.name !== "bpf_throw" || !this.inCallback()) return;
      const message = `bpf_throw kfunc (insn ${slot}) cannot be called from callback subprog ${index}`;
      fail("verifier/throw-in-callback", message, "EINVAL", slot);
    }
    const isCall = isLocalCall(insns, slot);
    if (!isCall && !isFunctionLoad(insns, slot)) return;
    const callee = subprogIndexOf(subprogs, functionTarget(insns, slot));
    if (subprogs[callee].isAsyncCallback) {
      if (!isCall) return; // runs on its own stack, later
      if (subprogs[callee].isExceptionCallback) {
        const message = `insn ${slot} cannot call exception cb directly`;
        fail("verifier/call-of-exception-callback", message, "EINVAL", slot);
      }
    }
    if (subprogs[callee].hasTailCall) this.tailCallSeen = true;
    if (this.path.length >= MAX_CALLS) {
      const message = `the call stack of ${this.path.length} frames is too deep !`;
      fail("verifier/call-depth", message, "E2BIG", slot);
    }
    this.from(callee);
  }

  /** `is_cb` of the function at hand or of one that called it. */
  private inCallback(): boolean {
    return this.path.some((index) => this.input.subprogs[index].isCallback);
  }

  private markTailCallers(): void {
    const { subprogs } = this.input;
    const fail: Fail = this.input.fail;
    for (const index of this.path.slice(0, -1)) {
      const caller = subprogs[index];
      if (caller.isExceptionCallback) {
        const message = "cannot tail call within exception cb";
        fail("verifier/tail-call-in-callback", message, "EINVAL", caller.start);
      }
      caller.tailCallReachable = true;
    }
  }
}
