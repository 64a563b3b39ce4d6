// Codes that no assembler or compiler provokes: instructions written as bytes, and records that only a wrong loader sends.
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/base/index.ts";
import { errorPage, type VerifierCode, type VerifierProgram, verify } from "../../src/verifier/index.ts";

const EXIT = "b700000000000000 9500000000000000"; // r0 = 0; exit

const base: Omit<VerifierProgram, "insns"> = {
  name: "raw",
  type: "BPF_PROG_TYPE_SOCKET_FILTER",
  attachType: undefined,
  maps: [],
  btf: undefined,
  funcs: [],
  lines: [],
  license: "GPL",
  flags: {},
  kernelBtf: undefined,
};
const ARRAY: VerifierProgram["maps"][number] = {
  name: "values",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: 8,
  maxEntries: 1,
  flags: 0,
};

/** Slots in hex and, where it takes more, the rest of the program. */
const ROWS: readonly (readonly [VerifierCode, string, string, Partial<VerifierProgram>?])[] = [
  ["verifier/program-size", "no instruction", ""],
  ["verifier/unknown-opcode", "0xff", `ff00000000000000 ${EXIT}`],
  ["verifier/reserved-fields", "an immediate in a load", `61a0fcff01000000 ${EXIT}`],
  ["verifier/bad-instruction", "an offset in an addition", `0700010001000000 ${EXIT}`],
  ["verifier/bad-instruction", "an unknown atomic operation", `7a0af8ff00000000 db1af8ff99000000 ${EXIT}`],
  ["verifier/bad-lddw", "half a 64-bit load", `1800000000000000 ${EXIT}`],
  ["verifier/bad-lddw", "an unknown kind of 64-bit load", `1870000000000000 0000000000000000 ${EXIT}`],
  ["verifier/bad-map", "a number without a map", `1811000007000000 0000000000000000 ${EXIT}`],
  [
    "verifier/bad-map-value-offset",
    "an address behind the value",
    `1821000000000000 0000000008000000 ${EXIT}`,
    { maps: [ARRAY] },
  ],
];

describe("bytes that only a person writes", () => {
  const rows = ROWS.map(([code, what, hex, more]) => ({ code, what, hex, more }));
  it.each(rows)("$code: $what", ({ code, hex, more }) => {
    const verdict = verify({ ...base, insns: fromHex(hex), ...more });
    expect(verdict.verdict === "rejected" ? verdict.error.code : verdict).toBe(code);
    expect(errorPage(code).example.kind).toBe("none"); // else the page's own test is enough
  });
});
