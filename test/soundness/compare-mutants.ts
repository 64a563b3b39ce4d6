import { BtfBuilder, writeBtf } from "../../src/btf/index.ts";
import { Verifier, type VerifierMap, type VerifierProgram } from "../../src/verifier/index.ts";
import type { LinuxOracle } from "../differential/kernel.ts";
import { type RandomCase, type RandomMap, randomCase } from "../differential/random-program.ts";
import { mutant } from "./mutate.ts";

const XDP_HAS_FRAGS = 1 << 5;

/** Judges mutants of random programs here and in the running kernel. */
export class MutantBench {
  /** Programs compared. */
  count = 0;
  accepted = 0;
  rejected = 0;
  /** Descriptions of those judged differently. */
  readonly different: string[] = [];
  private readonly oracle: LinuxOracle;
  private readonly verifier = new Verifier();

  constructor(oracle: LinuxOracle) {
    this.oracle = oracle;
  }

  /** `mutants` of the case of a seed; the first is the case itself. */
  async compare(seed: number, mutants: number): Promise<void> {
    const test = randomCase(seed);
    const { oracle } = this;
    await oracle.reset();
    for (const map of test.maps) {
      const inner = map.inner?.map((name) => test.maps.findIndex((other) => other.name === name))[0];
      const { type, keySize, valueSize, maxEntries, flags } = map;
      const inside = inner === undefined ? {} : { inner };
      const id = await oracle.createMap({ type, keySize, valueSize, maxEntries, flags, ...inside });
      if (typeof id === "string") throw new Error(`map ${map.name}: ${id}`);
    }
    const { insns, functions } = test.programs[0];
    const builder = functionBtf();
    const btf = await oracle.loadBtf(builder.bytes);
    if (typeof btf === "string") throw new Error(`BTF: ${btf}`);
    const records = new Uint8Array(new Uint32Array(functions.flatMap((slot) => [slot, builder.id])).buffer);
    for (let n = 0; n < mutants; n++) {
      const changed = n === 0 ? insns : mutant(insns, seed * 64 + n);
      const { errno, log } = await oracle.verify(
        {
          type: test.type,
          flags: test.frags ? XDP_HAS_FRAGS : 0,
          insns: changed,
          funcInfo: { btf, records },
        },
        4,
      );
      this.judge(
        `seed ${seed}, mutant ${n}`,
        { ...input(test, changed), btf: builder.btf, funcs: infos(functions, builder.id) },
        errno,
        log,
      );
    }
  }

  private judge(name: string, program: VerifierProgram, errno: string | undefined, log: string): void {
    const verdict = this.verifier.verify(program, { numCpus: this.oracle.numCpus });
    const processed = Number(/processed (\d+) insns/.exec(log)?.[1] ?? 0);
    const theirs = errno === undefined ? "accepted" : lastLine(log);
    // The walk is done: Linux trips over itself when it prepares what it accepted.
    if (theirs.startsWith("verifier bug: No program to jit")) return;
    let ours: string = verdict.verdict;
    if (verdict.verdict === "rejected") ours = verdict.error.message;
    if (verdict.verdict === "unsupported") ours = `unsupported: ${verdict.feature}`;
    this.count++;
    if (errno === undefined) this.accepted++;
    else this.rejected++;
    if (ours !== theirs)
      this.different.push(`${name}: ours "${ours}", the kernel's "${theirs}" (${errno ?? "ok"})`);
    else if (verdict.insnsProcessed !== processed) {
      this.different.push(
        `${name}: ours processed ${verdict.insnsProcessed}, the kernel ${processed}: ${ours}`,
      );
    }
  }
}

function input(test: RandomCase, insns: Uint8Array): Omit<VerifierProgram, "btf" | "funcs"> {
  return {
    name: "mutant",
    type: test.type,
    attachType: undefined,
    insns,
    maps: test.maps.map((map) => mapOf(map, test.maps)),
    lines: [],
    license: "GPL",
    flags: { xdpFrags: test.frags },
    kernelBtf: undefined,
  };
}

function mapOf(map: RandomMap, all: readonly RandomMap[]): VerifierMap {
  const { name, type, keySize, valueSize, maxEntries, flags } = map;
  const inner = all.find((other) => other.name === map.inner?.[0]);
  return { name, type, keySize, valueSize, maxEntries, flags, ...(inner && { inner: mapOf(inner, all) }) };
}

function infos(functions: readonly number[], btfId: number): VerifierProgram["funcs"] {
  return functions.map((insn) => ({ name: "f", insn, btfId, linkage: "static" as const }));
}

/** BTF with one static function, `long f(void *)`. */
function functionBtf(): { bytes: Uint8Array; btf: VerifierProgram["btf"]; id: number } {
  const builder = new BtfBuilder();
  const long = builder.int("long", 8, { signed: true });
  const params = [{ name: "ctx", type: builder.ptr(0) }];
  const type = builder.add({ kind: "func_proto", name: "", type: long, params });
  const id = builder.add({ kind: "func", name: "f", type, linkage: "static" });
  const btf = builder.build();
  return { bytes: writeBtf(btf), btf, id };
}

/** The last line that is neither statistics nor a state shown behind the message. */
function lastLine(log: string): string {
  const isStatistics = (line: string): boolean =>
    /^(processed|verification time|stack depth|(cur|old) state:)/.test(line);
  return (
    log
      .trimEnd()
      .split("\n")
      .findLast((line) => !isStatistics(line)) ?? ""
  );
}
