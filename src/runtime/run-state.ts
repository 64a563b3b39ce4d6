import type { RunOutcome } from "../object/index.ts";

/** What one run of a program (and the programs it tail-calls) accumulates beside registers and memory. */
export interface RunState {
  /** Address of the context in linear memory. */
  readonly contextAddress: number;
  /** Filled by redirect helpers. */
  outcome: { -readonly [K in keyof RunOutcome]: RunOutcome[K] };
  tailCalls: number;
}
