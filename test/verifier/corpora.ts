// The oracle's tables, and the programs behind them as our verifier takes them. Nothing of it is ours to keep: tables lie
// in ../shared/oracle, objects and loaders in the folder that SKEP_ORACLE names.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  ATTACH_TYPES,
  type AttachTypeName,
  MAP_TYPES,
  type MapTypeName,
  PROGRAM_TYPES,
  type ProgramTypeName,
} from "../../src/abi/index.ts";
import { BpfError, fromHex } from "../../src/base/index.ts";
import { type Btf, BtfIndex, parseBtf } from "../../src/btf/index.ts";
import { type CollectionSpec, readObject, setKconfig } from "../../src/object/index.ts";
import type { VerifierMap, VerifierProgram, VerifierProgramFlags } from "../../src/verifier/input.ts";
import { verifierProgram } from "../../src/verifier/program-of.ts";

/** A corpus: its table, and where its objects are. */
interface Corpus {
  readonly table: string;
  /** Folders under SKEP_ORACLE. */
  readonly folders: readonly string[];
  /** Only objects with this in their name. */
  readonly match?: RegExp;
}

/** By name; `verifier` is the part of the selftests that is scored on its own. */
export const CORPORA = {
  "raw-tests": { table: "raw-tests", folders: [] },
  verifier: { table: "selftests-v3", folders: ["obj/st-v3"], match: /^verifier_/ },
  "selftests-v3": { table: "selftests-v3", folders: ["obj/st-v3", "obj/linked"] },
  "libbpf-tools": { table: "libbpf-tools", folders: ["obj/carved/libbpf-tools"] },
  "xdp-tools": { table: "xdp-tools", folders: ["obj/carved/xdp-tools"] },
  "debian-misc": { table: "debian-misc", folders: ["obj/carved/debian-misc"] },
} as const satisfies Record<string, Corpus>;
export type CorpusName = keyof typeof CORPORA;

/** A program of a table, as far as it matters here. */
export interface Row {
  readonly obj: string;
  readonly prog: string;
  readonly sec: string | null;
  /** `"xdp"`, `"sched_cls"`, … */
  readonly type: string;
  readonly res: "accepted" | "rejected";
  readonly attach?: string;
  readonly attach_btf?: string;
  readonly errno?: number;
  /** The last two lines of the kernel's log, with ` / ` between. */
  readonly msg?: string;
  readonly norm?: string;
  /** Last instruction of the kernel's trace; absent when it rejected before the walk. */
  readonly pc?: number;
  readonly insns: number;
  readonly processed?: number;
  readonly states?: number;
  readonly us?: number;
  readonly flags?: number;
  readonly legacy?: boolean;
  readonly type_guessed?: boolean;
  readonly dropped_maps?: readonly string[];
  /** raw-tests: place in the kernel's array. */
  readonly index?: number;
  readonly corpus: CorpusName | "live";
  /** Place in the object; counts every program of it. */
  readonly order: number;
  /** `live`: the object file. */
  readonly path?: string;
}

const tables = join(process.cwd(), "../shared/oracle");

/** Why there is no oracle here; undefined when there is. */
export function oracleMissing(): string | undefined {
  if (process.env.SKEP_ORACLE === undefined) return "SKEP_ORACLE names no oracle work folder";
  if (!existsSync(process.env.SKEP_ORACLE)) return `${process.env.SKEP_ORACLE} is absent`;
  return existsSync(tables) ? undefined : "../shared/oracle is absent";
}

function oracle(): string {
  const missing = oracleMissing();
  if (missing !== undefined) throw new Error(missing);
  return process.env.SKEP_ORACLE!;
}

