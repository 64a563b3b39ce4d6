import type { Host } from "../../src/runtime/index.ts";

/** A host that a comparison can rely on: fixed clocks and random numbers; trace lines are collected. */
export function fixedHost(numCpus: number, trace: string[] = []): Host {
  let now = 1_000_000_000n;
  return {
    nowNs: () => {
      now += 1000n;
      return now;
    },
    realtimeNs: () => 1_700_000_000_000_000_000n + now,
    random32: () => 4,
    numCpus,
    traceLine: (text) => {
      trace.push(text);
    },
    task: { pid: 1000, tgid: 1000, uid: 0, gid: 0, comm: "skep", cgroupId: 1n },
  };
}
