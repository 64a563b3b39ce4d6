import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ATTACH_TYPES, MAP_TYPES, PROGRAM_TYPES } from "../abi/index.ts";
import { BpfError, fromHex } from "../base/index.ts";
import { type Btf, BtfIndex, parseBtf } from "../btf/index.ts";
import {
  applyCoreRelocations,
  type CollectionSpec,
  kernelMapName,
  type MapSpec,
  type ObjectRelocation,
  objectRelocations,
  type ProgramSpec,
  readObject,
  resolveProgram,
} from "./index.ts";

/**
 * Differential test against libbpf 1.5 and the kernel: `../shared/oracle/*.jsonl` says what libbpf made of each object;
 * the objects (not ours to ship) lie in `$SKEP_ORACLE/obj`. With `SKEP_ORACLE_DUMP` naming a folder of
 * `<corpus>/<object>.<program>.json` files, written by `DUMP=<folder>/<corpus> oracle …`, instructions are compared too.
 */
const oracle = process.env.SKEP_ORACLE;
const dumps = process.env.SKEP_ORACLE_DUMP;
const tables = new URL("../../../shared/oracle/", import.meta.url);
const missing =
  oracle === undefined
    ? "SKEP_ORACLE names no oracle work folder"
    : existsSync(tables)
      ? undefined
      : "../shared/oracle is absent";

const CORPORA = [
  { name: "libbpf-tools", folders: ["obj/carved/libbpf-tools"], opened: 52, programs: 200 },
  { name: "xdp-tools", folders: ["obj/carved/xdp-tools"], opened: 46, programs: 100 },
  { name: "debian-misc", folders: ["obj/carved/debian-misc"], opened: 41, programs: 50 },
  { name: "selftests-v3", folders: ["obj/st-v3", "obj/linked"], opened: 784, programs: 3000 },
] as const;

/** Objects libbpf refuses and we open, with the reason. */
const ACCEPTED: Readonly<Record<string, string>> = {
  "test_sk_assign.bpf.o": 'legacy SEC("maps") maps of iproute2, which we read',
  "invalid_map-el.elf": "no program; its legacy map is read",
  "iproute2_map_compat-el.elf": "no program; its legacy map is read",
};

interface ObjectRow {
  readonly kind: "object";
  readonly obj: string;
  readonly open: "object" | "open" | "empty";
  readonly loader?: "legacy";
  readonly progs?: number;
  readonly maps?: readonly (readonly [string, number, number, number, number])[];
  readonly relocs?: Readonly<Record<string, number>>;
}

interface ProgramRow {
  readonly kind: "prog";
  readonly obj: string;
  readonly prog: string;
  readonly sec: string;
  readonly type: string;
  readonly attach?: string;
  readonly type_guessed?: boolean;
  readonly legacy?: boolean;
}

interface Corpus {
  readonly objects: ReadonlyMap<string, ObjectRow>;
  readonly programs: ReadonlyMap<string, ProgramRow[]>;
  pathOf(obj: string): string;
}

function load(corpus: (typeof CORPORA)[number]): Corpus {
  const objects = new Map<string, ObjectRow>();
  const programs = new Map<string, ProgramRow[]>();
  const text = readFileSync(new URL(`${corpus.name}.jsonl`, tables), "utf8");
  for (const line of text.trim().split("\n")) {
    const row = JSON.parse(line) as ObjectRow | ProgramRow;
    if (row.kind === "prog") {
      programs.set(row.obj, [...(programs.get(row.obj) ?? []), row]);
    } else if (row.open === "object" || objects.get(row.obj)?.open !== "object") {
      // an object libbpf refuses and the legacy loader opens has two rows; one without programs, "empty" and "object"
      objects.set(row.obj, row);
    }
  }
  return {
    objects,
    programs,
    pathOf: (obj) => {
      const found = corpus.folders
        .map((folder) => join(oracle!, folder, obj))
        .find((path) => existsSync(path));
      if (found === undefined) throw new Error(`${obj} is not in ${oracle}`);
      return found;
    },
  };
}

const read = (path: string): CollectionSpec =>
  readObject(new Uint8Array(readFileSync(path)), { relaxedMaps: true });

