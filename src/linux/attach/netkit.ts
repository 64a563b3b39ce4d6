import { type Attacher, createLink } from "./attacher.ts";
import { positionFields } from "./hook-position.ts";
import { interfaceIndex } from "./interfaces.ts";

/** netkit devices: `interface` is the primary one, whose link holds the programs of both ends (Linux 6.7). */
export const netkit: Attacher<"netkit"> = {
  attach(context, program, target) {
    const { peer = program.attachType === "BPF_NETKIT_PEER" } = target;
    return createLink(
      context,
      program,
      {
        kind: "netkit",
        target: `${peer ? "peer of " : ""}interface ${target.interface}`,
        attachType: peer ? "BPF_NETKIT_PEER" : "BPF_NETKIT_PRIMARY",
      },
      { target: interfaceIndex(context.sys, target.interface), ...positionFields(target) },
    );
  },
};
