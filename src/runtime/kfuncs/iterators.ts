import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { E2BIG, EFAULT, EINVAL, readable, runScope } from "../helpers/index.ts";
import { PTR_TO_MEM } from "../layout.ts";

/** Open-coded iterators: `new`, `next` until null, `destroy`. Their state lies in the program's own struct. */
export const ITERATOR_KFUNCS = {
  bpf_iter_num_new: { since: "6.4", impl: numNew },
  bpf_iter_num_next: { since: "6.4", impl: numNext },
  bpf_iter_num_destroy: { since: "6.4", impl: (call) => destroy(call, "num") },
  bpf_iter_bits_new: { since: "6.11", impl: bitsNew },
  bpf_iter_bits_next: { since: "6.11", impl: bitsNext },
  bpf_iter_bits_destroy: { since: "6.11", impl: (call) => destroy(call, "bits") },
} as const satisfies Record<string, KfuncRow>;

/** Bytes of `struct bpf_iter_num`: i32 current, i32 end. */
const NUM_BYTES = 8;
/** Linux: BPF_MAX_LOOPS. */
const MAX_LOOPS = 8 * 1024 * 1024;

function numNew(call: HelperCall): number {
  const [start, end] = [call.s32(2), call.s32(3)];
  const at = open(call, "num", NUM_BYTES);
  const { view } = call.memory;
  const error = start > end ? -EINVAL : end - start > MAX_LOOPS ? -E2BIG : 0;
  view.setInt32(at, error < 0 ? 0 : start - 1, true);
  view.setInt32(at + 4, error < 0 ? 0 : end, true);
  return error;
}

function numNext(call: HelperCall): number {
  const at = opened(call, "num");
  const { view } = call.memory;
  const next = (view.getInt32(at, true) + 1) | 0;
  if (next >= view.getInt32(at + 4, true)) {
    view.setBigUint64(at, 0n, true);
    return 0;
  }
  view.setInt32(at, next, true);
  return call.returnPointer(PTR_TO_MEM, at, 4);
}

/** Bytes of `struct bpf_iter_bits`; ours: the current bit is an i32 at +12, as in Linux. */
const BITS_BYTES = 16;
const BIT_AT = 12;
/** Linux: BITS_ITER_NR_WORDS_MAX. */
const MAX_WORDS = 511;

function bitsNew(call: HelperCall): number {
  const from = call.u64(2);
  const words = call.u32(3);
  const at = open(call, "bits", BITS_BYTES);
  call.memory.u8.fill(0, at, at + BITS_BYTES);
  call.memory.view.setInt32(at + BIT_AT, -1, true);
  if (from === 0n || words === 0) return -EINVAL;
  if (words > MAX_WORDS) return -E2BIG;
  if (!readable(call.memory, from, words * 8)) return words === 1 ? -EFAULT : call.wasm.kernelFault(from);
  runScope(call.run).iterators.set(at, { family: "bits", bits: call.memory.read(Number(from), words * 8) });
  return 0;
}

function bitsNext(call: HelperCall): number {
  const at = opened(call, "bits");
  const bits = runScope(call.run).iterators.get(at)?.bits;
  if (bits === undefined) return 0;
  const { view } = call.memory;
  let bit = Math.max(0, view.getInt32(at + BIT_AT, true) + 1);
  while (bit < bits.length * 8 && (bits[bit >> 3] & (1 << (bit & 7))) === 0) bit++;
  view.setInt32(at + BIT_AT, bit, true);
  return bit < bits.length * 8 ? call.returnPointer(PTR_TO_MEM, at + BIT_AT, 4) : 0;
}

function destroy(call: HelperCall, family: string): number {
  const at = opened(call, family);
  call.memory.view.setBigUint64(at, 0n, true);
  runScope(call.run).iterators.delete(at);
  call.run.held.delete(`iterator:${at}`);
  return 0;
}

/** Starts an iterator in the struct that argument 1 points to; failed or not, it has to be destroyed. */
function open(call: HelperCall, family: string, size: number): number {
  const at = call.u32(1);
  call.checkMemory(1, size, "write");
  const { iterators } = runScope(call.run);
  if (iterators.has(at)) {
    call.fail(
      "runtime/bad-iterator",
      "expected uninitialized iter as arg #0",
      "destroy the iterator before using its struct again",
    );
  }
  iterators.set(at, { family });
  call.run.held.set(`iterator:${at}`, `Unreleased reference: bpf_iter_${family}_destroy was not called`);
  return at;
}

function opened(call: HelperCall, family: string): number {
  const at = call.u32(1);
  if (runScope(call.run).iterators.get(at)?.family !== family) {
    call.fail(
      "runtime/bad-iterator",
      `expected an initialized iter_${family} as arg #0`,
      `call bpf_iter_${family}_new first`,
    );
  }
  return at;
}
