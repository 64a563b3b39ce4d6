import type { AttachTargets } from "../../object/index.ts";
import type { Attacher } from "./attacher.ts";
import { UndoLink } from "./link.ts";

/** include/uapi/asm-generic/socket.h */
const SOL_SOCKET = 1;
const SOCKET_OPTIONS = {
  "socket-filter": { attach: 50, detach: 27 }, // SO_ATTACH_BPF, SO_DETACH_FILTER
  reuseport: { attach: 52, detach: 68 }, // SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF
} as const;

/** Programs that belong to a socket of the caller's; they go with it, or when the link closes. */
function onSocket<Kind extends keyof typeof SOCKET_OPTIONS>(kind: Kind): Attacher<Kind> {
  const option = SOCKET_OPTIONS[kind];
  return {
    attach(context, program, { socket }: AttachTargets["socket-filter"]) {
      const { sys } = context;
      const value = new Uint8Array(4);
      new DataView(value.buffer).setInt32(0, program.fd, true);
      const target = `socket ${socket}`;
      const facts = {
        doing: `attaching '${program.name}' to ${target}`,
        needs: program.needs,
        subject: program.name,
      };
      sys.check(facts, "setsockopt", socket, SOL_SOCKET, option.attach, value, 4);
      // A socket that was closed has let go of its program itself.
      const undo = () => sys.call("setsockopt", socket, SOL_SOCKET, option.detach, value, 4);
      return new UndoLink(context, { kind, program: program.name, target }, undo);
    },
  };
}

/** Which packets a socket receives, and how much of them. */
export const socketFilter = onSocket("socket-filter");
/** Which socket of a SO_REUSEPORT group gets a packet. */
export const reuseport = onSocket("reuseport");
