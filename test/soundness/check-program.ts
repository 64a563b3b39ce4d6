import { BpfError } from "../../src/base/index.ts";
import { decode, disassemble } from "../../src/isa/index.ts";
import type { MapSpec, ProgramSpec } from "../../src/object/index.ts";
import { HOOKS } from "../../src/runtime/hooks/index.ts";
import { loadProgram } from "../../src/runtime/load-program.ts";
import { createMap, type EmbeddedMap } from "../../src/runtime/maps/index.ts";
import { type Verdict, Verifier, type VerifierMap, type VerifierProgram } from "../../src/verifier/index.ts";
import { fixedHost } from "../differential/host.ts";
import { seeded } from "../differential/scalar-program.ts";
import { randomInput, randomNumbers } from "./random-input.ts";
import { ELEMENTS, type SoundnessProgram, VALUE_BYTES } from "./random-program.ts";
import { RecordedStates } from "./recorded-states.ts";
import { Stepper } from "./stepper.ts";

const TYPE = "BPF_PROG_TYPE_SCHED_CLS";
/** Instructions that the walk without pruning may take; programs with more are only run. */
const WALK_LIMIT = 2_000;
const RUN_LIMIT = 20_000;
const MAP: MapSpec = {
  name: "values",
  type: "BPF_MAP_TYPE_ARRAY",
  keySize: 4,
  valueSize: VALUE_BYTES,
  maxEntries: ELEMENTS,
  flags: 0,
  mapExtra: 0n,
  numaNode: 0,
  pinning: "none",
  keyType: 0,
  valueType: 0,
  inner: undefined,
  values: [],
  data: undefined,
  section: ".maps",
  variables: [],
  frozen: false,
};
const VERIFIER_MAP: VerifierMap = {
  name: MAP.name,
  type: MAP.type,
  keySize: MAP.keySize,
  valueSize: MAP.valueSize,
  maxEntries: MAP.maxEntries,
  flags: 0,
};

/** What became of a program. `problem`: it breaks the promise of soundness. */
export interface Checked {
  readonly verdict: Verdict["verdict"];
  readonly message: string;
  /** Every path was walked, so that the states were compared. */
  readonly compared: boolean;
  readonly runs: number;
  readonly steps: number;
  readonly problem: string | undefined;
}

/** Verifies programs, runs what is accepted and compares each register with the verifier's states. */
export class SoundnessBench {
  private readonly verifier = new Verifier();
  private readonly states = new RecordedStates(false);
  private readonly stepper: Stepper;
  private readonly map: EmbeddedMap;
  private readonly host = fixedHost(1);

  private constructor(stepper: Stepper, map: EmbeddedMap) {
    this.stepper = stepper;
    this.map = map;
    stepper.frame.maps = [map.address];
  }

  static async open(): Promise<SoundnessBench> {
    const stepper = await Stepper.open({ host: fixedHost(1), uninitStack: "zero", mapById: () => undefined });
    const registry = { mapById: () => undefined, programById: () => undefined };
    const map = createMap(stepper.module, MAP, {
      id: 1,
      numCpus: 1,
      btf: undefined,
      registry,
      onFree: () => {},
    });
    return new SoundnessBench(stepper, map);
  }

