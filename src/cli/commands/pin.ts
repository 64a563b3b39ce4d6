import { openKernel } from "../../kernel/index.ts";
import type { LinuxInspection } from "../../object/index.ts";
import { type Command, UsageError } from "../command.ts";
import { parseLinkReference, parseReference } from "../linux/reference.ts";

interface Pinnable extends Disposable {
  pin(path: string): void;
}

const KINDS: Readonly<Record<string, (inspect: LinuxInspection, text: string) => Pinnable>> = {
  program: (inspect, text) => inspect.openProgram(parseReference(text)),
  map: (inspect, text) => inspect.openMap(parseReference(text)),
  link: (inspect, text) => inspect.openLink(parseLinkReference(text)),
};

export const pin: Command = {
  name: "pin",
  summary: "Pin a loaded program, map or link in a bpf filesystem, so that it stays",
  arguments: [
    { name: "kind", summary: "program, map or link" },
    { name: "object", summary: "NAME, ID, or PATH of another pin" },
    { name: "path", summary: "where, such as /sys/fs/bpf/counts" },
  ],
  options: [],
  examples: ["sudo skep pin map counts /sys/fs/bpf/counts", "sudo skep pin link 12 /sys/fs/bpf/guard-link"],

  async run(io, [kind, object, path]) {
    const open = KINDS[kind === "prog" ? "program" : kind];
    if (open === undefined)
      throw new UsageError(`'${kind}' cannot be pinned`, `one of ${Object.keys(KINDS).join(", ")}`);
    using kernel = await openKernel("linux");
    using opened = open(kernel.inspect, object);
    opened.pin(path);
    io.out(`pinned ${kind} ${object} at ${path}`);
    return 0;
  },
};
