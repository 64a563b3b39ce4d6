import type { AttachTypeName, ProgramTypeName } from "../abi/index.ts";
import { BpfError } from "../base/index.ts";
import type { Program, ProgramSpec, RunInput, RunResult } from "../object/index.ts";
import type { HookEnv } from "./hooks/index.ts";
import { DEFAULT_BUDGET, type Interpreter } from "./interpreter.ts";
import type { LoadedProgram } from "./load-program.ts";
import type { ProgramHandle } from "./maps/index.ts";

/** A program of the embedded kernel. */
export class EmbeddedProgram implements Program, ProgramHandle {
  readonly id: number;
  readonly name: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | undefined;
  readonly spec: ProgramSpec;
  readonly compatKey: string;
  private readonly loaded: LoadedProgram;
  private readonly interpreter: Interpreter;
  private readonly afterRun: () => void;
  private closed = false;

  constructor(spec: ProgramSpec, loaded: LoadedProgram, interpreter: Interpreter, afterRun: () => void) {
    this.id = loaded.code.id;
    this.name = spec.name;
    this.type = loaded.code.type;
    this.attachType = spec.attachType;
    this.spec = spec;
    this.compatKey = `${this.type} ${spec.flags.xdpFrags}`;
    this.loaded = loaded;
    this.interpreter = interpreter;
    this.afterRun = afterRun;
  }

  /** Address of the code block. */
  get address(): number {
    return this.loaded.code.address;
  }

  run(input: RunInput = {}): RunResult {
    if (this.closed)
      throw new BpfError("runtime/closed", `program '${this.name}' was closed`, { subject: this.name });
    const { interpreter } = this;
    const { host, module } = interpreter;
    const repeat = input.repeat ?? 1;
    const cpu = input.cpu ?? 0;
    if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0xffff_ffff)
      throw new BpfError("runtime/bad-input", `repeat must be a whole number from 1 on, not ${repeat}`, {
        errno: "EINVAL",
      });
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= host.numCpus)
      throw new BpfError("runtime/bad-input", `there is no CPU ${cpu}`, {
        errno: "ENXIO",
        hint: `this kernel has CPUs 0 to ${host.numCpus - 1}: open it with more`,
      });
    const env: HookEnv = { module, host };
    const around = this.loaded.hook.begin(env, this.spec, input);
    let result: RunResult;
    try {
      let left = input.maxInsns ?? DEFAULT_BUDGET;
      let insns: number | undefined = 0;
      let retval = 0;
      let outcome: RunResult["outcome"];
      const start = host.nowNs();
      const batch = interpreter.batch(this.loaded.code, around, repeat);
      for (let i = 0; i < repeat; i += batch) {
        const done = interpreter.run({
          code: this.loaded.code,
          contextAddress: around.contextAddress,
          packet: around.packet,
          cpu,
          budget: input.maxInsns === undefined ? DEFAULT_BUDGET * batch : left,
          around,
          times: Math.min(batch, repeat - i),
        });
        insns = insns === undefined || done.insns === undefined ? undefined : insns + done.insns;
        left -= done.insns ?? 0;
        retval = done.retval ?? Number(BigInt.asUintN(32, done.r0));
        outcome = done.state.outcome;
      }
      const durationNs = Number(host.nowNs() - start) / repeat;
      const results = around.results();
      result = {
        retval,
        durationNs,
        ...(insns !== undefined && { insns }),
        ...(outcome && { outcome }),
        ...results,
      };
    } finally {
      around.end();
    }
    this.afterRun();
    return result;
  }

  /** Frees the program's memory; it cannot be run any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.interpreter.removeCode(this.loaded.code);
  }
}
