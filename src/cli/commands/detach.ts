import { openKernel } from "../../kernel/index.ts";
import type { Command } from "../command.ts";
import { parseLinkReference } from "../linux/reference.ts";

export const detach: Command = {
  name: "detach",
  summary: "Detach a link that another process or a pin holds",
  arguments: [{ name: "link", summary: "ID (skep links) or PATH of its pin", many: true }],
  options: [],
  examples: ["sudo skep detach 12", "sudo skep detach /sys/fs/bpf/guard/link"],

  async run(io, args) {
    const references = args.map(parseLinkReference);
    using kernel = await openKernel("linux");
    for (const [i, reference] of references.entries()) {
      kernel.inspect.detach(reference);
      io.out(`detached ${args[i]}`);
    }
    return 0;
  },
};