/** Programs of a corpus that the kernel judged, in the table's order. */
export function readRows(name: CorpusName): { readonly judged: readonly Row[]; readonly env: number } {
  const corpus: Corpus = CORPORA[name];
  const judged: Row[] = [];
  let env = 0;
  const orders = new Map<string, number>();
  for (const line of readFileSync(join(tables, `${corpus.table}.jsonl`), "utf8")
    .trim()
    .split("\n")) {
    const row = JSON.parse(line) as { kind: string; res: string; obj: string; norm?: string };
    if (row.kind !== "prog") continue;
    const order = orders.get(row.obj) ?? 0;
    orders.set(row.obj, order + 1);
    if (corpus.match?.test(row.obj) === false) continue;
    // an errno without a log: the kernel has no programs of this type
    if (row.res === "env" || row.norm?.startsWith("(no log")) env++;
    else judged.push({ ...(row as unknown as Row), corpus: name, order });
  }
  return { judged, env };
}

// -- programs ---------------------------------------------------------------------------------------------------------

/**
 * Makes programs of rows; keeps the kernel's BTF (of the running kernel, or the file that SKEP_KERNEL_BTF names) and the
 * object at hand.
 */
export class Programs {
  private vmlinux: BtfIndex | undefined;
  private spec: { readonly path: string; readonly spec: CollectionSpec } | undefined;
  private config: Readonly<Record<string, string | number>> | undefined;

  /** What the kernel was given. @throws BpfError when our reader refuses what libbpf opened. */
  program(row: Row): VerifierProgram {
    return row.corpus === "raw-tests" ? this.rawTest(row) : this.ofObject(row);
  }

  private get kernelBtf(): BtfIndex {
    const path = process.env.SKEP_KERNEL_BTF ?? "/sys/kernel/btf/vmlinux";
    this.vmlinux ??= new BtfIndex(parseBtf(readFileSync(path)));
    return this.vmlinux;
  }

  private rawTest(row: Row): VerifierProgram {
    const path = join(recordsOf("raw-tests"), `${row.index ?? 0}.json`);
    return recordedProgram(row.prog, path, this.kernelBtf.btf);
  }

  private ofObject(row: Row): VerifierProgram {
    const path = objectPath(row);
    if (this.spec?.path !== path) {
      this.config ??= kernelConfig();
      const read = readObject(readFileSync(path), { relaxedMaps: true });
      this.spec = {
        path,
        spec: setKconfig(read, { kernelVersion: runningVersion(), config: this.config }),
      };
    }
    const { spec } = this.spec;
    const program = spec.programs.find((candidate) => candidate.name === row.prog);
    if (program === undefined)
      throw new BpfError("verifier/no-such-program", `${row.obj} has no ${row.prog}`);
    const type = `BPF_PROG_TYPE_${row.type.toUpperCase()}` as ProgramTypeName;
    const own = ownTarget(spec, row.prog);
    return verifierProgram(spec, program, {
      kernelBtf: this.kernelBtf,
      ...(own !== undefined && { targetBtf: readObject(readFileSync(objectPath({ ...row, obj: own }))).btf }),
      type,
      ...(row.attach !== undefined && { attachType: `BPF_${row.attach.toUpperCase()}` as AttachTypeName }),
      flags: flagsOf(row.flags ?? 0),
      withoutMaps: new Set(row.dropped_maps),
      objectName: "oracle",
      kconfigKnown: true,
    });
  }
}

/** `__btf_path("…")` of the kernel's tests: the object whose BTF is the CO-RE target. */
function ownTarget(spec: CollectionSpec, program: string): string | undefined {
  const prefix = "comment:test_btf_path=";
  for (const tag of spec.btf?.types ?? []) {
    if (tag.kind !== "decl_tag" || !tag.name.startsWith(prefix)) continue;
    if (spec.btf!.types[tag.type].name === program) return tag.name.slice(prefix.length);
  }
  return undefined;
}

