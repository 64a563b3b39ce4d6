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
}

export interface HostTask {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
  /** At most 15 bytes. */
  readonly comm: string;
  readonly cgroupId: bigint;
}
