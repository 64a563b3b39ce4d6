// Differential fuzz: programs of the corpora here, mutated at random, before our verifier and the running kernel. Verdict,
// message and processed instructions must be the same. SKEP_FUZZ=N tries N programs (default 600), SKEP_FUZZ_FROM=S
// starts at seed S.
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parseBtf } from "../../src/btf/index.ts";
import { assemble } from "../../src/isa/index.ts";
import { readObject } from "../../src/object/index.ts";
import { Verifier, type VerifierProgram, verifierProgram } from "../../src/verifier/index.ts";
import { Random, randomCase } from "../differential/random-program.ts";
import { specOf } from "../differential/run-case.ts";
import { normLines } from "./norm.ts";
import { ROW_MAPS, ROWS } from "./rows.ts";
import { RunningKernel } from "./running-kernel.ts";
import { mutateInsns } from "./soundness.ts";

const COUNT = Number(process.env.SKEP_FUZZ ?? 600);
const FROM = Number(process.env.SKEP_FUZZ_FROM ?? 1);
const VERSION = "6.18.";

const kernel = await RunningKernel.openSame();
const release = typeof kernel === "string" ? "" : readFileSync("/proc/sys/kernel/osrelease", "utf8");
const missing =
  typeof kernel === "string"
    ? kernel
    : release.startsWith(VERSION)
      ? undefined
      : `this is Linux ${release.trim()}, the verifier follows ${VERSION}x`;

it.skipIf(missing !== undefined)(
  `${COUNT} mutated programs as the running kernel judges them${missing ? ` (skipped: ${missing})` : ""}`,
  async () => {
    if (typeof kernel === "string") throw new Error(kernel);
    const bases = basePrograms();
    const verifier = new Verifier();
    const differences: string[] = [];
    const counts = { accepted: 0, rejected: 0, unsupported: 0, unasked: 0 };
    for (let seed = FROM; seed < FROM + COUNT; seed++) {
      const random = new Random(seed);
      const base = random.chance(30) ? ofRandomCase(seed) : random.pick(bases);
      const program = { ...base, insns: mutateInsns(base.insns, random) };
      const theirs = await kernel.judge(program, 4);
      const ours = verifier.verify(program);
      if (typeof theirs === "string") {
        counts.unasked++;
        continue;
      }
      counts[ours.verdict]++;
      if (ours.verdict === "unsupported") continue;
      const message = ours.verdict === "rejected" ? normLines(ours.error.lines) : "";
      const mine = { accepted: ours.verdict === "accepted", message, processed: ours.insnsProcessed };
      const wanted = { accepted: theirs.accepted, message: theirs.norm, processed: theirs.processed };
      if (!mine.accepted) mine.processed = wanted.processed ?? 0; // compared for accepted programs only
      if (JSON.stringify(mine) !== JSON.stringify(wanted)) {
        differences.push(
          `seed ${seed}, ${base.name}: ours ${JSON.stringify(mine)}, Linux ${JSON.stringify(wanted)}`,
        );
      }
    }
    kernel.close();
    process.stdout.write(`fuzz: ${JSON.stringify(counts)}, ${differences.length} differences\n`);
    expect(differences).toEqual([]);
    expect(counts.accepted).toBeGreaterThan(0);
  },
  3_600_000,
);

function basePrograms(): VerifierProgram[] {
  const kernelBtf = parseBtf(readFileSync("/sys/kernel/btf/vmlinux"));
  const rows = ROWS.map(
    ({ name, code, type }): VerifierProgram => ({
      name,
      type: type ?? "BPF_PROG_TYPE_SOCKET_FILTER",
      attachType: undefined,
      insns: assemble(code).bytes,
      maps: ROW_MAPS,
      btf: undefined,
      funcs: [],
      lines: [],
      license: "GPL",
      flags: {},
      kernelBtf,
    }),
  );
  const objects = readdirSync("fixtures/verifier").filter((file) => file.endsWith(".bpf.o"));
  return [
    ...rows,
    ...objects.flatMap((file) => {
      const spec = readObject(readFileSync(`fixtures/verifier/${file}`));
      return spec.programs.map((program) => verifierProgram(spec, program, { kernelBtf }));
    }),
  ];
}

function ofRandomCase(seed: number): VerifierProgram {
  const spec = specOf(randomCase(seed));
  return verifierProgram(spec, { ...spec.programs[0], funcs: [] });
}
