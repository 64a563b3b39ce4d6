import { HELPERS, type MapTypeName, type ProgramTypeName } from "../../abi/index.ts";
import { toHex } from "../../base/index.ts";
import type { Btf } from "../../btf/index.ts";
import { assemble, PseudoCall, PseudoLoad } from "../../isa/index.ts";
import type { CollectionSpec, MapSpec, Reference, RunInput, RunResult } from "../../object/index.ts";
import { type EmbeddedCollection, type EmbeddedKernel, openEmbeddedKernel } from "../embedded-kernel.ts";
import type { EngineName } from "../engine.ts";
import type { Host } from "../host.ts";

/** A map of a test program, sizes as in a definition; everything else is as in a plain map. */
export interface TestMap {
  readonly type: MapTypeName;
  readonly key?: number;
  readonly value?: number;
  readonly entries?: number;
  readonly flags?: number;
  /** First value of an array. */
  readonly data?: Uint8Array;
  readonly keyType?: number;
  readonly valueType?: number;
  readonly values?: MapSpec["values"];
  readonly inner?: MapSpec;
}

export interface TestProgram {
  readonly type?: ProgramTypeName;
  /**
   * LLVM assembly. `call bpf_x` calls helper or kfunc x, `r1 = name ll` loads the map of that name (or the function at
   * that label), `r1 = value_of_name ll` the address of its first value.
   */
  readonly text: string;
  readonly maps?: Readonly<Record<string, TestMap>>;
  readonly btf?: Btf;
  readonly host?: Partial<Host>;
  /** Default: a packet of 64 zeroes. */
  readonly input?: RunInput;
  /** Labels of functions beside the entry. */
  readonly functions?: readonly string[];
  /** BTF id of the entry function. */
  readonly entryBtfId?: number;
}

export interface TestRun {
  readonly result: RunResult;
  /** r0, signed 32 bits. */
  readonly retval: number;
  readonly trace: readonly string[];
  readonly kernel: EmbeddedKernel;
  readonly collection: EmbeddedCollection;
  /** Runs the program once more. */
  again(input?: RunInput): number;
  /** First value of the array map `name`. */
  value(name: string): Uint8Array;
}

/**
 * Assembles, loads and runs a program in a fresh embedded kernel with the interpreter; what runs there is run compiled,
 * too, and has to do the same.
 */
export async function runProgram(program: TestProgram): Promise<TestRun> {
  const run = await runWith(program, "interpreter");
  const compiled = await runWith(program, "jit");
  const told = ({ retval, trace, result }: TestRun) =>
    JSON.stringify([retval, trace, result.data && toHex(result.data), result.outcome]);
  const [expected, got] = [told(run), told(compiled)];
  compiled.kernel[Symbol.dispose]();
  if (got !== expected) throw new Error(`compiled: ${got}, interpreted: ${expected}`);
  return run;
}

async function runWith(program: TestProgram, engine: EngineName): Promise<TestRun> {
  const trace: string[] = [];
  const task = { pid: 42, tgid: 40, uid: 1000, gid: 100, comm: "tester", cgroupId: 7n };
  const kernel = await openEmbeddedKernel({
    engine,
    host: { traceLine: (line) => trace.push(line), task, ...program.host },
  });
  const collection = await kernel.load(specOf(program));
  const live = collection.programs.get("test")!;
  const first = program.input ?? { data: new Uint8Array(64) };
  const run = (input: RunInput = first): RunResult => live.run(input);
  const result = run();
  return {
    result,
    retval: result.retval | 0,
    trace,
    kernel,
    collection,
    again: (input) => run(input).retval | 0,
    value: (name) => collection.maps.get(name)!.lookup(new Uint8Array(4))!,
  };
}

function specOf(program: TestProgram): CollectionSpec {
  const maps = program.maps ?? {};
  const assembly = assemble(program.text, {
    symbol(name, use) {
      if (use === "load") return { src: name in maps ? PseudoLoad.MAP_FD : PseudoLoad.MAP_VALUE, imm: 0 };
      const helper = Object.entries(HELPERS).find(([key]) => `bpf_${key}` === name);
      return helper === undefined
        ? { src: PseudoCall.KFUNC, imm: 0 }
        : { src: PseudoCall.HELPER, imm: helper[1].id };
    },
  });
  if (!assembly.ok) throw new Error(assembly.diagnostics.map((diagnostic) => diagnostic.message).join("\n"));
  return {
    programs: [
      {
        name: "test",
        section: "test",
        type: program.type ?? "BPF_PROG_TYPE_SCHED_CLS",
        attachType: undefined,
        attachTo: undefined,
        flags: { sleepable: false, xdpFrags: false },
        autoload: true,
        insns: assembly.bytes,
        references: referencesOf(program.text, assembly.lines, maps, assembly.labels),
        coreRelocations: [],
        funcs: [
          { name: "test", insn: 0, btfId: program.entryBtfId ?? 0, linkage: "global" },
          ...functionsOf(program, assembly.labels),
        ],
        lines: [],
      },
    ],
    maps: Object.entries(maps).map(([name, map]) => mapSpec(name, map)),
    externs: [],
    structOps: [],
    btf: program.btf,
    license: "GPL",
    kernelVersion: 0,
    byteOrder: "little",
  };
}

function functionsOf(program: TestProgram, labels: ReadonlyMap<string, number>) {
  return (program.functions ?? []).map(
    (name) => ({ name, insn: labels.get(name)!, btfId: 0, linkage: "static" }) as const,
  );
}

/** What the names in the text stand for, found again through the line of each slot. */
function referencesOf(
  text: string,
  lines: readonly number[],
  maps: Readonly<Record<string, TestMap>>,
  labels: ReadonlyMap<string, number>,
): Reference[] {
  const source = text.split("\n");
  const references: Reference[] = [];
  for (let insn = 0; insn < lines.length; insn++) {
    if (insn > 0 && lines[insn] === lines[insn - 1]) continue; // second half of a wide load
    const line = source[lines[insn] - 1];
    const load = /=\s*(value_of_)?(\w+)\s+ll/.exec(line);
    const call = /call\s+(bpf_\w+)/.exec(line);
    if (load !== null && load[2] in maps) {
      references.push(
        load[1] === undefined
          ? { kind: "map", insn, map: load[2] }
          : { kind: "map-value", insn, map: load[2], offset: 0 },
      );
    } else if (load !== null && labels.has(load[2])) {
      references.push({ kind: "func", insn, target: labels.get(load[2])! });
    } else if (call !== null && !(call[1].slice(4) in HELPERS)) {
      references.push({ kind: "kfunc", insn, name: call[1], weak: false });
    }
  }
  return references;
}

function mapSpec(name: string, map: TestMap): MapSpec {
  return {
    name,
    type: map.type,
    keySize: map.key ?? 4,
    valueSize: map.value ?? map.data?.length ?? 0,
    maxEntries: map.entries ?? 1,
    flags: map.flags ?? 0,
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: map.keyType ?? 0,
    valueType: map.valueType ?? 0,
    inner: map.inner,
    values: map.values ?? [],
    data: map.data,
    section: ".maps",
    variables: [],
    frozen: ((map.flags ?? 0) & 0x80) !== 0,
  };
}
