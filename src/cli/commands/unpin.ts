import { openKernel } from "../../kernel/index.ts";
import type { Command } from "../command.ts";

export const unpin: Command = {
  name: "unpin",
  summary: "Remove pins: what nobody else holds is unloaded or detached",
  arguments: [{ name: "path", summary: "path of a pin", many: true }],
  options: [],
  examples: ["sudo skep unpin /sys/fs/bpf/counts"],

  async run(io, paths) {
    using kernel = await openKernel("linux");
    for (const path of paths) {
      kernel.inspect.unpin(path);
      io.out(`removed ${path}`);
    }
    return 0;
  },
};
