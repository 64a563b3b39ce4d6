import { openKernel } from "../../kernel/index.ts";
import { type Command, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import { formatCount, formatTable } from "../format/table.ts";
import { formatBytes, formatOwners, formatType } from "../linux/format.ts";

export const maps: Command = {
  name: "maps",
  summary: "List the maps in the running kernel: sizes, memory, programs that use them, owners",
  arguments: [],
  options: [{ flags: "--json", summary: "print one JSON value: a list of maps" }],
  examples: ["sudo skep maps", "sudo skep maps --json"],

  async run(io, _args, values) {
    using kernel = await openKernel("linux");
    const { inspect } = kernel;
    const owners = inspect.owners().maps;
    const programs = [...inspect.programs()];
    const rows = [...inspect.maps()].map((map) => ({
      ...map,
      programs: programs
        .filter(({ mapIds }) => mapIds.includes(map.id))
        .map(({ id, name }) => ({ id, name })),
      owners: owners.get(map.id) ?? [],
    }));
    if (readOptions(values).flag("json")) io.out(toJson(rows));
    else if (rows.length === 0) io.out("there are no maps");
    else {
      io.out(
        formatTable(
          io,
          [
            { title: "id", align: "right" },
            { title: "type" },
            { title: "name" },
            { title: "key", align: "right" },
            { title: "value", align: "right" },
            { title: "entries", align: "right" },
            { title: "memory", align: "right" },
            { title: "programs" },
            { title: "owners" },
          ],
          rows.map((row) => [
            String(row.id),
            formatType(row.type, row.typeId),
            `${row.name || "-"}${row.frozen ? " (frozen)" : ""}`,
            String(row.keySize),
            String(row.valueSize),
            formatCount(row.maxEntries),
            formatBytes(row.memoryBytes),
            row.programs.map(({ id, name }) => `${name} (${id})`).join(", ") || "-",
            formatOwners(row.owners),
          ]),
        ),
      );
    }
    return 0;
  },
};
