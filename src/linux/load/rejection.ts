import { ATTACH_TYPE_SINCE, type Capability, errnoName, programTypeRow } from "../../abi/index.ts";
import { BpfError, type Diagnostic, type SourceLocation } from "../../base/index.ts";
import type { CollectionSpec, ProgramSpec, RejectionExplainer } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { linuxError, missingCapabilities } from "../sys/index.ts";
import { orTooOld } from "../too-old.ts";

/**
 * The error for a program that the kernel did not take: its verifier's last word as message, the whole log beside it,
 * instruction and source line; or, without a log, the errno explained.
 */
export function rejection(
  context: LinuxContext,
  spec: CollectionSpec,
  program: ProgramSpec,
  facts: {
    readonly errno: number;
    readonly log: string;
    readonly needs: readonly Capability[];
    /** Instructions that CO-RE found no target for: reaching one is an error that the kernel's log cannot explain. */
    readonly poisoned: readonly Diagnostic[];
  },
): BpfError {
  const { errno, log, needs, poisoned } = facts;
  const doing = `loading program '${program.name}'`;
  const errnoText = errnoName(errno) ?? String(-errno);
  const missing = errnoText === "EPERM" ? missingCapabilities(needs) : [];
  if (log.trim() === "" || missing.length > 0) {
    const error = linuxError(errno, { doing, command: "BPF_PROG_LOAD", needs, subject: program.name });
    return orTooOld(context.facts, error, doing, [
      program.type && programTypeRow(program.type).since,
      program.attachType && ATTACH_TYPE_SINCE[program.attachType],
    ]);
  }
  const { message, insn } = lastWord(log);
  const poison = poisoned.find((finding) => finding.insn === insn);
  if (poison !== undefined) {
    const source = sourceOf(program, insn);
    return new BpfError(
      "linux/rejected",
      `prog '${program.name}': CO-RE relocation reached: ${poison.message}`,
      {
        subject: program.name,
        errno: errnoText,
        log,
        insn,
        ...(source && { source }),
        ...(poison.hint && { hint: poison.hint }),
      },
    );
  }
  const rejected = { errno: errnoText, log, kernelBtf: context.facts.btf?.btf };
  const explained = explanation(() => context.options.explain?.(spec, program, rejected));
  const at = explained?.insn ?? insn;
  const source = explained?.source ?? sourceOf(program, at);
  return new BpfError("linux/rejected", `prog '${program.name}': ${message} (${errnoText})`, {
    subject: program.name,
    errno: errnoText,
    log,
    ...(at !== undefined && { insn: at }),
    ...(source && { source }),
    ...(explained && { cause: explained }),
    hint: explained?.hint ?? "the error's `log` has all that the verifier said",
  });
}

/** What the explainer says; an error of its own must not hide the rejection. */
function explanation(ask: () => ReturnType<RejectionExplainer>): ReturnType<RejectionExplainer> {
  try {
    return ask();
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

/** The log's last line that is no statistics, and the last instruction that it walked. */
export function lastWord(log: string): { readonly message: string; readonly insn: number | undefined } {
  const lines = log.split("\n").filter((line) => line !== "" && !STATISTICS.test(line));
  let insn: number | undefined;
  for (let i = lines.length - 1; i >= 0 && insn === undefined; i--) {
    const match = /^(\d+): \([0-9a-f]{2}\)/.exec(lines[i]);
    if (match !== null) insn = Number(match[1]);
  }
  return { message: lines.at(-1) ?? "rejected", insn };
}

const STATISTICS = /^(processed \d+ insns|verification time|stack depth|max_states|peak_states|mark_read)/;

function sourceOf(program: ProgramSpec, insn: number | undefined): SourceLocation | undefined {
  if (insn === undefined) return undefined;
  const line = program.lines.findLast((candidate) => candidate.insn <= insn);
  return line && { file: line.file, line: line.line, column: line.column, text: line.text };
}
