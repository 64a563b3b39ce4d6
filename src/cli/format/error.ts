import pc from "picocolors";
import type { Diagnostic } from "../../base/index.ts";
import type { Io } from "../io.ts";

/** What can be shown of an error or finding: everything but the message is optional. */
export type Shown = Partial<Diagnostic> &
  Pick<Diagnostic, "message"> & { readonly subject?: string; readonly errno?: string };

/**
 * An error for people: message and code, the source line with its place, the next step.
 * ```
 * error: R2 is outside of the packet [runtime/packet-bounds]
 *   --> parse.bpf.c:42:9, instruction 17
 *    |
 * 42 |   if (eth->h_proto != bpf_htons(ETH_P_IP))
 *    |
 *   hint: compare the end of the access with ctx->data_end first
 * ```
 */
export function formatError(
  error: Shown,
  io: Pick<Io, "colors">,
  severity: "error" | "warning" = "error",
): string {
  const colors = pc.createColors(io.colors);
  const paint = severity === "error" ? colors.red : colors.yellow;
  const code = error.code === undefined ? "" : colors.dim(` [${error.code}]`);
  const lines = [`${colors.bold(paint(`${severity}:`))} ${error.message}${code}`];
  const { source, insn } = error;
  const place: string[] = [];
  if (source !== undefined) {
    place.push(`${source.file}:${source.line}${source.column ? `:${source.column}` : ""}`);
  }
  if (insn !== undefined) place.push(`instruction ${insn}`);
  const number = source === undefined ? "" : String(source.line);
  const margin = " ".repeat(number.length);
  if (place.length > 0) lines.push(`${margin}${colors.blue("-->")} ${place.join(", ")}`);
  if (source?.text) {
    const bar = colors.blue("|");
    lines.push(`${margin} ${bar}`, `${colors.blue(number)} ${bar} ${source.text}`, `${margin} ${bar}`);
  }
  if (error.hint !== undefined) lines.push(`${colors.cyan("  hint:")} ${error.hint}`);
  return lines.join("\n");
}
