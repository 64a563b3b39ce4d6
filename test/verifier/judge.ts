// One program before our verifier and its answer beside the kernel's.
import { BpfError } from "../../src/base/index.ts";
import type { Verdict, Verifier, VerifierProgram, VerifyOptions } from "../../src/verifier/index.ts";
import type { Row } from "./corpora.ts";
import { normLines } from "./norm.ts";

/** Where the two answers part; the first that applies, in this order. */
export const DIFFERENCES = [
  "false-accept",
  "false-reject",
  "crash",
  "timeout",
  "unread",
  "unsupported",
  "message",
  "pc",
  "processed",
  "agree",
] as const;
export type Difference = (typeof DIFFERENCES)[number];

/** Our answer to a row; plain data, it crosses threads. */
export interface Outcome {
  readonly row: Row;
  readonly difference: Difference;
  /** Our last lines, normalised; the missing feature; the exception. */
  readonly text: string;
  /** Our words. */
  readonly message: string;
  readonly code?: string;
  readonly insn?: number;
  readonly processed?: number;
  /** Wall time of `verify`. */
  readonly us: number;
}

/** Judges a row. Never throws. */
export function judge(
  verifier: Verifier,
  row: Row,
  program: () => VerifierProgram,
  options: VerifyOptions = {},
): Outcome {
  let input: VerifierProgram;
  try {
    input = program();
  } catch (error) {
    const text = error instanceof BpfError ? `${error.code}: ${error.message}` : String(error);
    return { row, difference: "unread", text, message: text, us: 0 };
  }
  const start = performance.now();
  let verdict: Verdict;
  try {
    verdict = verifier.verify(input, options);
  } catch (error) {
    const us = (performance.now() - start) * 1000;
    return { row, difference: "crash", text: firstLine(error), message: stackOf(error), us };
  }
  const us = (performance.now() - start) * 1000;
  return compare(row, verdict, us);
}

function compare(row: Row, verdict: Verdict, us: number): Outcome {
  const processed = verdict.insnsProcessed;
  if (verdict.verdict === "unsupported") {
    const { feature, insn } = verdict;
    return { row, difference: "unsupported", text: feature, message: feature, insn, processed, us };
  }
  if (verdict.verdict === "accepted") {
    const difference =
      row.res === "rejected" ? "false-accept" : processed === row.processed ? "agree" : "processed";
    return { row, difference, text: "", message: "", processed, us };
  }
  const { lines, message, code, insn } = verdict.error;
  const text = normLines(lines.length > 0 ? lines : [message]);
  const difference =
    row.res === "accepted"
      ? "false-reject"
      : text !== row.norm
        ? "message"
        : samePc(row, insn)
          ? "agree"
          : "pc";
  return { row, difference, text, message: lines.join(" / ") || message, code, insn, processed, us };
}

/**
 * The kernel's instruction is the last one of its trace: none before the walk, where we may name one all the same, and
 * the end of the last path for what it finds after the walk.
 */
export function samePc(row: Row, insn: number | undefined): boolean {
  return row.pc === undefined || row.pc === insn;
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? `${error.name}: ${error.message}` : error).split("\n")[0];
}

function stackOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return stack.split("\n").slice(0, 6).join("\n");
}
