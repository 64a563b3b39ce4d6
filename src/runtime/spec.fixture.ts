import type { ProgramTypeName } from "../abi/index.ts";
import type { Btf, CoreRelocation } from "../btf/index.ts";
import type { CollectionSpec, MapSpec, ProgramSpec, Reference } from "../object/index.ts";
import { assembled } from "./bytecode.fixture.ts";

/** A program of a test's collection. */
export interface ProgramText {
  /** LLVM's assembly; `r1 = values ll` refers to a map by name. */
  readonly text: string;
  readonly name?: string;
  readonly type?: ProgramTypeName;
  readonly coreRelocations?: readonly CoreRelocation[];
}

/** A map's spec: an array of one 8-byte value unless `more` says otherwise. */
export function mapSpec(name: string, more: Partial<MapSpec> = {}): MapSpec {
  return {
    name,
    type: "BPF_MAP_TYPE_ARRAY",
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
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
    ...more,
  };
}

const MAPS: readonly MapSpec[] = [
  mapSpec("values"),
  mapSpec("constants", { flags: 0x80 }), // BPF_F_RDONLY_PROG
  mapSpec("ring", { type: "BPF_MAP_TYPE_RINGBUF", keySize: 0, valueSize: 0, maxEntries: 4096 }),
];

/** A collection of one program. */
export function specOf(program: ProgramText, maps: readonly MapSpec[] = MAPS, btf?: Btf): CollectionSpec {
  return specOfAll([program], maps, btf);
}

export function specOfAll(
  programs: readonly ProgramText[],
  maps: readonly MapSpec[] = MAPS,
  btf?: Btf,
): CollectionSpec {
  return {
    programs: programs.map((program) => programSpec(program, maps)),
    maps,
    externs: [],
    structOps: [],
    btf,
    license: "GPL",
    kernelVersion: 0,
    byteOrder: "little",
  };
}

function programSpec(
  { text, name = "prog", type = "BPF_PROG_TYPE_XDP", coreRelocations = [] }: ProgramText,
  maps: readonly MapSpec[],
): ProgramSpec {
  const insns = assembled(text, (symbol) => {
    const index = maps.findIndex((spec) => spec.name === symbol);
    return index < 0 ? undefined : { src: 1, imm: index };
  });
  const references: Reference[] = [];
  for (let insn = 0; insn < insns.length / 8; insn++) {
    if (insns[insn * 8] === 0x18 && insns[insn * 8 + 1] >> 4 === 1)
      references.push({ kind: "map", insn, map: maps[insns[insn * 8 + 4]].name });
  }
  return {
    name,
    section: "xdp",
    type,
    attachType: undefined,
    attachTo: undefined,
    flags: { sleepable: false, xdpFrags: false },
    autoload: true,
    insns,
    references,
    coreRelocations,
    funcs: [{ name, insn: 0, btfId: 0, linkage: "global" }],
    lines: Array.from({ length: insns.length / 8 }, (_, insn) => ({
      insn,
      file: "prog.c",
      line: 10 + insn,
      column: 1,
      text: `line of slot ${insn}`,
    })),
  };
}
