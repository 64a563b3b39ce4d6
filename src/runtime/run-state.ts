import type { RunOutcome } from "../object/index.ts";
import type { PacketBuffer } from "./packet-buffer.ts";

/** What one run of a program (and the programs it tail-calls) accumulates beside registers and memory. */
export interface RunState {
  /** Address of the context in linear memory. */
  readonly contextAddress: number;
  /** The packet, for types that have one. Its numbers are the truth: the engine re-reads them after every helper call. */
  readonly packet: PacketBuffer | undefined;
  /** CPU the run believes to be on. */
  readonly cpu: number;
  /** Filled by redirect helpers. */
  outcome: { -readonly [K in keyof RunOutcome]: RunOutcome[K] };
  tailCalls: number;
  /** Locks, preemption and the like that are open: must be empty at exit. Key → what to tell the user. */
  readonly held: Map<string, string>;
  /** What hooks and helpers keep for the length of this run, by their own key. */
  readonly scratch: Map<string, unknown>;
}
