import type { SourceLocation } from "../base/index.ts";
import type { CoreAccess, VerifierProgram } from "./input.ts";

/** What CO-RE says of an instruction. */
export function accessAt(program: Pick<VerifierProgram, "accesses">, insn: number): CoreAccess | undefined {
  return program.accesses?.find((access) => access.insn === insn);
}

/** The source line that an instruction belongs to. */
export function sourceAt(program: Pick<VerifierProgram, "lines">, insn: number): SourceLocation | undefined {
  let found: VerifierProgram["lines"][number] | undefined;
  for (const line of program.lines) {
    if (line.insn > insn) break;
    found = line;
  }
  if (found === undefined) return undefined;
  const { file, line, column, text } = found;
  return { file, line, column, text };
}