/** A map as the tables list it. */
function mapRow(map: Pick<MapSpec, "type" | "keySize" | "valueSize" | "maxEntries" | "flags">) {
  return [
    map.type.replace("BPF_MAP_TYPE_", "").toLowerCase(),
    map.keySize,
    map.valueSize,
    map.maxEntries,
    map.flags,
  ];
}

/** Maps in libbpf's order: struct_ops variables are maps there. */
function mapRows(spec: CollectionSpec): unknown[] {
  const structOps = spec.structOps.map((variable) => {
    const type = spec.btf?.types[variable.type];
    return ["struct_ops", 4, type?.kind === "struct" ? type.size : 0, 1, variable.link ? 8192 : 0];
  });
  return [...spec.maps.map(mapRow), ...structOps];
}

/** Counts in the oracle's words. */
function relocationCounts(rows: readonly ObjectRelocation[]): Record<string, number> {
  const out: Record<string, number> = {};
  for (const row of rows) {
    const key = relocationWord(row.kind, row.name);
    out[key] = (out[key] ?? 0) + 1;
  }
  return out;
}

function relocationWord(kind: string, name: string): string {
  switch (kind) {
    case "map-value":
      return name === ".kconfig" ? "extern kconfig" : (/^\.(rodata|data|bss)/.exec(name)?.[0] ?? "arena var");
    case "kconfig":
      return "extern kconfig";
    case "kfunc":
      return "extern kfunc";
    case "ksym":
      return "extern ksym var";
    case "call":
      return "subprog call";
    case "func":
      return "subprog address";
    case "map-slot":
      return "in .maps (map-in-map / prog-array init)";
    case "struct-ops":
      return "in .struct_ops";
    default:
      return kind;
  }
}

/** The oracle's counts without what has no meaning to a loader, legacy maps counted as maps. */
function wantedCounts(counts: Readonly<Record<string, number>>, keep: (word: string) => boolean) {
  const out: Record<string, number> = {};
  for (const [word, count] of Object.entries(counts)) {
    const ours = word === "legacy map" || word.endsWith("/maps") ? "map" : word;
    if (keep(ours)) out[ours] = (out[ours] ?? 0) + count;
  }
  return out;
}

