// Objects of a program's own, exchanged with a map: the last lines are those of Linux 6.18.44.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseBtf } from "../../src/btf/index.ts";
import { readObject } from "../../src/object/index.ts";
import { Verifier, verifierProgram } from "../../src/verifier/index.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";
const ANSWERS: Readonly<Record<string, string>> = {
  exchange_checked: "accepted",
  exchange_maybe_null: "verifier bug: invalid PTR_TO_BTF_ID register for type match",
  used_after_exchange: "R6 invalid mem access 'scalar'",
};

describe.skipIf(!existsSync(VMLINUX))("objects of a program's own (needs the kernel's BTF)", () => {
  const spec = readObject(readFileSync("fixtures/owned/owned.bpf.o"));

  it.each(spec.programs.map(({ name }) => name))("%s", (name) => {
    const kernelBtf = parseBtf(readFileSync(VMLINUX));
    const program = spec.programs.find((each) => each.name === name)!;
    const verdict = new Verifier().verify(verifierProgram(spec, program, { kernelBtf }));
    expect(verdict.verdict === "rejected" ? verdict.error.message : verdict.verdict).toBe(ANSWERS[name]);
  });
});
