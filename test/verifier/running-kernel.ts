import { release } from "node:os";
// The running kernel's verdict on a program in the verifier's own input form.
import { writeBtf } from "../../src/btf/index.ts";
import type { LoaderCapability } from "../../src/verifier/capabilities.ts";
import type { VerifierMap, VerifierProgram } from "../../src/verifier/input.ts";
import { LinuxOracle, type MapId } from "../differential/kernel.ts";
import { normLines } from "./norm.ts";

/** What Linux says. */
export interface KernelVerdict {
  readonly accepted: boolean;
  readonly errno: string | undefined;
  /** The last lines, normalised; `""` when accepted. */
  readonly norm: string;
  /** Last instruction of its trace; -1 when it rejected before the walk or accepted. */
  readonly insn: number;
  readonly processed: number | undefined;
  readonly us: number | undefined;
  readonly log: string;
}

/** A longer walk is not traced: it takes seconds, and its log does not fit. */
const MAX_TRACED = 20_000;

/** What the verifier was compared with: earlier 6.18.y deduce less, other series say other things. */
const SAME_LINUX = /^6\.18\.(4[4-9]|[5-9]\d|\d{3})/;

/** Puts programs to the running kernel; maps and BTF are made for each program and closed after it. */
export class RunningKernel {
  private readonly oracle: LinuxOracle;

  private constructor(oracle: LinuxOracle) {
    this.oracle = oracle;
  }

  /** CPUs that it could have (`nr_cpu_ids`). */
  get numCpus(): number {
    return this.oracle.numCpus;
  }

  /** The reason, as text, where cc, root or bpf(2) are missing. */
  static async open(): Promise<RunningKernel | string> {
    const oracle = await LinuxOracle.open();
    return typeof oracle === "string" ? oracle : new RunningKernel(oracle);
  }

  /** As {@link open}, for comparisons word by word: the reason, too, when it is not the Linux that we follow. */
  static async openSame(): Promise<RunningKernel | string> {
    if (!SAME_LINUX.test(release())) return `the kernel is ${release()}, not 6.18.44 or a later 6.18`;
    return RunningKernel.open();
  }

  close(): void {
    this.oracle.close();
  }

  /** The verdict, or why the program could not be put to it (a map or BTF that the kernel refuses). */
  async judge(
    program: VerifierProgram,
    level = 1,
    capabilities?: readonly LoaderCapability[],
  ): Promise<KernelVerdict | string> {
    try {
      return await this.ask(program, level, capabilities);
    } catch (refusal) {
      if (typeof refusal === "string") return refusal;
      throw refusal;
    } finally {
      await this.oracle.reset();
    }
  }

  private async ask(
    program: VerifierProgram,
    level: number,
    capabilities: readonly LoaderCapability[] | undefined,
  ): Promise<KernelVerdict> {
    const btfs = new Map<unknown, number>();
    const maps: MapId[] = [];
    for (const map of program.maps) maps.push(await this.map(map, btfs));
    const insns = program.insns.slice();
    const view = new DataView(insns.buffer);
    for (let at = 0; at < insns.length; at += insns[at] === 0x18 ? 16 : 8) {
      const mark = insns[at + 1] >> 4;
      if (insns[at] !== 0x18 || (mark !== 1 && mark !== 2)) continue;
      const id = maps[view.getInt32(at + 4, true)];
      if (id !== undefined) view.setInt32(at + 4, id, true);
    }
    const spec = {
      type: program.type,
      ...(program.attachType !== undefined && { attachType: program.attachType }),
      ...(program.attachBtfId !== undefined && { attachBtfId: program.attachBtfId }),
      ...(program.structOpsMember !== undefined && { structOpsMember: program.structOpsMember }),
      flags: flagBits(program),
      license: program.license,
      insns,
      ...(program.btf !== undefined &&
        program.funcs.length > 0 && {
          funcInfo: { btf: await this.btf(program.btf, btfs), records: funcRecords(program) },
        }),
    };
    // level 4 for figures: a trace slows the kernel down and may not fit
    let figures = await this.oracle.verify(spec, 4);
    if (figures.errno === "EPERM" && figures.log === "") throw "the kernel refuses programs of this type";
    if (capabilities !== undefined) {
      await this.oracle.setLoader(capabilities);
      figures = await this.oracle.verify(spec, 4);
    }
    const processed = figure(figures.log, /processed (\d+) insns/);
    const traced = level !== 4 && (processed ?? 0) <= MAX_TRACED;
    const trace = traced ? await this.oracle.verify(spec, level) : figures;
    if (capabilities !== undefined) await this.oracle.setLoader(undefined);
    return {
      accepted: figures.errno === undefined,
      errno: figures.errno,
      norm: figures.errno === undefined ? "" : normLines(figures.log.split("\n")),
      insn: figures.errno === undefined ? -1 : lastInsn(trace.log),
      processed,
      us: figure(figures.log, /verification time (\d+) usec/),
      log: trace.log,
    };
  }

  private async map(map: VerifierMap, btfs: Map<unknown, number>): Promise<MapId> {
    const inner = map.inner === undefined ? undefined : await this.map(map.inner, btfs);
    const id = await this.oracle.createMap({
      type: map.type,
      keySize: map.keySize,
      valueSize: map.valueSize,
      maxEntries: map.maxEntries,
      flags: map.flags,
      ...(map.mapExtra !== undefined && { mapExtra: map.mapExtra }),
      ...(inner !== undefined && { inner }),
      ...(map.btf !== undefined &&
        (map.valueType ?? 0) !== 0 && {
          btf: {
            id: await this.btf(map.btf, btfs),
            keyType: map.keyType ?? 0,
            valueType: map.valueType ?? 0,
          },
        }),
    });
    if (typeof id === "string") throw `map ${map.name}: ${id}`;
    if (map.data !== undefined) await this.oracle.update(id, new Uint8Array(4), map.data);
    if (map.frozen) await this.oracle.freeze(id);
    return id;
  }

  private async btf(btf: NonNullable<VerifierProgram["btf"]>, known: Map<unknown, number>): Promise<number> {
    const loaded = known.get(btf) ?? (await this.oracle.loadBtf(writeBtf(btf)));
    if (typeof loaded === "string") throw `BTF: ${loaded}`;
    known.set(btf, loaded);
    return loaded;
  }
}

function flagBits({ flags }: VerifierProgram): number {
  return (
    (flags.strictAlignment ? 1 : 0) |
    (flags.anyAlignment ? 2 : 0) |
    (flags.testStateFreq ? 8 : 0) |
    (flags.sleepable ? 16 : 0) |
    (flags.xdpFrags ? 32 : 0) |
    (flags.testRegInvariants ? 128 : 0)
  );
}

function funcRecords({ funcs }: VerifierProgram): Uint8Array {
  const records = new DataView(new ArrayBuffer(8 * funcs.length));
  for (const [i, { insn, btfId }] of funcs.entries()) {
    records.setUint32(8 * i, insn, true);
    records.setUint32(8 * i + 4, btfId, true);
  }
  return new Uint8Array(records.buffer);
}

function lastInsn(log: string): number {
  let last = -1;
  for (const [, insn] of log.matchAll(/^(\d+): \(/gm)) last = Number(insn);
  return last;
}

function figure(log: string, pattern: RegExp): number | undefined {
  const [, value] = pattern.exec(log) ?? [];
  return value === undefined ? undefined : Number(value);
}
