import type { HelperCall, KfuncRow } from "../helper-call.ts";
import { PTR_TO_BTF_ID } from "../layout.ts";

/** `struct bpf_cpumask`: sets of CPU numbers. Programs hold them by pointer and look at them only through these. */
export const CPUMASK_KFUNCS = {
  bpf_cpumask_create: { since: "6.3", impl: create },
  bpf_cpumask_acquire: { since: "6.3", impl: acquire },
  bpf_cpumask_release: { since: "6.3", impl: release },
  bpf_cpumask_first: { since: "6.3", impl: (call) => first(call, mask(call, 1)) },
  bpf_cpumask_first_zero: { since: "6.3", impl: (call) => first(call, ~mask(call, 1)) },
  bpf_cpumask_first_and: { since: "6.3", impl: (call) => first(call, mask(call, 1) & mask(call, 2)) },
  bpf_cpumask_set_cpu: { since: "6.3", impl: (call) => setCpu(call, (bits, bit) => bits | bit) },
  bpf_cpumask_clear_cpu: { since: "6.3", impl: (call) => setCpu(call, (bits, bit) => bits & ~bit) },
  bpf_cpumask_test_cpu: { since: "6.3", impl: (call) => change(call, (bits) => bits) },
  bpf_cpumask_test_and_set_cpu: { since: "6.3", impl: (call) => change(call, (bits, bit) => bits | bit) },
  bpf_cpumask_test_and_clear_cpu: { since: "6.3", impl: (call) => change(call, (bits, bit) => bits & ~bit) },
  bpf_cpumask_setall: { since: "6.3", impl: (call) => store(call, all(call)) },
  bpf_cpumask_clear: { since: "6.3", impl: (call) => store(call, 0n) },
  bpf_cpumask_and: { since: "6.3", impl: and },
  bpf_cpumask_or: { since: "6.3", impl: (call) => store(call, mask(call, 2) | mask(call, 3)) },
  bpf_cpumask_xor: { since: "6.3", impl: (call) => store(call, mask(call, 2) ^ mask(call, 3)) },
  bpf_cpumask_copy: { since: "6.3", impl: (call) => store(call, mask(call, 2)) },
  bpf_cpumask_equal: { since: "6.3", impl: (call) => truth(mask(call, 1) === mask(call, 2)) },
  bpf_cpumask_intersects: { since: "6.3", impl: (call) => truth((mask(call, 1) & mask(call, 2)) !== 0n) },
  bpf_cpumask_subset: { since: "6.3", impl: (call) => truth((mask(call, 1) & ~mask(call, 2)) === 0n) },
  bpf_cpumask_empty: { since: "6.3", impl: (call) => truth(mask(call, 1) === 0n) },
  bpf_cpumask_full: { since: "6.3", impl: (call) => truth(mask(call, 1) === all(call)) },
  /** Linux goes round the set from call to call; the first member is one of the answers it may give. */
  bpf_cpumask_any_distribute: { since: "6.5", impl: (call) => first(call, mask(call, 1)) },
  bpf_cpumask_any_and_distribute: {
    since: "6.5",
    impl: (call) => first(call, mask(call, 1) & mask(call, 2)),
  },
  bpf_cpumask_weight: { since: "6.8", impl: weight },
} as const satisfies Record<string, KfuncRow>;

/** Room for the CPUs of any kernel here: 8192 bits, Linux's largest NR_CPUS. */
const MASK_BYTES = 1024;

function create(call: HelperCall): number {
  const address = call.heap.alloc(MASK_BYTES);
  if (address === 0) return 0;
  call.state.objects.set(address, { size: MASK_BYTES, stride: 0, count: 1 });
  return call.returnPointer(PTR_TO_BTF_ID, address, 0, call.acquire("cpumask"));
}

function acquire(call: HelperCall): number {
  const address = maskAt(call, 1);
  call.state.objects.get(address)!.count++;
  return call.returnPointer(PTR_TO_BTF_ID, address, 0, call.acquire("cpumask"));
}

function release(call: HelperCall): number {
  const address = maskAt(call, 1);
  call.release(1);
  call.state.dropObject(address);
  return 0;
}

function maskAt(call: HelperCall, n: number): number {
  const address = call.u32(n);
  if (call.state.objects.get(address)?.size === MASK_BYTES && call.provenance(n).base === address)
    return address;
  return call.fail(
    "runtime/bad-object",
    `arg#${n - 1} expected pointer to struct bpf_cpumask`,
    "pass a pointer from bpf_cpumask_create that was checked for null and not released yet",
  );
}

function words(call: HelperCall): number {
  return Math.ceil(call.host.numCpus / 64);
}

function mask(call: HelperCall, n: number): bigint {
  const address = maskAt(call, n);
  let bits = 0n;
  for (let i = words(call) - 1; i >= 0; i--) {
    bits = (bits << 64n) | call.memory.view.getBigUint64(address + 8 * i, true);
  }
  return bits;
}

/** Puts `bits` into the mask of argument 1. */
function store(call: HelperCall, bits: bigint, n = 1): number {
  const address = maskAt(call, n);
  for (let i = 0; i < words(call); i++) {
    call.memory.view.setBigUint64(address + 8 * i, BigInt.asUintN(64, bits >> BigInt(64 * i)), true);
  }
  return 0;
}

/** (cpu, mask): changes the CPU's bit and says whether it was set; nothing for a CPU that there is not. */
function change(call: HelperCall, update: (bits: bigint, bit: bigint) => bigint): number {
  const cpu = call.u32(1);
  if (cpu >= call.host.numCpus) return 0;
  const bits = mask(call, 2);
  const bit = 1n << BigInt(cpu);
  store(call, update(bits, bit), 2);
  return truth((bits & bit) !== 0n);
}

function and(call: HelperCall): number {
  const bits = mask(call, 2) & mask(call, 3);
  store(call, bits);
  return truth(bits !== 0n);
}

/** Lowest member; the number of CPUs, or more, when there is none. */
function first(call: HelperCall, bits: bigint): number {
  for (let cpu = 0; cpu < call.host.numCpus; cpu++) if ((bits >> BigInt(cpu)) & 1n) return cpu;
  return call.host.numCpus;
}

function weight(call: HelperCall): number {
  const bits = mask(call, 1);
  let count = 0;
  for (let cpu = 0; cpu < call.host.numCpus; cpu++) if ((bits >> BigInt(cpu)) & 1n) count++;
  return count;
}

function all(call: HelperCall): bigint {
  return (1n << BigInt(call.host.numCpus)) - 1n;
}

function truth(value: boolean): number {
  return value ? 1 : 0;
}

/** {@link change} for functions that return nothing. */
function setCpu(call: HelperCall, update: (bits: bigint, bit: bigint) => bigint): number {
  change(call, update);
  return 0;
}
