import { ATTACH_TYPES, type AttachTypeName } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { AttachTargets } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import type { LinuxProgram } from "../program.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { positionFields } from "./hook-position.ts";
import { UndoLink } from "./link.ts";
import { openPath, withOpened } from "./opened.ts";

/** BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI. */
const LEGACY_FLAGS = { exclusive: 0, override: 1 << 0, multi: 1 << 1 } as const;

/** Programs of a cgroup v2 directory: by a bpf link (Linux 5.7), or without as older ones need. */
export const cgroup: Attacher<"cgroup"> = {
  attach(context, program, target) {
    const attachType = target.attachType ?? program.attachType;
    if (attachType === undefined) {
      throw new BpfError(
        "linux/no-attach-type",
        `program '${program.name}': section '${program.spec.section}' does not say which cgroup hook`,
        {
          subject: program.name,
          hint: 'attach({ kind: "cgroup", cgroup, attachType: "BPF_CGROUP_INET_EGRESS" })',
        },
      );
    }
    if (target.legacy !== undefined) return attachWithoutLink(context, program, target, attachType);
    return withOpened(context.sys, target.cgroup, "cgroup", (fd) =>
      createLink(
        context,
        program,
        { kind: "cgroup", target: nameOf(target), attachType },
        { target: fd, ...positionFields(target) },
      ),
    );
  },
};

function nameOf({ cgroup }: AttachTargets["cgroup"]): string {
  return typeof cgroup === "string" ? `cgroup ${cgroup}` : "cgroup";
}

/** BPF_PROG_ATTACH. Holds the directory and the program, which detaching names. */
function attachWithoutLink(
  context: LinuxContext,
  program: LinuxProgram,
  target: AttachTargets["cgroup"],
  attachTypeName: AttachTypeName,
): UndoLink {
  const { sys } = context;
  const attachType = ATTACH_TYPES[attachTypeName];
  const own = typeof target.cgroup === "string" ? openPath(sys, target.cgroup, "cgroup") : undefined;
  const directory = own ?? (target.cgroup as number); // a path was opened
  const held = sys.duplicate(program.handle);
  const facts = { doing: `attaching '${program.name}' to ${nameOf(target)}`, needs: program.needs };
  const attachFlags = LEGACY_FLAGS[target.legacy ?? "multi"];
  try {
    const input = { target: directory, attachBpfFd: held, attachType, attachFlags };
    sys.bpf("BPF_PROG_ATTACH", input, { ...facts, subject: program.name });
  } catch (error) {
    held.close();
    own?.close();
    throw error;
  }
  const undo = (): void => {
    // A removed cgroup has let go of its programs itself.
    sys.tryBpf("BPF_PROG_DETACH", { target: directory, attachBpfFd: held, attachType });
    held.close();
    own?.close();
  };
  const link = { kind: "cgroup", program: program.name, target: nameOf(target) } as const;
  return new UndoLink(context, link, undo, { outlives: true });
}
