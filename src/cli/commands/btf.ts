import { formatBtfC, formatBtfRaw } from "../../btf/index.ts";
import { readBtfFile } from "../btf-file.ts";
import { type Command, readOptions, UsageError } from "../command.ts";
import { toJson } from "../format/json.ts";

const ACTIONS = ["dump"];
const FORMATS = ["c", "raw", "json"] as const;

export const btf: Command = {
  name: "btf",
  summary: "Print the types of an object file or of a kernel's BTF",
  arguments: [
    { name: "action", summary: "dump" },
    { name: "file", summary: "BPF object, or raw BTF such as /sys/kernel/btf/vmlinux" },
  ],
  options: [
    {
      flags: "--format <format>",
      summary: "C header, bpftool's raw listing, or JSON",
      choices: FORMATS,
      default: "raw",
    },
  ],
  examples: ["skep btf dump /sys/kernel/btf/vmlinux --format c > vmlinux.h", "skep btf dump guard.bpf.o"],

  async run(io, [action, file], values) {
    if (!ACTIONS.includes(action))
      throw new UsageError(`btf cannot '${action}'`, `it can: ${ACTIONS.join(", ")}`);
    const types = await readBtfFile(io, file);
    const format = readOptions(values).text("format");
    if (format === "c") io.out(formatBtfC(types));
    else if (format === "json") io.out(toJson(types.types.map((type, id) => ({ id, ...type }))));
    else io.out(formatBtfRaw(types));
    return 0;
  },
};
