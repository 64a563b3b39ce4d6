import type { BpfError, SourceLocation } from "../../base/index.ts";
import {
  type Branch,
  type Budget,
  budgetOf,
  type Cause,
  type CoreAccess,
  type Explanation,
  explainRejection,
  hintFor,
  type Verdict,
  type Verifier,
  type VerifierProgram,
  type VerifyOptions,
} from "../../verifier/index.ts";
import { shortType } from "../run/program-choice.ts";

/** What `--json` prints of a program; the member names are part of the command's contract. */
export interface ProgramView {
  readonly object: string;
  readonly program: string;
  readonly section: string;
  /** `"xdp"`; null where nothing says it. */
  readonly type: string | null;
  readonly verdict: "accepted" | "rejected" | "unsupported";
  readonly error?: {
    readonly code: string;
    readonly message: string;
    /** Slot; -1: the program as a whole. */
    readonly insn: number;
    readonly source?: SourceLocation;
    /** Type and field that the instruction accesses, where CO-RE says. */
    readonly access?: CoreAccess;
    readonly causes: readonly Cause[];
    /** Conditional jumps on the rejected path. */
    readonly path: readonly Branch[];
    readonly hint?: string;
  };
  readonly insnsProcessed: number;
  readonly states: number;
  readonly peakStates: number;
  /** Bytes, all functions of the deepest chain. */
  readonly stackDepth: number;
  readonly timeUs: number;
  readonly budget?: Budget;
  readonly log?: string;
}

/** A program's verdict with what only people see. */
export interface ProgramReport {
  readonly view: ProgramView;
  /** Slots of the program. */
  readonly insns: number;
  readonly explanation: Explanation | undefined;
}

/** Who and where, as every report begins. */
export type ProgramName = Pick<ProgramView, "object" | "program" | "section">;

/** Budgets say most about programs that the verifier gave up on. */
const GAVE_UP = new Set(["verifier/too-complex", "verifier/too-many-jumps"]);

/** The report of a verdict; a rejection is explained, which verifies the program again. */
export function reportOf(
  name: ProgramName & { readonly type: string },
  program: VerifierProgram,
  verdict: Verdict,
  options: { readonly judgeBy: VerifyOptions; readonly budget: boolean; readonly verifier: Verifier },
): ProgramReport {
  const again = options.judgeBy;
  const common = {
    ...name,
    insnsProcessed: verdict.insnsProcessed,
    states: verdict.states,
    peakStates: verdict.peakStates,
    stackDepth: Math.max(0, ...verdict.stackDepths),
    timeUs: Math.round(verdict.timeUs),
    ...(verdict.log !== "" && { log: verdict.log }),
  };
  const insns = program.insns.length / 8;
  if (verdict.verdict === "unsupported") {
    const error = {
      code: "verifier/unsupported",
      message: `cannot judge this program: ${verdict.feature}`,
      insn: verdict.insn,
      causes: [],
      path: [],
      ...(program.kernelBtf === undefined && {
        hint: "give the types of the target kernel: --btf /sys/kernel/btf/vmlinux from such a machine",
      }),
    };
    return {
      view: { ...common, verdict: "unsupported", error },
      insns,
      explanation: undefined,
    };
  }
  const gaveUp = verdict.verdict === "rejected" && GAVE_UP.has(verdict.error.code);
  const budget: { readonly budget?: Budget } =
    options.budget || gaveUp ? { budget: budgetOf(program, again, options.verifier) } : {};
  if (verdict.verdict === "accepted") {
    return { view: { ...common, verdict: "accepted", ...budget }, insns, explanation: undefined };
  }
  const { error } = verdict;
  const explanation = gaveUp ? undefined : explainRejection(program, error, again, options.verifier);
  const hint = budgetHint(budget.budget, gaveUp) ?? hintFor(program, error, explanation);
  return {
    view: {
      ...common,
      verdict: "rejected",
      error: {
        code: error.code,
        message: error.lines.length > 1 ? error.lines.join("\n") : error.message,
        insn: error.insn,
        ...(error.source !== undefined && { source: error.source }),
        ...(error.access !== undefined && { access: error.access }),
        causes: explanation?.causes ?? [],
        path: explanation?.path ?? [],
        ...(hint !== undefined && { hint }),
      },
      ...budget,
    },
    insns,
    explanation,
  };
}

/** What to do where the verifier gave up: about the place at which most paths stayed apart. */
function budgetHint(budget: Budget | undefined, gaveUp: boolean): string | undefined {
  const point = budget?.pruning[0];
  if (!gaveUp || point === undefined || point.differences.length === 0) return undefined;
  const [{ what, hint, neededBy }] = point.differences;
  const why = neededBy === undefined ? "" : `, whose exact value matters to ${fileName(neededBy.place)}`;
  return `paths stay apart at ${fileName(point.place)} over ${what}${why}: ${hint}`;
}

function fileName(place: string): string {
  return place.split("/").at(-1)!;
}

/** A program that never got as far as the verifier. */
export function unreadable(name: ProgramName, type: string | undefined, error: BpfError): ProgramReport {
  const { code, message, insn, source, hint } = error;
  return {
    view: {
      ...name,
      type: type === undefined ? null : shortType(type),
      verdict: "unsupported",
      error: {
        code,
        message,
        insn: insn ?? -1,
        causes: [],
        path: [],
        ...(source !== undefined && { source }),
        ...(hint !== undefined && { hint }),
      },
      insnsProcessed: 0,
      states: 0,
      peakStates: 0,
      stackDepth: 0,
      timeUs: 0,
    },
    insns: 0,
    explanation: undefined,
  };
}
