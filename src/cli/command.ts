import type { Io } from "./io.ts";

/** An option of a command, as commander writes it: `"--pcap <file>"`. */
export interface OptionRow {
  readonly flags: string;
  readonly summary: string;
  /** Text to value; a thrown {@link UsageError} becomes exit code 2. */
  readonly parse?: (text: string) => unknown;
  /** May be given several times; the values become an array. */
  readonly repeatable?: boolean;
  readonly choices?: readonly string[];
  readonly default?: string | number;
}

/**
 * A command is data plus a function of its inputs. `run` does its effects through `io` only and returns the exit
 * code: 0 fine, 1 rejected or failed, 2 wrong usage.
 */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly {
    readonly name: string;
    readonly summary: string;
    readonly optional?: boolean;
    readonly many?: boolean;
  }[];
  readonly options: readonly OptionRow[];
  /** Shown under "Examples" in the help text. */
  readonly examples: readonly string[];
  run(io: Io, args: readonly string[], options: OptionValues): Promise<number>;
}

/** Values by camel-cased option name. */
export type OptionValues = Readonly<Record<string, unknown>>;

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** A typed look at option values: the table of options above each command says which are there. */
export function readOptions(values: OptionValues) {
  return {
    text: (name: string): string | undefined => values[name] as string | undefined,
    flag: (name: string): boolean => values[name] === true,
    number: (name: string): number | undefined => values[name] as number | undefined,
    list: (name: string): readonly string[] => (values[name] as readonly string[] | undefined) ?? [],
  };
}

/** Parses a non-negative whole number, decimal or `0x…`. */
export function wholeNumber(text: string): number {
  const value = /^(0x[0-9a-f]+|\d[\d_]*)$/i.test(text) ? Number(text.replaceAll("_", "")) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`'${text}' is not a whole number`);
  return value;
}

/** Parses a whole number of at least 1. */
export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new UsageError("the number must be at least 1");
  return value;
}
