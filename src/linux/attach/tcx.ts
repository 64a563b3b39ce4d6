import { type Attacher, createLink } from "./attacher.ts";
import { positionFields } from "./hook-position.ts";
import { interfaceIndex } from "./interfaces.ts";

/** tc programs on an interface by a bpf link: several in an order (Linux 6.6). */
export const tcx: Attacher<"tcx"> = {
  attach(context, program, target) {
    const own = program.attachType === "BPF_TCX_EGRESS" ? "egress" : "ingress";
    const { direction = own } = target;
    return createLink(
      context,
      program,
      {
        kind: "tcx",
        target: `interface ${target.interface} ${direction}`,
        attachType: direction === "ingress" ? "BPF_TCX_INGRESS" : "BPF_TCX_EGRESS",
      },
      { target: interfaceIndex(context.sys, target.interface), ...positionFields(target) },
    );
  },
};
