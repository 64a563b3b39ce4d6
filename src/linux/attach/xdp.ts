import type { AttachTargets } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { Netlink, u32Bytes } from "../sys/index.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { interfaceIndex } from "./interfaces.ts";
import { UndoLink } from "./link.ts";

/** XDP_FLAGS_* of include/uapi/linux/if_link.h. */
const MODES = { generic: 1 << 1, native: 1 << 2, offload: 1 << 3 } as const;
const XDP_FLAGS_UPDATE_IF_NOEXIST = 1 << 0;
const XDP_FLAGS_REPLACE = 1 << 4;
const RTM_SETLINK = 19;
const IFLA_XDP = 43;
const IFLA_XDP_FD = 1;
const IFLA_XDP_FLAGS = 3;
const IFLA_XDP_EXPECTED_FD = 8;

/** XDP on an interface: by a bpf link (Linux 5.9), or through netlink. */
export const xdp: Attacher<"xdp"> = {
  attach(context, program, target) {
    const ifindex = interfaceIndex(context.sys, target.interface);
    const flags = target.mode === undefined ? 0 : MODES[target.mode];
    if (target.legacy) return attachByNetlink(context, program, target, { ifindex, flags });
    return createLink(
      context,
      program,
      { kind: "xdp", target: `interface ${target.interface}`, attachType: "BPF_XDP" },
      { target: ifindex, flags },
    );
  },
};

/** Holds the program, so that only this one is taken off again. */
function attachByNetlink(
  context: LinuxContext,
  program: LinuxProgram,
  target: AttachTargets["xdp"],
  where: { readonly ifindex: number; readonly flags: number },
): UndoLink {
  const { sys } = context;
  const name = `interface ${target.interface}`;
  const facts = { needs: program.needs, subject: program.name };
  const netlink = new Netlink(sys);
  const held = sys.duplicate(program.handle);
  /** `struct ifinfomsg`. */
  const header = new Uint8Array(16);
  new DataView(header.buffer).setInt32(4, where.ifindex, true);
  const set = (fd: number, flags: number, doing: string, expected?: number): void => {
    const bytes = [
      [IFLA_XDP_FD, u32Bytes(fd)],
      [IFLA_XDP_FLAGS, u32Bytes(where.flags | flags)],
      ...(expected === undefined ? [] : [[IFLA_XDP_EXPECTED_FD, u32Bytes(expected)] as const]),
    ] as const;
    netlink.request(RTM_SETLINK, 0, header, [[IFLA_XDP, bytes]], { ...facts, doing });
  };
  const release = (): void => {
    netlink[Symbol.dispose]();
    held.close();
  };
  try {
    const flags = target.replace ? 0 : XDP_FLAGS_UPDATE_IF_NOEXIST;
    set(held.number, flags, `attaching '${program.name}' to ${name}`);
  } catch (error) {
    release();
    throw error;
  }
  const undo = (): void => {
    try {
      set(-1, XDP_FLAGS_REPLACE, `detaching '${program.name}' from ${name}`, held.number);
    } catch (error) {
      // Gone with its interface, or replaced by somebody else's.
      const { errno } = error as { errno?: string };
      if (errno !== "ENODEV" && errno !== "EEXIST" && errno !== "ENXIO" && errno !== "ENOENT") throw error;
    } finally {
      release();
    }
  };
  return new UndoLink(context, { kind: "xdp", program: program.name, target: name }, undo, {
    outlives: true,
  });
}
