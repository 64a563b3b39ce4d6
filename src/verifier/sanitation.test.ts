import { describe, expect, it } from "vitest";
import { assemble } from "../isa/index.ts";
import type { VerifierMap } from "./input.ts";
import { Verifier } from "./verify.ts";

const VALUES: VerifierMap = {
  name: "values",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: 16,
  maxEntries: 4,
  flags: 0,
};
/** r0: a value; r6: the context. */
const LOOKUP = [
  "r6 = r1",
  "*(u32 *)(r10 - 0x4) = 0x0",
  "r2 = r10",
  "r2 += -0x4",
  "ld_pseudo r1, 0x1, 0x0",
  "call 0x1",
  "if r0 != 0x0 goto +0x2",
  "r0 = 0x0",
  "exit",
].join("\n");
const NUMBER = "r1 = *(u32 *)(r6 + 0x0)";
const REFUSED = ", pointer arithmetic with it prohibited for !root";

/** Each was put to Linux 6.18.44 under CAP_BPF alone. */
const ROWS = [
  {
    name: "a masked number",
    code: `${LOOKUP}\n${NUMBER}\nr1 &= 0x7\nr0 += r1\nr0 = *(u8 *)(r0 + 0x0)\nexit`,
    want: undefined,
  },
  {
    name: "a number on both sides of zero",
    code: `${LOOKUP}\n${NUMBER}\nr1 &= 0x7\nr1 -= 0x3\nr0 += r1\nr0 = 0x0\nexit`,
    want: `R1 has unknown scalar with mixed signed bounds${REFUSED}`,
  },
  {
    name: "a pointer to the context",
    code: `${LOOKUP}\n${NUMBER}\nr1 &= 0x7\nr6 += r1\nr0 = 0x0\nexit`,
    want: `R6 has pointer with unsupported alu operation${REFUSED}`,
  },
  {
    name: "different ways to one addition",
    code: `${LOOKUP}\n${NUMBER}\nr2 = 0x1\nif r1 > 0x5 goto +0x1\nr2 = 0x2\nr0 += r2\nr0 = 0x0\nexit`,
    want: `R0 tried to add from different maps, paths or scalars${REFUSED}`,
  },
  {
    name: "the stack at an unknown place",
    code: `${LOOKUP}\n${NUMBER}\nr1 &= 0x7\nr2 = r10\nr2 -= r1\nr0 = 0x0\nexit`,
    want: "R2 subtraction from stack pointer prohibited",
  },
  {
    name: "past the end of the value",
    code: `${LOOKUP}\n${NUMBER}\nr1 &= 0x1f\nr0 += r1\nr0 = 0x0\nexit`,
    want: "R0 pointer arithmetic of map value goes out of range, prohibited for !root",
  },
  {
    name: "a wrong access on a guessed path is fenced off",
    code: "r0 = 0x1\nif r0 == 0x1 goto +0x1\nr0 = *(u64 *)(r0 + 0x0)\nr0 = 0x0\nexit",
    want: undefined,
  },
] as const;

describe("without CAP_PERFMON", () => {
  const verifier = new Verifier();
  it.each(ROWS)("$name", ({ code, want }) => {
    const verdict = verifier.verify(
      {
        name: "row",
        type: "BPF_PROG_TYPE_SOCKET_FILTER",
        attachType: undefined,
        insns: assemble(code).bytes,
        maps: [VALUES],
        btf: undefined,
        funcs: [],
        lines: [],
        license: "GPL",
        flags: {},
        kernelBtf: undefined,
      },
      { capabilities: "bpf" },
    );
    expect(verdict.verdict).not.toBe("unsupported");
    expect(verdict.verdict === "rejected" ? verdict.error.message : undefined).toBe(want);
  });
});
