// What programs ask about the moment: clocks, random numbers, the current task. The host keeps copies of them in a block
// of linear memory (CURRENT_… of src/runtime/layout.ts) and says how often a copy may be used; then it is asked again.
import {
  CURRENT_BYTES,
  CURRENT_CLOCK_USES,
  CURRENT_COMM,
  CURRENT_MONOTONIC,
  CURRENT_PID_TGID,
  CURRENT_RANDOM,
  CURRENT_RANDOM_LEFT,
  CURRENT_RANDOM_MAX,
  CURRENT_REALTIME,
  CURRENT_TASK_KNOWN,
  CURRENT_UID_GID,
  REFILL_CLOCK,
  REFILL_RANDOM,
  REFILL_TASK,
} from "../../src/runtime/layout";
import { chargeBytes } from "../work";

/** Asks the host to fill a part of the block anew: REFILL_…. */
@external("kernel", "refill")
declare function refill(what: u32): void;

const CURRENT: usize = memory.data(CURRENT_BYTES, 8);
/** Nanoseconds between ticks: CONFIG_HZ of the distributions' kernels is 250. */
const NS_PER_TICK: u64 = 4000000;
/** Linux starts its tick counter five minutes before it wraps at 32 bits (INITIAL_JIFFIES). */
const INITIAL_JIFFIES: u64 = 0x100000000 - 300 * 250;
const COMM_BYTES: u32 = 16;

/** Address of the block. */
export function currentBlock(): u32 {
  return <u32>CURRENT;
}

@inline
function useClock(): void {
  const uses = load<u32>(CURRENT, CURRENT_CLOCK_USES);
  if (uses) store<u32>(CURRENT, uses - 1, CURRENT_CLOCK_USES);
  else refill(REFILL_CLOCK);
}

/** `bpf_ktime_get_ns`, and `_boot_ns`: the host never sleeps. */
export function ktimeGetNs(): u64 {
  useClock();
  return load<u64>(CURRENT, CURRENT_MONOTONIC);
}

/** `bpf_ktime_get_coarse_ns`: monotonic time as of the last tick. */
export function ktimeGetCoarseNs(): u64 {
  const now = ktimeGetNs();
  return now - (now % NS_PER_TICK);
}

/** `bpf_ktime_get_tai_ns`. Linux's offset between real time and TAI is zero until a time daemon sets it. */
export function ktimeGetTaiNs(): u64 {
  useClock();
  return load<u64>(CURRENT, CURRENT_REALTIME);
}

export function jiffies64(): u64 {
  return INITIAL_JIFFIES + ktimeGetNs() / NS_PER_TICK;
}

/** `bpf_get_prandom_u32`: the host's numbers, in its order. */
export function getPrandomU32(): u32 {
  if (!load<u32>(CURRENT, CURRENT_RANDOM_LEFT)) refill(REFILL_RANDOM);
  // Masked: where threads share the memory another one may have been quicker.
  const left = (load<u32>(CURRENT, CURRENT_RANDOM_LEFT) - 1) & (CURRENT_RANDOM_MAX - 1);
  store<u32>(CURRENT, left, CURRENT_RANDOM_LEFT);
  return load<u32>(CURRENT + (left << 2), CURRENT_RANDOM);
}

@inline
function useTask(): void {
  if (!load<u32>(CURRENT, CURRENT_TASK_KNOWN)) refill(REFILL_TASK);
}

export function getCurrentPidTgid(): u64 {
  useTask();
  return load<u64>(CURRENT, CURRENT_PID_TGID);
}

export function getCurrentUidGid(): u64 {
  useTask();
  return load<u64>(CURRENT, CURRENT_UID_GID);
}

/** 0. At most 15 bytes and a NUL; the rest of `size` is zeroed. */
export function getCurrentComm(to: u32, size: u32): i32 {
  useTask();
  chargeBytes(size);
  memory.fill(to, 0, size);
  if (size) memory.copy(to, <u32>CURRENT + <u32>CURRENT_COMM, min(size - 1, COMM_BYTES - 1));
  return 0;
}

/** One memory, one node. */
export function getNumaNodeId(): u32 {
  return 0;
}
