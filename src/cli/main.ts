import tab from "@bomb.sh/tab/commander";
import { Command as Commander, CommanderError, InvalidArgumentError, Option } from "commander";
import { BpfError } from "../base/index.ts";
import { type Command, type OptionRow, UsageError } from "./command.ts";
import { COMMANDS } from "./commands/index.ts";
import { formatError } from "./format/error.ts";
import type { Io } from "./io.ts";
import { packageVersion } from "./version.ts";

function toOption(row: OptionRow): Option {
  const option = new Option(row.flags, row.summary);
  if (row.choices !== undefined) option.choices(row.choices);
  if (row.default !== undefined) option.default(row.default);
  if (row.parse !== undefined || row.repeatable) {
    option.argParser((text: string, previous: unknown) => {
      try {
        const value = row.parse === undefined ? text : row.parse(text);
        return row.repeatable ? [...((previous as unknown[] | undefined) ?? []), value] : value;
      } catch (error) {
        throw error instanceof UsageError ? new InvalidArgumentError(error.message) : error;
      }
    });
  }
  return option;
}

function addCommand(program: Commander, row: Command, io: Io, done: (code: number) => void): void {
  const command = program.command(row.name).description(row.summary);
  for (const { name, summary, optional, many } of row.arguments) {
    const dots = many ? "..." : "";
    command.argument(optional ? `[${name}${dots}]` : `<${name}${dots}>`, summary);
  }
  for (const option of row.options) command.addOption(toOption(option));
  if (row.examples.length > 0) {
    command.addHelpText("after", `\nExamples:\n${row.examples.map((line) => `  $ ${line}`).join("\n")}`);
  }
  command.action(async () => done(await row.run(io, command.args, command.opts())));
}

/** Runs one command line (without `node` and the script's name) and returns the exit code. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let exitCode = 0;
  const program = new Commander("skep")
    .description("Read, run and observe eBPF programs, without root, clang or Linux")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(--help shows what is possible)")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
    });
  for (const row of COMMANDS) {
    addCommand(program, row, io, (code) => {
      exitCode = code;
    });
  }
  tab(program, { completionCommandName: "completion" });
  try {
    await program.parseAsync(["node", "skep", ...argv]);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UsageError) {
      io.err(formatError({ message: error.message, hint: error.hint }, io));
      return 2;
    }
    if (error instanceof BpfError) {
      io.err(formatError(error, io));
      return 1;
    }
    throw error;
  }
}
