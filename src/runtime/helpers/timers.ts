import { alignUp } from "../../base/index.ts";
import type { HelperCall, HelperTable } from "../helper-call.ts";
import { CONST_PTR_TO_MAP, MAP_ELEM_BYTES, MAP_VALUES } from "../layout.ts";
import type { EmbeddedMap } from "../maps/map.ts";
import type { Memory } from "../memory.ts";
import { EBUSY, EDEADLK, EINVAL } from "./errno.ts";
import { keyPointer, valuePointer } from "./map.ts";
import type { AsyncWork, TimerClock } from "./timer-queue.ts";

/** Timers in map values. They fire when the kernel's owner runs the queue (`HelperState.timers`). */
export const TIMER_HELPERS = {
  timer_init(call) {
    const flags = call.u64(3);
    const clock = flags < 16n ? CLOCKS[Number(flags)] : undefined;
    if (clock === undefined) return -EINVAL;
    return call.state.timers.init(newWork(call, "timer", call.map(2), clock)) ? 0 : -EBUSY;
  },
  timer_set_callback(call) {
    const timer = timerAt(call);
    return timer === undefined ? -EINVAL : setCallback(call, timer);
  },
  timer_start(call) {
    const timer = timerAt(call);
    const flags = call.u64(3);
    if ((flags & ~(ABSOLUTE | CPU_PIN)) !== 0n || timer?.callback === undefined) return -EINVAL;
    const delay = BigInt.asIntN(64, call.u64(2));
    const now = timer.clock === "realtime" ? call.host.realtimeNs() : call.host.nowNs();
    timer.cpu = call.cpu;
    call.state.timers.arm(timer, (flags & ABSOLUTE) !== 0n ? delay : now + (delay < 0n ? 0n : delay));
    return 0;
  },
  /** 1 when it was armed, 0 when it was not. The callback must be set again before the next start. */
  timer_cancel(call) {
    const timer = timerAt(call);
    if (timer === undefined) return -EINVAL;
    if (call.state.timers.running === timer) return -EDEADLK;
    const armed = timer.due !== undefined;
    call.state.timers.disarm(timer);
    timer.callback = undefined;
    return armed ? 1 : 0;
  },
} as const satisfies Partial<HelperTable>;

/** Linux clock ids a timer may use. */
const CLOCKS: readonly (TimerClock | undefined)[] = [
  "realtime", // CLOCK_REALTIME
  "monotonic", // CLOCK_MONOTONIC
  ...Array.from({ length: 5 }, () => undefined),
  "boottime", // CLOCK_BOOTTIME = 7
];
/** Linux: BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN. */
const ABSOLUTE = 1n;
const CPU_PIN = 2n;

/** The timer whose field argument 1 points to. */
function timerAt(call: HelperCall): AsyncWork | undefined {
  return call.state.timers.at(call.u32(1));
}

/** A timer or work queue for the field that argument 1 points to, inside a value of `map`. */
export function newWork(
  call: HelperCall,
  kind: AsyncWork["kind"],
  map: EmbeddedMap,
  clock: TimerClock,
): AsyncWork {
  return {
    kind,
    address: call.u32(1),
    map,
    value: call.provenance(1).base,
    clock,
    callback: undefined,
    args: undefined,
    due: undefined,
    cpu: call.cpu,
  };
}

/** Makes the function of argument 2 the work's callback: called with map, key and value. */
export function setCallback(call: HelperCall, work: AsyncWork): number {
  const { memory, heap, state } = call;
  const { map, value } = work;
  work.callback = call.deferred(2);
  work.args = () => {
    state.keyScratch ||= heap.alloc(8);
    return [
      { address: map.address, kind: CONST_PTR_TO_MAP, base: map.address, size: 0 },
      keyPointer(map, keyAddress(memory, map, value, state.keyScratch)),
      valuePointer(map, value),
    ];
  };
  return 0;
}

/** Where the key of the element with this value lies: before the value in hash kinds, worked out for arrays. */
function keyAddress(memory: Memory, map: EmbeddedMap, value: number, scratch: number): number {
  if (map.type !== "BPF_MAP_TYPE_ARRAY") return value - alignUp(map.spec.keySize, 8);
  const { view } = memory;
  const first = view.getUint32(map.address + MAP_VALUES, true);
  view.setUint32(scratch, (value - first) / view.getUint32(map.address + MAP_ELEM_BYTES, true), true);
  return scratch;
}
