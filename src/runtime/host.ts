import type { Network } from "./network.ts";

/** All a running program may ask of the world. Node, the browser and each test supply their own. */
export interface Host {
  /** CLOCK_MONOTONIC, nanoseconds. */
  nowNs(): bigint;
  /** CLOCK_REALTIME, nanoseconds since 1970. */
  realtimeNs(): bigint;
  /** Uniform u32, for `bpf_get_prandom_u32`. */
  random32(): number;
  readonly numCpus: number;
  /** A line from `bpf_trace_printk`, without a trailing newline. */
  traceLine(text: string): void;
  /** The task that a tracing program would see as `current`. */
  readonly task: HostTask;
  /** Interfaces, sockets and routes around a run; default: an empty network namespace. */
  readonly network?: Network;
}

export interface HostTask {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
  /** At most 15 bytes. */
  readonly comm: string;
  readonly cgroupId: bigint;
  /**
   * Return addresses of the task's stack, innermost first, for `bpf_get_stack*`. Where it is missing or gives
   * undefined those helpers answer `-EFAULT`, as Linux does when there is no stack to walk.
   */
  stack?(of: "kernel" | "user"): readonly bigint[] | undefined;
}

/** One CPU, the machine's clocks, random numbers, an init-like task, trace lines dropped. */
export function defaultHost(): Host {
  const origin = BigInt(Math.round(performance.timeOrigin * 1e6));
  const nowNs = () => BigInt(Math.round(performance.now() * 1e6));
  return {
    nowNs,
    realtimeNs: () => origin + nowNs(),
    random32: () => Math.floor(Math.random() * 0x1_0000_0000),
    numCpus: 1,
    traceLine: () => {},
    task: { pid: 1, tgid: 1, uid: 0, gid: 0, comm: "skep", cgroupId: 1n },
  };
}
