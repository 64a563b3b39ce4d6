import { type Attacher, createLink } from "./attacher.ts";

/** include/uapi/linux/netfilter.h */
const FAMILIES = { ipv4: 2, ipv6: 10 } as const;
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const BPF_F_NETFILTER_IP_DEFRAG = 1 << 0;

/** Netfilter hooks of this network namespace (Linux 6.4). */
export const netfilter: Attacher<"netfilter"> = {
  attach(context, program, { family = "ipv4", hook, priority = 0, defrag = false }) {
    return createLink(
      context,
      program,
      { kind: "netfilter", target: `netfilter ${family} ${hook}`, attachType: "BPF_NETFILTER" },
      {
        netfilterPf: FAMILIES[family],
        netfilterHook: HOOKS[hook],
        netfilterPriority: priority,
        netfilterFlags: defrag ? BPF_F_NETFILTER_IP_DEFRAG : 0,
      },
    );
  },
};
