import { BpfError, toHex } from "../../src/base/index.ts";
import { BtfBuilder, writeBtf } from "../../src/btf/index.ts";
import { decode } from "../../src/isa/index.ts";
import type {
  CollectionSpec,
  EventMap,
  Kernel,
  MapSpec,
  ProgramSpec,
  Reference,
} from "../../src/object/index.ts";
import type { LinuxOracle, MapId } from "./kernel.ts";
import type { RandomCase, RandomMap } from "./random-program.ts";

const LDDW = 0x18;
const PSEUDO_MAP_FD = 1;
const PSEUDO_FUNC = 4;
/** BPF_F_XDP_HAS_FRAGS. */
const XDP_HAS_FRAGS = 1 << 5;
const NO_KEY = new Uint8Array();

/** What a case did: comparable between kernels, all bytes in hex. */
export interface CaseResult {
  readonly runs: readonly {
    readonly retval: number;
    readonly data: string;
    readonly ctx: string;
    readonly errno?: string;
  }[];
  /** By map name, sorted by key. Ring buffers: their records in order. Queues: from the front. */
  readonly maps: Readonly<Record<string, readonly string[]>>;
}

/** Loads and runs a case in the running kernel; the verifier's words when it refuses. */
export async function runOnLinux(
  oracle: LinuxOracle,
  test: RandomCase,
): Promise<CaseResult | { rejected: string }> {
  await oracle.reset();
  const ids: MapId[] = [];
  for (const map of test.maps) {
    const inner = map.inner?.map((name) => ids[test.maps.findIndex((other) => other.name === name)]);
    const id = await oracle.createMap({ ...map, inner: inner?.[0] });
    if (typeof id === "string") throw new Error(`map ${map.name}: ${id}`);
    ids.push(id);
    for (const [slot, held] of (inner ?? []).entries()) await oracle.update(id, key32(slot), { map: held });
    for (const { key, value } of map.entries) await oracle.update(id, key, value);
  }
  const programs: number[] = [];
  const { bytes, id: func } = functionBtf();
  const btf = await oracle.loadBtf(bytes);
  if (typeof btf === "string") throw new Error(`BTF: ${btf}`);
  for (const { insns, functions } of test.programs) {
    const records = new Uint8Array(new Uint32Array(functions.flatMap((slot) => [slot, func])).buffer);
    const program = await oracle.loadProgram({
      type: test.type,
      flags: test.frags ? XDP_HAS_FRAGS : 0,
      insns,
      funcInfo: { btf, records },
    });
    if (typeof program !== "number") return { rejected: `${program.errno}: ${program.log}` };
    programs.push(program);
  }
  const tails = test.maps.findIndex((map) => map.name === "tails");
  for (const [slot, program] of test.slots.entries()) {
    const refused = await oracle.update(ids[tails], key32(slot), { program: programs[program] });
    if (refused) return { rejected: `tail call slot ${slot}: ${refused}` };
  }
  const runs = [];
  for (const [i, data] of test.packets.entries()) {
    const run = await oracle.run(programs[0], { data, ctx: test.contexts[i] });
    runs.push({
      retval: run.retval,
      data: run.data ? toHex(run.data) : "",
      ctx: run.ctx ? toHex(run.ctx) : "",
      ...(run.errno && { errno: run.errno }),
    });
  }
  const maps: Record<string, string[]> = {};
  for (const [i, map] of test.maps.entries()) {
    if (holdsObjects(map)) continue;
    if (map.type === "BPF_MAP_TYPE_RINGBUF") maps[map.name] = (await oracle.drain(ids[i])).map(toHex);
    else if (map.keySize === 0) {
      const values = [];
      for (;;) {
        const value = await oracle.lookupAndDelete(ids[i], new Uint8Array());
        if (typeof value === "string") break;
        values.push(toHex(value));
      }
      maps[map.name] = values;
    } else {
      const entries = await oracle.dump(ids[i]);
      maps[map.name] = entries.map(({ key, value }) => `${toHex(key)}=${toHex(value)}`).sort();
    }
  }
  return { runs, maps };
}

/** A u32 key in memory order. */
export function key32(n: number): Uint8Array {
  return Uint8Array.of(n, n >> 8, n >> 16, n >> 24);
}

/**
 * Loads and runs a case in the embedded kernel. A refused load or run shows as `errno`, with its code.
 * @param maxInsns instructions of one run; default: the engine's.
 */