describe.skipIf(missing !== undefined)(
  `objects as libbpf opens them${missing ? ` (skipped: ${missing})` : ""}`,
  () => {
    describe.each(CORPORA)("$name", (corpus) => {
      it("opens what is opened, refuses what is refused", () => {
        const { objects, pathOf } = load(corpus);
        const wrong: string[] = [];
        let opened = 0;
        for (const [obj, row] of objects) {
          let error: unknown;
          try {
            read(pathOf(obj));
          } catch (caught) {
            error = caught;
          }
          if (error !== undefined && !(error instanceof BpfError)) throw error;
          if (row.open === "open") {
            if (error === undefined && !(obj in ACCEPTED)) wrong.push(`${obj}: accepted`);
          } else if (error instanceof BpfError) {
            wrong.push(`${obj}: ${error.code} ${error.message}`);
          } else if (row.open === "object") {
            opened++;
          }
        }
        expect(wrong).toEqual([]);
        expect(opened).toBe(corpus.opened);
      });

      it("finds the same programs, types and attach types", () => {
        const { objects, programs, pathOf } = load(corpus);
        const wrong: string[] = [];
        let compared = 0;
        for (const [obj, row] of objects) {
          if (row.open !== "object" || row.loader === "legacy") continue;
          const spec = read(pathOf(obj));
          const want = (programs.get(obj) ?? []).map((program) => ({
            name: program.prog,
            section: program.sec,
            type: program.type_guessed ? undefined : program.type,
            attach: attachIsKnown(program) ? program.attach : undefined,
          }));
          const got = spec.programs.map((program, i) => ({
            name: program.name,
            section: program.section,
            type: program.type?.replace("BPF_PROG_TYPE_", "").toLowerCase(),
            attach: want[i]?.attach === undefined ? undefined : attachWord(program),
          }));
          compared += got.length;
          if (JSON.stringify(got) !== JSON.stringify(want))
            wrong.push(`${obj}: ${JSON.stringify(got)}, wanted ${JSON.stringify(want)}`);
        }
        expect(wrong).toEqual([]);
        expect(compared).toBeGreaterThan(0);
      });

      it("finds the programs that the oracle's own loader found in objects libbpf refuses", () => {
        const { objects, programs, pathOf } = load(corpus);
        const legacy = [...objects].filter(([, row]) => row.open === "object" && row.loader === "legacy");
        expect(legacy.length).toBe(corpus.name === "debian-misc" ? 17 : 0);
        for (const [obj] of legacy) {
          const rows = (programs.get(obj) ?? []).filter((program) => program.legacy);
          // it takes a section without global function for a program of the section's name; we, for subprograms
          const want = rows.filter((program) => program.prog !== program.sec);
          const got = read(pathOf(obj)).programs;
          expect(got.map(({ name, section }) => [obj, name, section])).toEqual(
            want.map(({ prog, sec }) => [obj, prog, sec]),
          );
          want.forEach(({ type, type_guessed }, i) => {
            if (!type_guessed) expect(got[i].type).toBe(`BPF_PROG_TYPE_${type.toUpperCase()}`);
          });
        }
      });

      it("finds the same maps", () => {
        const { objects, pathOf } = load(corpus);
        const wrong: string[] = [];
        for (const [obj, row] of objects) {
          if (row.open !== "object") continue;
          const spec = read(pathOf(obj));
          const legacy = row.loader === "legacy";
          // the oracle's legacy loader lists `maps` sections only, and leaves the value size of map-in-map open
          const got = legacy
            ? spec.maps.filter((map) => map.section.startsWith("maps")).map(mapRow)
            : mapRows(spec);
          const want = (row.maps ?? []).map((map) =>
            legacy && map[2] === 0 && map[0].endsWith("_of_maps") ? map.with(2, 4) : map,
          );
          if (JSON.stringify(got) !== JSON.stringify(want))
            wrong.push(`${obj}: ${JSON.stringify(got)}, wanted ${JSON.stringify(want)}`);
        }
        expect(wrong).toEqual([]);
      });

      it("counts the same relocations", () => {
        const { objects, pathOf } = load(corpus);
        const wrong: string[] = [];
        for (const [obj, row] of objects) {
          if (row.open !== "object") continue;
          const bytes = new Uint8Array(readFileSync(pathOf(obj)));
          const got = relocationCounts(objectRelocations(bytes, { relaxedMaps: true }));
          const want = wantedCounts(row.relocs ?? {}, (word) => word !== "in data section");
          if (!sameCounts(got, want))
            wrong.push(`${obj}: ${JSON.stringify(got)}, wanted ${JSON.stringify(want)}`);
        }
        expect(wrong).toEqual([]);
      });

      it.skipIf(dumps === undefined)(
        "gives the kernel the same instructions",
        () => {
          const { objects, pathOf } = load(corpus);
          const vmlinux = new BtfIndex(parseBtf(new Uint8Array(readFileSync("/sys/kernel/btf/vmlinux"))));
          const wrong: string[] = [];
          const counts = { compared: 0, equal: 0 };
          for (const [obj, row] of objects) {
            if (row.open !== "object" || row.loader === "legacy") continue;
            const spec = read(pathOf(obj));
            for (const program of spec.programs) {
              const file = join(dumps!, corpus.name, `${obj}.${program.name}.json`);
              if (!existsSync(file)) continue;
              counts.compared++;
              const own = ownTarget(spec, program);
              const target = own === undefined ? vmlinux : read(pathOf(own)).btf!;
              const difference = compareLoaded(
                spec,
                program,
                target,
                JSON.parse(readFileSync(file, "utf8")) as Loaded,
              );
              if (difference === undefined) counts.equal++;
              else wrong.push(`${obj} ${program.name}: ${difference}`);
            }
          }
          expect(wrong).toEqual([]);
          expect(counts.compared).toBeGreaterThan(corpus.programs);
          expect(counts.equal).toBe(counts.compared);
        },
        120_000,
      );
    });
  },
);

/** The oracle guessed the type, or libbpf changes the attach type of USDT by what the kernel can do. */
function attachIsKnown(program: ProgramRow): boolean {
  return !program.type_guessed && !program.sec.startsWith("usdt");
}

function attachWord(program: ProgramSpec): string {
  return (program.attachType ?? "BPF_CGROUP_INET_INGRESS").replace(/^BPF_/, "").toLowerCase();
}

function sameCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  const words = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...words].every((word) => (a[word] ?? 0) === (b[word] ?? 0));
}

