import pc from "picocolors";
import { openKernel } from "../../kernel/index.ts";
import type { FeatureReport, TypeFeature } from "../../object/index.ts";
import { type Command, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import type { Io } from "../io.ts";
import { parseProgramType, shortType } from "../run/program-choice.ts";

export const features: Command = {
  name: "features",
  summary: "Show what the running kernel and these privileges allow, what is missing, and how to get it",
  arguments: [],
  options: [
    {
      flags: "--helpers <type>",
      summary: "also try every helper in programs of a type: xdp, sched_cls …",
      parse: parseProgramType,
    },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: ["sudo skep features", "sudo skep features --helpers xdp --json"],

  async run(io, _args, values) {
    using kernel = await openKernel("linux");
    const { inspect } = kernel;
    const type = values.helpers as ReturnType<typeof parseProgramType> | undefined;
    const report = {
      ...inspect.features(),
      ...(type && { helpers: { [shortType(type)]: inspect.helpersOf(type) } }),
    };
    io.out(readOptions(values).flag("json") ? toJson(report) : format(report, io));
    return 0;
  },
};

function format(
  report: FeatureReport & { readonly helpers?: Readonly<Record<string, readonly string[]>> },
  io: Pick<Io, "colors" | "columns">,
): string {
  const colors = pc.createColors(io.colors);
  const yes = colors.green("yes");
  const no = colors.red("no ");
  const row = (name: string, available: boolean, note = ""): string =>
    `  ${available ? yes : no}  ${name}${note === "" ? "" : `  ${colors.dim(note)}`}`;
  const { capabilities, btf } = report;
  const lines = [
    colors.bold(`Linux ${report.kernel}, ${report.arch}, ${report.cpus} CPUs`),
    "",
    colors.bold("Privileges"),
    ...capabilities.held.map((name) => row(name, true)),
    ...capabilities.missing.map((name) => row(name, false, "run with sudo, or grant it with setcap")),
    "",
    colors.bold("Types of the kernel (BTF)"),
    row(
      "vmlinux",
      btf.vmlinux,
      btf.vmlinux ? `${btf.modules} modules` : "a kernel with CONFIG_DEBUG_INFO_BTF",
    ),
    "",
    colors.bold("Attaching"),
    ...report.attach.map(({ kind, available, cure = "" }) => row(kind, available, cure)),
    "",
    colors.bold("Filesystems"),
    ...report.filesystems.map(({ path, mounted, cure = "" }) => row(path, mounted, cure)),
    "",
    colors.bold("Features"),
    ...Object.entries(report.features).map(([name, available]) => row(name, available)),
    "",
    ...types("Program types", report.programTypes, row, colors.bold),
    "",
    ...types("Map types", report.mapTypes, row, colors.bold),
    "",
    colors.bold("Settings"),
    ...Object.entries(report.sysctls).map(([name, value]) => `  ${name} = ${value ?? "not readable"}`),
  ];
  for (const [type, names] of Object.entries(report.helpers ?? {})) {
    lines.push(
      "",
      colors.bold(`Helpers of ${type}`) + colors.dim(` (${names.length})`),
      ...wrap(names, io.columns),
    );
  }
  return lines.join("\n");
}

/** Those there are in one line; those there are not, with the reason. */
function types(
  title: string,
  rows: readonly TypeFeature<string>[],
  row: (name: string, available: boolean, note?: string) => string,
  bold: (text: string) => string,
): string[] {
  const there = rows.filter(({ available }) => available);
  const missing = rows.filter(({ available }) => !available);
  return [
    bold(`${title}: ${there.length} of ${rows.length}`),
    ...wrap(
      there.map(({ type }) => shortType(type)),
      100,
    ),
    ...missing.map(({ type, since, errno }) =>
      row(shortType(type), false, `${errno}: ${reason(errno, since)}`),
    ),
  ];
}

function reason(errno: string | undefined, since: string): string {
  if (errno === "EPERM" || errno === "EACCES")
    return "these privileges, or the kernel's policy, do not allow it";
  return `Linux ${since} has it if it was built with it`;
}

function wrap(names: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = " ";
  for (const name of names) {
    if (line.length + name.length + 1 > columns && line !== " ") {
      lines.push(line);
      line = " ";
    }
    line += ` ${name}`;
  }
  if (line !== " ") lines.push(line);
  return lines;
}