/** The object file of a row. */
export function objectPath(row: Pick<Row, "corpus" | "obj" | "path">): string {
  if (row.corpus === "live") return row.path ?? row.obj;
  const { folders }: Corpus = CORPORA[row.corpus];
  const paths = folders.map((folder) => join(oracle(), folder, row.obj));
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${row.obj} is not in ${oracle()}`);
  return found;
}

function flagsOf(bits: number): VerifierProgramFlags {
  const flags: Record<string, boolean> = {};
  if (bits & 1) flags.strictAlignment = true;
  if (bits & 2) flags.anyAlignment = true;
  if (bits & 8) flags.testStateFreq = true;
  if (bits & 16) flags.sleepable = true;
  if (bits & 32) flags.xdpFrags = true;
  if (bits & 128) flags.testRegInvariants = true;
  return flags;
}

/** major << 16 | minor << 8 | patch of the running kernel. */
function runningVersion(): number {
  const [major, minor, patch] = readFileSync("/proc/sys/kernel/osrelease", "utf8")
    .split(/[.-]/)
    .map((word) => Number.parseInt(word, 10));
  return (major << 16) | (minor << 8) | Math.min(patch || 0, 255);
}

function kernelConfig(): Record<string, string | number> {
  const config: Record<string, string | number> = {};
  if (!existsSync("/proc/config.gz")) return config;
  for (const line of gunzipSync(readFileSync("/proc/config.gz")).toString().split("\n")) {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (value.startsWith('"')) config[name] = value.slice(1, -1);
    else config[name] = /^[ynm]$/.test(value) ? value : Number(value);
  }
  return config;
}

// -- recorded programs ------------------------------------------------------------------------------------------------

/** What record-bpf.c writes. */
interface RecordedMap {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly mapExtra: string;
  readonly name: string;
  readonly keyType: number;
  readonly valueType: number;
  readonly kernelValueType: number;
  readonly frozen: boolean;
  readonly btf?: string;
  readonly value?: string;
  readonly inner?: RecordedMap;
}

interface Recorded {
  readonly type: number;
  readonly attachType: number;
  readonly flags: number;
  readonly attachBtfId: number;
  readonly name: string;
  readonly license: string;
  readonly insns: string;
  readonly btf?: string;
  readonly maps: Readonly<Record<string, RecordedMap>>;
  readonly funcInfo: readonly (readonly [number, number])[];
}

/** Folder with the recorded loads of a corpus; made once. */
function recordsOf(corpus: "raw-tests"): string {
  const dir = join(oracle(), "record", corpus);
  if (existsSync(join(dir, "0.json"))) return dir;
  mkdirSync(dir, { recursive: true });
  runLoader(join(oracle(), "raw-oracle"), [], dir, {});
  return dir;
}

/** Makes what workers would otherwise make at the same time. */
export function prepareCorpus(corpus: CorpusName): void {
  if (corpus === "raw-tests") recordsOf(corpus);
}

function runLoader(
  binary: string,
  args: readonly string[],
  dir: string,
  env: Readonly<Record<string, string>>,
): void {
  const source = join(process.cwd(), "test/verifier/record-bpf.c");
  const library = join(oracle(), "record", "record-bpf.so");
  if (!existsSync(library) || statSync(library).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(oracle(), "record"), { recursive: true });
    execFileSync("cc", ["-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  }
  execFileSync(binary, args, {
    env: { ...process.env, SKEP_RECORD: dir, LD_PRELOAD: library, ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
}

/** The running kernel's log of a row's program at a log level; root only. */
export function kernelLog(row: Row, level: number): string {
  const dir = mkdtempSync(join(tmpdir(), "skep-log-"));
  try {
    const raw = row.corpus === "raw-tests";
    const number = String(raw ? (row.index ?? 0) : row.order);
    runLoader(join(oracle(), raw ? "raw-oracle" : "oracle"), raw ? [] : [objectPath(row)], dir, {
      SKEP_RECORD_ONLY: number,
      SKEP_RECORD_LEVEL: String(level),
    });
    const log = join(dir, `${number}.log`);
    if (existsSync(log)) return readFileSync(log, "utf8");
    return `no log; the loader wrote: ${readdirSync(dir).join(" ")}`;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function recordedProgram(name: string, path: string, kernelBtf: Btf): VerifierProgram {
  const recorded = JSON.parse(readFileSync(path, "utf8")) as Recorded;
  const dir = join(path, "..");
  const btfs = new Map<string, Btf>();
  const btfOf = (file: string | undefined): Btf | undefined => {
    if (file === undefined) return undefined;
    const known = btfs.get(file) ?? parseBtf(readFileSync(join(dir, file)));
    btfs.set(file, known);
    return known;
  };
  const insns = fromHex(recorded.insns);
  const maps: VerifierMap[] = [];
  const numbers = new Map<string, number>();
  for (const [fd, map] of Object.entries(recorded.maps)) {
    numbers.set(fd, maps.push(recordedMap(map, btfOf)) - 1);
  }
  const view = new DataView(insns.buffer);
  for (let at = 0; at < insns.length; at += insns[at] === 0x18 ? 16 : 8) {
    if (insns[at] !== 0x18) continue;
    const number = numbers.get(String(view.getInt32(at + 4, true)));
    const mark = insns[at + 1] >> 4;
    if (number === undefined || (mark !== 1 && mark !== 2 && mark !== 5 && mark !== 6)) continue;
    view.setInt32(at + 4, number, true);
  }
  const btf = btfOf(recorded.btf);
  const type = nameOf<ProgramTypeName>(PROGRAM_TYPES, recorded.type);
  if (type === undefined) throw new BpfError("verifier/no-program-type", `program type ${recorded.type}`);
  return {
    name,
    type,
    attachType: attachName(recorded.attachType),
    insns,
    maps,
    btf,
    funcs: recorded.funcInfo.map(([insn, btfId]) => ({ ...funcOf(btf, btfId), insn, btfId })),
    lines: [],
    license: recorded.license,
    flags: flagsOf(recorded.flags),
    kernelBtf,
    ...(recorded.attachBtfId !== 0 && { attachBtfId: recorded.attachBtfId }),
    ...(type === "BPF_PROG_TYPE_STRUCT_OPS" && { structOpsMember: recorded.attachType }),
  };
}

function recordedMap(map: RecordedMap, btfOf: (file: string | undefined) => Btf | undefined): VerifierMap {
  const btf = btfOf(map.btf);
  const type = nameOf<MapTypeName>(MAP_TYPES, map.type);
  if (type === undefined) throw new BpfError("verifier/no-map-type", `map type ${map.type}`);
  return {
    name: map.name,
    type,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    mapExtra: BigInt(map.mapExtra),
    frozen: map.frozen,
    ...(btf !== undefined && { btf, keyType: map.keyType, valueType: map.valueType }),
    ...(map.kernelValueType !== 0 && { kernelValueType: map.kernelValueType }),
    ...(map.inner !== undefined && { inner: recordedMap(map.inner, btfOf) }),
    ...(map.value !== undefined && { data: fromHex(map.value) }),
  };
}

function funcOf(btf: Btf | undefined, id: number): { name: string; linkage: "static" | "global" } {
  const func = btf?.types[id];
  if (func?.kind !== "func") return { name: "", linkage: "static" };
  return { name: func.name, linkage: func.linkage === "global" ? "global" : "static" };
}

function nameOf<Name extends string>(
  table: Readonly<Record<string, { readonly id: number }>>,
  id: number,
): Name | undefined {
  return Object.entries(table).find(([, row]) => row.id === id)?.[0] as Name | undefined;
}

function attachName(id: number): AttachTypeName | undefined {
  if (id === 0) return undefined; // the default, whatever the program type makes of it
  return Object.entries(ATTACH_TYPES).find(([, value]) => value === id)?.[0] as AttachTypeName | undefined;
}
