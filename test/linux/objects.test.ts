// Every object of libbpf-tools and xdp-tools through openKernel("linux"): loads what libbpf loads on this kernel, and
// gives the kernel what libbpf gives it. Objects and dumps belong to others and lie where SKEP_ORACLE and
// SKEP_ORACLE_DUMP say; the tables in ../shared/oracle.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MAP_TYPES, type MapTypeName } from "../../src/abi/index.ts";
import { BpfError, fromHex } from "../../src/base/index.ts";
import type { RunningKernel } from "../../src/linux/index.ts";
import { type CollectionSpec, type LoadOptions, readObject } from "../../src/object/index.ts";
import { openRunningKernel, whyNoLinux } from "./open.ts";

interface Row {
  readonly kind: "object" | "prog";
  readonly obj: string;
  readonly prog: string;
  readonly type?: string;
  readonly res: "accepted" | "rejected" | "env";
}

/** What libbpf handed to the kernel. */
interface Dump {
  readonly prog_type: number;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
  readonly attach_btf_id: number;
  readonly insns: string;
  readonly maps: Readonly<Record<string, DumpedMap>>;
  readonly func_info: readonly (readonly [insn: number, type: number])[];
}

interface DumpedMap {
  readonly type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly map_flags: number;
}

const work = process.env.SKEP_ORACLE ?? "";
const dumps = process.env.SKEP_ORACLE_DUMP ?? "";
const tables = new URL("../../../shared/oracle/", import.meta.url);
const reason =
  whyNoLinux() ??
  (existsSync(`${work}/obj/carved`) ? undefined : "needs the oracle's work folder: SKEP_ORACLE") ??
  (existsSync(tables) ? undefined : "needs the oracle's tables in ../shared/oracle");

/** The oracle gives maps whose size a tool decides one entry, and stacks the depth that tools use. */
function oracleOptions(spec: CollectionSpec, program: string): LoadOptions {
  const maxEntries: Record<string, number> = {};
  const valueSizes: Record<string, number> = {};
  for (const { name, type, maxEntries: entries, valueSize } of spec.maps) {
    if (entries === 0 && !/STORAGE|PERF_EVENT|ARENA/.test(type)) maxEntries[name] = 1;
    if (type === "BPF_MAP_TYPE_STACK_TRACE" && valueSize === 0) valueSizes[name] = 127 * 8;
  }
  return { programs: [program], maxEntries, valueSizes };
}

/** The object as the oracle loads it: nothing is pinned. */
function readUnpinned(path: string): CollectionSpec {
  const spec = readObject(readFileSync(path));
  return { ...spec, maps: spec.maps.map((map) => ({ ...map, pinning: "none" as const })) };
}

/** Keeps what BPF_PROG_LOAD got last. */
function watchLoads({ context }: RunningKernel): () => Record<string, unknown> {
  const { sys } = context;
  const original = sys.tryBpf.bind(sys);
  let last: Record<string, unknown> = {};
  sys.tryBpf = (command, input) => {
    if (command === "BPF_PROG_LOAD") last = { ...input };
    return original(command, input);
  };
  return () => last;
}

const LDDW = 0x18;

/** Instructions with each descriptor replaced by what map it stands for. */
function comparable(insns: Uint8Array, mapOf: (fd: number) => string): string[] {
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  const out: string[] = [];
  for (let at = 0; at < insns.length; at += 8) {
    const pseudo = insns[at + 1] >> 4;
    const isMap = insns[at] === LDDW && (pseudo === 1 || pseudo === 2);
    out.push(
      isMap
        ? `${view.getUint16(at, true)} ${mapOf(view.getInt32(at + 4, true))}`
        : String(view.getBigUint64(at, true)),
    );
    if (insns[at] === LDDW) {
      at += 8;
      out.push(String(view.getBigUint64(at, true)));
    }
  }
  return out;
}

/** The oracle did without a map that it could not create: libbpf then puts a call in the place of its loads. */
const lacksMap = (dump: Dump) => /85000000[0-9a-f]{4}4477/.test(dump.insns);
/** The kernel itself adds this to device maps, and the oracle asked the kernel. */
const withoutKernelFlags = (type: number, flags: number) =>
  type === 14 || type === 25 ? flags & ~128 : flags;

const mapText = (type: number, key: number, value: number, flags: number) =>
  `${type} ${key} ${value} ${flags}`;

describe.skipIf(reason !== undefined).each([
  { corpus: "libbpf-tools", accepted: 169 },
  { corpus: "xdp-tools", accepted: 124 },
])(`objects of $corpus ${reason ?? ""}`, ({ corpus, accepted }) => {
  it(`load as with libbpf: ${accepted} programs`, async () => {
    using kernel = await openRunningKernel();
    const lastLoad = watchLoads(kernel);
    const rows = readFileSync(new URL(`${corpus}.jsonl`, tables), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Row) // written by the oracle
      .filter(({ kind }) => kind === "prog");
    const wrong: string[] = [];
    const counts = { accepted: 0, dumps: 0 };
    const specs = new Map<string, CollectionSpec>();
    for (const { obj, prog, res } of rows) {
      const spec = specs.get(obj) ?? readUnpinned(`${work}/obj/carved/${corpus}/${obj}`);
      specs.set(obj, spec);
      let got: Row["res"] = "accepted";
      try {
        const collection = await kernel.load(spec, oracleOptions(spec, prog));
        counts.accepted += res === "accepted" ? 1 : 0;
        const path = `${dumps}/${corpus}/${obj}.${prog}.json`;
        if (existsSync(path)) {
          counts.dumps++;
          const dump = JSON.parse(readFileSync(path, "utf8")) as Dump;
          const load = lastLoad();
          const ours = {
            type: load.progType,
            attach: load.expectedAttachType,
            flags: load.progFlags,
            target: load.attachBtfId ?? 0,
            funcs: [
              ...new Int32Array((load.funcInfo as Uint8Array | undefined)?.buffer ?? new ArrayBuffer(0)),
            ],
            insns: comparable(load.insns as Uint8Array, (fd) => {
              const map = [...collection.maps.values()].find((candidate) => candidate.fd === fd);
              if (map === undefined) return `no map ${fd}`;
              const { type, keySize, valueSize, flags } = map.spec;
              return mapText(MAP_TYPES[type as MapTypeName].id, keySize, valueSize, flags);
            }),
          };
          const libbpfs = {
            type: dump.prog_type,
            attach: dump.expected_attach_type,
            flags: dump.prog_flags,
            target: dump.attach_btf_id,
            funcs: dump.func_info.flat(),
            insns: comparable(fromHex(dump.insns), (fd) => {
              const { type, key_size, value_size, map_flags } = dump.maps[fd];
              return mapText(type, key_size, value_size, withoutKernelFlags(type, map_flags));
            }),
          };
          if (!lacksMap(dump)) expect.soft(ours, `${obj} ${prog}`).toEqual(libbpfs);
        }
        collection[Symbol.dispose]();
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        got = error.code === "linux/rejected" ? "rejected" : "env";
      }
      if (res !== "env" && got !== res) wrong.push(`${obj} ${prog}: ${got}, libbpf ${res}`);
    }
    expect(wrong).toEqual([]);
    expect(counts.accepted).toBe(accepted);
    if (existsSync(`${dumps}/${corpus}`)) expect(counts.dumps).toBeGreaterThan(100);
    expect(kernel.held).toEqual({ fds: 0, mappings: 0, cleanups: 0 });
  }, 180_000);
});
