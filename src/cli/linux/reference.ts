import type { ObjectReference } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/** bpftool's words in front of a reference, which may be left out. */
const WORDS: Readonly<Record<string, (text: string) => ObjectReference>> = {
  id: (text) => ({ id: parseId(text) }),
  name: (name) => ({ name }),
  pinned: (pin) => ({ pin }),
};

/**
 * Takes `NAME`, `ID`, `PATH`, or bpftool's `id ID`, `name NAME`, `pinned PATH` off the front of the arguments. What has a
 * slash is a path, what is all digits an id.
 */
export function takeReference(args: readonly string[]): {
  readonly reference: ObjectReference;
  readonly rest: readonly string[];
} {
  const [first, second] = args;
  if (first === undefined) throw new UsageError("nothing is named", "NAME, ID or PATH of a pin");
  if (second !== undefined && Object.hasOwn(WORDS, first)) {
    return { reference: WORDS[first](second), rest: args.slice(2) };
  }
  return { reference: parseReference(first), rest: args.slice(1) };
}

/** `NAME`, `ID` or `PATH`. */
export function parseReference(text: string): ObjectReference {
  if (text.includes("/")) return { pin: text };
  return /^\d+$/.test(text) ? { id: parseId(text) } : { name: text };
}

/** `ID` or `PATH`: links have no names. */
export function parseLinkReference(text: string): { readonly id: number } | { readonly pin: string } {
  const reference = parseReference(text);
  if ("name" in reference)
    throw new UsageError(`'${text}' is no link`, "its id (skep links) or the path of its pin");
  return reference;
}

function parseId(text: string): number {
  const id = Number(text);
  if (!Number.isInteger(id) || id <= 0) throw new UsageError(`'${text}' is no id`);
  return id;
}
