// Programs attached to functions of another program (freplace, fentry, fexit), as the kernel that answers.json names
// judges them; recorded with record-attached.c.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseBtf } from "../../src/btf/index.ts";
import { readObject } from "../../src/object/index.ts";
import { type Verdict, Verifier, type VerifierProgram, verifierProgram } from "../../src/verifier/index.ts";

interface Answers {
  readonly kernel: string;
  readonly programs: Readonly<Record<string, { readonly accepted: boolean; readonly message?: string }>>;
}

const FOLDER = "fixtures/attached";
const VMLINUX = "/sys/kernel/btf/vmlinux";
const kernelBtf = existsSync(VMLINUX) ? parseBtf(readFileSync(VMLINUX)) : undefined;
const answers = JSON.parse(readFileSync(`${FOLDER}/answers.json`, "utf8")) as Answers;
const spec = readObject(readFileSync(`${FOLDER}/attached.bpf.o`));
const verifier = new Verifier();

function targetOf(object: string, name: string): VerifierProgram {
  const from = readObject(readFileSync(`${FOLDER}/${object}`));
  const program = from.programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`no program ${name}`);
  return verifierProgram(from, program, { kernelBtf });
}

function attached(name: string, target: VerifierProgram): VerifierProgram {
  const program = spec.programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`no program ${name}`);
  return verifierProgram(spec, program, { kernelBtf, target });
}

/** The last line, or how else it ended. */
function lastWord(verdict: Verdict): string {
  if (verdict.verdict !== "rejected") return verdict.verdict;
  return verdict.error.lines.at(-1) ?? "";
}

describe(`programs on programs as Linux ${answers.kernel} judges them`, () => {
  const target = targetOf("target.bpf.o", "entry");

  it.for(Object.entries(answers.programs))("%s", ([name, want], { skip }) => {
    const program = attached(name, target);
    if (kernelBtf === undefined && program.type === "BPF_PROG_TYPE_TRACING") skip(`${VMLINUX} is absent`);
    expect(lastWord(verifier.verify(program))).toBe(want.accepted ? "accepted" : want.message);
  });

  it("names a function that the target does not have", () => {
    const verdict = verifier.verify(attached("replaces_nothing", target));
    expect(lastWord(verdict)).toBe("Subprog nothere doesn't exist");
  });

  it("answers unsupported without the target, and with one that is rejected", () => {
    const { target: _, ...alone } = attached("replaces", target);
    expect(verifier.verify(alone)).toMatchObject({
      feature: "program attached to another program, which was not given",
    });
    const broken = { ...target, insns: target.insns.slice(0, 8) };
    expect(verifier.verify({ ...attached("replaces", target), target: broken })).toMatchObject({
      feature: "target program that is not accepted itself",
    });
  });

  it("lets no extension replace an extension, and watches no watcher of a watcher", () => {
    const extension = attached("replaces", target);
    const again = { ...extension, target: extension, attachBtfId: extension.funcs[0].btfId };
    expect(lastWord(verifier.verify(again))).toBe("Cannot recursively attach");
    if (kernelBtf === undefined) return;
    const watcher = attached("watches_static", target);
    const onWatcher = { ...watcher, target: watcher, attachBtfId: watcher.funcs[0].btfId };
    expect(lastWord(verifier.verify(onWatcher))).toBe("accepted");
    const third = { ...onWatcher, target: onWatcher };
    expect(lastWord(verifier.verify(third))).toBe("Cannot nest tracing program attach more than once");
  });
});
