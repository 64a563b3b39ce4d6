// One program under one set of capabilities: our verdict beside the running kernel's.

import { readFileSync } from "node:fs";
import {
  CAPABILITY_SETS,
  type CapabilitySet,
  type LoaderCapability,
  type Verifier,
  type VerifierProgram,
} from "../../src/verifier/index.ts";
import { normLines } from "./norm.ts";
import type { RunningKernel } from "./running-kernel.ts";

/** Sets that the kernel can be asked about; without CAP_BPF only if kernel.unprivileged_bpf_disabled is 0. */
export function askedSets(): Partial<Record<CapabilitySet, readonly LoaderCapability[]>> {
  const { bpf, networking, tracing, unprivileged } = CAPABILITY_SETS;
  const everyone = readFileSync("/proc/sys/kernel/unprivileged_bpf_disabled", "utf8").trim() === "0";
  return { bpf, networking, tracing, ...(everyone && { unprivileged }) };
}

/**
 * Where the two part; the first that applies. "fenced": Linux before 6.17 rejects what fails on a guessed path only, later
 * ones and we put a barrier there.
 */
export const PARTINGS = [
  "false-accept",
  "fenced",
  "false-reject",
  "unsupported",
  "message",
  "pc",
  "processed",
  "agree",
  "unasked",
] as const;
export type Parting = (typeof PARTINGS)[number];

/** Both answers to a program. */
export interface Compared {
  readonly parting: Parting;
  readonly accepted: boolean;
  /** Both answers in a line. */
  readonly text: string;
}

/** Judges the program on both sides. */
export async function compare(
  verifier: Verifier,
  kernel: RunningKernel,
  program: VerifierProgram,
  capabilities: readonly LoaderCapability[],
): Promise<Compared> {
  const theirs = await kernel.judge(program, 1, capabilities);
  if (typeof theirs === "string") return { parting: "unasked", accepted: false, text: theirs };
  const ours = verifier.verify(program, { capabilities, numCpus: kernel.numCpus });
  const { accepted } = theirs;
  const linux = accepted
    ? `accepted, ${theirs.processed}`
    : `${theirs.errno} at ${theirs.insn}: ${theirs.norm}`;
  if (ours.verdict === "unsupported") return { parting: "unsupported", accepted, text: ours.feature };
  if (ours.verdict === "accepted") {
    const text = `ours accepted, ${ours.insnsProcessed}; Linux ${linux}`;
    if (!accepted) {
      const trace = await kernel.judge(program, 2, capabilities);
      const guessed = typeof trace !== "string" && endsGuessing(trace.log);
      return { parting: guessed ? "fenced" : "false-accept", accepted, text };
    }
    return { parting: ours.insnsProcessed === theirs.processed ? "agree" : "processed", accepted, text };
  }
  const { error } = ours;
  const norm = normLines(error.lines);
  const text = `ours ${error.errno} at ${error.insn}: ${norm}; Linux ${linux}`;
  if (accepted) return { parting: "false-reject", accepted, text };
  // bpf(2) itself refuses without a word.
  if (theirs.norm === "" ? error.errno !== theirs.errno : norm !== theirs.norm) {
    return { parting: "message", accepted, text };
  }
  // Linux names the instruction of an endless loop before it prints it.
  const insn = Number(/infinite loop detected at insn (\d+)/.exec(theirs.log)?.[1] ?? theirs.insn);
  if (insn >= 0 && error.insn !== insn) return { parting: "pc", accepted, text };
  const same = theirs.processed === undefined || ours.insnsProcessed === theirs.processed;
  return { parting: same ? "agree" : "processed", accepted, text };
}

/** The path on which Linux rejected is one that only a wrong guess takes. */
function endsGuessing(log: string): boolean {
  const paths = [...log.matchAll(/^from \d+ to \d+( \(speculative execution\))?:/gm)];
  return paths.at(-1)?.[1] !== undefined;
}
