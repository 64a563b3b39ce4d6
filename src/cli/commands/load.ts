import { openKernel } from "../../kernel/index.ts";
import { readObject } from "../../object/index.ts";
import { type Command, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import { formatTable } from "../format/table.ts";
import { parseAssignment } from "../run/globals.ts";
import { shortType } from "../run/program-choice.ts";

export const load: Command = {
  name: "load",
  summary: "Load an object into the running kernel; with --pin it stays there",
  arguments: [{ name: "object", summary: "BPF object file" }],
  options: [
    {
      flags: "--prog <name>",
      summary: "load only this program (may be given several times)",
      repeatable: true,
    },
    { flags: "--pin <directory>", summary: "pin programs here and maps in its maps/ (a bpf filesystem)" },
    { flags: "--set <global=value>", summary: "value of a global variable", repeatable: true },
    { flags: "--json", summary: "print one JSON value" },
  ],
  examples: [
    "sudo skep load guard.bpf.o",
    "sudo skep load guard.bpf.o --pin /sys/fs/bpf/guard --set blocked_port=53",
  ],

  async run(io, [path], values) {
    const options = readOptions(values);
    const spec = readObject(await io.readFile(path));
    using kernel = await openKernel("linux");
    const programs = options.list("prog");
    using collection = await kernel.load(spec, {
      ...(programs.length > 0 && { programs }),
      globals: Object.fromEntries(options.list("set").map(parseAssignment)),
    });
    const directory = options.text("pin");
    const pinned = directory === undefined ? [] : kernel.inspect.pinAll(collection, directory);
    const report = {
      object: path,
      programs: [...collection.programs.values()].map(({ id, name, type, verifiedInsns }) => ({
        id,
        name,
        type: shortType(type),
        verifiedInsns,
      })),
      maps: [...collection.maps.values()].map(({ id, name, type }) => ({ id, name, type: shortType(type) })),
      pinned,
    };
    if (options.flag("json")) {
      io.out(toJson(report));
      return 0;
    }
    io.out(
      formatTable(
        io,
        [
          { title: "id", align: "right" },
          { title: "program" },
          { title: "type" },
          { title: "verified insns", align: "right" },
        ],
        report.programs.map((row) => [String(row.id), row.name, row.type, String(row.verifiedInsns)]),
      ),
    );
    for (const line of pinned) io.out(`pinned ${line}`);
    if (pinned.length === 0)
      io.err("it loads; nothing holds it now, so it is gone again (--pin DIR keeps it)");
    return 0;
  },
};