/** `__btf_path("…")` of the kernel's tests: the object whose BTF is the CO-RE target. */
function ownTarget(spec: CollectionSpec, program: ProgramSpec): string | undefined {
  const prefix = "comment:test_btf_path=";
  for (const tag of spec.btf?.types ?? []) {
    if (tag.kind !== "decl_tag" || !tag.name.startsWith(prefix)) continue;
    if (spec.btf!.types[tag.type].name === program.name) return tag.name.slice(prefix.length);
  }
  return undefined;
}

/** What `DUMP=` wrote: the attributes of BPF_PROG_LOAD. */
interface Loaded {
  readonly prog_type: number;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
  readonly insns: string;
  readonly maps: Readonly<
    Record<string, { type: number; key_size: number; value_size: number; name: string }>
  >;
  readonly func_info: readonly (readonly [number, number])[];
}

/** The first difference between what the kernel was given and what we would give it; undefined when equal. */
function compareLoaded(
  spec: CollectionSpec,
  program: ProgramSpec,
  target: Btf | BtfIndex,
  loaded: Loaded,
): string | undefined {
  if (program.type !== undefined && PROGRAM_TYPES[program.type].id !== loaded.prog_type)
    return "program type";
  // set by libbpf from what the kernel has: how it attaches USDT, which member of a struct_ops this is
  const depends = program.section.startsWith("usdt") || program.type === "BPF_PROG_TYPE_STRUCT_OPS";
  const attach = program.attachType === undefined ? 0 : ATTACH_TYPES[program.attachType];
  if (program.type !== undefined && !depends && attach !== loaded.expected_attach_type) return "attach type";
  const flags = (program.flags.sleepable ? 16 : 0) | (program.flags.xdpFrags ? 32 : 0);
  if (program.type !== undefined && flags !== (loaded.prog_flags & 48)) return "flags";
  if (loaded.func_info.length > 0) {
    const ours = program.funcs.map((fn) => fn.insn);
    if (JSON.stringify(ours) !== JSON.stringify(loaded.func_info.map(([insn]) => insn)))
      return "function starts";
  }
  const core =
    spec.btf === undefined || program.coreRelocations.length === 0
      ? program.insns
      : applyCoreRelocations(program, spec.btf, target).insns;
  const theirs = fromHex(loaded.insns);
  if (core.length !== theirs.length) return `${core.length / 8} slots, the kernel got ${theirs.length / 8}`;
  const view = new DataView(theirs.buffer);
  const immAt = (slot: number): number => view.getInt32(slot * 8 + 4, true);
  let problem: string | undefined;
  const ours = resolveProgram({ ...program, insns: core }, (reference) => {
    const at = reference.insn;
    const opcode = theirs[at * 8];
    const imm = immAt(at);
    switch (reference.kind) {
      case "map":
      case "map-value": {
        if (opcode === 0x85) return { kind: "poison", imm };
        const map = spec.maps.find((candidate) => candidate.name === reference.map);
        const theirMap = loaded.maps[imm];
        if (map === undefined) problem = `no map ${reference.map}`;
        else if (theirMap === undefined) problem = `slot ${at}: descriptor ${imm} is no map`;
        else if (theirMap.type !== MAP_TYPES[map.type].id || theirMap.name !== kernelMapName("oracle", map)) {
          problem = `slot ${at}: map ${reference.map}, the kernel got ${theirMap.name}`;
        }
        return { kind: "fd", fd: imm };
      }
      case "kfunc":
        if (theirs[at * 8 + 1] >> 4 !== 2) return { kind: "poison", imm };
        return { kind: "btf", id: imm, module: view.getInt16(at * 8 + 2, true) };
      case "ksym":
        if (theirs[at * 8 + 1] >> 4 === 3) return { kind: "btf", id: imm, module: immAt(at + 1) };
        return { kind: "value", value: (BigInt(immAt(at + 1)) << 32n) | BigInt(imm >>> 0) };
      default:
        return { kind: "keep" };
    }
  });
  if (problem !== undefined) return problem;
  for (let slot = 0; slot * 8 < ours.length; slot++) {
    for (let i = slot * 8; i < slot * 8 + 8; i++) {
      if (ours[i] !== theirs[i]) return `slot ${slot} differs (${program.coreRelocations.length} CO-RE)`;
    }
  }
  return undefined;
}
