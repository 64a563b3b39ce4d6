import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderErrorPages, staleErrorPages } from "../../scripts/error-pages.ts";
import {
  CAPABILITY_SETS,
  errorCodeOf,
  errorPage,
  explainRejection,
  VERIFIER_ERRORS,
  Verifier,
  type VerifierCode,
} from "../../src/verifier/index.ts";
import { normLines } from "../verifier/norm.ts";
import { RunningKernel } from "../verifier/running-kernel.ts";
import { exampleProgram, kernelTypes } from "./example-program.ts";
import { rawRows } from "./raw-rows.ts";

// The examples of the error pages are rejected with the code of their page, here and (in its words) by the running kernel.
const CODES = Object.keys(VERIFIER_ERRORS) as VerifierCode[]; // the table's own keys
const runnable = CODES.filter((code) => errorPage(code).example.kind !== "none");
const kernel = kernelTypes();
const verifier = new Verifier();

const judged = new Map<VerifierCode, ReturnType<typeof verdictOf>>();

function judge(code: VerifierCode) {
  const known = judged.get(code) ?? verdictOf(code);
  judged.set(code, known);
  return known;
}

function verdictOf(code: VerifierCode) {
  const { example } = errorPage(code);
  const program = exampleProgram(code, example, kernel);
  const capabilities = (example.kind === "asm" && example.capabilities) || "root";
  return { program, capabilities, verdict: program && verifier.verify(program, { capabilities }) };
}

describe("the example of", () => {
  it.for(runnable)("%s is rejected with this code", (code, context) => {
    const { verdict } = judge(code);
    if (kernel === undefined && (verdict === undefined || verdict.verdict === "unsupported")) {
      return context.skip("needs the types of a kernel: there is no /sys/kernel/btf/vmlinux");
    }
    expect(verdict?.verdict === "rejected" ? verdict.error.code : verdict).toBe(code);
  });

  it("each code is a program here or in raw-rows.ts", () => {
    const raw = new Set(rawRows().map(({ code }) => code));
    const others = CODES.filter((code) => !runnable.includes(code) && !raw.has(code));
    expect(others).toEqual(["verifier/internal"]); // what must not happen
  });
});

describe("the cause chain of", () => {
  it("most examples tells where it came from", (context) => {
    if (kernel === undefined) return context.skip("needs the types of a kernel");
    const without: string[] = [];
    let walked = 0;
    for (const code of runnable) {
      const { program, capabilities, verdict } = judge(code);
      if (program === undefined || verdict?.verdict !== "rejected" || verdict.insnsProcessed === 0) continue;
      if (verdict.insnsProcessed > 20_000) continue; // takes seconds
      walked++;
      const { causes } = explainRejection(program, verdict.error, { capabilities }, verifier);
      if (causes.length === 0) without.push(code);
    }
    expect(without.length, without.join(" ")).toBeLessThan(walked / 6);
    expect(walked).toBeGreaterThan(100);
  });

  it("a list without its lock names who gave the lock back, or took another", (context) => {
    const { program, verdict } = judge("verifier/unlock-other");
    if (program === undefined || verdict?.verdict !== "rejected") return context.skip("needs kernel types");
    const { causes } = explainRejection(program, verdict.error, {}, verifier);
    expect(causes[0]).toMatchObject({
      text: "call bpf_spin_lock",
      place: "from here on",
      known: "this lock is held",
    });
    expect(causes.at(-1)).toMatchObject({ kind: "refused", place: "r1" });
  });
});

describe("the running kernel", () => {
  let running: RunningKernel | string;
  beforeAll(async () => {
    running = await RunningKernel.openSame();
  });
  afterAll(() => {
    if (typeof running !== "string") running.close();
  });

  it("rejects the examples in the same words", async (context) => {
    if (typeof running === "string") return context.skip(running);
    const different: string[] = [];
    let asked = 0;
    for (const code of runnable) {
      const { program, capabilities, verdict } = judge(code);
      if (program === undefined || verdict?.verdict !== "rejected") continue;
      if (capabilities === "unprivileged") continue; // kernel.unprivileged_bpf_disabled
      const held = capabilities === "root" ? undefined : CAPABILITY_SETS[capabilities];
      const theirs = await running.judge(program, 4, held);
      if (typeof theirs === "string") continue; // the kernel does not take its BTF as clang writes it, or its type
      asked++;
      if (theirs.errno !== verdict.error.errno) {
        different.push(`${code}: ${theirs.errno ?? "accepted"}, here ${verdict.error.errno}`);
      }
      // bpf(2) itself says nothing; one message lacks its line end
      const words = theirs.norm.replace(/verification time.*/, "");
      const ours = normLines(verdict.error.lines);
      if (words !== "" && words !== ours) different.push(`${code}: "${words}", here "${ours}"`);
    }
    expect(different).toEqual([]);
    expect(asked).toBeGreaterThan(100);
  }, 60_000);
});

describe("pages", () => {
  it("are current (node scripts/run-ts.mjs scripts/error-pages.ts, then npm run fixtures)", () => {
    for (const [path, text] of renderErrorPages()) {
      expect(existsSync(path) ? readFileSync(path, "utf8") : "", path).toBe(text);
    }
    expect(staleErrorPages()).toEqual([]);
  });

  it("say cause and cure in whole sentences", () => {
    for (const code of CODES) {
      const { title, why, cure } = errorPage(code);
      expect(title, code).toMatch(/[^.]$/);
      expect(why, code).toMatch(/\.$/);
      expect(cure, code).not.toBe("");
    }
  });

  it("are found with and without the family's name", () => {
    expect(errorCodeOf("maybe-null")).toBe("verifier/maybe-null");
    expect(errorCodeOf("verifier/maybe-null")).toBe("verifier/maybe-null");
    expect(errorCodeOf("constructor")).toBeUndefined();
  });
});
