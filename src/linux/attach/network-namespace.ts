import type { AttachTargets } from "../../object/index.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { withOpened } from "./opened.ts";

type NamespaceKind = "sk-lookup" | "flow-dissector";

/**
 * What attaches to a network namespace: one program for all its sockets or packets (Linux 5.9, 5.8). As with libbpf, never
 * by the section alone: the namespace may be the whole machine's.
 */
function inNamespace<Kind extends NamespaceKind>(
  kind: Kind,
  attachType: "BPF_SK_LOOKUP" | "BPF_FLOW_DISSECTOR",
): Attacher<Kind> {
  return {
    attach(context, program, target: AttachTargets[NamespaceKind]) {
      const { netns = "/proc/self/ns/net" } = target;
      const name = typeof netns === "string" ? `network namespace ${netns}` : "network namespace";
      return withOpened(context.sys, netns, "network namespace", (fd) =>
        createLink(context, program, { kind, target: name, attachType }, { target: fd }),
      );
    },
  };
}

/** Which socket gets a new connection or datagram. */
export const skLookup = inNamespace("sk-lookup", "BPF_SK_LOOKUP");
/** How packets of the namespace are parsed for hashing. */
export const flowDissector = inNamespace("flow-dissector", "BPF_FLOW_DISSECTOR");
