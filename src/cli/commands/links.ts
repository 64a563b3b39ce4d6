import { openKernel } from "../../kernel/index.ts";
import { type Command, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import { formatTable } from "../format/table.ts";
import { formatOwners } from "../linux/format.ts";

export const links: Command = {
  name: "links",
  summary: "List the links in the running kernel: what is attached where, and who holds it",
  arguments: [],
  options: [{ flags: "--json", summary: "print one JSON value: a list of links" }],
  examples: ["sudo skep links", "sudo skep links --json"],

  async run(io, _args, values) {
    using kernel = await openKernel("linux");
    const { inspect } = kernel;
    const owners = inspect.owners().links;
    const names = new Map([...inspect.programs()].map(({ id, name }) => [id, name]));
    const rows = [...inspect.links()].map((link) => ({
      ...link,
      program: names.get(link.programId) ?? null,
      owners: owners.get(link.id) ?? [],
    }));
    if (readOptions(values).flag("json")) io.out(toJson(rows));
    else if (rows.length === 0) io.out("nothing is attached through links");
    else {
      io.out(
        formatTable(
          io,
          [
            { title: "id", align: "right" },
            { title: "type" },
            { title: "program" },
            { title: "attach type" },
            { title: "target" },
            { title: "owners" },
          ],
          rows.map((row) => [
            String(row.id),
            row.type,
            row.programId === 0 ? "-" : `${row.program ?? ""} (${row.programId})`.trim(),
            row.attachType?.replace(/^BPF_/, "").toLowerCase() ?? "-",
            row.target || "-",
            formatOwners(row.owners),
          ]),
        ),
      );
    }
    return 0;
  },
};
