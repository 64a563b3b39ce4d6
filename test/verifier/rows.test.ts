// Programs of our own, verdicts of Linux: fixtures/verifier/answers.json holds what the kernel named there said of each
// row of rows.ts and of each program in fixtures/verifier/*.bpf.o. Recorded with UPDATE_GOLDEN=1 on Linux as root; where
// the running kernel has the same major and minor version it is asked again, and must say the same.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseBtf } from "../../src/btf/index.ts";
import { assemble } from "../../src/isa/index.ts";
import { readObject } from "../../src/object/index.ts";
import { Verifier, type VerifierProgram, verifierProgram } from "../../src/verifier/index.ts";
import { normLines } from "./norm.ts";
import { type AssemblyRow, ROW_MAPS, ROWS } from "./rows.ts";
import { RunningKernel } from "./running-kernel.ts";

/** What Linux said; members of the kernel's log. */
interface Answer {
  readonly accepted: boolean;
  /** Normalised, see norm.ts. */
  readonly message?: string;
  /** Last instruction of the trace. */
  readonly insn?: number;
  readonly processed?: number;
}

interface Answers {
  readonly kernel: string;
  readonly programs: Readonly<Record<string, Answer>>;
}

const FOLDER = "fixtures/verifier";
const FILE = `${FOLDER}/answers.json`;
const VMLINUX = "/sys/kernel/btf/vmlinux";
const kernelTypes = existsSync(VMLINUX) ? parseBtf(readFileSync(VMLINUX)) : undefined;
/** Rows that read structures of the kernel. */
const NEED_KERNEL_TYPES: ReadonlySet<string> = new Set(["map pointer read", "map pointer written"]);
const update = process.env.UPDATE_GOLDEN === "1";
const recorded: Answers = existsSync(FILE)
  ? (JSON.parse(readFileSync(FILE, "utf8")) as Answers)
  : { kernel: "", programs: {} };

/** The first two numbers of a kernel's release. */
const versionOf = (release: string): string => release.split(".").slice(0, 2).join(".");
const release = process.platform === "linux" ? readFileSync("/proc/sys/kernel/osrelease", "utf8").trim() : "";

function rowProgram({ name, code, type }: AssemblyRow): VerifierProgram {
  const assembly = assemble(code);
  expect(assembly.diagnostics).toEqual([]);
  return {
    name,
    type: type ?? "BPF_PROG_TYPE_SOCKET_FILTER",
    attachType: undefined,
    insns: assembly.bytes,
    maps: ROW_MAPS,
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf: kernelTypes,
  };
}

function objectPrograms(): [string, () => VerifierProgram][] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(".bpf.o"))
    .flatMap((file) => {
      const spec = readObject(readFileSync(`${FOLDER}/${file}`));
      return spec.programs.map((program): [string, () => VerifierProgram] => [
        `${file} ${program.name}`,
        () => verifierProgram(spec, program, { kernelBtf: kernelTypes, objectName: file.slice(0, -6) }),
      ]);
    });
}

const programs: [string, () => VerifierProgram][] = [
  ...ROWS.map((row): [string, () => VerifierProgram] => [row.name, () => rowProgram(row)]),
  ...objectPrograms(),
];

let kernel: RunningKernel | string = "not asked";
const fresh: Record<string, Answer> = {};
beforeAll(async () => {
  if (update || versionOf(release) === versionOf(recorded.kernel)) kernel = await RunningKernel.openSame();
  else kernel = `the answers are of Linux ${recorded.kernel}, this is ${release || process.platform}`;
});
afterAll(() => {
  if (typeof kernel !== "string") kernel.close();
  if (!update) return;
  if (typeof kernel === "string") throw new Error(`cannot record: ${kernel}`);
  writeFileSync(FILE, `${JSON.stringify({ kernel: release, programs: fresh }, null, 2)}\n`);
});

describe(`programs of our own as Linux ${recorded.kernel} judges them`, () => {
  const verifier = new Verifier();

  it.skipIf(update)("has an answer for each program and no other", () => {
    expect(Object.keys(recorded.programs).sort()).toEqual(programs.map(([name]) => name).sort());
  });

  it.for(programs)(
    "%s: the running kernel's answer is the recorded one",
    async ([name, program], { skip }) => {
      if (typeof kernel === "string") return skip(kernel);
      const verdict = await kernel.judge(program());
      if (typeof verdict === "string") throw new Error(`${name}: ${verdict}`);
      const answer: Answer = {
        accepted: verdict.accepted,
        ...(verdict.norm !== "" && { message: verdict.norm }),
        ...(verdict.insn >= 0 && { insn: verdict.insn }),
        ...(verdict.processed !== undefined && { processed: verdict.processed }),
      };
      fresh[name] = answer;
      if (!update) expect(answer).toEqual(recorded.programs[name]);
    },
  );

  it.for(programs)("%s", ([name, program], { skip }) => {
    const want = update ? fresh[name] : recorded.programs[name];
    const input = program();
    if (input.kernelBtf === undefined && NEED_KERNEL_TYPES.has(name)) skip(`${VMLINUX} is absent`);
    const verdict = verifier.verify(input);
    if (verdict.verdict === "unsupported") throw new Error(`unsupported: ${verdict.feature}`);
    if (verdict.verdict === "accepted") {
      expect({ accepted: true, processed: verdict.insnsProcessed }).toEqual(want);
      return;
    }
    const { lines, insn } = verdict.error;
    expect({ accepted: false, message: normLines(lines) }).toEqual({
      accepted: want.accepted,
      message: want.message,
    });
    // found before the instruction is printed: the kernel's trace ends one earlier
    const early = ["verifier/infinite-loop", "verifier/too-complex"].includes(verdict.error.code);
    if (want.insn !== undefined && !early) expect(insn).toBe(want.insn);
  });
});
