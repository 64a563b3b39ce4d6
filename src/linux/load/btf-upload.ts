import { type Btf, BtfStringTable, type BtfType, writeBtf } from "../../btf/index.ts";
import type { ProgramSpec } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { Fd } from "../sys/index.ts";
import type { FeatureName } from "./features.ts";

/** A collection's BTF in the kernel. */
export interface UploadedBtf {
  readonly fd: Fd;
  /** Where the strings of line info lie in it. */
  readonly strings: BtfStringTable;
}

/**
 * Loads an object's BTF, in the form that the running kernel takes, with the strings that line info names. Undefined
 * where the kernel refuses it: programs and maps then go without, as with libbpf.
 */
export function uploadBtf(
  context: LinuxContext,
  btf: Btf,
  programs: readonly ProgramSpec[],
): UploadedBtf | undefined {
  const strings = new BtfStringTable();
  for (const { lines } of programs) {
    for (const { file, text } of lines) {
      strings.add(file);
      strings.add(text);
    }
  }
  const own = withStaticFunctions(btf, programs);
  const bytes = writeBtf(
    sanitized(own, (feature) => context.facts.has(feature)),
    { strings },
  );
  const { result } = context.sys.tryBpf("BPF_BTF_LOAD", { btf: bytes, btfSize: bytes.length });
  return result < 0 ? undefined : { fd: context.sys.own(result, "BTF of the object"), strings };
}

/** Functions that are global in C but hidden in the object are verified with their callers: static for the kernel. */
function withStaticFunctions(btf: Btf, programs: readonly ProgramSpec[]): Btf {
  const hidden = new Set(
    programs.flatMap(({ funcs }) =>
      funcs.filter(({ linkage }) => linkage === "static").map(({ btfId }) => btfId),
    ),
  );
  const types = btf.types.map((type, id) =>
    type.kind === "func" && hidden.has(id) ? ({ ...type, linkage: "static" } as const) : type,
  );
  return { types, baseCount: btf.baseCount };
}

/**
 * The BTF with the same ids, as the kernel takes it: externs become what can be loaded, and kinds that an older kernel
 * does not know become ones of the same size. `bpf_object__sanitize_btf` of libbpf does the same.
 */
export function sanitized(btf: Btf, has: (feature: FeatureName) => boolean): Btf {
  const { types, standIn } = withoutExterns(btf);
  const rows = SUBSTITUTES.filter(({ feature, kind }) => types.some((t) => t.kind === kind) && !has(feature));
  const funcs = types.some(({ kind }) => kind === "func");
  const noFuncs = funcs && !has("btf-func");
  const noGlobal = funcs && !noFuncs && !has("btf-func-global");
  const out = types.map((type, id): BtfType => {
    if (noGlobal && type.kind === "func") return { ...type, linkage: "static" };
    if (noFuncs && type.kind === "func") return { kind: "typedef", name: type.name, type: type.type };
    const row = rows.find(({ kind }) => kind === type.kind);
    return row === undefined ? type : row.instead(type, { types, intId: standIn, id });
  });
  return { types: out, baseCount: btf.baseCount };
}

interface Substitute {
  readonly kind: BtfType["kind"];
  readonly feature: FeatureName;
  instead(
    type: BtfType,
    around: { readonly types: readonly BtfType[]; readonly intId: number; readonly id: number },
  ): BtfType;
}

const UNNAMED_INT: BtfType = {
  kind: "int",
  name: "",
  size: 1,
  bits: 8,
  bitOffset: 0,
  encoding: { signed: false, char: false, bool: false },
};

/** What stands for a kind that the kernel does not know. */
const SUBSTITUTES: readonly Substitute[] = [
  {
    kind: "var",
    feature: "btf-datasec",
    instead: (type) => ({ ...UNNAMED_INT, name: type.name }),
  },
  {
    kind: "datasec",
    feature: "btf-datasec",
    instead: (type, { types }) => ({
      kind: "struct",
      name: type.name.replace(/[^A-Za-z0-9_]/g, "_"),
      size: type.kind === "datasec" ? type.size : 0,
      kindFlag: false,
      members:
        type.kind === "datasec"
          ? type.vars.map(({ type: id, offset }) => ({
              name: types[id].name,
              type: id,
              bitOffset: offset * 8,
              bitSize: 0,
            }))
          : [],
    }),
  },
  {
    kind: "float",
    feature: "btf-float",
    instead: (type) => ({
      kind: "struct",
      name: "",
      size: type.kind === "float" ? type.size : 0,
      kindFlag: false,
      members: [],
    }),
  },
  { kind: "decl_tag", feature: "btf-decl-tag", instead: () => UNNAMED_INT },
  {
    kind: "type_tag",
    feature: "btf-type-tag",
    instead: (type) => ({ kind: "const", name: "", type: type.kind === "type_tag" ? type.type : 0 }),
  },
  {
    kind: "enum64",
    feature: "btf-enum64",
    instead: (type, { intId }) =>
      type.kind !== "enum64"
        ? type
        : {
            kind: "union",
            name: type.name,
            size: type.size,
            kindFlag: false,
            members: type.values.map(({ name }) => ({ name, type: intId, bitOffset: 0, bitSize: 0 })),
          },
  },
];

/**
 * Externs are not the program's own: a `.ksyms` section holds a stand-in variable for each, extern functions become
 * global ones whose parameters all have names.
 */
function withoutExterns(btf: Btf): { types: BtfType[]; standIn: number } {
  const types = [...btf.types];
  let intId = types.findIndex((type) => type.kind === "int" && type.size === 4);
  if (intId < 0) {
    intId =
      types.push({
        kind: "int",
        name: "int",
        size: 4,
        bits: 32,
        bitOffset: 0,
        encoding: { signed: true, char: false, bool: false },
      }) - 1;
  }
  let dummy: number | undefined;
  for (const [id, type] of btf.types.entries()) {
    if (type.kind === "datasec" && type.name === ".ksyms") {
      dummy ??= types.push({ kind: "var", name: "dummy_ksym", type: intId, linkage: "global" }) - 1;
      const stand = dummy;
      const vars = type.vars.map((entry, i) => {
        const target = types[entry.type];
        if (target.kind === "func") {
          types[entry.type] = { ...target, linkage: "global" };
          nameParameters(types, target.type);
          return { type: stand, offset: i * 4, size: 4 };
        }
        if (target.kind === "var") types[entry.type] = { ...target, linkage: "global", type: intId };
        return { type: entry.type, offset: i * 4, size: 4 };
      });
      types[id] = { ...type, size: vars.length * 4, vars };
    }
  }
  return { types, standIn: intId };
}

function nameParameters(types: BtfType[], id: number): void {
  const proto = types[id];
  if (proto?.kind !== "func_proto") return;
  const params = proto.params.map((param) =>
    param.name === "" && param.type !== 0 ? { ...param, name: "dummy_param" } : param,
  );
  types[id] = { ...proto, params };
}
