import type { GlobalValue } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/** `name=value` of `--set`: a number (decimal, hex), true/false, a JSON value, or text. */
export function parseAssignment(text: string): readonly [name: string, value: GlobalValue] {
  const at = text.indexOf("=");
  if (at <= 0) throw new UsageError(`'${text}' is no assignment`, "write name=value");
  return [text.slice(0, at), parseValue(text.slice(at + 1))];
}

/** `name=value` of options such as `--event map=type`. @throws UsageError with `usage`. */
export function splitAssignment(text: string, usage: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at <= 0 || at === text.length - 1) throw new UsageError(`'${text}' is no assignment`, `write ${usage}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `map=type` of `--event`. @throws UsageError. */
export function splitEvent(text: string): [map: string, type: string] {
  return splitAssignment(text, "--event map=type");
}

function parseValue(text: string): GlobalValue {
  if (/^-?(\d+|0x[0-9a-f]+)$/i.test(text)) {
    const negative = text.startsWith("-");
    const value = BigInt(negative ? text.slice(1) : text);
    return negative ? -value : value;
  }
  if (text === "true" || text === "false") return text === "true";
  if (/^[[{"]/.test(text)) {
    try {
      return JSON.parse(text) as GlobalValue; // JSON values are a subset of GlobalValue, null is refused by the codec
    } catch (error) {
      throw new UsageError(
        `'${text}' is not JSON: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return text;
}
