import { type Attacher, createLink } from "./attacher.ts";
import { interfaceIndex } from "./interfaces.ts";

/** XDP_FLAGS_* of include/uapi/linux/if_link.h. */
const MODES = { generic: 1 << 1, native: 1 << 2, offload: 1 << 3 } as const;

/** XDP on an interface, by a bpf link (Linux 5.9). */
export const xdp: Attacher<"xdp"> = {
  attach(context, program, target) {
    const ifindex = interfaceIndex(context.sys, target.interface);
    return createLink(
      context,
      program,
      { kind: "xdp", target: `interface ${target.interface}`, attachType: "BPF_XDP" },
      { target: ifindex, flags: target.mode === undefined ? 0 : MODES[target.mode] },
    );
  },
};
