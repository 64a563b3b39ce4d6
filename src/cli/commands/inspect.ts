import pc from "picocolors";
import {
  type CollectionSpec,
  type MapSpec,
  type ProgramSpec,
  type Requirements,
  readObject,
  requirementsOf,
} from "../../object/index.ts";
import { type Command, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import { formatCount, formatTable } from "../format/table.ts";
import type { Io } from "../io.ts";
import { shortType } from "../run/program-choice.ts";

const SLOT_BYTES = 8;

export const inspect: Command = {
  name: "inspect",
  summary: "Show what an object file holds and what it needs of a kernel",
  arguments: [{ name: "object", summary: "BPF object file", many: true }],
  options: [{ flags: "--json", summary: "print one JSON value: a list with one element for each object" }],
  examples: ["skep inspect guard.bpf.o", "skep inspect *.bpf.o --json | jq '.[].programs[].name'"],

  async run(io, paths, values) {
    const views = [];
    for (const path of paths) views.push(viewOf(path, readObject(await io.readFile(path))));
    io.out(
      readOptions(values).flag("json")
        ? toJson(views)
        : views.map((view) => formatView(view, io)).join("\n\n"),
    );
    return 0;
  },
};

type View = ReturnType<typeof viewOf>;

function viewOf(object: string, spec: CollectionSpec) {
  return {
    object,
    license: spec.license,
    byteOrder: spec.byteOrder,
    requires: requirementsOf(spec),
    programs: spec.programs.map(programView),
    maps: spec.maps.map(mapView),
    externs: spec.externs.map(({ name, kind, weak }) => ({ name, kind, weak })),
    structOps: spec.structOps.map(({ name, structName, link, funcs }) => ({ name, structName, link, funcs })),
    btf: spec.btf === undefined ? null : { types: spec.btf.types.length - 1 },
  };
}

function programView(program: ProgramSpec) {
  const count = (kind: string) => program.references.filter((reference) => reference.kind === kind).length;
  return {
    name: program.name,
    section: program.section,
    type: program.type === undefined ? null : shortType(program.type),
    attachType: program.attachType ?? null,
    attachTo: program.attachTo ?? null,
    autoload: program.autoload,
    flags: Object.entries(program.flags).flatMap(([name, set]) => (set ? [name] : [])),
    insns: program.insns.length / SLOT_BYTES,
    functions: program.funcs.map((func) => func.name),
    relocations: {
      map: count("map"),
      mapValue: count("map-value"),
      kfunc: count("kfunc"),
      ksym: count("ksym"),
      func: count("func"),
      core: program.coreRelocations.length,
    },
  };
}

function mapView(map: MapSpec): Record<string, unknown> {
  return {
    name: map.name,
    type: shortType(map.type),
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    pinning: map.pinning,
    ...(map.inner !== undefined && { inner: mapView(map.inner) }),
    ...(map.values.length > 0 && { values: map.values }),
    ...(map.variables.length > 0 && {
      variables: map.variables.map(({ name, offset, size }) => ({ name, offset, size })),
    }),
  };
}

function formatRequirements(needs: Requirements, dim: (text: string) => string): string[] {
  const capabilities = needs.capabilities.length === 0 ? "no capability" : needs.capabilities.join(" + ");
  const lines = [`needs Linux ${needs.kernel} or later, instruction set v${needs.isa}, ${capabilities}`];
  for (const { since, what, by } of needs.reasons) {
    if (since !== needs.kernel) break; // newest first: only what decides
    lines.push(dim(`  ${since}: ${what} (${by.join(", ")})`));
  }
  if (needs.symbols.length > 0) lines.push(dim(`  kernel symbols: ${needs.symbols.join(", ")}`));
  return lines;
}

function formatView(view: View, io: Pick<Io, "colors">): string {
  const colors = pc.createColors(io.colors);
  const lines = [
    `${colors.bold(view.object)}  ${colors.dim(`license ${view.license || "none"}, ${view.byteOrder}-endian, ${view.btf === null ? "no BTF" : `${formatCount(view.btf.types)} BTF types`}`)}`,
  ];
  lines.push(...formatRequirements(view.requires, colors.dim));
  const heading = (text: string) => lines.push("", colors.bold(text));
  if (view.programs.length > 0) {
    heading("Programs");
    lines.push(
      formatTable(
        io,
        [
          { title: "name" },
          { title: "section" },
          { title: "type" },
          { title: "insns", align: "right" },
          { title: "functions", align: "right" },
          { title: "maps", align: "right" },
          { title: "CO-RE", align: "right" },
          { title: "kfuncs", align: "right" },
        ],
        view.programs.map((program) => [
          program.name,
          program.section,
          `${program.type ?? "?"}${program.autoload ? "" : " (not loaded by default)"}`,
          formatCount(program.insns),
          formatCount(program.functions.length),
          formatCount(program.relocations.map + program.relocations.mapValue),
          formatCount(program.relocations.core),
          formatCount(program.relocations.kfunc),
        ]),
      ),
    );
  }
  if (view.maps.length > 0) {
    heading("Maps");
    lines.push(
      formatTable(
        io,
        [
          { title: "name" },
          { title: "type" },
          { title: "key", align: "right" },
          { title: "value", align: "right" },
          { title: "entries", align: "right" },
          { title: "flags" },
          { title: "pinning" },
        ],
        view.maps.map((map) => [
          String(map.name),
          String(map.type),
          String(map.keySize),
          String(map.valueSize),
          formatCount(Number(map.maxEntries)),
          map.flags === 0 ? "" : `0x${Number(map.flags).toString(16)}`,
          map.pinning === "none" ? "" : String(map.pinning),
        ]),
      ),
    );
    const variables = view.maps.flatMap((map) =>
      ((map.variables ?? []) as { name: string; offset: number; size: number }[]).map((variable) => [
        String(map.name),
        variable.name,
        String(variable.offset),
        String(variable.size),
      ]),
    );
    if (variables.length > 0) {
      heading("Global variables");
      lines.push(
        formatTable(
          io,
          [
            { title: "map" },
            { title: "name" },
            { title: "offset", align: "right" },
            { title: "size", align: "right" },
          ],
          variables,
        ),
      );
    }
  }
  if (view.externs.length > 0) {
    heading("Externs");
    lines.push(
      formatTable(
        io,
        [{ title: "name" }, { title: "kind" }, { title: "" }],
        view.externs.map((ext) => [ext.name, ext.kind, ext.weak ? "weak" : ""]),
      ),
    );
  }
  if (view.structOps.length > 0) {
    heading("struct_ops");
    lines.push(
      formatTable(
        io,
        [{ title: "name" }, { title: "struct" }, { title: "programs" }],
        view.structOps.map((ops) => [
          ops.name,
          ops.structName,
          ops.funcs.map((func) => func.member).join(", "),
        ]),
      ),
    );
  }
  return lines.join("\n");
}
