import { toHex } from "../../base/index.ts";

/** Marks a bigint inside a JSON string until its quotes are taken off again; U+E000 is private use. */
const BIGINT_MARK = "\ue000";
const MARKED = new RegExp(`"${BIGINT_MARK}(-?\\d+)"`, "g");

/**
 * JSON text. 64-bit numbers are written as plain digits, as bpftool does (JSON has no size limit on numbers; readers
 * that keep them in doubles lose digits beyond 2^53), bytes as hex strings.
 */
export function toJson(value: unknown, indent = 2): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => {
      if (typeof item === "bigint") return `${BIGINT_MARK}${item}`;
      if (item instanceof Uint8Array) return toHex(item);
      if (item instanceof Map) return Object.fromEntries(item);
      return item;
    },
    indent,
  );
  return text.replace(MARKED, "$1");
}
