import { openKernel } from "../../kernel/index.ts";
import type { LinuxInspection, ProgramInfo } from "../../object/index.ts";
import { type Command, positiveNumber, readOptions } from "../command.ts";
import { toJson } from "../format/json.ts";
import { type Column, formatCount, formatTable } from "../format/table.ts";
import { formatOwners, formatTime, formatType } from "../linux/format.ts";

const DEFAULT_INTERVAL = 1;

export const ps: Command = {
  name: "ps",
  summary: "List the programs in the running kernel: maps, links, owners, run time",
  arguments: [],
  options: [
    { flags: "--stats", summary: "count runs and run time during an interval, and show those" },
    {
      flags: "--interval <seconds>",
      summary: "with --stats: how long",
      parse: positiveNumber,
      default: DEFAULT_INTERVAL,
    },
    { flags: "--json", summary: "print one JSON value: a list of programs" },
  ],
  examples: ["sudo skep ps", "sudo skep ps --stats --interval 5", "sudo skep ps --json | jq '.[].name'"],

  async run(io, _args, values) {
    const options = readOptions(values);
    using kernel = await openKernel("linux");
    const { inspect } = kernel;
    const seconds = options.number("interval") ?? DEFAULT_INTERVAL;
    const infos = options.flag("stats") ? await counted(inspect, seconds) : [...inspect.programs()];
    const owners = inspect.owners().programs;
    const links = [...inspect.links()];
    const rows = infos.map((info) => ({
      ...info,
      links: links
        .filter(({ programId }) => programId === info.id)
        .map(({ id, type, target }) => ({ id, type, target })),
      owners: owners.get(info.id) ?? [],
    }));
    if (options.flag("json")) io.out(toJson(rows));
    else if (rows.length === 0) io.out("no programs are loaded");
    else {
      const showRuns = options.flag("stats") || infos.some(({ runCount }) => runCount > 0n);
      io.out(
        formatTable(
          io,
          showRuns ? [...COLUMNS, ...RUN_COLUMNS] : COLUMNS,
          rows.map((row) => [
            String(row.id),
            formatType(row.type, row.typeId),
            row.name || "-",
            row.tag,
            row.mapIds.join(",") || "-",
            row.links.map(({ type, target }) => `${type} ${target}`).join(", ") || "-",
            formatOwners(row.owners),
            String(row.uid),
            formatTime(row.loadedAt),
            ...(showRuns ? [formatCount(row.runCount), nsPerRun(row)] : []),
          ]),
        ),
      );
    }
    return 0;
  },
};

const COLUMNS: readonly Column[] = [
  { title: "id", align: "right" },
  { title: "type" },
  { title: "name" },
  { title: "tag" },
  { title: "maps" },
  { title: "links" },
  { title: "owners" },
  { title: "uid", align: "right" },
  { title: "loaded (UTC)" },
];
const RUN_COLUMNS: readonly Column[] = [
  { title: "runs", align: "right" },
  { title: "ns/run", align: "right" },
];

function nsPerRun({ runCount, runTimeNs }: ProgramInfo): string {
  return runCount === 0n ? "-" : formatCount(runTimeNs / runCount);
}

/** Runs and run time within an interval; programs that came or went meanwhile are left out. */
async function counted(inspect: LinuxInspection, seconds: number): Promise<ProgramInfo[]> {
  using _stats = inspect.enableStats();
  const before = new Map([...inspect.programs()].map((info) => [info.id, info]));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return [...inspect.programs()].flatMap((info) => {
    const start = before.get(info.id);
    if (start === undefined) return [];
    return {
      ...info,
      runCount: info.runCount - start.runCount,
      runTimeNs: info.runTimeNs - start.runTimeNs,
      recursionMisses: info.recursionMisses - start.recursionMisses,
    };
  });
}
