import type { HelperTable } from "../helper-call.ts";

/** Ticks per second of the emulated kernel: CONFIG_HZ of the distributions' kernels. */
export const HZ = 250;
const NS_PER_TICK = 1_000_000_000n / BigInt(HZ);
/** Linux starts its tick counter five minutes before it wraps at 32 bits (INITIAL_JIFFIES). */
const INITIAL_JIFFIES = BigInt(2 ** 32 - 300 * HZ);

/** Clocks, all from the two of the host: monotonic and real time. */
export const TIME_HELPERS = {
  ktime_get_ns: (call) => call.host.nowNs(),
  /** The host never sleeps: boot time is monotonic time. */
  ktime_get_boot_ns: (call) => call.host.nowNs(),
  /** Monotonic time as of the last tick. */
  ktime_get_coarse_ns(call) {
    const now = call.host.nowNs();
    return now - (now % NS_PER_TICK);
  },
  /** Linux's offset between real time and TAI is zero until a time daemon sets it; here it stays so. */
  ktime_get_tai_ns: (call) => call.host.realtimeNs(),
  jiffies64: (call) => INITIAL_JIFFIES + call.host.nowNs() / NS_PER_TICK,
} as const satisfies Partial<HelperTable>;
