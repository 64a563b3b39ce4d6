import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readObject } from "../object/index.ts";
import { verifierProgram } from "./program-of.ts";
import { recordStates } from "./recorded-states.ts";

const programOf = (path: string) => {
  const spec = readObject(readFileSync(path));
  return verifierProgram(spec, spec.programs[0]);
};

describe("recorded states", () => {
  it("tell what was known before an instruction, in words and in numbers", () => {
    const { verdict, states } = recordStates(programOf("fixtures/mistakes/value-out-of-range.bpf.o"));
    expect(verdict.verdict).toBe("rejected");
    const [refused] = states.get(12)!;
    expect(refused).toMatchObject({ insn: 12, depth: 0 });
    const place = (name: string) => refused.registers.find((register) => register.place === name);
    expect(place("r0")?.known).toBe("a value of map 'rings' + a number from 4 to 259");
    expect(place("r7")).toMatchObject({ known: "a number from 4 to 259", number: { umin: 4n, umax: 259n } });
    expect(place("r7")?.number?.bits).toEqual({ value: 0n, mask: 0x1ffn });
    expect(place("r1")).toBeUndefined(); // taken by the call
    expect(refused.stack).toMatchObject([{ place: "fp-8" }]);
    expect(states.has(13)).toBe(false); // never reached
  });

  it("keep the first of many", () => {
    const program = programOf("fixtures/demo/guard.bpf.o");
    const { states } = recordStates(program, { perInsn: 2 });
    expect(Math.max(...[...states.values()].map((kept) => kept.length))).toBe(2);
    let seen = 0;
    const { verdict } = recordStates(program, { perInsn: 1, onState: () => seen++ });
    expect(seen).toBeGreaterThan(states.size);
    expect(verdict.verdict).toBe("accepted");
  });
});
