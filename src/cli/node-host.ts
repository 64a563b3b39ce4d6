import { randomFillSync } from "node:crypto";
import { userInfo } from "node:os";
import type { Host } from "../runtime/index.ts";

const RANDOM_WORDS = 1024;

/** The world as this process has it: its clock, its random numbers, itself as the current task. */
export function nodeHost(traceLine: (text: string) => void): Omit<Host, "numCpus"> {
  const random = new Uint32Array(RANDOM_WORDS);
  let used = RANDOM_WORDS;
  const { uid, gid } = userInfo();
  return {
    nowNs: () => process.hrtime.bigint(),
    realtimeNs: () => BigInt(Date.now()) * 1_000_000n,
    random32() {
      if (used === RANDOM_WORDS) {
        randomFillSync(random);
        used = 0;
      }
      return random[used++];
    },
    traceLine,
    task: { pid: process.pid, tgid: process.pid, uid, gid, comm: "skep", cgroupId: 1n },
  };
}