  /** `runs`: how many random inputs. */
  check(program: SoundnessProgram, seed: number, runs: number): Checked {
    const input: VerifierProgram = {
      name: "random",
      type: TYPE,
      attachType: undefined,
      insns: program.insns,
      maps: [VERIFIER_MAP],
      btf: undefined,
      funcs: [],
      lines: [],
      license: "GPL",
      flags: { testStateFreq: seed % 3 === 1 },
      kernelBtf: undefined,
    };
    const verdict = this.verifier.verify(input);
    const none = { compared: false, runs: 0, steps: 0, problem: undefined };
    if (verdict.verdict !== "accepted") {
      const message = verdict.verdict === "rejected" ? verdict.error.message : verdict.feature;
      return { verdict: verdict.verdict, message, ...none };
    }
    this.states.clear();
    const all = this.verifier.verify(input, { onState: this.states.record, insnLimit: WALK_LIMIT });
    const tooLong = all.verdict === "rejected" && all.error.code === "verifier/too-complex";
    // Linux takes the distance of a linked scalar for an offset of the pointer that it is added to: harmless, but such a
    // path is rejected unless it is pruned.
    const distance =
      all.verdict === "rejected" && /pointer offset -?\d+ is not allowed/.test(all.error.message);
    if (all.verdict !== "accepted" && !tooLong && !distance) {
      const why = all.verdict === "rejected" ? `${all.error.insn}: ${all.error.message}` : all.feature;
      const problem = `accepted with pruning, but not when every path is walked: ${why}`;
      return { verdict: "accepted", message: "", ...none, problem };
    }
    return { verdict: "accepted", message: "", ...this.run(program, seed, runs, all.verdict === "accepted") };
  }

  private run(
    program: SoundnessProgram,
    seed: number,
    runs: number,
    compare: boolean,
  ): Omit<Checked, "verdict" | "message"> {
    const { stepper, host, states } = this;
    const { module } = stepper;
    const spec = programSpec(program.insns);
    const maps = new Map([[MAP.name, this.map]]);
    const collection = {
      programs: [spec],
      maps: [MAP],
      externs: [],
      structOps: [],
      btf: undefined,
      license: "GPL",
      kernelVersion: 0,
      byteOrder: "little",
    } as const;
    const { code } = loadProgram(spec, { spec: collection, module, maps, target: undefined, id: 1 });
    stepper.addCode(code);
    const hook = HOOKS[TYPE];
    if (!("begin" in hook)) throw new Error("tc programs run here");
    const random = seeded(seed ^ 0x5eed);
    let steps = 0;
    let problem: string | undefined;
    stepper.onInsn = (insn, frame) => {
      steps++;
      if (!compare || problem !== undefined) return;
      const reason = states.uncovered(insn, frame.depth, frame);
      if (reason !== undefined) problem = `at ${insn}, frame ${frame.depth}: ${reason}`;
    };
    let done = 0;
    try {
      for (; done < runs && problem === undefined; done++) {
        for (let key = 0; key < ELEMENTS; key++) {
          this.map.update(Uint8Array.of(key, 0, 0, 0), randomNumbers(random, VALUE_BYTES, program.constants));
        }
        const around = hook.begin({ module, host }, spec, randomInput(random, program.constants));
        try {
          stepper.run({
            code,
            contextAddress: around.contextAddress,
            packet: around.packet,
            cpu: 0,
            budget: RUN_LIMIT,
            around,
          });
        } catch (error) {
          if (!(error instanceof BpfError)) throw error;
          problem ??= `violation at ${error.insn}: ${error.code} ${error.message}`;
        } finally {
          around.end();
        }
      }
    } finally {
      stepper.removeCode(code);
    }
    return { compared: compare, runs: done, steps, problem };
  }
}

/** Instructions as text, for the report of a failure. */
export function listing(program: SoundnessProgram): string {
  return disassemble(decode(program.insns))
    .map(({ slot, text }) => `${slot}: ${text}`)
    .join("\n");
}

function programSpec(insns: Uint8Array): ProgramSpec {
  const table = decode(insns);
  const references = [];
  for (let insn = 0; insn < table.length; insn++) {
    if (table.opcode[insn] !== 0x18) continue;
    if (table.src[insn] === 1) references.push({ kind: "map", insn, map: MAP.name } as const);
    insn++;
  }
  return {
    name: "random",
    section: "",
    type: TYPE,
    attachType: undefined,
    attachTo: undefined,
    flags: { sleepable: false, xdpFrags: false },
    autoload: true,
    insns,
    references,
    coreRelocations: [],
    funcs: [],
    lines: [],
  };
}
