// Programs that people do not write (raw-rows.ts) are rejected with their codes.
import { describe, expect, it } from "vitest";
import { errorPage, Verifier } from "../../src/verifier/index.ts";
import { rawProgram, rawRows } from "./raw-rows.ts";

describe("bytes that only a person writes", () => {
  const verifier = new Verifier();
  it.each(rawRows())("$code: $what", (row) => {
    const verdict = verifier.verify(rawProgram(row), { capabilities: row.capabilities ?? "root" });
    expect(verdict.verdict === "rejected" ? verdict.error.code : verdict).toBe(row.code);
    expect(errorPage(row.code).example.kind).toBe("none"); // else the page's own test is enough
  });
});