export async function runOnEmbedded(
  kernel: Kernel,
  test: RandomCase,
  maxInsns?: number,
): Promise<CaseResult> {
  using collection = await kernel.load(specOf(test));
  for (const map of test.maps) {
    for (const { key, value } of map.entries) collection.maps.get(map.name)!.update(key, value);
  }
  const program = collection.programs.get(programName(0))!;
  const runs = test.packets.map((data, i) => {
    try {
      const ctx = test.contexts[i];
      const run = program.run({ data, ...(ctx && { ctx }), ...(maxInsns !== undefined && { maxInsns }) });
      const context = ctx && run.ctx ? toHex(run.ctx) : "";
      return { retval: run.retval, data: run.data ? toHex(run.data) : "", ctx: context };
    } catch (error) {
      return { retval: 0, data: "", ctx: "", errno: describe(error) };
    }
  });
  const maps: Record<string, string[]> = {};
  for (const map of test.maps) {
    if (holdsObjects(map)) continue;
    const live = collection.maps.get(map.name)!;
    if (map.type === "BPF_MAP_TYPE_RINGBUF") {
      maps[map.name] = (live as EventMap).drain().map(({ data }) => toHex(data));
    } else if (map.keySize === 0) {
      const values = [];
      for (let v = live.lookupAndDelete(NO_KEY); v !== undefined; v = live.lookupAndDelete(NO_KEY))
        values.push(toHex(v));
      maps[map.name] = values;
    } else {
      maps[map.name] = [...live.entries()].map(([key, value]) => `${toHex(key)}=${toHex(value)}`).sort();
    }
  }
  return { runs, maps };
}

/** The case as the spec that an object file would have given. */
export function specOf(test: RandomCase): CollectionSpec {
  const byName = (name: string) => test.maps.find((map) => map.name === name)!;
  const mapSpec = (map: RandomMap): MapSpec => ({
    name: map.name,
    type: map.type,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    mapExtra: 0n,
    numaNode: 0,
    pinning: "none",
    keyType: 0,
    valueType: 0,
    inner: map.inner && mapSpec(byName(map.inner[0])),
    values: [
      ...(map.inner ?? []).map((name, key) => ({ key, map: name })),
      ...(map.name === "tails" ? test.slots : []).map((program, key) => ({
        key,
        program: programName(program),
      })),
    ],
    data: undefined,
    section: ".maps",
    variables: [],
    frozen: false,
  });
  const programs = test.programs.map(({ insns, functions }, i): ProgramSpec => {
    const references: Reference[] = [];
    const table = decode(insns);
    for (let insn = 0; insn < table.length; insn++) {
      if (table.opcode[insn] !== LDDW) continue;
      if (table.src[insn] === PSEUDO_MAP_FD)
        references.push({ kind: "map", insn, map: test.maps[table.imm[insn]].name });
      if (table.src[insn] === PSEUDO_FUNC)
        references.push({ kind: "func", insn, target: insn + 1 + table.imm[insn] });
      insn++;
    }
    return {
      name: programName(i),
      section: "",
      type: test.type,
      attachType: undefined,
      attachTo: undefined,
      flags: { sleepable: false, xdpFrags: test.frags },
      autoload: true,
      insns,
      references,
      coreRelocations: [],
      funcs: functions.map((insn) => ({ name: `f${insn}`, insn, btfId: 0, linkage: "static" })),
      lines: [],
    };
  });
  return {
    programs,
    maps: test.maps.map(mapSpec),
    externs: [],
    structOps: [],
    btf: undefined,
    license: "GPL",
    kernelVersion: 0,
    byteOrder: "little",
  };
}

/** BTF with one static function, `long f(void *)`: what callbacks need to be let through. */
function functionBtf(): { bytes: Uint8Array; id: number } {
  const builder = new BtfBuilder();
  const long = builder.int("long", 8, { signed: true });
  const params = [{ name: "ctx", type: builder.ptr(0) }];
  const type = builder.add({ kind: "func_proto", name: "", type: long, params });
  const id = builder.add({ kind: "func", name: "f", type, linkage: "static" });
  return { bytes: writeBtf(builder.build()), id };
}

/** Holds programs or maps, or cannot be listed: nothing in it to compare. */
function holdsObjects(map: RandomMap): boolean {
  return map.name === "tails" || map.inner !== undefined || map.type === "BPF_MAP_TYPE_BLOOM_FILTER";
}

function programName(index: number): string {
  return `p${index}`;
}

function describe(error: unknown): string {
  if (!(error instanceof BpfError)) throw error;
  return error.errno ?? `${error.code} at ${error.insn ?? "?"}: ${error.message}`;
}
